//! `/v1/journal/backup`: everything in one file, while the server works.
//!
//! Owns how a backup is asked for. Promises that only a new file is written, under a name that is given in full.
//! Whoever may give verbs may ask for it. Does not write: the journal does.

use std::path::{Path, PathBuf};

use axum::Router;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::Api;
use super::call::{Answer, Asked, BARE, Body, Call, Content, Method, route};
use super::given::{Given, bad};
use super::shape::{Shape, required, text};
use crate::problem::Problem;

const BACKUP_SHAPE: Shape = Shape {
    name: "JournalBackup",
    fields: &[required(
        "path",
        text(4_096),
        "the file on the server's machine, in full; it must not be there yet",
    )],
};

const BACKUP: Call = Call {
    method: Method::Post,
    path: "/v1/journal/backup",
    name: "backup_journal",
    about: "Writes everything that was answered to one new file on the server's machine",
    body: Body::Object(&BACKUP_SHAPE),
    answers: &[Answer {
        status: 200,
        about: "it is whole and durable",
        content: Content::None,
        headers: &[],
    }],
    ..BARE
};

/// The calls of this file.
pub(super) const CALLS: &[&Call] = &[&BACKUP];

pub(super) fn routes(router: Router<Api>) -> Router<Api> {
    route(router, &BACKUP, backup)
}

async fn backup(api: Api, asked: Asked) -> Result<Response, Problem> {
    let path = path(&asked.fields)?;
    api.engine.backup(path).await?;
    Ok(StatusCode::OK.into_response())
}

fn path(asked: &Given) -> Result<PathBuf, Problem> {
    let path = Path::new(asked.text("path").expect("it is required"));
    if !path.is_absolute() {
        return Err(bad("/path", "name the file in full: the server has a directory of its own"));
    }
    if path.exists() {
        return Err(bad("/path", "the file is there already: name a new one"));
    }
    Ok(path.to_owned())
}
