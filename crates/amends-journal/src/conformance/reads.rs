//! Claims about lists, counts, recovery and timers.

use super::*;

suite![
    a_list_shows_the_newest_first,
    a_list_shows_live_and_ended_transactions_in_one_order,
    a_list_is_filtered_by_status_and_definition,
    a_summary_says_what_the_transaction_is,
    a_cursor_stays_good_while_transactions_start_and_end,
    the_last_page_says_that_it_is_the_last,
    a_limit_of_zero_still_gets_on,
    counts_are_exact,
    recovery_finds_what_owes_something,
    a_recovered_transaction_comes_with_its_records,
    recovery_is_asked_by_partition,
    due_timers_come_earliest_first,
    timers_are_walked_from_any_place_on,
    a_timer_goes_when_its_transaction_wakes_or_ends,
    a_timer_is_set_anew_by_each_append,
    a_sleep_without_end_is_no_timer,
    a_transaction_is_loaded_with_its_timer,
    timers_are_asked_by_partition,
    counts_and_lists_tell_those_asleep_apart,
    the_newest_time_of_all_records_is_known,
    a_list_is_filtered_by_version,
    a_transaction_is_found_by_each_of_its_tags,
    a_transaction_is_found_by_its_key,
    children_are_found_by_their_parent,
    a_list_is_of_a_stretch_of_time,
    clocks_that_were_set_back_hide_nothing,
    filters_hold_all_together,
];

fn a_list_shows_the_newest_first(journal: &dyn Journal) {
    // Not by id: callers choose those.
    for number in [5, 1, 9, 3] {
        start(journal, number);
    }
    for limit in 1..6 {
        assert_eq!(listed(journal, &Filter::default(), limit), [id(3), id(9), id(1), id(5)]);
    }
}

fn a_list_shows_live_and_ended_transactions_in_one_order(journal: &dyn Journal) {
    for number in 1..=7 {
        start(journal, number);
    }
    for number in [2, 3, 6] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    let all: Vec<TransactionId> = (1..=7).rev().map(id).collect();
    for limit in 1..9 {
        assert_eq!(listed(journal, &Filter::default(), limit), all);
    }
}

fn a_list_is_filtered_by_status_and_definition(journal: &dyn Journal) {
    for (number, name, version) in
        [(1, "A", 1), (2, "A", 2), (3, "B", 1), (4, "A", 1), (5, "B", 1), (6, "A", 2)]
    {
        commit(journal, start_of(id(number), plain(name, version)));
    }
    for number in [1, 2, 3] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    commit(journal, next_of(id(6), 1).becoming(PARKED));
    for limit in 1..4 {
        let list = |standing, definition| listed(journal, &filter(standing, definition), limit);
        assert_eq!(list(None, Some("A")), [id(6), id(4), id(2), id(1)]);
        assert_eq!(list(Some(COMPLETED), None), [id(3), id(2), id(1)]);
        assert_eq!(list(Some(COMPLETED), Some("A")), [id(2), id(1)]);
        assert_eq!(list(Some(FORWARD), Some("B")), [id(5)]);
        assert_eq!(list(Some(PARKED), None), [id(6)]);
        assert_eq!(list(Some(ABANDONED), None), []);
        assert_eq!(list(None, Some("C")), []);
    }
}

fn a_summary_says_what_the_transaction_is(journal: &dyn Journal) {
    commit(journal, start_of(id(1), plain("PlaceOrder", 4)).at(at(100)));
    let only = || journal.list(&Filter::default(), None, 10).expect(READABLE).items.remove(0);
    let summary = only();
    assert_eq!((summary.id, summary.definition.as_str(), summary.version), (id(1), "PlaceOrder", 4));
    assert_eq!((summary.standing, summary.started_at, summary.ended_at), (FORWARD, at(100), None));
    commit(journal, next_of(id(1), 1).becoming(COMPENSATED).at(at(170)));
    let summary = only();
    assert_eq!(
        (summary.standing, summary.started_at, summary.ended_at),
        (COMPENSATED, at(100), Some(at(170)))
    );
}

fn a_cursor_stays_good_while_transactions_start_and_end(journal: &dyn Journal) {
    for number in 1..=6 {
        start(journal, number);
    }
    let first = journal.list(&Filter::default(), None, 2).expect(READABLE);
    for number in [2, 4, 6] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    start(journal, 7);
    let second = journal.list(&Filter::default(), first.next, 10).expect(READABLE);
    let ids: Vec<TransactionId> =
        first.items.iter().chain(&second.items).map(|transaction| transaction.id).collect();
    assert_eq!(ids, [id(6), id(5), id(4), id(3), id(2), id(1)]);
    assert_eq!(second.next, None);
}

fn the_last_page_says_that_it_is_the_last(journal: &dyn Journal) {
    for number in 1..=4 {
        start(journal, number);
    }
    let all = journal.list(&Filter::default(), None, 4).expect(READABLE);
    assert_eq!((all.items.len(), all.next), (4, None));
    let beyond = journal.list(&Filter::default(), Some(Cursor(0)), 4).expect(READABLE);
    assert_eq!((beyond.items, beyond.next), (Vec::new(), None));
    let beyond = journal.recoverable(&Partitions::ALL, Some(Cursor(u64::MAX - 1)), 4).expect(READABLE);
    assert_eq!((beyond.items, beyond.next), (Vec::new(), None));
}

fn a_limit_of_zero_still_gets_on(journal: &dyn Journal) {
    for number in 1..=3 {
        start(journal, number);
    }
    assert_eq!(journal.list(&Filter::default(), None, 0).expect(READABLE).items.len(), 1);
    assert_eq!(journal.recoverable(&Partitions::ALL, None, 0).expect(READABLE).items.len(), 1);
}

fn counts_are_exact(journal: &dyn Journal) {
    for number in 1..=9 {
        let (name, version) = if number % 3 == 0 { ("B", 1) } else { ("A", u32::from(number % 2)) };
        commit(journal, start_of(id(number), plain(name, version)));
    }
    for number in 1..=4 {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    commit(journal, next_of(id(5), 1).becoming(BACK));
    assert_eq!(count(journal, None, None), 9);
    assert_eq!(count(journal, Some(COMPLETED), None), 4);
    assert_eq!(count(journal, Some(FORWARD), None), 4);
    assert_eq!(count(journal, Some(BACK), None), 1);
    assert_eq!(count(journal, None, Some("A")), 6);
    assert_eq!(count(journal, Some(COMPLETED), Some("B")), 1);
    assert_eq!(count(journal, None, Some("C")), 0);
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 100).expect(WRITABLE);
    assert_eq!(count(journal, None, None), 5);
    assert_eq!(count(journal, Some(COMPLETED), None), 0);
}

fn recovery_finds_what_owes_something(journal: &dyn Journal) {
    for number in [8, 7, 6, 5, 4, 3, 2, 1] {
        start(journal, number);
    }
    commit(journal, next_of(id(7), 1).becoming(PARKED));
    commit(journal, next_of(id(6), 1).asleep_until(at(99)));
    commit(journal, next_of(id(5), 1).becoming(COMPLETED));
    commit(journal, next_of(id(4), 1).becoming(BACK));
    commit(journal, next_of(id(3), 1).asleep_until(at(99)));
    commit(journal, next_of(id(3), 2));
    commit(journal, next_of(id(2), 1).asleep_until(Time::NEVER));
    for limit in 1..6 {
        assert_eq!(recoverable(journal, limit), [id(1), id(3), id(4), id(8)]);
    }
}

fn a_recovered_transaction_comes_with_its_records(journal: &dyn Journal) {
    start(journal, 1);
    start(journal, 2);
    commit(journal, next_of(id(1), 1));
    let mut page = journal.recoverable(&Partitions::ALL, None, 10).expect(READABLE);
    page.items.sort_by_key(|stored| stored.id);
    assert_eq!(page.items, [loaded(journal, id(1)), loaded(journal, id(2))]);
    assert_eq!(page.items[0].records, [payload(id(1), 1), payload(id(1), 2)]);
}

fn recovery_is_asked_by_partition(journal: &dyn Journal) {
    for number in 1..=9 {
        start(journal, number);
    }
    let (mut ours, mut theirs) = (Partitions::ALL, Partitions::NONE);
    for number in [2, 3, 7] {
        ours.remove(Partition::of(id(number)));
        theirs.insert(Partition::of(id(number)));
    }
    for limit in 1..10 {
        let found = |partitions| {
            let (mut ids, mut cursor) = (BTreeSet::new(), None);
            loop {
                let page = journal.recoverable(partitions, cursor, limit).expect(READABLE);
                assert!(page.items.len() <= limit, "a page keeps to its limit");
                ids.extend(page.items.iter().map(|transaction| transaction.id));
                cursor = page.next;
                if cursor.is_none() {
                    return ids.into_iter().collect::<Vec<_>>();
                }
            }
        };
        assert_eq!(found(&theirs), [2, 3, 7].map(id));
        assert_eq!(found(&ours), [1, 4, 5, 6, 8, 9].map(id));
        assert_eq!(found(&Partitions::NONE), []);
    }
}

fn due_timers_come_earliest_first(journal: &dyn Journal) {
    assert_eq!(next_timer(journal), None);
    for (number, time) in [(1, 30), (2, 10), (3, 20), (4, 20), (5, 40)] {
        commit(journal, start_of(id(number), plain("Test", 1)).asleep_until(at(time)));
    }
    start(journal, 6);
    let due = |until, limit| due(journal, at(until), limit);
    assert_eq!(due(9, 10), []);
    assert_eq!(due(10, 10), [(at(10), id(2))]);
    assert_eq!(due(30, 10), [(at(10), id(2)), (at(20), id(3)), (at(20), id(4)), (at(30), id(1))]);
    assert_eq!(due(30, 2), [(at(10), id(2)), (at(20), id(3))]);
    assert_eq!(next_timer(journal), Some(at(10)));
}

fn timers_are_walked_from_any_place_on(journal: &dyn Journal) {
    for (number, time) in [(1, 30), (2, 10), (3, 20), (4, 20), (5, 20), (6, 40)] {
        commit(journal, start_of(id(number), plain("Test", 1)).asleep_until(at(time)));
    }
    for limit in 1..=7 {
        let (mut found, mut after) = (Vec::new(), Timer::before(Time::default()));
        loop {
            let page = journal.timers_due(&Partitions::ALL, after, at(35), limit).expect(READABLE);
            assert!(page.len() <= limit && page.iter().all(|(timer, _)| *timer > after), "{page:?}");
            let Some((last, _)) = page.last() else { break };
            after = *last;
            found.extend(page.into_iter().map(|(_, transaction)| transaction));
        }
        assert_eq!(found, [id(2), id(3), id(4), id(5), id(1)], "{limit} at a time");
    }
    let from = |time| {
        journal.timers_due(&Partitions::ALL, Timer::before(at(time)), at(100), 1).expect(READABLE)[0].1
    };
    assert_eq!([from(20), from(21), from(40)], [id(3), id(1), id(6)]);
}

fn a_timer_goes_when_its_transaction_wakes_or_ends(journal: &dyn Journal) {
    for (number, time) in [(1, 10), (2, 20), (3, 30)] {
        commit(journal, start_of(id(number), plain("Test", 1)).asleep_until(at(time)));
    }
    commit(journal, next_of(id(1), 1));
    commit(journal, next_of(id(2), 1).becoming(COMPLETED));
    assert_eq!(due(journal, at(1_000), 10), [(at(30), id(3))]);
    assert_eq!(next_timer(journal), Some(at(30)));
}

fn a_timer_is_set_anew_by_each_append(journal: &dyn Journal) {
    let transaction = start(journal, 1);
    commit(journal, next_of(transaction, 1).asleep_until(at(50)));
    commit(journal, next_of(transaction, 2).asleep_until(at(20)));
    assert_eq!(due(journal, at(1_000), 10), [(at(20), transaction)]);
    commit(journal, next_of(transaction, 3));
    commit(journal, next_of(transaction, 4).becoming(COMPLETED));
    assert_eq!(
        loaded(journal, transaction).records.len(),
        5,
        "a transaction that slept keeps its records when it ends"
    );
    assert_eq!(due(journal, at(1_000), 10), []);
}

fn a_sleep_without_end_is_no_timer(journal: &dyn Journal) {
    commit(journal, start_of(id(1), plain("Test", 1)).asleep_until(Time::NEVER));
    assert_eq!(next_timer(journal), None);
    assert_eq!(due(journal, Time::NEVER, 10), []);
}

fn a_transaction_is_loaded_with_its_timer(journal: &dyn Journal) {
    let until = || loaded(journal, id(1)).standing.until();
    commit(journal, start_of(id(1), plain("Test", 1)).asleep_until(at(10)));
    assert_eq!(until(), Some(at(10)));
    commit(journal, next_of(id(1), 1).asleep_until(Time::NEVER));
    assert_eq!(until(), Some(Time::NEVER));
    // As the database has it: a count waits until that has what the log has.
    journal.count(&Filter::default()).expect(READABLE);
    assert_eq!(until(), Some(Time::NEVER));
    commit(journal, next_of(id(1), 2));
    assert_eq!(until(), None);
}

fn timers_are_asked_by_partition(journal: &dyn Journal) {
    for (number, time) in [(1, 30), (2, 10), (3, 20), (4, 20), (5, 40)] {
        commit(journal, start_of(id(number), plain("Test", 1)).asleep_until(at(time)));
    }
    let only: Partitions = [3, 5].map(|number| Partition::of(id(number))).into_iter().collect();
    let due = |limit| {
        let due = journal.timers_due(&only, Timer::before(Time::default()), at(100), limit).expect(READABLE);
        due.into_iter().map(|(_, transaction)| transaction).collect::<Vec<_>>()
    };
    assert_eq!(due(10), [id(3), id(5)]);
    assert_eq!(due(1), [id(3)]);
}

fn counts_and_lists_tell_those_asleep_apart(journal: &dyn Journal) {
    start(journal, 1);
    commit(journal, start_of(id(2), plain("Test", 1)).asleep_until(at(50)));
    commit(journal, start_of(id(3), plain("Other", 1)).asleep_until(Time::NEVER));
    let asleep = Some(Standing::Asleep { way: Way::Forward, until: at(1) });
    assert_eq!((count(journal, asleep, None), count(journal, asleep, Some("Test"))), (2, 1));
    assert_eq!(count(journal, Some(FORWARD), None), 1);
    let forward = Filter { mode: Some(Mode::Saga), standings: Standings::FORWARD, ..Filter::default() };
    assert_eq!(exactly(journal, &forward), 3);
    for limit in 1..5 {
        assert_eq!(listed(journal, &forward, limit), [id(3), id(2), id(1)]);
        assert_eq!(listed(journal, &filter(asleep, None), limit), [id(3), id(2)]);
    }
    let none = Filter { standings: Standings::NONE, ..Filter::default() };
    assert_eq!((exactly(journal, &none), listed(journal, &none, 5)), (0, vec![]));
}

fn the_newest_time_of_all_records_is_known(journal: &dyn Journal) {
    assert_eq!(journal.newest_at().expect(READABLE), None);
    commit(journal, start_of(id(1), plain("Test", 1)).at(at(70)));
    assert_eq!(journal.newest_at().expect(READABLE), Some(at(70)));
    // A clock that was set back changes nothing, and a conflict neither.
    commit(journal, next_of(id(1), 1).becoming(COMPLETED).at(at(60)));
    conflict_of(journal, next_of(id(1), 1).at(at(90)));
    assert_eq!(journal.newest_at().expect(READABLE), Some(at(70)));
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 10).expect(WRITABLE);
    assert_eq!(journal.newest_at().expect(READABLE), Some(at(70)), "of a record that was removed too");
}

/// A transaction of these tags.
fn tagged(number: u8, tags: &[(&str, &str)], parent: Option<u8>) -> Append {
    let tags = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    start_of(id(number), NewTransaction { tags, parent: parent.map(id), ..plain("Test", 1) })
}

fn tag(key: &str, value: &str) -> Filter {
    Filter { tag: Some((key.to_owned(), value.to_owned())), ..Filter::default() }
}

/// A list in pages of every size, and the count, say the same.
fn found(journal: &dyn Journal, filter: &Filter) -> Vec<TransactionId> {
    let found = listed(journal, filter, 100);
    for limit in 1..4 {
        assert_eq!(listed(journal, filter, limit), found, "{limit} at a time");
    }
    assert_eq!(exactly(journal, filter), found.len() as u64);
    found
}

fn a_list_is_filtered_by_version(journal: &dyn Journal) {
    for (number, name, version) in [(1, "A", 1), (2, "A", 2), (3, "B", 2), (4, "A", 2)] {
        commit(journal, start_of(id(number), plain(name, version)));
    }
    commit(journal, next_of(id(2), 1).becoming(COMPLETED));
    let of = |definition: Option<&str>, version| Filter { version, ..filter(None, definition) };
    assert_eq!(found(journal, &of(Some("A"), Some(2))), [4, 2].map(id));
    assert_eq!(found(journal, &of(None, Some(2))), [4, 3, 2].map(id));
    assert_eq!(found(journal, &of(Some("A"), Some(3))), []);
    let live = Filter { standings: Standings::LIVE, ..of(Some("A"), Some(2)) };
    assert_eq!(found(journal, &live), [id(4)]);
}

fn a_transaction_is_found_by_each_of_its_tags(journal: &dyn Journal) {
    commit(journal, tagged(1, &[("team", "red"), ("order", "7")], None));
    commit(journal, tagged(2, &[("team", "red")], None));
    commit(journal, tagged(3, &[("team", "blue"), ("red", "team")], None));
    start(journal, 4);
    let check = |journal: &dyn Journal| {
        assert_eq!(found(journal, &tag("team", "red")), [2, 1].map(id));
        assert_eq!(found(journal, &tag("order", "7")), [id(1)]);
        assert_eq!(found(journal, &tag("red", "team")), [id(3)]);
        for (key, value) in [("team", "re"), ("team", "redd"), ("tea", "mred"), ("order", ""), ("", "")] {
            assert_eq!(found(journal, &tag(key, value)), []);
        }
        let page = journal.list(&tag("order", "7"), None, 1).expect(READABLE);
        let tags: Vec<_> =
            page.items[0].tags.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        assert_eq!(tags, [("order", "7"), ("team", "red")]);
    };
    check(journal);
    for number in [1, 3] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED));
    }
    check(journal);
    // Back to life, and ended again.
    commit(journal, next_of(id(1), 2).becoming(BACK));
    check(journal);
    commit(journal, next_of(id(1), 3).becoming(COMPENSATED));
    check(journal);
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 100).expect(WRITABLE);
    assert_eq!(found(journal, &tag("team", "red")), [id(2)]);
    assert_eq!(found(journal, &tag("order", "7")), []);
}

fn a_transaction_is_found_by_its_key(journal: &dyn Journal) {
    let key = |key: &str| Filter { key: Some(key.to_owned()), ..Filter::default() };
    commit(journal, start_of(id(1), chosen(Some("a"), 1)));
    commit(journal, start_of(id(2), chosen(Some("b"), 2)));
    start(journal, 3);
    for ended in [false, true] {
        if ended {
            commit(journal, next_of(id(1), 1).becoming(COMPLETED));
        }
        assert_eq!(found(journal, &key("a")), [id(1)]);
        assert_eq!(found(journal, &key("b")), [id(2)]);
        assert_eq!(found(journal, &key("c")), []);
        let page = journal.list(&key("a"), None, 1).expect(READABLE);
        assert_eq!(page.items[0].key.as_deref(), Some("a"));
    }
    let parked = Filter { standings: Standings::NONE.with(PARKED.kind()), ..key("a") };
    assert_eq!(found(journal, &parked), []);
    journal.remove_ended(&Partitions::ALL, Time::NEVER, at(1_000), None, 100).expect(WRITABLE);
    assert_eq!(found(journal, &key("a")), []);
}

fn children_are_found_by_their_parent(journal: &dyn Journal) {
    let parent = |number| Filter { parent: Some(id(number)), ..Filter::default() };
    for (number, parent) in [(1, None), (2, Some(1)), (3, Some(1)), (4, Some(3)), (5, None)] {
        commit(journal, tagged(number, &[], parent));
    }
    for ended in [false, true] {
        if ended {
            commit(journal, next_of(id(2), 1).becoming(COMPLETED));
        }
        assert_eq!(found(journal, &parent(1)), [3, 2].map(id));
        assert_eq!(found(journal, &parent(3)), [id(4)]);
        assert_eq!(found(journal, &parent(2)), []);
        let page = journal.list(&parent(3), None, 1).expect(READABLE);
        assert_eq!(page.items[0].parent, Some(id(3)));
    }
}

fn between(since: Option<u64>, until: Option<u64>) -> Filter {
    Filter { since: since.map(at), until: until.map(at), ..Filter::default() }
}

fn a_list_is_of_a_stretch_of_time(journal: &dyn Journal) {
    for number in 1..=9 {
        commit(journal, start_of(id(number), plain("Test", 1)).at(at(u64::from(number) * 10)));
    }
    for number in [2, 4, 6] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED).at(at(1_000)));
    }
    assert_eq!(found(journal, &between(Some(40), Some(70))), [6, 5, 4].map(id));
    assert_eq!(found(journal, &between(Some(81), None)), [id(9)]);
    assert_eq!(found(journal, &between(None, Some(30))), [2, 1].map(id));
    assert_eq!(found(journal, &between(Some(91), None)), []);
    assert_eq!(found(journal, &between(Some(70), Some(40))), []);
    let completed = Filter { standings: Standings::NONE.with(COMPLETED.kind()), ..between(Some(40), None) };
    assert_eq!(found(journal, &completed), [6, 4].map(id));
}

fn clocks_that_were_set_back_hide_nothing(journal: &dyn Journal) {
    for (number, time) in [(1, 50), (2, 90), (3, 20), (4, 60), (5, 10), (6, 90)] {
        commit(journal, start_of(id(number), plain("Test", 1)).at(at(time)));
    }
    assert_eq!(found(journal, &between(Some(50), Some(90))), [4, 1].map(id));
    assert_eq!(found(journal, &between(None, Some(21))), [5, 3].map(id));
    assert_eq!(found(journal, &between(Some(90), None)), [6, 2].map(id));
}

fn filters_hold_all_together(journal: &dyn Journal) {
    for number in 1..=8 {
        let colour = if number % 2 == 0 { "red" } else { "blue" };
        let start = tagged(number, &[("team", colour)], Some(100 + number % 3));
        commit(journal, start.at(at(u64::from(number) * 10)));
    }
    for number in [2, 4, 5] {
        commit(journal, next_of(id(number), 1).becoming(COMPLETED).at(at(1_000)));
    }
    let completed = Standings::NONE.with(COMPLETED.kind());
    assert_eq!(found(journal, &Filter { standings: completed, ..tag("team", "red") }), [4, 2].map(id));
    let red = Filter { since: Some(at(30)), until: Some(at(80)), ..tag("team", "red") };
    assert_eq!(found(journal, &red), [6, 4].map(id));
    assert_eq!(found(journal, &Filter { parent: Some(id(101)), ..red.clone() }), [id(4)]);
    assert_eq!(found(journal, &Filter { version: Some(2), ..red.clone() }), []);
    assert_eq!(found(journal, &Filter { standings: Standings::BACK, ..red.clone() }), []);
    assert_eq!(found(journal, &Filter { key: Some("none".to_owned()), ..red }), []);
}
