//! Fatal signals: a report, then what would have happened without it, core dump included.
//!
//! The handler runs wherever the crash was, on the thread's signal stack if it has one: threads of the host and of Rust plugins
//! do, threads that a plugin made with `pthread_create` need not. Such a stack has a few KiB, so the handler only says what it
//! knows to a thread that waits for nothing else; that one writes:
//!
//! ```text
//! crashed thread    signal, address, plugin ──▶ ▪         unwinds ──▶ ▪            ▪ goes on to its end
//! reporter          ▪ waits                     └▶ writes ▪ waits     └▶ writes ──▶│
//! ```
//!
//! The handler calls only what POSIX allows there, with one exception: glibc's `backtrace`. That is why it comes when all the
//! rest is written. It was called once before, so that it has nothing left to load; should it hang all the same, an alarm ends
//! the process.
#![expect(unsafe_code, reason = "installs signal handlers, and reads what the kernel gives them")]

use std::ffi::{c_int, c_void};
use std::fmt::{self, Display};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustix::event::{EventfdFlags, eventfd};

use super::report::{self, Claim, Victim};

/// What ends a process whose code is broken, or that gives up on itself.
const SIGNALS: [(c_int, &str); 5] = [
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGABRT, "SIGABRT"),
];
/// What a report may take before the process is ended by SIGALRM.
const REPORT_SECONDS_MAX: u32 = 10;
/// How long a thread that crashes too waits for the one that reports.
const OTHER_WAIT: Duration = Duration::from_secs(11);
const FRAMES_MAX: usize = 64;
/// The reporter prints, no more.
const REPORTER_STACK: usize = 128 << 10;

/// What was in force before: for SIGSEGV and SIGBUS the handler of Rust's library, which tells a stack overflow.
static BEFORE: OnceLock<[libc::sigaction; SIGNALS.len()]> = OnceLock::new();

static RELAY: OnceLock<Relay> = OnceLock::new();

/// Between the thread that crashed and the reporter.
struct Relay {
    crash: Mutex<Option<(Victim, Fatal)>>,
    frames: [AtomicUsize; FRAMES_MAX],
    /// Wakes the reporter.
    to_reporter: OwnedFd,
    /// Wakes the thread that crashed.
    to_crashed: OwnedFd,
    reporter: AtomicI32,
}

impl Relay {
    fn new() -> io::Result<Self> {
        let event = || eventfd(0, EventfdFlags::CLOEXEC);
        Ok(Self {
            crash: Mutex::new(None),
            frames: [const { AtomicUsize::new(0) }; FRAMES_MAX],
            to_reporter: event()?,
            to_crashed: event()?,
            reporter: AtomicI32::new(0),
        })
    }

    /// The reporter's life: one crash.
    fn report(&self) {
        self.reporter.store(rustix::thread::gettid().as_raw_nonzero().get(), Ordering::Release);
        wait(&self.to_reporter);
        // Written before the wake-up, and by nobody else.
        let crash = self.crash.try_lock().and_then(|mut crash| crash.take());
        if let Some((victim, fatal)) = crash {
            report::write_claimed(&victim, &fatal, &Trace(self));
        }
        // However far it came, the other side is not left waiting.
        loop {
            wake(&self.to_crashed);
            wait(&self.to_reporter);
        }
    }

    /// The handler's part.
    fn hand_over(&self, victim: Victim, fatal: Fatal) {
        if let Some(mut crash) = self.crash.try_lock() {
            *crash = Some((victim, fatal));
        }
        wake(&self.to_reporter);
        wait(&self.to_crashed);
        let mut buffer = [std::ptr::null_mut(); FRAMES_MAX];
        for (frame, kept) in frames(&mut buffer).iter().zip(&self.frames) {
            kept.store(frame.addr(), Ordering::Release);
        }
        wake(&self.to_reporter);
        wait(&self.to_crashed);
    }
}

fn wake(event: &OwnedFd) {
    // It fails when its counter is full, and then the other side is awake.
    let _ = rustix::io::write(event, &1_u64.to_ne_bytes());
}

fn wait(event: &OwnedFd) {
    while rustix::io::read(event, &mut [0; 8]) == Err(rustix::io::Errno::INTR) {}
}

pub(super) fn install() -> io::Result<()> {
    let relay = Relay::new()?;
    if RELAY.set(relay).is_err() {
        return Ok(());
    }
    let reporter = || RELAY.get().map_or((), Relay::report);
    std::thread::Builder::new().name("crash".into()).stack_size(REPORTER_STACK).spawn(reporter)?;
    // Loads what it needs.
    frames(&mut [std::ptr::null_mut(); 1]);
    let mut before = [no_action(); SIGNALS.len()];
    for ((signal, _), before) in SIGNALS.iter().zip(&mut before) {
        // SAFETY: no new action is given; `before` is valid for a write.
        let got = unsafe { libc::sigaction(*signal, std::ptr::null(), before) };
        if got != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // Before the handlers, which read it.
    let _ = BEFORE.set(before);
    let mut action = no_action();
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = handle;
    action.sa_sigaction = handler as libc::sighandler_t;
    for (signal, _) in SIGNALS {
        set(signal, &action)?;
    }
    Ok(())
}

/// The default action, with nothing blocked.
fn no_action() -> libc::sigaction {
    // SAFETY: all zero is SIG_DFL, no flags, and an empty set on Linux.
    unsafe { MaybeUninit::zeroed().assume_init() }
}

fn set(signal: c_int, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: a valid action: of this file, or one that was in force before.
    match unsafe { libc::sigaction(signal, action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: SA_SIGINFO: the kernel passes both, valid until the handler returns.
    let fatal = unsafe { Fatal::read(signal, info, context) };
    let victim = Victim::this_thread();
    match (RELAY.get(), victim.claim()) {
        // The reporter crashed while it wrote.
        (Some(relay), _) if victim.is(relay.reporter.load(Ordering::Acquire)) => {}
        (Some(relay), Claim::First) => {
            // SAFETY: only sets a timer of the process.
            unsafe { libc::alarm(REPORT_SECONDS_MAX) };
            relay.hand_over(victim, fatal);
            // SAFETY: as above.
            unsafe { libc::alarm(0) };
        }
        // The other thread ends the process.
        (_, Claim::Late) => std::thread::sleep(OTHER_WAIT),
        (None, Claim::First) | (_, Claim::Again) => {}
    }
    // A fault happens again as soon as this returns, and then as if there had been no handler. What was sent does not.
    for ((signal, _), before) in SIGNALS.iter().zip(BEFORE.get().into_iter().flatten()) {
        let _ = set(*signal, before);
    }
    if fatal.was_sent {
        let _ = set(signal, &no_action());
        // SAFETY: blocked until this returns.
        unsafe { libc::raise(signal) };
    }
}

/// What the kernel says of a signal.
#[derive(Clone, Copy)]
struct Fatal {
    signal: c_int,
    /// By a process, this one or another, and not by the code that ran.
    was_sent: bool,
    sender: i32,
    address: usize,
    instruction: Option<usize>,
}

impl Fatal {
    /// # Safety
    /// The arguments are those of a handler with `SA_SIGINFO`.
    unsafe fn read(signal: c_int, info: *const libc::siginfo_t, context: *const c_void) -> Self {
        // SAFETY: see above.
        let info = unsafe { &*info };
        // sigaction(2): codes of the kernel for faults are above 0.
        let was_sent = info.si_code <= 0;
        // SAFETY: a signal that was sent has a sender.
        let sender = if was_sent { unsafe { info.si_pid() } } else { 0 };
        // SAFETY: a fault has an address.
        let address = if was_sent { 0 } else { unsafe { info.si_addr() }.addr() };
        // SAFETY: see above.
        let instruction = unsafe { instruction(context.cast()) };
        Self { signal, was_sent, sender, address, instruction }
    }
}

/// Where the thread was.
///
/// # Safety
/// `context` is that of a handler with `SA_SIGINFO`.
#[cfg(target_arch = "x86_64")]
unsafe fn instruction(context: *const libc::ucontext_t) -> Option<usize> {
    // SAFETY: see above.
    let context = unsafe { context.as_ref() }?;
    let registers = &context.uc_mcontext.gregs;
    usize::try_from(*registers.get(usize::try_from(libc::REG_RIP).ok()?)?).ok()
}

/// Where the thread was.
///
/// # Safety
/// `context` is that of a handler with `SA_SIGINFO`.
#[cfg(target_arch = "aarch64")]
unsafe fn instruction(context: *const libc::ucontext_t) -> Option<usize> {
    // SAFETY: see above.
    let context = unsafe { context.as_ref() }?;
    usize::try_from(context.uc_mcontext.pc).ok()
}

impl Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = SIGNALS.iter().find(|(signal, _)| *signal == self.signal);
        f.write_str(name.map_or("signal", |(_, name)| name))?;
        match (self.was_sent, u32::try_from(self.sender)) {
            (true, Ok(pid)) if pid == std::process::id() => {
                f.write_str(" by the process itself")?
            }
            (true, _) => write!(f, " sent by process {}", self.sender)?,
            (false, _) => write!(f, " at address {:#x}", self.address)?,
        }
        match self.instruction {
            Some(instruction) => write!(f, ", instruction {instruction:#x}"),
            None => Ok(()),
        }
    }
}

/// The calls that led to the crash, as addresses: less an address of the list of modules they are what `addr2line` wants. The
/// thread that crashed unwinds when this is printed.
struct Trace<'a>(&'a Relay);

impl Display for Trace<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        wake(&self.0.to_crashed);
        wait(&self.0.to_reporter);
        let frames = self.0.frames.iter().map(|frame| frame.load(Ordering::Acquire));
        frames.take_while(|frame| *frame != 0).try_for_each(|frame| writeln!(f, "{frame:#x}"))
    }
}

fn frames(buffer: &mut [*mut c_void]) -> &[*mut c_void] {
    let room = c_int::try_from(buffer.len()).unwrap_or(c_int::MAX);
    // SAFETY: the buffer is as long as said.
    let n = unsafe { libc::backtrace(buffer.as_mut_ptr(), room) };
    usize::try_from(n).ok().and_then(|n| buffer.get(..n)).unwrap_or_default()
}

/// The name that the kernel knows a thread by.
#[derive(Clone, Copy)]
pub(super) struct ThreadName([u8; 16]);

impl ThreadName {
    /// That of this thread.
    pub(super) fn current() -> Self {
        let mut name = [0; 16];
        // SAFETY: PR_GET_NAME writes at most 16 bytes.
        unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        Self(name)
    }
}

impl Display for ThreadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        // A name that is cut may end within a letter.
        for chunk in self.0.get(..end).unwrap_or_default().utf8_chunks() {
            f.write_str(chunk.valid())?;
        }
        Ok(())
    }
}
