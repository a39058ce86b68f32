//! Log files: lines pass a bounded queue to one thread that writes them, so that no disk holds up who logs.
//!
//! What can't be queued or written is dropped and counted; the log says so once, and again when it is over.

mod rotating;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};

use self::rotating::Rotating;

/// Lines that wait to be written, and their bytes.
const QUEUE_LINES_MAX: usize = 8_192;
const QUEUE_BYTES_MAX: usize = 8 << 20;
/// What is written at a time; a longer line goes alone.
const CHUNK_BYTES: usize = 64 << 10;
/// How often a file without lines is looked at, and how long one that can't be written is left alone.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// A full queue is told of at most this often.
const OVERFLOW_INTERVAL: Duration = Duration::from_secs(60);

/// Where log files are and how long they live.
#[derive(Clone, Debug)]
pub struct Settings {
    pub dir: PathBuf,
    /// A file that would grow beyond this is put aside.
    pub max_size: u64,
    /// So is one that is older; `None`: however old.
    pub rotate_after: Option<Duration>,
    /// Files in all, the one that is written included.
    pub max_files: usize,
}

impl Settings {
    /// Smaller files are not made: one must hold what is written at a time.
    pub const SIZE_MIN: u64 = 64 << 10;
}

enum Message {
    Line(Arc<str>),
    /// Answered when all that came before has been written or dropped.
    Flush(Sender<()>),
}

/// The way to the writer. Dropped, it ends the thread.
pub(super) struct Files {
    queue: Sender<Message>,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    queued_bytes: AtomicUsize,
    /// Lines that found no room in the queue.
    overflowed: AtomicU64,
    /// Lines that could not be written.
    failed: AtomicU64,
}

impl Files {
    /// Starts the writer. A folder that can't be written to is no error: it may be tomorrow.
    pub(super) fn start(settings: Settings) -> io::Result<Self> {
        let (queue, lines) = bounded(QUEUE_LINES_MAX);
        let counts = Arc::new(Counts::default());
        let writer = Writer {
            file: Rotating::new(settings),
            lines,
            counts: Arc::clone(&counts),
            chunk: String::new(),
            chunk_lines: 0,
            failing: None,
            told: None,
            told_overflowed: 0,
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(move || writer.run())?;
        Ok(Self { queue, counts })
    }

    /// Queues a line; never waits.
    pub(super) fn push(&self, line: &Arc<str>) {
        let queued = &self.counts.queued_bytes;
        let before = queued.fetch_add(line.len(), Ordering::Relaxed);
        let fits = before + line.len() <= QUEUE_BYTES_MAX;
        if !fits || self.queue.try_send(Message::Line(Arc::clone(line))).is_err() {
            queued.fetch_sub(line.len(), Ordering::Relaxed);
            self.counts.overflowed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lines that reached no file.
    pub(super) fn dropped(&self) -> u64 {
        let Counts { overflowed, failed, .. } = &*self.counts;
        overflowed.load(Ordering::Relaxed) + failed.load(Ordering::Relaxed)
    }

    /// Waits until what was pushed has been written or dropped, or the time is over.
    pub(super) fn flush(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let (done, is_done) = bounded(1);
        if self.queue.send_timeout(Message::Flush(done), limit).is_ok() {
            // What is late is lost.
            let _ = is_done.recv_deadline(deadline);
        }
    }
}

/// What runs on the thread.
struct Writer {
    file: Rotating,
    lines: Receiver<Message>,
    counts: Arc<Counts>,
    chunk: String,
    chunk_lines: u64,
    failing: Option<Failing>,
    /// When a full queue was told of, and the count that was told.
    told: Option<Instant>,
    told_overflowed: u64,
}

/// Since the file could not be written.
struct Failing {
    retry_at: Instant,
    lines: u64,
}

impl Writer {
    fn run(mut self) {
        loop {
            match self.lines.recv_timeout(LOOK_INTERVAL) {
                Ok(message) => {
                    self.take(message);
                    while self.chunk_lines > 0 {
                        match self.lines.try_recv() {
                            Ok(message) => self.take(message),
                            Err(_) => self.write(),
                        }
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tell_of_overflow();
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                self.counts.queued_bytes.fetch_sub(line.len(), Ordering::Relaxed);
                if self.chunk.len() + line.len() >= CHUNK_BYTES {
                    self.write();
                }
                self.chunk.push_str(&line);
                self.chunk.push('\n');
                self.chunk_lines += 1;
            }
            Message::Flush(done) => {
                self.write();
                // Who asked may have gone.
                let _ = done.send(());
            }
        }
    }

    /// Writes the chunk, or drops it. The next attempt after a failure begins with a new chunk: half a line helps nobody.
    fn write(&mut self) {
        let lines = std::mem::take(&mut self.chunk_lines);
        if lines == 0 {
            return;
        }
        let now = Instant::now();
        let waits = self.failing.as_ref().is_some_and(|failing| now < failing.retry_at);
        let result = if waits {
            None
        } else {
            Some(self.file.append(self.chunk.as_bytes(), SystemTime::now()))
        };
        self.chunk.clear();
        if !matches!(result, Some(Ok(()))) {
            self.counts.failed.fetch_add(lines, Ordering::Relaxed);
        }
        match (result, &mut self.failing) {
            (None, Some(failing)) => failing.lines += lines,
            (Some(Err(_)), Some(failing)) => {
                failing.lines += lines;
                failing.retry_at = now + LOOK_INTERVAL;
            }
            (Some(Err(error)), failing @ None) => {
                *failing = Some(Failing { retry_at: now + LOOK_INTERVAL, lines });
                let file = self.file.path();
                tracing::error!(event = "log.file_failed", file = %file.display(), "{error}; lines go nowhere but to stderr until it can be written");
            }
            (Some(Ok(())), failing) => {
                if let Some(Failing { lines: dropped, .. }) = failing.take() {
                    let file = self.file.path();
                    tracing::warn!(event = "log.file_back", file = %file.display(), dropped, "the log file is written again");
                }
            }
            (None, None) => {}
        }
    }

    fn tell_of_overflow(&mut self) {
        let overflowed = self.counts.overflowed.load(Ordering::Relaxed);
        let recently = self.told.is_some_and(|at| at.elapsed() < OVERFLOW_INTERVAL);
        if overflowed > self.told_overflowed && !recently {
            let dropped = overflowed - self.told_overflowed;
            (self.told, self.told_overflowed) = (Some(Instant::now()), overflowed);
            tracing::warn!(
                event = "log.file_overflow",
                dropped,
                "lines came faster than the log file could be written"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn settings(dir: PathBuf) -> Settings {
        Settings { dir, max_size: 1 << 20, rotate_after: None, max_files: 3 }
    }

    #[test]
    fn lines_are_written_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let files = Files::start(settings(folder.path().join("logs"))).unwrap();

        (0..1000).for_each(|n| files.push(&n.to_string().into()));
        files.flush(LIMIT);

        let text = fs::read_to_string(folder.path().join("logs/plugcast.log")).unwrap();
        let lines: Vec<String> = (0..1000).map(|n: u32| n.to_string()).collect();
        assert_eq!(text.lines().collect::<Vec<_>>(), lines);
        assert_eq!(files.dropped(), 0);
    }

    #[test]
    fn what_no_folder_takes_is_dropped_and_counted_until_there_is_one() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("logs");
        // Also root can't make a folder where a file is.
        fs::write(&dir, "in the way").unwrap();
        let files = Files::start(settings(dir.clone())).unwrap();

        files.push(&"lost".into());
        files.flush(LIMIT);
        assert_eq!(files.dropped(), 1);
        fs::remove_file(&dir).unwrap();

        let deadline = Instant::now() + LIMIT;
        while fs::read_to_string(dir.join("plugcast.log")).unwrap_or_default().is_empty() {
            assert!(Instant::now() < deadline, "nothing was written");
            files.push(&"kept".into());
            files.flush(LIMIT);
        }
        let text = fs::read_to_string(dir.join("plugcast.log")).unwrap();
        assert!(text.starts_with("kept\n") && !text.contains("lost"), "{text}");
    }

    /// `/dev/full` answers every write with ENOSPC.
    #[test]
    fn a_full_disk_costs_lines_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/full", folder.path().join("plugcast.log")).unwrap();
        let files = Files::start(settings(folder.path().to_owned())).unwrap();

        (0..100).for_each(|_| files.push(&"lost".into()));
        files.flush(LIMIT);

        assert_eq!(files.dropped(), 100);
    }

    #[test]
    fn a_line_that_finds_no_room_is_counted() {
        let (queue, lines) = bounded(1);
        let files = Files { queue, counts: Arc::default() };
        let half: Arc<str> = "x".repeat(QUEUE_BYTES_MAX / 2 + 1).into();

        files.push(&"one".into());
        files.push(&"no room for a second".into());
        drop(lines.recv().unwrap());
        files.push(&half);
        files.push(&half);

        assert_eq!(files.dropped(), 2);
    }
}
