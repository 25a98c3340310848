//! Random cases whose instants come from a small grid, so that ties, boundaries and overlaps are the rule.
//!
//! Every register drawn passes `check`: what would not is dropped row by row, so a case shrinks well.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;
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

/// The grid: `half_hours` after 2019-01-01, and some nanoseconds.
pub fn at(half_hours: i64, ns: i64) -> Instant {
    let start = rfc3339("2019-01-01T00:00:00Z").unwrap();
    Instant::from_ns(start.ns() + half_hours * 1_800_000_000_000 + ns)
}

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

/// A call as the judge is given it.
pub fn call() -> impl Strategy<Value = Call> {
    let credential =
        maybe(0.97, prop_oneof![20 => presented_known(), 1 => Just("nobody-9999".to_owned())]);
    let path = maybe(0.9, prop_oneof![2 => text(&USUAL_TARGETS), 1 => text(&TARGETS)]);
    let names = (one_of(&LOGGED_APIS), one_of(&LOGGED_OPERATIONS));
    let outcomes = one_of(&[
        Outcome::Served,
        Outcome::Served,
        Outcome::Denied,
        Outcome::Failed,
        Outcome::Unknown,
    ]);
    (
        call_at(),
        credential,
        (one_of(&METHODS), path, one_of(&HOSTS)),
        names,
        outcomes,
        maybe(0.6, 0..5000u64),
        maybe(0.6, one_of(&[0, 1, 255, 256, 257, 1000, 1003, 1004, 123_456, 7_654_321])),
        one_of(&USERS),
    )
        .prop_map(
            |(
                at,
                credential,
                (method, path, host),
                (api, operation),
                outcome,
                bytes,
                latency,
                user,
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
                    bytes,
                    latency_us: latency,
                    user: owned(user),
                    actor: None,
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
    add("status", spell_status(call.outcome, spelling.status));
    let number = |number: Option<u64>, as_text: bool| {
        number.map(|number| if as_text { json!(number.to_string()) } else { json!(number) })
    };
    add("bytes", number(call.bytes, spelling.status == 1));
    add("latency_us", number(call.latency_us, spelling.status == 2));
    add("user", text(&call.user));
    match spelling.extra {
        0 => fields.push(("note", json!("a \"quoted\" \\ note\u{1F600}\n"))),
        1 => fields.push(("nested", json!({ "at": [1, { "status": 403 }], "path": null }))),
        // "Of a repeated JSON key the last counts"
        2 => fields.insert(0, ("status", json!(403))),
        3 => fields.push(("actor", json!("someone else"))),
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

/// A status of that outcome.
fn spell_status(outcome: Outcome, spelling: usize) -> Option<Value> {
    let of = |statuses: [Value; 5]| Some(statuses[spelling % 5].clone());
    match outcome {
        Outcome::Served => of([json!(200), json!("200.0"), json!(100), json!("399"), json!(304)]),
        Outcome::Denied => of([json!(401), json!("403"), json!(407), json!(451), json!(403.0)]),
        Outcome::Failed => of([json!(404), json!("500"), json!(599), json!(400), json!(429)]),
        Outcome::Unknown => of([json!(0), json!("000"), json!(-1), json!("-1"), Value::Null]),
    }
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

fn line_case() -> impl Strategy<Value = LineCase> {
    let content = prop_oneof![
        12 => (call(), spelling()).prop_map(|(call, spelling)| line(&call, spelling).into_bytes()),
        1 => one_of(&BROKEN).prop_map(<[u8]>::to_vec),
    ];
    let nuls = || one_of(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 5]);
    (content, nuls(), nuls(), prop::bool::weighted(0.1)).prop_map(
        |(content, nuls_before, nuls_after, carriage_return)| LineCase {
            nuls_before,
            content,
            nuls_after,
            carriage_return,
        },
    )
}

pub fn input_case() -> impl Strategy<Value = InputCase> {
    let compressions = one_of(&[None, None, Some("gzip"), Some("zstd")]);
    let flags = (prop::bool::weighted(0.1), prop::bool::weighted(0.8));
    (text(&["core", "edge"]), compressions, flags, vec(line_case(), 0..25)).prop_map(
        |(source, compression, (byte_order_mark, finished), lines)| InputCase {
            path: String::new(),
            source,
            format: "twin".to_owned(),
            compression,
            byte_order_mark,
            lines,
            finished,
        },
    )
}

/// Any case.
pub fn case() -> impl Strategy<Value = Case> {
    let window = (maybe(0.3, call_at()), maybe(0.3, call_at()), maybe(0.3, call_at()));
    let expected = one_of(&[None, None, Some(Expect::Hourly), Some(Expect::Daily)]);
    let propagation_s = one_of(&[0, 0, 1800, 3600]);
    // Mostly with a register.
    let registers =
        Union::new_weighted(vec![(9, register().prop_map(Some).boxed()), (1, Just(None).boxed())]);
    (registers, vec(input_case(), 1..4), window, propagation_s, expected).prop_map(
        |(register, mut inputs, (since, until, as_known_at), propagation_s, expected)| {
            for (i, input) in inputs.iter_mut().enumerate() {
                // The name says nothing of the compression, and its order nothing of the source.
                input.path = format!("logs/{}.log", ["b", "a", "c"][i]);
            }
            let until = until.filter(|&until| since.is_none_or(|since| since < until));
            let as_known_at = as_known_at.filter(|_| register.is_some());
            let mut expect = BTreeMap::new();
            if let Some(expected) = expected {
                expect.insert(inputs[0].source.clone(), expected);
            }
            Case { register, inputs, since, until, as_known_at, propagation_s, expect }
        },
    )
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
    }
}
