//! `amends completions` and `amends man`.
//!
//! Owns how the command line describes itself to shells and to `man`. Promises the words of `--help`: all come
//! from one tree. Installs nothing.

use std::path::{Path, PathBuf};

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{Code, Failure};
use crate::output::print;

const INSTALL: &str = "Where they go:
  bash  amends completions bash > ~/.local/share/bash-completion/completions/amends
  zsh   amends completions zsh > \"${fpath[1]}/_amends\"
  fish  amends completions fish > ~/.config/fish/completions/amends.fish";

#[derive(Args)]
#[command(after_help = INSTALL)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

#[derive(Args)]
pub(crate) struct ManArgs {
    /// Directory for one page per command; without it the page of `amends` is printed
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<Code, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "amends", &mut script);
    print(&String::from_utf8_lossy(&script))?;
    Ok(Code::Done)
}

/// Prints the manual page, or writes all.
pub(crate) fn man(args: &ManArgs, command: Command) -> Result<Code, Failure> {
    match &args.directory {
        None => print(&String::from_utf8_lossy(&page(command)?))?,
        Some(directory) => {
            let cannot = |path: &Path, error: &dyn std::fmt::Display| {
                Failure::new(format!("{} cannot be written: {error}", path.display()))
            };
            std::fs::create_dir_all(directory).map_err(|error| cannot(directory, &error))?;
            let mut command = command;
            command.build();
            write(&command, "amends", &|name, page| {
                let path = directory.join(format!("{name}.1"));
                std::fs::write(&path, page).map_err(|error| cannot(&path, &error))
            })?;
        }
    }
    Ok(Code::Done)
}

/// Takes a page under its name.
type PageTo<'a> = dyn Fn(&str, Vec<u8>) -> Result<(), Failure> + 'a;

/// The page of a command and of all below it.
fn write(command: &Command, name: &str, to: &PageTo<'_>) -> Result<(), Failure> {
    to(name, page(command.clone().display_name(name.to_owned()))?)?;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        write(below, &format!("{name}-{}", below.get_name()), to)?;
    }
    Ok(())
}

fn page(command: Command) -> Result<Vec<u8>, Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command)
        .render(&mut page)
        .map_err(|error| Failure::new(format!("the manual page cannot be made: {error}")))?;
    Ok(page)
}
