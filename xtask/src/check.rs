//! `cargo xtask check`: what can be judged by reading alone.
//!
//! Owns what becomes of the findings of `documents.rs` and `circles.rs`: all are named together. Builds
//! nothing.

use std::process::ExitCode;

use crate::cargo::{self, Package};
use crate::circles::Imports;
use crate::documents;

/// Carries out `cargo xtask check`.
pub(crate) fn run() -> ExitCode {
    match findings() {
        Ok(findings) if findings.is_empty() => ExitCode::SUCCESS,
        Ok(findings) => {
            println!("{}", findings.join("\n"));
            ExitCode::FAILURE
        }
        Err(why) => {
            eprintln!("check: {why}");
            ExitCode::from(2)
        }
    }
}

/// Everything that is not as it should be, one a line.
///
/// # Errors
/// When something could not be read.
pub(crate) fn findings() -> Result<Vec<String>, String> {
    let packages = cargo::packages().map_err(|error| error.to_string())?;
    let mut findings = documents::findings(&cargo::workspace_root(), &packages)?;
    for package in &packages {
        findings.extend(circles_of(package)?);
    }
    Ok(findings)
}

fn circles_of(package: &Package) -> Result<Vec<String>, String> {
    let circles = Imports::read(&package.root)?.circles();
    let name = &package.name;
    Ok(circles.into_iter().map(|circle| format!("{name}: an import circle: {circle}")).collect())
}
