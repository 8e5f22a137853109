//! `cargo xtask contract`: the whole API, tried from its own OpenAPI document.
//!
//! Owns the server that is tried and the command of schemathesis. Promises that the server and its data are gone
//! afterwards. Does not install anything: where schemathesis is missing it says so and counts as not run.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitCode};
use std::thread;
use std::time::Duration;

/// Where the server listens while it is tried.
const PORT: u16 = 18_099;

/// What is looked for: a fault of ours, an answer that the document does not have, or one of another shape.
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_schema_conformance,response_headers_conformance,unsupported_method";

/// A definition to start: nobody listens where its participant would be.
const DEFINITION: &str = r#"
saga: Tried
timeout: 1m
participants:
  nobody: { url: "http://127.0.0.1:9", timeout: 1s }
steps:
  - name: First
    retry: { attempts: 2, first: 100ms, factor: 1, max: 100ms }
    action: { call: nobody, post: /a, body: { x: 1 } }
    compensation: { call: nobody, post: /b, body: { saga: "${saga.id}" } }
"#;

/// Ends the server however this ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already needs no end.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Carries out `cargo xtask contract`.
pub(crate) fn run() -> ExitCode {
    let is_there =
        Command::new("schemathesis").arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!(
            "contract: not run: schemathesis is not installed (pip install -r xtask/schemathesis/requirements.txt, in an environment of its own)"
        );
        return ExitCode::SUCCESS;
    }
    match tried() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("contract: {why}");
            ExitCode::from(2)
        }
    }
}

fn tried() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let place = root.join("target/contract");
    let io = |error: std::io::Error| format!("{}: {error}", place.display());
    if place.exists() {
        std::fs::remove_dir_all(&place).map_err(io)?;
    }
    std::fs::create_dir_all(place.join("definitions")).map_err(io)?;
    std::fs::write(place.join("definitions/tried.yaml"), DEFINITION).map_err(io)?;
    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO"));
        command.args(arguments).current_dir(&root);
        command
    };
    let built = cargo(&["build", "--quiet", "--package", "amends-cli"]).status().map_err(io)?;
    if !built.success() {
        return Err("the server does not build".to_owned());
    }
    let server = Command::new(root.join("target/debug/amends"))
        .args(["serve", "--port", &PORT.to_string(), "--data"])
        .arg(place.join("data"))
        .arg("--definitions")
        .arg(place.join("definitions"))
        .spawn()
        .map_err(io)?;
    let _server = Server(server);
    let address = SocketAddr::from(([127, 0, 0, 1], PORT));
    if !(0..200).any(|_| TcpStream::connect(address).is_ok() || rest()) {
        return Err(format!("the server does not listen on {address}"));
    }
    let document = format!("http://{address}/openapi.json");
    let ran = Command::new("schemathesis")
        // Streams have no end; they are tried by the server's own tests.
        .args(["run", &document, "--exclude-path-regex", "/events$", "--checks", CHECKS])
        .args(["--max-examples", "25", "--request-timeout", "65", "--suppress-health-check", "all"])
        .status()
        .map_err(io)?;
    Ok(ran.success())
}

/// Waits a little; never the answer.
fn rest() -> bool {
    thread::sleep(Duration::from_millis(100));
    false
}
