//! As much of Rust as can be read without a compiler.
//!
//! Owns what is blanked out of a source before anything is searched in it, and whether a file defines a name.
//! Relies on every source being formatted: an item ends at the brace that stands as far left as it began.

/// The source with comments and the contents of strings and characters blanked out; lines stay.
pub(crate) fn code(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let (mut rest, mut is_in_word) = (source, false);
    while let Some(next) = rest.chars().next() {
        // A word that ends in `r` is not the prefix of a raw string.
        let token = token(rest).filter(|_| !(is_in_word && is_word_character(next)));
        let (taken, left) = rest.split_at(token.unwrap_or(next.len_utf8()));
        match token {
            Some(_) => code.extend(taken.chars().map(|character| if character == '\n' { '\n' } else { ' ' })),
            None => code.push(next),
        }
        is_in_word = token.is_none() && is_word_character(next);
        rest = left;
    }
    code
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The length of the comment, string or character that the text begins with.
fn token(text: &str) -> Option<usize> {
    if text.starts_with("//") {
        return Some(text.find('\n').unwrap_or(text.len()));
    }
    if text.starts_with("/*") {
        return Some(text.find("*/").map_or(text.len(), |end| end + 2));
    }
    let raw = text.strip_prefix("br").or_else(|| text.strip_prefix('r'));
    if let Some(raw) = raw {
        let hashes = raw.len() - raw.trim_start_matches('#').len();
        if raw[hashes..].starts_with('"') {
            let end = format!("\"{}", &raw[..hashes]);
            let begin = text.len() - raw.len() + hashes + 1;
            return Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()));
        }
    }
    match text.as_bytes() {
        [b'"', ..] => Some(quoted(text, '"')),
        // A lifetime has no quote behind its first character.
        [b'\'', b'\\', ..] => Some(quoted(text, '\'')),
        [b'\'', ..] => {
            let mut characters = text.char_indices().skip(2);
            characters.next().filter(|(_, character)| *character == '\'').map(|(at, _)| at + 1)
        }
        _ => None,
    }
}

fn quoted(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, character) in text.char_indices().skip(1) {
        if !is_escaped && character == quote {
            return at + 1;
        }
        is_escaped = !is_escaped && character == '\\';
    }
    text.len()
}

/// The code without the items that only tests have.
pub(crate) fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut lines = code.lines();
    while let Some(line) = lines.next() {
        let attribute = line.trim_start();
        if !attribute.starts_with("#[cfg(test)]") && !attribute.starts_with("#![cfg(test)]") {
            kept.push_str(line);
            kept.push('\n');
            continue;
        }
        if attribute.starts_with("#!") {
            return String::new();
        }
        skip_item(&mut lines, line.len() - attribute.len());
    }
    kept
}

/// Ends with the line that closes the item: a brace that stands as far left, or the first line if it has no
/// body.
fn skip_item<'t>(lines: &mut impl Iterator<Item = &'t str>, indent: usize) {
    for line in lines {
        let text = line.trim();
        let stands_left = line.len() - line.trim_start().len() == indent;
        let has_no_body = text.ends_with([';', ',']) && stands_left;
        let closes = stands_left && (text.starts_with('}') || text.ends_with('}'));
        if has_no_body || closes {
            return;
        }
    }
}

/// Whether the code defines a name: `function`, or `Type::function` within a block of that type.
pub(crate) fn defines(code: &str, name: &str) -> bool {
    match name.rsplit_once("::") {
        None => code.lines().any(|line| declares(line, name)),
        Some((owner, member)) => {
            let owner = owner.rsplit("::").next().unwrap_or(owner);
            blocks(code, owner).any(|line| declares(line, member))
        }
    }
}

/// The lines of all blocks at the left margin whose first lines name the owner.
fn blocks<'t>(code: &'t str, owner: &str) -> impl Iterator<Item = &'t str> {
    let mut is_inside = false;
    code.lines().filter(move |line| {
        let begins = !line.is_empty() && !line.starts_with([' ', '}', ')', '#']);
        if begins {
            is_inside = words(line).any(|word| word == owner);
        }
        is_inside && !begins
    })
}

/// Whether a line begins the definition of a name: an item, a variant or a field.
fn declares(line: &str, name: &str) -> bool {
    const BEFORE: [&str; 16] = [
        "pub", "crate", "super", "in", "async", "const", "unsafe", "extern", "fn", "struct", "enum", "trait",
        "type", "static", "mod", "union",
    ];
    let mut words = words(line);
    words.find(|word| !BEFORE.contains(word)) == Some(name)
}

/// The words of a piece of code.
pub(crate) fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|character| !is_word_character(character)).filter(|word| !word.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blanked_out_and_nothing_else() {
        let source =
            "a /* b */ c // d\n\"e \\\" f\" g 'h' '\\'' i<'j> r#\"k\" l\"# m b\"n\" br#\"o\"# bar\"p\"\n";
        let code = code(source);
        assert_eq!(code.len(), source.len());
        let words: Vec<&str> = words(&code).collect();
        assert_eq!(words, ["a", "c", "g", "i", "j", "m", "b", "bar"]);
    }

    #[test]
    fn what_only_tests_have_is_left_out() {
        let code = "use a;\n#[cfg(test)]\nmod sample;\n#[cfg(test)]\nmod tests {\n    use b;\n}\nfn c() {}\n\
                    impl D {\n    #[cfg(test)]\n    fn e() {\n        f();\n    }\n    fn g() {}\n}\n";
        assert_eq!(without_tests(code), "use a;\nfn c() {}\nimpl D {\n    fn g() {}\n}\n");
    }

    #[test]
    fn a_name_is_defined_by_its_item_and_a_member_in_a_block_of_its_type() {
        let code = "pub(crate) fn one() {}\nimpl Shard {\n    pub(super) async fn two(&self) {\n        three();\n    }\n}\n\
                    enum Four {\n    Five { six: u8 },\n}\n";
        for name in ["one", "two", "Shard::two", "Four::Five", "core::Shard::two"] {
            assert!(defines(code, name), "{name}");
        }
        for name in ["thre", "Four::two", "Shard::one", "Gate::two", "Shard"] {
            assert!(!defines(code, name), "{name}");
        }
    }
}
