//! Random cases whose instants come from a small grid, so that ties, boundaries and overlaps are the rule.
//!
//! Every register drawn passes `check`: what would not is dropped row by row, so a case shrinks well.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::strategy::Union;
use serde_json::{Value, json};

use overstay::time::Instant;

use super::judge::{Call, Outcome, credential_hex};
use super::lines::rfc3339;
use super::rows::{
    ApiRow, ConsentRow, CredentialRow, GrantRow, PartnerRow, PurposeRow, RouteRow, Row, Rows,
    counting,
};
use super::{Case, Expect, InputCase, LineCase};

const PARTNERS: [&str; 3] = ["ames", "bolt", "cove"];
/// `health` is open in its first version, `attic` may be recorded late.
const APIS: [&str; 4] = ["attic", "health", "messages", "photos"];
const PURPOSES: [&str; 2] = ["export", "login"];
const SUBJECTS: [&str; 3] = ["u1", "u2", "ü 3"];
/// The last four characters differ, so that masked they are still told apart.
const SECRETS: [&str; 4] = ["key-alpha-0001", "key-beta-0002", "key-gamma-0003", "xy"];

// Each of the three is a part of cases that is switched off by 0.0.

/// How often a case is one of days, not of hours: its calls are spread over about as many days as findings of unused
/// access need.
const OF_DAYS: f64 = 0.3;
/// How often some of a case's records and files are repeats, or nearly so.
const WITH_REPEATS: f64 = 0.4;
/// How often a judged case is told for one partner only.
const OF_ONE_PARTNER: f64 = 0.2;

/// The grid: `half_hours` after 2019-01-01, and some nanoseconds.
pub fn at(half_hours: i64, ns: i64) -> Instant {
    let start = rfc3339("2019-01-01T00:00:00Z").unwrap();
    Instant::from_ns(start.ns() + half_hours * HALF_HOUR_NS + ns)
}

const HALF_HOUR_NS: i64 = 1_800_000_000_000;
const DAY_NS: i64 = 48 * HALF_HOUR_NS;

/// An instant of a table: a whole hour, rarely "never" or long ago.
fn instant() -> impl Strategy<Value = Instant> {
    prop_oneof![
        20 => (0..6i64).prop_map(|hours| at(2 * hours, 0)),
        1 => Just(Instant::MAX),
        1 => Just(at(-50_000, 0)),
    ]
}

/// A cell that may be blank.
fn maybe<T: std::fmt::Debug>(
    probability: f64,
    of: impl Strategy<Value = T>,
) -> impl Strategy<Value = Option<T>> {
    option::weighted(probability, of)
}

/// The same for a part of a case that may be switched off: with 0 it is never drawn.
fn sometimes<T: std::fmt::Debug + Clone + 'static>(
    probability: f64,
    of: impl Strategy<Value = T> + 'static,
) -> BoxedStrategy<Option<T>> {
    if probability == 0.0 { Just(None).boxed() } else { maybe(probability, of).boxed() }
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(
    items: &'static [T],
) -> impl Strategy<Value = T> + use<T> {
    select(items)
}

fn text(items: &'static [&'static str]) -> impl Strategy<Value = String> {
    one_of(items).prop_map(str::to_owned)
}

/// When a row was recorded: mostly always known.
fn recorded() -> impl Strategy<Value = Option<Instant>> {
    maybe(0.35, (0..6i64).prop_map(|hours| at(2 * hours, 0)))
}

/// The same for a row that has a first version already.
fn recorded_later() -> impl Strategy<Value = Option<Instant>> {
    (0..6i64).prop_map(|hours| Some(at(2 * hours, 0)))
}

fn partner_rows() -> impl Strategy<Value = Vec<PartnerRow>> {
    let later = (text(&PARTNERS), recorded_later()).prop_map(|(partner, recorded_at)| PartnerRow {
        recorded_at,
        name: recorded_at.map(|at| format!("{partner}, as of {at}")),
        partner,
        contact: None,
    });
    vec(later, 0..3).prop_map(|later| {
        let first = PARTNERS.map(|partner| PartnerRow {
            partner: partner.to_owned(),
            name: (partner != "cove").then(|| format!("The {partner} company")),
            ..PartnerRow::default()
        });
        first.into_iter().chain(later).collect()
    })
}

fn api_row(
    api: impl Strategy<Value = String>,
    recorded: impl Strategy<Value = Option<Instant>>,
) -> impl Strategy<Value = ApiRow> {
    let propagation_s = one_of(&[0, 1800, 3600, 5400, 7200]);
    let flags = (prop::bool::weighted(0.06), prop::bool::weighted(0.3));
    (api, recorded, flags, maybe(0.2, instant()), maybe(0.6, propagation_s)).prop_map(
        |(api, recorded_at, (open, consent_required), dormant_since, propagation_s)| ApiRow {
            recorded_at,
            name: recorded_at.map(|at| format!("as of {at}")),
            data_class: consent_required.then(|| "personal".to_owned()),
            open: open || (api == "health" && recorded_at.is_none()),
            api,
            consent_required,
            dormant_since,
            propagation_s,
        },
    )
}

fn api_rows() -> impl Strategy<Value = Vec<ApiRow>> {
    let first: Vec<_> = APIS.iter().map(|&api| api_row(Just(api.to_owned()), Just(None))).collect();
    let later = vec(api_row(text(&APIS), recorded_later()), 0..4);
    let attic = maybe(0.15, (0..6i64).prop_map(|hours| at(2 * hours, 0)));
    (first, later, attic).prop_map(|(mut rows, later, attic_recorded_at)| {
        rows[0].recorded_at = attic_recorded_at;
        rows.extend(later);
        rows
    })
}

fn operations() -> impl Strategy<Value = Vec<String>> {
    let names = ["delete", "list", "read", "write"];
    let some = prop::sample::subsequence(names.to_vec(), 1..=3);
    prop_oneof![
        1 => Just(vec!["*".to_owned()]),
        2 => some.prop_map(|names| names.into_iter().map(str::to_owned).collect()),
    ]
}

fn grant_row() -> impl Strategy<Value = GrantRow> {
    // `messages` and `photos` carry most of the grants, and two partners.
    let apis = text(&["messages", "photos", "messages", "photos", "health", "attic"]);
    let partners = text(&["ames", "ames", "bolt", "bolt", "cove"]);
    let ids = text(&["g1", "g2", "g3", "g4", "g5", "g6", "g7", "g8"]);
    let who = (ids, partners, apis, operations());
    let when = (maybe(0.5, instant()), maybe(0.35, instant()), maybe(0.45, instant()));
    let what = (
        maybe(0.5, text(&PURPOSES)),
        maybe(0.25, instant()),
        prop::bool::weighted(0.2),
        maybe(0.3, Just("court order".to_owned())),
    );
    (who, when, what, recorded()).prop_map(
        |(
            (grant, partner, api, operations),
            (granted_at, expires_at, revoked_at),
            (purpose, certified_until, overrides_consent, justification),
            recorded_at,
        )| GrantRow {
            recorded_at,
            grant,
            partner,
            api,
            operations,
            granted_at,
            expires_at,
            revoked_at,
            purpose,
            certified_until,
            overrides_consent,
            justification,
        },
    )
}

fn credential_row() -> impl Strategy<Value = CredentialRow> {
    let when = (maybe(0.5, instant()), maybe(0.5, instant()));
    let partners = text(&["ames", "ames", "bolt", "bolt", "cove"]);
    (presented_known(), when, partners, maybe(0.2, instant())).prop_map(
        |(credential, (valid_from, valid_until), partner, recorded_at)| CredentialRow {
            recorded_at,
            credential,
            valid_from,
            partner,
            valid_until,
        },
    )
}

/// Most often the first key is `ames`'s all the time, and the second `bolt`'s.
fn credential_rows() -> impl Strategy<Value = Vec<CredentialRow>> {
    let usual = (prop::bool::weighted(0.85), prop::bool::weighted(0.5));
    (usual, vec(credential_row(), 2..9)).prop_map(|((alpha, beta), rows)| {
        let all_the_time = |credential: &str, partner: &str| CredentialRow {
            credential: credential.to_owned(),
            partner: partner.to_owned(),
            ..CredentialRow::default()
        };
        let alpha = alpha.then(|| all_the_time(SECRETS[0], "ames"));
        let beta = beta.then(|| all_the_time(SECRETS[1], "bolt"));
        alpha.into_iter().chain(beta).chain(rows).collect()
    })
}

/// One of the secrets, in plain or as its hash, in either case.
fn presented_known() -> impl Strategy<Value = String> {
    let hashed = |secret: &str| format!("sha256:{}", credential_hex(secret));
    let upper = |secret: &str| format!("sha256:{}", credential_hex(secret).to_uppercase());
    prop_oneof![
        6 => text(&SECRETS[..2]),
        3 => text(&SECRETS),
        1 => one_of(&SECRETS[..3]).prop_map(hashed),
        1 => one_of(&SECRETS[..3]).prop_map(upper),
    ]
}

/// Host, method, path, and the api it is most often for. No two can be told apart by nothing.
type RoutePool =
    (Option<&'static str>, Option<&'static str>, &'static [&'static str], &'static str);

/// The paths of one entry are spellings of one path.
const ROUTES: [RoutePool; 13] = [
    (None, None, &["/photos", "//photos/"], "photos"),
    (None, None, &["/photos/{user}", "/ph%6Ftos/./{user}"], "photos"),
    (None, Some("GET"), &["/photos/{id}"], "photos"),
    (None, None, &["/photos/{user}/list", "/photos/x/../{user}/list"], "photos"),
    (None, None, &["/photos/featured"], "photos"),
    (None, Some("get"), &["/messages/*"], "messages"),
    (None, None, &["/messages", "messages"], "messages"),
    (None, None, &["/messages/{user}"], "messages"),
    (Some("API.example"), None, &["/messages/{id}"], "messages"),
    (Some("api.example"), Some("POST"), &["/messages/{user}"], "messages"),
    (None, None, &["/health"], "health"),
    (None, None, &["/attic/{box}/*", "/attic//{box}/*/"], "attic"),
    (None, None, &["/*"], "attic"),
];

fn route_row() -> impl Strategy<Value = RouteRow> {
    let api = maybe(0.1, text(&APIS));
    let operation = maybe(0.2, text(&["list", "read", "export"]));
    (one_of(&ROUTES), 0..2usize, api, operation, maybe(0.15, instant())).prop_map(
        |((host, method, paths, usual_api), spelling, api, operation, recorded_at)| RouteRow {
            recorded_at,
            host: host.map(str::to_owned),
            method: method.map(str::to_owned),
            path: paths[spelling % paths.len()].to_owned(),
            api: api.unwrap_or_else(|| usual_api.to_owned()),
            operation,
        },
    )
}

fn purpose_rows() -> impl Strategy<Value = Vec<PurposeRow>> {
    let row =
        |purpose, recorded_at, ended_at| PurposeRow { recorded_at, purpose, name: None, ended_at };
    let first: Vec<_> = PURPOSES
        .iter()
        .map(|&purpose| {
            (Just(purpose.to_owned()), recorded(), maybe(0.5, instant())).prop_map(
                move |(purpose, recorded_at, ended_at)| row(purpose, recorded_at, ended_at),
            )
        })
        .collect();
    let later = (text(&PURPOSES), recorded_later(), maybe(0.5, instant()))
        .prop_map(move |(purpose, recorded_at, ended_at)| row(purpose, recorded_at, ended_at));
    (first, vec(later, 0..2)).prop_map(|(first, later)| first.into_iter().chain(later).collect())
}

fn consent_row() -> impl Strategy<Value = ConsentRow> {
    let towards = (text(&["ames", "bolt", "*"]), text(&["messages", "photos", "*"]));
    (text(&SUBJECTS), towards, (0..6i64), any::<bool>(), maybe(0.2, instant())).prop_map(
        |(subject, (partner, api), hours, given, recorded_at)| ConsentRow {
            recorded_at,
            subject,
            partner,
            api,
            at: at(2 * hours, 0),
            given,
        },
    )
}

/// A register that passes `check`.
pub fn register() -> impl Strategy<Value = Rows> {
    let tables = (
        partner_rows(),
        credential_rows(),
        api_rows(),
        vec(route_row(), 8..24),
        vec(grant_row(), 4..18),
        purpose_rows(),
        vec(consent_row(), 0..8),
    );
    tables.prop_map(|(partners, credentials, apis, routes, grants, purposes, consents)| {
        let grants = grants.into_iter().filter(starts_before_its_end).collect();
        Rows {
            partners: distinct(partners),
            credentials: not_overlapping(credentials),
            apis: distinct(apis),
            routes: distinct(routes),
            grants: distinct(grants),
            purposes: distinct(purposes),
            consents: distinct(consents),
        }
    })
}

fn starts_before_its_end(grant: &GrantRow) -> bool {
    let end = [grant.expires_at, grant.revoked_at].into_iter().flatten().min();
    match (grant.granted_at, end) {
        (Some(start), Some(end)) => start < end,
        _ => true,
    }
}

/// Drops rows with an equal key and an equal `recorded_at`.
fn distinct<T: Row>(rows: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::new();
    for row in rows {
        let is_same =
            |other: &T| other.key() == row.key() && other.recorded_at() == row.recorded_at();
        if !kept.iter().any(is_same) {
            kept.push(row);
        }
    }
    kept
}

/// Drops rows that would overlap in some version, and gives all versions of one row one spelling.
fn not_overlapping(rows: Vec<CredentialRow>) -> Vec<CredentialRow> {
    let mut kept: Vec<CredentialRow> = Vec::new();
    for mut row in distinct(rows) {
        if let Some(other) = kept.iter().find(|other| other.key() == row.key()) {
            row.credential.clone_from(&other.credential);
        }
        let mut with_it = kept.clone();
        with_it.push(row);
        if without_overlap(&with_it) {
            kept = with_it;
        }
    }
    kept
}

fn without_overlap(rows: &[CredentialRow]) -> bool {
    let starts = |row: &CredentialRow| row.valid_from.unwrap_or(Instant::MIN);
    let ends = |row: &CredentialRow| row.valid_until.unwrap_or(Instant::MAX);
    let mut recordings: Vec<Option<Instant>> = rows.iter().map(|row| row.recorded_at).collect();
    recordings.extend([None, Some(Instant::MIN)]);
    recordings.into_iter().all(|known_at| {
        let known = counting(rows, known_at);
        // One that ends at or before it begins is never valid, and overlaps nothing.
        let is_never_valid = |row: &CredentialRow| {
            row.valid_from.zip(row.valid_until).is_some_and(|(from, until)| until <= from)
        };
        let known: Vec<_> = known.iter().filter(|row| !is_never_valid(row)).collect();
        known.iter().enumerate().all(|(i, row)| {
            starts(row) < ends(row)
                && known[..i].iter().all(|other| {
                    credential_hex(&other.credential) != credential_hex(&row.credential)
                        || ends(other) <= starts(row)
                        || ends(row) <= starts(other)
                })
        })
    })
}

/// An instant of a call: on the half-hours of the grid, a nanosecond before or after.
pub fn call_at() -> impl Strategy<Value = Instant> {
    (-1..14i64, one_of(&[0, 0, -1, 1])).prop_map(|(half_hours, ns)| at(half_hours, ns))
}

/// Where most calls go.
const USUAL_TARGETS: [&str; 6] =
    ["/photos/u1", "/photos/u2", "/photos/x", "/messages/u1", "/messages/u2", "/messages"];
const TARGETS: [&str; 20] = [
    "/photos",
    "/photos/u1",
    "/photos/u2?size=1#top",
    "/photos/%75%31/list",
    "/photos/%C3%BC%203",
    "/photos/%ff",
    "/photos/featured",
    "/photos/a/b/c",
    "https://API.example:8443/messages/u1",
    "http://other.example/messages/u2/",
    "/messages",
    "/messages/",
    "/messages/u2",
    "//messages/./x/../u1//",
    "/messages/u1/parts/2",
    "/health",
    "/attic/7",
    "/attic/7/top/%2f%2F",
    "/",
    "/4711/4f3a2b1c-0000-4000-8000-00000000000a/a%zzb/user@example.org/ab3def",
];
const METHODS: [Option<&str>; 8] = [
    Some("GET"),
    Some("get"),
    Some("GET"),
    Some("POST"),
    Some("Delete"),
    Some("HEAD"),
    Some("PURGE"),
    None,
];
const HOSTS: [Option<&str>; 4] =
    [None, Some("api.example"), Some("API.Example:443"), Some("other.example")];
const LOGGED_APIS: [Option<&str>; 8] =
    [None, None, None, None, None, Some("photos"), Some("messages"), Some("nowhere")];
const LOGGED_OPERATIONS: [Option<&str>; 7] =
    [None, None, None, None, None, Some("list"), Some("export")];
const USERS: [Option<&str>; 5] = [None, None, Some("u1"), Some("u2"), Some("ü 3")];

/// The numbers that tell an outcome.
const STATUSES: [(Outcome, &[u16]); 4] = [
    (Outcome::Served, &[200, 201, 100, 399, 304]),
    (Outcome::Denied, &[401, 403, 407, 451]),
    (Outcome::Failed, &[404, 500, 599, 400, 429]),
    (Outcome::Unknown, &[]),
];
/// With the network of each. Most calls come from the first.
pub const ADDRESSES: [(&str, Option<&str>); 10] = [
    ("192.0.2.7", Some("192.0.2.0/24")),
    ("192.0.2.7", Some("192.0.2.0/24")),
    ("192.0.2.200", Some("192.0.2.0/24")),
    ("::ffff:192.0.2.1", Some("192.0.2.0/24")),
    ("198.51.100.7", Some("198.51.100.0/24")),
    ("203.0.113.9, 10.0.0.1", Some("203.0.113.0/24")),
    ("2001:db8::7", Some("2001:db8::/48")),
    ("2001:db8:0:9::1", Some("2001:db8::/48")),
    ("2001:db8:1::7", Some("2001:db8:1::/48")),
    ("unknown", None),
];
const USER_AGENTS: [&str; 2] = ["curl/8.1", "Mozilla/5.0 (\"x\")"];
/// Few, so that the same id is often that of different calls.
const REQUEST_IDS: [&str; 3] = ["r-1", "r-2", "0"];

/// A call as the judge is given it.
pub fn call() -> impl Strategy<Value = Call> {
    let credential =
        maybe(0.97, prop_oneof![20 => presented_known(), 1 => Just("nobody-9999".to_owned())]);
    let path = maybe(0.9, prop_oneof![2 => text(&USUAL_TARGETS), 1 => text(&TARGETS)]);
    let names = (one_of(&LOGGED_APIS), one_of(&LOGGED_OPERATIONS));
    let outcomes = (one_of(&[0, 0, 1, 2, 3]), 0..6usize).prop_map(|(outcome, status)| {
        let (outcome, statuses) = STATUSES[outcome];
        (outcome, statuses.get(status % statuses.len().max(1)).copied())
    });
    let evidence = (
        maybe(0.15, text(&["someone else", "robot"])),
        maybe(0.6, one_of(&ADDRESSES).prop_map(|(address, _)| address.to_owned())),
        maybe(0.2, text(&USER_AGENTS)),
        maybe(0.6, text(&REQUEST_IDS)),
    );
    (
        call_at(),
        credential,
        (one_of(&METHODS), path, one_of(&HOSTS)),
        names,
        outcomes,
        maybe(0.6, 0..5000u64),
        maybe(0.6, one_of(&[0, 1, 255, 256, 257, 1000, 1003, 1004, 123_456, 7_654_321])),
        (one_of(&USERS), evidence),
    )
        .prop_map(
            |(
                at,
                credential,
                (method, path, host),
                (api, operation),
                (outcome, status),
                bytes,
                latency,
                (user, (actor, remote_addr, user_agent, request_id)),
            )| {
                // Without a path the call must name its api, or it is none.
                let api = api.or(path.is_none().then_some("photos"));
                let owned = |text: Option<&str>| text.map(str::to_owned);
                Call {
                    at,
                    credential,
                    method: owned(method),
                    path,
                    host: owned(host),
                    api: owned(api),
                    operation: owned(operation),
                    outcome,
                    status,
                    bytes,
                    latency_us: latency,
                    user: owned(user),
                    actor,
                    remote_addr,
                    user_agent,
                    request_id,
                }
            },
        )
}

/// How a call is written down: every number picks one of several spellings of the same.
#[derive(Clone, Copy, Debug)]
pub struct Spelling {
    at: usize,
    status: usize,
    absent: usize,
    rotation: usize,
    extra: usize,
    spaced: bool,
}

pub fn spelling() -> impl Strategy<Value = Spelling> {
    (0..6usize, 0..7usize, 0..4usize, 0..12usize, 0..12usize, any::<bool>()).prop_map(
        |(at, status, absent, rotation, extra, spaced)| Spelling {
            at,
            status,
            absent,
            // Most lines of a log have their keys in one order.
            rotation: rotation.saturating_sub(7),
            extra,
            spaced,
        },
    )
}

/// The JSON line of a call.
pub fn line(call: &Call, spelling: Spelling) -> String {
    let mut fields: Vec<(&str, Value)> = vec![("at", json!(spell_at(call.at, spelling.at)))];
    let mut add = |name: &'static str, value: Option<Value>| match value {
        Some(value) => fields.push((name, value)),
        // "Absent is absent: `-`, empty and null are no value"; an array or object where text is expected likewise.
        None => match spelling.absent {
            0 => {}
            1 => fields.push((name, json!("-"))),
            2 => fields.push((name, json!(""))),
            _ => fields.push((name, Value::Null)),
        },
    };
    let text = |text: &Option<String>| text.as_ref().map(|text| json!(text));
    add("client_id", text(&call.credential));
    add("method", text(&call.method));
    add("path", text(&call.path));
    add("host", text(&call.host));
    add("api", text(&call.api));
    add("operation", text(&call.operation));
    add("status", spell_status(call.status, spelling.status));
    let number = |number: Option<u64>, as_text: bool| {
        number.map(|number| if as_text { json!(number.to_string()) } else { json!(number) })
    };
    add("bytes", number(call.bytes, spelling.status == 1));
    add("latency_us", number(call.latency_us, spelling.status == 2));
    add("user", text(&call.user));
    add("actor", text(&call.actor));
    add("remote_addr", text(&call.remote_addr));
    add("user_agent", text(&call.user_agent));
    add("request_id", text(&call.request_id));
    match spelling.extra {
        0 => fields.push(("note", json!("a \"quoted\" \\ note\u{1F600}\n"))),
        1 => fields.push(("nested", json!({ "at": [1, { "status": 403 }], "path": null }))),
        // "Of a repeated JSON key the last counts"
        2 => fields.insert(0, ("status", json!(403))),
        3 => fields.push(("request", json!("r-3"))),
        _ => {}
    }
    let length = fields.len();
    // A repeated key keeps its order: rotating would make the first the last.
    if spelling.extra != 2 {
        fields.rotate_left(spelling.rotation % length);
    }
    let (colon, comma) = if spelling.spaced { (": ", ", ") } else { (":", ",") };
    let pairs: Vec<String> =
        fields.iter().map(|(name, value)| format!("\"{name}\"{colon}{value}")).collect();
    format!("{{{}}}", pairs.join(comma))
}

/// RFC 3339 in one of its spellings.
fn spell_at(at: Instant, spelling: usize) -> String {
    let shifted = |minutes: i64| Instant::from_ns(at.ns() + minutes * 60_000_000_000).to_string();
    match spelling {
        0 => shifted(120).replace('Z', "+02:00"),
        1 => shifted(-210).replace('Z', "-03:30"),
        2 => at.to_string().replace('T', " ").to_lowercase(),
        3 => at.to_string().trim_end_matches('Z').to_owned(),
        // "digits past the ninth cut"
        4 if at.to_string().contains('.') => at.to_string().replace('Z', "999Z"),
        _ => at.to_string(),
    }
}

/// A status in one of its spellings; no number is one of those that tell nothing.
fn spell_status(status: Option<u16>, spelling: usize) -> Option<Value> {
    let spellings = match status {
        Some(number) => [
            json!(number),
            json!(format!("{number}.0")),
            json!(number),
            json!(number.to_string()),
            json!(f64::from(number)),
        ],
        None => [json!(0), json!("000"), json!(-1), json!("-1"), Value::Null],
    };
    Some(spellings[spelling % 5].clone())
}

/// Lines that are no call.
const BROKEN: [&[u8]; 16] = [
    b"",
    b" \t ",
    b"not JSON",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"/photos\"",
    b"[\"at\"]",
    b"{}",
    b"{\"at\":\"yesterday\",\"path\":\"/photos\"}",
    b"{\"at\":\"2019-02-29T01:00:00Z\",\"path\":\"/photos\"}",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"-\",\"status\":200}",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"/photos\",\"status\":600}",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"/photos\",\"status\":\"OK\"}",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"/photos\",\"bytes\":-5}",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"/photos\",\"latency_us\":\"1,5\"}",
    b"{\"at\":\"2019-01-01T01:00:00Z\",\"path\":\"/photos\",\"user\":\"\xff\xfe\"}",
    b"{\"at\":null,\"path\":null,\"status\":99}",
    "{\"caf\u{e9}\": \u{7}\u{202e}".as_bytes(),
];

/// What a line holds, before it is written down.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "a few hundred at a time")]
enum Content {
    Call(Box<Call>, Spelling),
    Other(Vec<u8>),
}

/// A line with what stands around it.
#[derive(Clone, Debug)]
struct Draft {
    content: Content,
    nuls_before: usize,
    nuls_after: usize,
    carriage_return: bool,
}

impl Draft {
    fn of(content: Content) -> Draft {
        Draft { content, nuls_before: 0, nuls_after: 0, carriage_return: false }
    }

    fn written(self) -> LineCase {
        LineCase {
            nuls_before: self.nuls_before,
            content: match self.content {
                Content::Call(call, spelling) => line(&call, spelling).into_bytes(),
                Content::Other(bytes) => bytes,
            },
            nuls_after: self.nuls_after,
            carriage_return: self.carriage_return,
        }
    }
}

fn draft() -> impl Strategy<Value = Draft> {
    let content = prop_oneof![
        12 => (call(), spelling()).prop_map(|(call, spelling)| Content::Call(Box::new(call), spelling)),
        1 => one_of(&BROKEN).prop_map(|bytes| Content::Other(bytes.to_vec())),
    ];
    let nuls = || one_of(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5]);
    (content, nuls(), nuls(), prop::bool::weighted(0.1)).prop_map(
        |(content, nuls_before, nuls_after, carriage_return)| Draft {
            content,
            nuls_before,
            nuls_after,
            carriage_return,
        },
    )
}

/// An input whose lines are not written down yet.
type InputDraft = (InputCase, Vec<Draft>);

fn input_draft() -> impl Strategy<Value = InputDraft> {
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.8));
    (text(&SOURCES), one_of(&COMPRESSIONS), flags, vec(draft(), 0..25)).prop_map(
        |(source, compression, (byte_order_mark, finished), drafts)| {
            let input = InputCase {
                path: String::new(),
                source,
                format: "twin".to_owned(),
                compression,
                byte_order_mark,
                lines: Vec::new(),
                finished,
            };
            (input, drafts)
        },
    )
}

fn written((input, drafts): InputDraft) -> InputCase {
    InputCase { lines: drafts.into_iter().map(Draft::written).collect(), ..input }
}

const SOURCES: [&str; 2] = ["core", "edge"];
const COMPRESSIONS: [Option<&str>; 4] = [None, None, Some("gzip"), Some("zstd")];

pub fn input_case() -> impl Strategy<Value = InputCase> {
    input_draft().prop_map(written)
}

/// A case of days: the hours of the grid are drawn out, and an input has a call on each of many days.
#[derive(Clone, Debug)]
struct Days {
    /// How many times longer everything takes.
    factor: i64,
    /// Nanoseconds by which the instants of grants miss the grid, in turn.
    off: Vec<i64>,
    /// The input with the daily calls; its lines are `daily`.
    input: InputDraft,
    daily: Vec<(Call, Spelling, i64)>,
    /// From one day to the next.
    step: i64,
    /// The window's end, instead of that of the grid.
    until: Option<Instant>,
    /// No call presents what the register knows.
    strangers: bool,
    /// Secrets that no call presents.
    silent: Vec<&'static str>,
    /// Calls read, and do nothing else.
    dull: bool,
    grants: Vec<LateGrant>,
    keys: Vec<LateKey>,
}

/// A grant of which about as many days are read as findings of unused access need.
#[derive(Clone, Debug)]
struct LateGrant {
    grant: GrantRow,
    /// How many of the daily calls it lives to see.
    days: i64,
    /// When on the first of these days it is granted; none: it always was.
    time: Option<i64>,
}

/// A key, presented by nobody, which has moved, with some days between during which it was nobody's.
#[derive(Clone, Debug)]
struct LateKey {
    partners: (String, String),
    until_day: i64,
    time: i64,
    /// On about how many of the days with daily calls it is valid.
    days: i64,
}

fn days() -> impl Strategy<Value = Days> {
    // Of an hour, a day, two, six, seven; or what ends within days.
    let factor = one_of(&[24, 24, 24, 48, 144, 168, 31, 149]);
    let off = prop_oneof![3 => Just(vec![0]), 1 => vec(one_of(&[0, 0, -1, 1]), 8)];
    let count = prop_oneof![
        1 => 0..28usize,
        6 => 28..32usize,
        4 => 32..46usize,
    ];
    let daily =
        (vec((call(), spelling(), time_of_day()), 45), count).prop_map(|(mut daily, count)| {
            daily.truncate(count);
            daily
        });
    let until = (26..48i64, one_of(&[0, -1, 1])).prop_map(|(days, ns)| at(48 * days, ns));
    let step = one_of(&[1, 1, 1, 1, 2]);
    let silent = prop::sample::subsequence(SECRETS.to_vec(), 0..SECRETS.len());
    let presented = (prop::bool::weighted(0.08), silent, any::<bool>());
    let more = (vec(late_grant(), 0..4), vec(late_key(), 0..2));
    (factor, off, input_draft(), daily, step, maybe(0.3, until), presented, more).prop_map(
        |(factor, off, input, daily, step, until, (strangers, silent, dull), (grants, keys))| {
            Days { factor, off, input, daily, step, until, strangers, silent, dull, grants, keys }
        },
    )
}

/// Time of a day at which things begin and end: mostly where it shows whether that day counts.
fn time_of_day() -> impl Strategy<Value = i64> {
    one_of(&[0, 0, 1, DAY_NS / 2, DAY_NS - 1])
}

fn late_grant() -> impl Strategy<Value = LateGrant> {
    let what = (
        text(&["ames", "ames", "bolt"]),
        text(&["messages", "photos", "photos", "attic"]),
        prop::sample::subsequence(vec!["delete", "list", "read", "write"], 1..=4),
        maybe(0.2, text(&PURPOSES)),
    );
    (what, 29..33i64, maybe(0.8, time_of_day())).prop_map(
        |((partner, api, operations, purpose), days, time)| {
            let grant = GrantRow {
                partner,
                api,
                operations: operations.into_iter().map(str::to_owned).collect(),
                purpose,
                ..GrantRow::default()
            };
            LateGrant { grant, days, time }
        },
    )
}

fn late_key() -> impl Strategy<Value = LateKey> {
    let partner = || text(&["ames", "bolt", "cove"]);
    ((partner(), partner()), 1..20i64, time_of_day(), 28..33i64)
        .prop_map(|(partners, until_day, time, days)| LateKey { partners, until_day, time, days })
}

impl Days {
    /// That many times as far from the start of the grid; nanoseconds beside the grid stay so many.
    fn later(&self, instant: Instant) -> Instant {
        if instant == Instant::MAX || instant < at(-100, 0) {
            return instant;
        }
        let off = instant.ns() - at(0, 0).ns();
        let half_hours = (off + HALF_HOUR_NS / 2).div_euclid(HALF_HOUR_NS);
        at(half_hours * self.factor, off - half_hours * HALF_HOUR_NS)
    }

    /// The day of one of the daily calls, and a time on it.
    fn day(&self, day: i64, time: i64) -> Instant {
        at(48 * day * self.step, time)
    }

    fn late_grants(&self) -> impl Iterator<Item = GrantRow> {
        let daily = self.daily.len() as i64;
        (1..).zip(&self.grants).map(move |(number, late)| GrantRow {
            // Before and after those of the grid.
            grant: format!("{}{number}", if number == 1 { "a" } else { "h" }),
            granted_at: late.time.map(|time| self.day(daily - late.days, time)),
            ..late.grant.clone()
        })
    }

    fn late_keys(&self) -> impl Iterator<Item = CredentialRow> {
        self.keys.iter().flat_map(|late| {
            let row = |partner: &str, valid_from, valid_until| CredentialRow {
                credential: "key-late-0005".to_owned(),
                partner: partner.to_owned(),
                valid_from,
                valid_until,
                recorded_at: None,
            };
            let until = self.day(late.until_day, late.time);
            let days_between = (self.daily.len() as i64 - late.days).max(0);
            let from = self.day(late.until_day + days_between, late.time);
            [row(&late.partners.0, None, Some(until)), row(&late.partners.1, Some(from), None)]
        })
    }

    fn register(&self, mut rows: Rows) -> Rows {
        let later = |instant: &mut Option<Instant>| *instant = instant.map(|at| self.later(at));
        for row in &mut rows.partners {
            later(&mut row.recorded_at);
        }
        for row in &mut rows.credentials {
            for instant in [&mut row.recorded_at, &mut row.valid_from, &mut row.valid_until] {
                later(instant);
            }
            // All by the same, so that what met before still meets.
            for instant in [&mut row.valid_from, &mut row.valid_until] {
                let off = self.off[self.off.len() - 1];
                *instant = instant.map(|at| Instant::from_ns(at.ns().saturating_add(off)));
            }
        }
        for row in &mut rows.apis {
            later(&mut row.recorded_at);
            later(&mut row.dormant_since);
        }
        for row in &mut rows.routes {
            later(&mut row.recorded_at);
        }
        let mut off = self.off.iter().cycle();
        for row in &mut rows.grants {
            later(&mut row.recorded_at);
            let beside_the_grid = [
                &mut row.granted_at,
                &mut row.expires_at,
                &mut row.revoked_at,
                &mut row.certified_until,
            ];
            for instant in beside_the_grid {
                later(instant);
                let off = off.next().copied().unwrap_or_default();
                *instant = instant.map(|at| Instant::from_ns(at.ns().saturating_add(off)));
            }
        }
        for row in &mut rows.purposes {
            later(&mut row.recorded_at);
            later(&mut row.ended_at);
        }
        for row in &mut rows.consents {
            later(&mut row.recorded_at);
            row.at = self.later(row.at);
        }
        rows.grants.extend(self.late_grants());
        rows.credentials.extend(self.late_keys());
        rows
    }

    fn inputs(&self, mut inputs: Vec<InputDraft>) -> Vec<InputDraft> {
        for draft in inputs.iter_mut().flat_map(|(_, drafts)| drafts) {
            if let Content::Call(call, _) = &mut draft.content {
                call.at = self.later(call.at);
            }
        }
        let daily = (0..).zip(&self.daily).map(|(day, (call, spelling, time))| {
            let at = self.day(day, *time);
            Draft::of(Content::Call(Box::new(Call { at, ..call.clone() }), *spelling))
        });
        inputs.push((self.input.0.clone(), daily.collect()));
        let is = |secret: &str, text: &str| credential_hex(secret) == credential_hex(text);
        let other = SECRETS.iter().find(|secret| !self.silent.contains(secret)).unwrap();
        for draft in inputs.iter_mut().flat_map(|(_, drafts)| drafts) {
            let Content::Call(call, _) = &mut draft.content else { continue };
            if self.dull {
                call.method = Some("GET".to_owned());
                call.operation = None;
            }
            let Some(presented) = &mut call.credential else { continue };
            if self.strangers {
                *presented = "nobody-9999".to_owned();
            } else if self.silent.iter().any(|secret| is(secret, presented)) {
                *presented = (*other).to_owned();
            }
        }
        inputs
    }
}

/// What is repeated in a case: records first, then whole files.
#[derive(Clone, Debug)]
struct Repeats {
    dedupe: Vec<Option<bool>>,
    records: Vec<Repeat>,
    /// The bytes up to which the first of a pair of equal files is filled with blanks.
    fill: Option<usize>,
    files: Vec<FileRepeat>,
}

/// A record written down once more: somewhere, in another spelling, perhaps with one field changed.
#[derive(Clone, Debug)]
struct Repeat {
    from: (Index, Index),
    /// Mostly of a record that has a request id.
    with_id: bool,
    /// Often into the same input.
    to: (Option<Index>, Index),
    changed: Option<(usize, bool)>,
    spelling: Spelling,
}

/// A file of the same content, but perhaps for its end.
#[derive(Clone, Debug)]
struct FileRepeat {
    from: Index,
    compression: Option<&'static str>,
    other_source: bool,
    other_end: bool,
}

fn repeats() -> impl Strategy<Value = Repeats> {
    let from = (any::<Index>(), any::<Index>(), prop::bool::weighted(0.8));
    let to = (maybe(0.6, any::<Index>()), any::<Index>());
    let changed = maybe(0.5, (0..FIELDS, any::<bool>()));
    let record = (from, to, changed, spelling()).prop_map(
        |((input, line, with_id), to, changed, spelling)| Repeat {
            from: (input, line),
            with_id,
            to,
            changed,
            spelling,
        },
    );
    let flags = (prop::bool::weighted(0.2), prop::bool::weighted(0.1));
    let file = (any::<Index>(), one_of(&COMPRESSIONS), flags).prop_map(
        |(from, compression, (other_source, other_end))| FileRepeat {
            from,
            compression,
            other_source,
            other_end,
        },
    );
    let files = prop_oneof![1 => Just(Vec::new()), 1 => vec(file, 1..3)];
    let fill = one_of(&[None, None, None, Some(1023), Some(1024), Some(1025)]);
    let dedupe = vec(one_of(&[None, Some(true), Some(true), Some(false)]), SOURCES.len());
    (dedupe, vec(record, 0..12), fill, files).prop_map(|(dedupe, records, fill, files)| Repeats {
        dedupe,
        records,
        fill,
        files,
    })
}

const FIELDS: usize = 16;

/// The call with one field changed, or absent if `absent` and it may be.
fn changed(call: &Call, field: usize, absent: bool) -> Call {
    let mut call = call.clone();
    let other = |text: &Option<String>, pool: [&str; 2]| {
        let other = if text.as_deref() == Some(pool[0]) { pool[1] } else { pool[0] };
        (!absent || text.is_none()).then(|| other.to_owned())
    };
    let number = |number: Option<u64>| match number {
        Some(_) if absent => None,
        Some(number) => Some(number + 1),
        None => Some(0),
    };
    match field {
        0 => call.at = Instant::from_ns(call.at.ns() + if absent { 1 } else { 60_000_000_000 }),
        1 => call.credential = other(&call.credential, [SECRETS[0], SECRETS[1]]),
        2 => call.method = other(&call.method, ["GET", "POST"]),
        3 => call.path = Some("/messages/u2".to_owned()),
        4 => call.host = other(&call.host, ["api.example", "other.example"]),
        // What has no path must name its api.
        5 if call.path.is_some() => call.api = other(&call.api, ["photos", "messages"]),
        6 => call.operation = other(&call.operation, ["list", "export"]),
        // Another status of the same outcome, or of another one.
        7 => {
            (call.outcome, call.status) = match (call.status, absent) {
                (Some(200), false) => (Outcome::Served, Some(204)),
                (Some(403), _) => (Outcome::Denied, Some(401)),
                (Some(_), true) => (Outcome::Unknown, None),
                _ => (Outcome::Served, Some(200)),
            }
        }
        8 => call.bytes = number(call.bytes),
        9 => call.latency_us = number(call.latency_us),
        10 => call.user = other(&call.user, ["u1", "u2"]),
        11 => call.actor = other(&call.actor, ["robot", "someone else"]),
        12 => call.remote_addr = other(&call.remote_addr, ["192.0.2.7", "2001:db8::7"]),
        13 => call.user_agent = other(&call.user_agent, USER_AGENTS),
        14 => call.request_id = other(&call.request_id, ["r-1", "r-2"]),
        _ => call.request_id = None,
    }
    call
}

impl Repeats {
    fn dedupe(&self) -> BTreeMap<String, bool> {
        let said = SOURCES.iter().zip(&self.dedupe);
        said.filter_map(|(source, dedupe)| Some(((*source).to_owned(), (*dedupe)?))).collect()
    }

    /// Writes the lines down, and some of them more than once.
    fn inputs(&self, mut inputs: Vec<InputDraft>) -> Vec<InputCase> {
        for repeat in &self.records {
            let from = repeat.from.0.index(inputs.len());
            let drafts = &inputs[from].1;
            let calls: Vec<(&Call, Spelling)> = drafts
                .iter()
                .filter_map(|draft| match &draft.content {
                    Content::Call(call, spelling) => Some((&**call, *spelling)),
                    Content::Other(_) => None,
                })
                .filter(|(call, _)| call.request_id.is_some() || !repeat.with_id)
                .collect();
            if calls.is_empty() {
                continue;
            }
            let (call, before) = repeat.from.1.get(&calls);
            let call = match repeat.changed {
                Some((field, absent)) => changed(call, field, absent),
                None => (*call).clone(),
            };
            // Whether 0 and -1 are one status is left open: a repeat keeps to what was written.
            let status = if call.status.is_none() { before.status } else { repeat.spelling.status };
            let spelling = Spelling { status, ..repeat.spelling };
            let to = repeat.to.0.map_or(from, |to| to.index(inputs.len()));
            let drafts = &mut inputs[to].1;
            let line = repeat.to.1.index(drafts.len() + 1);
            drafts.insert(line, Draft::of(Content::Call(Box::new(call), spelling)));
        }
        let mut inputs: Vec<InputCase> = inputs.into_iter().map(written).collect();
        for repeat in &self.files {
            let from = repeat.from.index(inputs.len());
            if let Some(bytes) = self.fill {
                fill(&mut inputs[from], bytes);
            }
            let mut copy = inputs[from].clone();
            copy.compression = repeat.compression;
            if repeat.other_source {
                let is_other = |source: &&&str| **source != copy.source;
                copy.source = (*SOURCES.iter().find(is_other).unwrap()).to_owned();
            }
            copy.finished ^= repeat.other_end;
            inputs.push(copy);
        }
        inputs
    }
}

/// Cuts an input to a few lines and fills it with a line of blanks to that many bytes, if it has less.
fn fill(input: &mut InputCase, bytes: usize) {
    input.lines.truncate(3);
    let missing = bytes.saturating_sub(input.bytes().len());
    if missing > 0 {
        input.lines.push(LineCase::plain(&" ".repeat(missing - 1)));
    }
}

/// Any case.
pub fn case() -> impl Strategy<Value = Case> {
    let window = (maybe(0.3, call_at()), maybe(0.3, call_at()), maybe(0.3, call_at()));
    let expected = one_of(&[None, None, Some(Expect::Hourly), Some(Expect::Daily)]);
    let propagation_s = one_of(&[0, 0, 1800, 3600]);
    // Mostly with a register.
    let registers =
        Union::new_weighted(vec![(9, register().prop_map(Some).boxed()), (1, Just(None).boxed())]);
    let more = (
        sometimes(OF_DAYS, days()),
        sometimes(WITH_REPEATS, repeats()),
        sometimes(OF_ONE_PARTNER, text(&["ames", "ames", "bolt", "cove"])),
        any::<bool>(),
    );
    (registers, vec(input_draft(), 1..4), window, propagation_s, expected, more).prop_map(
        |(register, inputs, (since, until, as_known_at), propagation_s, expected, more)| {
            let (days, repeats, partner, new_network) = more;
            let case = Case {
                since,
                until: until.filter(|&until| since.is_none_or(|since| since < until)),
                as_known_at: as_known_at.filter(|_| register.is_some()),
                partner: partner.filter(|_| register.is_some()),
                register,
                inputs: Vec::new(),
                propagation_s,
                expect: BTreeMap::new(),
                dedupe: repeats.as_ref().map(Repeats::dedupe).unwrap_or_default(),
                new_network,
            };
            let (mut case, inputs) = match days {
                Some(days) => (of_days(case, &days), days.inputs(inputs)),
                None => (case, inputs),
            };
            case.inputs = match repeats {
                Some(repeats) => repeats.inputs(inputs),
                None => inputs.into_iter().map(written).collect(),
            };
            for (input, name) in case.inputs.iter_mut().zip(["d", "b", "f", "a", "g", "c", "e"]) {
                // The name says nothing of the compression, and its order nothing of the source.
                input.path = format!("logs/{name}.log");
            }
            case.dedupe.retain(|source, _| case.inputs.iter().any(|i| i.source == *source));
            if let Some(expected) = expected {
                case.expect.insert(case.inputs[0].source.clone(), expected);
            }
            case
        },
    )
}

/// The case with its register and window drawn out over days. Mostly nothing is left out at its start, or too few days
/// would be read.
fn of_days(case: Case, days: &Days) -> Case {
    let later = |instant: Option<Instant>| instant.map(|at| days.later(at));
    let since = later(case.since).filter(|_| days.step == 2);
    Case {
        register: case.register.map(|rows| days.register(rows)),
        since,
        until: match (days.until, since) {
            (Some(until), _) => Some(until).filter(|&until| since.is_none_or(|at| at < until)),
            // Most of those of the grid would leave too few days.
            (None, None) if days.factor == 24 => None,
            _ => later(case.until),
        },
        as_known_at: later(case.as_known_at),
        ..case
    }
}

/// That many people whose data one partner saw, each in a call of its own that nobody had granted.
pub fn crowd(people: u64) -> Case {
    let lines: Vec<String> = (0..people)
        .map(|i| {
            let at = at(0, i64::try_from(i).unwrap() * 1_000_000);
            format!("{{\"at\":\"{at}\",\"client_id\":\"xy\",\"path\":\"/people/user-{i}\",\"method\":\"GET\"}}")
        })
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let register = Rows {
        partners: vec![PartnerRow { partner: "ames".to_owned(), ..PartnerRow::default() }],
        credentials: vec![CredentialRow {
            credential: "xy".to_owned(),
            partner: "ames".to_owned(),
            ..CredentialRow::default()
        }],
        apis: vec![ApiRow { api: "people".to_owned(), ..ApiRow::default() }],
        routes: vec![RouteRow {
            path: "/people/{user}".to_owned(),
            api: "people".to_owned(),
            ..RouteRow::default()
        }],
        ..Rows::default()
    };
    Case {
        register: Some(register),
        inputs: vec![InputCase::plain("logs/crowd.log", "edge", &lines)],
        since: None,
        until: None,
        as_known_at: None,
        propagation_s: 0,
        expect: BTreeMap::new(),
        dedupe: BTreeMap::new(),
        new_network: false,
        partner: None,
    }
}
