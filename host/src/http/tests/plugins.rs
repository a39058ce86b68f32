//! Routes of plugins: who may call, what comes back, and the connection that leaves HTTP.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, HeaderMap, HeaderValue};
use plugin_api::abi::http as abi;

use super::super::pattern::Pattern;
use super::super::request::{Answer, Head, Parts, Request, Unsent};
use super::super::routes::{Handler, PluginRoute, Refused, RouteGuard};
use super::*;

/// Hands requests to a closure on a task of their own.
struct Respond<F> {
    respond: F,
    draining: AtomicBool,
}

impl<F: Fn(Request) + Clone + Send + Sync + 'static> Handler for Respond<F> {
    fn on_request(&self, request: Request) {
        let respond = self.respond.clone();
        std::thread::spawn(move || respond(request));
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }
}

fn ok() -> Head {
    let mut headers = HeaderMap::new();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Head { status: StatusCode::OK, headers }
}

pub(super) fn route(
    pattern: &str,
    class: Class,
    respond: impl Fn(Request) + Clone + Send + Sync + 'static,
) -> PluginRoute {
    PluginRoute {
        instance: "test".to_owned(),
        pattern: Pattern::parse(pattern).unwrap(),
        class,
        methods: abi::GET | abi::POST,
        takes_websockets: true,
        protocol: "http-test".to_owned(),
        body_max: 10,
        deadline: Duration::from_secs(5),
        handler: Arc::new(Respond { respond, draining: AtomicBool::new(false) }),
    }
}

/// Answers with what was asked.
pub(super) fn echo(request: Request) {
    let (params, body) = (request.params.clone(), request.body.clone());
    let text = format!("{} {:?} {}", request.method, params, String::from_utf8_lossy(&body));
    request.answer(Answer::Whole(ok(), text.into())).unwrap();
}

impl Server {
    pub(super) fn add(&self, route: PluginRoute) -> RouteGuard {
        self.plugins.add(route).unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_route_answers_while_it_is_registered() {
    let server = Server::start();
    let guard = server.add(route("/test/{rest...}", Class::Open, echo));

    let answer = server.request("GET", "/test/a%2Fb/c?x=1", "").await;
    assert_eq!((answer.status, &*answer.body), (200, "1 [(\"rest\", \"a%2Fb/c\")] "));
    server.request("GET", "/test", "").await.assert_problem(404);
    drop(guard);
    server.request("GET", "/test/a", "").await.assert_problem(404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_class_of_a_route_decides_who_may_call_it() {
    let server = Server::start();
    let _admin = server.add(route("/admin", Class::Admin, echo));
    let _media = server.add(route("/media", Class::Media, echo));
    let _open = server.add(route("/open", Class::Open, echo));

    for method in ["GET", "HEAD", "POST", "OPTIONS", "DELETE"] {
        assert_eq!(server.request(method, "/admin", "").await.status, 401, "{method}");
    }
    assert_eq!(server.get("/admin").await.status, 200);
    let foreign = "Origin: http://elsewhere.example\r\n";
    for (path, expected) in [("/media", Some("*")), ("/open", None), ("/admin", None)] {
        let answer = server.request("GET", path, foreign).await;
        assert_eq!(answer.header("access-control-allow-origin"), expected, "{path}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_are_the_hosts() {
    let server = Server::start();
    let _media = server.add(route("/media", Class::Media, echo));

    let head = server.request("HEAD", "/media", "").await;
    assert_eq!((head.status, &*head.body), (200, ""));
    let options = server.request("OPTIONS", "/media", "Origin: http://x.example\r\n").await;
    assert_eq!(options.status, 204);
    assert_eq!(options.header("access-control-allow-origin"), Some("*"));
    assert_eq!(options.header("allow"), Some("options, get, post, head"));
    let delete = server.request("DELETE", "/media", "").await;
    assert_eq!((delete.status, delete.header("allow")), (405, Some("options, get, post, head")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_bounded() {
    let server = Server::start();
    let _open = server.add(route("/open", Class::Open, echo));
    for (body, expected) in [("0123456789", 200), ("0123456789x", 413)] {
        let mut socket = server.connect().await;
        let head = format!(
            "POST /open HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();

        let answer = super::Answer::read(&mut socket).await;

        assert_eq!(answer.status, expected, "{answer:?}");
        assert!(expected != 200 || answer.body.ends_with(body), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_answered_is_an_error() {
    let server = Server::start();
    let _lost = server.add(route("/lost", Class::Open, drop));
    let (asked, slow) = mpsc::channel();
    let _slow = server.add(PluginRoute {
        deadline: Duration::from_millis(50),
        ..route("/slow", Class::Media, move |request| asked.send(request).unwrap())
    });
    let mut draining = route("/draining", Class::Media, echo);
    draining.handler = Arc::new(Respond { respond: echo, draining: AtomicBool::new(true) });
    let _draining = server.add(draining);

    server.request("GET", "/lost", "").await.assert_problem(500);
    for path in ["/slow", "/draining"] {
        let answer = server.request("GET", path, "").await;
        assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")), "{path}");
    }
    let late = slow.recv().unwrap();
    assert_eq!(late.answer(Answer::Whole(ok(), "late".into())), Err(Unsent::Gone));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_parts_ends_whole_or_cut() {
    let server = Server::start();
    let write = |request: Request, is_whole: bool| {
        let parts = Arc::new(Parts::default());
        request.answer(Answer::Parts(ok(), Arc::clone(&parts))).unwrap();
        let cx = std::task::Context::from_waker(std::task::Waker::noop());
        for text in ["one ", "two"] {
            assert!(parts.poll_write(&cx, || text.into()).is_ready());
        }
        parts.end(is_whole);
    };
    let _whole = server.add(route("/whole", Class::Open, move |request| write(request, true)));
    let _cut = server.add(route("/cut", Class::Open, move |request| write(request, false)));

    let whole = server.request("GET", "/whole", "").await;
    assert!(whole.body.contains("one ") && whole.body.ends_with("0\r\n\r\n"), "{whole:?}");
    let mut socket = server.connect().await;
    socket.write_all(b"GET /cut HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let cut = read_to_end(&mut socket).await;
    assert!(!cut.ends_with("0\r\n\r\n"), "{cut:?}");
    server.until_idle().await;
}

/// Sends the head, a text, and closes.
fn take_over(request: Request) {
    let runtime = Handle::try_current();
    assert!(runtime.is_err(), "plugins answer from any thread");
    let head = ok();
    let taken = Answer::TakeOver(
        head,
        Box::new(|conn, first| {
            let bytes = [&first[..], b"live"].concat();
            let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
            let _ = conn.poll_write(&mut cx, &[std::io::IoSlice::new(&bytes)]);
            let _ = conn.poll_shutdown(&mut cx);
            conn.close(crate::net::CloseReason::Asked);
        }),
    );
    request.answer(taken).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_leaves_http_after_earlier_answers() {
    let server = Server::start();
    let _live = server.add(route("/live", Class::Media, take_over));
    let health = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let live = "GET /live HTTP/1.1\r\nHost: x\r\n\r\n";
    for parts in [vec![health, live], vec![&*format!("{health}{live}")]] {
        let mut socket = server.connect().await;
        for part in parts {
            socket.write_all(part.as_bytes()).await.unwrap();
            let mut byte = [0];
            socket.peek(&mut byte).await.unwrap();
        }

        let text = read_to_end(&mut socket).await;

        let (first, second) = text.split_once("{\"status\":\"ok\"}").expect("the first answer");
        assert!(first.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        assert!(second.starts_with("HTTP/1.1 200 OK\r\nconnection: close\r\n"), "{text}");
        assert!(
            second.ends_with("\r\n\r\nlive") && !second.contains("transfer-encoding"),
            "{text}"
        );
        for header in ["access-control-allow-origin: *", "cache-control: no-store", "date: "] {
            assert!(second.contains(header), "{header}: {text}");
        }
    }
    server.until_idle().await;
    let head = server.request("HEAD", "/live", "").await;
    assert_eq!(
        (head.status, head.header("cache-control"), &*head.body),
        (200, Some("no-store"), "")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_upgraded() {
    let server = Server::start();
    let _live = server.add(route("/live", Class::Media, |request: Request| {
        assert_eq!(request.protocol, if request.is_websocket { "ws-test" } else { "http-test" });
        take_over(request);
    }));
    let asks = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    let key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let mut socket = server.connect().await;
    let head =
        format!("GET /live HTTP/1.1\r\nHost: x\r\n{asks}{key}Sec-WebSocket-Version: 13\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();

    let text = read_to_end(&mut socket).await;

    assert!(text.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{text}");
    assert!(text.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{text}");
    for (version, key, expected) in [("8", key, 426), ("13", "", 400)] {
        let mut socket = server.connect().await;
        let head = format!(
            "GET /live HTTP/1.1\r\nHost: x\r\n{asks}{key}Sec-WebSocket-Version: {version}\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        socket.read_exact(&mut status).await.unwrap();
        assert_eq!(&status[9..], expected.to_string().as_bytes());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_leaves_is_noticed() {
    let server = Server::start();
    let (told, mut noticed) = tokio::sync::mpsc::unbounded_channel();
    let wait = move |request: Request| {
        told.send("asked").unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(std::future::poll_fn(|cx| request.poll_gone(cx)));
        told.send("gone").unwrap();
    };
    let _wait = server.add(route("/wait", Class::Media, wait));
    let mut socket = server.connect().await;
    socket.write_all(b"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert_eq!(timeout(PATIENCE, noticed.recv()).await.unwrap(), Some("asked"));

    drop(socket);

    assert_eq!(timeout(PATIENCE, noticed.recv()).await.unwrap(), Some("gone"));
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn patterns_are_taken_once_and_never_from_the_host() {
    let server = Server::start();
    let _first = server.add(route("/a/{x}", Class::Open, echo));

    let refused = |pattern: &str| server.plugins.add(route(pattern, Class::Open, echo)).err();
    assert_eq!(refused("/a/{y}"), Some(Refused::Conflict));
    for pattern in [
        "/api/v1/x",
        "/api/health",
        "/api/metrics/{x...}",
        "/preview",
        "/preview/{key...}",
        "/ui/page.js",
    ] {
        assert_eq!(refused(pattern), Some(Refused::Reserved), "{pattern}");
    }
    let _all = server.add(route("/{all...}", Class::Open, echo));
    for path in ["/api/v1/streams", "/api/v1/tasks"] {
        assert_eq!(server.request("GET", path, "").await.status, 401, "{path}");
    }
}
