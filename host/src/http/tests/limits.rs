//! Bounds, stops, and what is handed over.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::BodySize;
use tokio::time::Instant;

use super::super::io::ConnHandle;
use super::*;

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_times_out() {
    let settings = Settings { head_timeout: millis(200), ..Settings::default() };
    let server = Server::start_with(settings, ROUTES);
    let start = Instant::now();
    let mut open = Vec::new();
    for sent in ["", "GET /api/hea", "GET /api/health HTTP/1.1\r\nHost: x\r\n"] {
        let mut socket = server.connect().await;
        socket.write_all(sent.as_bytes()).await.unwrap();
        open.push((sent, socket));
    }

    for (sent, mut socket) in open {
        let text = read_to_end(&mut socket).await;
        assert!(text.starts_with("HTTP/1.1 408 ") || text.is_empty(), "{sent:?}: {text}");
    }

    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_trickles_times_out() {
    let settings = Settings { head_timeout: millis(200), ..Settings::default() };
    let server = Server::start_with(settings, ROUTES);
    let (mut reader, mut writer) = server.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        while writer.write_all(b"X").await.is_ok() {
            tokio::time::sleep(millis(20)).await;
        }
    });

    let mut bytes = Vec::new();
    let _ =
        timeout(PATIENCE, reader.read_to_end(&mut bytes)).await.expect("waited for the time-out");

    server.until_idle().await;
    trickle.abort();
}

/// With the token it is read, for a time; without, nobody reads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_trickles_times_out() {
    let settings = Settings {
        head_timeout: millis(500),
        keep_alive: millis(500),
        body_timeout: millis(500),
        ..Settings::default()
    };
    let server = Server::start_with(settings, ROUTES);
    for (token, expected) in [(TOKEN, "HTTP/1.1 408 "), ("wrong", "HTTP/1.1 401 ")] {
        let (mut reader, mut writer) = server.connect().await.into_split();
        let head = format!(
            "PUT /api/v1/log/levels HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\
             Content-Length: 100000\r\n\r\n"
        );
        writer.write_all(head.as_bytes()).await.unwrap();
        let trickle = tokio::spawn(async move {
            while writer.write_all(b" ").await.is_ok() {
                tokio::time::sleep(millis(20)).await;
            }
        });

        let mut bytes = Vec::new();
        let read = timeout(PATIENCE, reader.read_to_end(&mut bytes)).await;

        let text = String::from_utf8_lossy(&bytes);
        assert!(read.is_ok() && text.starts_with(expected), "{token}: {read:?} {text}");
        server.until_idle().await;
        trickle.abort();
    }
}

/// What the library says by itself has no body.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_told_so_in_words() {
    let server = Server::start();
    let settings = Settings { head_timeout: millis(300), ..Settings::default() };
    let hasty = Server::start_with(settings, ROUTES);
    let first = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
    for (bytes, status) in [
        ("\x03\x01\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/1.1\r\nHost: x\r\n".to_owned(), 408),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "X: y\r\n".repeat(1000)), 431),
    ] {
        let server = if status == 408 { &hasty } else { &server };
        let mut socket = server.connect().await;
        socket.write_all(bytes.as_bytes()).await.unwrap();
        let answer = Answer::read(&mut socket).await;
        answer.assert_problem(status);
        assert_eq!(answer.header("connection"), Some("close"), "{answer:?}");
    }

    // The same behind a request that was answered.
    let mut socket = server.connect().await;
    socket.write_all(first.as_bytes()).await.unwrap();
    socket.peek(&mut [0]).await.unwrap();
    socket.write_all(b"\x03\r\n\r\n").await.unwrap();
    let text = read_to_end(&mut socket).await;
    assert_eq!(text.matches("HTTP/1.1 ").count(), 2, "{text}");
    assert!(text.contains("application/problem+json"), "{text}");
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_above_its_bound_is_refused_before_it_is_buffered() {
    let server = Server::start();
    let first = "GET /api/health HTTP/1.1\r\nHost: x\r\n";
    for before in [String::new(), format!("{first}\r\n")] {
        let mut socket = server.connect().await;
        socket.write_all(before.as_bytes()).await.unwrap();
        if !before.is_empty() {
            socket.peek(&mut [0]).await.unwrap();
        }
        // Without an end: nothing but the bound ends it.
        let head = format!("{first}X: {}", "y".repeat(20_000));
        socket.write_all(head.as_bytes()).await.unwrap();
        let text = read_to_end(&mut socket).await;
        let (_, answer) = text.split_once("HTTP/1.1 431 ").unwrap_or_else(|| panic!("{text}"));
        assert!(answer.contains("16384 bytes"), "{text}");
    }

    let answer =
        server.request("GET", "/api/health", &format!("X: {}\r\n", "y".repeat(16_000))).await;
    assert_eq!(answer.status, 200);
    server.until_idle().await;
}

/// The dispatcher has a time-out for the first head only.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_second_head_times_out() {
    let settings =
        Settings { head_timeout: millis(1000), keep_alive: millis(1000), ..Settings::default() };
    let server = Server::start_with(settings, ROUTES);
    let request = "GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n";
    let mut open = Vec::new();
    for (first, second) in [(request, "GET /api"), (&*format!("{request}GET /a"), "pi")] {
        let mut socket = server.connect().await;
        socket.write_all(first.as_bytes()).await.unwrap();
        let mut byte = [0];
        socket.peek(&mut byte).await.unwrap();
        socket.write_all(second.as_bytes()).await.unwrap();
        open.push(socket);
    }

    for mut socket in open {
        let text = read_to_end(&mut socket).await;
        assert!(text.starts_with("HTTP/1.1 200 OK"), "{text:?}");
    }
    server.until_idle().await;
}

/// A body that takes its time.
struct Late(Pin<Box<tokio::time::Sleep>>, bool);

impl actix_web::body::MessageBody for Late {
    type Error = std::convert::Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<bytes::Bytes, Self::Error>>> {
        std::task::ready!(self.0.as_mut().poll(cx));
        let is_first = !std::mem::replace(&mut self.1, true);
        Poll::Ready(is_first.then(|| Ok("late".into())))
    }
}

const LATE: &[Route] = &[Route {
    pattern: "/late",
    class: Class::Open,
    handler: Handler::Get(|_, _| {
        let body = Late(Box::pin(tokio::time::sleep(millis(2500))), false);
        Ok(HttpResponse::Ok().body(body))
    }),
}];

/// What is sent meanwhile waits in the kernel, and is read then.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_under_way_has_no_more_than_a_head_read_behind_it() {
    let server = Server::start_with(Settings::default(), LATE);
    let mut socket = server.connect().await;
    let late = "GET /late HTTP/1.1\r\nHost: x\r\n";
    let nothing = format!("GET /nothing HTTP/1.1\r\nHost: x\r\nX: {}\r\n", "y".repeat(10_000));
    let behind = format!("{nothing}\r\n").repeat(4) + &nothing + "Connection: close\r\n\r\n";

    socket.write_all(format!("{late}\r\n{behind}").as_bytes()).await.unwrap();

    let text = read_to_end(&mut socket).await;
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 1, "{text}");
    assert_eq!(text.matches("HTTP/1.1 404 ").count(), 5, "{text}");
    // What comes behind it as a body, and is read by nobody.
    let mut socket = server.connect().await;
    let head = format!("{late}Content-Length: 100000000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = socket.into_split();
    let writing =
        tokio::spawn(async move { while writer.write_all(&[b'x'; 1000]).await.is_ok() {} });
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, reader.read_to_end(&mut bytes)).await.expect("waited for the end");
    assert!(String::from_utf8_lossy(&bytes).contains("late"), "{bytes:?}");
    writing.await.unwrap();
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_takes_its_time_is_not_idle() {
    let settings =
        Settings { head_timeout: millis(700), keep_alive: millis(100), ..Settings::default() };
    let server = Server::start_with(settings, LATE);

    let answer = server.request("GET", "/late", "").await;

    assert_eq!(answer.status, 200);
    assert!(answer.body.contains("late"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_closed() {
    let settings = Settings { keep_alive: millis(200), ..Settings::default() };
    let server = Server::start_with(settings, ROUTES);
    let mut socket = server.connect().await;
    socket.write_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();

    let text = read_to_end(&mut socket).await;

    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_above_the_limit_wait_for_room() {
    let settings = Settings { connections_max: 2, ..Settings::default() };
    let server = Server::start_with(settings, ROUTES);
    let (first, _second) = (server.connect().await, server.connect().await);
    let mut third = server.connect().await;
    third
        .write_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut byte = [0];
    timeout(millis(200), third.peek(&mut byte)).await.expect_err("the third is answered");
    assert_eq!(server.metrics.http().connections.get(), 2);

    drop(first);

    assert_eq!(Answer::read(&mut third).await.status, 200);
    assert!(server.metrics.http().limit_reached.get() >= 1);
}

const LARGE: &[Route] = &[Route {
    pattern: "/large",
    class: Class::Open,
    handler: Handler::Get(|_, _| Ok(HttpResponse::Ok().body(vec![b'x'; 64 << 20]))),
}];

#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_reads_nothing_is_closed() {
    let settings = Settings { write_timeout: millis(300), ..Settings::default() };
    let server = Server::start_with(settings, LARGE);
    let mut socket = server.connect().await;
    socket.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();

    server.until_idle_after_one().await;
}

impl Server {
    async fn until_idle_after_one(&self) {
        let began = async {
            while self.metrics.http().connections_accepted.get() == 0 {
                tokio::time::sleep(millis(5)).await;
            }
        };
        timeout(PATIENCE, began).await.expect("waited for the connection");
        self.until_idle().await;
    }
}

const PANIC: &[Route] = &[
    Route {
        pattern: "/panic",
        class: Class::Open,
        handler: Handler::Get(|_, _| panic!("on request")),
    },
    Route {
        pattern: "/fine",
        class: Class::Open,
        handler: Handler::Get(|_, _| Ok(HttpResponse::Ok().finish())),
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_handler_ends_its_connection_only() {
    let server = Server::start_with(Settings { threads: 1, ..Settings::default() }, PANIC);
    let mut socket = server.connect().await;
    socket.write_all(b"GET /panic HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();

    assert_eq!(read_to_end(&mut socket).await, "");
    assert_eq!(server.request("GET", "/fine", "").await.status, 200);
    server.until_idle().await;
}

/// Takes the connection out of the dispatcher's hands and writes to it as it likes.
const LIVE: &[Route] = &[Route {
    pattern: "/live",
    class: Class::Open,
    handler: Handler::Get(|request, _| {
        let handle = request.conn_data::<ConnHandle>().expect("every connection has one").clone();
        let conn = handle.take().expect("nobody else takes it");
        assert!(handle.take().is_none());
        std::thread::spawn(move || {
            std::thread::sleep(millis(100));
            let parts = [std::io::IoSlice::new(b"live bytes")];
            let mut cx = Context::from_waker(std::task::Waker::noop());
            assert!(conn.poll_write(&mut cx, &parts).is_ready());
        });
        Ok(HttpResponse::Ok().body("goes nowhere"))
    }),
}];

#[tokio::test(flavor = "multi_thread")]
async fn a_live_answer_takes_the_socket_away() {
    let server = Server::start_with(Settings::default(), LIVE);
    let mut socket = server.connect().await;

    socket.write_all(b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();

    assert_eq!(read_to_end(&mut socket).await, "live bytes");
    server.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_port_is_named() {
    let server = Server::start();
    let settings = Settings { listen: server.addr().to_string(), ..Settings::default() };
    let net = Net::new(Handle::current());
    let (source, metrics) =
        (Arc::clone(&server.source) as Arc<dyn Source>, Arc::clone(&server.metrics));

    let error =
        start(&net, server.tree.root(), settings, source, Token::new(TOKEN), metrics, silent_log())
            .unwrap_err();

    assert!(error.to_string().contains(&server.addr().to_string()), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_closes_idle_connections_and_frees_the_port() {
    let server = Server::start();
    let address = server.addr();
    let mut idle = server.connect().await;
    idle.write_all(b"GET /api/health HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    idle.peek(&mut byte).await.unwrap();
    let mut silent = server.connect().await;
    let start = Instant::now();

    server.http.stop(Duration::from_secs(5)).await;

    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    assert!(read_to_end(&mut idle).await.contains("200 OK"));
    assert_eq!(read_to_end(&mut silent).await, "");
    assert_eq!(server.metrics.http().connections.get(), 0);
    assert_eq!(server.tree.nodes(), 1);
    let error = TcpStream::connect(address).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}

#[tokio::test(flavor = "multi_thread")]
async fn stop_cuts_off_what_does_not_end_in_time() {
    let server = Server::start_with(Settings::default(), LARGE);
    let mut stuck = server.connect().await;
    stuck.write_all(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut byte = [0];
    stuck.peek(&mut byte).await.unwrap();
    let start = Instant::now();

    server.http.stop(millis(300)).await;

    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    assert_eq!(server.metrics.http().connections.get(), 0);
}
