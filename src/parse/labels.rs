//! The names a format asks for: of lines that name their values themselves (`label:value`, `key=value`), and of
//! those whose names the format lists.

use hashbrown::HashMap;

/// Names by slot, and slots by name. Such lines may hold any name, so all that is known of one is whether it is
/// asked for.
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

/// The names that a format lists, in their order, each a slot; those without a name cannot be asked for.
#[derive(Debug)]
pub(crate) struct Listed {
    names: Vec<(String, bool)>,
}

impl Listed {
    /// No name is asked for yet.
    pub(crate) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Listed {
        Listed { names: names.into_iter().map(|name| (name.to_owned(), false)).collect() }
    }

    /// The names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.names.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty())
    }

    /// The slot of a name, and asks for it. `None` if it is not listed.
    pub(crate) fn ask(&mut self, name: &str) -> Option<usize> {
        let slot = self.names.iter().position(|(listed, _)| listed == name && !name.is_empty())?;
        self.names[slot].1 = true;
        Some(slot)
    }

    /// A slot's name, and whether it is asked for.
    pub(crate) fn slot(&self, slot: usize) -> (&str, bool) {
        let (name, wanted) = &self.names[slot];
        (name, *wanted)
    }

    /// All slots: the name, and whether it is asked for.
    pub(crate) fn slots(&self) -> impl ExactSizeIterator<Item = (&str, bool)> {
        self.names.iter().map(|(name, wanted)| (name.as_str(), *wanted))
    }
}
