//! What an error looks like on the wire.
//!
//! Owns the problem document (RFC 9457, `application/problem+json`) and its [`Code`]. Promises that a
//! document reads back as what was written, members and codes that are not ours included. Does not decide
//! which problem it is, or print it.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error_kind::ErrorKind;

/// A problem document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Map<String, Value>", try_from = "Map<String, Value>")]
pub struct Problem {
    /// Where the page about this kind of problem is, on the server that sent it: the member `type`.
    pub page: String,
    /// What it is, in a few words; the same for all of a kind.
    pub title: String,
    /// The HTTP status. `None` if a member has taken its place: in the shop's answers about a saga, `status`
    /// is the saga's.
    pub status: Option<u16>,
    /// Stable, for programs.
    pub code: Code,
    /// What is wrong this time, and what to do.
    pub detail: String,
    /// What else is said. The names of the fields above are not used here, but for `status` where that is
    /// `None`.
    pub members: Map<String, Value>,
}

/// A stable code: the code of an [`ErrorKind`], or one of a participant or an application. An unknown one is
/// kept as it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Code(String);

/// The JSON is not a problem document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this is not a problem document: {member} is {}", if *.missing { "missing" } else { "not a text" })]
pub struct NotAProblem {
    /// The member that is at fault.
    pub member: &'static str,
    /// Whether it is not there at all.
    pub missing: bool,
}

impl Problem {
    /// The media type of a problem document.
    pub const MEDIA_TYPE: &str = "application/problem+json";

    /// A problem of this kind; `detail` says what is wrong and what to do.
    #[must_use]
    pub fn new(kind: ErrorKind, detail: impl Into<String>) -> Self {
        Self {
            page: format!("{PAGES}{}", kind.code()),
            title: kind.title().to_owned(),
            status: Some(kind.status()),
            code: Code::from(kind),
            detail: detail.into(),
            members: Map::new(),
        }
    }

    /// The kind: that of the code, or, where the code is a participant's or an application's own, the one it
    /// is a case of.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        self.code.kind().or_else(|| ErrorKind::of_code(self.page.rsplit('/').next()?))
    }
}

/// Where a server has its pages.
const PAGES: &str = "/errors/";

impl Code {
    /// The kind with this code, if there is one.
    #[must_use]
    pub fn kind(&self) -> Option<ErrorKind> {
        ErrorKind::of_code(&self.0)
    }

    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<ErrorKind> for Code {
    fn from(kind: ErrorKind) -> Self {
        Self(kind.code().to_owned())
    }
}

impl From<String> for Code {
    fn from(code: String) -> Self {
        Self(code)
    }
}

impl From<&str> for Code {
    fn from(code: &str) -> Self {
        Self(code.to_owned())
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Problem> for Map<String, Value> {
    fn from(problem: Problem) -> Self {
        let Problem { page, title, status, code, detail, members } = problem;
        let mut document = members;
        document.insert("type".to_owned(), page.into());
        document.insert("title".to_owned(), title.into());
        if let Some(status) = status {
            document.insert("status".to_owned(), status.into());
        }
        document.insert("code".to_owned(), code.0.into());
        document.insert("detail".to_owned(), detail.into());
        document
    }
}

impl TryFrom<Map<String, Value>> for Problem {
    type Error = NotAProblem;

    fn try_from(mut document: Map<String, Value>) -> Result<Self, NotAProblem> {
        let mut text = |member| match document.remove(member) {
            Some(Value::String(text)) => Ok(text),
            Some(_) => Err(NotAProblem { member, missing: false }),
            None => Err(NotAProblem { member, missing: true }),
        };
        let (page, title, code, detail) = (text("type")?, text("title")?, text("code")?, text("detail")?);
        let status =
            document.get("status").and_then(Value::as_u64).and_then(|status| u16::try_from(status).ok());
        if status.is_some() {
            document.remove("status");
        }
        Ok(Self { page, title, status, code: Code(code), detail, members: document })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_problem_is_written_as_rfc_9457_says() {
        let problem = Problem::new(ErrorKind::NotFound, "no saga has the id \"x\"");
        assert_eq!(
            serde_json::to_value(&problem).unwrap(),
            json!({"type": "/errors/not_found", "title": "There is nothing here", "status": 404,
                "code": "not_found", "detail": "no saga has the id \"x\""})
        );
    }

    #[test]
    fn a_code_that_is_not_ours_is_kept_and_its_kind_is_found_by_the_page() {
        let sent = json!({"type": "/errors/saga_compensated", "title": "t", "status": "compensated",
            "detail": "d", "code": "insufficient_stock", "reason": "have 3, need 5", "saga_id": "s"});
        let read: Problem = serde_json::from_value(sent.clone()).unwrap();
        assert_eq!((read.code.as_str(), read.code.kind()), ("insufficient_stock", None));
        assert_eq!((read.kind(), read.status), (Some(ErrorKind::SagaCompensated), None));
        assert_eq!(serde_json::to_value(&read).unwrap(), sent);

        let of_tomorrow = json!({"type": "/errors/of_tomorrow", "title": "t", "status": 499, "detail": "d",
            "code": "of_tomorrow"});
        let read: Problem = serde_json::from_value(of_tomorrow.clone()).unwrap();
        assert_eq!((read.kind(), read.status), (None, Some(499)));
        assert_eq!(serde_json::to_value(&read).unwrap(), of_tomorrow);
    }

    #[test]
    fn what_is_not_a_problem_document_is_said() {
        for (document, expected) in [
            (json!({}), "type is missing"),
            (json!({"type": "about:blank", "title": "t", "code": 7}), "code is not a text"),
        ] {
            let error = serde_json::from_value::<Problem>(document).unwrap_err().to_string();
            assert_eq!(error, format!("this is not a problem document: {expected}"));
        }
        assert!(serde_json::from_str::<Problem>("[]").is_err());
    }
}
