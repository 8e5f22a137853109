//! Where a campaign keeps things.
//!
//! Owns the directories and the log of a campaign, and whether they stay behind.
//! Promises that nothing stays behind unless it is wanted, and that nobody else's data is touched.
//! Does not know what is in them.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;
use tempfile::TempDir;

use super::could_not_run::CouldNotRun;

/// Where the campaign keeps things.
#[derive(Debug)]
pub(crate) struct Place {
    work: TempDir,
    /// The data directory of the campaign.
    pub(crate) data: PathBuf,
    /// A data directory that is used once, without a kill.
    pub(crate) trial: PathBuf,
    /// What the process writes.
    pub(crate) log: PathBuf,
}

impl Place {
    pub(crate) fn prepare(wanted: Option<&Path>) -> Result<Place, CouldNotRun> {
        let work = tempfile::Builder::new()
            .prefix("amends-kill-")
            .tempdir()
            .map_err(|error| CouldNotRun(format!("no temporary directory: {error}")))?;
        let data = wanted.map_or_else(|| work.path().join("data"), Path::to_owned);
        // Orders of an earlier campaign would all be strange ones.
        if fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
            let hint = "name one that is empty or does not exist yet";
            return Err(CouldNotRun(format!("the data directory {} is not empty: {hint}", data.display())));
        }
        let (trial, log) = (work.path().join("trial"), work.path().join("demo.log"));
        Ok(Place { work, data, trial, log })
    }

    /// Goes, and leaves things behind if wanted.
    pub(crate) fn leave(self, keeps: bool) -> Option<Kept> {
        keeps.then(|| {
            let _ = self.work.keep();
            Kept { data: self.data, log: self.log }
        })
    }
}

/// What a campaign left behind.
#[derive(Debug, Serialize)]
pub(crate) struct Kept {
    pub(crate) data: PathBuf,
    /// What the process wrote, start after start.
    pub(crate) log: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_there() {
        let place = Place::prepare(None).unwrap();
        fs::write(&place.log, "words").unwrap();
        let kept = place.leave(true).unwrap();
        assert_eq!(fs::read_to_string(&kept.log).unwrap(), "words");
        fs::remove_dir_all(kept.log.parent().unwrap()).unwrap();
    }

    #[test]
    fn what_is_not_wanted_goes() {
        let place = Place::prepare(None).unwrap();
        let work = place.work.path().to_owned();
        assert!(place.leave(false).is_none());
        assert!(!work.exists());
    }
}
