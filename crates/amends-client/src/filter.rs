//! Which sagas a list or a count is about.
//!
//! Owns [`Filter`] and how it is written as a query. Does not judge it: the server does.

use amends_api::SagaStatus;

/// Which sagas: those that match all that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this definition.
    pub definition: Option<String>,
    /// Of this version of it.
    pub version: Option<u32>,
    /// That stand so.
    pub status: Option<SagaStatus>,
    /// With this tag, `name=value`.
    pub tag: Option<String>,
    /// Started with this idempotency key.
    pub key: Option<String>,
    /// Started by this saga.
    pub parent: Option<String>,
    /// Started at this time (RFC 3339) or later.
    pub since: Option<String>,
    /// Started before this time (RFC 3339).
    pub until: Option<String>,
}

impl Filter {
    /// As the parameters of a query.
    pub(crate) fn query(&self) -> Vec<(&'static str, String)> {
        let Self { definition, version, status, tag, key, parent, since, until } = self;
        let version = version.map(|version| version.to_string());
        let status = status.map(|status| status.as_str().to_owned());
        [
            ("definition", definition),
            ("version", &version),
            ("status", &status),
            ("tag", tag),
            ("key", key),
            ("parent", parent),
            ("since", since),
            ("until", until),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect()
    }
}
