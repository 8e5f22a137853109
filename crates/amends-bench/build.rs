//! Tells the program which compiler made it: `amends bench` prints it beside its numbers.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let rustc = std::env::var_os("RUSTC").expect("cargo names the compiler");
    let output = Command::new(rustc).arg("--version").output().expect("the compiler that builds this runs");
    let text = String::from_utf8(output.stdout).expect("the compiler's version is text");
    // "rustc 1.95.0 (… 2026-…)"
    let version = text.split(' ').nth(1).unwrap_or("unknown");
    println!("cargo::rustc-env=AMENDS_RUSTC={version}");
}
