//! What a server can be told.
//!
//! Owns every key: its type, its usual value and its explanation, from which the reference page is made.
//! Promises that a key has one meaning wherever it is given: in the file, as an environment variable, as a
//! flag. Does not read anything: [`read`] does. Start reading at [`Config`].

mod check;
pub(crate) mod read;
mod setting;
mod shown;
mod source;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use amends_core::limits::{PAYLOAD_BYTES_MAX, SAGA_BYTES_MAX};
use amends_definition::Rate;
use amends_engine::limits::LIVE_MAX;

pub(crate) use setting::{ByteCount, LogFormat, NoticeCause, Secret};
use setting::{Given, Setting};

/// One key, as the reference has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Key {
    /// Its name in the file; what stands before the last dot is its table.
    pub(crate) name: &'static str,
    /// What it means; for the reference.
    #[cfg(test)]
    pub(crate) meaning: &'static [&'static str],
    /// What a value looks like.
    pub(crate) takes: &'static str,
    /// Whether its value is never shown.
    pub(crate) is_secret: bool,
}

macro_rules! settings {
    (
        $(#[doc = $of:literal])+
        $name:ident {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $usual:expr, $key:literal;)+
        }
        $({ $($(#[doc = $more_doc:literal])+ $more:ident: $more_type:ty,)+ })?
    ) => {
        $(#[doc = $of])+
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) struct $name {
            $($(#[doc = $doc])+ pub(crate) $field: $type,)+
            $($($(#[doc = $more_doc])+ pub(crate) $more: $more_type,)+)?
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $usual,)+ $($($more: Default::default(),)+)? }
            }
        }

        impl $name {
            /// All keys, in the order of the reference.
            pub(crate) const KEYS: &[Key] = &[$(Key {
                name: $key,
                #[cfg(test)]
                meaning: &[$($doc),+],
                takes: <$type as Setting>::TAKES,
                is_secret: <$type as Setting>::IS_SECRET,
            }),+];

            /// Takes a value; `None` if it is not one for this key.
            fn set(&mut self, key: &str, given: &Given) -> Option<()> {
                match key {
                    $($key => self.$field = Setting::read(given)?,)+
                    _ => unreachable!("only keys that there are are set"),
                }
                Some(())
            }

            /// The value of a key, as it stands in a file.
            pub(crate) fn shown(&self, key: &str) -> String {
                match key {
                    $($key => self.$field.shown(),)+
                    _ => unreachable!("only keys that there are are shown"),
                }
            }
        }
    };
}

settings! {
    /// What a server can be told.
    Config {
        /// Address to listen on. Another than a loopback address needs a token and TLS, or `insecure`.
        host: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST), "host";
        /// Port to listen on; 0: any that is free.
        port: u16 = 8080, "port";
        /// Directory of the data; made if it is not there.
        data: PathBuf = PathBuf::from("./amends-data"), "data";
        /// Directory of definitions (`*.yaml`, `*.yml`, `*.json`) that are registered before anything is served.
        /// One with a finding stops the start-up.
        definitions: Option<PathBuf> = None, "definitions";
        /// Bearer token that callers must send. Better given as `AMENDS_TOKEN` than written into a file; there is
        /// no flag, for everybody on the machine sees the flags of a process.
        token: Option<Secret> = None, "token";
        /// File with the certificate, and those that vouch for it, in PEM. Then the server speaks TLS only.
        tls_cert: Option<PathBuf> = None, "tls_cert";
        /// File with the certificate's private key, in PEM.
        tls_key: Option<PathBuf> = None, "tls_key";
        /// Serve an address that others can reach without token or without TLS.
        insecure: bool = false, "insecure";
        /// How participants and people reach this server: stands before callback URLs. Unless set,
        /// `http://HOST:PORT` as it listens.
        public_url: Option<String> = None, "public_url";
        /// Internal hosts that participants may be at, by name (`*.internal` too), address or network
        /// (`10.0.0.0/8`). Loopback needs no entry while the server itself listens on loopback; public
        /// addresses need none.
        allowed_hosts: Vec<String> = Vec::new(), "allowed_hosts";
        /// Environment variables that definitions may name as `secret` or `bearer`, besides those that begin
        /// with `AMENDS_SECRET_`.
        secrets: Vec<String> = Vec::new(), "secrets";
        /// How long sagas are kept after their end; unless set, for ever.
        retention: Option<Duration> = None, "retention";
        /// How long sagas under way may take to end when the server is asked to stop. What has not ended by then
        /// goes on at the next start.
        grace: Duration = Duration::from_secs(10), "grace";
        /// What is logged: `info`, `debug`, or by part, such as `amends_engine=debug,info`.
        log: String = "info".to_owned(), "log";
        /// How it is logged: `text` for people, `json` for programs, one object a line.
        log_format: LogFormat = LogFormat::Text, "log_format";
        /// Where traces are sent by OTLP over HTTP, such as `http://127.0.0.1:4318`; unless set, nowhere.
        otlp_endpoint: Option<String> = None, "otlp_endpoint";
        /// Bytes of one payload: an input, an output, a leg, a list. An output above it parks its saga.
        payload_bytes_max: ByteCount = ByteCount(PAYLOAD_BYTES_MAX), "limits.payload_bytes_max";
        /// Bytes of all records of one saga.
        saga_bytes_max: ByteCount = ByteCount(SAGA_BYTES_MAX), "limits.saga_bytes_max";
        /// Sagas under way that are held in memory; further starts are turned away (503 `engine_full`).
        live_max: usize = LIVE_MAX, "limits.live_max";
    }
    {
        /// What is said of participants, by name.
        participants: BTreeMap<String, ParticipantConfig>,
        /// Where notices go.
        notify: Vec<NotifyConfig>,
    }
}

settings! {
    /// What is said of a participant: stands instead of what definitions say, for running sagas too.
    ParticipantConfig {
        /// Where it is, instead of where definitions say.
        url: Option<String> = None, "url";
        /// Environment variables whose values sign requests; of two, both are valid and the first is used.
        secret: Option<Vec<String>> = None, "secret";
        /// Environment variables whose values are sent as bearer token; of two, the first is used.
        bearer: Option<Vec<String>> = None, "bearer";
        /// Calls that may be under way together.
        concurrency: Option<u32> = None, "concurrency";
        /// Calls that may begin in a time.
        rate: Option<Rate> = None, "rate";
    }
}

settings! {
    /// Where notices go (Standard Webhooks).
    NotifyConfig {
        /// Where they are sent.
        url: Option<String> = None, "url";
        /// Environment variable whose value signs them.
        secret: Option<String> = None, "secret";
        /// What is told.
        on: Vec<NoticeCause> = vec![NoticeCause::Parked], "on";
    }
}
