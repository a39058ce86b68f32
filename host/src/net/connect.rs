//! Dialling out.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use parking_lot::Mutex;

use super::conn::Beginning;
use super::{Conn, Error, Net};

type Attempt = Pin<Box<dyn Future<Output = Result<Arc<Conn>, Error>> + Send>>;

/// A connection that is being made. Dropping it gives up.
pub struct Connecting {
    net: Net,
    /// `None` once it has given its result.
    attempt: Mutex<Option<Attempt>>,
}

impl Connecting {
    pub(super) fn new(net: Net, address: &str, timeout: Duration) -> Self {
        let attempt = Box::pin(attempt(net.clone(), address.to_owned(), timeout));
        Self { net, attempt: Mutex::new(Some(attempt)) }
    }

    /// The connection, once.
    pub fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<Arc<Conn>, Error>> {
        let mut slot = self.attempt.lock();
        let Some(attempt) = slot.as_mut() else {
            return Poll::Ready(Err(Error::State("taken already")));
        };
        // The look-up and the timer need the runtime, and the caller may be on a thread of a plugin.
        let _entered = self.net.runtime().enter();
        let result = attempt.as_mut().poll(cx);
        if result.is_ready() {
            *slot = None;
        }
        result
    }

    /// Waits for the connection.
    ///
    /// # Errors
    /// [`Error::Timeout`], or what the look-up or the kernel said.
    pub async fn wait(&self) -> Result<Arc<Conn>, Error> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }
}

async fn attempt(net: Net, address: String, timeout: Duration) -> Result<Arc<Conn>, Error> {
    let socket = tokio::net::TcpStream::connect(&address);
    match tokio::time::timeout(timeout, socket).await {
        Ok(socket) => net.adopt_tokio(socket?, Beginning::default()),
        Err(_) => Err(Error::Timeout { address, after: timeout }),
    }
}
