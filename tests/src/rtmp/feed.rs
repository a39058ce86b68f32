//! Sends tags at their pace, with stamps that a test may choose freely.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Publisher;
use crate::flv::{self, Tag};
use crate::wait;

/// A tag and when it is due, counted from the start of the feed.
#[derive(Debug, Clone)]
pub struct Cue {
    pub due: Duration,
    pub tag: Tag,
}

/// The tags of a file, due as their stamps say.
pub fn in_real_time(tags: &[Tag]) -> Vec<Cue> {
    tags.iter()
        .map(|tag| Cue { due: Duration::from_millis(tag.time_ms.into()), tag: tag.clone() })
        .collect()
}

/// The same cues, `factor` times faster; stamps stay.
#[must_use]
pub fn faster(mut cues: Vec<Cue>, factor: u32) -> Vec<Cue> {
    for cue in &mut cues {
        cue.due /= factor;
    }
    cues
}

/// The same cues with other stamps.
#[must_use]
pub fn restamped(mut cues: Vec<Cue>, stamp: impl Fn(u32) -> u32) -> Vec<Cue> {
    for cue in &mut cues {
        cue.tag.time_ms = stamp(cue.tag.time_ms);
    }
    cues
}

/// `cues` after `before`, in both time and stamps, as if one encoder had sent them.
#[must_use]
pub fn followed_by(mut before: Vec<Cue>, cues: Vec<Cue>) -> Vec<Cue> {
    let length_ms = length_ms(&before);
    let length = Duration::from_millis(length_ms.into());
    before.extend(cues.into_iter().map(|mut cue| {
        cue.due += length;
        cue.tag.time_ms += length_ms;
        cue
    }));
    before
}

/// The tags of the first `ms` milliseconds.
pub fn cut(tags: &[Tag], ms: u32) -> Vec<Tag> {
    tags.iter().filter(|tag| tag.time_ms < ms).cloned().collect()
}

/// The clip `times` times, decoder configurations only at the start.
#[must_use]
pub fn repeated(tags: &[Tag], times: usize) -> Vec<Cue> {
    let media: Vec<Tag> = tags.iter().filter(|tag| tag.is_frame()).cloned().collect();
    (1..times).fold(in_real_time(tags), |cues, _| followed_by(cues, in_real_time(&media)))
}

/// The tags of cues.
pub fn tags(cues: &[Cue]) -> Vec<Tag> {
    cues.iter().map(|cue| cue.tag.clone()).collect()
}

/// The number of the cue that is video frame `frame`.
#[track_caller]
pub fn cue_of_video(cues: &[Cue], frame: usize) -> usize {
    let mut frames = cues.iter().enumerate().filter(|(_, cue)| cue.tag.is_video_frame());
    frames.nth(frame).expect("the feed has that many frames").0
}

/// To the end of the last video frame (or audio frame, where there is no video), supposing an even rate.
fn length_ms(cues: &[Cue]) -> u32 {
    let stamps = |kind| -> Vec<u32> {
        let frames = cues.iter().filter(|cue| cue.tag.kind == kind && cue.tag.is_frame());
        frames.map(|cue| cue.tag.time_ms).collect()
    };
    let end = |stamps: Vec<u32>| match stamps.as_slice() {
        [.., before, last] => last + (last - before),
        _ => 0,
    };
    end(stamps(flv::VIDEO)).max(end(stamps(flv::AUDIO)))
}

/// A cue that has been sent.
#[derive(Debug, Clone, Copy)]
pub struct Sent {
    pub at: Instant,
    /// All bytes of the connection up to its end.
    pub bytes: u64,
}

/// A publisher at work in a thread of its own.
#[derive(Debug)]
pub struct Feed {
    thread: JoinHandle<Publisher>,
    sent: Arc<Mutex<Vec<Sent>>>,
    stop: Arc<AtomicBool>,
}

impl Feed {
    /// Starts to send.
    pub fn start(publisher: Publisher, cues: Vec<Cue>) -> Self {
        let sent = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let (sent, stop) = (Arc::clone(&sent), Arc::clone(&stop));
            move || {
                let start = Instant::now();
                for cue in cues {
                    wait::pace_until(start + cue.due);
                    if stop.load(Ordering::SeqCst) || publisher.send(&cue.tag).is_err() {
                        break;
                    }
                    let now = Sent { at: Instant::now(), bytes: publisher.bytes_sent() };
                    sent.lock().expect("nobody panics while holding the times").push(now);
                }
                publisher
            }
        });
        Self { thread, sent, stop }
    }

    /// The cues that were sent so far.
    pub fn sent(&self) -> Vec<Sent> {
        self.sent.lock().expect("nobody panics while holding the times").clone()
    }

    /// Waits until cue number `index` has been sent.
    #[track_caller]
    pub fn wait_for_cue(&self, index: usize, limit: Duration) {
        wait::until(&format!("cue {index} to be sent"), limit, || {
            (self.sent().len() > index).then_some(())
        });
    }

    /// Stops after the current tag. Gives the publisher back, still connected.
    pub fn stop(self) -> Publisher {
        self.stop.store(true, Ordering::SeqCst);
        self.join()
    }

    /// The same, with the number of cues that were sent.
    pub fn stop_and_count(self) -> (Publisher, usize) {
        let sent = Arc::clone(&self.sent);
        let publisher = self.stop();
        let count = sent.lock().expect("nobody panics while holding the times").len();
        (publisher, count)
    }

    /// Waits until all is sent. Gives the publisher back, still connected.
    pub fn join(self) -> Publisher {
        self.thread.join().expect("the feed does not panic")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> Vec<Tag> {
        let video = |time_ms, packet| Tag {
            kind: flv::VIDEO,
            time_ms,
            body: vec![0x27, packet, 0, 0, 0, 1],
        };
        vec![video(0, 0), video(0, 1), video(40, 1), video(80, 1)]
    }

    #[test]
    fn repeats_without_a_seam() {
        let stamps: Vec<u32> = repeated(&clip(), 2).iter().map(|cue| cue.tag.time_ms).collect();

        assert_eq!(stamps, [0, 0, 40, 80, 120, 160, 200]);
    }

    #[test]
    fn changes_pace_and_stamps_apart() {
        let cues = restamped(faster(in_real_time(&clip()), 4), |ms| ms.wrapping_sub(50));

        assert_eq!(cues[3].due, Duration::from_millis(20));
        assert_eq!(cues[2].tag.time_ms, u32::MAX - 9);
        assert_eq!(cues[3].tag.time_ms, 30);
    }
}
