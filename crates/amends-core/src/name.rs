//! What definitions are called.
//!
//! Owns [`DefinitionName`]. Does not judge a name: the check of a definition does.

use std::fmt;
use std::sync::Arc;

/// The name of a definition.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DefinitionName(Arc<str>);

impl DefinitionName {
    /// A name as given; the check of a definition judges it.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// The name's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DefinitionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
