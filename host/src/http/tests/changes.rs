//! Routes that change something.

use super::*;
use crate::task::{Retry, TaskError};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_changes_by_get() {
    let server = Server::start();
    for path in ["/api/v1/streams/live%2Fa/stop", "/api/v1/viewers/7", "/api/v1/tasks/1/stop"] {
        for method in ["GET", "HEAD"] {
            let answer = server.send(method, path, "").await;
            assert_eq!(answer.status, 405, "{method} {path}");
            assert!(!answer.header("allow").unwrap().contains("get"), "{answer:?}");
        }
    }
    assert!(server.source.stopped.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_stopped_and_its_key_blocked() {
    let server = Server::start();
    let path = "/api/v1/streams/live%2Fa/stop";
    for (query, body) in [
        ("", ""),
        ("?block_for=1500ms", ""),
        ("", "{\"block_for\": \"10m\"}"),
        ("?block_for=24h", "{}"),
    ] {
        let answer = server.send("POST", &format!("{path}{query}"), body).await;
        assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{query} {body}");
    }
    let seconds: Vec<f64> =
        server.source.stopped.lock().iter().map(|wait| wait.as_secs_f64()).collect();
    assert_eq!(seconds, [0.0, 1.5, 600.0, 86_400.0]);
    server.source.stopped.lock().clear();

    for (query, body) in [
        ("?block_for=25h", ""),
        ("?block_for=-1s", ""),
        ("?block_for=30", ""),
        ("?block=1s", ""),
        ("", "{\"block_for\": 5}"),
        ("", "{\"block\": \"5s\"}"),
        ("", "no JSON"),
        ("?block_for=1s", "{\"block_for\": \"1s\"}"),
    ] {
        server.send("POST", &format!("{path}{query}"), body).await.assert_problem(400);
    }
    server.send("POST", "/api/v1/streams/live%2Fnone/stop", "").await.assert_problem(404);
    assert!(server.source.stopped.lock().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_has_its_bound() {
    let settings = Settings { body_bytes_max: 100, ..Settings::default() };
    let server = Server::start_with(settings, ROUTES);

    let answer = server.send("POST", "/api/v1/streams/live%2Fa/stop", &" ".repeat(200)).await;

    answer.assert_problem(413);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_kicked() {
    let server = Server::start();

    assert_eq!(server.send("DELETE", "/api/v1/viewers/7", "").await.status, 204);
    for path in ["/api/v1/viewers/8", "/api/v1/viewers/x", "/api/v1/viewers/-7"] {
        server.send("DELETE", path, "").await.assert_problem(404);
    }
    let viewers = server.get("/api/v1/viewers?limit=1").await.json();
    assert_eq!(viewers, json!({"items": [{"conn": "7"}], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn ended_sessions_come_newest_first() {
    let server = Server::start();

    let first = server.get("/api/v1/sessions/ended?limit=1").await.json();
    let second = server.get("/api/v1/sessions/ended?after=2").await.json();

    assert_eq!(first, json!({"items": [{"id": 2}], "next": "2"}));
    assert_eq!(second, json!({"items": [{"id": 1}], "next": null}));
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_plugins_are_stopped_and_restarted() {
    let server = Server::start();
    let instance = server.tree.root().instance("rtmp").unwrap();
    let endless = || std::future::pending::<Result<(), TaskError>>();
    let plain = instance.spawn("session", "s", endless()).unwrap();
    let pull = instance.run("pull", "camera", Retry::NEVER, endless).unwrap();
    let path = |id: u64, verb: &str| format!("/api/v1/tasks/{id}{verb}");

    let answer = server.get(&path(plain.id(), "")).await;
    assert_eq!((answer.status, &answer.json()["name"]), (200, &json!("s")));
    server.send("POST", &path(plain.id(), "/restart"), "").await.assert_problem(409);
    assert_eq!(server.send("POST", &path(plain.id(), "/stop"), "").await.status, 202);
    assert!(plain.done().await.unwrap_err().is_cancelled());
    server.get(&path(plain.id(), "")).await.assert_problem(404);
    server.send("POST", &path(plain.id(), "/stop"), "").await.assert_problem(404);

    let answer = server.send("POST", &path(pull.id(), "/restart"), "").await;
    assert_eq!((answer.status, &answer.json()["kind"]), (202, &json!("pull")));
    assert_eq!(server.send("POST", &path(pull.id(), "/stop"), "").await.status, 202);
    assert!(pull.done().await.is_err());

    for id in [server.tree.root().id(), instance.id()] {
        server.send("POST", &path(id, "/stop"), "").await.assert_problem(409);
        server.send("POST", &path(id, "/restart"), "").await.assert_problem(409);
    }
    let tasks = server.get("/api/v1/tasks").await.json();
    let listener = tasks["items"][1]["id"].as_str().unwrap().to_owned();
    server.send("POST", &format!("/api/v1/tasks/{listener}/stop"), "").await.assert_problem(409);
}

const PUT: &[Route] = &[
    Route { pattern: "/level", class: Class::Admin, handler: Handler::Get(|_, _| no_content()) },
    Route { pattern: "/level", class: Class::Admin, handler: Handler::Put(|_, _, _| no_content()) },
];

fn no_content() -> Result<actix_web::HttpResponse, Problem> {
    Ok(actix_web::HttpResponse::NoContent().finish())
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_of_one_path_stand_side_by_side() {
    let server = Server::start_with(Settings::default(), PUT);

    assert_eq!(server.send("PUT", "/level", "").await.status, 204);
    assert_eq!(server.get("/level").await.status, 204);
    let answer = server.send("POST", "/level", "").await;
    assert_eq!((answer.status, answer.header("allow")), (405, Some("get, head, put")));
    assert_eq!(server.request("PUT", "/level", "").await.status, 401);
}
