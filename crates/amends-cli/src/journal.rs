//! `amends journal`: care of the data.
//!
//! Owns the words of checking, exporting, importing and backing up. Promises that what is asked of a directory is
//! done to one that nobody uses, and that a backup is asked of the server that uses it: only that knows what
//! was answered. Does none of it: the journal does.

use std::path::{Path, PathBuf};

use amends_journal::Upkeep;
use amends_journal_sqlite::{SqliteJournal, SqliteOptions, check, import};
use clap::{Args, Subcommand};

use crate::failure::{Code, Failure};
use crate::output::print;
use crate::process::end_fatally;
use crate::remote::{Remote, block_on};

#[derive(Args)]
pub(crate) struct JournalArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Look through a data directory that nobody uses: pages, records, indexes, counts
    Check(DataArgs),
    /// Write everything in a data directory that nobody uses to one new file
    Export(ExportArgs),
    /// Make a data directory of an exported file or a backup, whole or not at all
    Import(ImportArgs),
    /// Have a running server write everything to one new file on its machine, while it works
    Backup(BackupArgs),
}

#[derive(Args)]
struct DataArgs {
    /// The data directory
    #[arg(long, default_value = "./amends-data", value_name = "DIR")]
    data: PathBuf,
}

#[derive(Args)]
struct ExportArgs {
    #[command(flatten)]
    data: DataArgs,
    /// The file to write; it must not be there yet
    file: PathBuf,
}

#[derive(Args)]
struct ImportArgs {
    #[command(flatten)]
    data: DataArgs,
    /// An exported file or a backup
    file: PathBuf,
}

#[derive(Args)]
struct BackupArgs {
    #[command(flatten)]
    remote: Remote,
    /// The file to write, on the server's machine; it must not be there yet
    file: PathBuf,
}

/// Carries the command out.
pub(crate) fn run(args: JournalArgs) -> Result<Code, Failure> {
    match args.command {
        Command::Check(DataArgs { data }) => check_directory(&data),
        Command::Export(ExportArgs { data, file }) => export(&data.data, &file),
        Command::Import(ImportArgs { data, file }) => {
            let imported = import(&file, &data.data).map_err(|error| Failure::new(error.to_string()))?;
            print(&format!("{} sagas imported into {}\n", imported.transactions, data.data.display()))?;
            Ok(Code::Done)
        }
        Command::Backup(BackupArgs { remote, file }) => backup(&remote, &file),
    }
}

/// A directory that is not there would be laid out.
fn is_there(data: &Path) -> Result<(), Failure> {
    if data.join("journal.db").exists() {
        Ok(())
    } else {
        Err(Failure::new(format!("there is no journal in {}", data.display()))
            .next("name the directory that the server was started with: --data"))
    }
}

fn check_directory(data: &Path) -> Result<Code, Failure> {
    is_there(data)?;
    let checked = check(data).map_err(|error| Failure::new(error.to_string()))?;
    for finding in &checked.findings {
        print(&format!("damaged: {finding}\n"))?;
    }
    print(&format!(
        "{} sagas, {} records, {} definitions and {} batches of the log looked at\n",
        checked.transactions, checked.records, checked.definitions, checked.batches
    ))?;
    if checked.findings.is_empty() {
        print("nothing is damaged\n")?;
        return Ok(Code::Done);
    }
    let found = format!("{} is damaged: {} findings", data.display(), checked.findings.len());
    Err(Failure::new(found).next(
        "keep a copy of the directory, then make a new one of the last backup: `amends journal import`",
    ))
}

fn export(data: &Path, file: &Path) -> Result<Code, Failure> {
    is_there(data)?;
    let on_fatal = Box::new(|message: String| end_fatally(&message));
    let journal = SqliteJournal::open(data, SqliteOptions::default(), on_fatal)
        .map_err(|error| Failure::new(error.to_string()))?;
    let written = journal.backup(file).map_err(|error| Failure::new(error.to_string()))?;
    print(&format!("{} sagas exported to {}\n", written.transactions, file.display()))?;
    Ok(Code::Done)
}

fn backup(remote: &Remote, file: &Path) -> Result<Code, Failure> {
    // The server has a directory of its own.
    let file = std::path::absolute(file)
        .map_err(|error| Failure::usage(format!("{} is no path: {error}", file.display())))?;
    let Some(path) = file.to_str() else { return Err(Failure::usage("the path is not UTF-8")) };
    block_on(async {
        remote.client()?.backup_journal(path).await?;
        print(&format!("everything that was answered is in {path}\n"))?;
        Ok(Code::Done)
    })
}
