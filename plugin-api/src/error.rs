//! What crosses the boundary when something fails: a status code and a text for people.

use std::borrow::Cow;
use std::{fmt, io};

use crate::abi::core as abi;

/// `pc_status`: 0 ok, above 0 information, below 0 an error. Unknown values keep their sign's meaning.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Status(pub i32);

impl Status {
    pub const OK: Self = Self(abi::OK);
    pub const PENDING: Self = Self(abi::PENDING);
    pub const END: Self = Self(abi::END);
    pub const DROPPED: Self = Self(abi::DROPPED);
    /// An argument is wrong; the caller must change.
    pub const INVALID: Self = Self(abi::E_INVALID);
    /// The handle is stale, foreign, or of another kind.
    pub const HANDLE: Self = Self(abi::E_HANDLE);
    /// Not offered by this host, format or codec.
    pub const UNSUPPORTED: Self = Self(abi::E_UNSUPPORTED);
    /// A named limit was reached.
    pub const LIMIT: Self = Self(abi::E_LIMIT);
    /// Not now: wrong order, or already closed.
    pub const STATE: Self = Self(abi::E_STATE);
    /// The operating system said no.
    pub const IO: Self = Self(abi::E_IO);
    pub const TIMEOUT: Self = Self(abi::E_TIMEOUT);
    /// The instance or the task is being stopped.
    pub const CANCELLED: Self = Self(abi::E_CANCELLED);
    /// An auth rule said no.
    pub const DENIED: Self = Self(abi::E_DENIED);
    /// The server's memory limit.
    pub const NO_MEMORY: Self = Self(abi::E_NO_MEMORY);
    /// A guarded callback panicked.
    pub const PANIC: Self = Self(abi::E_PANIC);
    pub const INTERNAL: Self = Self(abi::E_INTERNAL);
    pub const NOT_FOUND: Self = Self(abi::E_NOT_FOUND);
    /// Somebody else holds it: the stream key, the port.
    pub const CONFLICT: Self = Self(abi::E_CONFLICT);

    /// Below 0.
    pub const fn is_error(self) -> bool {
        self.0 < 0
    }

    /// One or two words, for texts and lists.
    pub const fn name(self) -> &'static str {
        match self {
            Self::OK => "ok",
            Self::PENDING => "pending",
            Self::END => "end",
            Self::DROPPED => "dropped",
            Self::INVALID => "invalid",
            Self::HANDLE => "stale handle",
            Self::UNSUPPORTED => "unsupported",
            Self::LIMIT => "limit reached",
            Self::STATE => "wrong state",
            Self::IO => "input or output failed",
            Self::TIMEOUT => "timed out",
            Self::CANCELLED => "cancelled",
            Self::DENIED => "denied",
            Self::NO_MEMORY => "no memory",
            Self::PANIC => "panic",
            Self::NOT_FOUND => "not found",
            Self::CONFLICT => "in use",
            Self(0..) => "information",
            Self(..0) => "internal error",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name(), self.0)
    }
}

/// A refusal with its reason. Its `Display` is the text alone, or the status in words when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Always below 0.
    pub status: Status,
    /// For people: lower case, no full stop; may be empty.
    pub text: Cow<'static, str>,
}

macro_rules! constructors {
    ($($(#[$doc:meta])* $name:ident = $status:ident;)*) => {
        $($(#[$doc])*
        pub fn $name(text: impl Into<Cow<'static, str>>) -> Self {
            Self::new(Status::$status, text)
        })*
    };
}

impl Error {
    /// A status that is none of an error becomes [`Status::INTERNAL`].
    pub fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Self {
        let status = if status.is_error() { status } else { Status::INTERNAL };
        Self { status, text: text.into() }
    }

    constructors! {
        /// The caller's argument or the peer's input is wrong.
        invalid = INVALID;
        /// Not offered here.
        unsupported = UNSUPPORTED;
        /// A named limit was reached.
        limit = LIMIT;
        /// Wrong order, or already closed.
        state = STATE;
        /// The operating system or the link failed.
        io = IO;
        /// It took too long.
        timeout = TIMEOUT;
        /// It is being stopped.
        cancelled = CANCELLED;
        /// A rule said no.
        denied = DENIED;
        /// The server's memory limit.
        no_memory = NO_MEMORY;
        /// A guarded callback panicked.
        panic = PANIC;
        /// A bug, or what should not happen.
        internal = INTERNAL;
        /// There is no such thing.
        not_found = NOT_FOUND;
        /// Somebody else holds it.
        conflict = CONFLICT;
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.text.is_empty() { self.status.name() } else { &self.text })
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.status {
            Status::IO => io::ErrorKind::ConnectionReset,
            Status::TIMEOUT => io::ErrorKind::TimedOut,
            Status::CANCELLED => io::ErrorKind::ConnectionAborted,
            Status::DENIED => io::ErrorKind::PermissionDenied,
            Status::INVALID => io::ErrorKind::InvalidInput,
            Status::UNSUPPORTED => io::ErrorKind::Unsupported,
            Status::NO_MEMORY => io::ErrorKind::OutOfMemory,
            Status::NOT_FOUND => io::ErrorKind::NotFound,
            Status::CONFLICT => io::ErrorKind::AddrInUse,
            Status::HANDLE | Status::STATE => io::ErrorKind::NotConnected,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<io::Error> for Error {
    /// Gives back the error that a socket of this crate failed with; any other becomes [`Status::IO`].
    fn from(error: io::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(inner) => inner,
            Err(error) => Self::io(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_way_through_io() {
        let error = Error::denied("wrong key");

        let again = Error::from(io::Error::from(error.clone()));

        assert_eq!(again, error);
        assert_eq!(Error::from(io::Error::from(io::ErrorKind::BrokenPipe)).status, Status::IO);
    }

    #[test]
    fn a_status_that_is_no_error_is_not_taken_for_one() {
        assert_eq!(Error::new(Status::END, "x").status, Status::INTERNAL);
        assert_eq!(Error::new(Status(-77), "").to_string(), "internal error");
    }
}
