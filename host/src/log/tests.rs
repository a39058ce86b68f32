//! The log as a whole: what comes in through `tracing` and from plugins, what comes out.

use std::io;
use std::sync::Arc;

use super::*;
use crate::event::Received;

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Captured {
    fn lines(&self) -> Vec<String> {
        String::from_utf8(self.0.lock().clone()).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn start(format: LogFormat) -> (Handle, Captured) {
    let captured = Captured::default();
    let config = Log { format, ..Log::default() };
    (Handle::new(&config, Box::new(captured.clone())), captured)
}

#[test]
fn writes_events_of_the_host() {
    let (handle, captured) = start(LogFormat::Text);

    tracing::subscriber::with_default(handle.subscriber(), || {
        tracing::info!(target: "hub", event = "stream.start", key = "live/a", fps = 25, "it lives");
        tracing::debug!(target: "hub", "not logged by default");
    });

    let lines = captured.lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].ends_with("INFO  hub stream.start: it lives key=live/a fps=25"), "{lines:?}");
}

#[test]
fn masks_a_marker_in_every_place() {
    let (handle, captured) = start(LogFormat::Json);

    tracing::subscriber::with_default(handle.subscriber(), || {
        let url = "rtsp://u:MARK@h/a?token=MARK";
        tracing::warn!(target: "hub", %url, password = "MARK", error = ?Some(url), "at {url}");
    });

    let lines = captured.lines();
    assert_eq!(lines.len(), 1);
    assert!(!lines[0].contains("MARK"), "{lines:?}");
}

#[test]
fn mistakes_of_http_clients_are_for_debug() {
    let (handle, captured) = start(LogFormat::Text);
    let report = || tracing::error!(target: "actix_http::h1::dispatcher", "no request");

    tracing::subscriber::with_default(handle.subscriber(), || {
        report();
        handle.change_levels(|levels| levels.set_default(LevelFilter::DEBUG));
        report();
    });

    assert_eq!(captured.lines().len(), 1, "{:?}", captured.lines());
    assert!(captured.lines()[0].contains("DEBUG"), "{:?}", captured.lines());
}

#[test]
fn levels_change_while_running() {
    let (handle, captured) = start(LogFormat::Text);
    let report = || tracing::debug!(target: "changing", "seen");

    tracing::subscriber::with_default(handle.subscriber(), || {
        report();
        handle.change_levels(|levels| levels.set_target("changing", Some(LevelFilter::DEBUG)));
        report();
        handle.change_levels(|levels| levels.set_target("changing", None));
        report();
    });

    assert_eq!(captured.lines().len(), 1, "{:?}", captured.lines());
}

#[test]
fn writes_lines_of_plugins_by_their_own_level() {
    let (handle, captured) = start(LogFormat::Text);
    let target = String::from("rtmp::session");
    let line = Line {
        time: SystemTime::UNIX_EPOCH,
        level: Level::DEBUG,
        target: &target,
        event: None,
        message: "hello",
        fields: vec![("n", 1.into())],
    };

    handle.write(&line);
    handle.change_levels(|levels| levels.set_target("rtmp", Some(LevelFilter::DEBUG)));
    handle.write(&line);

    assert_eq!(captured.lines(), ["1970-01-01T00:00:00.000Z DEBUG rtmp::session: hello n=1"]);
}

#[tokio::test]
async fn events_are_on_the_bus_whatever_the_levels() {
    let (handle, captured) = start(LogFormat::Text);
    handle.change_levels(|levels| levels.set_default(LevelFilter::OFF));
    let mut events = handle.events().subscribe().unwrap();

    tracing::subscriber::with_default(handle.subscriber(), || {
        tracing::info!(target: "hub", event = "stream.start", key = "live/a", url = "rtmp://h/?key=MARK", "it lives");
        tracing::info!(target: "hub", "no event");
        tracing::debug!(target: "hub", event = "viewer.send_failed", "a detail");
        tracing::warn!(target: "hub", event = "auth.refused", token = "MARK");
    });
    handle.write(&Line {
        time: SystemTime::UNIX_EPOCH,
        level: Level::INFO,
        target: "rtmp",
        event: Some("session.odd"),
        message: "",
        fields: vec![("key", "live/b".into())],
    });

    let mut seen = Vec::new();
    for _ in 0..3 {
        let Received::Item(message) = events.next().await else { panic!("an event is missing") };
        assert!(!message.json.contains("MARK"), "{message:?}");
        let line: Value = serde_json::from_str(&message.json).unwrap();
        assert_eq!(line["event"], message.topic);
        seen.push((message.id, message.topic.clone(), message.stream.clone()));
    }
    let of =
        |id: u64, topic: &str, key: Option<&str>| (id, topic.to_owned(), key.map(str::to_owned));
    let expected = [
        of(1, "stream.start", Some("live/a")),
        of(2, "auth.refused", None),
        of(3, "session.odd", Some("live/b")),
    ];
    assert_eq!(seen, expected);
    assert!(captured.lines().is_empty(), "{:?}", captured.lines());
}

#[test]
fn the_newest_lines_are_kept_as_they_were_written() {
    let (handle, captured) = start(LogFormat::Json);

    tracing::subscriber::with_default(handle.subscriber(), || {
        tracing::info!(target: "hub", token = "MARK", "one");
        tracing::debug!(target: "hub", "not logged");
        tracing::info!(target: "hub", "two");
    });

    let kept: Vec<String> = handle.newest().iter().map(|line| (**line).to_owned()).collect();
    assert_eq!(kept, captured.lines());
    assert_eq!(kept.len(), 2);
}
