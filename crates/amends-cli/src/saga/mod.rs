//! `amends saga`: start, find, follow and repair sagas.
//!
//! Owns the words and which module answers each. Promises that what a command changes is asked for by its
//! own word, with a reason where an operator decides. Does not decide what a saga may do: the server does.

mod drawing;
mod facts;
mod follow;
mod list;
mod show;
mod start;
mod verbs;
mod watch;

use clap::{Args, Subcommand};

use crate::failure::{Code, Failure};
use crate::remote::{Remote, block_on};

#[derive(Args)]
pub(crate) struct SagaArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start a saga; with --wait, follow it to its end
    Start(start::StartArgs),
    /// List sagas, the newest first
    List(list::ListArgs),
    /// Show a saga with its steps
    Show(show::ShowArgs),
    /// Follow a saga, fact by fact, until it has ended or is parked
    Watch(watch::WatchArgs),
    /// Turn a saga back: nothing more is started, and what was done is undone
    Cancel(verbs::CancelArgs),
    /// Ask a parked saga's participants again, with fresh patience
    Retry(verbs::RetryArgs),
    /// Go on without a step, with an output given by hand
    Skip(verbs::SkipArgs),
    /// Say that a step was undone by hand
    Resolve(verbs::ResolveArgs),
    /// Send nothing more for a saga until `resume`; limits stand still
    Pause(verbs::PauseArgs),
    /// Go on after `pause`
    Resume(verbs::ResumeArgs),
    /// Undo a completed saga
    Reverse(verbs::ReverseArgs),
    /// Stop a saga without undoing anything
    Abandon(verbs::AbandonArgs),
    /// Send a signal to a saga that waits for it, or will
    Signal(verbs::SignalArgs),
}

/// Carries the command out.
pub(crate) fn run(args: SagaArgs) -> Result<Code, Failure> {
    let SagaArgs { remote, command } = args;
    block_on(async {
        match command {
            Command::Start(args) => start::run(&remote, args).await,
            Command::List(args) => list::run(&remote, args).await,
            Command::Show(args) => show::run(&remote, args).await,
            Command::Watch(args) => watch::run(&remote, args).await,
            Command::Cancel(args) => args.run(&remote).await,
            Command::Retry(args) => args.run(&remote).await,
            Command::Skip(args) => args.run(&remote).await,
            Command::Resolve(args) => args.run(&remote).await,
            Command::Pause(args) => args.run(&remote).await,
            Command::Resume(args) => args.run(&remote).await,
            Command::Reverse(args) => args.run(&remote).await,
            Command::Abandon(args) => args.run(&remote).await,
            Command::Signal(args) => args.run(&remote).await,
        }
    })
}
