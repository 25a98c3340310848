//! The register as it was drawn, and the indexes by which calls find what they need of it.
//!
//! Instants are whole seconds, so that a log without fractions is judged as one with them.

use super::rng::{Kind, Rng};
use super::{CONSENTS_PER_PERSON_MAX, Params};
use crate::time::{S_PER_DAY, days_from_civil};

/// The first instant of the log, in seconds.
pub(super) const START_S: i64 = days_from_civil(2018, 12, 18) * S_PER_DAY;
/// An end that never comes.
pub(super) const NEVER: i64 = i64::MAX;
/// How long the caches of some apis go on serving, in seconds.
pub(super) const PROPAGATION_S: i64 = 900;
/// Of so many consents in turn the last is a withdrawal.
pub(super) const CONSENTS_PER_WITHDRAWAL: u64 = 20;

const _: () = assert!(CONSENTS_PER_PERSON_MAX * 2 <= CONSENTS_PER_WITHDRAWAL);

/// One of the three operations that methods yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read = 1,
    Write = 2,
    Delete = 4,
}

/// What a grant is good for: a set of operations. All of them are written `*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Operations(u8);

impl Operations {
    const READ: Operations = Operations(1);
    const READ_WRITE: Operations = Operations(3);
    const ALL: Operations = Operations(7);

    pub(super) fn has(self, operation: Operation) -> bool {
        self.0 & operation as u8 != 0
    }

    /// As the register writes it.
    pub(super) fn text(self) -> &'static str {
        match self {
            Operations::READ => "read",
            Operations::READ_WRITE => "read|write",
            _ => "*",
        }
    }
}

/// A set of routes.
#[derive(Clone, Debug)]
pub(super) struct Api {
    pub(super) name: String,
    pub(super) data_class: &'static str,
    pub(super) dormant_since: i64,
    pub(super) propagation_s: i64,
    /// The first is about a person.
    pub(super) routes: Vec<Route>,
}

/// A path with one id in it.
#[derive(Clone, Debug)]
pub(super) struct Route {
    pub(super) before: String,
    /// `{user}` or `{item}`.
    pub(super) of_person: bool,
    pub(super) after: String,
}

/// Who may use what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grant {
    pub(super) partner: u32,
    pub(super) api: u32,
    pub(super) operations: Operations,
    pub(super) purpose: u32,
    pub(super) granted_at: i64,
    pub(super) expires_at: i64,
    pub(super) revoked_at: i64,
    pub(super) certified_until: i64,
}

/// What is presented. Its holder is told by [`World::credentials_of`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Credential {
    pub(super) text: [u8; 24],
    /// `None`: from the beginning.
    pub(super) valid_from: Option<i64>,
    pub(super) valid_until: i64,
}

/// Things by an instant at which something begins to hold of them, sorted.
#[derive(Debug, Default)]
pub(super) struct ByInstant(Vec<(i64, u32)>);

impl ByInstant {
    /// Of those whose instant is in the half-open `from..until`, one.
    pub(super) fn pick(&self, from: i64, until: i64, rng: &mut Rng) -> Option<u32> {
        let first = self.0.partition_point(|(at, _)| *at < from);
        let end = self.0.partition_point(|(at, _)| *at < until);
        let count = end.checked_sub(first).filter(|count| *count > 0)?;
        Some(self.0[first + rng.low(count as u64) as usize].1)
    }
}

/// A register drawn, ready to draw calls from.
#[derive(Debug)]
pub struct World {
    pub(super) params: Params,
    pub(super) apis: Vec<Api>,
    /// Apis before this one never go dormant.
    pub(super) dormant_from: u32,
    /// When each purpose ends.
    pub(super) purposes: Vec<i64>,
    /// By partner.
    pub(super) grants: Vec<Grant>,
    /// Where each partner's grants begin, and the end. The first of them is always in order.
    pub(super) grants_of: Vec<u32>,
    /// By holder.
    pub(super) credentials: Vec<Credential>,
    /// Where each partner's credentials begin, and the end. The first of them is always valid.
    pub(super) credentials_of: Vec<u32>,
    /// The sum of the weights up to and with each partner.
    weights: Vec<u64>,
    pub(super) revoked: ByInstant,
    pub(super) propagating: ByInstant,
    pub(super) expired: ByInstant,
    pub(super) uncertified: ByInstant,
    pub(super) purpose_ended: ByInstant,
    pub(super) beginning: ByInstant,
    /// Credentials by the end of their propagation, with their holders.
    pub(super) stale: ByInstant,
}

/// What becomes of a grant.
enum Fate {
    Stands,
    Revoked,
    Expires,
    Lapses,
    EndsWithPurpose,
    Begins,
}

impl World {
    /// Draws a register.
    pub fn new(params: &Params) -> World {
        let params = *params;
        let apis = apis(&params);
        let purposes = purposes(&params);
        let weights: Vec<u64> = (1..=u64::from(params.partners))
            .scan(0, |sum, rank| {
                *sum += (1 << 32) / rank;
                Some(*sum)
            })
            .collect();
        let mut world = World {
            params,
            dormant_from: params.apis - dormant_count(params.apis),
            apis,
            purposes,
            grants: Vec::with_capacity(params.grants as usize),
            grants_of: Vec::with_capacity(params.partners as usize + 1),
            credentials: Vec::new(),
            credentials_of: Vec::new(),
            weights,
            revoked: ByInstant::default(),
            propagating: ByInstant::default(),
            expired: ByInstant::default(),
            uncertified: ByInstant::default(),
            purpose_ended: ByInstant::default(),
            beginning: ByInstant::default(),
            stale: ByInstant::default(),
        };
        world.draw_grants();
        world.draw_credentials();
        world.index();
        world
    }

    /// What it was drawn from.
    pub fn params(&self) -> &Params {
        &self.params
    }

    fn draw_grants(&mut self) {
        for (partner, count) in grant_counts(&self.params).into_iter().enumerate() {
            self.grants_of.push(self.grants.len() as u32);
            for nth in 0..count {
                let grant = self.draw_grant(partner as u32, nth);
                self.grants.push(grant);
            }
        }
        self.grants_of.push(self.grants.len() as u32);
    }

    fn draw_grant(&self, partner: u32, nth: u32) -> Grant {
        let days = i64::from(self.params.days);
        let mut rng = Rng::of(self.params.seed, Kind::Grant, self.grants.len() as u64);
        let api = self.nth_api(partner, nth);
        let operations = match rng.below(100) {
            0..55 => Operations::READ,
            55..85 => Operations::READ_WRITE,
            _ => Operations::ALL,
        };
        let lasting = self.lasting_purposes();
        let mut grant = Grant {
            partner,
            api,
            operations,
            purpose: rng.below(u64::from(lasting)) as u32,
            // At midnight, from four years to thirteen months before.
            granted_at: START_S - (400 + rng.below(1060) as i64) * S_PER_DAY,
            expires_at: NEVER,
            revoked_at: NEVER,
            certified_until: NEVER,
        };
        // Of the time before the log, and of the log's.
        let before = |rng: &mut Rng| START_S - 1 - rng.below(300 * S_PER_DAY as u64) as i64;
        let during = |rng: &mut Rng| START_S + rng.below((days * S_PER_DAY) as u64) as i64;
        let either = |rng: &mut Rng, percent_before| {
            if rng.percent(percent_before) { before(rng) } else { during(rng) }
        };
        // The first one of each partner has to stand: calls in order have somewhere to go at any time.
        let fate = match rng.below(1000) {
            _ if nth == 0 => Fate::Stands,
            0..120 => Fate::Revoked,
            120..230 => Fate::Expires,
            230..245 => Fate::Lapses,
            245..255 if lasting < self.purposes.len() as u32 => Fate::EndsWithPurpose,
            255..270 => Fate::Begins,
            _ => Fate::Stands,
        };
        match fate {
            Fate::Revoked => grant.revoked_at = either(&mut rng, 70),
            Fate::Expires => grant.expires_at = either(&mut rng, 70),
            Fate::Lapses => grant.certified_until = either(&mut rng, 50),
            Fate::EndsWithPurpose => {
                let ended = self.purposes.len() as u64 - u64::from(lasting);
                grant.purpose = lasting + rng.below(ended) as u32;
            }
            Fate::Begins => grant.granted_at = during(&mut rng),
            Fate::Stands => {
                let later =
                    |rng: &mut Rng| START_S + (days + 30 + rng.below(700) as i64) * S_PER_DAY;
                if rng.percent(33) {
                    grant.certified_until = later(&mut rng);
                }
                if rng.percent(20) {
                    grant.expires_at = later(&mut rng);
                }
            }
        }
        grant
    }

    fn draw_credentials(&mut self) {
        let Params { seed, partners, credentials, days, .. } = self.params;
        let mut count_of = vec![1; partners as usize];
        for index in partners..credentials {
            let holder = self.partner(&mut Rng::of(seed, Kind::Holder, u64::from(index)), partners);
            count_of[holder as usize] += 1;
        }
        self.credentials.reserve_exact(credentials as usize);
        for count in count_of {
            self.credentials_of.push(self.credentials.len() as u32);
            for nth in 0..count {
                let index = self.credentials.len() as u64;
                let mut rng = Rng::of(seed, Kind::Credential, index);
                let text = credential_text(&mut rng, index);
                let valid_from =
                    rng.percent(50).then(|| START_S - (400 + rng.below(1060) as i64) * S_PER_DAY);
                let valid_until = match rng.below(100) {
                    _ if nth == 0 => NEVER,
                    0..10 => START_S - 1 - rng.below(300 * S_PER_DAY as u64) as i64,
                    10..15 => START_S + rng.below(u64::from(days) * S_PER_DAY as u64) as i64,
                    _ => NEVER,
                };
                self.credentials.push(Credential { text, valid_from, valid_until });
            }
        }
        self.credentials_of.push(self.credentials.len() as u32);
    }

    /// By when what of them comes true.
    fn index(&mut self) {
        for (grant, id) in self.grants.iter().zip(0..) {
            let api = &self.apis[grant.api as usize];
            if api.dormant_since != NEVER {
                // That is said of it first.
                continue;
            }
            let at = |list: &mut ByInstant, at: i64| {
                if at != NEVER {
                    list.0.push((at, id));
                }
            };
            at(&mut self.revoked, grant.revoked_at.saturating_add(api.propagation_s));
            if api.propagation_s > 0 {
                at(&mut self.propagating, grant.revoked_at);
            }
            at(&mut self.expired, grant.expires_at);
            at(&mut self.uncertified, grant.certified_until);
            at(&mut self.purpose_ended, self.purposes[grant.purpose as usize]);
            if grant.granted_at > START_S {
                at(&mut self.beginning, grant.granted_at);
            }
        }
        for holder in 0..self.callers() {
            let ids =
                self.credentials_of[holder as usize]..self.credentials_of[holder as usize + 1];
            for id in ids {
                let until = self.credentials[id as usize].valid_until;
                if until != NEVER {
                    self.stale.0.push((until + PROPAGATION_S, id));
                }
            }
        }
        for list in [
            &mut self.revoked,
            &mut self.propagating,
            &mut self.expired,
            &mut self.uncertified,
            &mut self.purpose_ended,
            &mut self.beginning,
            &mut self.stale,
        ] {
            list.0.sort_unstable();
        }
    }

    /// How many partners have a grant: the first ones.
    pub(super) fn callers(&self) -> u32 {
        self.params.partners.min(self.params.grants)
    }

    /// One of the first `count` partners, by Zipf's law.
    pub(super) fn partner(&self, rng: &mut Rng, count: u32) -> u32 {
        let drawn = rng.below(self.weights[count as usize - 1]);
        self.weights.partition_point(|sum| *sum <= drawn) as u32
    }

    /// The holder of a credential.
    pub(super) fn holder(&self, credential: u32) -> u32 {
        self.credentials_of.partition_point(|first| *first <= credential) as u32 - 1
    }

    /// How many purposes do not end.
    fn lasting_purposes(&self) -> u32 {
        self.purposes.iter().filter(|ended_at| **ended_at == NEVER).count() as u32
    }

    /// The api that the partner's `nth` grant is on; with `nth` up to the number of apis, each comes once. The first
    /// never goes dormant.
    pub(super) fn nth_api(&self, partner: u32, nth: u32) -> u32 {
        let apis = u64::from(self.params.apis);
        let mut rng = Rng::of(self.params.seed, Kind::Spread, u64::from(partner));
        let first = rng.below(u64::from(self.dormant_from));
        let mut stride = 1 + rng.below(apis);
        while gcd(stride, apis) != 1 {
            stride += 1;
        }
        ((first + u64::from(nth) * stride) % apis) as u32
    }

    /// Whether nothing is held against calls under the grant at the second.
    pub(super) fn in_order(&self, grant: &Grant, at_s: i64) -> bool {
        grant.granted_at <= at_s
            && at_s < grant.expires_at
            && at_s < grant.revoked_at
            && at_s < grant.certified_until
            && at_s < self.purposes[grant.purpose as usize]
            && at_s < self.apis[grant.api as usize].dormant_since
    }

    /// The id of a person, those called about most being scattered among the others.
    pub(super) fn person_id(&self, rank: u64) -> u64 {
        // A prime greater than there may be people: each rank has an id of its own.
        10_000_000 + rank * 2_654_435_761 % self.params.people
    }

    /// Whether the person has withdrawn all consent, before the log begins.
    pub(super) fn has_withdrawn(&self, rank: u64) -> bool {
        // The person's words are those of this number and every `people` after it.
        (rank..self.params.consents)
            .step_by(self.params.people as usize)
            .any(|index| index % CONSENTS_PER_WITHDRAWAL == CONSENTS_PER_WITHDRAWAL - 1)
    }
}

/// A text of 24 characters that no other number has.
pub(super) fn credential_text(rng: &mut Rng, index: u64) -> [u8; 24] {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let mut text = *b"ck_aaaaaaaaaaaaaaaaaaaaa";
    let mut bits = rng.bits();
    for byte in &mut text[3..15] {
        *byte = DIGITS[(bits & 31) as usize];
        bits >>= 5;
    }
    // Times an odd number: others for each index, below 2^45 as the nine digits are.
    let mut rest = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in &mut text[15..] {
        *byte = DIGITS[(rest & 31) as usize];
        rest >>= 5;
    }
    text
}

/// What the apis give away. The names of apis, of the segments of their paths, and of their data classes.
const DATA: [(&str, &str); 20] = [
    ("messages", "private-messages"),
    ("photos", "photos"),
    ("contacts", "address-book"),
    ("calendar", "calendar"),
    ("places", "location"),
    ("friends", "social-graph"),
    ("events", "calendar"),
    ("posts", "posts"),
    ("likes", "interests"),
    ("groups", "social-graph"),
    ("profiles", "profile"),
    ("devices", "devices"),
    ("payments", "payments"),
    ("orders", "purchases"),
    ("activity", "health"),
    ("videos", "videos"),
    ("comments", "posts"),
    ("searches", "interests"),
    ("wishlists", "purchases"),
    ("audiences", "advertising"),
];

/// What the routes of an api beside the first two end with.
const PARTS: [&str; 8] =
    ["items", "changes", "threads", "labels", "members", "settings", "summary", "archive"];

fn dormant_count(apis: u32) -> u32 {
    if apis < 4 { 0 } else { (apis / 10).max(1) }
}

fn apis(params: &Params) -> Vec<Api> {
    let width = digits(params.apis - 1);
    let dormant_from = params.apis - dormant_count(params.apis);
    (0..params.apis)
        .map(|index| {
            let mut rng = Rng::of(params.seed, Kind::Api, u64::from(index));
            let (word, data_class) = DATA[index as usize % DATA.len()];
            let name = format!("{word}-{index:0width$}");
            let dormant_since = match index.checked_sub(dormant_from) {
                None => NEVER,
                // One of them goes dormant while the log goes on.
                Some(1) => START_S + rng.below(u64::from(params.days) * S_PER_DAY as u64) as i64,
                Some(_) => START_S - (1 + rng.below(600) as i64) * S_PER_DAY,
            };
            let propagation_s = if rng.percent(25) { PROPAGATION_S } else { 0 };
            let routes = (index..params.routes).step_by(params.apis as usize).zip(0..);
            let routes = routes.map(|(_, nth)| route(&name, nth)).collect();
            Api { name, data_class, dormant_since, propagation_s, routes }
        })
        .collect()
}

/// The `nth` route of an api.
fn route(api: &str, nth: usize) -> Route {
    let part = PARTS[nth % PARTS.len()];
    match nth {
        1 => Route { before: format!("/v2/{api}/items/"), of_person: false, after: String::new() },
        nth => {
            let turn = nth / PARTS.len();
            let after = if turn == 0 { format!("/{part}") } else { format!("/{part}-{turn}") };
            Route { before: format!("/v2/{api}/users/"), of_person: true, after }
        }
    }
}

fn purposes(params: &Params) -> Vec<i64> {
    let count = (params.grants / 20).clamp(1, 60);
    (0..count)
        .map(|index| {
            let mut rng = Rng::of(params.seed, Kind::Purpose, u64::from(index));
            match count - index {
                _ if count < 4 => NEVER,
                1 => START_S + rng.below(u64::from(params.days) * S_PER_DAY as u64) as i64,
                2 => START_S - (1 + rng.below(300) as i64) * S_PER_DAY,
                _ => NEVER,
            }
        })
        .collect()
}

/// How many grants each partner has: one, as long as there are any; then the more, the more it calls; none more than
/// there are apis.
fn grant_counts(params: &Params) -> Vec<u32> {
    let callers = params.partners.min(params.grants);
    let mut counts = vec![0; params.partners as usize];
    counts[..callers as usize].fill(1);
    let mut left = params.grants - callers;
    // A square root is exact in IEEE 754, as products and sums are: the same on any machine.
    let weight = |partner: usize| 1.0 / ((partner + 1) as f64).sqrt();
    let sum: f64 = (0..callers as usize).map(weight).sum();
    let each = f64::from(left) / sum;
    for (partner, count) in counts.iter_mut().enumerate().take(callers as usize) {
        let more = ((each * weight(partner)) as u32).min(params.apis - 1).min(left);
        *count += more;
        left -= more;
    }
    while left > 0 {
        for count in counts.iter_mut().filter(|count| **count < params.apis) {
            if left == 0 {
                break;
            }
            *count += 1;
            left -= 1;
        }
    }
    counts
}

/// How many decimal digits a number has.
pub(super) fn digits(number: u32) -> usize {
    number.checked_ilog10().unwrap_or(0) as usize + 1
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}
