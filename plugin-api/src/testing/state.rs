//! What the fake host holds: handles, streams, the log, and who waits for a change.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::runtime::Runtime;

use super::exec::Ended;
use super::feed::{PackagerEntry, ViewerState};
use super::net::Conn;
use crate::abi::core::Handle;
use crate::auth::Action;
use crate::error::Error;
use crate::frame::{Frame, Shape, Track};
use crate::mem::{Account, Pool};
use crate::stream::{Notice, Reason};

/// A rule of [`FakeHost::set_auth`](super::FakeHost::set_auth).
pub(super) type Auth = Arc<dyn Fn(Action, &str) -> Result<(), Error> + Send + Sync>;

pub(super) struct Shared {
    pub(super) pool: Pool,
    pub(super) started: Instant,
    runtime: OnceLock<Runtime>,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeHost")
    }
}

/// What a handle stands for.
#[derive(Clone)]
pub(super) enum Object {
    Conn(Arc<Conn>),
    /// A connection attempt.
    Connecting(Arc<Mutex<Option<tokio::task::JoinHandle<std::io::Result<tokio::net::TcpStream>>>>>),
    Job,
    Listener(Arc<tokio::net::TcpListener>),
    Packager(String),
    Prepared(String, String, String),
    Publisher(String),
    Request(Arc<super::http::Asked>),
    Route(Arc<super::http::RouteEntry>),
    /// Key, place in its entries, whether the shape was given.
    Subscription(String, Arc<Mutex<(usize, bool)>>),
    Task(Arc<Ended>),
    Timer(Arc<Mutex<Option<std::pin::Pin<Box<tokio::time::Sleep>>>>>),
    Viewer(Arc<ViewerState>),
}

/// All that tests may look at.
pub struct State {
    pub(super) stopped: bool,
    pub(super) next: Handle,
    pub(super) objects: HashMap<Handle, Object>,
    /// Tasks by the parent they end with.
    pub(super) tasks: Vec<(Handle, Handle, Arc<Ended>)>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) streams: HashMap<String, Stream>,
    pub(super) packagers: HashMap<String, Arc<PackagerEntry>>,
    pub(super) failures: Vec<(&'static str, Error)>,
    pub(super) auth: Auth,
    pub(super) logs: Vec<String>,
    pub(super) metrics: Vec<(String, u32, f64)>,
    waiting: Vec<Waker>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State").field("streams", &self.streams.keys()).finish_non_exhaustive()
    }
}

/// One stream, all of it.
#[derive(Default)]
pub(super) struct Stream {
    pub(super) entries: Vec<Entry>,
    pub(super) ready: bool,
    pub(super) finished: bool,
    pub(super) ended: Option<Reason>,
    pub(super) notices: VecDeque<Notice>,
    pub(super) published_by: Option<(String, String)>,
}

#[derive(Clone)]
pub(super) enum Entry {
    Frame(Frame),
    Shape(Arc<Shape>),
}

/// A copy of what was published under a key.
#[derive(Clone, Debug, Default)]
pub struct StreamView {
    /// Every shape, in order.
    pub shapes: Vec<Arc<Shape>>,
    pub frames: Vec<Frame>,
    /// The publisher said ready.
    pub ready: bool,
    /// The publisher said finish.
    pub finished: bool,
    /// Protocol and agent of the publisher.
    pub published_by: Option<(String, String)>,
}

impl Stream {
    /// Whether there is anything to prepare for.
    pub(super) fn is_readable(&self) -> bool {
        self.ended.is_none() && self.shape().is_some()
    }

    pub(super) fn shape(&self) -> Option<&Arc<Shape>> {
        self.entries.iter().rev().find_map(|entry| match entry {
            Entry::Shape(shape) => Some(shape),
            Entry::Frame(_) => None,
        })
    }

    pub(super) fn set_tracks(&mut self, tracks: Vec<Track>) {
        let tracks: Vec<_> = tracks.into_iter().map(Arc::new).collect();
        if self.shape().is_some_and(|shape| shape.tracks == tracks) {
            return;
        }
        let number = self.shape().map_or(1, |shape| shape.number + 1);
        let shape = Shape { number, settled: self.ready, discontinuity: false, tracks };
        self.entries.push(Entry::Shape(Arc::new(shape)));
    }

    pub(super) fn push(&mut self, frames: &[Frame]) {
        self.entries.extend(frames.iter().cloned().map(Entry::Frame));
    }

    /// Where a new reader begins: the newest keyframe of the lead track, and the shape in force there.
    pub(super) fn start(&self) -> (usize, Option<Arc<Shape>>) {
        let lead = self.shape().and_then(|shape| shape.lead().map(|lead| lead.id));
        let is_start = |entry: &Entry| matches!(entry, Entry::Frame(frame) if frame.flags.key && Some(frame.track) == lead);
        let place = self.entries.iter().rposition(is_start).unwrap_or(0);
        let shape = self.entries[..place].iter().rev().find_map(|entry| match entry {
            Entry::Shape(shape) => Some(Arc::clone(shape)),
            Entry::Frame(_) => None,
        });
        (place, shape)
    }
}

impl State {
    /// The addresses of the plugin's listeners, oldest first.
    pub fn listeners(&self) -> Vec<SocketAddr> {
        let mut found: Vec<_> = (self.objects.iter())
            .filter_map(|(handle, object)| match object {
                Object::Listener(listener) => Some((*handle, listener.local_addr().ok()?)),
                _ => None,
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, addr)| addr).collect()
    }

    /// Handles that the plugin has not closed. 0 after a clean end.
    pub fn open_handles(&self) -> usize {
        self.objects.len()
    }

    /// Tasks that have not ended.
    pub fn running_tasks(&self) -> usize {
        self.tasks.iter().filter(|(_, _, ended)| !ended.is_over()).count()
    }

    /// The keys of all streams, sorted.
    pub fn stream_keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.streams.keys().cloned().collect();
        keys.sort_unstable();
        keys
    }

    /// What was published under `key`, if anything.
    pub fn stream(&self, key: &str) -> Option<StreamView> {
        let stream = self.streams.get(key)?;
        let mut view = StreamView {
            ready: stream.ready,
            finished: stream.finished,
            published_by: stream.published_by.clone(),
            ..StreamView::default()
        };
        for entry in &stream.entries {
            match entry {
                Entry::Frame(frame) => view.frames.push(frame.clone()),
                Entry::Shape(shape) => view.shapes.push(Arc::clone(shape)),
            }
        }
        Some(view)
    }

    /// The sum of a counter or histogram, the value of a gauge.
    pub fn metric(&self, name: &str) -> Option<f64> {
        self.metrics.iter().find(|(known, ..)| known == name).map(|(.., value)| *value)
    }

    pub(super) fn add(&mut self, object: Object) -> Handle {
        self.next += 1;
        self.objects.insert(self.next, object);
        self.next
    }

    /// Woken at the next change of anything.
    pub(super) fn wait(&mut self, cx: &Context<'_>) {
        if !self.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            self.waiting.push(cx.waker().clone());
        }
    }
}

impl Shared {
    pub(super) fn new() -> Self {
        let state = State {
            stopped: false,
            next: 0,
            objects: HashMap::new(),
            tasks: Vec::new(),
            threads: Vec::new(),
            streams: HashMap::new(),
            packagers: HashMap::new(),
            failures: Vec::new(),
            auth: Arc::new(|_, _| Ok(())),
            logs: Vec::new(),
            metrics: Vec::new(),
            waiting: Vec::new(),
        };
        Self {
            pool: Pool::new(Account::new(usize::MAX)),
            started: Instant::now(),
            runtime: OnceLock::new(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn runtime(&self) -> &Runtime {
        self.runtime.get_or_init(|| {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
            runtime.unwrap_or_else(|error| panic!("no runtime: {error}"))
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all that wait, outside of the lock.
    pub(super) fn changed(&self, mut state: MutexGuard<'_, State>) {
        let waiting = std::mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Waker::wake);
    }

    pub(super) fn find(&self, handle: Handle) -> Result<Object, Error> {
        let found = self.lock().objects.get(&handle).cloned();
        found.ok_or_else(|| Error::new(crate::Status::HANDLE, format!("no handle {handle}")))
    }
}
