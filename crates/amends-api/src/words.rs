//! The words of the wire: statuses, modes, verbs.
//!
//! Owns the one spelling of each, in both directions. Promises that a word nobody knows is an error that
//! names the words there are, never another word. Does not know which status may follow which.

/// A word that is none of those there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is not a {what}: expected one of {}", .known.join(", "))]
pub struct UnknownWord {
    /// What was read.
    pub found: String,
    /// What it should have been.
    pub what: &'static str,
    /// The words there are.
    pub known: &'static [&'static str],
}

macro_rules! words {
    (
        $(#[$doc:meta])* $name:ident is $what:literal
        { $($(#[$word_doc:meta])* $word:ident = $text:literal,)+ }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$word_doc])* $word,)+
        }

        impl $name {
            /// All there are.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            const WORDS: &[&str] = &[$($text),+];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text,)+ }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::words::UnknownWord;

            fn from_str(word: &str) -> Result<Self, Self::Err> {
                match word {
                    $($text => Ok(Self::$word),)+
                    _ => Err($crate::words::UnknownWord {
                        found: word.to_owned(),
                        what: $what,
                        known: Self::WORDS,
                    }),
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let word = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                word.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

pub(crate) use words;

words! {
    /// The kind of a transaction.
    Mode is "mode" {
        /// Steps with undo, conducted from one place.
        Saga = "saga",
    }
}

words! {
    /// Where a saga stands.
    SagaStatus is "saga's status" {
        /// It exists, and nothing has started.
        Pending = "pending",
        /// It goes forward.
        InProgress = "in_progress",
        /// It goes back.
        Compensating = "compensating",
        /// Ended: everything is done.
        Completed = "completed",
        /// Ended: everything that had to be is undone.
        Compensated = "compensated",
        /// It can go neither on nor back by itself and waits for an operator. The word is the field's.
        Parked = "failed",
        /// Ended: an operator stopped it without undo.
        Abandoned = "abandoned",
    }
}

words! {
    /// Where a step stands.
    StepStatus is "step's status" {
        /// Not started.
        Pending = "pending",
        /// Asked, and not answered for certain.
        InProgress = "in_progress",
        /// Its effect took place.
        Completed = "completed",
        /// Refused or given up.
        Failed = "failed",
        /// Its undo is under way, or has failed.
        Compensating = "compensating",
        /// Undone.
        Compensated = "compensated",
        /// Passed over: an operator supplied its output, or its guard was false.
        Skipped = "skipped",
    }
}

words! {
    /// Where the undo of a step stands.
    CompensationStatus is "compensation's status" {
        /// It is to be asked again, after what followed the step is undone.
        Pending = "pending",
        /// Asked, and not answered for certain.
        InProgress = "in_progress",
        /// Undone, by the participant or by hand.
        Completed = "completed",
        /// Refused, or out of attempts: an operator decides.
        Failed = "failed",
    }
}

words! {
    /// What an operator may do to a saga.
    VerbName is "verb" {
        /// Turn back.
        Cancel = "cancel",
        /// Ask again now, with fresh patience.
        Retry = "retry",
        /// Go on without a step, with an output supplied by hand.
        Skip = "skip",
        /// A step's undo was done by hand.
        Resolve = "resolve",
        /// Record answers, send nothing, let limits stand still.
        Pause = "pause",
        /// Go on after a pause.
        Resume = "resume",
        /// Undo a completed saga.
        Reverse = "reverse",
        /// Stop without undo.
        Abandon = "abandon",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_reads_back_as_what_it_was_written_for() {
        for status in SagaStatus::ALL {
            let text = serde_json::to_string(status).unwrap();
            assert_eq!(text, format!("{:?}", status.as_str()));
            assert_eq!(serde_json::from_str::<SagaStatus>(&text).unwrap(), *status);
            assert_eq!(status.to_string().parse(), Ok(*status));
        }
    }

    #[test]
    fn an_unknown_word_is_an_error_that_names_the_known_ones() {
        for word in ["", "Saga", "saga ", "workflow"] {
            let error = word.parse::<Mode>().unwrap_err();
            assert_eq!(error.to_string(), format!("{word:?} is not a mode: expected one of saga"));
        }
        let error = serde_json::from_str::<SagaStatus>("\"parked\"").unwrap_err();
        assert!(error.to_string().contains("expected one of pending, in_progress"), "{error}");
        assert!(serde_json::from_str::<SagaStatus>("7").is_err());
    }
}
