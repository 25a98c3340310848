//! What is kept of calls until tables are drafted from them.
//!
//! Bounded by `limits`. What a bound lets in is what came first, so pieces of a log are taken in the order of the log, and
//! logs in the order of their names: the same logs come to the same whatever read them.

use std::collections::BTreeMap;

use hashbrown::HashMap;

use super::credential::{self, Plainness};
use crate::call::{Call, Outcome};
use crate::limits;
use crate::register::{
    credential_digest, is_id, legible_host, mask, normalise, operation_of_method,
};
use crate::tally::Span;

/// The end of a credential of so many characters is too little of it to guess the rest.
const END_OF_CHARS_MIN: usize = 16;

/// In how many calls of a format a call field was there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Presence {
    /// All calls.
    pub calls: u64,
    /// Calls of which the log says what they presented.
    pub credential: u64,
    /// Calls with the person in a field of the log's own.
    pub subject: u64,
    /// Calls with the person logged in.
    pub actor: u64,
    /// Calls of which the log says what the API did.
    pub outcome: u64,
    /// Calls with a latency.
    pub latency: u64,
    /// Calls with a volume.
    pub bytes: u64,
    /// Calls with a host.
    pub host: u64,
    /// Calls with a request id.
    pub request_id: u64,
}

impl Presence {
    fn add(&mut self, call: &Call<'_>) {
        let Presence {
            calls,
            credential,
            subject,
            actor,
            outcome,
            latency,
            bytes,
            host,
            request_id,
        } = self;
        *calls += 1;
        for (count, is_there) in [
            (credential, call.credential.is_some()),
            (subject, call.subject.before.is_some() || call.subject.after.is_some()),
            (actor, call.actor.before.is_some() || call.actor.after.is_some()),
            (outcome, call.outcome != Outcome::Unknown),
            (latency, call.latency_us.is_some()),
            (bytes, call.bytes.is_some()),
            (host, call.host.is_some()),
            (request_id, call.request_id.is_some()),
        ] {
            *count += u64::from(is_there);
        }
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: Presence) {
        self.calls += other.calls;
        self.credential += other.credential;
        self.subject += other.subject;
        self.actor += other.actor;
        self.outcome += other.outcome;
        self.latency += other.latency;
        self.bytes += other.bytes;
        self.host += other.host;
        self.request_id += other.request_id;
    }
}

/// Where a call went that can serve as an example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Went {
    /// To this path.
    Path(Box<str>),
    /// To this api, as its log names it.
    Api(Box<str>),
}

/// What was seen of one credential.
#[derive(Clone, Debug)]
pub(super) struct CredentialSeen {
    pub(super) calls: u64,
    pub(super) span: Span,
    /// Itself, where it plainly is no secret, and whether it is a name.
    pub(super) plain: Option<(Plainness, String)>,
    /// How it is shown where only its hash is written: its end, if that is a small part of it.
    pub(super) end: Option<String>,
    /// Its first served call, if that is short, and the operation.
    pub(super) example: Option<(Went, Box<str>)>,
}

impl CredentialSeen {
    fn merge(&mut self, other: CredentialSeen) {
        self.calls += other.calls;
        self.span.merge(other.span);
        // Of a value and its hash the value is the better to read.
        self.plain = self.plain.take().or(other.plain);
        self.end = self.end.take().or(other.end);
        self.example = self.example.take().or(other.example);
    }
}

/// A place in paths: what comes behind the segments before it.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// What comes behind each word here.
    pub(super) words: BTreeMap<Box<str>, Place>,
    /// What comes behind what looks like an id, or is one word too many.
    pub(super) id: Option<Box<Place>>,
    /// Whether there were words too many.
    pub(super) overflowed: bool,
    /// The calls that end here.
    pub(super) end: End,
}

/// The served calls to one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct End {
    pub(super) calls: u64,
    /// By the number of the host, see [`Hosts`].
    pub(super) hosts: u64,
    pub(super) operations: BTreeMap<Box<str>, u64>,
}

impl End {
    pub(super) fn merge(&mut self, other: End) {
        self.calls += other.calls;
        self.hosts |= other.hosts;
        for (operation, calls) in other.operations {
            self.add_operation(&operation, calls);
        }
    }

    fn add_operation(&mut self, operation: &str, calls: u64) {
        if let Some(known) = self.operations.get_mut(operation) {
            *known += calls;
        } else if self.operations.len() < limits::OPERATIONS_LISTED_MAX {
            self.operations.insert(operation.into(), calls);
        }
    }
}

impl Place {
    /// All calls that end here or behind it.
    pub(super) fn calls(&self) -> u64 {
        let behind = self.words.values().chain(self.id.as_deref()).map(Place::calls).sum::<u64>();
        self.end.calls + behind
    }

    /// Whether there is nothing in it.
    pub(super) fn is_empty(&self) -> bool {
        self.words.is_empty() && self.id.is_none() && self.end.calls == 0
    }

    /// Takes in all of another, whatever the bounds: what two places hold is within them.
    pub(super) fn merge(&mut self, other: Place) {
        self.overflowed |= other.overflowed;
        self.end.merge(other.end);
        for (word, place) in other.words {
            self.words.entry(word).or_default().merge(place);
        }
        if let Some(id) = other.id {
            self.id.get_or_insert_default().merge(*id);
        }
    }
}

/// The hosts told apart, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Hosts {
    /// Names and calls, in order of appearance.
    pub(super) seen: Vec<(String, u64)>,
}

impl Hosts {
    /// The bit of calls without a host.
    pub(super) const NONE: u64 = 1 << 62;
    /// The bit of all hosts that come too late.
    pub(super) const OTHERS: u64 = 1 << 63;

    fn bit(&mut self, host: Option<&str>, calls: u64) -> u64 {
        let Some(host) = host else { return Hosts::NONE };
        let known = self.seen.iter().position(|(name, _)| name == host);
        let place = known.or_else(|| {
            (self.seen.len() < limits::DRAFT_HOSTS_MAX).then(|| {
                self.seen.push((host.to_owned(), 0));
                self.seen.len() - 1
            })
        });
        match place {
            Some(place) => {
                self.seen[place].1 += calls;
                1 << place
            }
            None => Hosts::OTHERS,
        }
    }
}

/// An api that logs name.
#[derive(Clone, Debug, Default)]
pub(super) struct NamedSeen {
    pub(super) calls: u64,
    pub(super) operations: BTreeMap<Box<str>, u64>,
}

/// One segment of a path: a word, or `None` for what looks like an id.
type Part = Option<Box<str>>;

/// Served calls to one path, for one host and operation.
#[derive(Debug)]
struct PathSeen {
    host: Option<String>,
    parts: Vec<Part>,
    operation: Box<str>,
    calls: u64,
}

/// What one piece of a log shows, in order of appearance.
#[derive(Debug, Default)]
pub struct Batch {
    presence: Presence,
    span: Span,
    unserved: u64,
    credentials: Ordered<([u8; 32], CredentialSeen)>,
    paths: Ordered<PathSeen>,
    named: Ordered<(String, Box<str>, u64)>,
    key: String,
}

/// Values by key, in order of appearance.
#[derive(Debug)]
struct Ordered<T> {
    places: HashMap<String, usize>,
    values: Vec<T>,
}

impl<T> Default for Ordered<T> {
    fn default() -> Ordered<T> {
        Ordered { places: HashMap::new(), values: Vec::new() }
    }
}

impl<T> Ordered<T> {
    fn get(&mut self, key: &str, make: impl FnOnce() -> T) -> &mut T {
        let place = match self.places.get(key) {
            Some(&place) => place,
            None => {
                self.values.push(make());
                self.places.insert(key.to_owned(), self.values.len() - 1);
                self.values.len() - 1
            }
        };
        &mut self.values[place]
    }
}

impl Batch {
    /// Takes in one call. `of_ids` says that its format holds no secrets.
    pub fn add(&mut self, call: &Call<'_>, of_ids: bool) {
        self.presence.add(call);
        self.span.add(call.at);
        let served = call.outcome.counts_as_served();
        self.unserved += u64::from(!served);
        let operation = match &call.operation {
            Some(operation) => operation.clone(),
            None => operation_of_method(call.method.as_deref()),
        };
        let path = call.path.as_deref().unwrap_or("");
        let path = &path[..memchr::memchr2(b'?', b'#', path.as_bytes()).unwrap_or(path.len())];
        if let Some(text) = call.credential.as_deref() {
            let (_, seen) = self.credentials.get(text, || {
                let plain = credential::plainness(text, of_ids);
                let seen = CredentialSeen {
                    calls: 0,
                    span: Span::default(),
                    plain: (plain != Plainness::Secret).then(|| (plain, text.to_owned())),
                    end: (plain == Plainness::Secret && text.chars().count() >= END_OF_CHARS_MIN)
                        .then(|| mask(text)),
                    example: None,
                };
                (credential_digest(text), seen)
            });
            seen.calls += 1;
            seen.span.add(call.at);
            if served && seen.example.is_none() {
                let went = match call.api.as_deref() {
                    Some(api) => Went::Api(api.into()),
                    None => Went::Path(path.into()),
                };
                let length = path.len() + call.api.as_deref().map_or(0, str::len) + operation.len();
                seen.example = (length <= limits::DRAFT_EXAMPLE_BYTES_MAX)
                    .then(|| (went, operation.as_ref().into()));
            }
        }
        if !served {
            return;
        }
        if let Some(api) = call.api.as_deref() {
            self.key.clear();
            self.key.extend([api, "\0", &operation]);
            let make = || (api.to_owned(), operation.as_ref().into(), 0);
            self.named.get(&self.key, make).2 += 1;
            return;
        }
        self.key.clear();
        self.key.extend([&operation, "\0", call.host.as_deref().unwrap_or(""), "\0", path]);
        let make = || {
            let target = normalise(path);
            let host = target.host.or_else(|| call.host.as_deref().map(str::to_owned));
            PathSeen {
                host: host.and_then(|host| legible_host(&host)),
                parts: target.segments.into_iter().map(part).collect(),
                operation: operation.as_ref().into(),
                calls: 0,
            }
        };
        self.paths.get(&self.key, make).calls += 1;
    }
}

/// A segment as it may stand in a template: what would mean something else there, or nothing, is taken for an id.
fn part(segment: String) -> Part {
    let is_literal = !segment
        .contains(|c: char| c.is_control() || c.is_whitespace() || matches!(c, '{' | '}' | '*'));
    // Taking escapes off once more may give another path.
    let is_stable = normalise(&format!("/{segment}")).segments == [segment.as_str()];
    let is_word = is_literal && is_stable && (!is_id(&segment) || is_numbered(&segment));
    is_word.then(|| segment.into_boxed_str())
}

/// Whether it is a word with a digit or two behind: a name such as `oauth2`, or somebody's `user81`. What stands with it
/// tells.
pub(super) fn is_numbered(segment: &str) -> bool {
    let letters = segment.trim_end_matches(|c: char| c.is_ascii_digit());
    (1..=2).contains(&(segment.len() - letters.len()))
        && letters.len() >= 3
        && letters.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// All that was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// Call fields, by format.
    pub presence: BTreeMap<String, Presence>,
    /// The first and the last call.
    pub span: Span,
    /// Calls that were denied or failed.
    pub unserved: u64,
    /// By digest.
    pub(super) credentials: BTreeMap<[u8; 32], CredentialSeen>,
    /// Calls of the credentials that came too late.
    pub(super) other_credentials: u64,
    pub(super) root: Place,
    places: usize,
    /// Served calls to paths that are too long or came too late.
    pub(super) other_places: u64,
    pub(super) hosts: Hosts,
    pub(super) named: BTreeMap<String, NamedSeen>,
    /// Served calls to named apis that came too late, or whose name no table can hold.
    pub(super) other_named: u64,
}

impl Seen {
    /// All calls.
    pub fn calls(&self) -> u64 {
        self.presence.values().map(|presence| presence.calls).sum()
    }

    /// Calls that presented nothing.
    pub fn anonymous(&self) -> u64 {
        self.presence.values().map(|presence| presence.calls - presence.credential).sum()
    }

    /// Takes in the next piece of a log of that format.
    pub fn take(&mut self, batch: Batch, format: &str) {
        if batch.presence.calls > 0 {
            self.presence.entry(format.to_owned()).or_default().merge(batch.presence);
        }
        self.span.merge(batch.span);
        self.unserved += batch.unserved;
        for (digest, seen) in batch.credentials.values {
            self.credential(digest, seen);
        }
        for (api, operation, calls) in batch.named.values {
            self.name(api, &[(operation, calls)]);
        }
        for path in batch.paths.values {
            let bit = self.hosts.bit(path.host.as_deref(), path.calls);
            self.path(&path.parts, bit, &path.operation, path.calls);
        }
    }

    /// Takes in what was seen in the logs behind those so far.
    pub fn merge(&mut self, other: Seen) {
        for (format, presence) in other.presence {
            self.presence.entry(format).or_default().merge(presence);
        }
        self.span.merge(other.span);
        self.unserved += other.unserved;
        self.other_credentials += other.other_credentials;
        self.other_places += other.other_places;
        self.other_named += other.other_named;
        for (digest, seen) in other.credentials {
            self.credential(digest, seen);
        }
        for (api, seen) in other.named {
            self.name(api, &seen.operations.into_iter().collect::<Vec<_>>());
        }
        let bits: Vec<u64> = other
            .hosts
            .seen
            .iter()
            .map(|(name, calls)| self.hosts.bit(Some(name), *calls))
            .collect();
        let mut mine = std::mem::take(&mut self.root);
        self.graft(&mut mine, other.root, &bits);
        self.root = mine;
    }

    fn credential(&mut self, digest: [u8; 32], seen: CredentialSeen) {
        if let Some(known) = self.credentials.get_mut(&digest) {
            known.merge(seen);
        } else if self.credentials.len() < limits::DRAFT_CREDENTIALS_MAX {
            self.credentials.insert(digest, seen);
        } else {
            self.other_credentials += seen.calls;
        }
    }

    fn name(&mut self, api: String, operations: &[(Box<str>, u64)]) {
        let calls: u64 = operations.iter().map(|(_, calls)| calls).sum();
        let is_cell = api.trim() == api
            && !api.is_empty()
            && api != "*"
            && api.len() <= limits::NAME_BYTES_MAX
            && !api.contains(char::is_control);
        let is_new = !self.named.contains_key(&api);
        if !is_cell || (is_new && self.named.len() >= limits::DRAFT_APIS_MAX) {
            self.other_named += calls;
            return;
        }
        let seen = self.named.entry(api).or_default();
        seen.calls += calls;
        for (operation, calls) in operations {
            if let Some(known) = seen.operations.get_mut(operation) {
                *known += calls;
            } else if seen.operations.len() < limits::OPERATIONS_LISTED_MAX {
                seen.operations.insert(operation.clone(), *calls);
            }
        }
    }

    fn path(&mut self, parts: &[Part], host: u64, operation: &str, calls: u64) {
        if parts.len() > limits::DRAFT_SEGMENTS_MAX {
            self.other_places += calls;
            return;
        }
        let mut root = std::mem::take(&mut self.root);
        let mut place = Some(&mut root);
        for part in parts {
            place = place.and_then(|place| self.step(place, part.as_deref()));
        }
        match place {
            Some(place) => {
                place.end.calls += calls;
                place.end.hosts |= host;
                place.end.add_operation(operation, calls);
            }
            None => self.other_places += calls,
        }
        self.root = root;
    }

    /// The place behind a segment; none if there are too many.
    fn step<'p>(&mut self, place: &'p mut Place, part: Option<&str>) -> Option<&'p mut Place> {
        let word = part.filter(|word| {
            place.words.contains_key(*word) || place.words.len() < limits::DRAFT_WORDS_MAX
        });
        place.overflowed |= part.is_some() && word.is_none();
        let is_new = match word {
            Some(word) => !place.words.contains_key(word),
            None => place.id.is_none(),
        };
        if is_new {
            if self.places >= limits::DRAFT_PLACES_MAX {
                return None;
            }
            self.places += 1;
        }
        Some(match word {
            Some(word) => place.words.entry(word.into()).or_default(),
            None => place.id.get_or_insert_default(),
        })
    }

    /// Puts what is behind one place behind another; `bits` are the numbers here of the other's hosts.
    fn graft(&mut self, mine: &mut Place, other: Place, bits: &[u64]) {
        mine.overflowed |= other.overflowed;
        let mut end = other.end;
        let shared = end.hosts & (Hosts::NONE | Hosts::OTHERS);
        let known = bits.iter().enumerate().filter(|(i, _)| end.hosts & (1 << i) != 0);
        end.hosts = known.fold(shared, |hosts, (_, bit)| hosts | bit);
        mine.end.merge(end);
        let words = other.words.into_iter().map(|(word, place)| (Some(word), place));
        for (part, place) in words.chain(other.id.map(|place| (None, *place))) {
            match self.step(mine, part.as_deref()) {
                Some(mine) => self.graft(mine, place, bits),
                None => self.other_places += place.calls(),
            }
        }
    }
}
