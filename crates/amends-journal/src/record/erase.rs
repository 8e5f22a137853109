//! A transaction's records without what people put into them.
//!
//! Owns the judgement of what is a payload in each fact: whatever a caller, a participant or an operator's
//! client sent for the business, and words that may quote it. Promises that what is left reads as the same
//! facts in the same order, so that state, times and the number of facts stay as they were. What stays is what
//! happened, when, under which codes, and who gave which verb and why; tags stay, since lists go by them.
//! Does not decide whether a transaction may be erased.

use amends_core::{Event, Facts, TransactionId};
use bytes::Bytes;

use super::{Record, Unreadable, decode, encode};

/// What stands where a payload was: JSON, so that whatever shows payloads can show it.
pub const ERASED: &[u8] = b"null";

/// What stands where words were that may quote a payload.
const ERASED_WORDS: &str = "(erased)";

/// The frame of record number `sequence` without its payloads.
///
/// # Errors
/// As [`decode`].
pub fn erase(id: TransactionId, sequence: u64, frame: Bytes) -> Result<Bytes, Unreadable> {
    let Record { at, mut facts } = decode(id, sequence, frame)?;
    match &mut facts {
        Facts::Saga(events) => events.iter_mut().for_each(erase_event),
        #[cfg(feature = "errand")]
        Facts::Errand(events) => {
            for event in events {
                match event {
                    amends_core::errand::Event::Started { input } => *input = erased(),
                    amends_core::errand::Event::AttemptStarted
                    | amends_core::errand::Event::AttemptUnknown { .. }
                    | amends_core::errand::Event::Completed
                    | amends_core::errand::Event::Refused
                    | amends_core::errand::Event::Abandoned => {}
                }
            }
        }
    }
    Ok(encode(id, sequence, &Record { at, facts }))
}

fn erased() -> Bytes {
    Bytes::from_static(ERASED)
}

fn erase_event(event: &mut Event) {
    match event {
        Event::SagaStarted { input, .. } => *input = erased(),
        Event::StepCompleted { output, .. }
        | Event::OutputFound { output, .. }
        | Event::StepSkipped { output, .. } => *output = erased(),
        Event::SagaCompleted { output } => *output = output.take().map(|_| erased()),
        Event::CallCorrected { payload, .. } => *payload = erased(),
        Event::StepSplit { elements, .. } => elements.fill(erased()),
        Event::RefusalReported { refusal, .. } => {
            ERASED_WORDS.clone_into(&mut refusal.message);
            refusal.details = None;
        }
        Event::StepRefused { refusal, .. } | Event::WaitRefused { refusal, .. } => {
            ERASED_WORDS.clone_into(&mut refusal.message);
            refusal.details = None;
        }
        Event::AttemptUnknown { reason, .. }
        | Event::StepUnmade { reason, .. }
        | Event::StepUnjudged { reason, .. }
        | Event::OutputUnmade { reason }
        | Event::StepConflicted { reason, .. }
        | Event::CompensationFailed { reason, .. } => ERASED_WORDS.clone_into(&mut reason.message),
        Event::SignalReceived { signal } => signal.body = erased(),
        Event::StepStarted { .. }
        | Event::StepPassedOver { .. }
        | Event::LimitExtended { .. }
        | Event::LateEffect { .. }
        | Event::ChildFreed { .. }
        | Event::Recalled
        | Event::AttemptStarted { .. }
        | Event::AttemptWorking { .. }
        | Event::OutputTooLarge { .. }
        | Event::SleepEnded { .. }
        | Event::SignalTaken { .. }
        | Event::WaitTimedOut { .. }
        | Event::StepGivenUp { .. }
        | Event::TurnedBack { .. }
        | Event::OutputSought { .. }
        | Event::NothingToUndo { .. }
        | Event::CompensationStarted { .. }
        | Event::CompensationCompleted { .. }
        | Event::SagaCompensated
        | Event::SagaParked { .. }
        | Event::CancelRequested { .. }
        | Event::SagaRetried { .. }
        | Event::StepRetried { .. }
        | Event::CompensationResolved { .. }
        | Event::SagaPaused { .. }
        | Event::SagaResumed { .. }
        | Event::SagaReversed { .. }
        | Event::SagaAbandoned { .. }
        | Event::ClockSetBack { .. } => {}
    }
}
