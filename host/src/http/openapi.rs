//! The API's description (OpenAPI 3.1), made of the handlers and of the types that they answer with.

use std::sync::OnceLock;

use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{OpenApi as Document, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::api;

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
                let refused = ResponseBuilder::new().description("No token, or a wrong one");
                operation.responses.responses.insert("401".to_owned(), refused.build().into());
            }
        }
    }
}

/// The description as JSON, made once.
pub(super) fn text() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| Description::openapi().to_json().unwrap_or_default())
}
