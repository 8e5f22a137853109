//! Definitions: register, list, read, retire.
//!
//! Owns the calls under `/v1/definitions`. Promises that a text arrives as it was written. Does not judge it.

use amends_api::{Definition, DefinitionList, Registered, Retired};
use bytes::Bytes;
use hyper::Method;

use crate::client::{Ask, Client, JSON, get};
use crate::error::ClientError;

impl Client {
    /// Registers a text as a definition of this name.
    ///
    /// # Errors
    /// When the checker has findings: the problem's member `findings` has them all.
    pub async fn put_definition(&self, name: &str, source: &str) -> Result<Registered, ClientError> {
        let is_json = source.trim_start().starts_with('{');
        let media_type = if is_json { JSON } else { "application/yaml" };
        let body = Some((media_type, Bytes::copy_from_slice(source.as_bytes())));
        let path = ["v1", "definitions", name];
        self.ask_for(&Ask { method: Method::PUT, body, ..get(&path) }).await
    }

    /// A page of all definitions, by name and version.
    ///
    /// # Errors
    /// When the cursor makes no sense.
    pub async fn definitions(&self, cursor: Option<&str>) -> Result<DefinitionList, ClientError> {
        let query = cursor.map(|cursor| ("cursor", cursor.to_owned())).into_iter().collect();
        self.ask_for(&Ask { query, ..get(&["v1", "definitions"]) }).await
    }

    /// A definition: this version, or the newest.
    ///
    /// # Errors
    /// When there is none.
    pub async fn definition(&self, name: &str, version: Option<u32>) -> Result<Definition, ClientError> {
        match version {
            None => self.ask_for(&get(&["v1", "definitions", name])).await,
            Some(version) => {
                let version = version.to_string();
                self.ask_for(&get(&["v1", "definitions", name, "versions", &version])).await
            }
        }
    }

    /// The diagram of a definition, in this format (`mermaid`, `svg`).
    ///
    /// # Errors
    /// When there is no such definition or format.
    pub async fn definition_diagram(
        &self,
        name: &str,
        version: Option<u32>,
        format: &str,
    ) -> Result<String, ClientError> {
        let query = vec![("format", format.to_owned())];
        let version = version.map(|version| version.to_string());
        let mut path = vec!["v1", "definitions", name];
        if let Some(version) = &version {
            path.extend(["versions", version]);
        }
        path.push("diagram");
        let answer = self.ask(&Ask { query, ..get(&path) }).await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// Takes a version out of use: it starts no more.
    ///
    /// # Errors
    /// When there is none.
    pub async fn retire_definition(&self, name: &str, version: u32) -> Result<Retired, ClientError> {
        let version = version.to_string();
        let path = ["v1", "definitions", name, "versions", &version, "retire"];
        self.ask_for(&Ask { method: Method::POST, ..get(&path) }).await
    }
}
