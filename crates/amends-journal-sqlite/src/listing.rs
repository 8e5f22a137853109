//! Which transactions match a filter.
//!
//! Owns lists and counts. Promises that lists, live and ended together, come in the order of their starts,
//! that each item matches, and that one page or count looks at a bounded number of transactions, however few
//! of them match. Does not know what a transaction's records say. Start reading at [`Look::list`].
//!
//! A filter is answered from one *source* of numbers, the narrowest that there is: a key, a parent, a tag, or
//! the definitions and standings that there are any transactions of. A stretch of time cuts the numbers, since
//! they are given in the order of starts (`spans.rs`). What the source does not vouch for is looked up row by
//! row.

use std::cmp::Reverse;

use amends_core::{StandingKind, Standings};
use amends_journal::limits::COUNTED_MAX;
use amends_journal::{Count, Cursor, Filter, Page, Summary};
use rusqlite::types::Value;
use rusqlite::{params, params_from_iter};

use super::failure::ReadError;
use super::labels;
use super::limits::{LIST_BATCH_MIN, LIST_LOOKED_AT_MAX, TAGGED_OR_STANDING_MAX};
use super::look::{Look, Runs};
use super::names::Hint;
use super::schema::{
    self, Nonsense, cursor_at, number_after, row_limit, standing_code, standing_kind_of, standing_of,
    time_code, time_of,
};
use super::spans::BLOCK;

/// Which table a transaction is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Live,
    Ended,
}

/// How many transactions of one definition stand so.
struct Group {
    definition: i64,
    standing: StandingKind,
    count: u64,
}

/// Where numbers come from.
enum Source {
    /// All there are.
    All,
    /// Those that run this and stand so: each is one short walk along its own stretch of an index.
    Groups(Vec<Group>),
    /// Those of an index of labels: a table of pairs of label and number.
    Label { sql: &'static str, label: Vec<u8> },
    /// These.
    Numbers(Vec<i64>),
}

/// A stretch of numbers, both ends included.
struct Stretch {
    from: i64,
    to: i64,
    /// Whether all that have a number in it started when they should have.
    is_whole: bool,
}

/// A transaction that may match.
struct Candidate {
    no: i64,
    /// `None`: in either.
    table: Option<Table>,
    /// Whether it matches for certain.
    is_sure: bool,
}

/// Numbers that may match, from the highest down.
struct Walk {
    source: Source,
    /// Whether the source vouches for all but the moment of the start.
    is_source_sure: bool,
    /// From the highest down.
    stretches: Vec<Stretch>,
}

impl Look<'_> {
    /// The hint is what memory said of the filter's key before this moment began.
    pub(super) fn list(
        &self,
        filter: &Filter,
        hint: Option<&Hint>,
        cursor: Option<Cursor>,
        limit: usize,
    ) -> Result<Page<Summary>, ReadError> {
        let limit = limit.max(1);
        let walk = self.walk(filter, hint)?;
        let mut before = cursor.map_or(i64::MAX, |cursor| number_after(Some(cursor)));
        let mut items = Vec::new();
        let mut looked_at = 0;
        loop {
            let wanted = limit.saturating_add(1).saturating_sub(items.len());
            let rows = if walk.is_sure() { wanted } else { wanted.max(LIST_BATCH_MIN) };
            let batch = self.batch(&walk, before, rows)?;
            let is_last = batch.len() < rows;
            for Candidate { no, table, is_sure } in batch {
                if items.len() == limit && is_sure {
                    return page(items, Some(before));
                }
                let summary = self.summary(no, table)?;
                if let Some(summary) = summary.filter(|summary| is_sure || filter.matches(summary)) {
                    if items.len() == limit {
                        return page(items, Some(before));
                    }
                    items.push(summary);
                }
                before = no;
                looked_at += 1;
            }
            if is_last || looked_at >= LIST_LOOKED_AT_MAX {
                return page(items, (!is_last).then_some(before));
            }
        }
    }

    pub(super) fn count(&self, filter: &Filter, hint: Option<&Hint>) -> Result<Count, ReadError> {
        if filter.is_counted() {
            return Ok(Count::exactly(self.groups(filter)?.iter().map(|group| group.count).sum()));
        }
        let walk = self.walk(filter, hint)?;
        let (mut before, mut count, mut looked_at) = (i64::MAX, 0, 0);
        loop {
            let wanted = usize::try_from(COUNTED_MAX + 1 - count).unwrap_or(usize::MAX);
            let rows = if walk.is_sure() { wanted } else { wanted.min(LIST_BATCH_MIN) };
            let batch = self.batch(&walk, before, rows)?;
            let is_last = batch.len() < rows;
            for Candidate { no, table, is_sure } in batch {
                let is_meant =
                    is_sure || self.summary(no, table)?.is_some_and(|summary| filter.matches(&summary));
                if is_meant && count == COUNTED_MAX {
                    return Ok(Count { count, exact: false });
                }
                count += u64::from(is_meant);
                looked_at += usize::from(!is_sure);
                before = no;
            }
            if is_last || looked_at >= LIST_LOOKED_AT_MAX {
                return Ok(Count { count, exact: is_last });
            }
        }
    }

    /// How a filter is answered.
    fn walk(&self, filter: &Filter, hint: Option<&Hint>) -> Result<Walk, ReadError> {
        let Filter { mode, definition, version, standings, tag, key, parent, since: _, until: _ } = filter;
        let is_any_group =
            mode.is_none() && definition.is_none() && version.is_none() && *standings == Standings::ALL;
        let mut is_source_sure = is_any_group;
        let source = if let Some(key) = key {
            is_source_sure = false;
            Source::Numbers(self.numbers_of_key(key, hint)?)
        } else if let Some(parent) = parent {
            is_source_sure &= tag.is_none();
            Source::Label { sql: CHILDREN, label: parent.to_bytes().to_vec() }
        } else if let Some((key, value)) = tag {
            let groups = if is_any_group { Vec::new() } else { self.groups(filter)? };
            let standing: u64 = groups.iter().map(|group| group.count).sum();
            if is_any_group || standing > TAGGED_OR_STANDING_MAX {
                Source::Label { sql: TAGGED, label: labels::tag(key, value) }
            } else {
                Source::Groups(groups)
            }
        } else if is_any_group {
            Source::All
        } else {
            is_source_sure = true;
            Source::Groups(self.groups(filter)?)
        };
        Ok(Walk { source, is_source_sure, stretches: self.stretches(filter)? })
    }

    fn numbers_of_key(&self, key: &str, hint: Option<&Hint>) -> Result<Vec<i64>, ReadError> {
        let live =
            self.first("SELECT no FROM live WHERE key = ?1", [key], |row| Ok(row.get::<_, i64>(0)?))?;
        let mut numbers = hint.map_or(Ok(Vec::new()), |hint| self.numbers(hint))?;
        numbers.extend(live);
        numbers.sort_unstable_by_key(|no| Reverse(*no));
        numbers.dedup();
        Ok(numbers)
    }

    /// The numbers among which those are that started in the filter's time.
    fn stretches(&self, filter: &Filter) -> Result<Vec<Stretch>, ReadError> {
        if filter.since.is_none() && filter.until.is_none() {
            return Ok(vec![Stretch { from: i64::MIN, to: i64::MAX, is_whole: true }]);
        }
        let blocks = self.all(
            "SELECT block, first_at >= ?1 AND (?2 IS NULL OR last_at < ?2) FROM span
             WHERE last_at >= ?1 AND (?2 IS NULL OR first_at < ?2) ORDER BY block DESC",
            params![filter.since.map_or(0, time_code), filter.until.map(time_code)],
            |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)),
        )?;
        let mut stretches: Vec<Stretch> = Vec::new();
        for (block, is_whole) in blocks {
            let (from, to) = (block * BLOCK, block * BLOCK + (BLOCK - 1));
            match stretches.last_mut() {
                Some(last) if last.from == to + 1 && last.is_whole == is_whole => last.from = from,
                Some(_) | None => stretches.push(Stretch { from, to, is_whole }),
            }
        }
        Ok(stretches)
    }

    /// The next candidates below a number, the highest first; fewer than `rows` only if there are no more.
    fn batch(&self, walk: &Walk, before: i64, rows: usize) -> Result<Vec<Candidate>, ReadError> {
        let mut batch = Vec::new();
        for stretch in walk.stretches.iter().filter(|stretch| stretch.from < before) {
            if batch.len() >= rows {
                break;
            }
            let is_sure = walk.is_source_sure && stretch.is_whole;
            let last = stretch.to.min(before - 1);
            let mut found = self.numbers_between(walk, stretch.from, last, rows - batch.len())?;
            found.sort_unstable_by_key(|(no, _)| Reverse(*no));
            found.truncate(rows - batch.len());
            batch.extend(found.into_iter().map(|(no, table)| Candidate { no, table, is_sure }));
        }
        Ok(batch)
    }

    /// Numbers of the source, the highest of each of its parts; in no order.
    fn numbers_between(
        &self,
        walk: &Walk,
        from: i64,
        to: i64,
        rows: usize,
    ) -> Result<Vec<(i64, Option<Table>)>, ReadError> {
        let mut found = Vec::new();
        let mut find = |sql: &str, more: &[Value], table| -> Result<(), ReadError> {
            let limits = [Value::from(from), Value::from(to), Value::from(row_limit(rows))];
            let parameters = params_from_iter(limits.iter().chain(more));
            found.extend(self.all(sql, parameters, |row| Ok((row.get(0)?, table)))?);
            Ok(())
        };
        match &walk.source {
            Source::All => {
                find(ALL_LIVE, &[], Some(Table::Live))?;
                find(ALL_ENDED, &[], Some(Table::Ended))?;
            }
            Source::Groups(groups) => {
                for group in groups {
                    let (table, sql) = match group.standing {
                        StandingKind::Active(_) | StandingKind::Asleep(_) | StandingKind::Parked => {
                            (Table::Live, LIVE_OF_A_GROUP)
                        }
                        StandingKind::Ended(_) => (Table::Ended, ENDED_OF_A_GROUP),
                    };
                    let group = [group.definition, standing_code(group.standing)].map(Value::from);
                    find(sql, &group, Some(table))?;
                }
            }
            Source::Label { sql, label } => find(sql, &[Value::from(label.clone())], None)?,
            Source::Numbers(numbers) => {
                let meant = numbers.iter().filter(|no| (from..=to).contains(no)).take(rows);
                found.extend(meant.map(|no| (*no, None)));
            }
        }
        Ok(found)
    }

    /// `None`: a number that may lead nowhere does.
    fn summary(&self, no: i64, table: Option<Table>) -> Result<Option<Summary>, ReadError> {
        let found = match table {
            Some(table) => self.summary_in(no, table)?,
            None => match self.summary_in(no, Table::Ended)? {
                Some(ended) => Some(ended),
                None => self.summary_in(no, Table::Live)?,
            },
        };
        if found.is_none() && table.is_some() {
            let what = format!("transaction number {no} is in an index, but not in its table");
            return Err(Nonsense(what).into());
        }
        Ok(found)
    }

    fn summary_in(&self, no: i64, table: Table) -> Result<Option<Summary>, ReadError> {
        let sql = match table {
            Table::Live => {
                "SELECT id, definition, standing, started_at, wake_at, NULL, key, tags, parent, NULL
                 FROM live WHERE no = ?1"
            }
            Table::Ended => {
                "SELECT id, definition, standing, started_at, NULL, ended_at, key, tags, parent, erased_at
                 FROM ended WHERE no = ?1"
            }
        };
        self.first(sql, [no], |row| {
            let Runs { mode, definition, version } = self.definition(row.get(1)?)?;
            let ended_at: Option<i64> = row.get(5)?;
            Ok(Summary {
                id: schema::id_of(row.get_ref(0)?.as_blob()?)?,
                mode,
                definition,
                version,
                standing: standing_of(row.get(2)?, row.get(4)?)?,
                started_at: time_of(row.get(3)?)?,
                ended_at: ended_at.map(time_of).transpose()?,
                key: row.get(6)?,
                tags: labels::decode(row.get_ref(7)?.as_blob_or_null()?)?,
                parent: row.get_ref(8)?.as_blob_or_null()?.map(schema::id_of).transpose()?,
                erased_at: row.get::<_, Option<i64>>(9)?.map(time_of).transpose()?,
            })
        })
    }

    /// The groups that match, without those of nothing.
    fn groups(&self, filter: &Filter) -> Result<Vec<Group>, ReadError> {
        let all = self.all(
            "SELECT definition, standing, transactions FROM tally WHERE transactions <> 0",
            [],
            |row| {
                let standing = standing_kind_of(row.get(1)?)?;
                Ok(Group { definition: row.get(0)?, standing, count: schema::count_of(row.get(2)?)? })
            },
        )?;
        let mut groups = Vec::new();
        for group in all {
            let Runs { mode, definition, version } = self.definition(group.definition)?;
            if filter.matches_group(mode, &definition, version, group.standing) {
                groups.push(group);
            }
        }
        Ok(groups)
    }
}

impl Walk {
    /// Whether every candidate matches for certain.
    fn is_sure(&self) -> bool {
        self.is_source_sure && self.stretches.iter().all(|stretch| stretch.is_whole)
    }
}

// From, to and how many, and then what is the source's own.
const ALL_LIVE: &str = "SELECT no FROM live WHERE no BETWEEN ?1 AND ?2 ORDER BY no DESC LIMIT ?3";
const ALL_ENDED: &str = "SELECT no FROM ended WHERE no BETWEEN ?1 AND ?2 ORDER BY no DESC LIMIT ?3";
const LIVE_OF_A_GROUP: &str = "SELECT no FROM live
    WHERE definition = ?4 AND standing = ?5 AND no BETWEEN ?1 AND ?2 ORDER BY no DESC LIMIT ?3";
const ENDED_OF_A_GROUP: &str = "SELECT no FROM ended
    WHERE definition = ?4 AND standing = ?5 AND no BETWEEN ?1 AND ?2 ORDER BY no DESC LIMIT ?3";
const TAGGED: &str =
    "SELECT no FROM tagged WHERE tag = ?4 AND no BETWEEN ?1 AND ?2 ORDER BY no DESC LIMIT ?3";
const CHILDREN: &str =
    "SELECT no FROM child WHERE parent = ?4 AND no BETWEEN ?1 AND ?2 ORDER BY no DESC LIMIT ?3";

/// `from`: the last number that was looked at, if there may be more below.
fn page(items: Vec<Summary>, from: Option<i64>) -> Result<Page<Summary>, ReadError> {
    Ok(Page { items, next: from.map(cursor_at).transpose()? })
}
