//! Who is let in.

use actix_web::HttpResponse;

use super::*;

/// A path that a route matches.
fn path_of(route: &Route) -> String {
    route.pattern.replace("{key}", "live%2Fa").replace("{id}", "1").replace("{conn}", "7")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_admin_route_refuses_without_the_token() {
    let server = Server::start();
    let short = &TOKEN[..31];
    let cases = [
        String::new(),
        "Authorization: Bearer\r\n".to_owned(),
        "Authorization: Bearer \r\n".to_owned(),
        format!("Authorization: Bearer {short}\r\n"),
        format!("Authorization: Bearer {TOKEN}0\r\n"),
        format!("Authorization: Basic {TOKEN}\r\n"),
        format!("Authorization: {TOKEN}\r\n"),
        format!("Authorization: Bearer {TOKEN}\r\nAuthorization: Bearer {TOKEN}\r\n"),
        format!("X-Forwarded-For: 127.0.0.1\r\nCookie: token={TOKEN}\r\n"),
    ];
    let admin: Vec<&Route> = ROUTES.iter().filter(|route| route.class == Class::Admin).collect();
    assert!(
        ROUTES
            .iter()
            .all(|route| !route.pattern.starts_with("/api/v1") || route.class == Class::Admin)
    );
    for route in admin {
        for method in ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE"] {
            for headers in &cases {
                let headers = format!("Origin: https://evil.example\r\n{headers}");
                let answer = server.request(method, &path_of(route), &headers).await;
                assert_eq!(answer.status, 401, "{method} {} {headers}", route.pattern);
                assert!(answer.header("www-authenticate").unwrap().starts_with("bearer"));
                assert!(!answer.head.contains("access-control"), "{answer:?}");
            }
        }
        let path = format!("{}?token={TOKEN}", path_of(route));
        server.request("GET", &path, "").await.assert_problem(401);
        // Without the body: there are answers that never end.
        let (method, statuses) = match route.handler {
            Handler::Get(_) => ("HEAD", [200, 200]),
            Handler::Delete(_) => ("DELETE", [204, 400]),
            Handler::Post(_) => ("POST", [204, 409]),
            Handler::Put(_) => ("PUT", [204, 400]),
        };
        let scheme = format!("authorization: bEARER  {TOKEN}\r\nOrigin: https://evil.example\r\n");
        let answer = server.request(method, &path_of(route), &scheme).await;
        assert!(statuses.contains(&answer.status), "{method} {}: {answer:?}", route.pattern);
        assert!(!answer.head.contains("access-control"), "{answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_spelling_of_a_path_gets_around_the_guard() {
    let server = Server::start();
    for path in [
        "/%61pi/v1/streams",
        "/api/v1/%73treams",
        "/api%2Fv1%2Fstreams",
        "//api/v1/streams",
        "/api//v1/streams",
        "/api/v1/streams/",
        "/./api/v1/streams",
        "/x/../api/v1/streams",
        "/API/V1/STREAMS",
        "/api/v1/streams%00",
        "/api/v1/streams;x",
        "http://x/api/v1/streams",
        "/api/health/../v1/streams",
        "/api/v1/streams?x#y",
    ] {
        let answer = server.request("GET", path, "").await;
        assert!([400, 401, 404].contains(&answer.status), "{path}: {answer:?}");
        assert!(!answer.body.contains("live/a"), "{path}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_need_the_token_or_an_allowed_address() {
    let server = Server::start();
    assert_eq!(server.request("GET", "/api/metrics", "").await.status, 200);
    // A proxy on the same machine asks for somebody else.
    for header in
        ["X-Forwarded-For: 1.2.3.4", "Forwarded: for=1.2.3.4", "Via: 1.1 x", "X-Real-IP: 1.2.3.4"]
    {
        let answer = server.request("GET", "/api/metrics", &format!("{header}\r\n")).await;
        answer.assert_problem(401);
    }

    let nobody = Settings { metrics_allow: Arc::new(|_| false), ..Settings::default() };
    let server = Server::start_with(nobody, ROUTES);
    server.request("GET", "/api/metrics", "").await.assert_problem(401);
    assert_eq!(server.get("/api/metrics").await.status, 200);
}

const MEDIA: &[Route] = &[Route {
    pattern: "/media",
    class: Class::Media,
    handler: Handler::Get(|_, _| Ok(HttpResponse::Ok().body("frames"))),
}];

#[tokio::test(flavor = "multi_thread")]
async fn media_is_open_to_every_page() {
    let server = Server::start_with(Settings::default(), MEDIA);

    let answer = server.request("GET", "/media", "Origin: https://player.example\r\n").await;

    assert_eq!((answer.status, answer.body.as_str()), (200, "frames"));
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_open_and_tells_nothing() {
    let server = Server::start();

    let answer = server.request("GET", "/api/health", "Origin: https://evil.example\r\n").await;

    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, "{\"status\":\"ok\"}");
    assert!(
        !answer.head.contains("access-control") && !answer.head.contains("server:"),
        "{answer:?}"
    );
}
