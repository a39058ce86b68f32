//! The API and its description say the same.

use std::collections::BTreeSet;

use plugin_api::abi::http as abi;

use super::super::routes::PluginRoute;
use super::plugins::{echo, route};
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

/// Methods and paths of a description.
fn described(document: &Value) -> BTreeSet<(String, String)> {
    let paths = document["paths"].as_object().unwrap();
    let described = paths.iter().flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(move |method| (method.clone(), path.clone()))
    });
    described.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_and_nothing_else() {
    let server = Server::start();
    let document = server.get("/api/v1/openapi.json").await.json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{document}");

    assert_eq!(described(&document), routed());
    assert_eq!(routed().len(), api().count(), "a route stands twice in the table");
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_of_plugins_are_described_while_they_are_there() {
    let server = Server::start();
    let all = abi::GET | abi::POST | abi::PUT | abi::PATCH | abi::DELETE;
    let media = server.add(route("/flv/{key...}", Class::Media, echo));
    let _admin =
        server.add(PluginRoute { methods: all, ..route("/x/{a}/y/{b}", Class::Admin, echo) });

    let document = server.get("/api/v1/openapi.json").await.json();

    let mut expected = routed();
    let of = |path: &str, methods: &[&str]| -> Vec<(String, String)> {
        methods.iter().map(|method| (method.to_string(), path.to_owned())).collect()
    };
    expected.extend(of("/flv/{key...}", &["get", "post"]));
    expected.extend(of("/x/{a}/y/{b}", &["get", "post", "put", "patch", "delete"]));
    assert_eq!(described(&document), expected);
    // What is described is what the router does: a method that is described is not refused with 405.
    for (method, path) in described(&document).difference(&routed()) {
        let path = path.replace(['{', '}', '.'], "");
        for other in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let headers = format!("Authorization: Bearer {TOKEN}\r\nContent-Length: 0\r\n");
            let answer = server.request(other, &path, &headers).await;
            let is_described = described(&document).iter().any(|(described, at)| {
                described.eq_ignore_ascii_case(other) && at.replace(['{', '}', '.'], "") == path
            });
            assert_eq!(answer.status != 405, is_described, "{method} {other} {path}: {answer:?}");
        }
    }
    let operation = &document["paths"]["/x/{a}/y/{b}"]["delete"];
    assert_eq!((&operation["x-plugin"], &operation["x-class"]), (&json!("test"), &json!("admin")));
    assert_eq!(operation["parameters"].as_array().unwrap().len(), 2);
    assert!(operation["security"].is_array() && operation["responses"]["401"].is_object());
    let operation = &document["paths"]["/flv/{key...}"]["get"];
    assert_eq!(operation["parameters"][0]["name"], "key...");
    assert_eq!((&operation["x-class"], &operation["security"]), (&json!("media"), &Value::Null));

    drop(media);
    let document = server.get("/api/v1/openapi.json").await.json();
    assert!(document["paths"]["/flv/{key...}"].is_null());
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
