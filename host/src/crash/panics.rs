//! Panics of the host. All are logged; one that ends a thread or task that the server can't do without ends the server.

use std::any::Any;
use std::backtrace::Backtrace;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, resume_unwind};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::runtime::Handle;

use super::report::{self, Victim};
use super::{STATE, one_line};

/// What the log file gets to take the last lines.
const FLUSH_LIMIT: Duration = Duration::from_millis(500);

/// The newest panic of the process: it has been told of here when the thread that it ended is found dead.
static LAST: Mutex<Option<Panic>> = Mutex::new(None);

struct Panic {
    thread: String,
    message: String,
    /// Its symbols are looked up when it is written.
    backtrace: Backtrace,
}

/// From here on panics go to the log.
pub(super) fn hook() {
    std::panic::set_hook(Box::new(|info| {
        let panic = Panic::new(info);
        tracing::error!(event = "server.panic", thread = panic.thread, "{}", panic.message);
        *LAST.lock() = Some(panic);
    }));
}

impl Panic {
    fn new(info: &PanicHookInfo<'_>) -> Self {
        let text = info.payload_as_str().unwrap_or("no message");
        let place = info.location().map(|place| format!(" at {place}")).unwrap_or_default();
        Self {
            thread: std::thread::current().name().unwrap_or("without a name").to_owned(),
            message: one_line(&format!("{text}{place}")),
            backtrace: Backtrace::force_capture(),
        }
    }
}

/// Runs what the server can't do without: a panic in it is the end of the server.
pub(crate) fn essential<T>(body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| die(panic))
}

/// The same for a task.
pub(crate) fn essential_task(runtime: &Handle, task: impl Future<Output = ()> + Send + 'static) {
    let task = runtime.spawn(task);
    runtime.spawn(async move {
        if let Err(error) = task.await
            && let Ok(panic) = error.try_into_panic()
        {
            die(panic);
        }
    });
}

/// Ends the server by SIGABRT, with a report: half a server that looks alive is worse than one that is started again.
fn die(panic: Box<dyn Any + Send>) -> ! {
    // A test of one part of the server is not the server.
    let Some(state) = STATE.get() else { resume_unwind(panic) };
    match LAST.lock().take() {
        Some(last) => report::write(&Victim::this_thread(), &Reason(&last), &last.backtrace),
        None => report::write(&Victim::this_thread(), &"a panic of the host", &""),
    }
    state.log.flush(FLUSH_LIMIT);
    std::process::abort();
}

struct Reason<'a>(&'a Panic);

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "panic on the thread {}: {}", self.0.thread, self.0.message)
    }
}
