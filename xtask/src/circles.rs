//! Import circles between the files of a crate.
//!
//! Owns which file imports which, read from the sources: `use` declarations and paths, followed through
//! re-exports to the file that an item stands in. What only tests have does not count. Promises to find every
//! circle but those of a file and the files in its own folder: a child may use what its parent has.
//! Does not expand macros, and does not know `#[path]`.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::path::Path;

use crate::source;

/// Names from the crate's root: `["load", "open"]`.
type Module = Vec<String>;

/// The files of one crate.
#[derive(Debug, Default)]
pub(crate) struct Imports {
    files: BTreeMap<Module, File>,
}

#[derive(Debug)]
struct File {
    children: BTreeSet<String>,
    /// What a name in this file stands for, as it is written.
    names: BTreeMap<String, Module>,
    /// All paths in it, as they are written.
    paths: Vec<Module>,
}

/// No chain of re-exports is longer.
const RE_EXPORTS_MAX: usize = 16;

impl Imports {
    /// Reads a crate, from its `lib.rs` or `main.rs`.
    ///
    /// # Errors
    /// When a file is missing that a module should stand in.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let mut imports = Self::default();
        let folder = root.parent().expect("a file stands in a folder");
        imports.add(Vec::new(), root, folder)?;
        Ok(imports)
    }

    fn add(&mut self, module: Module, file: &Path, folder: &Path) -> Result<(), String> {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let read = File::parse(&text);
        for child in &read.children {
            let (alone, with_children) = (folder.join(format!("{child}.rs")), folder.join(child));
            let is_folder = !alone.exists();
            let file = if is_folder { with_children.join("mod.rs") } else { alone };
            self.add([module.as_slice(), std::slice::from_ref(child)].concat(), &file, &with_children)?;
        }
        self.files.insert(module, read);
        Ok(())
    }

    /// Each circle once, in words.
    pub(crate) fn circles(&self) -> Vec<String> {
        let imported: BTreeMap<&Module, BTreeSet<Module>> =
            self.files.iter().map(|(module, file)| (module, self.imported_by(module, file))).collect();
        let mut found = BTreeSet::new();
        let mut in_words = Vec::new();
        for module in self.files.keys() {
            let Some(circle) = shortest_circle(module, &imported) else { continue };
            let members: BTreeSet<&Module> = circle.iter().copied().collect();
            if found.insert(members) {
                let names: Vec<String> = circle.iter().map(|module| module.join("::")).collect();
                in_words.push(names.join(" → "));
            }
        }
        in_words
    }

    /// The files that a file imports from, without those above it.
    fn imported_by(&self, module: &Module, file: &File) -> BTreeSet<Module> {
        let imported = file.paths.iter().filter_map(|path| self.resolve(module, path, 0));
        imported.filter(|other| !module.starts_with(other)).collect()
    }

    /// The file that a path leads to; `None` of another crate's.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (first, mut rest) = path.split_first()?;
        let file = &self.files[from];
        let mut here = match first.as_str() {
            "crate" => Vec::new(),
            "self" => from.clone(),
            "super" => from.split_last()?.1.to_vec(),
            child if file.children.contains(child) => [from.as_slice(), &[child.to_owned()]].concat(),
            name => {
                let named = file.names.get(name).filter(|named| **named != path && depth < RE_EXPORTS_MAX)?;
                return self.resolve(from, &[named.as_slice(), rest].concat(), depth + 1);
            }
        };
        while let Some((next, behind)) = rest.split_first() {
            let file = &self.files[&here];
            if next == "super" {
                here.pop()?;
            } else if file.children.contains(next) {
                here.push(next.clone());
            } else if let Some(named) = file.names.get(next).filter(|_| depth < RE_EXPORTS_MAX) {
                // A name that is another crate's is used through this file all the same.
                let through = self.resolve(&here, &[named.as_slice(), behind].concat(), depth + 1);
                return Some(through.unwrap_or(here));
            } else {
                break;
            }
            rest = behind;
        }
        Some(here)
    }
}

/// The shortest way from a file back to itself.
fn shortest_circle<'m>(
    from: &'m Module,
    imported: &'m BTreeMap<&'m Module, BTreeSet<Module>>,
) -> Option<Vec<&'m Module>> {
    let mut came_from: BTreeMap<&Module, &Module> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(here) = next.pop_front() {
        for other in &imported[here] {
            if other == from {
                let mut way = vec![from, here];
                while let Some(before) = way.last().and_then(|last| came_from.get(*last)) {
                    way.push(before);
                }
                way.reverse();
                return Some(way);
            }
            if !came_from.contains_key(other) {
                came_from.insert(other, here);
                next.push_back(other);
            }
        }
    }
    None
}

impl File {
    fn parse(text: &str) -> Self {
        let code = source::without_tests(&source::code(text));
        let children = code.lines().filter_map(declared_module).map(str::to_owned).collect();
        let (mut names, mut paths) = (BTreeMap::new(), Vec::new());
        let mut other_code = String::new();
        let mut rest = code.as_str();
        // Every declaration begins a line, behind its visibility.
        while let Some((before, declaration)) = split_at_use(rest) {
            other_code.push_str(before);
            let (tree, behind) = declaration.split_once(';').unwrap_or((declaration, ""));
            expand(&mut Vec::new(), tree, &mut |path, name| {
                names.insert(name.to_owned(), path.to_vec());
                paths.push(path.to_vec());
            });
            rest = behind;
        }
        other_code.push_str(rest);
        paths.extend(written_paths(&other_code));
        Self { children, names, paths }
    }
}

/// The name of a module with a file of its own, if the line declares one.
fn declared_module(line: &str) -> Option<&str> {
    let name = line.strip_suffix(';')?;
    let mut words = source::words(name).skip_while(|word| ["pub", "crate", "super"].contains(word));
    (words.next() == Some("mod")).then(|| words.next()).flatten()
}

/// What stands before the next `use`, and what it declares.
fn split_at_use(code: &str) -> Option<(&str, &str)> {
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let declared = line.trim_start();
        let indent = line.len() - declared.len();
        let visibility = declared.find("use ").filter(|at| {
            let before = declared[..*at].trim();
            before.is_empty() || before == "pub" || (before.starts_with("pub(") && before.ends_with(')'))
        });
        if let Some(visibility) = visibility {
            let begin = at + indent + visibility;
            return Some((&code[..begin], &code[begin + "use ".len()..]));
        }
        at += line.len();
    }
    None
}

/// Tells of each path in a tree such as `a::{b, c::{self, d as e}}`, with the name it is known by.
fn expand(above: &mut Module, tree: &str, tell: &mut impl FnMut(&[String], &str)) {
    let tree = tree.trim();
    if let Some((head, inner)) = tree.split_once('{') {
        let depth = above.len();
        above.extend(source::words(head).map(str::to_owned));
        let inner = inner.trim_end().strip_suffix('}').unwrap_or(inner);
        for branch in branches(inner) {
            expand(above, branch, tell);
        }
        above.truncate(depth);
        return;
    }
    let (path, alias) = match tree.split_once(" as ") {
        Some((path, alias)) => (path, Some(alias.trim())),
        None => (tree, None),
    };
    let mut whole = above.clone();
    whole.extend(source::words(path).map(str::to_owned));
    if whole.len() > 1 && whole.last().is_some_and(|last| last == "self") {
        whole.pop();
    }
    if let Some(last) = whole.last() {
        let name = alias.unwrap_or(last).to_owned();
        tell(&whole, &name);
    }
}

/// What commas part, outside of inner braces.
fn branches(inner: &str) -> Vec<&str> {
    let (mut depth, mut begin, mut found) = (0, 0, Vec::new());
    for (at, character) in inner.char_indices() {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&inner[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    found.push(&inner[begin..]);
    found.into_iter().filter(|branch| !branch.trim().is_empty()).collect()
}

/// Paths of at least two names outside of `use`.
fn written_paths(code: &str) -> Vec<Module> {
    let mut paths = Vec::new();
    for piece in code.split(|character: char| !(character.is_alphanumeric() || "_:".contains(character))) {
        let path: Module = piece.split("::").map(str::to_owned).collect();
        if path.len() > 1 && path.iter().all(|name| !name.contains(':')) && !path[0].is_empty() {
            paths.push(path);
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn circles(files: &[(&str, &str)]) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Imports::read(&folder.path().join("lib.rs")).unwrap().circles()
    }

    #[test]
    fn two_files_that_import_each_other_are_a_circle() {
        let found = circles(&[
            ("lib.rs", "mod a;\npub(crate) mod b;\nmod c;\n"),
            ("a.rs", "use std::fmt;\n\nuse super::{b::B, c};\n"),
            ("b.rs", "fn f() -> crate::a::A {}\n"),
            ("c.rs", ""),
        ]);
        assert_eq!(found, ["a → b → a"]);
    }

    #[test]
    fn a_parent_and_its_child_are_none() {
        let found = circles(&[
            ("lib.rs", "mod a;\nuse a::A;\npub struct Root;\n"),
            ("a.rs", "mod b;\nuse b::B;\nuse crate::Root;\npub struct A;\n"),
            ("a/b.rs", "use super::A;\nuse crate::Root;\npub struct B;\n"),
        ]);
        assert_eq!(found, [""; 0]);
    }

    #[test]
    fn a_circle_through_a_child_or_a_re_export_is_found() {
        let through_a_child = circles(&[
            ("lib.rs", "mod a;\nmod c;\n"),
            ("a/mod.rs", "mod b;\npub use self::b::B;\n"),
            ("a/b.rs", "use crate::c::C;\npub struct B;\n"),
            ("c.rs", "use super::a::B;\n"),
        ]);
        assert_eq!(through_a_child, ["a::b → c → a::b"]);
        let through_the_root = circles(&[
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::{B as Second};\n"),
            ("a.rs", "use crate::Second;\n"),
            ("b.rs", "use crate::A;\n"),
        ]);
        assert_eq!(through_the_root, ["a → b → a"]);
    }

    #[test]
    fn what_only_tests_or_comments_say_is_no_import() {
        let found = circles(&[
            ("lib.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod sample;\n"),
            ("a.rs", "//! See [`crate::b`].\nuse crate::b::B;\n"),
            (
                "b.rs",
                "const S: &str = \"crate::a::A\";\n\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            ),
        ]);
        assert_eq!(found, [""; 0]);
    }
}
