//! How often something may happen.

use plugin_api::frame::{NS_PER_MS, Ns};

const MINUTE: Ns = 60_000 * NS_PER_MS;

/// So many times in each minute, counted from the first time.
#[derive(Default)]
pub(crate) struct PerMinute {
    since: Option<Ns>,
    count: u32,
}

impl PerMinute {
    /// Counts one more; `false` when it is one too many.
    pub(crate) fn take(&mut self, now: Ns, max: u32) -> bool {
        if self.since.is_none_or(|since| now - since >= MINUTE) {
            *self = Self { since: Some(now), count: 0 };
        }
        self.count = self.count.saturating_add(1);
        self.count <= max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_so_many_a_minute() {
        let mut quota = PerMinute::default();
        let mut given = |now| (0..1000).filter(|_| quota.take(now, 60)).count();

        assert_eq!((given(5), given(MINUTE), given(5 + MINUTE)), (60, 0, 60));
    }
}
