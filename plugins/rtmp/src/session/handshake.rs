//! The handshake on a socket: time and noise come from here.
//!
//! socket → **handshake** → link

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::task::Poll;

use plugin_api::frame::NS_PER_MS;
use plugin_api::net::TcpStream;
use plugin_api::{Host, Status};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::Session;
use super::link::Link;
use crate::error::End;
use crate::wire::chunk_reader::Limits;
use crate::wire::handshake::{NOISE_LEN, ServerHandshake, Step};

/// C0, C1 and a good part of what may follow.
const READ: usize = 2048;

impl Session {
    /// Until C2 has come. What came after it is handed to the link.
    pub(super) async fn shake_hands(&mut self) -> Result<(), End> {
        let limit = self.config.handshake_timeout.get();
        let (host, stream) = (self.host.clone(), Arc::clone(&self.stream));
        let mut exchange = Box::pin(exchange(&host, &stream, self.config.limits()));
        let shaken = std::future::poll_fn(|cx| match self.ticket.poll_stop(cx) {
            Poll::Ready(()) => Poll::Ready(Err(End::Stopped)),
            Poll::Pending => exchange.as_mut().poll(cx),
        });
        self.link = match host.timeout(limit, shaken).await {
            Ok(link) => link?,
            Err(error) if error.status == Status::TIMEOUT => return Err(End::Idle(limit)),
            Err(error) => return Err(End::from_host(error)),
        };
        Ok(())
    }
}

async fn exchange(host: &Host, mut stream: &TcpStream, limits: Limits) -> Result<Link, End> {
    let epoch_ms = host.now() / NS_PER_MS;
    let epoch_ms = u32::try_from(epoch_ms & i64::from(u32::MAX)).unwrap_or_default();
    let mut handshake = ServerHandshake::new(epoch_ms, noise());
    let mut input = vec![0; READ];
    let mut received = 0_u64;
    loop {
        let read = stream.read(&mut input).await?;
        if read == 0 {
            return Err(End::PeerClosed);
        }
        let mut rest = input.get(..read).unwrap_or_default();
        let mut output = Vec::new();
        let step = handshake.push(&mut rest, &mut output)?;
        received += u64::try_from(read - rest.len()).unwrap_or_default();
        stream.write_all(&output).await?;
        if step == Step::Done {
            return Ok(Link::new(limits, received, rest));
        }
    }
}

/// Bytes that differ each time. Nothing secret depends on them: C1 and S1 only have to be unlike others (section 5.2.3).
fn noise() -> Box<[u8; NOISE_LEN]> {
    let state = RandomState::new();
    let mut noise = Box::new([0; NOISE_LEN]);
    for (index, bytes) in noise.chunks_mut(8).enumerate() {
        for (to, from) in bytes.iter_mut().zip(state.hash_one(index).to_ne_bytes()) {
            *to = from;
        }
    }
    noise
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_differs_each_time() {
        assert_ne!(noise(), noise());
    }
}
