//! The life of tasks, on a paused clock.

mod attempts;
mod life;
mod stopping;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::runtime::Handle;

use super::*;

/// A tree without jitter on the executor of the test.
fn tree() -> Arc<Tree> {
    let hooks = Hooks { random: Box::new(|| 0.5), ..Hooks::default() };
    Tree::with_hooks(Handle::current(), hooks)
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Lets everything run that can run without time passing.
async fn settle() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

/// Names of the list, without the root.
fn names(tree: &Tree) -> Vec<String> {
    tree.list().into_iter().skip(1).map(|info| info.name).collect()
}

fn failed() -> Result<(), TaskError> {
    Err(TaskError::new(-6, "connection refused"))
}

/// Counts how often it was dropped.
#[derive(Clone, Default)]
struct Drops(Arc<AtomicUsize>);

impl Drops {
    fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A future that never ends, counted when it is dropped.
    fn endless(&self) -> impl Future<Output = Result<(), TaskError>> + Send + use<> {
        let counted = Counted(self.clone());
        async move {
            let _counted = counted;
            std::future::pending().await
        }
    }
}

struct Counted(Drops);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.fetch_add(1, Ordering::SeqCst);
    }
}
