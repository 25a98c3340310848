//! A day's tally as it is stored: under names, not under the numbers of one register, so that it outlives each.
//!
//! Every list is sorted, so that the same counts are the same bytes, whatever thread counted them. What is counted of people,
//! hashes of their ids, is sealed under the privacy key.

use std::collections::{BTreeMap, BTreeSet};

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use super::codec::{self, Bytes, Kind};
use super::seal::PrivacyKey;
use crate::call::{Outcome, Reason};
use crate::error::{Error, Result};
use crate::judge::{Also, Judge, OperationId, TimelineId, Verdict};
use crate::limits;
use crate::network::Network;
use crate::register::{ApiId, CredentialId, GrantId, PartnerId, Register, Shown};
use crate::tally::{
    Bounded, Cell, CellKey, Cells, CredentialNetworks, Evidence, FirstNetworks, Group, GroupLatest,
    HourCounts, HourKey, HourUse, InputSums, Latencies, LatencyCounts, Latest, Logged, NamedCells,
    Names, NetworkUse, NetworkUses, OperationName, Operations, People, Place, Proof, Reject,
    Rejects, SourceSums, Span, SubjectHashes, Subjects, Tally,
};
use crate::time::Instant;

/// A log that calls of the day came from.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SegmentInput {
    /// Its path when it was last read.
    pub path: String,
    /// Its source.
    pub source: String,
    /// Its number in the ledger, the same whatever it is called.
    pub id: u64,
    /// The run that last read it.
    pub run: u64,
    /// The format it was read in.
    pub format: Option<String>,
    /// `gzip`, `zstd` or none.
    pub compression: Option<String>,
    /// Decompressed bytes read, filed under this day.
    pub bytes: u64,
}

/// The tally of a day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    partners: Vec<String>,
    credentials: Vec<StoredCredential>,
    apis: Vec<String>,
    grants: Vec<String>,
    operations: Vec<String>,
    sources: Vec<String>,
    inputs: Vec<SegmentInput>,
    cells: Vec<StoredCell>,
    named: StoredBounded<StoredNames, StoredNamed>,
    unknown: StoredBounded<[u8; 32], StoredGroup>,
    stale: Vec<(u32, StoredGroup)>,
    partner_latencies: Vec<(u32, StoredLatencies)>,
    api_latencies: Vec<(u32, StoredLatencies)>,
    series: Vec<(i64, Option<u32>, [u64; 4])>,
    hourly: Vec<StoredHourUse>,
    networks: Vec<StoredNetworks>,
    /// The days with calls from an address: this one, or none.
    network_days: Vec<i64>,
    source_sums: Vec<(u32, StoredSource)>,
    input_sums: Vec<(u32, StoredInput)>,
    reject_counts: [u64; 6],
    rejects: Vec<StoredReject>,
    /// All sets of subjects, in the order in which what has them is stored; sealed.
    sealed: Bytes,
    /// The same of a segment that was just made, before it is sealed.
    #[serde(skip)]
    open: Option<Vec<StoredSubjects>>,
}

/// What was judged of some calls of a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JudgedSums<'s> {
    /// The partner.
    pub partner: &'s str,
    /// The api, if the register listed it.
    pub api: Option<&'s str>,
    /// The operation.
    pub operation: OperationName<'s>,
    /// The first of them.
    pub first: Instant,
    /// The last of them.
    pub last: Instant,
    /// How many.
    pub calls: u64,
    /// The credentials that they presented: see [`Segment::credential`].
    pub credentials: &'s [u32],
}

/// What the seal of subjects is about.
const SUBJECTS: &[u8] = b"subjects of a day";

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct StoredCredential {
    digest: [u8; 32],
    shown: String,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct StoredKey {
    partner: Option<u32>,
    api: Option<u32>,
    operation: Option<u32>,
    verdict: Option<u8>,
    axis: Option<u8>,
    hindsight: bool,
    stale: bool,
    grant: Option<u32>,
    /// The first instant of the step.
    step_from_ns: Option<i64>,
    lapsed: bool,
    outcome: u8,
    logged: [bool; 3],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredLatest {
    at_ns: i64,
    since_ns: Option<i64>,
    axis_since_ns: Option<i64>,
    lapsed_at_ns: Option<i64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredProof {
    at_ns: i64,
    source: u32,
    input: u32,
    offset: u64,
    length: u64,
    blake3: [u8; 32],
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredEvidence {
    earliest: Vec<StoredProof>,
    latest: Vec<StoredProof>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredCell {
    key: StoredKey,
    calls: u64,
    bytes: u64,
    without_subject: u64,
    first_ns: i64,
    overstay_s_max: u64,
    latest: StoredLatest,
    credentials: Vec<u32>,
    evidence: StoredEvidence,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredBounded<K, V> {
    kept: Vec<(K, V)>,
    ceiling: Option<K>,
    other: Option<V>,
}

impl<K, V> Default for StoredBounded<K, V> {
    fn default() -> StoredBounded<K, V> {
        StoredBounded { kept: Vec::new(), ceiling: None, other: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct StoredNames {
    credential: Option<[u8; 32]>,
    api: Option<String>,
    operation: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredShown {
    masked: String,
    is_hash: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredNamed {
    shown: Option<StoredShown>,
    cells: Vec<StoredCell>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredGroup {
    shown: Option<StoredShown>,
    calls: [u64; 4],
    bytes_served: u64,
    hindsight: u64,
    span: StoredSpan,
    latest: Option<(StoredLatest, Option<u32>)>,
    latest_served: Option<(StoredLatest, Option<u32>)>,
    operations: Vec<String>,
    evidence: StoredEvidence,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredSpan {
    first_ns: Option<i64>,
    last_ns: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredLatencies {
    counts: Vec<(u64, u64)>,
    max_us: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredSource {
    calls: u64,
    anonymous: u64,
    tells_who: bool,
    hours: Vec<i64>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct StoredInput {
    blank: u64,
    calls: u64,
    rejected: u64,
    rejected_counted: u64,
    outside_window: u64,
    duplicates: u64,
    repeats_unchecked: u64,
    gap_bytes: u64,
    span: StoredSpan,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredReject {
    input: u32,
    offset: u64,
    line: u64,
    reason: u8,
    shape: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredHourUse {
    partner: u32,
    api: u32,
    hour: i64,
    calls: u32,
    denied: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredNetworks {
    credential: u32,
    /// The last call that presented it, and whose it was then.
    last_ns: i64,
    partner: u32,
    without_address: u64,
    firsts: FirstNetworks,
    /// By network; under none, calls that are not known apart.
    uses: Vec<(Option<Network>, StoredNetworkUse)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct StoredNetworkUse {
    calls: [u64; 4],
    bytes_served: u64,
    first_ns: i64,
    /// Whose the credential was at the first call.
    partner: u32,
    last_ns: i64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum StoredSubjects {
    Exact(Vec<u64>),
    Sketch(Bytes),
    /// The people of all hours, in their order.
    Hours(Bytes),
}

fn ns(instant: Option<Instant>) -> Option<i64> {
    instant.map(Instant::ns)
}

fn instant(ns: Option<i64>) -> Option<Instant> {
    ns.map(Instant::from_ns)
}

/// From numbers of a register to those of the names that a segment has, in the order of the names.
struct Renumbered(BTreeMap<u32, u32>);

impl Renumbered {
    /// Of ids in the order of what they name.
    fn new(used: BTreeSet<u32>) -> Renumbered {
        Renumbered(used.into_iter().zip(0..).collect())
    }

    fn of(&self, id: u32) -> u32 {
        self.0.get(&id).copied().unwrap_or(u32::MAX)
    }
}

/// Stores a tally: what is asked for on the way.
struct Storing<'j> {
    judge: &'j Judge<'j>,
    partners: Renumbered,
    credentials: Renumbered,
    apis: Renumbered,
    grants: Renumbered,
    operations: Renumbered,
    sources: Renumbered,
    inputs: Renumbered,
    subjects: Vec<StoredSubjects>,
}

/// All numbers that a tally mentions.
#[derive(Default)]
struct Mentions {
    partners: BTreeSet<u32>,
    credentials: BTreeSet<u32>,
    apis: BTreeSet<u32>,
    grants: BTreeSet<u32>,
    operations: BTreeSet<u32>,
    sources: BTreeSet<u32>,
    inputs: BTreeSet<u32>,
}

impl Mentions {
    fn evidence(&mut self, evidence: &Evidence) {
        for proof in evidence.proofs() {
            self.sources.insert(proof.place.source);
            self.inputs.insert(proof.place.input);
        }
    }

    // Sets do not depend on the order.
    #[allow(clippy::iter_over_hash_type)]
    fn cells(&mut self, cells: &Cells) {
        for (key, cell) in &cells.0 {
            self.partners.extend(key.partner.map(|id| id.0));
            self.apis.extend(key.api.map(|id| id.0));
            self.operations.extend(key.operation.map(|id| id.0));
            self.grants.extend(key.grant.map(|id| id.0));
            self.credentials.extend(cell.credentials.iter().map(|id| id.0));
            self.evidence(&cell.evidence);
        }
    }

    fn group(&mut self, group: &Group) {
        let latest = [&group.latest, &group.latest_served].into_iter().flatten();
        self.partners.extend(latest.filter_map(|latest| latest.partner).map(|id| id.0));
        self.evidence(&group.evidence);
    }
}

impl Segment {
    /// Stores a tally of one day. `input` and `sources` give those that it refers to by number.
    // What hash maps give is sorted at once.
    #[allow(clippy::iter_over_hash_type)]
    pub fn store(
        judge: &Judge<'_>,
        tally: &mut Tally,
        sources: &[String],
        input: impl Fn(usize) -> SegmentInput,
    ) -> Segment {
        let series = tally.series.clone().finish();
        let Tally { cells, named, unknown, stale, partners, apis, .. } = tally;
        let (named, unknown) = (named.parts(), unknown.parts());

        let mut mentions = Mentions::default();
        mentions.cells(cells);
        let of_names = named.kept.iter().map(|(_, named)| *named).chain(named.other);
        of_names.for_each(|named| mentions.cells(&named.cells));
        let groups = unknown.kept.iter().map(|(_, group)| *group).chain(unknown.other);
        groups.chain(stale.values()).for_each(|group| mentions.group(group));
        mentions.credentials.extend(stale.keys().map(|id| id.0));
        mentions.partners.extend(partners.keys().map(|id| id.0));
        mentions.apis.extend(apis.keys().map(|id| id.0));
        mentions.partners.extend(series.hours.iter().filter_map(|((_, id), _)| Some((*id)?.0)));
        let networks = tally.networks.sorted();
        for (credential, known) in &networks {
            mentions.credentials.insert(credential.0);
            mentions.partners.insert(known.latest.1.0);
            let each = known.uses.each().into_iter();
            mentions.partners.extend(each.map(|(_, one)| one.first.1.0));
        }
        for key in tally.hourly.keys() {
            mentions.partners.insert(key.partner.0);
            mentions.apis.insert(key.api.0);
        }
        mentions.sources.extend(tally.sources.keys());
        mentions.inputs.extend(tally.inputs.keys());
        mentions.inputs.extend(tally.rejects.kept().map(|reject| reject.input));

        let register = judge.register;
        let names = |ids: &BTreeSet<u32>, name: &dyn Fn(usize) -> String| -> Vec<String> {
            ids.iter().map(|&id| name(id as usize)).collect()
        };
        let mut segment = Segment {
            partners: names(&mentions.partners, &|id| register.partners[id].id.clone()),
            apis: names(&mentions.apis, &|id| register.apis[id].id.clone()),
            grants: names(&mentions.grants, &|id| register.grants[id].id.clone()),
            operations: names(&mentions.operations, &|id| judge.operations[id].clone()),
            sources: names(&mentions.sources, &|id| sources[id].clone()),
            inputs: mentions.inputs.iter().map(|&id| input(id as usize)).collect(),
            credentials: mentions
                .credentials
                .iter()
                .map(|&id| &register.credentials[id as usize])
                .map(|one| StoredCredential { digest: one.digest, shown: one.shown.clone() })
                .collect(),
            ..Segment::default()
        };
        let mut storing = Storing {
            judge,
            partners: Renumbered::new(mentions.partners),
            credentials: Renumbered::new(mentions.credentials),
            apis: Renumbered::new(mentions.apis),
            grants: Renumbered::new(mentions.grants),
            operations: Renumbered::new(mentions.operations),
            sources: Renumbered::new(mentions.sources),
            inputs: Renumbered::new(mentions.inputs),
            subjects: Vec::new(),
        };

        segment.cells = storing.cells(cells);
        segment.named = StoredBounded {
            kept: named
                .kept
                .into_iter()
                .map(|(names, named)| (stored_names(names), storing.named(named)))
                .collect(),
            ceiling: named.ceiling.map(stored_names),
            other: named.other.map(|named| storing.named(named)),
        };
        segment.unknown = StoredBounded {
            kept: unknown
                .kept
                .into_iter()
                .map(|(digest, group)| (*digest, storing.group(group)))
                .collect(),
            ceiling: unknown.ceiling.copied(),
            other: unknown.other.map(|group| storing.group(group)),
        };
        let mut stale: Vec<(&CredentialId, &Group)> = stale.iter().collect();
        stale.sort_unstable_by_key(|(id, _)| **id);
        segment.stale = stale
            .into_iter()
            .map(|(id, group)| (storing.credentials.of(id.0), storing.group(group)))
            .collect();
        let mut latencies: Vec<(u32, StoredLatencies)> = partners
            .iter()
            .map(|(id, latencies)| (storing.partners.of(id.0), stored_latencies(latencies)))
            .collect();
        latencies.sort_unstable_by_key(|(id, _)| *id);
        segment.partner_latencies = latencies;
        segment.api_latencies = apis
            .iter()
            .map(|(id, latencies)| (storing.apis.of(id.0), stored_latencies(latencies)))
            .collect();
        segment.api_latencies.sort_unstable_by_key(|(id, _)| *id);
        segment.series = series
            .hours
            .iter()
            .map(|((hour, partner), counts)| {
                let HourCounts { served, denied, failed, overstayed } = *counts;
                let partner = partner.map(|id| storing.partners.of(id.0));
                (*hour, partner, [served, denied, failed, overstayed])
            })
            .collect();
        let mut people = Vec::new();
        segment.hourly = tally
            .hourly
            .sorted()
            .into_iter()
            .map(|(key, hour_use)| {
                let &HourKey { hour, partner, api } = key;
                hour_use.people.to_bytes(&mut people);
                let (partner, api) = (storing.partners.of(partner.0), storing.apis.of(api.0));
                let &HourUse { calls, denied, .. } = hour_use;
                StoredHourUse { partner, api, hour, calls, denied }
            })
            .collect();
        storing.subjects.push(StoredSubjects::Hours(Bytes(people)));
        segment.networks = networks
            .into_iter()
            .map(|(credential, known)| {
                let (last, partner) = known.latest;
                let uses = known.uses.each().into_iter().map(|(network, one)| {
                    let NetworkUse { calls, bytes_served, first: (first, partner), last } = one;
                    let partner = storing.partners.of(partner.0);
                    let (first_ns, last_ns) = (first.ns(), last.ns());
                    let stored =
                        StoredNetworkUse { calls, bytes_served, first_ns, partner, last_ns };
                    (network, stored)
                });
                StoredNetworks {
                    credential: storing.credentials.of(credential.0),
                    last_ns: last.ns(),
                    partner: storing.partners.of(partner.0),
                    without_address: known.without_address,
                    firsts: known.firsts.clone(),
                    uses: uses.collect(),
                }
            })
            .collect();
        segment.network_days = tally.networks.days().iter().copied().collect();
        segment.source_sums = tally
            .sources
            .iter()
            .map(|(id, sums)| {
                let &SourceSums { calls, anonymous, tells_who, ref hours } = sums;
                let hours = hours.iter().copied().collect();
                (storing.sources.of(*id), StoredSource { calls, anonymous, tells_who, hours })
            })
            .collect();
        segment.source_sums.sort_unstable_by_key(|(id, _)| *id);
        segment.input_sums = tally
            .inputs
            .iter()
            .map(|(id, sums)| (storing.inputs.of(*id), StoredInput::from(sums)))
            .collect();
        segment.input_sums.sort_unstable_by_key(|(id, _)| *id);
        segment.reject_counts = tally.rejects.counts;
        let mut rejects: Vec<&Reject> = tally.rejects.kept().collect();
        rejects.sort_unstable();
        segment.rejects = rejects
            .into_iter()
            .map(|reject| StoredReject {
                input: storing.inputs.of(reject.input),
                offset: reject.offset,
                line: reject.line,
                reason: reject.reason as u8,
                shape: reject.shape.clone(),
            })
            .collect();
        segment.open = Some(storing.subjects);
        segment
    }

    /// The file that holds it, sealed.
    ///
    /// # Errors
    ///
    /// If it can't be encoded, or is longer than the cipher allows.
    pub fn encode(mut self, key: &PrivacyKey) -> Result<Vec<u8>> {
        if let Some(subjects) = self.open.take() {
            self.sealed = Bytes(key.seal(SUBJECTS, &codec::pack(&subjects)?)?);
        }
        codec::encode(Kind::Segment, &self)
    }

    /// Reads what [`Segment::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// If it is no segment, of another version, not all there, or damaged.
    pub fn decode(shown: &str, file: &[u8]) -> Result<Segment> {
        codec::decode(shown, Kind::Segment, file)
    }

    /// The logs that its calls came from.
    pub fn inputs(&self) -> &[SegmentInput] {
        &self.inputs
    }

    /// The sources of these.
    pub fn sources(&self) -> &[String] {
        &self.sources
    }

    /// All its calls.
    pub fn calls(&self) -> u64 {
        self.input_sums.iter().map(|(_, sums)| sums.calls).sum()
    }

    /// What was judged of calls whose partner the register knew.
    pub fn judged(&self) -> impl Iterator<Item = JudgedSums<'_>> {
        let named =
            self.named.kept.iter().map(|(names, named)| (names.operation.as_deref(), named));
        let named = named.chain(self.named.other.iter().map(|named| (None, named)));
        let named =
            named.flat_map(|(name, named)| named.cells.iter().map(move |cell| (name, cell)));
        let cells = self.cells.iter().map(|cell| (None, cell)).chain(named);
        cells.filter_map(|(logged, cell)| {
            let of = |id: Option<u32>, names: &'_ [String]| -> Option<usize> {
                id.map(|id| id as usize).filter(|id| *id < names.len())
            };
            Some(JudgedSums {
                partner: &self.partners[of(cell.key.partner, &self.partners)?],
                api: of(cell.key.api, &self.apis).map(|id| self.apis[id].as_str()),
                operation: OperationName::new(
                    of(cell.key.operation, &self.operations).map(|id| self.operations[id].as_str()),
                    logged,
                    cell.key.logged[2],
                ),
                first: Instant::from_ns(cell.first_ns),
                last: Instant::from_ns(cell.latest.at_ns),
                calls: cell.calls,
                credentials: &cell.credentials,
            })
        })
    }

    /// The digest of a credential, by the number that it has in [`JudgedSums::credentials`].
    pub fn credential(&self, number: u32) -> Option<&[u8; 32]> {
        self.credentials.get(number as usize).map(|credential| &credential.digest)
    }

    /// The apis that calls were made to.
    pub fn apis(&self) -> impl Iterator<Item = &str> {
        self.apis.iter().map(String::as_str)
    }

    /// The digests of the credentials that the register knew.
    pub fn credentials(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.credentials.iter().map(|credential| &credential.digest)
    }

    /// The digests of those that it did not.
    pub fn unknown(&self) -> impl Iterator<Item = &[u8; 32]> {
        self.unknown.kept.iter().map(|(digest, _)| digest)
    }

    /// The apis that it did not list.
    pub fn unlisted(&self) -> impl Iterator<Item = &str> {
        self.named.kept.iter().filter_map(|(names, _)| names.api.as_deref())
    }

    /// The tally in numbers of a judge whose register names all that it names. `tables` gives the numbers of its sources and
    /// inputs. `shown` is its file's name.
    ///
    /// # Errors
    ///
    /// If the key is another than it was sealed with, or what it holds does not fit together.
    pub fn tally(
        &self,
        judge: &Judge<'_>,
        tables: &Tables,
        key: &PrivacyKey,
        shown: &str,
    ) -> Result<Tally> {
        let subjects: Option<Vec<StoredSubjects>> = match &self.open {
            Some(subjects) => Some(subjects.clone()),
            None => {
                let opened = key.open(SUBJECTS, &self.sealed.0).ok_or_else(|| {
                    Error::new(format!("{shown}: the privacy key does not open it")).hint(
                        "restore the key that the state was written with: key_file under [privacy]",
                    )
                })?;
                codec::unpack(&opened)
            }
        };
        let loaded = subjects.and_then(|subjects| {
            let mut loading = Loading::new(self, judge, tables, subjects)?;
            let tally = loading.tally(self)?;
            loading.subjects.next().is_none().then_some(tally)
        });
        loaded.ok_or_else(|| {
            Error::new(format!("{shown}: what it holds does not fit together"))
                .hint("this is a fault of overstay itself, please report it; `overstay nightly --rebuild` reads all logs again")
        })
    }
}

/// The ids of a day's records, ascending: what later ones may repeat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records(pub Vec<[u8; 16]>);

/// What the seal of records is about.
const RECORDS: &[u8] = b"records of a day";

impl Records {
    /// The file that holds them.
    ///
    /// # Errors
    ///
    /// As [`Segment::encode`].
    pub fn encode(&self, key: &PrivacyKey) -> Result<Vec<u8>> {
        codec::encode(Kind::Repeats, &Bytes(key.seal(RECORDS, &codec::pack(&self.0)?)?))
    }

    /// Reads what [`Records::encode`] wrote; `shown` is the file's name.
    ///
    /// # Errors
    ///
    /// As [`Segment::decode`], and if the key is another.
    pub fn decode(shown: &str, file: &[u8], key: &PrivacyKey) -> Result<Records> {
        let Bytes(sealed) = codec::decode(shown, Kind::Repeats, file)?;
        let opened = key.open(RECORDS, &sealed).and_then(|opened| codec::unpack(&opened));
        opened.map(Records).ok_or_else(|| {
            Error::new(format!("{shown}: the privacy key does not open it"))
                .hint("restore the key that the state was written with: key_file under [privacy]")
        })
    }
}

fn stored_names(names: &Names) -> StoredNames {
    let owned = |name: &Option<Box<str>>| name.as_deref().map(str::to_owned);
    StoredNames {
        credential: names.credential,
        api: owned(&names.api),
        operation: owned(&names.operation),
    }
}

fn stored_latencies(latencies: &Latencies) -> StoredLatencies {
    let LatencyCounts { counts, max_us } = LatencyCounts::from(latencies);
    StoredLatencies { counts, max_us }
}

fn stored_shown(shown: &Option<Shown>) -> Option<StoredShown> {
    shown
        .as_ref()
        .map(|shown| StoredShown { masked: shown.masked().to_owned(), is_hash: shown.is_hash() })
}

impl From<Span> for StoredSpan {
    fn from(span: Span) -> StoredSpan {
        StoredSpan { first_ns: ns(span.first), last_ns: ns(span.last) }
    }
}

impl From<StoredSpan> for Span {
    fn from(span: StoredSpan) -> Span {
        Span { first: instant(span.first_ns), last: instant(span.last_ns) }
    }
}

impl From<&InputSums> for StoredInput {
    fn from(sums: &InputSums) -> StoredInput {
        StoredInput {
            blank: sums.blank,
            calls: sums.calls,
            rejected: sums.rejected,
            rejected_counted: sums.rejected_counted,
            outside_window: sums.outside_window,
            duplicates: sums.duplicates,
            repeats_unchecked: sums.repeats_unchecked,
            gap_bytes: sums.gap_bytes,
            span: sums.span.into(),
        }
    }
}

impl From<Latest> for StoredLatest {
    fn from(latest: Latest) -> StoredLatest {
        StoredLatest {
            at_ns: latest.at.ns(),
            since_ns: ns(latest.since),
            axis_since_ns: ns(latest.axis_since),
            lapsed_at_ns: ns(latest.lapsed_at),
        }
    }
}

impl From<StoredLatest> for Latest {
    fn from(latest: StoredLatest) -> Latest {
        Latest {
            at: Instant::from_ns(latest.at_ns),
            since: instant(latest.since_ns),
            axis_since: instant(latest.axis_since_ns),
            lapsed_at: instant(latest.lapsed_at_ns),
        }
    }
}

impl Storing<'_> {
    fn key(&self, key: &CellKey) -> StoredKey {
        let step = |(timeline, step): (TimelineId, u32)| {
            self.judge.timelines[timeline].steps[step as usize].from.ns()
        };
        StoredKey {
            partner: key.partner.map(|id| self.partners.of(id.0)),
            api: key.api.map(|id| self.apis.of(id.0)),
            operation: key.operation.map(|id| self.operations.of(id.0)),
            verdict: key.verdict.map(|verdict| verdict as u8),
            axis: key.also.axis.map(|verdict| verdict as u8),
            hindsight: key.also.hindsight,
            stale: key.also.stale,
            grant: key.grant.map(|id| self.grants.of(id.0)),
            step_from_ns: key.step.map(step),
            lapsed: key.lapsed,
            outcome: key.outcome as u8,
            logged: [key.logged.credential, key.logged.api, key.logged.operation],
        }
    }

    fn evidence(&self, evidence: &Evidence) -> StoredEvidence {
        let stored = |proof: Proof| StoredProof {
            at_ns: proof.at.ns(),
            source: self.sources.of(proof.place.source),
            input: self.inputs.of(proof.place.input),
            offset: proof.place.offset,
            length: proof.length,
            blake3: proof.blake3,
        };
        let (earliest, latest) = evidence.ends();
        StoredEvidence {
            earliest: earliest.into_iter().map(stored).collect(),
            latest: latest.into_iter().map(stored).collect(),
        }
    }

    fn subjects(&mut self, subjects: &Subjects) {
        self.subjects.push(match SubjectHashes::from(subjects) {
            SubjectHashes::Exact(hashes) => StoredSubjects::Exact(hashes),
            SubjectHashes::Sketch(registers) => StoredSubjects::Sketch(Bytes(registers)),
        });
    }

    fn cells(&mut self, cells: &Cells) -> Vec<StoredCell> {
        let mut sorted: Vec<(StoredKey, &Cell)> =
            cells.0.iter().map(|(key, cell)| (self.key(key), cell)).collect();
        sorted.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let stored = sorted.into_iter().map(|(key, cell)| {
            self.subjects(&cell.subjects);
            StoredCell {
                key,
                calls: cell.calls,
                bytes: cell.bytes,
                without_subject: cell.without_subject,
                first_ns: cell.first.ns(),
                overstay_s_max: cell.overstay_s_max,
                latest: cell.latest.into(),
                credentials: cell.credentials.iter().map(|id| self.credentials.of(id.0)).collect(),
                evidence: self.evidence(&cell.evidence),
            }
        });
        stored.collect()
    }

    fn named(&mut self, named: &NamedCells) -> StoredNamed {
        StoredNamed { shown: stored_shown(&named.shown), cells: self.cells(&named.cells) }
    }

    fn group(&mut self, group: &Group) -> StoredGroup {
        self.subjects(&group.subjects);
        let latest = |latest: Option<GroupLatest>| {
            let GroupLatest { facts, partner } = latest?;
            Some((facts.into(), partner.map(|id| self.partners.of(id.0))))
        };
        StoredGroup {
            latest: latest(group.latest),
            latest_served: latest(group.latest_served),
            evidence: self.evidence(&group.evidence),
            shown: stored_shown(&group.shown),
            calls: group.calls,
            bytes_served: group.bytes_served,
            hindsight: group.hindsight,
            span: group.span.into(),
            operations: group.operations.names().into_iter().collect(),
        }
    }
}

/// The sources and logs of several segments, numbered as reports number them.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// By name.
    pub sources: Vec<String>,
    /// By path, then source, then number.
    pub inputs: Vec<SegmentInput>,
}

impl Tables {
    /// Of these segments, and of sources that need not be in any. Of a log that was read under several names the last counts.
    pub fn new<'s>(
        segments: impl IntoIterator<Item = &'s Segment>,
        sources: impl IntoIterator<Item = String>,
    ) -> Tables {
        let mut names: BTreeSet<String> = sources.into_iter().collect();
        let mut inputs: BTreeMap<u64, SegmentInput> = BTreeMap::new();
        for segment in segments {
            names.extend(segment.sources.iter().cloned());
            names.extend(segment.inputs.iter().map(|input| input.source.clone()));
            for input in &segment.inputs {
                let known = inputs.entry(input.id).or_insert_with(|| SegmentInput {
                    bytes: 0,
                    run: 0,
                    ..input.clone()
                });
                let bytes = known.bytes + input.bytes;
                if input.run >= known.run {
                    known.clone_from(input);
                }
                known.bytes = bytes;
            }
        }
        let mut inputs: Vec<SegmentInput> = inputs.into_values().collect();
        inputs.sort_unstable();
        Tables { sources: names.into_iter().collect(), inputs }
    }
}

/// Loads a tally: the numbers of its names, and what is left of its subjects.
struct Loading<'j> {
    judge: &'j Judge<'j>,
    partners: Vec<PartnerId>,
    credentials: Vec<CredentialId>,
    apis: Vec<ApiId>,
    grants: Vec<GrantId>,
    operations: Vec<OperationId>,
    sources: Vec<u32>,
    inputs: Vec<u32>,
    subjects: std::vec::IntoIter<StoredSubjects>,
}

/// The number of a name in a sorted list.
fn number<T, K: Ord + ?Sized>(list: &[T], key: &K, of: impl Fn(&T) -> &K) -> Option<u32> {
    let found = list.binary_search_by(|item| of(item).cmp(key)).ok()?;
    u32::try_from(found).ok()
}

impl<'j> Loading<'j> {
    fn new(
        segment: &Segment,
        judge: &'j Judge<'j>,
        tables: &Tables,
        subjects: Vec<StoredSubjects>,
    ) -> Option<Loading<'j>> {
        let register: &Register = judge.register;
        let ids: HashMap<u64, u32> =
            tables.inputs.iter().zip(0..).map(|(input, number)| (input.id, number)).collect();
        let of_name = |names: &[String], find: &dyn Fn(&str) -> Option<u32>| -> Option<Vec<u32>> {
            names.iter().map(|name| find(name)).collect()
        };
        let partners =
            of_name(&segment.partners, &|name| register.partner_id(name).map(|id| id.0))?;
        let apis =
            of_name(&segment.apis, &|name| number(&register.apis, name, |api| api.id.as_str()))?;
        let grants = of_name(&segment.grants, &|name| {
            number(&register.grants, name, |grant| grant.id.as_str())
        })?;
        let operations =
            of_name(&segment.operations, &|name| number(&judge.operations, name, String::as_str))?;
        let sources =
            of_name(&segment.sources, &|name| number(&tables.sources, name, String::as_str))?;
        Some(Loading {
            judge,
            partners: partners.into_iter().map(PartnerId).collect(),
            credentials: segment
                .credentials
                .iter()
                .map(|credential| register.credential_id(&credential.digest))
                .collect::<Option<_>>()?,
            apis: apis.into_iter().map(ApiId).collect(),
            grants: grants.into_iter().map(GrantId).collect(),
            operations: operations.into_iter().map(OperationId).collect(),
            sources,
            inputs: segment
                .inputs
                .iter()
                .map(|input| ids.get(&input.id).copied())
                .collect::<Option<_>>()?,
            subjects: subjects.into_iter(),
        })
    }

    fn tally(&mut self, segment: &Segment) -> Option<Tally> {
        let mut tally = Tally { cells: self.cells(&segment.cells)?, ..Tally::default() };
        let named = &segment.named;
        let kept = named
            .kept
            .iter()
            .map(|(names, named)| Some((loaded_names(names), self.named(named)?)))
            .collect::<Option<_>>()?;
        let other = match &named.other {
            Some(named) => Some(self.named(named)?),
            None => None,
        };
        let ceiling = named.ceiling.as_ref().map(loaded_names);
        tally.named = Bounded::of_parts(limits::LOGGED_NAMES_MAX, kept, ceiling, other);
        let unknown = &segment.unknown;
        let kept = unknown
            .kept
            .iter()
            .map(|(digest, group)| Some((*digest, self.group(group)?)))
            .collect::<Option<_>>()?;
        let other = match &unknown.other {
            Some(group) => Some(self.group(group)?),
            None => None,
        };
        tally.unknown =
            Bounded::of_parts(limits::UNKNOWN_CREDENTIALS_MAX, kept, unknown.ceiling, other);
        for (id, group) in &segment.stale {
            let credential = *self.credentials.get(*id as usize)?;
            tally.stale.insert(credential, self.group(group)?);
        }
        for (id, latencies) in &segment.partner_latencies {
            tally.partners.insert(*self.partners.get(*id as usize)?, loaded_latencies(latencies));
        }
        for (id, latencies) in &segment.api_latencies {
            tally.apis.insert(*self.apis.get(*id as usize)?, loaded_latencies(latencies));
        }
        for (hour, partner, [served, denied, failed, overstayed]) in &segment.series {
            let counts = HourCounts {
                served: *served,
                denied: *denied,
                failed: *failed,
                overstayed: *overstayed,
            };
            tally.series.add_counts(*hour, self.partner(*partner)?, &counts);
        }
        let Some(StoredSubjects::Hours(Bytes(people))) = self.subjects.next() else { return None };
        let mut rest = &people[..];
        for stored in &segment.hourly {
            let &StoredHourUse { partner, api, hour, calls, denied } = stored;
            let partner = *self.partners.get(partner as usize)?;
            let api = *self.apis.get(api as usize)?;
            let (people, behind) = People::from_bytes(rest)?;
            rest = behind;
            let key = HourKey { hour, partner, api };
            tally.hourly.add_use(key, HourUse { calls, denied, people });
        }
        if !rest.is_empty() {
            return None;
        }
        for stored in &segment.networks {
            let credential = *self.credentials.get(stored.credential as usize)?;
            let partner = *self.partners.get(stored.partner as usize)?;
            let uses = stored.uses.iter().map(|(network, one)| {
                let partner = *self.partners.get(one.partner as usize)?;
                let loaded = NetworkUse {
                    calls: one.calls,
                    bytes_served: one.bytes_served,
                    first: (Instant::from_ns(one.first_ns), partner),
                    last: Instant::from_ns(one.last_ns),
                };
                Some((*network, loaded))
            });
            let uses = uses.collect::<Option<Vec<_>>>()?;
            let known = CredentialNetworks {
                latest: (Instant::from_ns(stored.last_ns), partner),
                without_address: stored.without_address,
                firsts: stored.firsts.clone(),
                uses: NetworkUses::of_each(uses),
            };
            tally.networks.add_credential(credential, known);
        }
        segment.network_days.iter().for_each(|day| tally.networks.add_day(*day));
        for (id, sums) in &segment.source_sums {
            let sums = SourceSums {
                calls: sums.calls,
                anonymous: sums.anonymous,
                tells_who: sums.tells_who,
                hours: sums.hours.iter().copied().collect(),
            };
            tally.sources.insert(*self.sources.get(*id as usize)?, sums);
        }
        for (id, sums) in &segment.input_sums {
            let sums = InputSums {
                blank: sums.blank,
                calls: sums.calls,
                rejected: sums.rejected,
                rejected_counted: sums.rejected_counted,
                outside_window: sums.outside_window,
                duplicates: sums.duplicates,
                repeats_unchecked: sums.repeats_unchecked,
                gap_bytes: sums.gap_bytes,
                span: sums.span.into(),
            };
            tally.inputs.insert(*self.inputs.get(*id as usize)?, sums);
        }
        let rejects = segment.rejects.iter().map(|reject| {
            Some(Reject {
                input: *self.inputs.get(reject.input as usize)?,
                offset: reject.offset,
                line: reject.line,
                piece: 0,
                reason: *Reason::ALL.get(usize::from(reject.reason))?,
                shape: reject.shape.clone(),
            })
        });
        let rejects: Vec<Reject> = rejects.collect::<Option<_>>()?;
        tally.rejects = Rejects::of_parts(segment.reject_counts, rejects);
        Some(tally)
    }

    /// None inside for none, none for one that is not there.
    fn partner(&self, partner: Option<u32>) -> Option<Option<PartnerId>> {
        of_option(partner, &self.partners)
    }

    fn key(&self, key: &StoredKey, latest: Instant) -> Option<CellKey> {
        let verdict = |verdict: Option<u8>| match verdict {
            None => Some(None),
            Some(verdict) => Verdict::ALL.get(usize::from(verdict)).copied().map(Some),
        };
        let (partner, api) = (self.partner(key.partner)?, of_option(key.api, &self.apis)?);
        let operation = of_option(key.operation, &self.operations)?;
        let step = match (key.step_from_ns, partner, api) {
            (Some(from_ns), Some(partner), Some(api)) => {
                let name = operation.map_or("", |id| self.judge.operations[id.0 as usize].as_str());
                let timeline = self.judge.timelines.find(partner, api, name);
                let compiled = &self.judge.timelines[timeline];
                // Of a register that has changed: the step that the last of the calls lies in now.
                let from = Instant::from_ns(from_ns);
                let same = compiled.steps.iter().position(|step| step.from == from);
                let step = same.unwrap_or_else(|| compiled.step_at(latest));
                Some((timeline, step as u32))
            }
            _ => None,
        };
        let [credential, api_logged, operation_logged] = key.logged;
        Some(CellKey {
            partner,
            api,
            operation,
            verdict: verdict(key.verdict)?,
            also: Also { axis: verdict(key.axis)?, hindsight: key.hindsight, stale: key.stale },
            grant: of_option(key.grant, &self.grants)?,
            step,
            lapsed: key.lapsed,
            outcome: *Outcome::ALL.get(usize::from(key.outcome))?,
            logged: Logged { credential, api: api_logged, operation: operation_logged },
        })
    }

    fn evidence(&self, evidence: &StoredEvidence) -> Option<Evidence> {
        let loaded = |proof: &StoredProof| {
            let place = Place {
                source: *self.sources.get(proof.source as usize)?,
                input: *self.inputs.get(proof.input as usize)?,
                offset: proof.offset,
            };
            let at = Instant::from_ns(proof.at_ns);
            Some(Proof { at, place, length: proof.length, blake3: proof.blake3 })
        };
        let all = |proofs: &[StoredProof]| proofs.iter().map(loaded).collect::<Option<Vec<_>>>();
        Some(Evidence::of_ends(all(&evidence.earliest)?, all(&evidence.latest)?))
    }

    fn subjects(&mut self) -> Option<Subjects> {
        let hashes = match self.subjects.next()? {
            StoredSubjects::Exact(hashes) => SubjectHashes::Exact(hashes),
            StoredSubjects::Sketch(Bytes(registers)) => SubjectHashes::Sketch(registers),
            StoredSubjects::Hours(_) => return None,
        };
        hashes.into_subjects()
    }

    fn cells(&mut self, stored: &[StoredCell]) -> Option<Cells> {
        let mut cells = Cells::default();
        for stored in stored {
            let latest = Latest::from(stored.latest);
            let credentials = stored.credentials.iter();
            let mut credentials: Vec<CredentialId> = credentials
                .map(|id| self.credentials.get(*id as usize).copied())
                .collect::<Option<_>>()?;
            credentials.sort_unstable();
            let cell = Cell {
                calls: stored.calls,
                bytes: stored.bytes,
                subjects: self.subjects()?,
                without_subject: stored.without_subject,
                first: Instant::from_ns(stored.first_ns),
                overstay_s_max: stored.overstay_s_max,
                latest,
                credentials,
                evidence: self.evidence(&stored.evidence)?,
            };
            cells.add(self.key(&stored.key, latest.at)?, cell);
        }
        Some(cells)
    }

    fn named(&mut self, named: &StoredNamed) -> Option<NamedCells> {
        Some(NamedCells { shown: loaded_shown(&named.shown), cells: self.cells(&named.cells)? })
    }

    fn group(&mut self, group: &StoredGroup) -> Option<Group> {
        let latest = |latest: &Option<(StoredLatest, Option<u32>)>| match latest {
            None => Some(None),
            Some((facts, partner)) => {
                let facts = Latest::from(*facts);
                Some(Some(GroupLatest { facts, partner: self.partner(*partner)? }))
            }
        };
        Some(Group {
            latest: latest(&group.latest)?,
            latest_served: latest(&group.latest_served)?,
            evidence: self.evidence(&group.evidence)?,
            shown: loaded_shown(&group.shown),
            calls: group.calls,
            bytes_served: group.bytes_served,
            hindsight: group.hindsight,
            subjects: self.subjects()?,
            span: group.span.into(),
            operations: Operations::of_names(group.operations.iter().cloned()),
        })
    }
}

fn of_option<Id: Copy>(number: Option<u32>, ids: &[Id]) -> Option<Option<Id>> {
    match number {
        None => Some(None),
        Some(number) => ids.get(number as usize).copied().map(Some),
    }
}

fn loaded_names(names: &StoredNames) -> Names {
    let boxed = |name: &Option<String>| name.as_deref().map(Box::from);
    Names {
        credential: names.credential,
        api: boxed(&names.api),
        operation: boxed(&names.operation),
    }
}

fn loaded_latencies(latencies: &StoredLatencies) -> Latencies {
    let StoredLatencies { counts, max_us } = latencies.clone();
    Latencies::from(&LatencyCounts { counts, max_us })
}

fn loaded_shown(shown: &Option<StoredShown>) -> Option<Shown> {
    shown.as_ref().map(|shown| Shown::again(shown.masked.clone(), shown.is_hash))
}
