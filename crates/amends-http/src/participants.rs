//! All participants behind HTTP: what the engine asks for them.
//!
//! Owns [`HttpOptions`] and [`HttpParticipants`]. Promises that a participant which cannot be called as it is
//! described (its URL, its host, its credentials) is refused when the definition is registered, with a reason for its
//! author; and that what the configuration says of a participant takes the place of what definitions say. Does not
//! call anybody: see [`crate::participant`].

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use amends_definition::{BreakerSettings, ParticipantSettings, Rate};
use amends_engine::limits::CALLS_PER_PARTICIPANT_MAX;
use amends_engine::{Connect, Connected, GateLimits};
use tracing::info;

use crate::callbacks::Callbacks;
use crate::client::Client;
use crate::connector::{Lookup, system_lookup};
use crate::credentials::Credentials;
use crate::hosts::{AllowedHosts, Loopback, NotAHost};
use crate::limits::RESPONSE_BYTES_MAX;
use crate::origin::Address;
use crate::participant::HttpParticipant;

/// Reads an environment variable.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How participants behind HTTP are called.
#[derive(Clone)]
pub struct HttpOptions {
    /// What the configuration says of participants, by name.
    pub overrides: BTreeMap<String, Override>,
    /// Internal hosts that may be called, by name (`*.internal` too), address or network.
    pub allowed_hosts: Vec<String>,
    /// Whether this machine's own addresses may be called without being listed.
    pub loopback: Loopback,
    /// Where participants call back; `None`: they cannot, and get no `Amends-Callback`.
    pub callbacks: Option<Callbacks>,
    /// Bytes of an answer's body that are read: at least those of the largest payload.
    pub response_bytes_max: usize,
    /// Environment variables that definitions may name as secret or bearer, besides those that begin with
    /// [`SECRET_PREFIX`](crate::SECRET_PREFIX).
    pub secret_names_allowed: BTreeSet<String>,
    /// Where variables are read.
    pub environment: Environment,
    /// Where names are looked up; `None`: as the machine does.
    pub lookup: Option<Lookup>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            overrides: BTreeMap::new(),
            allowed_hosts: Vec::new(),
            loopback: Loopback::ListedOnly,
            callbacks: None,
            response_bytes_max: RESPONSE_BYTES_MAX,
            secret_names_allowed: BTreeSet::new(),
            environment: Arc::new(|name| std::env::var(name).ok()),
            lookup: None,
        }
    }
}

/// What the configuration says of a participant. `None`: what the definition says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Override {
    /// Another URL.
    pub url: Option<String>,
    /// Other variables that sign.
    pub secrets: Option<Vec<String>>,
    /// Other variables that are sent.
    pub bearers: Option<Vec<String>>,
    /// How many calls may be under way together.
    pub concurrency: Option<u32>,
    /// How many calls may begin in a time.
    pub rate: Option<Rate>,
    /// When the breaker opens, and when it probes.
    pub breaker: Option<BreakerSettings>,
}

/// Makes participants of what definitions and the configuration say.
pub struct HttpParticipants {
    options: HttpOptions,
    allowed: Arc<AllowedHosts>,
    client: Arc<Client>,
    callbacks: Option<Arc<Callbacks>>,
}

/// Why the options cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpOptionsError {
    /// An entry of the allowed hosts.
    #[error(transparent)]
    Host(#[from] NotAHost),
    /// What the configuration says of a participant.
    #[error("the configuration of the participant {name:?} cannot be used: {why}")]
    Override {
        /// The participant.
        name: String,
        /// What is wrong with it.
        why: String,
    },
}

impl HttpParticipants {
    /// Participants that are called in this way.
    ///
    /// # Errors
    /// When an allowed host or an override cannot be read.
    pub fn new(options: HttpOptions) -> Result<Self, HttpOptionsError> {
        let allowed = Arc::new(AllowedHosts::new(&options.allowed_hosts, options.loopback)?);
        let lookup = options.lookup.clone().unwrap_or_else(system_lookup);
        let client = Arc::new(Client::new(allowed.clone(), lookup, options.response_bytes_max));
        let callbacks = options.callbacks.clone().map(Arc::new);
        let participants = Self { options, allowed, client, callbacks };
        for (name, given) in &participants.options.overrides {
            // Without a URL of its own it can only be judged together with a definition's.
            let settings =
                ParticipantSettings { url: given.url.clone().unwrap_or_default(), ..Default::default() };
            if given.url.is_some() {
                participants
                    .connect(name, &settings)
                    .map_err(|why| HttpOptionsError::Override { name: name.clone(), why })?;
            }
        }
        Ok(participants)
    }
}

impl Connect for HttpParticipants {
    fn connect(&self, name: &str, settings: &ParticipantSettings) -> Result<Connected, String> {
        let given = self.options.overrides.get(name);
        let url = given.and_then(|given| given.url.as_ref()).unwrap_or(&settings.url);
        let secrets = given.and_then(|given| given.secrets.as_ref()).unwrap_or(&settings.secrets);
        let bearers = given.and_then(|given| given.bearers.as_ref()).unwrap_or(&settings.bearers);
        let concurrency = given.and_then(|given| given.concurrency).or(settings.concurrency);
        let rate = given.and_then(|given| given.rate).or(settings.rate);
        let breaker = given.and_then(|given| given.breaker).or(settings.breaker);

        let address = Address::parse(url).map_err(|error| error.to_string())?;
        self.allowed.judge_host(address.host()).map_err(|error| error.to_string())?;
        if address.is_encrypted() {
            self.client.prepare_encryption()?;
        }
        let names = &self.options.secret_names_allowed;
        let credentials = Credentials::read(secrets, bearers, names, &*self.options.environment)
            .map_err(|error| error.to_string())?;
        let calls_max = concurrency.map_or(CALLS_PER_PARTICIPANT_MAX, |calls| calls as usize);
        if calls_max == 0 {
            return Err("`concurrency` is at least 1".to_owned());
        }
        let origin = address.origin();
        if given.is_some_and(|given| given.url.is_some()) {
            info!(
                participant = name,
                url = origin,
                "the configuration's url takes the place of the definitions', for sagas under way as well"
            );
        }
        let participant =
            HttpParticipant::new(address, credentials, self.client.clone(), self.callbacks.clone());
        Ok(Connected {
            origin,
            participant: Arc::new(participant),
            limits: GateLimits { calls_max, rate, breaker: breaker.unwrap_or_default() },
        })
    }
}

/// Looks names up as given, for tests.
#[must_use]
pub fn fixed_lookup(addresses: impl Fn(&str) -> Vec<std::net::IpAddr> + Send + Sync + 'static) -> Lookup {
    Arc::new(move |name| {
        let found = addresses(name);
        if found.is_empty() { Err(io::Error::other("no such host")) } else { Ok(found) }
    })
}
