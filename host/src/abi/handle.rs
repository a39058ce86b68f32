//! Handles: what plugins hold instead of pointers. Slot, generation and owner, so that a stale or foreign one is an error.

use parking_lot::RwLock;
use plugin_api::abi::core::Handle;

const SLOT_BITS: u32 = 24;
const GENERATION_BITS: u32 = 24;
/// Handles alive at once in one instance; more are `PC_E_LIMIT`.
pub(crate) const HANDLES_MAX: usize = 1 << SLOT_BITS;
const GENERATION_MASK: u32 = (1 << GENERATION_BITS) - 1;

/// The handles of one instance.
#[derive(Debug)]
pub(crate) struct Handles<T> {
    owner: u16,
    slots: RwLock<Slots<T>>,
}

#[derive(Debug)]
struct Slots<T> {
    entries: Vec<Entry<T>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry<T> {
    generation: u32,
    value: Option<T>,
}

impl<T: Clone> Handles<T> {
    /// `owner` is not 0, so that no handle is.
    pub(crate) fn new(owner: u16) -> Self {
        Self { owner, slots: RwLock::new(Slots { entries: Vec::new(), free: Vec::new() }) }
    }

    /// `None` at [`HANDLES_MAX`].
    pub(crate) fn insert(&self, value: T) -> Option<Handle> {
        let mut slots = self.slots.write();
        let slot = match slots.free.pop() {
            Some(slot) => slot,
            None if slots.entries.len() == HANDLES_MAX => return None,
            None => {
                slots.entries.push(Entry { generation: 0, value: None });
                slots.entries.len() - 1
            }
        };
        let entry = slots.entries.get_mut(slot)?;
        entry.generation = (entry.generation + 1) & GENERATION_MASK;
        entry.value = Some(value);
        Some(self.encode(slot, entry.generation))
    }

    /// A share of what the handle stands for.
    pub(crate) fn get(&self, handle: Handle) -> Option<T> {
        let (slot, generation) = self.decode(handle)?;
        let slots = self.slots.read();
        let entry = slots.entries.get(slot).filter(|entry| entry.generation == generation)?;
        entry.value.clone()
    }

    /// Takes the handle out of use; what it stood for is dropped by the caller, outside the lock.
    pub(crate) fn remove(&self, handle: Handle) -> Option<T> {
        let (slot, generation) = self.decode(handle)?;
        let mut slots = self.slots.write();
        let entry = slots.entries.get_mut(slot).filter(|entry| entry.generation == generation)?;
        let value = entry.value.take()?;
        slots.free.push(slot);
        Some(value)
    }

    /// Empties the table, for the end of the instance.
    pub(crate) fn drain(&self) -> Vec<T> {
        let mut slots = self.slots.write();
        let values: Vec<T> =
            slots.entries.iter_mut().filter_map(|entry| entry.value.take()).collect();
        slots.free = (0..slots.entries.len()).collect();
        values
    }

    /// Shows each value that is alive, outside the lock.
    pub(crate) fn for_each(&self, show: impl FnMut(&T)) {
        let values: Vec<T> =
            self.slots.read().entries.iter().filter_map(|entry| entry.value.clone()).collect();
        values.iter().for_each(show);
    }

    fn encode(&self, slot: usize, generation: u32) -> Handle {
        let slot = u64::try_from(slot).unwrap_or(u64::MAX);
        u64::from(self.owner) << (SLOT_BITS + GENERATION_BITS)
            | u64::from(generation) << SLOT_BITS
            | slot
    }

    fn decode(&self, handle: Handle) -> Option<(usize, u32)> {
        if handle >> (SLOT_BITS + GENERATION_BITS) != u64::from(self.owner) {
            return None;
        }
        let slot = usize::try_from(handle & ((1 << SLOT_BITS) - 1)).ok()?;
        let generation = u32::try_from((handle >> SLOT_BITS) & u64::from(GENERATION_MASK)).ok()?;
        Some((slot, generation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_and_foreign_handles_are_nothing() {
        let mine = Handles::new(1);
        let other = Handles::<&str>::new(2);
        let first = mine.insert("first").unwrap();

        assert_eq!(mine.get(first), Some("first"));
        assert_eq!(other.get(first), None);
        assert_eq!(mine.remove(first), Some("first"));
        assert_eq!(mine.remove(first), None);
        let second = mine.insert("second").unwrap();
        assert_ne!(first, second);
        assert_eq!(mine.get(first), None);
        assert_eq!(mine.get(0), None);
        assert_eq!(mine.get(u64::MAX), None);
    }
}
