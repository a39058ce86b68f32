//! Many tell, one looks, and between two looks it is woken once.

use crate::sync::{AtomicBool, Ordering};

/// Whether it was told since it last looked. What there is to see is elsewhere: it is put there before [`Told::tell`], and looked
/// at after [`Told::looks`].
#[derive(Debug, Default)]
pub(crate) struct Told(AtomicBool);

impl Told {
    /// True: whoever tells has to wake it, too.
    #[must_use]
    pub(crate) fn tell(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }

    /// It looks from here on: later news needs another wake-up.
    pub(crate) fn looks(&self) {
        // A swap, not a store: it reads what one who told left that found it told already, and so sees the news.
        self.0.swap(false, Ordering::AcqRel);
    }

    /// Whether there may be news.
    pub(crate) fn is_told(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
