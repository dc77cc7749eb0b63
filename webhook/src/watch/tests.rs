//! What a watch brings, and what it survives.

use super::*;
use crate::fake_api::FakeApi;
use axum::Router;
use axum::body::Body;
use axum::extract::RawQuery;
use axum::routing::get;
use futures_util::stream;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Client, ResourceExt};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use tokio::sync::mpsc;

/// Follows ConfigMaps and tells what was seen, as text.
fn seen(client: Client) -> mpsc::UnboundedReceiver<String> {
    let (tell, told) = mpsc::unbounded_channel();
    let scope = Scope {
        what: "ConfigMaps",
        ..Scope::default()
    };
    let api: Api<ConfigMap> = Api::default_namespaced(client);
    tokio::spawn(follow(
        Whole(api),
        scope,
        |map| map.name_any(),
        move |seen| {
            let text = match seen {
                Seen::All(names) => format!("all: {}", names.join(" ")),
                Seen::Applied(name) => format!("applied: {name}"),
                Seen::Deleted(name) => format!("deleted: {name}"),
            };
            tell.send(text).unwrap();
        },
    ));
    told
}

const PATH: &str = "/api/v1/namespaces/default/configmaps";

#[tokio::test(start_paused = true)]
async fn a_list_and_then_events() {
    let api = FakeApi::new();
    api.put(&format!("{PATH}/a"), json!({}));
    let mut told = seen(api.client());
    assert_eq!(told.recv().await.unwrap(), "all: a");
    api.put(&format!("{PATH}/b"), json!({}));
    assert_eq!(told.recv().await.unwrap(), "applied: b");
    api.delete(&format!("{PATH}/a"));
    assert_eq!(told.recv().await.unwrap(), "deleted: a");
}

/// A server whose watches are scripted: each entry is one watch, of the lines that it sends; the
/// last entry is for all further ones. `None` stays silent.
fn scripted(watches: Vec<Option<Vec<Value>>>) -> (Client, Arc<Mutex<Vec<String>>>) {
    let watches = Arc::new(Mutex::new(VecDeque::from(watches)));
    let asked = Arc::new(Mutex::new(Vec::new()));
    let queries = asked.clone();
    let answer = async move |RawQuery(query): RawQuery| {
        let query = query.unwrap_or_default();
        if !query.contains("watch=true") {
            queries.lock().unwrap().push("list".to_owned());
            let list = json!({"metadata": {"resourceVersion": "7"}, "items": []});
            return Body::from(list.to_string());
        }
        let version = query.split("resourceVersion=").nth(1).unwrap().to_owned();
        queries
            .lock()
            .unwrap()
            .push(format!("watch from {version}"));
        let lines = watches.lock().unwrap().pop_front().flatten();
        let Some(lines) = lines else {
            return Body::from_stream(stream::pending::<Result<String, std::io::Error>>());
        };
        Body::from(
            lines
                .iter()
                .map(|line| format!("{line}\n"))
                .collect::<String>(),
        )
    };
    (
        Client::new(Router::new().route(PATH, get(answer)), "default"),
        asked,
    )
}

#[tokio::test(start_paused = true)]
async fn what_breaks_is_opened_again_from_where_it_was() {
    let applied =
        json!({"type": "ADDED", "object": {"metadata": {"name": "a", "resourceVersion": "8"}}});
    let bookmark = json!({"type": "BOOKMARK", "object": {
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"resourceVersion": "9"}}});
    let gone = json!({"type": "ERROR", "object": crate::fake_api::failure(410, "Expired")});
    let (client, asked) = scripted(vec![
        Some(vec![applied]),
        None,
        Some(vec![bookmark]),
        Some(vec![gone]),
        None,
    ]);
    let mut told = seen(client);
    assert_eq!(told.recv().await.unwrap(), "all: ");
    assert_eq!(told.recv().await.unwrap(), "applied: a");
    // The second watch is silent and given up, the third brings a new version, the fourth says that
    // it is too old: only then everything is listed again.
    assert_eq!(told.recv().await.unwrap(), "all: ");
    let asked = asked.lock().unwrap().clone();
    let expected = [
        "list",
        "watch from 7",
        "watch from 8",
        "watch from 8",
        "watch from 9",
        "list",
    ];
    assert_eq!(asked[..6], expected);
}

#[test]
fn pauses_grow_and_are_bounded() {
    let pauses: Vec<u64> = (0..8).map(|failures| pause(failures).as_secs()).collect();
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30, 30]);
    assert_eq!(pause(u32::MAX), PAUSE_MAX);
}
