//! Answers that go on: events and the log.

use std::time::SystemTime;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, BufReader};
use tracing::Level;

use super::*;
use crate::event::{BACKLOG_MAX, SUBSCRIBERS_MAX};
use crate::log::Line;

/// An answer that is being read.
struct Following {
    socket: BufReader<TcpStream>,
    status: u16,
}

impl Following {
    /// Asks, and reads the head.
    async fn open(server: &Server, path: &str) -> Self {
        let mut socket = BufReader::new(server.connect().await);
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut following = Self { socket, status: 0 };
        let head = following.line().await.expect("a status line");
        following.status = head.split(' ').nth(1).unwrap().parse().unwrap();
        if following.status == 200 {
            following.until("retry: 2000").await;
        }
        following
    }

    /// A line of the body; lines that only frame it are among them. `None`: the end.
    async fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = timeout(PATIENCE, self.socket.read_line(&mut line)).await;
        let n = read.expect("waited for a line").unwrap_or(0);
        (n > 0).then(|| line.trim_end().to_owned())
    }

    /// Everything up to a line.
    async fn until(&mut self, last: &str) -> Vec<String> {
        let mut lines = Vec::new();
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("{last:?} after {lines:?}"));
            let found = line == last;
            lines.push(line);
            if found {
                return lines;
            }
        }
    }

    /// The next line that begins like this, without it.
    async fn after(&mut self, start: &str) -> String {
        loop {
            let line = self.line().await.unwrap_or_else(|| panic!("no {start:?}"));
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
        }
    }
}

fn log(server: &Server, event: Option<&str>, key: &str, message: &str) {
    server.log.write(&Line {
        time: SystemTime::UNIX_EPOCH,
        level: Level::INFO,
        target: "hub",
        event,
        message,
        fields: vec![("key", key.into())],
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_in_order_and_filtered() {
    let server = Server::start();
    let mut all = Following::open(&server, "/api/v1/events").await;
    let mut some =
        Following::open(&server, "/api/v1/events?topic=stream.,viewer.stop&stream=live/*").await;

    log(&server, Some("stream.start"), "live/a", "");
    log(&server, Some("viewer.start"), "live/a", "");
    log(&server, None, "live/a", "no event");
    log(&server, Some("stream.start"), "vod/a", "");
    log(&server, Some("viewer.stop"), "live/a", "by rtmp://h/?key=MARK");

    for topic in ["stream.start", "viewer.start", "stream.start", "viewer.stop"] {
        assert_eq!(all.after("event: ").await, topic);
    }
    assert_eq!(some.after("id: ").await, "1");
    assert_eq!(some.after("event: ").await, "stream.start");
    assert_eq!(some.after("id: ").await, "4");
    assert_eq!(some.after("event: ").await, "viewer.stop");
    let data: Value = serde_json::from_str(&some.after("data: ").await).unwrap();
    assert_eq!((&data["key"], &data["event"]), (&json!("live/a"), &json!("viewer.stop")));
    assert_eq!(data["message"], "by rtmp://h/?key=***");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_filters_are_problems() {
    let server = Server::start();
    for query in ["stream=", "stream=a//b", "topics=x", "stream=**/a"] {
        server.get(&format!("/api/v1/events?{query}")).await.assert_problem(400);
    }
    let head = server
        .request("HEAD", "/api/v1/events", &format!("Authorization: Bearer {TOKEN}\r\n"))
        .await;
    assert_eq!((head.status, head.header("content-type")), (200, Some("text/event-stream")));
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_are_bounded_and_leave_their_seats() {
    let server = Server::start();
    let mut open = Vec::new();
    for _ in 0..SUBSCRIBERS_MAX {
        open.push(Following::open(&server, "/api/v1/events").await);
    }

    assert_eq!(Following::open(&server, "/api/v1/events").await.status, 503);
    open.clear();
    server.until_idle().await;

    assert_eq!(Following::open(&server, "/api/v1/events").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_that_does_not_read_is_told_what_it_missed() {
    let server = Server::start();
    let mut slow = Following::open(&server, "/api/v1/events").await;
    let long = "x".repeat(60_000);

    // More than the kernel takes for it, then more than waits for it.
    for n in 0..BACKLOG_MAX as u64 + 500 {
        log(&server, Some("test.flood"), &n.to_string(), &long);
    }

    let missed = loop {
        if slow.after("event: ").await == "lost" {
            break slow.after("data: ").await;
        }
    };
    let missed: Value = serde_json::from_str(&missed).unwrap();
    assert!(missed["lost"].as_u64().unwrap() > 0, "{missed}");
    // It goes on with the newest.
    let last = BACKLOG_MAX as u64 + 500;
    while slow.after("id: ").await != last.to_string() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_told_from_its_newest_lines_on() {
    let server = Server::start();
    log(&server, None, "live/a", "before");
    let mut tail = Following::open(&server, "/api/v1/logs/tail").await;
    log(&server, Some("stream.start"), "live/a", "after");

    assert!(tail.after("data: ").await.ends_with("INFO  hub: before key=live/a"));
    assert!(tail.after("data: ").await.ends_with("INFO  hub stream.start: after key=live/a"));
}

#[tokio::test(flavor = "multi_thread")]
async fn levels_change_while_running() {
    let server = Server::start();
    let path = "/api/v1/log/levels";
    assert_eq!(server.get(path).await.json(), json!({"level": "info", "targets": {}}));

    let levels = json!({"level": "warn", "targets": {"hub": "off", "rtmp": "trace"}});
    let answer = server.send("PUT", path, &levels.to_string()).await;

    assert_eq!((answer.status, answer.json()), (200, levels.clone()));
    assert_eq!(server.get(path).await.json(), levels);
    assert!(server.log.allows("rtmp::session", Level::TRACE));
    assert!(!server.log.allows("hub", Level::ERROR));
    for body in [
        "",
        "{}",
        "{\"level\": \"loud\"}",
        "{\"level\": \"info\", \"target\": {}}",
        "{\"level\": \"info\", \"targets\": {\"\": \"info\"}}",
        "{\"level\": \"info\", \"targets\": {\"a\\u0000\": \"info\"}}",
    ] {
        server.send("PUT", path, body).await.assert_problem(400);
    }
    assert_eq!(server.get(path).await.json(), levels);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_goes_on() {
    let server = Server::start();
    let mut events = Following::open(&server, "/api/v1/events").await;
    let mut tail = Following::open(&server, "/api/v1/logs/tail").await;
    let start = std::time::Instant::now();

    server.http.stop(Duration::from_secs(5)).await;

    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    while events.line().await.is_some() {}
    while tail.line().await.is_some() {}
}
