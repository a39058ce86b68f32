//! Child processes that are killed when dropped and whose output is kept.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::wait;

/// Lines that a process has written so far.
#[derive(Debug, Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    /// The lines so far.
    pub fn get(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().expect("nobody panics while holding the lines")
    }

    /// The last `count` lines, for messages.
    pub fn tail(&self, count: usize) -> String {
        let lines = self.get();
        lines[lines.len().saturating_sub(count)..].join("\n")
    }
}

/// A running program.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    stdout: Lines,
    stderr: Lines,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`; `name` is for messages.
    pub fn spawn(name: &str, command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                panic!("{name} does not start ({command:?}): {error}; scripts/test installs it")
            });
        let (stdout, stderr) = (Lines::default(), Lines::default());
        let readers = vec![
            collect(child.stdout.take().expect("stdout is a pipe"), stdout.clone()),
            collect(child.stderr.take().expect("stderr is a pipe"), stderr.clone()),
        ];
        Self { name: name.to_owned(), child, stdout, stderr, readers }
    }

    pub fn stdout(&self) -> &Lines {
        &self.stdout
    }

    pub fn stderr(&self) -> &Lines {
        &self.stderr
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be waited for").is_none()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal)
            .unwrap_or_else(|error| panic!("{}: {signal:?}: {error}", self.name));
    }

    /// Waits for the end and for all of its output.
    #[track_caller]
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        let child = &mut self.child;
        let ended = wait::try_until(limit, || child.try_wait().expect("a child can be waited for"));
        let Some(status) = ended else {
            panic!(
                "{} still runs after {limit:?}; its last lines:\n{}",
                self.name,
                self.stderr.tail(40)
            );
        };
        for reader in self.readers.drain(..) {
            reader.join().expect("readers do not panic");
        }
        status
    }

    /// Waits for the end, which must be exit code 0.
    #[track_caller]
    pub fn wait_success(&mut self, limit: Duration) {
        let status = self.wait(limit);
        assert!(
            status.success(),
            "{}: {status}; its last lines:\n{}",
            self.name,
            self.stderr.tail(40)
        );
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // A child that has ended already is not an error, and there is nobody to tell of another one.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn collect(pipe: impl Read + Send + 'static, lines: Lines) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while pipe.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            lines.get().push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    })
}
