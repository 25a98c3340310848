//! One call, drawn from its number.

use super::rng::{Kind, Rng};
use super::world::{
    CONSENTS_PER_WITHDRAWAL, Grant, Operation, PROPAGATION_S, Route, START_S, World,
    credential_text,
};
use crate::time::S_PER_DAY;

/// Calls an hour against those of other hours: the day of people who sleep at night.
const HOURS: [u32; 24] = [
    40, 26, 18, 14, 14, 20, 38, 70, 100, 120, 128, 130, 124, 130, 138, 140, 134, 126, 122, 124,
    120, 104, 84, 60,
];

/// The hours of a day and how many calls they take together.
const DAY: u32 = {
    let mut sum = 0;
    let mut hour = 0;
    while hour < 24 {
        sum += HOURS[hour];
        hour += 1;
    }
    sum
};

const US_PER_S: i64 = 1_000_000;

/// What is not in order about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Violation {
    AfterRevocation,
    NeverGranted,
    OutOfScope,
    AfterExpiry,
    UnknownCredential,
    StaleCredential,
    DormantApi,
    WithoutConsent,
    Uncertified,
    PurposeEnded,
    BeforeGrant,
    Propagating,
}

/// Violations with their shares of a hundred, and how many of a hundred such calls are refused.
const VIOLATIONS: [(Violation, u64, u64); 12] = [
    (Violation::AfterRevocation, 32, 15),
    (Violation::NeverGranted, 14, 70),
    (Violation::OutOfScope, 14, 60),
    (Violation::AfterExpiry, 10, 15),
    (Violation::UnknownCredential, 8, 85),
    (Violation::StaleCredential, 7, 30),
    (Violation::DormantApi, 5, 40),
    (Violation::WithoutConsent, 3, 20),
    (Violation::Uncertified, 3, 5),
    (Violation::PurposeEnded, 2, 5),
    (Violation::BeforeGrant, 1, 70),
    (Violation::Propagating, 1, 0),
];

/// How many of a hundred calls in order are refused all the same.
const REFUSED_IN_ORDER: u64 = 1;

/// Different credentials that the register does not know.
const UNKNOWN_CREDENTIALS: u64 = 200;

/// Of so many partners one calls what it has no grant on, and of so many grants one is taken for more than it covers.
const STRAY_PARTNERS: u32 = 8;

/// Apis that such a partner calls.
const STRAY_APIS: u64 = 2;

/// How often something is drawn that may not fit, before another thing is.
const TRIES: usize = 16;

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call<'w> {
    pub(super) at_us: i64,
    pub(super) request_id: u64,
    pub(super) credential: [u8; 24],
    /// Its address: one of the networks for documentation, and the last byte.
    pub(super) network: &'static str,
    pub(super) machine: u8,
    pub(super) method: &'static str,
    pub(super) route: &'w Route,
    /// What stands for the route's placeholder.
    pub(super) id: u64,
    /// The number of items asked for, where the call reads.
    pub(super) limit: Option<u32>,
    pub(super) status: u16,
    pub(super) bytes: u32,
    pub(super) latency_us: u32,
    pub(super) user_agent: &'static str,
}

/// Who calls what.
struct Aim {
    partner: u32,
    credential: [u8; 24],
    api: u32,
    operation: Operation,
    /// The person's consent must be: there, or withdrawn.
    withdrawn: bool,
}

const NETWORKS: [&str; 3] = ["192.0.2.", "198.51.100.", "203.0.113."];

const USER_AGENTS: [&str; 12] = [
    "sync/4.2 (Linux; x86_64) okhttp/3.11",
    "PartnerSync/7.5 (iPhone; iOS 12.1)",
    "python-requests/2.20.1",
    "Go-http-client/2.0",
    "Apache-HttpClient/4.5.6 (Java/1.8.0_191)",
    "importer/1.9 (Windows NT 10.0; x64) libcurl/7.62.0",
    "Mozilla/5.0 (compatible; PageImport/2.1)",
    "okhttp/3.12.0",
    "Dalvik/2.1.0 (Linux; U; Android 9; Pixel 3)",
    "axios/0.18.0",
    "Faraday v0.15.4 (ruby 2.5.3)",
    "GuzzleHttp/6.3.3 curl/7.58.0 PHP/7.2.10",
];

impl World {
    /// The call of that number, from 0; later ones have later times, or the same.
    pub(super) fn call(&self, index: u64) -> Call<'_> {
        let mut rng = Rng::of(self.params.seed, Kind::Call, index);
        let at_us = self.at_us(index, rng.unit());
        let at_s = at_us.div_euclid(US_PER_S);
        let violates = rng.below(1_000_000) < u64::from(self.params.violations_ppm);
        let (aim, refused, unknown) = if violates {
            let (violation, aim, refused) = self.violation(at_s, &mut rng);
            (aim, refused, violation == Violation::UnknownCredential)
        } else {
            (self.in_order_aim(at_s, &mut rng), REFUSED_IN_ORDER, false)
        };
        let routes = &self.apis[aim.api as usize].routes;
        let mut route = &routes[rng.low(routes.len() as u64) as usize];
        if aim.withdrawn {
            // The first one of each api is about a person.
            route = &routes[0];
        }
        let id = match route.of_person {
            true => self.person_id(self.person(aim.withdrawn, &mut rng)),
            false => 100_000 + rng.below(900_000),
        };
        let (method, status_done) = match aim.operation {
            Operation::Read => ("GET", 200),
            Operation::Write if rng.percent(70) => ("POST", 201),
            Operation::Write => ("PUT", 200),
            Operation::Delete => ("DELETE", 204),
        };
        let status = match rng.below(100) {
            chance if chance < refused && unknown => 401,
            chance if chance < refused => 403,
            _ => match rng.below(1000) {
                0..25 => 404,
                25..31 => 429,
                31..36 => 500,
                36..38 => 503,
                _ => status_done,
            },
        };
        let bytes = match status {
            204 => 0,
            200 | 201 => 180 + rng.low(40_000) as u32,
            _ => 90 + rng.below(60) as u32,
        };
        let limit = (aim.operation == Operation::Read).then(|| [20, 50, 100][rng.low(3) as usize]);
        let mut of_partner = Rng::of(self.params.seed, Kind::Partner, u64::from(aim.partner));
        let network = NETWORKS[of_partner.below(3) as usize];
        let user_agent = USER_AGENTS[of_partner.below(USER_AGENTS.len() as u64) as usize];
        let first = of_partner.below(240) as u8;
        Call {
            at_us,
            request_id: rng.bits(),
            credential: aim.credential,
            network,
            machine: 1 + first + rng.below(14) as u8,
            method,
            route,
            id,
            limit,
            status,
            bytes,
            latency_us: 900 + rng.low(400_000) as u32,
            user_agent,
        }
    }

    /// When the call of that number is, `jitter` being its place between its neighbours: calls come in their order, and
    /// none has to be sorted.
    fn at_us(&self, index: u64, jitter: f64) -> i64 {
        let day = f64::from(DAY);
        // Calls as weights: how many of the days' weights lie before it.
        let whole = f64::from(self.params.days) * day;
        let place = ((index as f64 + jitter) / self.params.calls as f64 * whole).min(whole);
        let days = ((place / day) as i64).min(i64::from(self.params.days) - 1);
        let mut left = place - days as f64 * day;
        let mut hour = 0;
        while hour < 23 && left >= f64::from(HOURS[hour]) {
            left -= f64::from(HOURS[hour]);
            hour += 1;
        }
        let hour_us = 3600 * US_PER_S;
        let within = (left / f64::from(HOURS[hour]) * hour_us as f64) as i64;
        (START_S + days * S_PER_DAY + hour as i64 * 3600) * US_PER_S + within.clamp(0, hour_us - 1)
    }

    fn in_order_aim(&self, at_s: i64, rng: &mut Rng) -> Aim {
        let grant = self.in_order_grant(at_s, rng);
        let partner = grant.partner;
        let credential = self.credential_of(partner, at_s, rng);
        let operation = covered(grant, rng);
        Aim { partner, credential, api: grant.api, operation, withdrawn: false }
    }

    /// A grant that is in order, of some partner.
    fn in_order_grant(&self, at_s: i64, rng: &mut Rng) -> &Grant {
        let partner = self.partner(rng, self.callers());
        self.in_order_grant_of(partner, at_s, rng)
    }

    fn in_order_grant_of(&self, partner: u32, at_s: i64, rng: &mut Rng) -> &Grant {
        let first = self.grants_of[partner as usize];
        let count = self.grants_of[partner as usize + 1] - first;
        let drawn = &self.grants[(first + rng.low(u64::from(count)) as u32) as usize];
        if self.in_order(drawn, at_s) { drawn } else { &self.grants[first as usize] }
    }

    /// A credential of the partner that is valid.
    fn credential_of(&self, partner: u32, at_s: i64, rng: &mut Rng) -> [u8; 24] {
        let first = self.credentials_of[partner as usize];
        let count = self.credentials_of[partner as usize + 1] - first;
        let drawn = &self.credentials[(first + rng.low(u64::from(count)) as u32) as usize];
        let valid =
            if at_s < drawn.valid_until { drawn } else { &self.credentials[first as usize] };
        valid.text
    }

    /// A call that is not in order. What the register has no case of at that time makes way for the next that it has.
    fn violation(&self, at_s: i64, rng: &mut Rng) -> (Violation, Aim, u64) {
        let mut drawn = rng.below(VIOLATIONS.iter().map(|(_, share, _)| share).sum());
        let first = VIOLATIONS.iter().position(|(_, share, _)| {
            let found = drawn < *share;
            drawn = drawn.saturating_sub(*share);
            found
        });
        let from_first = VIOLATIONS.iter().cycle().skip(first.unwrap_or(0));
        let possible = from_first.take(VIOLATIONS.len()).find_map(|&(violation, _, refused)| {
            Some((violation, self.violating_aim(violation, at_s, rng)?, refused))
        });
        possible.unwrap_or_else(|| (Violation::UnknownCredential, self.unknown(at_s, rng), 85))
    }

    fn violating_aim(&self, violation: Violation, at_s: i64, rng: &mut Rng) -> Option<Aim> {
        let begun =
            |list: &super::world::ByInstant, rng: &mut Rng| list.pick(i64::MIN, at_s + 1, rng);
        let id = match violation {
            Violation::NeverGranted => return self.never_granted(at_s, rng),
            Violation::OutOfScope => return self.out_of_scope(at_s, rng),
            Violation::UnknownCredential => return Some(self.unknown(at_s, rng)),
            Violation::StaleCredential => {
                let id = begun(&self.stale, rng)?;
                let grant = self.in_order_grant_of(self.holder(id), at_s, rng);
                let credential = self.credentials[id as usize].text;
                let operation = covered(grant, rng);
                let (partner, api) = (grant.partner, grant.api);
                return Some(Aim { partner, credential, api, operation, withdrawn: false });
            }
            Violation::DormantApi => return self.dormant(at_s, rng),
            Violation::WithoutConsent => {
                let any = self.params.consents >= CONSENTS_PER_WITHDRAWAL;
                return any.then(|| Aim { withdrawn: true, ..self.in_order_aim(at_s, rng) });
            }
            Violation::AfterRevocation => begun(&self.revoked, rng)?,
            Violation::AfterExpiry => begun(&self.expired, rng)?,
            Violation::Uncertified => begun(&self.uncertified, rng)?,
            Violation::PurposeEnded => begun(&self.purpose_ended, rng)?,
            Violation::BeforeGrant => self.beginning.pick(at_s + 1, i64::MAX, rng)?,
            Violation::Propagating => {
                self.propagating.pick(at_s + 1 - PROPAGATION_S, at_s + 1, rng)?
            }
        };
        let grant = &self.grants[id as usize];
        let partner = grant.partner;
        let credential = self.credential_of(partner, at_s, rng);
        let operation = covered(grant, rng);
        Some(Aim { partner, credential, api: grant.api, operation, withdrawn: false })
    }

    fn unknown(&self, at_s: i64, rng: &mut Rng) -> Aim {
        let index = u64::from(self.params.credentials) + rng.low(UNKNOWN_CREDENTIALS);
        let text = credential_text(&mut Rng::of(self.params.seed, Kind::Credential, index), index);
        Aim { credential: text, ..self.in_order_aim(at_s, rng) }
    }

    /// A partner that goes where it has no business: those that do are few.
    fn stray(&self, rng: &mut Rng) -> u32 {
        let partner = self.partner(rng, self.params.partners);
        partner - partner % STRAY_PARTNERS
    }

    /// An api that the partner never had a grant on, and that is in use.
    fn never_granted(&self, at_s: i64, rng: &mut Rng) -> Option<Aim> {
        (0..TRIES).find_map(|_| {
            let partner = self.stray(rng);
            let grants = self.grants_of[partner as usize + 1] - self.grants_of[partner as usize];
            let others = self.params.apis.checked_sub(grants).filter(|others| *others > 0)?;
            let strays = u64::from(others).min(STRAY_APIS);
            let api = self.nth_api(partner, grants + rng.below(strays) as u32);
            if self.apis[api as usize].dormant_since <= at_s {
                return None;
            }
            let credential = self.credential_of(partner, at_s, rng);
            let operation = if rng.percent(80) { Operation::Read } else { Operation::Write };
            Some(Aim { partner, credential, api, operation, withdrawn: false })
        })
    }

    /// What a grant does not cover that is in order.
    fn out_of_scope(&self, at_s: i64, rng: &mut Rng) -> Option<Aim> {
        (0..TRIES).find_map(|_| {
            let grant = self.in_order_grant(at_s, rng);
            if !(grant.partner + grant.api).is_multiple_of(STRAY_PARTNERS) {
                return None;
            }
            let wanted = [Operation::Write, Operation::Delete];
            let operation = wanted.into_iter().find(|wanted| !grant.operations.has(*wanted))?;
            let partner = grant.partner;
            let credential = self.credential_of(partner, at_s, rng);
            Some(Aim { partner, credential, api: grant.api, operation, withdrawn: false })
        })
    }

    fn dormant(&self, at_s: i64, rng: &mut Rng) -> Option<Aim> {
        let dormant = u64::from(self.params.apis - self.dormant_from);
        if dormant == 0 {
            return None;
        }
        let partner = self.stray(rng);
        let nth = u64::from(partner) + rng.below(STRAY_APIS);
        let api = self.dormant_from + (nth % dormant) as u32;
        if self.apis[api as usize].dormant_since > at_s {
            return None;
        }
        let credential = self.credential_of(partner, at_s, rng);
        Some(Aim { partner, credential, api, operation: Operation::Read, withdrawn: false })
    }

    /// The rank of a person: a few are called about much more often than the others.
    fn person(&self, withdrawn: bool, rng: &mut Rng) -> u64 {
        let people = self.params.people;
        if withdrawn {
            let index = rng.below(self.params.consents / CONSENTS_PER_WITHDRAWAL);
            return (index * CONSENTS_PER_WITHDRAWAL + CONSENTS_PER_WITHDRAWAL - 1) % people;
        }
        let unit = rng.unit();
        let mut rank = ((people as f64 * (unit * unit * unit)) as u64).min(people - 1);
        // At most half of them have withdrawn.
        while self.has_withdrawn(rank) {
            rank = (rank + 1) % people;
        }
        rank
    }
}

/// An operation that the grant covers.
fn covered(grant: &Grant, rng: &mut Rng) -> Operation {
    let wanted = match rng.below(100) {
        0..72 => Operation::Read,
        72..94 => Operation::Write,
        _ => Operation::Delete,
    };
    if grant.operations.has(wanted) { wanted } else { Operation::Read }
}
