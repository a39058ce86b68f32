//! Nodes come, tell about themselves, end by themselves.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_leaves_the_list() {
    let tree = tree();
    let job = tree.root().instance("rtmp").unwrap();
    let task = job.spawn("session", "[::1]:5000", async { Ok(()) }).unwrap();
    assert_eq!(task.state(), State::Queued);
    assert_eq!(names(&tree), ["rtmp", "[::1]:5000"]);

    task.done().await.unwrap();

    assert_eq!(task.state(), State::Done);
    assert_eq!(names(&tree), ["rtmp"]);
    assert_eq!(tree.nodes(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_failure_stays_listed_for_a_time_and_a_number() {
    let tree = tree();
    for n in 0..FAILED_MAX + 3 {
        let task = tree.root().spawn("session", &format!("s{n}"), async { failed() }).unwrap();
        let error = task.done().await.unwrap_err();
        assert_eq!((error.code(), error.message()), (-6, "connection refused"));
    }

    let listed = tree.list();
    assert_eq!(listed.len(), 1 + FAILED_MAX);
    assert_eq!(listed[1].name, "s3");
    assert_eq!(listed[1].state, State::Failed);
    assert_eq!(listed[1].error.as_ref().unwrap().message, "connection refused");
    assert_eq!(tree.nodes(), 1);

    tokio::time::advance(FAILED_AGE_MAX).await;
    assert_eq!(tree.list().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn names_of_jobs_and_attempts_are_unique_among_siblings() {
    let tree = tree();
    let root = tree.root();
    let job = root.job("job", "a").unwrap();
    let run = || root.run("pull", "a", Retry::NEVER, || async { Ok(()) });

    assert_eq!(root.job("job", "a").unwrap_err(), Refused::Conflict);
    assert_eq!(run().unwrap_err(), Refused::Conflict);
    root.job("job", "").unwrap();
    root.job("job", "").unwrap();
    job.job("job", "a").unwrap();
    root.spawn("session", "a", async { Ok(()) }).unwrap();
    root.spawn("session", "a", async { Ok(()) }).unwrap();

    job.stop().await.unwrap();
    run().unwrap();
}

#[tokio::test(start_paused = true)]
async fn tells_kind_owner_attributes_progress_and_reason() {
    let tree = tree();
    let instance = tree.root().instance("rtmp").unwrap();
    let task = instance.spawn("session", "peer", std::future::pending()).unwrap();
    task.describe(&[("app", "live"), ("agent", "old")]).unwrap();
    task.describe(&[("agent", "OBS")]).unwrap();
    task.progress(3, 10);
    task.because("accepted");
    settle().await;

    let info = task.info();
    assert_eq!(
        (info.kind.as_str(), info.owner.as_str(), info.state),
        ("session", "rtmp", State::Running)
    );
    assert_eq!(info.parent, Some(instance.id()));
    let json = serde_json::to_value(&info).unwrap();
    assert_eq!(json["id"], task.id().to_string());
    assert_eq!(json["parent"], instance.id().to_string());
    assert_eq!(json["state"], "running");
    assert_eq!(json["attributes"], serde_json::json!({"agent": "OBS", "app": "live"}));
    assert_eq!(json["progress"], serde_json::json!({"done": 3, "total": 10}));
    assert_eq!(json["reason"], "accepted");
    assert_eq!(tree.find(task.id()), Some(task.clone()));
    assert_eq!(tree.find(9999), None);
}

#[tokio::test(start_paused = true)]
async fn bounds_attributes_depth_and_lengths() {
    let tree = tree();
    let node = tree.root().job("job", &"ä".repeat(300)).unwrap();
    assert_eq!(node.name().len(), 256);

    let keys: Vec<String> = (0..ATTRIBUTES_MAX).map(|n| format!("k{n}")).collect();
    let fields: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    node.describe(&fields).unwrap();
    node.describe(&[("k1", "w")]).unwrap();
    assert_eq!(
        node.describe(&[("k2", "x"), ("one more", "v")]).unwrap_err(),
        Refused::Limit("attributes")
    );
    assert_eq!(node.info().attributes["k2"], "v");

    let mut deepest = tree.root().clone();
    for _ in 1..DEPTH_MAX {
        deepest = deepest.job("job", "").unwrap();
    }
    assert_eq!(deepest.job("job", "").unwrap_err(), Refused::Limit("depth"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_fails_its_task_and_is_counted() {
    let heard = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let sink = Arc::clone(&heard);
    let hooks = Hooks {
        on_panic: Box::new(move |node, text| sink.lock().push(format!("{} {text}", node.owner()))),
        ..Hooks::default()
    };
    let tree = Tree::with_hooks(Handle::current(), hooks);
    let instance = tree.root().instance("bad").unwrap();
    let sibling = instance.spawn("session", "good", std::future::pending()).unwrap();
    let task = instance.spawn("session", "p", async { panic!("index {}", 7) }).unwrap();

    let error = task.done().await.unwrap_err();

    assert_eq!(error.code(), TaskError::PANIC);
    assert_eq!(error.message(), "panicked: index 7");
    assert_eq!(*heard.lock(), ["bad index 7"]);
    assert_eq!(tree.panics(), 1);
    assert_eq!(sibling.state(), State::Running);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_drop_is_caught_too() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in drop");
        }
    }
    let tree = tree();
    let task = tree.root().spawn("session", "", {
        let bomb = Bomb;
        async move {
            let _bomb = bomb;
            std::future::pending().await
        }
    });
    let task = task.unwrap();
    settle().await;

    task.stop().await.unwrap();

    assert_eq!(task.done().await.unwrap_err().code(), TaskError::CANCELLED);
    assert_eq!(tree.panics(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_polled_task_is_the_current_one() {
    let tree = tree();
    let task = tree.root().spawn("session", "me", async {
        let me = current().unwrap();
        me.describe(&[("seen", "yes")]).unwrap();
        me.spawn("child", "mine", std::future::pending()).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(current().unwrap(), me);
        std::future::pending().await
    });
    let task = task.unwrap();
    settle().await;

    assert_eq!(current(), None);
    assert_eq!(task.info().attributes["seen"], "yes");
    assert_eq!(names(&tree), ["me", "mine"]);
    assert_eq!(tree.panics(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_ends_takes_its_children_along() {
    let tree = tree();
    let drops = Drops::default();
    let inner = drops.clone();
    let task = tree.root().spawn("session", "parent", async move {
        current().unwrap().spawn("child", "child", inner.endless()).unwrap();
        failed()
    });

    let error = task.unwrap().done().await.unwrap_err();

    assert_eq!(error.message(), "connection refused");
    assert_eq!(drops.count(), 1);
    assert_eq!(names(&tree), ["parent"]);
}

#[tokio::test(start_paused = true)]
async fn an_external_task_is_told_to_stop_and_waited_for() {
    let tree = tree();
    let thread = tree.root().external("thread", "db").unwrap();
    let node = thread.node().clone();
    let woken = Arc::new(AtomicUsize::new(0));
    let waker = std::task::Waker::from(Arc::new(CountWakes(Arc::clone(&woken))));
    thread.set_waker(&waker);

    let stopped = node.stop();
    assert_eq!(woken.load(Ordering::SeqCst), 1);
    assert!(thread.is_cancelled());
    assert_eq!(names(&tree), ["db"]);
    thread.end(Ok(()));

    stopped.await.unwrap();
    assert!(names(&tree).is_empty());
}

struct CountWakes(Arc<AtomicUsize>);

impl std::task::Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}
