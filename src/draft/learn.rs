//! Templates from paths: which places in them hold ids, and what each is called.
//!
//! What looks like an id is one wherever it stands. Beyond that a place tells by what is in it: where there are many
//! different words and none of them stands out, they are ids too, be they people's names.

use std::collections::BTreeSet;

use super::names;
use super::seen::{End, Place, is_numbered};
use crate::register::{Segment, Template};

/// More words than this in one place are ids.
const WORDS_MAX: usize = 20;
/// The same behind the name of one person's things: `account`, `profile`. Behind that of many, `users`, all are ids: their
/// names belong into no table.
const PERSONS_MAX: usize = 8;
/// The same in the first place that says anything: what stands there are mostly the names of endpoints.
const FIRST_MAX: usize = 200;
/// In the first place one call in so many lets a word stand out there.
const FIRST_SHARE: u64 = 100;
/// In other places it takes more than one call in so many.
const SHARE: u64 = 2;
/// So many words with a digit or two in the first place may be endpoints: `oauth2`, `s3`. More are ids.
const NUMBERED_MAX: usize = 3;

/// A route that paths have shown.
#[derive(Debug)]
pub(super) struct Learned {
    pub(super) template: Template,
    pub(super) end: End,
}

/// The templates of all paths, in no particular order.
pub(super) fn learn(root: Place) -> Vec<Learned> {
    let mut learned = Vec::new();
    walk(root, &mut Vec::new(), &mut learned);
    learned
}

fn walk(mut place: Place, before: &mut Vec<Segment>, learned: &mut Vec<Learned>) {
    if place.end.calls > 0 {
        let template = Template { segments: before.clone(), rest: false };
        learned.push(Learned { template, end: std::mem::take(&mut place.end) });
    }
    for word in ids(&place, before) {
        if let Some(folded) = place.words.remove(&word) {
            place.id.get_or_insert_default().merge(folded);
        }
    }
    let placeholder = Segment::Placeholder(placeholder(before));
    let words =
        place.words.into_iter().map(|(word, behind)| (Segment::Literal(word.into()), behind));
    for (segment, behind) in words.chain(place.id.map(|behind| (placeholder, *behind))) {
        if !behind.is_empty() {
            before.push(segment);
            walk(behind, before, learned);
            before.pop();
        }
    }
}

/// The words of a place that are ids.
fn ids(place: &Place, before: &[Segment]) -> BTreeSet<Box<str>> {
    let is_prefix = |segment: &Segment| match segment {
        Segment::Literal(text) => names::is_prefix(text),
        Segment::Placeholder(_) => false,
    };
    let is_first = before.iter().all(is_prefix);
    let of_persons = match before.last() {
        Some(Segment::Literal(text)) => names::is_of_persons(text),
        _ => false,
    };
    let (numbered, words): (Vec<&Box<str>>, Vec<&Box<str>>) =
        place.words.keys().partition(|word| is_numbered(word));
    let mut ids: BTreeSet<Box<str>> = BTreeSet::new();
    if !is_first || numbered.len() > NUMBERED_MAX {
        ids.extend(numbered.into_iter().cloned());
    }
    let are_persons = match before.last() {
        Some(Segment::Literal(text)) => names::is_of_persons(text) && names::is_plural(text),
        _ => false,
    };
    let max = match (is_first, of_persons) {
        _ if are_persons => 0,
        (true, _) => FIRST_MAX,
        (false, true) => PERSONS_MAX,
        (false, false) => WORDS_MAX,
    };
    let all = place.calls() - place.end.calls;
    let stands_out = |word: &str| {
        if are_persons {
            return false;
        }
        let calls = place.words.get(word).map_or(0, Place::calls);
        match is_first {
            true => calls * FIRST_SHARE >= all,
            false => calls * SHARE > all,
        }
    };
    let operations = words.iter().filter(|word| names::is_operation(word)).count();
    let are_operations = operations * 2 >= words.len();
    let rest: Vec<&Box<str>> = words
        .into_iter()
        .filter(|word| !names::is_reserved(word) && !names::is_prefix(word) && !stands_out(word))
        .collect();
    if rest.len() > max && !are_operations {
        ids.extend(rest.into_iter().cloned());
    }
    ids
}

/// What an id here is called: by the segment before it, and by a number too where that name is taken.
fn placeholder(before: &[Segment]) -> String {
    let collection = match before.last() {
        Some(Segment::Literal(text)) => Some(text.as_str()),
        _ => None,
    };
    let name = names::of_collection(collection);
    let is_taken = |name: &str| {
        before.iter().any(|s| matches!(s, Segment::Placeholder(taken) if taken == name))
    };
    if !is_taken(&name) {
        return name;
    }
    let numbered = (2..).map(|n: usize| format!("{name}-{n}")).find(|name| !is_taken(name));
    numbered.unwrap_or(name)
}
