//! The port over loopback, with a client that writes bytes.

mod access;
mod answers;
mod changes;
mod events;
mod limits;
mod openapi;
mod plugins;
mod ui;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;

use super::room::Room;
use super::route::{Handler, ROUTES, Route};
use super::server::start_with;
use super::worker::State;
use super::*;
use crate::auth::token::Token;
use crate::log;
use crate::metrics::{HostFigures, Metrics, StreamFigures};
use crate::net::Net;
use crate::task::Tree;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// A test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the rest of the host would know.
struct Fake {
    readiness: Mutex<Readiness>,
    tree: Arc<Tree>,
    stopped: Mutex<Vec<Duration>>,
}

impl Source for Fake {
    fn readiness(&self) -> Readiness {
        *self.readiness.lock()
    }

    fn streams(&self, page: &Page) -> Result<Listing, Problem> {
        page.list(["live/b", "live/a"].map(|key| (key.to_owned(), json!({"key": key}))))
    }

    fn stream(&self, key: &str) -> Option<Value> {
        ["live/a", "live/100%", "live/ä b"].contains(&key).then(|| json!({"key": key}))
    }

    fn plugins(&self, page: &Page) -> Result<Listing, Problem> {
        page.list([("rtmp".to_owned(), json!({"instance": "rtmp"}))])
    }

    fn tasks(&self, page: &Page) -> Result<Listing, Problem> {
        page.list(self.tree.list().into_iter().map(|info| (info.id, info)))
    }

    fn tree(&self) -> Result<Arc<Tree>, Problem> {
        Ok(Arc::clone(&self.tree))
    }

    fn system(&self) -> Result<Value, Problem> {
        Ok(json!({"version": "0"}))
    }

    fn stop_stream(&self, key: &str, block_for: Duration) -> Result<(), Problem> {
        if key != "live/a" {
            return Err(Problem::not_found("there is no stream of this key"));
        }
        self.stopped.lock().push(block_for);
        Ok(())
    }

    fn viewers(&self, page: &Page) -> Result<Listing, Problem> {
        page.list([(7_u64, json!({"conn": "7"}))])
    }

    fn kick(&self, conn: u64) -> Result<(), Problem> {
        if conn == 7 { Ok(()) } else { Err(Problem::not_found("no viewer has this connection")) }
    }

    fn ended(&self, page: &Page) -> Result<Listing, Problem> {
        page.list([1_u64, 2].map(|id| (Newest::from(id), json!({"id": id}))))
    }
}

struct NoFigures;

impl crate::metrics::Source for NoFigures {
    fn host(&self) -> HostFigures {
        HostFigures::default()
    }

    fn streams(&self) -> Vec<StreamFigures> {
        Vec::new()
    }
}

struct Server {
    http: HttpServer,
    source: Arc<Fake>,
    metrics: Arc<Metrics>,
    tree: Arc<Tree>,
    log: log::Handle,
    plugins: Routes,
}

/// A log that writes nowhere.
fn silent_log() -> log::Handle {
    log::Handle::new(&crate::config::Log::default(), Box::new(std::io::sink()))
}

impl Server {
    fn start() -> Self {
        Self::start_with(Settings::default(), ROUTES)
    }

    fn start_with(settings: Settings, routes: &'static [Route]) -> Self {
        let settings = Settings { listen: "127.0.0.1:0".to_owned(), ..settings };
        let plugins = settings.plugins.clone();
        let tree = Tree::new(Handle::current());
        let source = Arc::new(Fake {
            readiness: Mutex::new(Readiness::Ready),
            tree: Arc::clone(&tree),
            stopped: Mutex::default(),
        });
        let metrics = Metrics::new(Arc::new(NoFigures), 10);
        let log = silent_log();
        let state = State {
            room: Room::new(&settings, metrics.http().clone()),
            settings,
            source: Arc::clone(&source) as Arc<dyn Source>,
            token: Token::new(TOKEN),
            metrics: Arc::clone(&metrics),
            log: log.clone(),
            refusals: guard::quiet(),
        };
        let net = Net::new(Handle::current());
        let http = start_with(&net, tree.root(), state, routes).unwrap();
        Self { http, source, metrics, tree, log, plugins }
    }

    fn addr(&self) -> SocketAddr {
        self.http.addresses().next().expect("a listener").1
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.addr()).await.unwrap()
    }

    /// One request on a connection of its own. `headers` are whole lines, each with its end.
    async fn request(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut socket = self.connect().await;
        let head =
            format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n");
        socket.write_all(head.as_bytes()).await.unwrap();
        Answer::read(&mut socket).await
    }

    /// GET with the token.
    async fn get(&self, path: &str) -> Answer {
        self.request("GET", path, &format!("Authorization: Bearer {TOKEN}\r\n")).await
    }

    /// With the token and a body.
    async fn send(&self, method: &str, path: &str, body: &str) -> Answer {
        let mut socket = self.connect().await;
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {TOKEN}\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        Answer::read(&mut socket).await
    }

    /// Waits until HTTP has no connection.
    async fn until_idle(&self) {
        let idle = async {
            while self.metrics.http().connections.get() != 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, idle).await.expect("waited for the connections to close");
    }
}

/// An answer, read to the end of its connection.
#[derive(Debug)]
struct Answer {
    status: u16,
    /// Lower case.
    head: String,
    body: String,
}

impl Answer {
    async fn read(socket: &mut TcpStream) -> Self {
        let text = read_to_end(socket).await;
        let (head, body) =
            text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no head in {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Checks that this is an error as the API tells them.
    fn assert_problem(&self, status: u16) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        for key in ["type", "title", "detail"] {
            assert!(problem[key].is_string(), "{key} of {problem}");
        }
    }
}

/// Everything until the connection ends; a reset is an end too.
async fn read_to_end(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let _ = timeout(PATIENCE, socket.read_to_end(&mut bytes))
        .await
        .expect("waited for the end of the connection");
    String::from_utf8(bytes).unwrap()
}
