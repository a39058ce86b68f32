//! Viewers over loopback: what each of them receives, byte for byte, and how it ends.

mod delivery;
mod endings;
mod in_sync;
mod secure;
mod slow;
mod spine;

use std::sync::Arc;
use std::time::Duration;

use plugin_api::mem::{Account, Pool};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::runtime::Handle;

use super::{Detached, Fanout, Settings, Viewer};
use crate::hub::feed::testing::{self, TestStream, TextFormat};
use crate::hub::feed::{self, Feeds, Prepared, Registration};
use crate::hub::key::StreamKey;
use crate::net::{Conn, Listener, Net};

const DEADLINE: Duration = Duration::from_secs(20);

/// A server with the text format, and a way to make its viewers.
struct Server {
    feeds: Feeds,
    registration: Option<Registration>,
    fanout: Fanout,
    listener: Listener,
}

/// An attached connection, from both sides.
struct Pair {
    viewer: Viewer,
    client: TcpStream,
}

impl Server {
    fn start(settings: &Settings) -> Self {
        let feeds = testing::feeds(feed::Settings::default());
        let registration = feeds.register("text", Arc::new(TextFormat::default())).unwrap();
        let pool = Pool::new(Account::new(usize::MAX));
        let fanout = Fanout::start(settings, pool).unwrap();
        let listener = Net::new(Handle::current()).listen("127.0.0.1:0").unwrap();
        Self { feeds, registration: Some(registration), fanout, listener }
    }

    fn with_threads(threads: usize) -> Self {
        Self::start(&Settings { threads: Some(threads), ..Settings::default() })
    }

    async fn connect(&self) -> (Arc<Conn>, TcpStream) {
        let client = TcpStream::connect(self.listener.local_addr()).await.unwrap();
        (self.listener.accept().await.unwrap(), client)
    }

    /// A peer whose kernel holds little for it.
    async fn connect_narrow(&self) -> (Arc<Conn>, TcpStream) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(4096).unwrap();
        let client = socket.connect(self.listener.local_addr()).await.unwrap();
        (self.listener.accept().await.unwrap(), client)
    }

    async fn prepare(&self, key: &str, conn: &Conn, stream: &TestStream) -> Prepared {
        testing::prepare(&self.feeds, key, conn.id(), Some(stream)).await.unwrap()
    }

    async fn view(&self, key: &str, stream: &TestStream, first: &str) -> Pair {
        let (conn, client) = self.connect().await;
        let prepared = self.prepare(key, &conn, stream).await;
        let viewer = self.fanout.attach(&conn, prepared, &[first.as_bytes()]).unwrap();
        Pair { viewer, client }
    }
}

impl Pair {
    /// Reads exactly this.
    async fn expect(&mut self, text: &str) {
        let got = read_exactly(&mut self.client, text.len()).await;
        assert_eq!(got, text);
    }

    async fn detached(&self) -> Detached {
        within("the end", self.viewer.detached()).await
    }
}

fn key(text: &str) -> StreamKey {
    StreamKey::new(text).unwrap()
}

async fn read_exactly(client: &mut TcpStream, len: usize) -> String {
    let mut got = vec![0; len];
    let mut n = 0;
    while n < len {
        let read = tokio::time::timeout(DEADLINE, client.read(&mut got[n..])).await;
        match read {
            Ok(Ok(more)) if more > 0 => n += more,
            other => panic!("{other:?} after {:?}", String::from_utf8_lossy(&got[..n])),
        }
    }
    String::from_utf8(got).unwrap()
}

async fn within<F: Future>(what: &str, future: F) -> F::Output {
    tokio::time::timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("waited for {what}"))
}

async fn until(what: &str, done: impl Fn() -> bool) {
    let waiting = async {
        while !done() {
            tokio::task::yield_now().await;
        }
    };
    within(what, waiting).await;
}
