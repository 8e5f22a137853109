//! Definitions of the program itself; those that are data are tried with the engine that connects them.

use amends_api::{Definition, DefinitionList, Retired};

use super::{post, refused, send};
use crate::place::{call, done, engine, json, router, text};

#[tokio::test]
async fn definitions_are_listed_in_pages_and_shown() {
    let router = router(&engine(done));
    let all: DefinitionList = json(call(&router, "GET", "/v1/definitions").await).await;
    let names: Vec<&str> = all.definitions.iter().map(|known| known.name.as_str()).collect();
    assert_eq!((names, all.next_cursor), (vec!["Three", "Waiting"], None));
    let first: DefinitionList = json(call(&router, "GET", "/v1/definitions?limit=1").await).await;
    let cursor = first.next_cursor.unwrap();
    let path = format!("/v1/definitions?limit=1&cursor={cursor}");
    let second: DefinitionList = json(call(&router, "GET", &path).await).await;
    assert_eq!((second.definitions[0].name.as_str(), second.next_cursor), ("Waiting", None));
    let three: Definition = json(call(&router, "GET", "/v1/definitions/Three").await).await;
    assert_eq!((three.version, three.source, three.versions), (2, None, vec![2]));
    let two = call(&router, "GET", "/v1/definitions/Three/versions/2").await;
    assert_eq!(json::<Definition>(two).await.version, 2);
    for path in ["Tree", "Three/versions/1", "Three/versions/x", "Three/versions/+2"] {
        let (status, problem) = refused(call(&router, "GET", &format!("/v1/definitions/{path}")).await).await;
        assert_eq!(status, 404, "{path}: {}", problem.detail);
    }
}

#[tokio::test]
async fn a_definition_is_drawn() {
    let router = router(&engine(done));
    let mermaid = text(call(&router, "GET", "/v1/definitions/Three/diagram").await).await;
    assert!(mermaid.starts_with("flowchart TD\n") && mermaid.contains("S1 --> S2"), "{mermaid}");
    let svg = text(call(&router, "GET", "/v1/definitions/Three/versions/2/diagram?format=svg").await).await;
    assert!(svg.contains("Three v2"), "{svg}");
}

#[tokio::test]
async fn a_text_with_faults_is_refused_with_every_finding() {
    let router = router(&engine(done));
    let yaml = &[("content-type", "application/yaml")];
    let (status, problem) = refused(send(&router, "PUT", "/v1/definitions/New", yaml, "saga: [").await).await;
    assert_eq!((status, problem.code.as_str()), (422, "definition_invalid"));
    let findings = problem.members["findings"].as_array().unwrap();
    assert!(
        findings.iter().all(|finding| finding["line"].is_u64() && finding["rule"].is_string()),
        "{findings:?}"
    );
    let (status, _) =
        refused(send(&router, "PUT", "/v1/definitions/New", &[("content-type", "text/plain")], "x").await)
            .await;
    assert_eq!(status, 415);
}

#[tokio::test]
async fn a_retired_version_starts_no_more() {
    let router = router(&engine(done));
    super::started(&router, "Waiting").await;
    let path = "/v1/definitions/Waiting/versions/1/retire";
    assert_eq!(json::<Retired>(post(&router, path, &[], "").await).await.live, 1);
    let body = r#"{"definition": "Waiting", "version": 1, "input": {}}"#;
    let (status, problem) = refused(post(&router, "/v1/sagas", &[], body).await).await;
    assert_eq!((status, problem.code.as_str()), (409, "definition_retired"));
    assert_eq!(
        refused(post(&router, "/v1/definitions/Waiting/versions/9/retire", &[], "").await).await.0,
        404
    );
}
