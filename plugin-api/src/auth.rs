//! May this peer publish or play? `publish`, `subscribe` and `prepare` ask by themselves; ask here only when the answer is needed
//! before, for instance for a protocol's own challenge.

use crate::abi::auth as abi;
use crate::error::{Error, Status};
use crate::host::Host;
use crate::net::TcpStream;

/// What a peer wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Play,
    Publish,
}

/// A question to the auth rules.
#[derive(Clone, Copy, Debug)]
pub struct AuthRequest<'a> {
    pub action: Action,
    /// As in [`PublishOptions::url`](crate::stream::PublishOptions::url); its `key` argument is the secret.
    pub url: &'a str,
    /// The peer's connection; `None`: the plugin itself.
    pub conn: Option<&'a TcpStream>,
    pub protocol: &'a str,
}

impl Host {
    /// Asks the auth rules.
    ///
    /// # Errors
    /// [`Status::DENIED`] with the reason, [`Status::INVALID`] for a bad stream key.
    pub async fn check(&self, request: AuthRequest<'_>) -> Result<(), Error> {
        let AuthRequest { action, url, conn, protocol } = request;
        let action = match action {
            Action::Play => abi::ACTION_PLAY,
            Action::Publish => abi::ACTION_PUBLISH,
        };
        let conn = conn.map_or(0, TcpStream::handle);
        let status =
            std::future::poll_fn(|cx| self.instance.poll_check(action, url, conn, protocol, cx))
                .await?;
        if status == Status::OK {
            Ok(())
        } else {
            Err(Error::internal(format!("answered {status:?}")))
        }
    }
}
