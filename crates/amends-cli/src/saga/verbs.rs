//! The operator's verbs, and signals.
//!
//! Owns the flags of each. Promises that a verb takes only what it can use, and that a reason is always given.
//! Does not know in which states a verb is allowed: the server answers that, with the state.

use amends_api::{VerbName, VerbRequest};
use clap::Args;

use super::show;
use crate::failure::{Code, Failure};
use crate::input;
use crate::output::Output;
use crate::process::note;
use crate::remote::Remote;

/// What every verb takes.
#[derive(Args)]
struct Common {
    /// Id of the saga
    id: String,
    /// Why; kept in the saga's journal
    #[arg(long)]
    reason: String,
    /// Who; kept in the saga's journal [default: the name of the user]
    #[arg(long)]
    by: Option<String>,
    /// Only if the saga's `sequence` is still this one
    #[arg(long, value_name = "SEQUENCE")]
    if_match: Option<u64>,
}

#[derive(Args)]
pub(super) struct CancelArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(super) struct RetryArgs {
    #[command(flatten)]
    common: Common,
    /// Step to ask again, where --payload is given
    #[arg(long, requires = "payload")]
    step: Option<String>,
    /// Corrected body for the step: JSON, @FILE or -
    #[arg(long, value_name = "JSON", requires = "step")]
    payload: Option<String>,
}

#[derive(Args)]
pub(super) struct SkipArgs {
    #[command(flatten)]
    common: Common,
    /// Step to go on without
    #[arg(long)]
    step: String,
    /// What the following steps see as its output: JSON, @FILE or -
    #[arg(long, value_name = "JSON", default_value = "null")]
    step_output: String,
}

#[derive(Args)]
pub(super) struct ResolveArgs {
    #[command(flatten)]
    common: Common,
    /// Step that was undone by hand
    #[arg(long)]
    step: String,
}

#[derive(Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(super) struct ReverseArgs {
    #[command(flatten)]
    common: Common,
}

#[derive(Args)]
pub(super) struct AbandonArgs {
    #[command(flatten)]
    common: Common,
    /// The saga's id once more: nothing of it will be undone
    #[arg(long, value_name = "ID")]
    confirm: String,
}

#[derive(Args)]
pub(super) struct SignalArgs {
    /// Id of the saga
    id: String,
    /// Name of the signal
    name: String,
    /// What it says: JSON, @FILE or -
    #[arg(long, value_name = "JSON", default_value = "{}")]
    body: String,
    /// Idempotency key: a signal with the same key is delivered once
    #[arg(long)]
    key: Option<String>,
}

impl Common {
    fn request(&self) -> VerbRequest {
        let user = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        VerbRequest {
            reason: self.reason.clone(),
            by: self.by.clone().or_else(user).filter(|by| !by.is_empty()),
            step: None,
            output: None,
            payload: None,
            confirm: None,
        }
    }

    async fn send(&self, remote: &Remote, verb: VerbName, request: VerbRequest) -> Result<Code, Failure> {
        let saga = remote.client()?.operate(&self.id, verb, &request, self.if_match).await?;
        remote.output.print(&saga, || show::page(&saga))?;
        Ok(Code::Done)
    }
}

impl CancelArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        self.common.send(remote, VerbName::Cancel, self.common.request()).await
    }
}

impl RetryArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        let payload = self.payload.as_deref().map(|given| input::json("--payload", given)).transpose()?;
        let request = VerbRequest { step: self.step, payload, ..self.common.request() };
        self.common.send(remote, VerbName::Retry, request).await
    }
}

impl SkipArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        let output = Some(input::json("--step-output", &self.step_output)?);
        let request = VerbRequest { step: Some(self.step), output, ..self.common.request() };
        self.common.send(remote, VerbName::Skip, request).await
    }
}

impl ResolveArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        let request = VerbRequest { step: Some(self.step), ..self.common.request() };
        self.common.send(remote, VerbName::Resolve, request).await
    }
}

impl PauseArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        self.common.send(remote, VerbName::Pause, self.common.request()).await
    }
}

impl ResumeArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        self.common.send(remote, VerbName::Resume, self.common.request()).await
    }
}

impl ReverseArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        self.common.send(remote, VerbName::Reverse, self.common.request()).await
    }
}

impl AbandonArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        let request = VerbRequest { confirm: Some(self.confirm), ..self.common.request() };
        self.common.send(remote, VerbName::Abandon, request).await
    }
}

impl SignalArgs {
    pub(super) async fn run(self, remote: &Remote) -> Result<Code, Failure> {
        let body = input::json("--body", &self.body)?;
        let accepted =
            remote.client()?.signal(&self.id, &self.name, Some(&body), self.key.as_deref()).await?;
        remote.output.print(&accepted, String::new)?;
        if remote.output == Output::Table {
            note(&format!("signal {} is accepted", accepted.signal));
        }
        Ok(Code::Done)
    }
}
