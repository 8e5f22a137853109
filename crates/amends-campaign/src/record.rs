//! What the clients know: every key they used and every answer they got.
//!
//! Owns the memory of a campaign and the rule that an acknowledged answer never changes.
//! Promises to keep the first final answer of a key byte for byte, in little more memory than its bytes.
//! Does not post anything: it says what a client may do next and takes in what came of it.

use std::time::Duration;

use super::answer::{Answer, End, Received, Reply, SagaId};
use super::order::{Fate, Order, OrderKey};
use super::random::Random;
use super::violation::{Kind, Violation};

/// All keys of a campaign.
#[derive(Debug)]
pub(crate) struct Record {
    clients: Vec<Client>,
    tally: Tally,
}

/// What has been counted on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    /// Orders whose end is known: confirmed.
    pub(crate) completed: u64,
    /// Orders whose end is known: taken back.
    pub(crate) compensated: u64,
    /// Orders that were accepted without waiting.
    pub(crate) accepted: u64,
    /// Answers that were asked for again and compared.
    pub(crate) repeats: u64,
    /// Answers that said to come again later.
    pub(crate) busy: u64,
}

/// What a client does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Posts a new order.
    PostNew(OrderKey),
    /// Posts one again whose end it does not know.
    PostAgain(OrderKey),
    /// Posts one again that another client is posting right now.
    Join(OrderKey),
    /// Posts one again that has long been answered.
    Repeat(OrderKey),
    /// Posts another body under a key that is taken.
    ReuseKey(OrderKey),
}

/// What an answer meant for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Learnt {
    End,
    StillOpen,
    /// Nothing; come again after that time.
    ComeAgain(Duration),
}

/// What is known of a key when all is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) key: OrderKey,
    /// Its saga, once one was named.
    pub(crate) saga: Option<SagaId>,
    pub(crate) end: ClaimedEnd,
}

/// How an order ended, as far as its client knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ClaimedEnd {
    Known(End),
    Parked,
    Unknown,
}

impl Record {
    pub(crate) fn new(clients: u16) -> Record {
        let clients = (0..clients).map(|_| Client::default()).collect();
        Record { clients, tally: Tally::default() }
    }

    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// What `client` does next; a new key is entered before it is first used.
    pub(crate) fn next_step(&mut self, client: u16, random: &mut Random) -> Step {
        let open = &self.clients[usize::from(client)].open;
        if !open.is_empty() && random.percent(AGAIN_PERCENT) {
            let sequence = open[index(random, open.len())];
            return Step::PostAgain(OrderKey { client, sequence });
        }
        let wished = match random.below(100) {
            ..REPEAT_BELOW => self.some_key(random, Knowledge::is_final).map(Step::Repeat),
            REPEAT_BELOW..JOIN_BELOW => self.some_key_in_flight(client, random).map(Step::Join),
            JOIN_BELOW..REUSE_BELOW => self.some_key(random, Knowledge::is_acknowledged).map(Step::ReuseKey),
            _ => None,
        };
        wished.unwrap_or_else(|| Step::PostNew(self.enter(client)))
    }

    /// Says that `key` is being posted by its own client, for others to join.
    pub(crate) fn takes_off(&mut self, key: OrderKey) {
        self.clients[usize::from(key.client)].in_flight = Some(key.sequence);
    }

    /// Says that nothing is being posted by `client` any more.
    pub(crate) fn lands(&mut self, client: u16) {
        self.clients[usize::from(client)].in_flight = None;
    }

    /// Takes in an answer to the order's own body.
    pub(crate) fn learn(&mut self, order: &Order, received: &Received) -> Result<Learnt, Violation> {
        let client = &mut self.clients[usize::from(order.key.client)];
        let entry = &mut client.keys[usize::try_from(order.key.sequence).expect("fits, as it is an index")];
        if let Knowledge::Ended(known) = &entry.knowledge
            && *known == received.answer
        {
            self.tally.repeats += 1;
            return Ok(Learnt::End);
        }
        let answer = &received.answer;
        let reply = Reply::read(received).map_err(|why| {
            found(Kind::OutsideContract, order, "an answer of the contract", format!("{why}: {answer}"))
        })?;
        if let Reply::Busy { retry_after } = reply {
            self.tally.busy += 1;
            return Ok(Learnt::ComeAgain(retry_after));
        }
        if entry.knowledge.is_acknowledged() {
            self.tally.repeats += 1;
        }
        let learnt = entry.learn(order, reply, answer, &mut self.tally)?;
        if learnt == Learnt::End {
            client.open.retain(|sequence| *sequence != order.key.sequence);
        }
        Ok(learnt)
    }

    /// The keys whose end is not known.
    pub(crate) fn open_keys(&self) -> Vec<OrderKey> {
        (0u16..)
            .zip(&self.clients)
            .flat_map(|(client, record)| {
                record.open.iter().map(move |sequence| OrderKey { client, sequence: *sequence })
            })
            .collect()
    }

    /// The keys whose end is known.
    pub(crate) fn final_keys(&self) -> Vec<OrderKey> {
        self.keys().filter(|(_, entry)| entry.knowledge.is_final()).map(|(key, _)| key).collect()
    }

    /// The sagas that were accepted without waiting.
    pub(crate) fn accepted_sagas(&self) -> Vec<(OrderKey, SagaId)> {
        let accepted = self.keys().filter(|(_, entry)| entry.accepted);
        accepted.filter_map(|(key, entry)| Some((key, entry.knowledge.saga()?))).collect()
    }

    /// Some of the keys whose end is known.
    pub(crate) fn sample(&self, count: usize, random: &mut Random) -> Vec<OrderKey> {
        (0..count).filter_map(|_| self.some_key(random, Knowledge::is_final)).collect()
    }

    /// Everything that is known, key by key.
    pub(crate) fn claims(&self) -> impl Iterator<Item = Claim> {
        self.keys().map(|(key, entry)| {
            let (saga, end) = match &entry.knowledge {
                Knowledge::Nothing => (None, ClaimedEnd::Unknown),
                Knowledge::Accepted(saga) => (Some(saga.clone()), ClaimedEnd::Unknown),
                Knowledge::Parked(saga) => (Some(saga.clone()), ClaimedEnd::Parked),
                Knowledge::Ended(answer) => {
                    let (saga, end) = ended(answer);
                    (Some(saga), ClaimedEnd::Known(end))
                }
            };
            Claim { key, saga, end }
        })
    }

    fn keys(&self) -> impl Iterator<Item = (OrderKey, &Entry)> {
        (0u16..).zip(&self.clients).flat_map(|(client, record)| {
            (0u32..).zip(&record.keys).map(move |(sequence, entry)| (OrderKey { client, sequence }, entry))
        })
    }

    fn enter(&mut self, client: u16) -> OrderKey {
        let record = &mut self.clients[usize::from(client)];
        let sequence = u32::try_from(record.keys.len()).expect("a client posts fewer than 2^32 orders");
        record.keys.push(Entry { knowledge: Knowledge::Nothing, accepted: false });
        record.open.push(sequence);
        OrderKey { client, sequence }
    }

    /// A key of any client, if the one that was drawn is of that kind.
    fn some_key(&self, random: &mut Random, is_wanted: fn(&Knowledge) -> bool) -> Option<OrderKey> {
        let client = index(random, self.clients.len());
        let keys = &self.clients[client].keys;
        if keys.is_empty() {
            return None;
        }
        let place = index(random, keys.len());
        let key = OrderKey { client: u16::try_from(client).ok()?, sequence: u32::try_from(place).ok()? };
        is_wanted(&keys[place].knowledge).then_some(key)
    }

    fn some_key_in_flight(&self, own: u16, random: &mut Random) -> Option<OrderKey> {
        let client = u16::try_from(index(random, self.clients.len())).ok()?;
        let sequence = self.clients[usize::from(client)].in_flight?;
        (client != own).then_some(OrderKey { client, sequence })
    }
}

/// The keys of one client.
#[derive(Debug, Default)]
struct Client {
    keys: Vec<Entry>,
    /// Those without a known end: few, for a client posts them again.
    open: Vec<u32>,
    in_flight: Option<u32>,
}

#[derive(Debug)]
struct Entry {
    knowledge: Knowledge,
    /// Whether a 202 was ever given for it.
    accepted: bool,
}

/// What is known of a key.
#[derive(Debug)]
enum Knowledge {
    Nothing,
    Accepted(SagaId),
    Parked(SagaId),
    /// The answer holds the saga's id as well, which is read out of it when asked for, to keep an entry
    /// small.
    Ended(Answer),
}

impl Knowledge {
    fn is_acknowledged(&self) -> bool {
        match self {
            Knowledge::Nothing => false,
            Knowledge::Accepted(_) | Knowledge::Parked(_) | Knowledge::Ended(_) => true,
        }
    }

    fn is_final(&self) -> bool {
        match self {
            Knowledge::Nothing | Knowledge::Accepted(_) => false,
            Knowledge::Parked(_) | Knowledge::Ended(_) => true,
        }
    }

    fn saga(&self) -> Option<SagaId> {
        match self {
            Knowledge::Nothing => None,
            Knowledge::Accepted(saga) | Knowledge::Parked(saga) => Some(saga.clone()),
            Knowledge::Ended(answer) => Some(ended(answer).0),
        }
    }
}

impl Entry {
    fn learn(
        &mut self,
        order: &Order,
        reply: Reply,
        answer: &Answer,
        tally: &mut Tally,
    ) -> Result<Learnt, Violation> {
        match reply {
            Reply::Ended { saga, end } => {
                self.check_saga(order, &saga, answer)?;
                self.check_not_ended(order, answer)?;
                check_verdict(order, &end, answer)?;
                match end {
                    End::Completed { .. } => tally.completed += 1,
                    End::Compensated { .. } => tally.compensated += 1,
                }
                self.knowledge = Knowledge::Ended(answer.clone());
            }
            Reply::Parked { saga } => {
                self.check_saga(order, &saga, answer)?;
                self.check_not_ended(order, answer)?;
                self.knowledge = Knowledge::Parked(saga);
            }
            // An answer without waiting says less than the end does, and takes nothing back.
            Reply::Accepted { saga } => {
                self.check_saga(order, &saga, answer)?;
                tally.accepted += u64::from(!self.accepted);
                self.accepted = true;
                self.note(saga);
            }
            Reply::Faulted { saga } => {
                self.check_saga(order, &saga, answer)?;
                self.check_not_ended(order, answer)?;
                self.note(saga);
            }
            Reply::KeyReused | Reply::Invalid => {
                let expected = "its own key and valid body to be taken";
                return Err(found(Kind::WrongVerdict, order, expected, answer.to_string()));
            }
            Reply::Busy { retry_after } => return Ok(Learnt::ComeAgain(retry_after)),
        }
        Ok(if self.knowledge.is_final() { Learnt::End } else { Learnt::StillOpen })
    }

    /// Remembers the saga of a key whose end is not known.
    fn note(&mut self, saga: SagaId) {
        match &self.knowledge {
            Knowledge::Nothing => self.knowledge = Knowledge::Accepted(saga),
            Knowledge::Accepted(_) | Knowledge::Parked(_) | Knowledge::Ended(_) => {}
        }
    }

    fn check_saga(&self, order: &Order, saga: &SagaId, answer: &Answer) -> Result<(), Violation> {
        match self.knowledge.saga() {
            Some(known) if known != *saga => {
                Err(found(Kind::SagaChanged, order, format!("saga {known}"), answer.to_string()))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn check_not_ended(&self, order: &Order, answer: &Answer) -> Result<(), Violation> {
        match &self.knowledge {
            // The very same bytes were let through before they were read.
            Knowledge::Ended(known) => {
                Err(found(Kind::AnswerChanged, order, known.to_string(), answer.to_string()))
            }
            Knowledge::Nothing | Knowledge::Accepted(_) | Knowledge::Parked(_) => Ok(()),
        }
    }
}

/// Whether such an order may end like that.
fn check_verdict(order: &Order, end: &End, answer: &Answer) -> Result<(), Violation> {
    let (failed_step, code) = match end {
        End::Completed { .. } => (None, None),
        End::Compensated { failed_step, code, .. } => (Some(failed_step.as_str()), code.as_deref()),
    };
    // Kill after kill may use up the attempts of a step before its first answer, whatever the order asks for.
    let gave_up = code.is_some_and(|code| GAVE_UP_CODES.contains(&code));
    let expected = match order.fate {
        Fate::Completes => [None].as_slice(),
        Fate::RefusedByPayment => &[Some("ProcessPayment")],
        Fate::DependsOnStock => &[None, Some("ReserveInventory")],
    };
    if gave_up || expected.contains(&failed_step) {
        return Ok(());
    }
    let expected: Vec<&str> = expected.iter().map(|step| step.map_or("completed", |step| step)).collect();
    Err(found(Kind::WrongVerdict, order, expected.join(" or refused by "), answer.to_string()))
}

/// The saga and the end an answer speaks of.
fn ended(answer: &Answer) -> (SagaId, End) {
    let received = Received { answer: answer.clone(), retry_after: None, location: None };
    match Reply::read(&received) {
        Ok(Reply::Ended { saga, end }) => (saga, end),
        other => unreachable!("only final answers are kept as such, and this was read as {other:?}"),
    }
}

fn found(kind: Kind, order: &Order, expected: impl Into<String>, got: impl Into<String>) -> Violation {
    Violation::new(kind, format!("key {} {:?}", order.name, order.fate), expected, got)
}

fn index(random: &mut Random, length: usize) -> usize {
    usize::try_from(random.below(length as u64)).expect("an index below a length")
}

/// Codes of an order that was taken back because the engine gave up, not because a service refused.
const GAVE_UP_CODES: [&str; 2] = ["attempts_exhausted", "timed_out"];
/// How often a client first takes care of an order whose end it does not know.
const AGAIN_PERCENT: u64 = 40;
/// Up to here: repeats of an answered key.
const REPEAT_BELOW: u64 = 12;
/// Up to here: repeats of a key another client is posting.
const JOIN_BELOW: u64 = REPEAT_BELOW + 8;
/// Up to here: another body under a key that is taken.
const REUSE_BELOW: u64 = JOIN_BELOW + 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answer::OrderId;
    use crate::answer::tests::received;

    const COMPLETED: &str = r#"{"saga_id":"s1","order_id":"ord_1","status":"completed"}"#;
    const IN_PROGRESS: &str = r#"{"saga_id":"s1","status":"in_progress"}"#;

    fn compensated(step: &str, code: &str) -> String {
        format!(
            r#"{{"saga_id":"s1","order_id":"ord_1","status":"compensated","failed_step":"{step}","reason":"r","code":"{code}"}}"#
        )
    }

    /// A record with one key whose order has that fate.
    fn record_of(fate: Fate) -> (Record, Order) {
        let mut record = Record::new(1);
        loop {
            let key = record.enter(0);
            let order = Order::of("1".parse().unwrap(), key);
            if order.fate == fate {
                return (record, order);
            }
        }
    }

    fn kind(learnt: Result<Learnt, Violation>) -> Kind {
        learnt.unwrap_err().kind
    }

    #[test]
    fn the_first_final_answer_is_kept_and_its_repeat_compared() {
        let (mut record, order) = record_of(Fate::Completes);
        assert!(record.open_keys().contains(&order.key));
        assert_eq!(record.learn(&order, &received(201, COMPLETED)), Ok(Learnt::End));
        assert!(!record.open_keys().contains(&order.key));
        assert_eq!(record.learn(&order, &received(201, COMPLETED)), Ok(Learnt::End));
        assert_eq!((record.tally().completed, record.tally().repeats), (1, 1));
        let claim = record.claims().find(|claim| claim.key == order.key).unwrap();
        assert_eq!(claim.saga, Some(SagaId("s1".into())));
        assert_eq!(claim.end, ClaimedEnd::Known(End::Completed { order: OrderId("ord_1".into()) }));
    }

    #[test]
    fn an_answer_that_differs_in_one_byte_has_changed() {
        let (mut record, order) = record_of(Fate::Completes);
        record.learn(&order, &received(201, COMPLETED)).unwrap();
        let spaced = COMPLETED.replace(',', ", ");
        assert_eq!(kind(record.learn(&order, &received(201, &spaced))), Kind::AnswerChanged);
        let parked = r#"{"saga_id":"s1","status":"failed"}"#;
        assert_eq!(kind(record.learn(&order, &received(500, parked))), Kind::AnswerChanged);
        let fault = r#"{"saga_id":"s1","status":"in_progress"}"#;
        assert_eq!(kind(record.learn(&order, &received(500, fault))), Kind::AnswerChanged);
    }

    #[test]
    fn a_key_that_names_another_saga_later_has_changed_its_saga() {
        let (mut record, order) = record_of(Fate::Completes);
        record.learn(&order, &received(202, IN_PROGRESS)).unwrap();
        let other = COMPLETED.replace("s1", "s2");
        assert_eq!(kind(record.learn(&order, &received(201, &other))), Kind::SagaChanged);
        record.learn(&order, &received(201, COMPLETED)).unwrap();
        assert_eq!(kind(record.learn(&order, &received(201, &other))), Kind::SagaChanged);
    }

    #[test]
    fn an_accepted_order_stays_open_until_its_end_is_told() {
        let (mut record, order) = record_of(Fate::Completes);
        assert_eq!(record.learn(&order, &received(202, IN_PROGRESS)), Ok(Learnt::StillOpen));
        assert_eq!(record.accepted_sagas(), [(order.key, SagaId("s1".into()))]);
        assert_eq!(record.learn(&order, &received(201, COMPLETED)), Ok(Learnt::End));
        assert_eq!(
            record.learn(&order, &received(202, IN_PROGRESS)),
            Ok(Learnt::End),
            "says less, changes nothing"
        );
        assert_eq!(record.tally().accepted, 1);
    }

    #[test]
    fn a_parked_saga_keeps_its_id() {
        let (mut record, order) = record_of(Fate::Completes);
        let parked = |saga| received(500, &format!(r#"{{"saga_id":"{saga}","status":"failed"}}"#));
        assert_eq!(record.learn(&order, &parked("s1")), Ok(Learnt::End));
        assert_eq!(record.learn(&order, &parked("s1")), Ok(Learnt::End));
        assert_eq!(kind(record.learn(&order, &parked("s2"))), Kind::SagaChanged);
    }

    #[test]
    fn an_order_ends_only_as_its_contents_explain() {
        for (fate, status, body, is_right) in [
            (Fate::Completes, 201, COMPLETED.to_owned(), true),
            (Fate::Completes, 409, compensated("ProcessPayment", "payment_declined"), false),
            (Fate::Completes, 409, compensated("ReserveInventory", "attempts_exhausted"), true),
            (Fate::Completes, 409, compensated("ReserveInventory", "timed_out"), true),
            (Fate::RefusedByPayment, 201, COMPLETED.to_owned(), false),
            (Fate::RefusedByPayment, 409, compensated("ProcessPayment", "payment_declined"), true),
            (Fate::RefusedByPayment, 409, compensated("ReserveInventory", "insufficient_stock"), false),
            (Fate::DependsOnStock, 201, COMPLETED.to_owned(), true),
            (Fate::DependsOnStock, 409, compensated("ReserveInventory", "insufficient_stock"), true),
            (Fate::DependsOnStock, 409, compensated("ScheduleShipment", "refused"), false),
        ] {
            let (mut record, order) = record_of(fate);
            match record.learn(&order, &received(status, &body)) {
                Ok(learnt) => assert!(is_right && learnt == Learnt::End, "{fate:?} {body}"),
                Err(violation) => {
                    assert!(!is_right, "{fate:?} {body}");
                    assert_eq!(violation.kind, Kind::WrongVerdict);
                }
            }
        }
    }

    #[test]
    fn a_right_order_under_its_own_key_is_never_turned_away() {
        let (mut record, order) = record_of(Fate::Completes);
        assert_eq!(
            kind(record.learn(&order, &received(409, r#"{"code":"key_reused"}"#))),
            Kind::WrongVerdict
        );
        assert_eq!(kind(record.learn(&order, &received(422, r#"{"code":"invalid"}"#))), Kind::WrongVerdict);
        assert_eq!(kind(record.learn(&order, &received(500, "{}"))), Kind::OutsideContract);
    }

    #[test]
    fn a_full_server_teaches_nothing() {
        let (mut record, order) = record_of(Fate::Completes);
        let full = Received { retry_after: Some("0".to_owned()), ..received(503, "{}") };
        assert_eq!(record.learn(&order, &full), Ok(Learnt::ComeAgain(Duration::ZERO)));
        assert!(record.open_keys().contains(&order.key));
    }

    #[test]
    fn clients_do_everything_a_client_may_do() {
        let mut record = Record::new(2);
        let mut random = Random::new("1".parse().unwrap(), crate::random::Stream::Round { round: 0 });
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            let step = record.next_step(0, &mut random);
            match step {
                Step::PostNew(key) => {
                    seen[0] = true;
                    record.takes_off(key);
                    let order = Order::of("1".parse().unwrap(), key);
                    if order.fate == Fate::Completes {
                        record.learn(&order, &received(201, COMPLETED)).unwrap();
                    }
                }
                Step::PostAgain(key) => seen[1] = key.client == 0,
                Step::Join(key) => seen[2] = key.client == 1,
                Step::Repeat(_) => seen[3] = true,
                Step::ReuseKey(_) => seen[4] = true,
            }
            if let Step::PostNew(key) = record.next_step(1, &mut random) {
                record.takes_off(key);
            }
        }
        assert_eq!(seen, [true; 5]);
    }

    #[test]
    fn the_same_draws_make_the_same_client() {
        let steps = || {
            let mut record = Record::new(1);
            let mut random = Random::new("9".parse().unwrap(), crate::random::Stream::Round { round: 0 });
            (0..50).map(|_| record.next_step(0, &mut random)).collect::<Vec<_>>()
        };
        assert_eq!(steps(), steps());
    }
}
