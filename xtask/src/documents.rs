//! What our pages say of the code.
//!
//! Owns three promises of `ARCHITECTURE.md`, `README.md` and `docs/`: that a link to a file of the repository
//! leads to one; that a name which `ARCHITECTURE.md` links to a source, or says to decide a question, is
//! defined there; and that the code map has every crate, with what it leans on. Does not look at links that
//! leave the repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::cargo::Package;
use crate::{book, markdown, source};

const ARCHITECTURE: &str = "ARCHITECTURE.md";
const QUESTIONS: &str = "Where is it decided…";
const CODE_MAP: &str = "Code map";
/// What a crate leans on that leans on nothing.
const NOTHING: &str = "nothing of ours";

/// Everything that is not so, each with its place.
///
/// # Errors
/// When a page cannot be read.
pub(crate) fn findings(root: &Path, packages: &[Package]) -> Result<Vec<String>, String> {
    let mut findings = Vec::new();
    let pages = pages(root)?;
    for page in &pages {
        let text = read(root, page)?;
        findings.extend(broken_links(root, page, &text));
    }
    findings.extend(book::forgotten(root, &pages)?);
    let architecture = read(root, Path::new(ARCHITECTURE))?;
    findings.extend(linked_names(root, &architecture));
    findings.extend(deciding_names(root, &architecture));
    findings.extend(arrows(&architecture, packages));
    Ok(findings)
}

fn read(root: &Path, page: &Path) -> Result<String, String> {
    fs::read_to_string(root.join(page)).map_err(|error| format!("{}: {error}", page.display()))
}

fn pages(root: &Path) -> Result<Vec<PathBuf>, String> {
    let mut pages = vec![PathBuf::from(ARCHITECTURE), PathBuf::from("README.md")];
    let mut folders = vec![PathBuf::from("docs")];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(root.join(&folder)).map_err(|error| format!("{}: {error}", folder.display()))?;
        for entry in entries.flatten() {
            let path = folder.join(entry.file_name());
            if root.join(&path).is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    Ok(pages)
}

fn broken_links(root: &Path, page: &Path, text: &str) -> Vec<String> {
    let folder = page.parent().unwrap_or(Path::new(""));
    let broken = markdown::links(text).into_iter().filter(|link| {
        let file = link.target.split('#').next().unwrap_or("");
        // Problem pages are served under `/errors/`.
        let is_elsewhere = file.is_empty()
            || file.contains("://")
            || file.starts_with(['/', '<'])
            || file.starts_with("mailto:");
        !is_elsewhere && !root.join(folder).join(file).exists()
    });
    broken.map(|link| format!("{}:{}: {} does not exist", page.display(), link.line, link.target)).collect()
}

/// Links whose text is a name in code: `[`Engine::start`](crates/…/engine.rs)`.
fn linked_names(root: &Path, architecture: &str) -> Vec<String> {
    let links = markdown::links(architecture).into_iter().filter_map(|link| {
        let name = link.text.strip_prefix('`')?.strip_suffix('`')?;
        let is_checked = is_name(name) && link.target.ends_with(".rs");
        is_checked.then(|| undefined(root, link.line, name, &[link.target])).flatten()
    });
    links.collect()
}

/// Names in the table of questions: each in a file that its row links to.
fn deciding_names(root: &Path, architecture: &str) -> Vec<String> {
    let mut findings = Vec::new();
    let rows = markdown::table(architecture, QUESTIONS);
    if rows.is_empty() {
        findings.push(format!("{ARCHITECTURE}: there is no table under {QUESTIONS:?}"));
    }
    for (line, cells) in rows {
        let place = cells.get(1).copied().unwrap_or("");
        let links = markdown::links_of_line(line, place);
        let files: Vec<&str> = links.iter().map(|link| link.target).collect();
        let names = markdown::code_spans(place).filter(|name| is_name(name));
        findings.extend(names.filter_map(|name| undefined(root, line, name, &files)));
    }
    findings
}

/// Whether a code span is the name of something in the code, and not a path or a status.
fn is_name(span: &str) -> bool {
    let mut names = span.trim_end_matches("()").split("::");
    names.all(|name| {
        name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && name.chars().all(|character| character.is_ascii_alphanumeric() || character == '_')
    })
}

fn undefined(root: &Path, line: usize, name: &str, files: &[&str]) -> Option<String> {
    let name = name.trim_end_matches("()");
    if files.is_empty() {
        return Some(format!(
            "{ARCHITECTURE}:{line}: `{name}` has no link in its row to the file that defines it"
        ));
    }
    let defines = |file: &&str| {
        let code = fs::read_to_string(root.join(file)).map(|text| source::code(&text));
        code.is_ok_and(|code| source::defines(&code, name) || is_used_type(&code, name))
    };
    let is_defined = files.iter().any(defines);
    (!is_defined).then(|| format!("{ARCHITECTURE}:{line}: `{name}` is not defined in {}", files.join(" or ")))
}

/// A type or variant that the place is said to make or take need only be there.
fn is_used_type(code: &str, name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_uppercase())
        && !name.contains("::")
        && source::words(code).any(|word| word == name)
}

/// The code map against Cargo: every crate is in it, leans only on crates above it in the table, and depends
/// on nothing that it does not lean on, itself or through those it leans on. What only tests depend on does
/// not count.
fn arrows(architecture: &str, packages: &[Package]) -> Vec<String> {
    let mut findings = Vec::new();
    // What each crate may depend on.
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (line, cells) in markdown::table(architecture, CODE_MAP) {
        let name = cells.first().map_or("", |cell| cell.trim_matches('`'));
        let short = short(name.rsplit('/').next().unwrap_or(name));
        let mut may = BTreeSet::new();
        for below in cells.get(2).copied().unwrap_or("").split(", ").filter(|below| *below != NOTHING) {
            match allowed.get(below) {
                Some(through) => may.extend(through.iter().cloned().chain([below.to_owned()])),
                None => findings.push(format!(
                    "{ARCHITECTURE}:{line}: `{name}` leans on {below}, which is not above it in the code map: arrows point down"
                )),
            }
        }
        allowed.insert(short.to_owned(), may);
    }
    for package in packages {
        let name = short(&package.name);
        let Some(may) = allowed.get(name) else {
            findings.push(format!("{ARCHITECTURE}: `{}` is not in the code map", package.name));
            continue;
        };
        let wrong = package.dependencies.iter().filter(|other| !may.contains(short(other)));
        findings.extend(wrong.map(|other| {
            format!(
                "{} depends on {other}, which its row of the code map does not lean on: an arrow upwards?",
                package.name
            )
        }));
    }
    let names: BTreeSet<&str> = packages.iter().map(|package| short(&package.name)).collect();
    let gone = allowed.keys().filter(|name| !names.contains(name.as_str()));
    findings.extend(
        gone.map(|name| format!("{ARCHITECTURE}: the code map has {name}, which is not a crate of ours")),
    );
    findings
}

/// As the column says it: without the prefix that all have.
fn short(name: &str) -> &str {
    name.strip_prefix("amends-").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        let dependencies = dependencies.iter().map(|name| (*name).to_owned()).collect();
        Package { name: name.to_owned(), dependencies, root: PathBuf::new() }
    }

    const MAP: &str = "## Code map\n\n| crate | is | leans on |\n|---|---|---|\n\
                       | `amends-core` | a | nothing of ours |\n\
                       | `amends-engine` | b | core |\n\
                       | `examples/shop` | c | engine |\n";

    #[test]
    fn a_crate_may_depend_on_what_its_row_leans_on_and_on_what_that_leans_on() {
        let sound = [
            package("amends-core", &[]),
            package("amends-engine", &["amends-core"]),
            package("amends-shop", &["amends-engine", "amends-core"]),
        ];
        assert_eq!(arrows(MAP, &sound), [""; 0]);
    }

    #[test]
    fn an_arrow_upwards_is_named() {
        let upwards = [
            package("amends-core", &["amends-engine"]),
            package("amends-engine", &[]),
            package("amends-shop", &[]),
        ];
        let [found] = &arrows(MAP, &upwards)[..] else { panic!("one finding") };
        assert!(found.starts_with("amends-core depends on amends-engine"), "{found}");
        let turned = MAP.replace("nothing of ours", "shop");
        assert!(arrows(&turned, &[]).iter().any(|found| found.contains("`amends-core` leans on shop")));
    }

    #[test]
    fn the_code_map_has_every_crate_and_no_other() {
        let found = arrows(MAP, &[package("amends-core", &[]), package("amends-api", &[])]);
        for expected in ["`amends-api` is not in", "the code map has engine", "the code map has shop"] {
            assert!(found.iter().any(|finding| finding.contains(expected)), "{found:?}");
        }
    }

    fn repository() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("docs")).unwrap();
        fs::write(
            root.path().join("a.rs"),
            "impl Shard {\n    fn tick(&self) {\n        Turned::new();\n    }\n}\n",
        )
        .unwrap();
        root
    }

    #[test]
    fn a_link_to_a_file_that_does_not_exist_is_found_from_wherever_it_is_made() {
        let root = repository();
        let text = "[a](../a.rs#L1) [b](https://x.y/z) [c](/errors/invalid) [d](#top)\n[e](a.rs)";
        let found = broken_links(root.path(), Path::new("docs/page.md"), text);
        assert_eq!(found, ["docs/page.md:2: a.rs does not exist"]);
    }

    #[test]
    fn a_name_must_be_defined_in_a_file_its_row_links_to() {
        let root = repository();
        let table =
            |place: &str| format!("## {QUESTIONS}\n\n| question | place |\n|---|---|\n| x | {place} |\n");
        let found = |place: &str| deciding_names(root.path(), &table(place));
        assert_eq!(found("`Shard::tick` and `tick()` in [`a.rs`](a.rs), which makes `Turned`"), [""; 0]);
        assert_eq!(found("[`a.rs`](a.rs), the status `in doubt`"), [""; 0]);
        assert!(found("`Shard::tock` in [`a.rs`](a.rs)")[0].contains("`Shard::tock` is not defined in a.rs"));
        assert!(found("`tick` there")[0].contains("has no link"));
        assert!(!linked_names(root.path(), "[`Gate::tick`](a.rs)").is_empty());
        assert!(!deciding_names(root.path(), "").is_empty(), "the table itself is missing");
    }
}
