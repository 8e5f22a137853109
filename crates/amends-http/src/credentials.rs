//! What a request proves itself with: a signature or a token, from the environment.
//!
//! Owns [`Credentials`], read once when a participant is connected. Promises that no value is shown, logged or part
//! of an error: only names of variables are; and that a variable is read only if its name is one for this. Signing
//! follows Standard Webhooks: `webhook-id` is the idempotency key, the same for all attempts, so a receiver that
//! keeps ids sees a repeat as one. Of two secrets both sign, the first one first: a receiver that has either of them
//! accepts the request. Of two bearers the first is sent.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use hyper::HeaderMap;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use sha2::Sha256;

use crate::limits::{SECRET_BYTES, SECRETS_MAX};

const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// What the name of a variable begins with that definitions may name without its being listed.
pub const SECRET_PREFIX: &str = "AMENDS_SECRET_";

/// What a participant's requests prove themselves with.
#[derive(Default)]
pub(crate) struct Credentials {
    signing: Vec<Vec<u8>>,
    bearer: Option<HeaderValue>,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} signing secrets, bearer: {}", self.signing.len(), self.bearer.is_some())
    }
}

/// Why a participant's credentials cannot be had. Names the variable, never its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields of a variant are named for what they hold")]
pub enum CredentialsError {
    /// A definition may not have just any variable sent somewhere.
    #[error(
        "the environment variable {name} may not be named here: its name has to begin with {SECRET_PREFIX}, or be listed in the configuration (`secret_names`)"
    )]
    NotAllowed { name: String },
    /// It is not set.
    #[error(
        "the environment variable {name} is not set: set it where the server runs, and start the server again"
    )]
    Missing { name: String },
    /// It cannot be used.
    #[error("the environment variable {name} has no signing secret: expected `whsec_` and base64 of {} to {} bytes, such as `whsec_$(openssl rand -base64 32)` makes", SECRET_BYTES.start(), SECRET_BYTES.end())]
    NotASecret { name: String },
    /// It cannot be sent.
    #[error(
        "the environment variable {name} has no bearer token: expected visible characters without spaces"
    )]
    NotABearer { name: String },
    /// More than one is replaced at a time.
    #[error("{count} variables are named as {kind}: at most {SECRETS_MAX} are, while one replaces the other")]
    TooMany { kind: &'static str, count: usize },
}

impl Credentials {
    /// Reads the variables that a definition names.
    ///
    /// # Errors
    /// When one may not be named, is not set or cannot be used.
    pub(crate) fn read(
        secrets: &[String],
        bearers: &[String],
        names_allowed: &BTreeSet<String>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, CredentialsError> {
        for (kind, names) in [("secret", secrets), ("bearer", bearers)] {
            if names.len() > SECRETS_MAX {
                return Err(CredentialsError::TooMany { kind, count: names.len() });
            }
        }
        let value = |name: &String| {
            let name = name.clone();
            if !name.starts_with(SECRET_PREFIX) && !names_allowed.contains(&name) {
                return Err(CredentialsError::NotAllowed { name });
            }
            environment(&name).filter(|value| !value.is_empty()).ok_or(CredentialsError::Missing { name })
        };
        let mut credentials = Self::default();
        for name in secrets {
            let secret = secret_of(&value(name)?)
                .ok_or_else(|| CredentialsError::NotASecret { name: name.clone() })?;
            credentials.signing.push(secret);
        }
        for (place, name) in bearers.iter().enumerate() {
            let bearer = bearer_of(&value(name)?)
                .ok_or_else(|| CredentialsError::NotABearer { name: name.clone() })?;
            if place == 0 {
                credentials.bearer = Some(bearer);
            }
        }
        Ok(credentials)
    }

    /// Adds what proves a request: `key` is its idempotency key, `body` what is sent.
    pub(crate) fn prove(&self, headers: &mut HeaderMap, key: &HeaderValue, body: &[u8], now: SystemTime) {
        if let Some(bearer) = &self.bearer {
            headers.insert(AUTHORIZATION, bearer.clone());
        }
        if self.signing.is_empty() {
            return;
        }
        let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let signatures: Vec<String> =
            self.signing.iter().map(|secret| signature(secret, key.as_bytes(), seconds, body)).collect();
        headers.insert(WEBHOOK_ID, key.clone());
        headers.insert(WEBHOOK_TIMESTAMP, seconds.into());
        let signatures = signatures.join(" ").parse().expect("base64 can stand in a header");
        headers.insert(WEBHOOK_SIGNATURE, signatures);
    }
}

/// The signature of a request, as Standard Webhooks has it.
fn signature(secret: &[u8], id: &[u8], seconds: u64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key may have any length");
    mac.update(id);
    mac.update(format!(".{seconds}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

fn secret_of(value: &str) -> Option<Vec<u8>> {
    let secret = STANDARD.decode(value.strip_prefix("whsec_").unwrap_or(value)).ok()?;
    SECRET_BYTES.contains(&secret.len()).then_some(secret)
}

fn bearer_of(value: &str) -> Option<HeaderValue> {
    let is_token = value.bytes().all(|byte| byte.is_ascii_graphic());
    let mut bearer = HeaderValue::from_str(&format!("Bearer {value}")).ok().filter(|_| is_token)?;
    bearer.set_sensitive(true);
    Some(bearer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn environment(name: &str) -> Option<String> {
        let value = match name {
            "AMENDS_SECRET_ONE" => "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "AMENDS_SECRET_TWO" => "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
            "AMENDS_SECRET_SHORT" => "whsec_aHVzaA==",
            "AMENDS_SECRET_TOKEN" => "hush-hush",
            "AMENDS_SECRET_SPACES" => "hush hush\n",
            "OTHER" => "hush-other",
            _ => return None,
        };
        Some(value.to_owned())
    }

    fn read(secrets: &[&str], bearers: &[&str]) -> Result<Credentials, CredentialsError> {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let allowed = BTreeSet::from(["OTHER".to_owned()]);
        Credentials::read(&names(secrets), &names(bearers), &allowed, &environment)
    }

    #[test]
    fn a_signature_is_the_one_of_standard_webhooks() {
        // The example of the specification.
        let credentials = read(&["AMENDS_SECRET_ONE"], &[]).unwrap();
        let mut headers = HeaderMap::new();
        let key = HeaderValue::from_static("msg_p5jXN8AQM9LWM0D4loKWxJek");
        let now = UNIX_EPOCH + Duration::from_secs(1_614_265_330);
        credentials.prove(&mut headers, &key, br#"{"test": 2432232314}"#, now);
        assert_eq!(headers["webhook-signature"], "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(headers["webhook-id"], key);
        assert_eq!(headers["webhook-timestamp"], "1614265330");
    }

    #[test]
    fn two_secrets_both_sign_and_of_two_bearers_the_first_is_sent() {
        let credentials =
            read(&["AMENDS_SECRET_TWO", "AMENDS_SECRET_ONE"], &["OTHER", "AMENDS_SECRET_TOKEN"]).unwrap();
        let mut headers = HeaderMap::new();
        credentials.prove(&mut headers, &HeaderValue::from_static("k"), b"", UNIX_EPOCH);
        let signatures: Vec<_> = headers["webhook-signature"].to_str().unwrap().split(' ').collect();
        let first = secret_of(&environment("AMENDS_SECRET_TWO").unwrap()).unwrap();
        let second = secret_of(&environment("AMENDS_SECRET_ONE").unwrap()).unwrap();
        assert_eq!(signatures, [signature(&first, b"k", 0, b""), signature(&second, b"k", 0, b"")]);
        assert_eq!(headers["authorization"], "Bearer hush-other");
        assert!(headers["authorization"].is_sensitive());
        assert!(!format!("{credentials:?} {headers:?}").contains("hush"));
    }

    #[test]
    fn what_cannot_be_used_is_named_and_never_shown() {
        let of = |result: Result<Credentials, CredentialsError>| result.unwrap_err();
        let name = |name: &str| name.to_owned();
        assert_eq!(
            of(read(&["AMENDS_SECRET_NONE"], &[])),
            CredentialsError::Missing { name: name("AMENDS_SECRET_NONE") }
        );
        assert_eq!(of(read(&[], &["HOME"])), CredentialsError::NotAllowed { name: name("HOME") });
        assert_eq!(
            of(read(&[], &["OTHER", "AMENDS_SECRET_NONE"])),
            CredentialsError::Missing { name: name("AMENDS_SECRET_NONE") }
        );
        for (secrets, bearers) in [
            (vec!["AMENDS_SECRET_SHORT"], vec![]),
            (vec!["AMENDS_SECRET_TOKEN"], vec![]),
            (vec![], vec!["AMENDS_SECRET_SPACES"]),
            (vec!["AMENDS_SECRET_ONE"; 3], vec![]),
        ] {
            let error = of(read(&secrets, &bearers));
            assert!(!error.to_string().contains("hush"), "{error}");
            assert!(!error.to_string().contains("aHVzaA"), "{error}");
        }
    }
}
