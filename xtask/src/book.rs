//! `cargo xtask book`: the documentation as a book, in `target/book`.
//!
//! Owns the call of mdBook, and which version of it is expected. Promises that a page which the table of contents
//! forgets is named. Does not install mdBook: a book that could not be built is named as left out.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::{cargo, markdown};

/// How to get what builds the book.
pub(crate) const NO_MDBOOK: &str =
    "mdBook is missing, so the book is not built; `cargo install mdbook --version 0.5.4 --locked` brings it";

/// What came of it.
pub(crate) enum Verdict {
    /// It is in this directory.
    Built(PathBuf),
    /// There is no mdBook.
    NoMdBook,
}

/// Carries out `cargo xtask book`.
pub(crate) fn run() -> ExitCode {
    match build() {
        Ok(Verdict::Built(path)) => {
            println!("the book: {}", path.join("index.html").display());
            ExitCode::SUCCESS
        }
        Ok(Verdict::NoMdBook) => {
            eprintln!("{NO_MDBOOK}");
            ExitCode::from(2)
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

/// Builds the book, where mdBook is.
///
/// # Errors
/// Says what mdBook complained about.
pub(crate) fn build() -> Result<Verdict, String> {
    let version = Command::new("mdbook").arg("--version").stdin(Stdio::null()).output();
    if !version.is_ok_and(|output| output.status.success()) {
        return Ok(Verdict::NoMdBook);
    }
    let target = cargo::target_directory().map_err(|error| error.to_string())?.join("book");
    let output = Command::new("mdbook")
        .args(["build", "docs", "--dest-dir"])
        .arg(&target)
        .current_dir(cargo::workspace_root())
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("mdbook: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    // It goes on after a file to be included is missing, for example.
    let is_sound = output.status.success() && !said.contains("ERROR") && !said.contains("WARN");
    if is_sound { Ok(Verdict::Built(target)) } else { Err(format!("mdbook build docs:\n{said}")) }
}

/// Pages that the table of contents does not name: nobody would find them.
///
/// # Errors
/// When the table of contents cannot be read.
pub(crate) fn forgotten(root: &Path, pages: &[PathBuf]) -> Result<Vec<String>, String> {
    let summary = root.join("docs/SUMMARY.md");
    let summary = fs::read_to_string(&summary).map_err(|error| format!("{}: {error}", summary.display()))?;
    let named: BTreeSet<PathBuf> =
        markdown::links(&summary).iter().map(|link| Path::new("docs").join(link.target)).collect();
    let of_book = pages.iter().filter(|page| page.starts_with("docs") && !page.ends_with("SUMMARY.md"));
    Ok(of_book
        .filter(|page| !named.contains(*page))
        .map(|page| format!("docs/SUMMARY.md does not name {}", page.display()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_the_table_of_contents_forgets_is_named() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(root.path().join("docs/SUMMARY.md"), "- [a](a.md)\n").unwrap();
        let pages = ["README.md", "docs/SUMMARY.md", "docs/a.md", "docs/b.md"].map(PathBuf::from);
        assert_eq!(forgotten(root.path(), &pages).unwrap(), ["docs/SUMMARY.md does not name docs/b.md"]);
    }
}
