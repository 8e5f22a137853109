//! Cargo, called from a task.
//!
//! Owns how the tasks find the workspace, its target directory and the binary a build made.
//! Promises that a failed call says which command it was, so that it can be typed again.
//! Does not hide cargo's own output: warnings and errors go straight to the terminal.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use amends_campaign::Build;
use serde_json::Value;

/// Why a call of cargo did not give what it should.
#[derive(Debug)]
pub(crate) struct CargoFailed {
    /// The command as a person would type it.
    pub(crate) command: String,
    /// What went wrong with it.
    pub(crate) why: String,
}

impl fmt::Display for CargoFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`: {}", self.command, self.why)
    }
}

/// The root of the workspace.
pub(crate) fn workspace_root() -> PathBuf {
    // `cargo run` names the manifest of this very checkout; the compiled-in path is for a binary started by
    // hand.
    let manifest = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let xtask = PathBuf::from(manifest);
    xtask.parent().expect("xtask/ lies below the workspace root").to_owned()
}

/// A call of cargo at the root of the workspace.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace_root());
    command
}

/// Runs cargo with its output on the terminal.
pub(crate) fn run(arguments: &[&str]) -> Result<(), CargoFailed> {
    let failed = |why| CargoFailed { command: typed(arguments), why };
    let status = cargo(arguments).status().map_err(|error| failed(error.to_string()))?;
    if status.success() { Ok(()) } else { Err(failed(status.to_string())) }
}

/// Whether `cargo <subcommand> --version` answers, i.e. whether that component is installed.
pub(crate) fn knows(subcommand: &str) -> bool {
    cargo(&[subcommand, "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// A crate of ours.
#[derive(Debug)]
pub(crate) struct Package {
    pub(crate) name: String,
    /// The crates of ours that it depends on, for more than its tests.
    pub(crate) dependencies: Vec<String>,
    /// Its `lib.rs`, or `main.rs`.
    pub(crate) root: PathBuf,
}

/// All crates of the workspace.
pub(crate) fn packages() -> Result<Vec<Package>, CargoFailed> {
    let metadata = metadata()?;
    let packages = list(&metadata["packages"]).map(|package| Package {
        name: text(&package["name"]),
        dependencies: list(&package["dependencies"])
            .filter(|dependency| dependency["path"].is_string() && dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect(),
        root: list(&package["targets"])
            .find(|target| target["kind"][0] == "lib" || target["kind"][0] == "bin")
            .map_or_else(PathBuf::new, |target| text(&target["src_path"]).into()),
    });
    Ok(packages.collect())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or("").to_owned()
}

/// The target directory in force, wherever it was configured.
pub(crate) fn target_directory() -> Result<PathBuf, CargoFailed> {
    Ok(text(&metadata()?["target_directory"]).into())
}

/// What cargo says of the workspace.
fn metadata() -> Result<Value, CargoFailed> {
    let arguments = ["metadata", "--format-version", "1", "--no-deps"];
    let failed = |why: String| CargoFailed { command: typed(&arguments), why };
    let output =
        cargo(&arguments).stderr(Stdio::inherit()).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    let metadata: Value =
        serde_json::from_slice(&output.stdout).map_err(|error| failed(error.to_string()))?;
    let is_whole = metadata["target_directory"].is_string() && metadata["packages"].is_array();
    if is_whole { Ok(metadata) } else { Err(failed("its answer says nothing of the workspace".to_owned())) }
}

/// Builds the binary `amends` with optimisation and returns its path.
pub(crate) fn build_amends() -> Result<PathBuf, CargoFailed> {
    build(&["build", "--release", "--package", "amends-cli"])
}

/// Builds an example of a crate and returns its path.
pub(crate) fn build_example(package: &str, example: &str) -> Result<PathBuf, CargoFailed> {
    build_named(&["build", "--package", package, "--example", example], example)
}

/// Builds `amends` with its deliberately broken variants, apart from the release build, and returns its path.
pub(crate) fn build_sabotaged_amends() -> Result<PathBuf, CargoFailed> {
    // A directory of its own: with a shared one the two builds would overwrite each other's binary.
    let directory = target_directory()?.join("sabotage");
    let directory = directory.to_string_lossy();
    let features = ["--features", "sabotage", "--target-dir", &directory];
    build(&[&["build", "--release", "--package", "amends-cli"], features.as_slice()].concat())
}

/// The binary for a crash campaign whose command line names none.
pub(crate) fn build_for_campaign(variant: Build) -> Result<PathBuf, String> {
    let built = match variant {
        Build::Release => build_amends(),
        Build::Sabotaged => build_sabotaged_amends(),
    };
    built.map_err(|error| error.to_string())
}

/// The command as a person would type it.
pub(crate) fn typed(arguments: &[&str]) -> String {
    format!("cargo {}", arguments.join(" "))
}

fn build(arguments: &[&str]) -> Result<PathBuf, CargoFailed> {
    build_named(arguments, "amends")
}

fn build_named(arguments: &[&str], name: &str) -> Result<PathBuf, CargoFailed> {
    let failed = |why| CargoFailed { command: typed(arguments), why };
    // Cargo itself says where it put the binary: a configured target triple or directory moves it.
    let with_messages = [arguments, &["--message-format", "json-render-diagnostics"]].concat();
    let output =
        cargo(&with_messages).stderr(Stdio::inherit()).output().map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(output.status.to_string()));
    }
    executable_named_in(&String::from_utf8_lossy(&output.stdout), name)
        .ok_or_else(|| failed(format!("it built no binary called `{name}`")))
}

fn executable_named_in(messages: &str, name: &str) -> Option<PathBuf> {
    messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find_map(|message| {
        let is_ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == name;
        let executable = message["executable"].as_str();
        executable.filter(|_| is_ours).map(PathBuf::from)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_binary_is_found_where_cargo_says_it_is() {
        let messages = concat!(
            r#"{"reason":"compiler-artifact","target":{"name":"amends"},"executable":null}"#,
            "\nnot json\n",
            r#"{"reason":"compiler-artifact","target":{"name":"build-script"},"executable":"/t/build"}"#,
            "\n",
            r#"{"reason":"compiler-artifact","target":{"name":"amends"},"executable":"/t/release/amends"}"#,
        );
        assert_eq!(executable_named_in(messages, "amends"), Some(PathBuf::from("/t/release/amends")));
    }

    #[test]
    fn a_build_without_the_binary_finds_none() {
        assert_eq!(executable_named_in(r#"{"reason":"build-finished","success":true}"#, "amends"), None);
    }

    #[test]
    fn the_workspace_root_holds_the_workspace() {
        let manifest = std::fs::read_to_string(workspace_root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
    }
}
