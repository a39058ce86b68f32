//! What one run measures: of whom, with how many viewers of what, who do what.

use crate::bare::{EngineKind, Method};
use crate::options::{Media, Protocol};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub subject: Subject,
    /// Over all streams; none: publishers only.
    pub viewers: usize,
    pub media: Media,
    pub activity: Activity,
}

/// Whose cost is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Bare(Method),
    NginxRtmp,
    /// Our server; it may hold media back for so many milliseconds, to send more at a time.
    Plugcast {
        protocol: Protocol,
        budget_ms: u32,
    },
    /// A server that somebody else runs.
    Url,
}

/// What the viewers do in the time that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activity {
    /// So many more come in a second, and each leaves after a second.
    Churn {
        per_second: u32,
    },
    /// They read nothing.
    Stall,
    Watch,
}

impl Case {
    /// How long media may wait in the server on purpose.
    pub(crate) fn budget_ms(&self) -> u32 {
        match self.subject {
            Subject::Bare(method) => method.every_ms,
            Subject::Plugcast { budget_ms, .. } => budget_ms,
            Subject::NginxRtmp | Subject::Url => 0,
        }
    }

    /// The same for another.
    pub(crate) fn of(self, subject: Subject) -> Self {
        Self { subject, ..self }
    }

    /// `200 viewers of 1 stream, 2.1 Mbit/s`
    pub(crate) fn load_label(&self) -> String {
        let Self { viewers, media: Media { streams, bitrate }, .. } = self;
        let rate = match *bitrate {
            bitrate if bitrate < 1_000_000 => format!("{} kbit/s", bitrate / 1000),
            bitrate => format!("{}.{} Mbit/s", bitrate / 1_000_000, bitrate % 1_000_000 / 100_000),
        };
        let activity = match self.activity {
            Activity::Churn { per_second } => format!(", {per_second} joins/s"),
            Activity::Stall => ", stalled".to_owned(),
            Activity::Watch => String::new(),
        };
        match streams {
            0 => "idle".to_owned(),
            1 => format!("{viewers} × {rate}{activity}"),
            _ => format!("{viewers} of {streams} streams × {rate}{activity}"),
        }
    }
}

impl Subject {
    pub(crate) fn label(self) -> String {
        match self {
            Self::Bare(Method { engine, every_ms }) => {
                let engine = match engine {
                    EngineKind::Send => "bare send()",
                    EngineKind::Uring => "bare io_uring",
                };
                within(engine, every_ms)
            }
            Self::NginxRtmp => "nginx-rtmp".to_owned(),
            Self::Plugcast { protocol, budget_ms } => {
                within(&format!("plugcast {}", protocol.label()), budget_ms)
            }
            Self::Url => "url".to_owned(),
        }
    }
}

fn within(what: &str, budget_ms: u32) -> String {
    match budget_ms {
        0 => what.to_owned(),
        _ => format!("{what}, {budget_ms} ms"),
    }
}
