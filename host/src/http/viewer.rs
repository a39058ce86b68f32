//! A viewer over HTTP, from the hand-over of its socket to the end: there is no plugin code in it.
//!
//! The fan-out thread sends; what the peer says comes through the connection's pipe, and is answered here when it is a
//! WebSocket.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::websocket::{Reader, Reply, close, code};
use crate::fanout::Viewer;
use crate::hub::Reason;
use crate::hub::feed::Framing;
use crate::net::{CloseReason, Conn};

/// What of the peer's is read at a time: pings are short.
const READ_LEN: usize = 256;
/// What the peer gets to take the last bytes, and to close its half.
const FAREWELL: Duration = Duration::from_secs(2);

/// Answers the peer until the viewer has ended, and says goodbye. Dropping the future closes the connection.
pub(crate) async fn accompany(viewer: Viewer, framing: Framing) {
    let conn = Arc::clone(viewer.conn());
    let mut websocket = (framing == Framing::WebSocket).then(Reader::default);
    let mut is_closed = false;
    let mut is_reading = true;
    let reason = loop {
        let mut bytes = [0; READ_LEN];
        let read = std::future::poll_fn(|cx| conn.poll_read(cx, &mut bytes));
        tokio::select! {
            detached = viewer.detached() => break detached.reason,
            read = read, if is_reading => {
                let Ok(n @ 1..) = read else {
                    is_reading = false;
                    continue;
                };
                let Some(reader) = &mut websocket else { continue };
                for reply in reader.push(bytes.get(..n).unwrap_or_default()) {
                    // A peer that pings and does not read the answers is as good as gone.
                    let is_taken = match &reply {
                        Reply::Send(frame) | Reply::Close(frame) => viewer.inject(&[frame]).is_ok(),
                    };
                    if !is_taken || matches!(reply, Reply::Close(_)) {
                        is_closed = true;
                        viewer.detach();
                    }
                }
            }
        }
    };
    if matches!(reason, Reason::PeerClosed | Reason::Stalled) {
        conn.close(CloseReason::Asked);
        return;
    }
    let last = match (&websocket, reason) {
        (Some(_), _) if is_closed => Vec::new(),
        (Some(_), Reason::Stopped) => close(code::GOING_AWAY, "the server stops"),
        (Some(_), reason) => close(code::NORMAL, reason.name()),
        (None, _) => Vec::new(),
    };
    // It has ended either way.
    let _ = timeout(FAREWELL, farewell(&conn, &last)).await;
    conn.close(CloseReason::Asked);
}

/// Sends what is left to say, and waits for the peer to close: closing on bytes that were not read resets the
/// connection, and the peer may lose the end of what it got.
async fn farewell(conn: &Conn, mut last: &[u8]) -> Result<(), crate::net::Error> {
    while !last.is_empty() {
        let part = [std::io::IoSlice::new(last)];
        let n = std::future::poll_fn(|cx| conn.poll_write(cx, &part)).await?;
        last = last.get(n..).unwrap_or_default();
    }
    std::future::poll_fn(|cx| conn.poll_shutdown(cx)).await?;
    let mut bytes = [0; READ_LEN];
    while std::future::poll_fn(|cx| conn.poll_read(cx, &mut bytes)).await? > 0 {}
    Ok(())
}
