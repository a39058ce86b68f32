//! The API's description (OpenAPI 3.1), made of the handlers and of the types that they answer with, and the routes that
//! plugins have registered.

use std::sync::OnceLock;

use actix_web::http::Method;
use serde_json::{Value, json};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::routes::PluginRoute;
use super::serve::METHODS;
use super::{Class, Routes, api};

/// The answer 401.
const REFUSED: &str = "No token, or a wrong one";
/// How the token is called in the description.
const TOKEN: &str = "token";

#[derive(OpenApi)]
#[openapi(
    info(title = "Plugcast", description = "Errors are problems (RFC 9457). Ids are opaque strings."),
    paths(
        api::events::follow,
        api::health,
        api::log::levels,
        api::log::set_levels,
        api::log::tail,
        api::metrics,
        api::openapi,
        api::plugins,
        api::streams::ended,
        api::streams::list,
        api::streams::one,
        api::streams::stop,
        api::system,
        api::tasks::list,
        api::tasks::one,
        api::tasks::restart,
        api::tasks::stop,
        api::viewers::kick,
        api::viewers::list,
    ),
    modifiers(&Guarded)
)]
struct Description;

/// What holds for every route of the class `admin`.
struct Guarded;

impl Modify for Guarded {
    fn modify(&self, document: &mut Document) {
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme(TOKEN, bearer);
        for (path, item) in &mut document.paths.paths {
            if !path.starts_with("/api/v1/") {
                continue;
            }
            let methods = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
            for operation in methods.into_iter().flatten() {
                operation.security = Some(vec![SecurityRequirement::new(TOKEN, [""; 0])]);
                let refused = ResponseBuilder::new().description(REFUSED);
                operation.responses.responses.insert("401".to_owned(), refused.build().into());
            }
        }
    }
}

/// The description as JSON. The host's own part is made once; plugins come and go.
pub(super) fn document(plugins: &Routes) -> Value {
    static OWN: OnceLock<Value> = OnceLock::new();
    let own = || serde_json::to_value(Description::openapi()).unwrap_or_default();
    let mut document = OWN.get_or_init(own).clone();
    if let Some(paths) = document["paths"].as_object_mut() {
        for route in plugins.list() {
            paths.insert(route.pattern.to_string(), item(&route));
        }
    }
    document
}

/// A route of a plugin: what the host knows of it. The pattern is the path; `{key...}` is the rest of it, with its slashes.
fn item(route: &PluginRoute) -> Value {
    let own = METHODS.iter().filter(|(bit, _)| route.methods & bit != 0);
    own.map(|(_, method)| (method.as_str().to_lowercase(), operation(route, method))).collect()
}

fn operation(route: &PluginRoute, method: &Method) -> Value {
    let (instance, pattern) = (&route.instance, route.pattern.to_string());
    let names = pattern.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let parameter = |name: &str| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}});
    let mut operation = json!({
        "operationId": format!("{instance} {method} {pattern}"),
        "tags": [instance],
        "parameters": names.map(parameter).collect::<Value>(),
        "responses": {"default": {"description": "What the plugin answers"}},
        "x-plugin": instance,
        "x-class": route.class.name(),
        "x-protocol": route.protocol,
        "x-websocket": route.takes_websockets,
    });
    if route.class == Class::Admin {
        operation["security"] = json!([{TOKEN: []}]);
        operation["responses"]["401"] = json!({"description": REFUSED});
    }
    operation
}
