//! `amends definition`: register, read, compare and retire definitions.
//!
//! Owns the words and what is printed. Promises that a text reaches the server to the byte, and that every
//! finding is shown at its place in the file. Does not judge texts: the server does.

mod findings;
mod render;
mod source;

use amends_api::{Definition, DefinitionSummary, ErrorKind, Finding};
use clap::{Args, Subcommand, ValueEnum};
use similar::TextDiff;

use crate::failure::{Code, Failure};
use crate::input::file_text;
use crate::output::paint::{Paint, Style};
use crate::output::table::Table;
use crate::output::{Output, print};
use crate::process::note;
use crate::remote::{Remote, block_on};
use crate::times;

#[derive(Args)]
pub(crate) struct DefinitionArgs {
    #[command(flatten)]
    remote: Remote,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Register definitions; a text that differs from the newest version is the next version
    Put(PutArgs),
    /// List definitions with their versions
    List,
    /// Print the text of a definition
    Show(ShowArgs),
    /// Show what changed between two versions, or from the newest version to a file
    Diff(DiffArgs),
    /// Draw the steps of a definition
    Diagram(DiagramArgs),
    /// Show the requests that a saga with an input would send; calls nothing
    Render(render::RenderArgs),
    /// Take a version out of use: it starts no more, and those under way go on
    Retire(RetireArgs),
}

#[derive(Args)]
struct PutArgs {
    /// Files, YAML or JSON (-: the standard input)
    #[arg(required = true, value_name = "FILE")]
    files: Vec<String>,
}

#[derive(Args)]
struct ShowArgs {
    /// Name of the definition
    name: String,
    /// Version, instead of the newest
    #[arg(long, value_name = "N")]
    version: Option<u32>,
}

#[derive(Args)]
struct DiffArgs {
    /// Name of the definition
    name: String,
    /// File to compare the newest version (or --from) with
    #[arg(value_name = "FILE", conflicts_with = "to")]
    file: Option<String>,
    /// The older version [default: the one before --to, or the newest if there is a file]
    #[arg(long, value_name = "N")]
    from: Option<u32>,
    /// The newer version [default: the newest]
    #[arg(long, value_name = "N")]
    to: Option<u32>,
}

#[derive(Args)]
struct DiagramArgs {
    /// Name of the definition
    name: String,
    /// Version, instead of the newest
    #[arg(long, value_name = "N")]
    version: Option<u32>,
    /// Language of the diagram
    #[arg(long, value_enum, default_value_t = DiagramFormat::Mermaid)]
    format: DiagramFormat,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum DiagramFormat {
    /// Text for Mermaid
    Mermaid,
    /// A picture
    Svg,
}

#[derive(Args)]
struct RetireArgs {
    /// Name of the definition
    name: String,
    /// Version
    #[arg(long, value_name = "N")]
    version: u32,
}

/// Carries the command out.
pub(crate) fn run(args: DefinitionArgs) -> Result<Code, Failure> {
    let DefinitionArgs { remote, command } = args;
    block_on(async {
        match command {
            Command::Put(args) => put(&remote, &args).await,
            Command::List => list(&remote).await,
            Command::Show(args) => show(&remote, &args).await,
            Command::Diff(args) => diff(&remote, args).await,
            Command::Diagram(args) => diagram(&remote, &args).await,
            Command::Render(args) => render::run(&remote, args).await.map(|()| Code::Done),
            Command::Retire(args) => retire(&remote, &args).await,
        }
    })
}

async fn put(remote: &Remote, args: &PutArgs) -> Result<Code, Failure> {
    let client = remote.client()?;
    let mut registered = Vec::new();
    let mut lines = String::new();
    for file in &args.files {
        let (place, text) = source::read(file)?;
        let name = source::name(&place, &text)?;
        let found = match client.put_definition(&name, &text).await {
            Ok(found) => found,
            Err(error) => return Err(faulty(&place, &text, error)),
        };
        eprint_findings("warning", &place, &text, &found.warnings);
        let what = if found.is_new { "registered" } else { "unchanged" };
        lines += &format!("{} v{} {what}\n", found.name, found.version);
        registered.push(found);
    }
    match registered.as_slice() {
        [one] => remote.output.print(one, || lines)?,
        many => remote.output.print(&many, || lines)?,
    }
    Ok(Code::Done)
}

/// The failure for a text that the server does not take: all findings, each at its place.
fn faulty(place: &str, text: &str, error: amends_client::ClientError) -> Failure {
    let findings =
        error.refused().filter(|refused| refused.problem.kind() == Some(ErrorKind::DefinitionInvalid));
    let findings = findings.and_then(|refused| refused.problem.members.get("findings").cloned());
    let findings = findings.and_then(|findings| serde_json::from_value::<Vec<Finding>>(findings).ok());
    match findings {
        Some(findings) if !findings.is_empty() => {
            eprint_findings("error", place, text, &findings);
            let count = findings.len();
            let plural = if count == 1 { "finding" } else { "findings" };
            Failure::new(format!("{place} is not registered: {count} {plural}"))
        }
        Some(_) | None => {
            let failure = Failure::from(error);
            Failure { message: format!("{place}: {}", failure.message), ..failure }
        }
    }
}

fn eprint_findings(severity: &str, place: &str, text: &str, findings: &[Finding]) {
    let paint = Paint::stderr();
    for finding in findings {
        crate::process::eprint(&findings::draw(severity, place, text, finding, paint));
    }
}

async fn list(remote: &Remote) -> Result<Code, Failure> {
    let client = remote.client()?;
    let mut list = client.definitions(None).await?;
    while let Some(cursor) = list.next_cursor.take() {
        let more = client.definitions(Some(&cursor)).await?;
        list.definitions.extend(more.definitions);
        list.next_cursor = more.next_cursor;
    }
    remote.output.print(&list, || table(&list.definitions))?;
    if list.definitions.is_empty() && remote.output == Output::Table {
        note("nothing is registered: amends definition put FILE");
    }
    Ok(Code::Done)
}

fn table(definitions: &[DefinitionSummary]) -> String {
    let mut table = Table::new(&["NAME", "VERSION", "STATUS", "REGISTERED"]);
    for definition in definitions {
        let (style, status) =
            if definition.retired { (Style::Dim, "retired") } else { (Style::Good, "active") };
        table.row([
            (Style::Plain, definition.name.clone()),
            (Style::Plain, definition.version.to_string()),
            (style, status.to_owned()),
            (Style::Plain, definition.registered_at.as_deref().map(times::shown).unwrap_or_default()),
        ]);
    }
    table.draw(Paint::stdout())
}

async fn show(remote: &Remote, args: &ShowArgs) -> Result<Code, Failure> {
    let definition = remote.client()?.definition(&args.name, args.version).await?;
    let text = source_of(&definition);
    match remote.output {
        Output::Table => print(&ended(text?))?,
        Output::Json | Output::Yaml => remote.output.print(&definition, String::new)?,
    }
    Ok(Code::Done)
}

async fn diff(remote: &Remote, args: DiffArgs) -> Result<Code, Failure> {
    let client = remote.client()?;
    let (old, new) = match &args.file {
        Some(file) => {
            let old = client.definition(&args.name, args.from).await?;
            let text = file_text(file)?;
            ((format!("{} v{}", old.name, old.version), source_of(&old)?.to_owned()), (file.clone(), text))
        }
        None => {
            let new = client.definition(&args.name, args.to).await?;
            let old = client.definition(&args.name, Some(before(&args, &new)?)).await?;
            let named = |definition: &Definition| format!("{} v{}", definition.name, definition.version);
            ((named(&old), source_of(&old)?.to_owned()), (named(&new), source_of(&new)?.to_owned()))
        }
    };
    let changes = TextDiff::from_lines(&old.1, &new.1)
        .unified_diff()
        .header(&old.0, &new.0)
        .missing_newline_hint(false)
        .to_string();
    match remote.output {
        Output::Table => {
            print(&coloured(&changes, Paint::stdout()))?;
            if changes.is_empty() {
                note("they are the same");
            }
        }
        Output::Json | Output::Yaml => {
            let document = serde_json::json!({"from": old.0, "to": new.0, "diff": changes});
            remote.output.print(&document, String::new)?;
        }
    }
    Ok(Code::Done)
}

/// The version that another is compared with.
fn before(args: &DiffArgs, new: &Definition) -> Result<u32, Failure> {
    if let Some(from) = args.from {
        return Ok(from);
    }
    new.versions.iter().copied().filter(|version| *version < new.version).max().ok_or_else(|| {
        Failure::new(format!("{} has one version only; there is nothing to compare it with", new.name))
            .next(format!("compare it with a file: amends definition diff {} FILE", new.name))
    })
}

fn coloured(changes: &str, paint: Paint) -> String {
    let mut text = String::new();
    for line in changes.lines() {
        let style = match line.as_bytes().first() {
            Some(b'+') => Style::Good,
            Some(b'-') => Style::Bad,
            Some(b'@') => Style::Busy,
            _ => Style::Plain,
        };
        text += &format!("{}\n", paint.text(style, line));
    }
    text
}

async fn diagram(remote: &Remote, args: &DiagramArgs) -> Result<Code, Failure> {
    let format = match args.format {
        DiagramFormat::Mermaid => "mermaid",
        DiagramFormat::Svg => "svg",
    };
    let diagram = remote.client()?.definition_diagram(&args.name, args.version, format).await?;
    let document = serde_json::json!({"name": args.name, "format": format, "diagram": diagram});
    remote.output.print(&document, || ended(&diagram))?;
    Ok(Code::Done)
}

async fn retire(remote: &Remote, args: &RetireArgs) -> Result<Code, Failure> {
    let RetireArgs { name, version } = args;
    let retired = remote.client()?.retire_definition(name, *version).await?;
    remote.output.print(&retired, || {
        let live = match retired.live {
            0 => "no saga of it is under way".to_owned(),
            1 => "one saga of it is under way and goes on".to_owned(),
            live => format!("{live} sagas of it are under way and go on"),
        };
        format!("{name} v{version} starts no more; {live}\n")
    })?;
    if retired.live > 0 && remote.output == Output::Table {
        note(&format!("they are: amends saga list --definition {name} --version {version}"));
    }
    Ok(Code::Done)
}

fn source_of(definition: &Definition) -> Result<&str, Failure> {
    definition.source.as_deref().ok_or_else(|| {
        Failure::new(format!(
            "{} v{} has no text: a program brings it with its own code",
            definition.name, definition.version
        ))
    })
}

fn ended(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}\n") }
}
