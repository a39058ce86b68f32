//! Who is let in: the one place that decides it, by the class of the route.

use std::time::{Duration, Instant};

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CACHE_CONTROL, HeaderMap, HeaderValue,
    WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage as _, HttpResponse};

use super::serve::Found;
use super::worker::State;
use super::{Class, Problem, peer};
use crate::auth::token::Token;
use crate::log::quiet::Quiet;
use crate::net::bucket;

/// Between two lines of the log about one address that has no token.
const REFUSED_INTERVAL: Duration = Duration::from_secs(1);
/// Addresses that have such a line in that time.
const REFUSED_ADDRESSES_MAX: usize = 64;
/// Of a method's name, which anybody may make up.
const METHOD_SHOWN_MAX: usize = 16;

/// For lines about those who are refused.
pub(super) fn quiet() -> Quiet {
    Quiet::new(REFUSED_INTERVAL, REFUSED_ADDRESSES_MAX)
}

/// Calls the route, or refuses.
pub(super) async fn admit<B: MessageBody + 'static>(
    class: Class,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse, Error> {
    let Some(state) = request.app_data::<Data<State>>().cloned() else {
        let response = Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "no state").into_response();
        return Ok(request.into_response(response));
    };
    let may_pass = match class {
        Class::Media | Class::Open => Ok(()),
        Class::Admin => authorize(request.headers(), &state.token),
        Class::Metrics => {
            if is_allowed_peer(&request, &state) {
                Ok(())
            } else {
                authorize(request.headers(), &state.token)
            }
        }
    };
    let mut response = match may_pass {
        Ok(()) => next.call(request).await?.map_into_boxed_body(),
        Err(denied) => {
            note(&request, &state, denied);
            request.into_response(denied.into_response())
        }
    };
    finish(class, response.headers_mut());
    state.metrics.http().count(class.name(), response.status().as_u16());
    Ok(response)
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Denied {
    NoToken,
    WrongToken,
}

impl Denied {
    fn into_response(self) -> HttpResponse {
        // RFC 6750, section 3: an error code only when there was a token.
        let (challenge, detail) = match self {
            Self::NoToken => {
                ("Bearer realm=\"plugcast\"", "needs the header \"Authorization: Bearer <token>\"")
            }
            Self::WrongToken => {
                ("Bearer realm=\"plugcast\", error=\"invalid_token\"", "this is not the token")
            }
        };
        let mut response = Problem::new(StatusCode::UNAUTHORIZED, detail).into_response();
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        response
    }
}

/// Counts the refusal, and logs it unless the address has had a line within the last second.
fn note(request: &ServiceRequest, state: &State, denied: Denied) {
    state.metrics.http().auth_refused.inc();
    let Some(peer) = request.peer_addr().map(|peer| peer.ip()) else { return };
    let client = peer::client(peer, request.headers(), &state.settings.trusted_proxies);
    // Who claims to come from elsewhere is still who is connected.
    let client = client.unwrap_or(peer).to_canonical();
    let Some(left_out) = state.refusals.may_log(bucket(client), Instant::now()) else { return };
    // The pattern, not the path: paths and queries may have secrets in them.
    let found = request.extensions().get::<Found>().map(|found| found.route.pattern.to_string());
    let route = found.or_else(|| request.match_pattern()).unwrap_or_default();
    let method = request.method().as_str();
    let method = method.get(..METHOD_SHOWN_MAX).unwrap_or(method);
    let reason = match denied {
        Denied::NoToken => "no token",
        Denied::WrongToken => "a wrong token",
    };
    tracing::warn!(
        event = "auth.refused", action = "admin", peer = %client, method, route, reason,
        left_out, "refused"
    );
}

/// Exactly one header with the one scheme, whose name is read without case (RFC 9110, section 11.1).
fn authorize(headers: &HeaderMap, token: &Token) -> Result<(), Denied> {
    let mut given = headers.get_all(AUTHORIZATION);
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Denied::NoToken) };
    let text = value.to_str().map_err(|_| Denied::WrongToken)?;
    let (scheme, credentials) = text.split_once(' ').ok_or(Denied::NoToken)?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denied::NoToken);
    }
    if token.matches(credentials.trim_matches(' ')) { Ok(()) } else { Err(Denied::WrongToken) }
}

fn is_allowed_peer(request: &ServiceRequest, state: &State) -> bool {
    let settings = &state.settings;
    let peer = request.peer_addr().map(|peer| peer.ip());
    let client =
        peer.and_then(|peer| peer::client(peer, request.headers(), &settings.trusted_proxies));
    client.is_some_and(|client| (settings.metrics_allow)(client))
}

/// Headers that every answer of a class has.
pub(super) fn finish(class: Class, headers: &mut HeaderMap) {
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    match class {
        Class::Media => {
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        }
        // It may know better: files of the page are kept and asked for again.
        Class::Open if headers.contains_key(CACHE_CONTROL) => {}
        Class::Admin | Class::Metrics | Class::Open => {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
    }
}
