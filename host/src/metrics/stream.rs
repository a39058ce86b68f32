//! Streams: series of their own for a bounded number of them, one sum for the rest.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Source;

/// The label of the sum. No stream key has brackets around all of it and no slash.
const OTHERS: &str = "(others)";

/// One stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFigures {
    pub key: String,
    pub viewers: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub frames: u64,
    pub frames_dropped: u64,
    pub frames_lost: u64,
}

impl StreamFigures {
    fn add(&mut self, other: &Self) {
        self.viewers += other.viewers;
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.frames += other.frames;
        self.frames_dropped += other.frames_dropped;
        self.frames_lost += other.frames_lost;
    }
}

/// A stream that has series keeps them while it lives, so that they don't come and go with the others.
pub(super) struct Streams {
    source: Arc<dyn Source>,
    max: usize,
    shown: Mutex<HashSet<String>>,
}

impl Streams {
    pub(super) fn new(source: Arc<dyn Source>, max: usize) -> Self {
        Self { source, max, shown: Mutex::default() }
    }

    /// The series to show: those with their own, then the sum of the others if there are any.
    fn select(&self) -> Vec<StreamFigures> {
        let mut streams = self.source.streams();
        streams.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let mut shown = self.shown.lock();
        let live: HashSet<&str> = streams.iter().map(|stream| stream.key.as_str()).collect();
        shown.retain(|key| live.contains(key.as_str()));
        for stream in &streams {
            if shown.len() >= self.max {
                break;
            }
            if !shown.contains(&stream.key) {
                shown.insert(stream.key.clone());
            }
        }
        let (mut own, others): (Vec<_>, Vec<_>) =
            streams.into_iter().partition(|stream| shown.contains(&stream.key));
        if !others.is_empty() {
            let mut sum = StreamFigures { key: OTHERS.to_owned(), ..StreamFigures::default() };
            others.iter().for_each(|stream| sum.add(stream));
            own.push(sum);
        }
        own
    }
}

impl Collector for Streams {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let streams = self.select();
        if streams.is_empty() {
            return Ok(());
        }
        let e = &mut encoder;
        family(e, "stream_viewers", "Viewers of the stream.", &streams, |s| {
            ConstGauge::new(s.viewers)
        })?;
        family(e, "stream_received_bytes", "Media received.", &streams, |s| {
            ConstCounter::new(s.bytes_in)
        })?;
        family(e, "stream_sent_bytes", "Media sent to viewers.", &streams, |s| {
            ConstCounter::new(s.bytes_out)
        })?;
        family(e, "stream_frames", "Frames received.", &streams, |s| ConstCounter::new(s.frames))?;
        family(e, "stream_frames_dropped", "Frames thrown away.", &streams, |s| {
            ConstCounter::new(s.frames_dropped)
        })?;
        family(e, "stream_frames_lost", "Frames that lapped readers missed.", &streams, |s| {
            ConstCounter::new(s.frames_lost)
        })
    }
}

fn family<M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    streams: &[StreamFigures],
    metric: impl Fn(&StreamFigures) -> M,
) -> fmt::Result {
    let metric_type = metric(&StreamFigures::default()).metric_type();
    let mut encoder = encoder.encode_descriptor(name, help, None, metric_type)?;
    for stream in streams {
        let labels = [("stream", stream.key.as_str())];
        metric(stream).encode(encoder.encode_family(&labels)?)?;
    }
    Ok(())
}

impl fmt::Debug for Streams {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streams").field("max", &self.max).finish_non_exhaustive()
    }
}
