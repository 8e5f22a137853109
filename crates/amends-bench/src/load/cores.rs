//! How busy each core of the machine was.
//!
//! Owns the reading of `/proc/stat`, where the kernel counts what each core spent its time with. Promises the
//! work of all programs, not only ours, and nothing instead of a guess. The format is in proc_stat(5).

use std::fs;

/// What the cores have spent since the machine was started, each under its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cores(Vec<(u32, Core)>);

/// In ticks of the kernel, a hundredth of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Core {
    idle: u64,
    all: u64,
}

/// The columns of a core's line that make up its time. What guests took is in the first two already. What the
/// host of a virtual machine gave to others is the last: that core was not idle, it was gone.
const COLUMNS: usize = 8;

/// Doing nothing, and doing nothing while a disk works.
const IDLE_COLUMNS: [usize; 2] = [3, 4];

impl Cores {
    /// As of now; `None` where the kernel does not say.
    pub(super) fn now() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/stat").ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let lines = text.lines().filter_map(|line| line.strip_prefix("cpu")?.split_once(' '));
        // The line without a number is the sum of them all.
        let cores = lines.filter_map(|(number, times)| Some((number.parse().ok()?, Core::parse(times)?)));
        let cores: Vec<_> = cores.collect();
        (!cores.is_empty()).then_some(Self(cores))
    }

    /// Which share of the time since `before` each core was busy; `None` if a core came or went, or no time
    /// passed.
    pub(super) fn busy_since(&self, before: &Self) -> Option<Vec<f64>> {
        if self.0.len() != before.0.len() {
            return None;
        }
        let pairs = self.0.iter().zip(&before.0);
        pairs.map(|((is, now), (was, then))| if is == was { now.busy_since(*then) } else { None }).collect()
    }
}

impl Core {
    fn parse(times: &str) -> Option<Self> {
        let times: Vec<u64> =
            times.split_whitespace().take(COLUMNS).map(str::parse).collect::<Result<_, _>>().ok()?;
        let idle = IDLE_COLUMNS.iter().map(|column| times.get(*column).copied()).sum::<Option<u64>>()?;
        Some(Self { idle, all: times.iter().sum() })
    }

    fn busy_since(self, before: Self) -> Option<f64> {
        let all = self.all.checked_sub(before.all).filter(|all| *all > 0)?;
        // The kernel may take back a tick of idleness.
        let idle = self.idle.saturating_sub(before.idle);
        Some(1.0 - idle.min(all) as f64 / all as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "cpu  300 0 100 1600 0 0 0 0 0 0\n\
                          cpu0 100 0 50 800 50 0 0 0 0 0\n\
                          cpu1 200 0 50 750 0 0 0 0 200 0\n\
                          intr 75377969 0 0\n";

    fn cores(text: &str) -> Cores {
        Cores::parse(text).unwrap()
    }

    #[test]
    fn a_core_is_busy_while_it_neither_idles_nor_waits_for_a_disk() {
        let after = cores(
            "cpu0 130 10 60 810 60 10 10 10 0 0\n\
             cpu1 300 0 50 750 0 0 0 0 300 0\n",
        );
        assert_eq!(after.busy_since(&cores(BEFORE)), Some(vec![0.8, 1.0]));
    }

    #[test]
    fn what_does_not_compare_is_not_told() {
        let before = cores(BEFORE);
        assert_eq!(before.busy_since(&before), None, "no time passed");
        let one_less = cores("cpu0 130 0 60 840 70 0 0 0 0 0\n");
        assert_eq!(one_less.busy_since(&before), None, "a core went");
        let another = cores("cpu0 130 0 60 840 70 0 0 0 0 0\ncpu2 300 0 50 750 0 0 0 0 0 0\n");
        assert_eq!(another.busy_since(&before), None, "a core went and another came");
        assert_eq!(Cores::parse("intr 0\n"), None);
        assert_eq!(Cores::parse("cpu  300 0 100 1600\n"), None, "the sum is no core");
    }
}
