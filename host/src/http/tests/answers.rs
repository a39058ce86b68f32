//! What the routes answer.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn health_tells_alive_and_ready() {
    let server = Server::start();
    for (readiness, status, body) in [
        (Readiness::Starting, 503, "starting\n"),
        (Readiness::Draining, 503, "draining\n"),
        (Readiness::PluginDown, 503, "a required plugin is down\n"),
        (Readiness::Ready, 200, "{\"status\":\"ok\"}"),
    ] {
        *server.source.readiness.lock() = readiness;

        let alive = server.request("GET", "/api/health", "").await;
        let ready = server.request("GET", "/api/health?ready=1", "").await;

        assert_eq!((alive.status, alive.json()), (200, json!({"status": "ok"})));
        assert_eq!((ready.status, ready.body.as_str()), (status, body), "{readiness:?}");
        assert_eq!(ready.header("retry-after"), (status == 503).then_some("1"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_has_the_length_and_no_body() {
    let server = Server::start();

    let answer = server.request("HEAD", "/api/health", "").await;

    assert_eq!((answer.status, answer.body.as_str()), (200, ""));
    assert_eq!(answer.header("content-length"), Some("15"));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_paged() {
    let server = Server::start();

    let all = server.get("/api/v1/streams").await;
    assert_eq!(all.json(), json!({"items": [{"key": "live/a"}, {"key": "live/b"}], "next": null}));
    assert_eq!(all.header("cache-control"), Some("no-store"));
    let first = server.get("/api/v1/streams?limit=1").await;
    assert_eq!(first.json(), json!({"items": [{"key": "live/a"}], "next": "live/a"}));
    let second = server.get("/api/v1/streams?limit=1&after=live%2Fa").await;
    assert_eq!(second.json(), json!({"items": [{"key": "live/b"}], "next": null}));

    server.get("/api/v1/streams?limit=0").await.assert_problem(400);
    server.get("/api/v1/tasks?after=x").await.assert_problem(400);
    assert_eq!(server.get("/api/v1/plugins").await.json()["items"][0]["instance"], "rtmp");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_is_in_the_list_of_tasks() {
    let server = Server::start();

    let tasks = server.get("/api/v1/tasks").await.json();

    assert_eq!(tasks["items"][0]["kind"], "server");
    let listener = &tasks["items"][1];
    assert_eq!(listener["kind"], "listener");
    assert_eq!(listener["name"], server.addr().to_string());
    assert_eq!(listener["parent"], tasks["items"][0]["id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_keys_are_decoded_once() {
    let server = Server::start();
    for (path, key) in
        [("live%2Fa", "live/a"), ("live%2F100%25", "live/100%"), ("live%2F%C3%A4%20b", "live/ä b")]
    {
        let answer = server.get(&format!("/api/v1/streams/{path}")).await;
        assert_eq!((answer.status, &answer.json()["key"]), (200, &json!(key)), "{path}");
    }
    for path in ["live%252Fa", "live%2Fnone", "live/a", "%FF"] {
        let answer = server.get(&format!("/api/v1/streams/{path}")).await;
        assert!([400, 404].contains(&answer.status), "{path}: {answer:?}");
        answer.assert_problem(answer.status);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_paths_and_methods_are_problems() {
    let server = Server::start();
    let token = format!("Authorization: Bearer {TOKEN}\r\n");

    server.get("/nothing").await.assert_problem(404);
    server.get("/api/v1").await.assert_problem(404);
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "BREW"] {
        let answer = server.request(method, "/api/v1/streams", &token).await;
        answer.assert_problem(405);
        assert_eq!(answer.header("allow"), Some("get, head"), "{method}");
    }
    let malformed = server.request("GET", "/api/health", "no colon\r\n").await;
    assert_eq!(malformed.status, 400);
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_a_page_that_parses() {
    let server = Server::start();
    server.get("/api/v1/streams").await;

    let answer = server.request("GET", "/api/metrics", "").await;

    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let samples = crate::metrics::tests::parse(&answer.body);
    assert_eq!(samples["plugcast_http_requests_total{class=\"admin\",status=\"2xx\"}"], 1.0);
    assert_eq!(samples["plugcast_http_connections_accepted_total"], 2.0);
    assert!(samples["plugcast_http_connections"] >= 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_carries_several_requests() {
    let server = Server::start();
    let mut socket = server.connect().await;
    let one = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let last = "GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

    socket.write_all(format!("{one}{one}{last}").as_bytes()).await.unwrap();
    let text = read_to_end(&mut socket).await;

    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 3, "{text}");
    assert_eq!(server.metrics.http().connections_accepted.get(), 1);
}
