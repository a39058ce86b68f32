//! A request to a plugin's route, and how it is answered: by whoever has it, from any thread.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use actix_web::http::StatusCode;
use actix_web::http::header::HeaderMap;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::oneshot;

pub(crate) use super::parts::Parts;
use super::pattern::Params;
use crate::net::Conn;

/// What was asked. Dropping it unanswered is an answer too: 500.
#[derive(Debug)]
pub(crate) struct Request {
    /// `PC_HTTP_*` of the contract.
    pub(crate) method: u32,
    /// As on the wire, like all texts here.
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) params: Params,
    /// Those whose values are UTF-8; names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
    pub(crate) peer: SocketAddr,
    pub(crate) conn: u64,
    /// For lists and logs: `http-flv`, `ws-flv`.
    pub(crate) protocol: String,
    /// It asks for a WebSocket, and the route takes them.
    pub(crate) is_websocket: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(oneshot::Sender<Answer>),
    /// An answer in parts is under way.
    Writing(Arc<Parts>),
    Answered,
}

/// Status and headers as the plugin gave them.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
}

/// Takes the connection over: the socket, and the head that has to be sent on it first.
pub(crate) type TakeOver = Box<dyn FnOnce(Arc<Conn>, Vec<u8>) + Send>;

/// How a request is answered.
pub(crate) enum Answer {
    Whole(Head, Bytes),
    Refused(StatusCode, String),
    Parts(Head, Arc<Parts>),
    /// The connection leaves HTTP.
    TakeOver(Head, TakeOver),
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(..) => "Whole",
            Self::Refused(..) => "Refused",
            Self::Parts(..) => "Parts",
            Self::TakeOver(..) => "TakeOver",
        })
    }
}

/// Why an answer was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unsent {
    /// It was answered before, or no answer in parts is under way.
    State,
    /// Nobody waits for it any more.
    Gone,
}

/// The part of a request that its connection has read.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: u32,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) params: Params,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Bytes,
    pub(super) peer: SocketAddr,
    pub(super) conn: u64,
    pub(super) protocol: String,
    pub(super) is_websocket: bool,
}

impl Request {
    /// The answer comes through the receiver; when that is dropped, nobody waits for it any more.
    pub(super) fn new(asked: Asked) -> (Self, oneshot::Receiver<Answer>) {
        let (sender, receiver) = oneshot::channel();
        let Asked {
            method,
            path,
            query,
            params,
            headers,
            body,
            peer,
            conn,
            protocol,
            is_websocket,
        } = asked;
        let state = Mutex::new(State::Waiting(sender));
        let request = Self {
            method,
            path,
            query,
            params,
            headers,
            body,
            peer,
            conn,
            protocol,
            is_websocket,
            state,
        };
        (request, receiver)
    }

    /// The first header of the name, which is read without case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Answers.
    pub(crate) fn answer(&self, answer: Answer) -> Result<(), Unsent> {
        let next = match &answer {
            Answer::Parts(_, parts) => State::Writing(Arc::clone(parts)),
            _ => State::Answered,
        };
        let mut state = self.state.lock();
        match std::mem::replace(&mut *state, next) {
            State::Waiting(sender) => sender.send(answer).map_err(|_| Unsent::Gone),
            other => {
                *state = other;
                Err(Unsent::State)
            }
        }
    }

    /// The answer in parts that is under way.
    pub(crate) fn parts(&self) -> Option<Arc<Parts>> {
        match &*self.state.lock() {
            State::Writing(parts) => Some(Arc::clone(parts)),
            _ => None,
        }
    }

    /// Ready when nobody waits for the answer, or for the rest of it.
    pub(crate) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self.state.lock() {
            State::Waiting(sender) => sender.poll_closed(cx),
            State::Writing(parts) => parts.poll_gone(cx),
            State::Answered => Poll::Ready(()),
        }
    }

    /// Whoever had it has let go of it.
    pub(crate) fn close(&self) {
        // An answer that was not given is noticed by the receiver, outside of the lock.
        let before = std::mem::replace(&mut *self.state.lock(), State::Answered);
        if let State::Writing(parts) = before {
            parts.end(false);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.close();
    }
}
