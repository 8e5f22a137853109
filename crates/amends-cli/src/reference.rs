//! The reference pages of the command line and of the configuration.
//!
//! Owns how they are made from what the program itself says. Promises that the tests fail while a page differs
//! from the program; `UPDATE_EXPECT=1 cargo test -p amends-cli reference` writes them anew. Is no part of the
//! binary.

use clap::{Command, CommandFactory};
use expect_test::expect_file;

use crate::Cli;
use crate::config::read::variable;
use crate::config::{Config, Key, NotifyConfig, ParticipantConfig};
use crate::failure::Code;

#[test]
fn the_page_of_the_command_line_is_what_the_program_says() {
    expect_file!["../../../docs/reference/cli.md"].assert_eq(&command_line());
}

#[test]
fn the_page_of_the_configuration_is_what_the_program_takes() {
    expect_file!["../../../docs/reference/configuration.md"].assert_eq(&configuration());
}

fn command_line() -> String {
    let mut page = "# The command line

Made from the program itself: change it there. `amends man DIR` writes the same as manual pages, `amends completions SHELL`
prints what a shell needs to complete it.

Commands that talk to a server find it by `--server` or `AMENDS_SERVER`, and send the token in `AMENDS_TOKEN`. Their answer
goes to the standard output, as a table, as one JSON document or as one YAML document; everything else goes to the standard
error: what is wrong and what to do, and, on a terminal, progress. There are colours on a terminal only, and none with
`NO_COLOR`.

## Exit codes

| code | means |
|---|---|
"
    .to_owned();
    for (code, meaning) in [
        (Code::Done, "done; of a saga that was waited for: completed"),
        (Code::CouldNot, "it could not be done; the message says why and what to do"),
        (Code::Usage, "the command line or the configuration makes no sense; nothing was done"),
        (Code::Compensated, "the saga that was waited for was compensated: everything is undone"),
        (Code::Parked, "the saga that was waited for is parked and waits for an operator"),
        (Code::StillRunning, "the saga that was waited for still runs: the time is over, or Ctrl-C"),
        (Code::Abandoned, "an operator abandoned the saga that was waited for"),
    ] {
        page += &format!("| {} | {meaning} |\n", code.number());
    }
    let mut command = Cli::command().term_width(100);
    command.build();
    help(&mut page, &command);
    page
}

fn help(page: &mut String, command: &Command) {
    let name = command.get_bin_name().unwrap_or("amends").to_owned();
    // What the environment of whoever makes the page says is no part of it.
    let mut plain = command.clone().term_width(100).mut_args(|argument| argument.hide_env_values(true));
    let text = plain.render_long_help().to_string();
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    *page += &format!("\n## {name}\n\n```text\n{}\n```\n", lines.join("\n").trim());
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        help(page, below);
    }
}

fn configuration() -> String {
    let mut page = "# Configuration

Made from the program itself: change it there. `amends serve --print-config` shows what is in force, and where each value
came from.

One file, `amends.toml` in the working directory or the one that `--config` or `AMENDS_CONFIG` names; each key is also an
environment variable, and the usual ones are a flag. A flag beats the environment, which beats the file. An empty variable
counts as not set. A key that does not exist, a value that is not one, and an `AMENDS_…` variable that nothing reads stop
the start-up, all of them together, with the nearest key there is.

Secrets do not stand in the file: `secret` and `bearer` name the environment variables that hold them.

```toml
port = 8080
data = \"/var/lib/amends\"
retention = \"30d\"

[limits]
live_max = 20000

[participants.payments]
url = \"https://payments.internal\"
secret = [\"AMENDS_SECRET_PAYMENTS\"]
rate = \"500/s\"

[[notify]]
url = \"https://hooks.example/amends\"
secret = \"AMENDS_SECRET_HOOKS\"
on = [\"parked\", \"compensated\"]
```

## Keys

"
    .to_owned();
    table(&mut page, Config::KEYS, |key| Config::default().shown(key), variable);
    page += "\n## `[participants.NAME]`\n\nStands instead of what definitions say of the participant, for running sagas too, \
             their refunds included. `NAME` in a variable is\nthe name in capital letters, with `_` for everything that is \
             not a letter or digit.\n\n";
    let of_participant = |key: &str| variable(&format!("participants.NAME.{key}"));
    table(&mut page, ParticipantConfig::KEYS, |key| ParticipantConfig::default().shown(key), of_participant);
    page += "\n## `[[notify]]`\n\nAs many as there are places to tell. `N` in a variable counts from 0.\n\n";
    table(
        &mut page,
        NotifyConfig::KEYS,
        |key| NotifyConfig::default().shown(key),
        |key| variable(&format!("notify.N.{key}")),
    );
    page
}

fn table(page: &mut String, keys: &[Key], usual: impl Fn(&str) -> String, variable: impl Fn(&str) -> String) {
    *page += "| key | variable | takes | unless set | means |\n|---|---|---|---|---|\n";
    for key in keys {
        let usual = match usual(key.name).as_str() {
            "" => "—".to_owned(),
            usual => format!("`{usual}`"),
        };
        let meaning = key.meaning.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ");
        let Key { name, takes, .. } = key;
        *page += &format!("| `{name}` | `{}` | {takes} | {usual} | {meaning} |\n", variable(name));
    }
}
