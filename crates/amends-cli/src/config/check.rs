//! What values mean together.
//!
//! Owns the rules between keys: what is safe to serve, and what needs what. Promises that an address which
//! others can reach has a token and TLS, or that somebody has spelled out `insecure`. Does not read values.

use std::collections::BTreeMap;

use super::Config;
use super::source::Source;

/// What begins so may be named as a secret without being listed.
const SECRET_PREFIX: &str = "AMENDS_SECRET_";

/// All that is wrong.
pub(super) fn findings(config: &Config, sources: &BTreeMap<String, Source>) -> Vec<String> {
    let mut wrong = Vec::new();
    let at = |key: &str| sources.get(key).map_or_else(|| "default".to_owned(), ToString::to_string);
    match (&config.tls_cert, &config.tls_key) {
        (Some(_), None) => wrong.push(format!("{}: tls_cert needs tls_key", at("tls_cert"))),
        (None, Some(_)) => wrong.push(format!("{}: tls_key needs tls_cert", at("tls_key"))),
        (Some(_), Some(_)) | (None, None) => {}
    }
    if !config.host.is_loopback() && !config.insecure {
        let lacking = match (&config.token, &config.tls_cert) {
            (Some(_), Some(_)) => None,
            (None, Some(_)) => Some("a token (AMENDS_TOKEN)"),
            (Some(_), None) => Some("TLS (tls_cert and tls_key)"),
            (None, None) => Some("a token (AMENDS_TOKEN) and TLS (tls_cert and tls_key)"),
        };
        if let Some(lacking) = lacking {
            wrong.push(format!(
                "{}: others can reach {}: that needs {lacking}; --insecure serves it without",
                at("host"),
                config.host
            ));
        }
    }
    for (key, url) in [("public_url", &config.public_url), ("otlp_endpoint", &config.otlp_endpoint)] {
        if let Some(url) = url
            && !is_url(url)
        {
            wrong.push(format!("{}: {key} is {url:?}, and must begin with http:// or https://", at(key)));
        }
    }
    for (key, count) in [
        ("limits.payload_bytes_max", config.payload_bytes_max.0),
        ("limits.saga_bytes_max", config.saga_bytes_max.0),
        ("limits.live_max", config.live_max as u64),
    ] {
        if count == 0 {
            wrong.push(format!("{}: {key} is 0: then nothing could be started", at(key)));
        }
    }
    if config.payload_bytes_max.0 > config.saga_bytes_max.0 {
        let key = "limits.payload_bytes_max";
        wrong.push(format!(
            "{}: {key} is more than limits.saga_bytes_max: a saga holds its payloads",
            at(key)
        ));
    }
    for (name, participant) in &config.participants {
        let names = [("secret", &participant.secret), ("bearer", &participant.bearer)];
        for (key, named) in names {
            for variable in named.iter().flatten() {
                wrong.extend(secret(config, &at(&format!("participants.{name}.{key}")), variable));
            }
        }
        if let Some(url) = &participant.url
            && !is_url(url)
        {
            let at = at(&format!("participants.{name}.url"));
            wrong
                .push(format!("{at}: the url of {name} is {url:?}, and must begin with http:// or https://"));
        }
        if participant.concurrency == Some(0) {
            let at = at(&format!("participants.{name}.concurrency"));
            wrong.push(format!("{at}: the concurrency of {name} is 0: then it would never be called"));
        }
    }
    for (index, notify) in config.notify.iter().enumerate() {
        match &notify.url {
            None => wrong.push(format!("notify {index} has no url")),
            Some(url) if !is_url(url) => {
                let at = at(&format!("notify.{index}.url"));
                wrong.push(format!("{at}: the url is {url:?}, and must begin with http:// or https://"));
            }
            Some(_) => {}
        }
        if let Some(variable) = &notify.secret {
            wrong.extend(secret(config, &at(&format!("notify.{index}.secret")), variable));
        }
        if notify.on.is_empty() {
            wrong.push(format!("notify {index}: on names nothing; leave it out for parked"));
        }
    }
    wrong
}

fn is_url(text: &str) -> bool {
    text.starts_with("http://") || text.starts_with("https://")
}

fn secret(config: &Config, at: &str, variable: &str) -> Option<String> {
    let may = variable.starts_with(SECRET_PREFIX) || config.secrets.iter().any(|listed| listed == variable);
    (!may).then(|| {
        format!(
            "{at}: {variable:?} must be the name of an environment variable that begins with {SECRET_PREFIX}, or be \
             listed in secrets"
        )
    })
}
