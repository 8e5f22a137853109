//! Holds the table of error kinds and the pages under `docs/errors/` against each other.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use amends_api::ErrorKind;

#[test]
fn each_kind_has_its_page_and_each_page_its_kind() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/errors");
    let entries = fs::read_dir(folder).unwrap();
    let pages: BTreeSet<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let kinds: BTreeSet<String> = ErrorKind::ALL.iter().map(|kind| format!("{}.md", kind.code())).collect();
    assert_eq!(pages, kinds);
}

#[test]
fn every_page_begins_with_its_code_and_says_what_to_do() {
    for kind in ErrorKind::ALL {
        let page = kind.page();
        assert!(page.starts_with(&format!("# {}\n\n", kind.code())), "{}", kind.code());
        assert!(page.contains("\n\n**What to do.** "), "{}", kind.code());
    }
}
