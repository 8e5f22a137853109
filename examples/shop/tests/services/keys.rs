//! The key that the engine sends is the key that a service reads.

use amends_core::{CallId, Direction, StepIndex, TransactionId};
use amends_participant::{self as participant, CallKey, KeyParts};
use proptest::prelude::*;

proptest! {
    #[test]
    fn every_key_of_the_engine_is_read_as_what_it_names(
        id in any::<[u8; 16]>(),
        step in "[^\\p{C}/\\[\\]]{1,128}",
        occurrence in any::<Option<u32>>(),
        is_undo in any::<bool>(),
        round in 1..=u32::MAX,
    ) {
        let transaction = TransactionId::from_bytes(id);
        let (sent, read) = if is_undo {
            (Direction::Compensation, participant::Direction::Compensation)
        } else {
            (Direction::Action, participant::Direction::Action)
        };
        let call = CallId { step: StepIndex(0), occurrence, direction: sent, round };
        let key: CallKey = call.key(transaction, &step).to_string().try_into().unwrap();
        let transaction = transaction.to_string();
        let parts = KeyParts { transaction: &transaction, step: &step, occurrence, direction: read, round };
        prop_assert_eq!(key.parts(), parts);
    }
}
