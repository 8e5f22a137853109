//! The shop's own errors.
//!
//! Owns the one mapping from them to problems, and the pages of the shop's codes. Promises that each code has
//! a page, served at `/errors/{code}` beside those of the server. Does not map the engine's errors: the
//! server does.

use amends_api::ErrorKind;
use amends_participant::DataError;
use amends_server::Problem;

use crate::apart::LookError;
use crate::order_request::{RequestClass, RequestError};

/// An order that is none.
pub(super) fn of_request(error: &RequestError) -> Problem {
    let kind = match error.class() {
        RequestClass::Malformed => ErrorKind::BadRequest,
        RequestClass::Unprocessable => ErrorKind::Invalid,
    };
    Problem::new(kind, error.to_string()).coded(error.code())
}

/// Records of the services that cannot be read.
pub(super) fn of_data(error: &DataError) -> Problem {
    let kind = match error {
        DataError::Damaged { .. } => ErrorKind::DataDamaged,
        DataError::Database(_) => ErrorKind::Internal,
    };
    Problem::new(kind, error.to_string())
}

/// Records of a service of its own that do not come.
pub(super) fn of_look(error: &LookError) -> Problem {
    let problem = Problem::new(ErrorKind::Internal, error.to_string());
    match error {
        LookError::Unreachable { .. } => problem.coded("service_unreachable"),
        LookError::Failed { .. } | LookError::Unreadable { .. } => problem,
    }
}

macro_rules! pages {
    ($($code:literal)*) => { &[$(($code, include_str!(concat!("../../docs/errors/", $code, ".md")))),*] };
}

/// The shop's own codes, those of requests first and then those of refusals, each with its page. A field that
/// comes twice is explained by the server.
pub(super) const PAGES: &[(&str, &str)] = pages! {
    "not_json" "nesting_too_deep" "missing_field" "wrong_type"
    "empty_user_id" "empty_order" "quantity_not_positive" "price_not_positive" "too_many_decimals" "overflow"
    "amount_over_limit" "unknown_product" "insufficient_stock"
    "service_unreachable"
};

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn each_code_has_its_page_and_each_page_its_code() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/errors");
        let entries = fs::read_dir(folder).unwrap();
        let pages: BTreeSet<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        let codes: BTreeSet<String> = PAGES.iter().map(|(code, _)| format!("{code}.md")).collect();
        assert_eq!(pages, codes);
    }

    #[test]
    fn every_page_begins_with_its_code_and_says_what_to_do() {
        for (code, page) in PAGES {
            assert!(page.starts_with(&format!("# {code}\n")), "{code}");
            assert!(page.contains("**What to do.**"), "{code}");
            assert_eq!(ErrorKind::of_code(code), None, "{code} is the shop's alone");
        }
    }
}
