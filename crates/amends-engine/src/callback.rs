//! The tokens with which participants report.
//!
//! Owns [`CallbackKey`]: one secret of a data directory, of which every token follows. Promises that a token names a
//! call (step, occurrence, direction and round, not the attempt), that nobody without the key can make one, and that
//! one is good as long as the key is: it needs no table. Does not know how a token travels.

use std::fmt;

use amends_core::{CallId, Direction, StepIndex, TransactionId};
use amends_journal::{Journal, JournalError};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Bytes of the key.
pub(crate) const CALLBACK_KEY_BYTES: usize = 32;

/// What the journal knows the key by.
const CALLBACKS: &str = "callbacks";

/// What a token says, before its proof.
const CLAIM_BYTES: usize = 1 + 16 + 2 + 1 + 4 + 4;
/// Half of the hash is as good as all of it against whoever does not have the key.
const PROOF_BYTES: usize = 16;
const FORM: u8 = 1;
/// In the place of an occurrence of a step that runs once.
const NO_OCCURRENCE: u32 = u32::MAX;

/// The secret that tokens are made and judged with.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackKey([u8; CALLBACK_KEY_BYTES]);

impl fmt::Debug for CallbackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackKey(…)")
    }
}

impl CallbackKey {
    /// The journal's own key, made when it is first asked for. Blocks the thread.
    ///
    /// # Errors
    /// When the journal fails.
    ///
    /// # Panics
    /// When the system gives no random bytes.
    pub fn of(journal: &dyn Journal) -> Result<Self, JournalError> {
        let mut fresh = [0; CALLBACK_KEY_BYTES];
        getrandom::fill(&mut fresh).expect("the system gives random bytes");
        let key = journal.secret(CALLBACKS, &fresh)?;
        let bytes = key.len();
        key.try_into().map(Self).map_err(|_| JournalError::Damaged {
            what: "the key of callbacks".to_owned(),
            details: format!("it has {bytes} bytes instead of {CALLBACK_KEY_BYTES}"),
        })
    }

    /// A key of random bytes.
    #[must_use]
    pub const fn new(bytes: [u8; CALLBACK_KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// The token of a call: the same each time, safe in a URL as it stands.
    #[must_use]
    pub fn token(&self, transaction: TransactionId, call: CallId) -> String {
        let mut bytes = [0; CLAIM_BYTES + PROOF_BYTES];
        let claim = claim(transaction, call);
        let proof = self.mac(&claim).finalize().into_bytes();
        bytes[..CLAIM_BYTES].copy_from_slice(&claim);
        bytes[CLAIM_BYTES..].copy_from_slice(&proof[..PROOF_BYTES]);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The call that a token names; `None` if it is none of ours.
    #[must_use]
    pub fn read(&self, token: &str) -> Option<(TransactionId, CallId)> {
        let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
        let (claim, proof) = bytes.split_at_checked(CLAIM_BYTES)?;
        if proof.len() != PROOF_BYTES {
            return None;
        }
        // In constant time.
        self.mac(claim).verify_truncated_left(proof).ok()?;
        read_claim(claim)
    }

    fn mac(&self, claim: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("a key may have any length");
        mac.update(claim);
        mac
    }
}

fn claim(transaction: TransactionId, call: CallId) -> [u8; CLAIM_BYTES] {
    let CallId { step, occurrence, direction, round } = call;
    let mut bytes = [0; CLAIM_BYTES];
    bytes[0] = FORM;
    bytes[1..17].copy_from_slice(&transaction.to_bytes());
    bytes[17..19].copy_from_slice(&step.0.to_be_bytes());
    bytes[19] = match direction {
        Direction::Action => 0,
        Direction::Compensation => 1,
    };
    bytes[20..24].copy_from_slice(&occurrence.unwrap_or(NO_OCCURRENCE).to_be_bytes());
    bytes[24..28].copy_from_slice(&round.to_be_bytes());
    bytes
}

fn read_claim(bytes: &[u8]) -> Option<(TransactionId, CallId)> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    if *bytes.first()? != FORM {
        return None;
    }
    let transaction = TransactionId::from_bytes(bytes.get(1..17)?.try_into().ok()?);
    let step = StepIndex(u16::from_be_bytes(bytes.get(17..19)?.try_into().ok()?));
    let direction = match bytes.get(19)? {
        0 => Direction::Action,
        1 => Direction::Compensation,
        _ => return None,
    };
    let occurrence = Some(number(20)?).filter(|occurrence| *occurrence != NO_OCCURRENCE);
    Some((transaction, CallId { step, occurrence, direction, round: number(24)? }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn calls() -> impl Strategy<Value = CallId> {
        let direction = prop_oneof![Just(Direction::Action), Just(Direction::Compensation)];
        (any::<u16>(), proptest::option::of(0u32..1_000), direction, 1u32..9).prop_map(
            |(step, occurrence, direction, round)| CallId {
                step: StepIndex(step),
                occurrence,
                direction,
                round,
            },
        )
    }

    proptest! {
        #[test]
        fn a_token_names_its_call_and_no_other_key_makes_it(id: u128, call in calls(), key: [u8; 32], other: [u8; 32]) {
            prop_assume!(key != other);
            let (key, other) = (CallbackKey::new(key), CallbackKey::new(other));
            let id = TransactionId::from_parts(1, id);
            let token = key.token(id, call);
            prop_assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            prop_assert_eq!(key.read(&token), Some((id, call)));
            prop_assert_eq!(other.read(&token), None);
        }

        #[test]
        fn a_token_that_was_changed_names_nothing(at in 0usize..58, with in "[A-Za-z0-9_-]", call in calls()) {
            let key = CallbackKey::new([7; 32]);
            let token = key.token(TransactionId::from_parts(1, 1), call);
            let changed = format!("{}{with}{}", &token[..at], &token[at + 1..]);
            prop_assume!(changed != token);
            prop_assert_eq!(key.read(&changed), None);
        }

        #[test]
        fn any_text_is_read_or_not(text: String) {
            prop_assert_eq!(CallbackKey::new([7; 32]).read(&text), None);
        }
    }

    #[test]
    fn a_journal_keeps_its_key() {
        let (journal, other) = (amends_journal::MemoryJournal::new(), amends_journal::MemoryJournal::new());
        let key = CallbackKey::of(&journal).unwrap();
        assert_eq!(CallbackKey::of(&journal).unwrap(), key);
        assert_ne!(CallbackKey::of(&other).unwrap(), key);
    }

    #[test]
    fn a_cut_token_names_nothing() {
        let key = CallbackKey::new([7; 32]);
        let token =
            key.token(TransactionId::from_parts(1, 1), CallId::first(StepIndex(0), Direction::Action));
        for length in 0..token.len() {
            assert_eq!(key.read(&token[..length]), None);
        }
        assert_eq!(key.read(&format!("{token}A")), None);
    }
}
