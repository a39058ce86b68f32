//! The API and its description say the same.

use std::collections::BTreeSet;

use super::*;

/// Methods and paths of the table, without the page: that is for people.
fn routed() -> BTreeSet<(String, String)> {
    let method = |route: &Route| match route.handler {
        Handler::Delete(_) => "delete",
        Handler::Get(_) => "get",
        Handler::Post(_) => "post",
        Handler::Put(_) => "put",
    };
    api().map(|route| (method(route).to_owned(), route.pattern.to_owned())).collect()
}

fn api() -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(|route| route.pattern.starts_with("/api/"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_nothing_else() {
    let server = Server::start();
    let document = server.get("/api/v1/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");

    let paths = document["paths"].as_object().unwrap();
    let described: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().unwrap().keys();
            methods.map(move |method| (method.clone(), path.clone()))
        })
        .collect();

    assert_eq!(described, routed());
    assert_eq!(routed().len(), api().count(), "a route stands twice in the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_whole() {
    let server = Server::start();
    let document = server.get("/api/v1/openapi.json").await.json();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id.to_owned()), "{id} twice");
            let is_admin = path.starts_with("/api/v1/");
            assert_eq!(operation["security"].is_array(), is_admin, "{method} {path}");
            assert_eq!(operation["responses"]["401"].is_object(), is_admin, "{method} {path}");
            let in_path = path.matches('{').count();
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let described = parameters.iter().filter(|parameter| parameter["in"] == "path").count();
            assert_eq!(described, in_path, "{method} {path}");
        }
    }
    // Every reference leads somewhere.
    let text = document.to_string();
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(schemas.contains_key(name), "{name} is not described");
    }
    assert!(schemas.contains_key("StreamDetail") && schemas.contains_key("Problem"));
}

#[test]
fn routes_of_one_path_stand_together_and_have_one_class() {
    let mut seen = BTreeSet::new();
    for same_path in ROUTES.chunk_by(|a, b| a.pattern == b.pattern) {
        assert!(seen.insert(same_path[0].pattern), "{} is scattered", same_path[0].pattern);
        assert!(same_path.iter().all(|route| route.class == same_path[0].class));
    }
}
