//! What it takes to deliver: each fan-out thread, and what packagers have made in each format.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::Source;

/// One fan-out thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ThreadFigures {
    pub viewers: u64,
    pub wake_ups: u64,
    pub sends: u64,
}

/// All feeds of a format since the start, closed ones too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormatFigures {
    pub format: Arc<str>,
    pub packager_runs: u64,
    pub bytes: u64,
}

/// Labels: as many threads as the machine has cores or the config names, and the formats that plugins have registered.
pub(super) struct Delivery(pub(super) Arc<dyn Source>);

impl Collector for Delivery {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let e = &mut encoder;
        let threads: Vec<_> = self.0.threads().into_iter().enumerate().collect();
        let threads: Vec<_> = threads.iter().map(|(i, figures)| (i.to_string(), figures)).collect();
        let help = "Viewers of a fan-out thread.";
        family(e, "fanout_viewers", help, "thread", &threads, |t| ConstGauge::new(t.viewers))?;
        let help = "Times that a fan-out thread has come back from waiting.";
        family(e, "fanout_wake_ups", help, "thread", &threads, |t| ConstCounter::new(t.wake_ups))?;
        let help = "System calls of a fan-out thread that sent something, or tried to.";
        family(e, "fanout_sends", help, "thread", &threads, |t| ConstCounter::new(t.sends))?;
        let formats = self.0.formats();
        let formats: Vec<_> = formats.iter().map(|it| (it.format.to_string(), it)).collect();
        let help = "Calls of packagers with frames.";
        let runs = |f: &FormatFigures| ConstCounter::new(f.packager_runs);
        family(e, "feed_packager_runs", help, "format", &formats, runs)?;
        let help = "What packagers have made; each viewer is sent it from where it joins.";
        family(e, "feed_bytes", help, "format", &formats, |f| ConstCounter::new(f.bytes))
    }
}

fn family<T, M: EncodeMetric>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    label: &str,
    series: &[(String, &T)],
    metric: impl Fn(&T) -> M,
) -> fmt::Result {
    let Some((_, first)) = series.first() else { return Ok(()) };
    let metric_type = metric(first).metric_type();
    let mut encoder = encoder.encode_descriptor(name, help, None, metric_type)?;
    for (value, figures) in series {
        metric(figures).encode(encoder.encode_family(&[(label, value.as_str())])?)?;
    }
    Ok(())
}

impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Delivery")
    }
}
