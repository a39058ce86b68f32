//! Routes on the server's HTTP port.
//!
//! A plugin registers patterns ([`Host::route`]). The host reads requests, decides by the route's [`Access`] who may call, and
//! hands each over as a [`Request`]: answered whole, in parts, or as a viewer of a feed, at once or later, from any task.
//! A request that is dropped is answered with 500.

use std::net::SocketAddr;
use std::time::Duration;

use crate::abi::http as abi;
use crate::error::{Error, Status};
use crate::feed::{PrepareOptions, Prepared};
use crate::ffi::{Owned, lend, size_u32};
use crate::host::Host;
use crate::time::ns;

/// Who may call a route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// The operator, by token.
    #[default]
    Admin,
    /// Everybody, from every web page: playing. Auth rules are asked by [`Request::prepare`].
    Media,
    /// Everybody.
    Open,
}

/// What is asked for. HEAD comes as GET, OPTIONS is answered by the host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    #[default]
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

impl Method {
    pub(crate) fn to_abi(self) -> u32 {
        match self {
            Self::Get => abi::GET,
            Self::Post => abi::POST,
            Self::Put => abi::PUT,
            Self::Patch => abi::PATCH,
            Self::Delete => abi::DELETE,
        }
    }

    pub(crate) fn from_abi(value: u32) -> Self {
        let all = [Self::Post, Self::Put, Self::Patch, Self::Delete];
        all.into_iter().find(|method| method.to_abi() == value).unwrap_or_default()
    }
}

/// What to answer, and for whom.
#[derive(Clone, Copy, Debug, Default)]
pub struct RouteOptions<'a> {
    /// `/flv/{key...}`: `{name}` is one segment, `{name...}` the rest of the path; neither matches nothing.
    pub pattern: &'a str,
    pub access: Access,
    /// Empty: [`Method::Get`].
    pub methods: &'a [Method],
    /// Requests that ask for a WebSocket get one.
    pub websocket: bool,
    /// Short word for lists and logs: `http-flv`.
    pub protocol: &'a str,
    /// `/flv/{key}.flv`, for the start banner and the stream list; may be empty.
    pub play_url: &'a str,
    /// The longest body of a request, at most 16 MiB; 0: none is taken.
    pub body_max: u32,
    /// For the answer to begin. Zero: a minute.
    pub deadline: Duration,
}

/// A registered route. Dropping it takes the route away.
#[derive(Debug)]
#[must_use = "dropping it takes the route away"]
pub struct Route {
    _owned: Owned,
}

impl Host {
    /// Registers a route. `on_request` is called on the host's workers, concurrently, and must not block: what takes time
    /// goes to a task ([`Host::spawn_detached`]).
    ///
    /// # Errors
    /// [`Status::CONFLICT`] when another route has the same pattern, [`Status::INVALID`] for one that can't be read.
    pub fn route(
        &self,
        options: RouteOptions<'_>,
        on_request: impl Fn(Request) + Send + Sync + 'static,
    ) -> Result<Route, Error> {
        let options = abi::Route {
            struct_size: size_u32::<abi::Route>(),
            access: match options.access {
                Access::Admin => abi::ADMIN,
                Access::Media => abi::MEDIA,
                Access::Open => abi::OPEN,
            },
            methods: options.methods.iter().fold(0, |bits, method| bits | method.to_abi()),
            flags: if options.websocket { abi::WEBSOCKET } else { 0 },
            pattern: lend(options.pattern),
            protocol: lend(options.protocol),
            play_url: lend(options.play_url),
            body_max: options.body_max,
            reserved: 0,
            deadline: ns(options.deadline),
        };
        self.instance.route(&options, on_request).map(|owned| Route { _owned: owned })
    }
}

/// Status and headers of an answer. Framing, connection, date and CORS headers are the host's.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    pub status: u16,
    pub headers: &'a [(&'a str, &'a str)],
}

/// What the host has read of a request.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) is_websocket: bool,
    pub(crate) conn: u64,
    pub(crate) peer: SocketAddr,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) body: Vec<u8>,
}

/// A request that waits for its answer. Dropping it answers with 500.
#[derive(Debug)]
pub struct Request {
    owned: Owned,
    asked: Asked,
}

impl Request {
    pub(crate) fn new(owned: Owned, asked: Asked) -> Self {
        Self { owned, asked }
    }

    pub fn method(&self) -> Method {
        self.asked.method
    }

    /// As on the wire, percent-encoded, like all texts of a request.
    pub fn path(&self) -> &str {
        &self.asked.path
    }

    /// Without the question mark; may be empty.
    pub fn query(&self) -> &str {
        &self.asked.query
    }

    pub fn body(&self) -> &[u8] {
        &self.asked.body
    }

    /// It asks for a WebSocket, and the route takes them.
    pub fn is_websocket(&self) -> bool {
        self.asked.is_websocket
    }

    /// The connection's number in log, API and metrics.
    pub fn conn(&self) -> u64 {
        self.asked.conn
    }

    pub fn peer(&self) -> SocketAddr {
        self.asked.peer
    }

    /// What the path has for `{name}`.
    pub fn param(&self, name: &str) -> Option<String> {
        self.owned.instance.http_param(self.owned.handle, name)
    }

    /// The first header of the name, which is read without case.
    pub fn header(&self, name: &str) -> Option<String> {
        self.owned.instance.http_header(self.owned.handle, name)
    }

    /// Waits until nobody waits for the answer any more.
    pub async fn gone(&self) {
        std::future::poll_fn(|cx| self.owned.instance.poll_gone(self.owned.handle, cx)).await;
    }

    /// As [`Host::prepare`], for this request as the viewer: [`PrepareOptions::conn`] is not looked at. The host knows the
    /// peer's agent.
    ///
    /// # Errors
    /// As [`Host::prepare`].
    pub async fn prepare(&self, options: PrepareOptions<'_>) -> Result<Prepared, Error> {
        Prepared::wait(&self.owned.instance, self.owned.handle, options).await
    }

    /// The whole answer. Nothing happens if nobody waits for it any more.
    ///
    /// # Errors
    /// [`Status::INVALID`] for a head that is not the plugin's to set.
    pub fn answer(self, head: Head<'_>, body: &[&[u8]]) -> Result<(), Error> {
        self.owned.instance.http_answer(self.owned.handle, &head, body).map(drop)
    }

    /// Says an error as the host says it everywhere: not found 404, denied 403, invalid 400, unsupported 406, limit and
    /// time-out 503 with Retry-After. The text is for the peer.
    pub fn refuse(self, error: &Error) {
        // An instance that stops can't answer any more; the host does.
        let _ = self.owned.instance.http_refuse(self.owned.handle, error);
    }

    /// Begins an answer in parts.
    ///
    /// # Errors
    /// As [`Request::answer`].
    pub fn begin(self, head: Head<'_>) -> Result<Body, Error> {
        self.owned.instance.http_begin(self.owned.handle, &head)?;
        Ok(Body(self.owned))
    }

    /// The answer is a feed, to the end of the connection: the head, then what was prepared by [`Request::prepare`]. A
    /// WebSocket gets the upgrade, and each packet as a message. Nothing more is to be done for the viewer.
    ///
    /// # Errors
    /// As [`Request::answer`]; [`Status::STATE`] when the place was not prepared for this request, or is no longer held.
    pub fn attach(self, prepared: Prepared, head: Head<'_>) -> Result<(), Error> {
        let place = prepared.into_owned();
        self.owned.instance.http_attach(self.owned.handle, place.handle, &head)?;
        place.forget();
        Ok(())
    }
}

/// An answer in parts. Dropping it before [`Body::finish`] cuts it off, which the peer notices.
#[derive(Debug)]
pub struct Body(Owned);

impl Body {
    /// Appends bytes, when there is room. `false`: nobody reads any more.
    ///
    /// # Errors
    /// [`Status::CANCELLED`] when the instance stops.
    pub async fn write(&self, parts: &[&[u8]]) -> Result<bool, Error> {
        let write = |cx: &mut std::task::Context<'_>| {
            self.0.instance.poll_http_write(self.0.handle, cx, parts)
        };
        Ok(std::future::poll_fn(write).await? != Status::END)
    }

    /// That was all.
    ///
    /// # Errors
    /// [`Status::CANCELLED`] when the instance stops.
    pub fn finish(self) -> Result<(), Error> {
        self.0.instance.http_finish(self.0.handle).map(drop)
    }
}
