//! The names a format asks for, where lines name their values themselves: `label:value`, `key=value`.
//!
//! Such lines may hold any name, so all that is known of one is whether it is asked for.

use hashbrown::HashMap;

/// Names by slot, and slots by name.
#[derive(Debug, Default)]
pub(crate) struct Labels {
    /// Slots are numbered from 0 in the order in which they were asked for.
    slots: HashMap<String, usize>,
}

impl Labels {
    /// The slot of a name; a new one, if it was not asked for before.
    pub(crate) fn ask(&mut self, name: &str) -> usize {
        let next = self.slots.len();
        *self.slots.entry_ref(name).or_insert(next)
    }

    /// The slot of a name that stands in a line, if it is asked for.
    pub(crate) fn slot(&self, name: &str) -> Option<usize> {
        self.slots.get(name).copied()
    }

    /// How many slots there are.
    pub(crate) fn count(&self) -> usize {
        self.slots.len()
    }
}
