//! As much of Markdown as our own pages need.
//!
//! Owns where links, code spans and tables are found. Promises to pass over fenced code. Does not read files.

/// A link, with the line it stands in, counted from one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Link<'t> {
    pub(crate) line: usize,
    pub(crate) text: &'t str,
    pub(crate) target: &'t str,
}

/// All links of a page.
pub(crate) fn links(page: &str) -> Vec<Link<'_>> {
    lines(page).flat_map(|(number, line)| links_of_line(number, line)).collect()
}

/// The links of one line.
pub(crate) fn links_of_line(number: usize, line: &str) -> Vec<Link<'_>> {
    let mut links = Vec::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("](") {
        let Some((target, behind)) = after.split_once(')') else { break };
        let text = before.rsplit_once('[').map_or("", |(_, text)| text);
        links.push(Link { line: number, text, target });
        rest = behind;
    }
    links
}

/// What stands between backticks in a line.
pub(crate) fn code_spans(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

/// The rows of the first table under a heading, without its head: for each row its line and its cells.
pub(crate) fn table<'t>(page: &'t str, heading: &str) -> Vec<(usize, Vec<&'t str>)> {
    let below = lines(page).skip_while(|(_, line)| line.trim_start_matches('#').trim() != heading).skip(1);
    let table = below
        .take_while(|(_, line)| !line.starts_with('#'))
        .skip_while(|(_, line)| !line.starts_with('|'))
        .take_while(|(_, line)| line.starts_with('|'));
    let cells = |line: &'t str| line.trim_matches('|').split('|').map(str::trim).collect();
    // The head and the line under it.
    table.skip(2).map(|(number, line)| (number, cells(line))).collect()
}

fn lines(page: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut is_fenced = false;
    page.lines().enumerate().filter_map(move |(at, line)| {
        let is_fence = line.trim_start().starts_with("```");
        is_fenced ^= is_fence;
        (!is_fenced && !is_fence).then_some((at + 1, line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_of_fences() {
        let page = "[a](x.md) and [`b`](y.rs#z)\n```\n[c](no)\n```\n[d](e)\n";
        let found: Vec<_> = links(page).iter().map(|link| (link.line, link.text, link.target)).collect();
        assert_eq!(found, [(1, "a", "x.md"), (1, "`b`", "y.rs#z"), (5, "d", "e")]);
    }

    #[test]
    fn a_table_is_that_under_its_heading() {
        let page =
            "## One\n\n| a |\n|---|\n| 1 |\n\n## Two\n\ntext\n| b | c |\n|---|---|\n| 2 | `3` |\n\n| no |\n";
        assert_eq!(table(page, "Two"), [(12, vec!["2", "`3`"])]);
        assert_eq!(table(page, "None"), []);
    }

    #[test]
    fn code_spans_are_every_second_piece() {
        assert_eq!(code_spans("`a` b `c::d`").collect::<Vec<_>>(), ["a", "c::d"]);
    }
}
