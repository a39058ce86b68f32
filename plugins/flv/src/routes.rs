//! `/flv/{key}.flv`: who asks for a stream gets it, or is told why not.
//!
//! request → **routes** → feed (host), which has the connection from then on
//!
//! A request waits for its stream in a task. WebSockets are the host's affair: what is asked for, and what is answered, is
//! the same.

use plugin_api::feed::PrepareOptions;
use plugin_api::http::{Access, Head, Request, Route, RouteOptions};
use plugin_api::stream::Wait;
use plugin_api::{Error, Host};

use crate::config::{Config, Hevc};
use crate::error::End;
use crate::packager::{FORMAT, LEGACY_HEVC};

/// What players expect at the end of the path; they may leave it out.
const SUFFIX: &str = ".flv";

const HEAD: Head<'static> = Head {
    status: 200,
    headers: &[("content-type", "video/x-flv"), ("cache-control", "no-store")],
};

pub(crate) fn register(host: &Host, config: &Config) -> Result<Route, Error> {
    let options = RouteOptions {
        pattern: "/flv/{key...}",
        access: Access::Media,
        websocket: true,
        protocol: "http-flv",
        play_url: "/flv/{key}.flv",
        ..RouteOptions::default()
    };
    let (own, hevc) = (host.clone(), config.hevc);
    host.route(options, move |request| {
        let peer = request.peer().to_string();
        // When the instance stops, the request is dropped, and the host answers.
        let _ = own.spawn_detached("request", &peer, async move {
            let conn = request.conn();
            if let Err(end) = serve(request, hevc).await {
                tracing::debug!(event = "flv.no_stream", conn, %end, "no stream for a request");
            }
        });
    })
}

async fn serve(request: Request, hevc: Hevc) -> Result<(), End> {
    let wanted = Wanted::parse(&request.param("key").unwrap_or_default(), request.query(), hevc);
    let options = PrepareOptions {
        url: &wanted.url,
        format: FORMAT,
        variant: wanted.variant,
        wait: wanted.wait,
        ..PrepareOptions::default()
    };
    let prepared = tokio::select! {
        prepared = request.prepare(options) => prepared,
        () = request.gone() => return Err(End::Gone),
    };
    match prepared {
        Ok(prepared) => request.attach(prepared, HEAD).map_err(End::Host),
        Err(error) => {
            request.refuse(&error);
            Err(End::Refused(error))
        }
    }
}

/// What a path and a query ask for.
#[derive(Debug, PartialEq, Eq)]
struct Wanted {
    /// As the host reads it: key and arguments.
    url: String,
    variant: &'static str,
    wait: Wait,
}

impl Wanted {
    /// The player's own wishes go before the config.
    fn parse(key: &str, query: &str, configured: Hevc) -> Self {
        let key = key.strip_suffix(SUFFIX).unwrap_or(key);
        let argument = |name: &str| {
            let arguments = query.split('&').filter_map(|argument| argument.split_once('='));
            arguments.filter(|(own, _)| *own == name).map(|(_, value)| value).next_back()
        };
        let hevc = match argument("hevc") {
            Some("legacy") => Hevc::Legacy,
            Some("enhanced") => Hevc::Enhanced,
            _ => configured,
        };
        Self {
            url: if query.is_empty() { key.to_owned() } else { format!("{key}?{query}") },
            variant: if hevc == Hevc::Legacy { LEGACY_HEVC } else { "" },
            wait: if argument("wait") == Some("0") { Wait::Never } else { Wait::Configured },
        }
    }
}

#[cfg(test)]
mod tests {
    use plugin_api::Status;
    use plugin_api::frame::{FourCc, Track, TrackKind};
    use plugin_api::testing::{FakeHost, HttpRequest};

    use super::*;
    use crate::Flv;

    fn ask<'a>(path: &'a str) -> HttpRequest<'a> {
        HttpRequest { path, ..HttpRequest::default() }
    }

    #[test]
    fn the_suffix_is_left_out_and_a_players_wish_goes_before_the_config() {
        use Hevc::{Enhanced, Legacy};
        let cases = [
            ("live/a.flv", "", Enhanced, "live/a", "", Wait::Configured),
            ("live/a", "", Legacy, "live/a", LEGACY_HEVC, Wait::Configured),
            ("live/a.flv", "wait=0", Enhanced, "live/a?wait=0", "", Wait::Never),
            ("a.flv.flv", "hevc=enhanced", Legacy, "a.flv?hevc=enhanced", "", Wait::Configured),
            (
                "a",
                "key=1&hevc=legacy",
                Enhanced,
                "a?key=1&hevc=legacy",
                LEGACY_HEVC,
                Wait::Configured,
            ),
            ("a", "nohevc=legacy&wait=1", Enhanced, "a?nohevc=legacy&wait=1", "", Wait::Configured),
        ];
        for (key, query, configured, url, variant, wait) in cases {
            let expected = Wanted { url: url.to_owned(), variant, wait };
            assert_eq!(Wanted::parse(key, query, configured), expected, "{key} {query}");
        }
    }

    #[test]
    fn a_request_becomes_a_viewer() {
        let host = FakeHost::new();
        let plugin = host.start::<Flv>(r#"{"hevc": "legacy"}"#).unwrap();
        host.set_tracks("live/a", &[Track::new(1, TrackKind::Audio, FourCc::ALAW)]);

        let answer = host.request(ask("/flv/live/a.flv")).expect("a route");

        let expected = ("live/a".to_owned(), FORMAT.to_owned(), LEGACY_HEVC.to_owned());
        assert_eq!(answer.viewer, Some(expected));
        let headers: Vec<_> =
            answer.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!((answer.status, &headers[..]), (200, HEAD.headers));
        assert_eq!(host.routes(), [("/flv/{key...}".to_owned(), Access::Media)]);
        plugin.stop();
        assert_eq!(host.state(|state| state.open_handles()), 0);
    }

    #[test]
    fn a_refusal_is_told() {
        let host = FakeHost::new();
        let plugin = host.start::<Flv>("{}").unwrap();

        let absent = host.request(ask("/flv/live/a.flv?wait=0")).expect("a route");
        host.set_auth(|_, _| Err(Error::denied("not you")));
        let denied = host.request(ask("/flv/live/a.flv?wait=0")).expect("a route");

        assert_eq!(absent.refused.map(|error| error.status), Some(Status::NOT_FOUND));
        assert_eq!(denied.refused, Some(Error::denied("not you")));
        assert_eq!(host.request(ask("/flv/")), None);
        plugin.stop();
    }
}
