//! Retries: when, how often, what resets them.

use parking_lot::Mutex;
use tokio::time::Instant;

use super::*;

/// Runs a task whose attempts last as long as `attempts` says and then fail; gives the seconds at which they began.
async fn begins(retry: Retry, attempts: &'static [u64]) -> Vec<u64> {
    let tree = tree();
    let start = Instant::now();
    let begins = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&begins);
    let task = tree.root().run("pull", "camera", retry, move || {
        let nth = {
            let mut seen = seen.lock();
            seen.push(start.elapsed().as_secs());
            seen.len() - 1
        };
        async move {
            let Some(lasts) = attempts.get(nth) else { return Ok(()) };
            tokio::time::sleep(seconds(*lasts)).await;
            failed()
        }
    });
    let _ = task.unwrap().done().await;
    Arc::into_inner(begins).unwrap().into_inner()
}

#[tokio::test(start_paused = true)]
async fn waits_double_up_to_the_cap() {
    let retry = Retry {
        count: u32::MAX,
        interval: seconds(1),
        interval_max: seconds(5),
        steady: seconds(60),
    };

    let begins = begins(retry, &[0, 0, 0, 0, 0]).await;

    assert_eq!(begins, [0, 1, 3, 7, 12, 17]);
}

#[tokio::test(start_paused = true)]
async fn a_steady_attempt_resets_the_waits() {
    let retry =
        Retry { count: 3, interval: seconds(1), interval_max: seconds(60), steady: seconds(10) };

    let begins = begins(retry, &[0, 0, 9, 10, 0, 0, 0, 0]).await;

    // The waits: 1, 2, 4 (nine seconds are not steady), 1 (ten are), 2, 4, then none is left.
    assert_eq!(begins, [0, 1, 3, 16, 27, 29, 33]);
}

#[tokio::test(start_paused = true)]
async fn gives_up_after_the_count_and_tells_the_last_error() {
    let tree = tree();
    let retry = Retry { count: 2, interval: seconds(1), ..Retry::NEVER };
    let task = tree.root().run("pull", "camera", retry, || async { failed() }).unwrap();
    settle().await;
    assert_eq!(task.state(), State::Retrying);
    assert_eq!(task.info().failures, 1);

    let error = task.done().await.unwrap_err();

    assert_eq!(error.message(), "connection refused");
    let listed = tree.list();
    assert_eq!((listed[1].state, listed[1].failures), (State::Failed, 3));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failed_attempt() {
    let tree = tree();
    let retry = Retry { count: 1, interval: seconds(1), ..Retry::NEVER };
    let mut attempts = 0;
    let task = tree.root().run("pull", "", retry, move || {
        attempts += 1;
        assert!(attempts > 1, "while making the first");
        async { Ok(()) }
    });

    task.unwrap().done().await.unwrap();

    assert_eq!(tree.panics(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_and_its_children_are_dropped_before_the_next() {
    let tree = tree();
    let drops = Drops::default();
    let seen = drops.clone();
    let retry = Retry { count: 3, interval: seconds(1), ..Retry::NEVER };
    let mut attempts = 0;
    let task = tree.root().run("pull", "", retry, move || {
        assert_eq!(seen.count(), attempts * 2);
        attempts += 1;
        let (mine, child) = (Counted(seen.clone()), seen.endless());
        async move {
            let _mine = mine;
            current().unwrap().spawn("child", "", child).unwrap();
            failed()
        }
    });

    task.unwrap().done().await.unwrap_err();

    assert_eq!(drops.count(), 8);
    assert_eq!(tree.panics(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_wait() {
    let tree = tree();
    let retry = Retry { count: u32::MAX, interval: seconds(3600), ..Retry::NEVER };
    let task = tree.root().run("pull", "", retry, || async { failed() }).unwrap();
    settle().await;
    let start = Instant::now();

    task.stop().await.unwrap();

    assert!(start.elapsed() < seconds(1));
    assert!(task.done().await.unwrap_err().is_cancelled());
    assert!(names(&tree).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_restart_makes_the_next_attempt_at_once() {
    let tree = tree();
    let drops = Drops::default();
    let made = Arc::new(AtomicUsize::new(0));
    let (inner, count) = (drops.clone(), Arc::clone(&made));
    let retry = Retry { count: 1, interval: seconds(3600), ..Retry::NEVER };
    let task = tree
        .root()
        .run("pull", "camera", retry, move || {
            let nth = count.fetch_add(1, Ordering::SeqCst);
            let endless = inner.endless();
            async move { if nth == 1 { failed() } else { endless.await } }
        })
        .unwrap();
    settle().await;
    let child = task.spawn("session", "s", drops.endless()).unwrap();
    settle().await;

    // While it runs: its child goes first. The second attempt fails.
    task.restart().unwrap();
    settle().await;
    assert_eq!((made.load(Ordering::SeqCst), drops.count()), (2, 3));
    assert!(child.done().await.is_err());
    assert_eq!((task.state(), task.info().failures), (State::Retrying, 1));

    // While it waits.
    task.restart().unwrap();
    settle().await;
    assert_eq!((made.load(Ordering::SeqCst), task.state()), (3, State::Running));

    // What was asked for is no failure.
    task.restart().unwrap();
    settle().await;
    assert_eq!((made.load(Ordering::SeqCst), task.info().failures), (4, 0));

    task.stop().await.unwrap();
    assert_eq!(task.restart(), Err(NotRestarted::Ending));
    assert_eq!(made.load(Ordering::SeqCst), 4);
    assert_eq!(drops.count(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_task_without_attempts_is_not_restarted() {
    let tree = tree();
    let task = tree.root().spawn("session", "s", Drops::default().endless()).unwrap();

    assert_eq!(task.restart(), Err(NotRestarted::NoAttempts));
    assert_eq!(tree.root().restart(), Err(NotRestarted::NoAttempts));
}
