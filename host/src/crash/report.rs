//! Writes a report. Nothing here allocates or waits for a lock, as long as what it is given to print doesn't. What is least
//! likely to fail comes first, so that a report that ends too soon is still worth reading.

use std::ffi::CStr;
use std::fmt::{self, Display, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::SystemTime;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;

use super::signal::ThreadName;
use super::{STATE, State};
use crate::log::{Compact, Timestamp};
use crate::plugin::instance;

pub(super) const EXTENSION: &str = "txt";
/// What the line of the reason begins with.
pub(super) const REASON: &str = "reason: ";
/// The newest lines of the log that are in a report.
const LOG_LINES_MAX: usize = 200;
/// Lines of `/proc/self/maps`; a process may have 65,530 mappings.
const MAPS_LINES_MAX: usize = 4_000;
/// Lines of the other files of `/proc`, which are shorter.
const PROC_LINES_MAX: usize = 100;

/// The thread whose crash is reported; 0 as long as there is none. A process has one report.
static REPORTED: AtomicI32 = AtomicI32::new(0);

/// Who crashed.
#[derive(Clone, Copy)]
pub(super) struct Victim {
    thread: i32,
    name: ThreadName,
    plugin: Option<&'static str>,
}

/// Whether a crash is the first of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    First,
    /// Of a thread that was reported already.
    Again,
    /// Another thread crashed before; it will end the process.
    Late,
}

impl Victim {
    pub(super) fn this_thread() -> Self {
        Self {
            thread: rustix::thread::gettid().as_raw_nonzero().get(),
            name: ThreadName::current(),
            plugin: instance::current(),
        }
    }

    pub(super) fn is(&self, thread: i32) -> bool {
        self.thread == thread
    }

    /// Asks for the report of the process.
    pub(super) fn claim(&self) -> Claim {
        match REPORTED.compare_exchange(0, self.thread, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Claim::First,
            Err(reported) if reported == self.thread => Claim::Again,
            Err(_) => Claim::Late,
        }
    }
}

/// Writes the report of this process, unless there is one, and says on stderr where it is.
pub(super) fn write(victim: &Victim, reason: &dyn Display, backtrace: &dyn Display) {
    if victim.claim() == Claim::First {
        write_claimed(victim, reason, backtrace);
    }
}

/// The same for a victim that has claimed the report.
pub(super) fn write_claimed(victim: &Victim, reason: &dyn Display, backtrace: &dyn Display) {
    let name = Name::new();
    let written = STATE.get().map(|state| {
        let file = open(state, &name)?;
        Ok::<_, Errno>(fill(&mut Sink::new(file), state, victim, reason, backtrace))
    });
    // Last: whoever reads stderr may have stopped to. Nobody is left to be told that it can't be written.
    let mut stderr = Sink::new(std::io::stderr());
    let _ = writeln!(stderr, "plugcast: {reason}");
    let folder = STATE.get().map_or_else(|| Path::new(""), |state| &state.path).display();
    let _ = match written {
        Some(Ok(Ok(()))) => writeln!(stderr, "plugcast: report: {folder}/{name}"),
        Some(Ok(Err(_))) => writeln!(stderr, "plugcast: a part of the report: {folder}/{name}"),
        Some(Err(error)) => writeln!(stderr, "plugcast: no report in {folder}: {error}"),
        None => Ok(()),
    };
}

fn open(state: &State, name: &Name) -> Result<OwnedFd, Errno> {
    // Who holds the lock would be the one who crashed.
    drop(state.spare.try_lock().and_then(|mut spare| spare.take()));
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    rustix::fs::openat(&state.folder, name.as_c_str(), flags, Mode::RUSR | Mode::WUSR)
}

fn fill(
    out: &mut Sink<impl AsFd>,
    state: &State,
    victim: &Victim,
    reason: &dyn Display,
    backtrace: &dyn Display,
) -> fmt::Result {
    writeln!(out, "{REASON}{reason}")?;
    writeln!(out, "time: {}", Timestamp(SystemTime::now()))?;
    writeln!(out, "version: {}", env!("CARGO_PKG_VERSION"))?;
    out.write_str("target: ")?;
    plugin_api::manifest::TARGET.iter().try_for_each(|part| out.write_str(part))?;
    out.write_str("\n")?;
    writeln!(out, "pid: {}", std::process::id())?;
    writeln!(out, "uptime_ms: {}", state.started.elapsed().as_millis())?;
    writeln!(out, "thread: {} ({})", victim.name, victim.thread)?;
    match victim.plugin {
        Some(name) => writeln!(out, "plugin: {name}")?,
        None => out.write_str("plugin: none; the thread was not in a call of one\n")?,
    }

    out.write_str("\n== plugins ==\n")?;
    match state.plugins.try_lock() {
        Some(plugins) => {
            for super::Plugin { info, build } in plugins.iter() {
                writeln!(
                    out,
                    "{}: plugin {} {}, {:?}, {} faults, {} {build} {}",
                    info.instance,
                    info.plugin,
                    info.version,
                    info.state,
                    info.faults,
                    info.file.as_deref().unwrap_or_else(|| "no file".as_ref()).display(),
                    info.reason
                )?;
            }
        }
        None => out.write_str("(not known: the list was being changed)\n")?,
    }

    out.write_str("\n== config, secrets masked ==\n")?;
    out.write_str(&state.config)?;
    out.write_str("\n== machine ==\n")?;
    for file in [c"/proc/version", c"/proc/meminfo", c"/proc/self/status", c"/proc/self/limits"] {
        copy(out, file, PROC_LINES_MAX)?;
    }
    out.write_str("\n== modules ==\n")?;
    copy(out, c"/proc/self/maps", MAPS_LINES_MAX)?;

    writeln!(out, "\n== log, the newest {LOG_LINES_MAX} lines at most ==")?;
    let mut written = Ok(());
    let known = state.log.try_newest(LOG_LINES_MAX, |line| {
        written = written.and_then(|()| writeln!(out, "{line}"));
    });
    written?;
    if !known {
        out.write_str("(not known: a line was being logged)\n")?;
    }

    out.write_str("\n== backtrace ==\n")?;
    out.flush()?;
    writeln!(out, "{backtrace}\n\n== end ==")?;
    out.flush()
}

/// Copies the first lines of a file.
fn copy(out: &mut Sink<impl AsFd>, file: &CStr, mut lines: usize) -> fmt::Result {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let Ok(file) = rustix::fs::openat(CWD, file, flags, Mode::empty()) else {
        return out.write_str("(can't be read)\n");
    };
    let mut bytes = [0; 512];
    while let Ok(n @ 1..) = rustix::io::read(&file, &mut bytes) {
        for line in bytes.get(..n).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
            out.bytes(line)?;
            lines -= usize::from(line.ends_with(b"\n"));
            if lines == 0 {
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Text on its way to a descriptor, in pieces that are not too small.
struct Sink<F: AsFd> {
    to: F,
    buffer: [u8; 512],
    len: usize,
}

impl<F: AsFd> Sink<F> {
    fn new(to: F) -> Self {
        Self { to, buffer: [0; 512], len: 0 }
    }

    fn bytes(&mut self, mut bytes: &[u8]) -> fmt::Result {
        while !bytes.is_empty() {
            let room = self.buffer.get_mut(self.len..).unwrap_or_default();
            let n = room.len().min(bytes.len());
            let (now, later) = bytes.split_at(n);
            if let Some(room) = room.get_mut(..n) {
                room.copy_from_slice(now);
            }
            self.len += n;
            bytes = later;
            if self.len == self.buffer.len() {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> fmt::Result {
        let mut rest = self.buffer.get(..self.len).unwrap_or_default();
        while !rest.is_empty() {
            match rustix::io::write(&self.to, rest) {
                Ok(n @ 1..) => rest = rest.get(n..).unwrap_or_default(),
                Err(Errno::INTR) => {}
                Ok(0) | Err(_) => return Err(fmt::Error),
            }
        }
        self.len = 0;
        Ok(())
    }
}

impl<F: AsFd> Write for Sink<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.bytes(text.as_bytes())
    }
}

impl<F: AsFd> Drop for Sink<F> {
    fn drop(&mut self) {
        let _ = self.flush();
    }
}

/// `20260522T170612.345Z-4711.txt`, with a NUL at its end.
struct Name {
    text: [u8; 64],
    len: usize,
}

impl Name {
    fn new() -> Self {
        let mut name = Self { text: [0; 64], len: 0 };
        // Shorter than its room.
        let _ = write!(name, "{}-{}.{EXTENSION}", Compact(SystemTime::now()), std::process::id());
        name
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"report.txt")
    }
}

impl Write for Name {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let end = self.len + text.len();
        // The last byte stays NUL.
        let room = self.text.get_mut(self.len..end).filter(|_| end < 64).ok_or(fmt::Error)?;
        room.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

impl Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_c_str().to_str().unwrap_or_default())
    }
}
