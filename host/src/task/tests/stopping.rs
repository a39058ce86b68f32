//! Stops: order, deadlines, threads.

use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;

use super::*;

/// A future that writes its name when it is dropped.
fn logs_drop(
    log: &Arc<Mutex<Vec<&'static str>>>,
    name: &'static str,
) -> impl Future<Output = Result<(), TaskError>> + Send + use<> {
    struct Logged(Arc<Mutex<Vec<&'static str>>>, &'static str);
    impl Drop for Logged {
        fn drop(&mut self) {
            self.0.lock().push(self.1);
        }
    }
    let logged = Logged(Arc::clone(log), name);
    async move {
        let _logged = logged;
        std::future::pending().await
    }
}

#[tokio::test(start_paused = true)]
async fn children_go_first_and_siblings_stay() {
    let tree = tree();
    let log = Arc::new(Mutex::new(Vec::new()));
    let listener = tree.root().spawn("listener", "listener", logs_drop(&log, "listener")).unwrap();
    let session = listener.spawn("session", "session", logs_drop(&log, "session")).unwrap();
    session.spawn("reader", "reader", logs_drop(&log, "reader")).unwrap();
    tree.root().spawn("listener", "other", logs_drop(&log, "other")).unwrap();
    settle().await;

    let first = listener.stop();
    let second = listener.stop();
    assert_eq!(listener.state(), State::Stopping);
    assert_eq!(listener.job("job", "").unwrap_err(), Refused::Stopping);
    first.await.unwrap();
    second.await.unwrap();

    assert_eq!(*log.lock(), ["reader", "session", "listener"]);
    assert_eq!(names(&tree), ["other"]);
}

#[tokio::test(start_paused = true)]
async fn stops_without_anybody_waiting() {
    let tree = tree();
    let drops = Drops::default();
    let job = tree.root().job("job", "j").unwrap();
    for _ in 0..1000 {
        job.spawn("session", "", drops.endless()).unwrap();
    }

    drop(job.stop());
    job.done().await.unwrap();

    assert_eq!(drops.count(), 1000);
    assert_eq!(tree.nodes(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_was_never_polled_is_dropped_and_not_polled() {
    let tree = tree();
    let was_polled = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&was_polled);
    let task = tree.root().spawn("session", "", async move {
        flag.store(true, Ordering::SeqCst);
        Ok(())
    });

    task.unwrap().stop().await.unwrap();

    assert!(!was_polled.load(Ordering::SeqCst));
}

#[tokio::test(start_paused = true)]
async fn a_task_can_stop_itself_and_is_dropped_after_the_poll() {
    let tree = tree();
    let drops = Drops::default();
    let mine = Counted(drops.clone());
    let seen = drops.clone();
    let task = tree.root().spawn("session", "", async move {
        let _mine = mine;
        drop(current().unwrap().stop());
        assert_eq!(seen.count(), 0);
        std::future::pending().await
    });

    let error = task.unwrap().done().await.unwrap_err();

    assert!(error.is_cancelled());
    assert_eq!((drops.count(), tree.panics()), (1, 0));
}

#[test]
fn the_future_is_dropped_by_the_executor_and_never_during_a_poll() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .unwrap();
    let tree = Tree::new(runtime.handle().clone());

    for _ in 0..200 {
        let probe = Probe {
            in_poll: Arc::default(),
            wrong: Arc::default(),
            stopper: std::thread::current().id(),
        };
        let (in_poll, wrong) = (Arc::clone(&probe.in_poll), Arc::clone(&probe.wrong));
        let task = tree.root().spawn("session", "", probe).unwrap();
        while !in_poll.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let stopped = task.stop();
        runtime.block_on(stopped).unwrap();
        assert_eq!(wrong.load(Ordering::SeqCst), 0);
    }
    assert_eq!(tree.nodes(), 1);
}

/// Always busy; counts drops during a poll or on the thread that stops.
struct Probe {
    in_poll: Arc<AtomicBool>,
    wrong: Arc<AtomicUsize>,
    stopper: std::thread::ThreadId,
}

impl Future for Probe {
    type Output = Result<(), TaskError>;

    fn poll(
        self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Self::Output> {
        self.in_poll.store(true, Ordering::SeqCst);
        std::thread::yield_now();
        self.in_poll.store(false, Ordering::SeqCst);
        cx.waker().wake_by_ref();
        std::task::Poll::Pending
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let is_wrong =
            self.in_poll.load(Ordering::SeqCst) || std::thread::current().id() == self.stopper;
        self.wrong.fetch_add(usize::from(is_wrong), Ordering::SeqCst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_parent_goes_on_without_a_stuck_child_and_stays_listed() {
    let tree = tree();
    let drops = Drops::default();
    let parent = tree.root().spawn("listener", "parent", drops.endless()).unwrap();
    let stuck = parent.external("thread", "stuck").unwrap();
    settle().await;

    let overrun = parent.stop_within(seconds(2)).await.unwrap_err();
    settle().await;

    assert_eq!(overrun.deadline, seconds(2));
    assert_eq!(drops.count(), 1);
    assert_eq!(names(&tree), ["parent", "stuck"]);
    assert_eq!(parent.state(), State::Stopping);
    assert_eq!(parent.info().error.unwrap().message, "1 children have not ended in time");

    stuck.end(Ok(()));
    parent.stop().await.unwrap();
    assert!(names(&tree).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_stuck_child_of_a_job_delays_no_other_job() {
    let tree = tree();
    let (bad, good) =
        (tree.root().job("job", "bad").unwrap(), tree.root().job("job", "good").unwrap());
    let _stuck = bad.external("thread", "stuck").unwrap();
    good.spawn("session", "", std::future::pending()).unwrap();
    let start = tokio::time::Instant::now();

    let (bad, good) = (bad.stop(), good.stop());

    good.await.unwrap();
    assert!(start.elapsed() < seconds(1));
    bad.await.unwrap_err();
    assert_eq!(start.elapsed().as_secs(), STOP_DEADLINE.as_secs());
}

#[test]
fn stops_from_a_thread_without_an_executor() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .unwrap();
    let tree = Tree::new(runtime.handle().clone());
    let job = tree.root().job("job", "").unwrap();
    job.spawn("session", "", std::future::pending()).unwrap();

    let stopped = job.stop();

    runtime.block_on(stopped).unwrap();
    assert_eq!(tree.nodes(), 1);
}

#[test]
fn an_executor_that_shuts_down_ends_its_tasks() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let tree = Tree::new(runtime.handle().clone());
    let drops = Drops::default();
    let task = tree.root().spawn("session", "", drops.endless()).unwrap();

    drop(runtime);

    assert_eq!(drops.count(), 1);
    assert_eq!(task.state(), State::Done);
    assert_eq!(tree.nodes(), 1);
}

/// Children that come, end, fail and retry on other threads while their job is stopped.
#[test]
fn nothing_is_left_when_a_busy_job_is_stopped_at_any_moment() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_time()
        .build()
        .unwrap();
    let tree = Tree::new(runtime.handle().clone());
    let drops = Drops::default();
    let mut made = 0;
    for round in 0..100_u64 {
        let job = tree.root().job("job", "busy").unwrap();
        let (spawner, counted) = (job.clone(), drops.clone());
        let spawning = std::thread::spawn(move || {
            let mut made = 0;
            loop {
                let (child, grandchild) = (Counted(counted.clone()), Counted(counted.clone()));
                made += 2;
                let task = spawner.spawn("session", "", async move {
                    let _child = child;
                    let me = current().unwrap();
                    let nested = async move {
                        let _grandchild = grandchild;
                        tokio::task::yield_now().await;
                        failed()
                    };
                    // Refused when the stop was faster; the future is dropped in any case.
                    let _ = me.spawn("child", "", nested);
                    tokio::task::yield_now().await;
                    if made % 4 == 0 { failed() } else { std::future::pending().await }
                });
                if task.is_err() {
                    return made;
                }
            }
        });
        std::thread::sleep(Duration::from_micros(round * 10));

        let stopped = job.stop();
        runtime.block_on(stopped).unwrap();

        made += spawning.join().unwrap();
        assert_eq!(job.state(), State::Done);
        assert_eq!(drops.count(), made, "round {round}");
        assert_eq!(tree.nodes(), 1, "round {round}");
    }
    assert_eq!(tree.panics(), 0);
}
