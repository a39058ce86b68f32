//! The page and the preview: open, the same for everybody, and nothing but the files of the table.

use super::*;

/// What others may see without the token: all of it is in the repository.
#[tokio::test(flavor = "multi_thread")]
async fn only_the_page_health_and_metrics_are_open() {
    let open: Vec<&str> = ROUTES
        .iter()
        .filter(|route| route.class != Class::Admin)
        .inspect(|route| assert!(matches!(route.handler, Handler::Get(_)), "{route:?}"))
        .map(|route| route.pattern)
        .collect();

    assert_eq!(open, ["/", "/preview/{key:.+}", "/ui/{file:.+}", "/api/health", "/api/metrics"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_guarded_by_their_headers() {
    let server = Server::start();
    for path in ["/", "/preview/live/a", "/preview/live%2Fa%20%3Cb%3E?key=x", "/ui/page.js"] {
        let answer = server.request("GET", path, "Origin: https://evil.example\r\n").await;

        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        let policy = answer.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{path}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"), "{path}");
        assert!(!answer.head.contains("access-control"), "{path}: {answer:?}");
        assert!(!answer.body.contains("<b>"), "the path is not echoed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_version_is_seen_at_once_and_the_same_one_not_sent_again() {
    let server = Server::start();
    let first = server.request("GET", "/ui/vendor/mpegts.js", "").await;
    assert_eq!(first.header("cache-control"), Some("no-cache"));
    assert_eq!(first.header("content-type"), Some("text/javascript; charset=utf-8"));
    let tag = first.header("etag").unwrap();

    let known = |tag: &str| format!("If-None-Match: {tag}\r\n");
    let same = server.request("GET", "/ui/vendor/mpegts.js", &known(tag)).await;
    let other = server.request("GET", "/ui/vendor/mpegts.js", &known("\"other\"")).await;

    assert_eq!((same.status, same.body.as_str()), (304, ""));
    assert_eq!(same.header("etag"), Some(tag));
    assert_eq!(other.body, first.body);
    assert_eq!(server.request("HEAD", "/", "").await.body, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_beside_the_table() {
    let server = Server::start();
    for path in [
        "/ui/",
        "/ui/index.html",
        "/ui/vendor/",
        "/ui/vendor/README.md",
        "/ui/../Cargo.toml",
        "/ui/..%2f..%2fCargo.toml",
        "/ui/%2e%2e/Cargo.toml",
        "/ui//page.js",
        "/ui/page.js%00",
        "/ui/PAGE.JS",
        "/preview/",
        "/preview",
        "/index.html",
        "/favicon.ico",
    ] {
        server.request("GET", path, "").await.assert_problem(404);
    }
    server.request("POST", "/", "Content-Length: 0\r\n").await.assert_problem(405);
}
