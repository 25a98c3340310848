//! The verdict on one call: section 4 of the contract, one function a sentence, every row looked at every time.
//!
//! Knows nothing of files, lines or counts.

use sha2::{Digest, Sha256};

use overstay::findings::Kind;
use overstay::judge::Verdict;
use overstay::time::Instant;

use super::rows::{ApiRow, CredentialRow, GrantRow, Rows};
use super::target;

/// What the API did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Served,
    Denied,
    Failed,
    Unknown,
}

impl Outcome {
    pub fn as_str(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        }
    }

    /// "(in findings `unknown` counts as served)"
    pub fn as_served(self) -> bool {
        matches!(self, Outcome::Served | Outcome::Unknown)
    }
}

/// One parsed log record, as its line has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    pub at: Instant,
    pub credential: Option<String>,
    pub method: Option<String>,
    pub path: Option<String>,
    pub host: Option<String>,
    pub api: Option<String>,
    pub operation: Option<String>,
    pub outcome: Outcome,
    /// The number that told the outcome; none where that is unknown.
    pub status: Option<u16>,
    pub bytes: Option<u64>,
    pub latency_us: Option<u64>,
    /// The subject, if the line has it; else the route's placeholder `user` gives it.
    pub user: Option<String>,
    pub actor: Option<String>,
    pub remote_addr: Option<String>,
    pub user_agent: Option<String>,
    pub request_id: Option<String>,
}

/// What the register says of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub verdict: Verdict,
    /// In byte order.
    pub also: Vec<&'static str>,
    /// The grant that the grant axis names.
    pub grant: Option<String>,
    pub since: Option<Instant>,
    pub lapsed_at: Option<Instant>,
    pub partner: Option<String>,
    pub api: Option<String>,
    pub operation: Option<String>,
    pub subject: Option<String>,
    /// The kinds of finding that cover the call, each with the `since` it has of this call.
    pub held: Vec<(Kind, Option<Instant>)>,
}

/// Whole seconds later, at most the last instant there is.
pub fn plus_s(at: Instant, seconds: u64) -> Instant {
    let ns = i128::from(at.ns()) + i128::from(seconds) * 1_000_000_000;
    Instant::from_ns(i64::try_from(ns).unwrap_or(i64::MAX))
}

/// One nanosecond earlier, if there is such an instant.
pub fn just_before(at: Instant) -> Option<Instant> {
    at.ns().checked_sub(1).map(Instant::from_ns)
}

/// "It may be written `sha256:HEX` of what the call presents …; hex in either case". The same for what a call presents.
pub fn credential_hex(text: &str) -> String {
    match hash_in(text) {
        Some(hex) => hex,
        None => Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}

/// The hash that a text gives instead of the plain value, lower case.
pub fn hash_in(text: &str) -> Option<String> {
    let hex = text.strip_prefix("sha256:")?;
    let is_hash = hex.len() == 64 && hex.chars().all(|c| c.is_ascii_hexdigit());
    is_hash.then(|| hex.to_lowercase())
}

/// "Credentials are masked but for their last four characters."
pub fn masked(text: &str) -> String {
    let text = hash_in(text).unwrap_or_else(|| text.to_owned());
    let chars: Vec<char> = text.chars().collect();
    let last: String = chars[chars.len().saturating_sub(4)..].iter().collect();
    format!("…{last}")
}

/// The register's rows of what a call presents.
pub fn credential_rows<'a>(known: &'a Rows, credential: &str) -> Vec<&'a CredentialRow> {
    let hex = credential_hex(credential);
    let rows = known.credentials.iter().filter(|row| credential_hex(&row.credential) == hex);
    let rows: Vec<&CredentialRow> = rows.collect();
    // One of which no row was ever valid is no credential that the register knows.
    if rows.iter().any(|row| is_ever_valid(row)) { rows } else { Vec::new() }
}

/// A row that ends at or before it begins contains no instant, and is nobody's word on whose the credential is.
fn is_ever_valid(row: &CredentialRow) -> bool {
    let (from, until) = (row.valid_from, row.valid_until);
    from.is_none() || until.is_none() || from < until
}

/// How a credential is shown: as the register writes it, in plain if any row does; an unknown one from the call.
pub fn shown(known: &Rows, credential: &str) -> String {
    let rows = credential_rows(known, credential);
    let plain = rows.iter().find(|row| hash_in(&row.credential).is_none());
    match plain.or(rows.first()) {
        Some(row) => masked(&row.credential),
        None => masked(credential),
    }
}

/// Whose a credential is at an instant.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CredentialAxis {
    partner: String,
    stale: bool,
    /// Of a stale one, when it ended.
    valid_until: Option<Instant>,
}

/// The axis *Credential*; `None` for one that the register does not know.
fn credential_axis(
    known: &Rows,
    credential: &str,
    at: Instant,
    propagation_s: u64,
) -> Option<CredentialAxis> {
    let mut rows = credential_rows(known, credential);
    rows.retain(|row| is_ever_valid(row));
    // "The row of its credential that contains `at` names the partner: `valid`."
    let contains = |row: &&&CredentialRow| {
        row.valid_from.is_none_or(|from| from <= at)
            && row.valid_until.is_none_or(|until| at < until)
    };
    if let Some(row) = rows.iter().find(contains) {
        return Some(CredentialAxis {
            partner: row.partner.clone(),
            stale: false,
            valid_until: None,
        });
    }
    // "If none does, the row that ended last before names it, and the axis is `valid` still if
    // `at < valid_until + propagation_s` (of the call's api, else the default), else `stale`"
    let ended = rows.iter().filter(|row| row.valid_until.is_some_and(|until| until <= at));
    if let Some(row) = ended.max_by_key(|row| row.valid_until) {
        let stale = at >= plus_s(row.valid_until.unwrap(), propagation_s);
        let valid_until = if stale { row.valid_until } else { None };
        return Some(CredentialAxis { partner: row.partner.clone(), stale, valid_until });
    }
    // "if all rows begin later, the first to begin names it: `stale`."
    let row = rows.iter().min_by_key(|row| row.valid_from)?;
    Some(CredentialAxis { partner: row.partner.clone(), stale: true, valid_until: None })
}

/// The api's row, if the register knows it.
pub fn api_row<'a>(known: &'a Rows, api: &str) -> Option<&'a ApiRow> {
    known.apis.iter().find(|row| row.api == api)
}

/// "how long after an end caches may lawfully still serve calls; blank: `[register] propagation_s` of the config"
pub fn propagation_of(known: &Rows, api: Option<&str>, default_s: u64) -> u64 {
    let row = api.and_then(|api| api_row(known, api));
    row.and_then(|row| row.propagation_s).unwrap_or(default_s)
}

/// "*Api.* … `dormant` if `dormant_since <= at`." An api that has no row is not declared dormant.
fn dormant(known: &Rows, api: &str, at: Instant) -> bool {
    let since = api_row(known, api).and_then(|row| row.dormant_since);
    since.is_some_and(|since| since <= at)
}

/// "`end` = the earlier of `expires_at` and `revoked_at` (… no end: never)"
pub fn end(grant: &GrantRow) -> Option<Instant> {
    [grant.expires_at, grant.revoked_at].into_iter().flatten().min()
}

/// "A grant is *live* if `granted_at <= at < end` (no `granted_at`: the beginning of time …)"
pub fn live(grant: &GrantRow, at: Instant) -> bool {
    grant.granted_at.is_none_or(|from| from <= at) && end(grant).is_none_or(|end| at < end)
}

/// "It *ended by revocation* if `revoked_at <= expires_at`."
fn by_revocation(grant: &GrantRow) -> bool {
    match (grant.revoked_at, grant.expires_at) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(revoked_at), Some(expires_at)) => revoked_at <= expires_at,
    }
}

/// "those of G that cover the operation"
fn covers(grant: &GrantRow, operation: &str) -> bool {
    grant.operations.iter().any(|named| named == "*" || named == operation)
}

/// The end of the grant's purpose, if it has one that ends. A purpose that has no row has not ended.
pub fn purpose_ended_at(known: &Rows, grant: &GrantRow) -> Option<Instant> {
    let purpose = grant.purpose.as_ref()?;
    known.purposes.iter().find(|row| &row.purpose == purpose)?.ended_at
}

fn purpose_ended(known: &Rows, grant: &GrantRow, at: Instant) -> bool {
    purpose_ended_at(known, grant).is_some_and(|ended_at| ended_at <= at)
}

fn certification_lapsed(grant: &GrantRow, at: Instant) -> bool {
    grant.certified_until.is_some_and(|until| until <= at)
}

/// A subject's consent, as one call needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consent {
    /// Given, not needed, or left aside.
    NotMissing,
    /// Missing; with the withdrawal's instant, if there was one.
    Missing(Option<Instant>),
}

/// The paragraph *Consent*.
fn consent(known: &Rows, subject: Option<&str>, partner: &str, api: &str, at: Instant) -> Consent {
    // "A call without a subject misses no consent"
    let Some(subject) = subject else { return Consent::NotMissing };
    // "of the rows of that subject whose partner and api are equal or `*`, the one with the latest `at <= t`; of two
    // with the same `at`, `withdrawn`."
    let concerns = |row: &&super::rows::ConsentRow| {
        row.subject == subject
            && (row.partner == partner || row.partner == "*")
            && (row.api == api || row.api == "*")
            && row.at <= at
    };
    let last = known.consents.iter().filter(concerns).max_by_key(|row| (row.at, !row.given));
    // "It is missing if that row says `withdrawn`, or there is none and the api's `consent` is `required`."
    match last {
        Some(row) if row.given => Consent::NotMissing,
        Some(row) => Consent::Missing(Some(row.at)),
        None if api_row(known, api).is_some_and(|row| row.consent_required) => {
            Consent::Missing(None)
        }
        None => Consent::NotMissing,
    }
}

/// The axis *Grant*: its value, the grant it names, since when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantAxis {
    pub value: Verdict,
    pub grant: Option<String>,
    pub since: Option<Instant>,
}

impl GrantAxis {
    fn of(value: Verdict, grant: &GrantRow, since: Option<Instant>) -> GrantAxis {
        GrantAxis { value, grant: Some(grant.grant.clone()), since }
    }

    fn nameless(value: Verdict) -> GrantAxis {
        GrantAxis { value, grant: None, since: None }
    }
}

/// "earliest granted_at … then the smaller grant id in byte order, always"
fn earliest<'a>(grants: &[&'a GrantRow]) -> Option<&'a GrantRow> {
    grants.iter().copied().min_by_key(|grant| (grant.granted_at, grant.grant.clone()))
}

/// The one with the latest of some instant; of two with the same, the smaller grant id.
fn latest<'a>(
    grants: &[&'a GrantRow],
    instant: impl Fn(&GrantRow) -> Option<Instant>,
) -> Option<&'a GrantRow> {
    let mut by_id = grants.to_vec();
    by_id.sort_by(|a, b| a.grant.cmp(&b.grant));
    let last = by_id.iter().map(|grant| instant(grant)).max()?;
    by_id.into_iter().find(|grant| instant(grant) == last)
}

/// "latest end"; "Ties: of two grants with the same end, one that ended by revocation comes first; then the smaller
/// grant id in byte order, always."
fn ended_last<'a>(grants: &[&'a GrantRow]) -> Option<&'a GrantRow> {
    let last = grants.iter().filter_map(|grant| end(grant)).max()?;
    let at_last: Vec<&GrantRow> =
        grants.iter().copied().filter(|grant| end(grant) == Some(last)).collect();
    at_last.into_iter().min_by_key(|grant| (!by_revocation(grant), grant.grant.clone()))
}

/// "The axis has the first of these values that applies", the table row by row.
fn grant_axis(
    known: &Rows,
    (partner, api, operation): (&str, &str, &str),
    at: Instant,
    propagation_s: u64,
    consent: Consent,
) -> GrantAxis {
    // "Let G be the grants of the partner on the api, O those of G that cover the operation."
    let g: Vec<&GrantRow> =
        known.grants.iter().filter(|row| row.partner == partner && row.api == api).collect();
    let o: Vec<&GrantRow> = g.iter().copied().filter(|grant| covers(grant, operation)).collect();

    // "O has a live grant whose purpose has not ended and whose certification has not lapsed"
    let live_in_o: Vec<&GrantRow> = o.iter().copied().filter(|grant| live(grant, at)).collect();
    let with_purpose: Vec<&GrantRow> =
        live_in_o.iter().copied().filter(|grant| !purpose_ended(known, grant, at)).collect();
    let such: Vec<&GrantRow> =
        with_purpose.iter().copied().filter(|grant| !certification_lapsed(grant, at)).collect();
    let overriding: Vec<&GrantRow> =
        such.iter().copied().filter(|grant| grant.overrides_consent).collect();
    match consent {
        // "… and the subject's consent is not missing"
        Consent::NotMissing => {
            if let Some(grant) = earliest(&such) {
                return GrantAxis::of(Verdict::Granted, grant, None);
            }
        }
        Consent::Missing(withdrawn_at) => {
            // "such a grant, consent is missing, and one such says `overrides_consent`"
            if let Some(grant) = earliest(&overriding) {
                return GrantAxis::of(Verdict::ConsentOverridden, grant, withdrawn_at);
            }
            // "such a grant, consent is missing, none such overrides"
            if let Some(grant) = earliest(&such) {
                return GrantAxis::of(Verdict::WithoutConsent, grant, withdrawn_at);
            }
        }
    }
    // "else a live grant in O whose purpose has not ended (`certified_until <= at`)"
    if let Some(grant) = latest(&with_purpose, |grant| grant.certified_until) {
        return GrantAxis::of(Verdict::Uncertified, grant, grant.certified_until);
    }
    // "else a live grant in O (its purpose's `ended_at <= at`)"
    if let Some(grant) = latest(&live_in_o, |grant| purpose_ended_at(known, grant)) {
        return GrantAxis::of(Verdict::PurposeEnded, grant, purpose_ended_at(known, grant));
    }
    let ended: Vec<&GrantRow> =
        o.iter().copied().filter(|grant| end(grant).is_some_and(|end| end <= at)).collect();
    if let Some(grant) = ended_last(&ended) {
        let end = end(grant).unwrap();
        let value = if !by_revocation(grant) {
            // "else some grant in O has ended"
            Verdict::AfterExpiry
        } else if at < plus_s(end, propagation_s) {
            // "else some grant in O has ended; the one that ended last did so by revocation, and
            // `at < end + propagation_s`"
            Verdict::Propagating
        } else {
            // "else, and the one that ended last ended by revocation"
            Verdict::AfterRevocation
        };
        return GrantAxis::of(value, grant, Some(end));
    }
    // "else some grant in O starts later"
    let later: Vec<&GrantRow> =
        o.iter().copied().filter(|grant| grant.granted_at.is_some_and(|from| from > at)).collect();
    if let Some(grant) = earliest(&later) {
        return GrantAxis::of(Verdict::BeforeGrant, grant, None);
    }
    // "else some grant in G is live (for other operations)"
    if g.iter().any(|grant| live(grant, at)) {
        return GrantAxis::nameless(Verdict::OutOfScope);
    }
    GrantAxis::nameless(Verdict::NeverGranted)
}

/// The grant axis "consent left aside".
pub fn grant_axis_consent_aside(
    known: &Rows,
    what: (&str, &str, &str),
    at: Instant,
    propagation_s: u64,
) -> GrantAxis {
    grant_axis(known, what, at, propagation_s, Consent::NotMissing)
}

/// "*Active-and-granted* is: the api not dormant, and the grant axis, consent left aside, `granted`."
pub fn active_and_granted(known: &Rows, what: (&str, &str, &str), at: Instant) -> bool {
    // Propagation only tells two values from each other that are both not `granted`.
    !dormant(known, what.1, at)
        && grant_axis(known, what, at, 0, Consent::NotMissing).value == Verdict::Granted
}

/// The verdict on a (partner, api, operation) at an instant, credential and consent left aside.
pub fn verdict_consent_aside(
    known: &Rows,
    what: (&str, &str, &str),
    at: Instant,
    default_propagation_s: u64,
) -> Verdict {
    if dormant(known, what.1, at) {
        return Verdict::DormantApi;
    }
    let propagation_s = propagation_of(known, Some(what.1), default_propagation_s);
    grant_axis(known, what, at, propagation_s, Consent::NotMissing).value
}

/// Every instant at which something in apis, grants or purposes changes, sorted.
pub fn candidates(known: &Rows) -> Vec<Instant> {
    let mut instants: Vec<Instant> = Vec::new();
    for grant in &known.grants {
        instants.extend(grant.granted_at);
        instants.extend(grant.expires_at);
        instants.extend(grant.revoked_at);
        instants.extend(grant.certified_until);
    }
    instants.extend(known.purposes.iter().filter_map(|purpose| purpose.ended_at));
    instants.extend(known.apis.iter().filter_map(|api| api.dormant_since));
    instants.sort();
    instants.dedup();
    instants
}

/// "`lapsed_at` of a call that isn't is the start of the unbroken stretch up to it in which its
/// (partner, api, operation) wasn't; null if it never was before."
fn stretch_start(known: &Rows, what: (&str, &str, &str), at: Instant) -> Option<Instant> {
    let up_to_it = candidates(known).into_iter().filter(|&instant| instant <= at);
    // Between two candidates nothing changes, so the last one before which all was well starts the stretch.
    let mut backwards = up_to_it.rev();
    backwards.find(|&instant| {
        just_before(instant).is_some_and(|before| active_and_granted(known, what, before))
    })
}

/// "*Hindsight.* Take the api and grant axes once more with only those versions of apis, grants and purposes that were
/// recorded by the call's own instant, consent left aside. If active-and-granted comes out differently than with all
/// versions, `also` has `hindsight`"
fn hindsight(
    rows: &Rows,
    as_known_at: Option<Instant>,
    what: (&str, &str, &str),
    at: Instant,
) -> bool {
    let by_then = as_known_at.map_or(at, |known_at| known_at.min(at));
    let then = active_and_granted(&rows.known_at(Some(by_then)), what, at);
    then != active_and_granted(&rows.known_at(as_known_at), what, at)
}

/// "an operation named by neither comes from the method: GET, HEAD, OPTIONS → `read`; POST, PUT, PATCH → `write`;
/// DELETE → `delete`; any other method → its lower-case name; no method → `unknown`. Methods compare without regard to
/// case"
pub fn operation_of_method(method: Option<&str>) -> String {
    let Some(method) = method else { return "unknown".to_owned() };
    match method.to_uppercase().as_str() {
        "GET" | "HEAD" | "OPTIONS" => "read".to_owned(),
        "POST" | "PUT" | "PATCH" => "write".to_owned(),
        "DELETE" => "delete".to_owned(),
        _ => method.to_lowercase(),
    }
}

/// Judges one call by all versions of the register known at `as_known_at`.
pub fn judge(
    rows: &Rows,
    as_known_at: Option<Instant>,
    default_propagation_s: u64,
    call: &Call,
) -> Judged {
    let known = rows.known_at(as_known_at);
    let at = call.at;
    let route = call.path.as_ref().and_then(|path| {
        target::route(&known.routes, call.host.as_deref(), call.method.as_deref(), path)
    });
    // "*Api and operation* are the log's own where the format maps them, else the route's"
    let api = call.api.clone().or(route.map(|route| route.api.clone()));
    let listed = api.as_ref().and_then(|api| api_row(&known, api));
    // "but where the api is unlisted (…): what the log names, else null"
    let operation = match (&call.operation, listed) {
        (Some(operation), _) => Some(operation.clone()),
        (None, None) => None,
        (None, Some(_)) => Some(
            route
                .and_then(|route| route.operation.clone())
                .unwrap_or_else(|| operation_of_method(call.method.as_deref())),
        ),
    };
    // "Absent is absent: `-`, empty and null are no value"
    let subject_of_route =
        || target::value(route?, call.path.as_ref()?, "user").filter(|value| value != "-");
    let subject = call.user.clone().or_else(subject_of_route);

    let propagation_s = propagation_of(&known, api.as_deref(), default_propagation_s);
    let credential_axis = call
        .credential
        .as_ref()
        .and_then(|credential| credential_axis(&known, credential, at, propagation_s));

    let mut judged = Judged {
        verdict: Verdict::Open,
        also: Vec::new(),
        grant: None,
        since: None,
        lapsed_at: None,
        partner: credential_axis.as_ref().map(|axis| axis.partner.clone()),
        api,
        operation,
        subject,
        held: Vec::new(),
    };

    // "The **verdict** is the first that applies of: `open` (the api's access is open)"
    if listed.is_some_and(|row| row.open) {
        return judged;
    }
    // "`anonymous` (no credential), `unknown-credential` (one the register does not know)"
    let Some(credential_axis) = credential_axis else {
        judged.verdict = match call.credential {
            None => Verdict::Anonymous,
            Some(_) => Verdict::UnknownCredential,
        };
        judged.held.push((Kind::Verdict(judged.verdict), None));
        return judged;
    };
    let stale = credential_axis.stale;
    let valid_until = credential_axis.valid_until;
    // "`unlisted-api` (no route, or an api it does not know)"
    let Some(listed) = listed else {
        judged.verdict = Verdict::UnlistedApi;
        judged.held.push((Kind::Verdict(Verdict::UnlistedApi), None));
        hold_stale(&mut judged, stale, valid_until);
        return judged;
    };

    let operation = judged.operation.clone().unwrap();
    let what = (credential_axis.partner.as_str(), listed.api.as_str(), operation.as_str());
    let missing = consent(&known, judged.subject.as_deref(), what.0, what.1, at);
    let axis = grant_axis(&known, what, at, propagation_s, missing);
    judged.grant = axis.grant.clone();

    // "`dormant-api`, the grant axis unless it is `granted`, `stale-credential`, `granted`"
    if dormant(&known, what.1, at) {
        judged.verdict = Verdict::DormantApi;
        judged.since = listed.dormant_since;
    } else if axis.value != Verdict::Granted {
        judged.verdict = axis.value;
        judged.since = axis.since;
    } else if stale {
        judged.verdict = Verdict::StaleCredential;
        judged.since = valid_until;
    } else {
        judged.verdict = Verdict::Granted;
    }
    if !judged.verdict.in_order() {
        judged.held.push((Kind::Verdict(judged.verdict), judged.since));
    }

    // "**also**, a set: the grant axis, if the verdict is `dormant-api` and the axis is not `granted`"
    if judged.verdict == Verdict::DormantApi && axis.value != Verdict::Granted {
        judged.also.push(axis.value.as_str());
        judged.held.push((Kind::Verdict(axis.value), axis.since));
    }
    // "`stale-credential`, if the axis is stale and the verdict another one"
    if judged.verdict != Verdict::StaleCredential {
        hold_stale(&mut judged, stale, valid_until);
    }
    if hindsight(rows, as_known_at, what, at) {
        judged.also.push("hindsight");
        // "(`hindsight`: only those in order; of the others it counts how many)"
        if judged.verdict.in_order() {
            judged.held.push((Kind::Hindsight, None));
        }
    }
    // "`also` in byte order"
    judged.also.sort();

    judged.lapsed_at = if active_and_granted(&known, what, at) {
        // "For one that is, it is null, but for `without-consent` the withdrawal's `at`, and for a stale credential
        // its `valid_until`."
        let withdrawn_at = match axis.value {
            Verdict::WithoutConsent => axis.since,
            _ => None,
        };
        let ended_at = if stale { valid_until } else { None };
        // "both …: the earlier of the non-null ones"
        [withdrawn_at, ended_at].into_iter().flatten().min()
    } else {
        stretch_start(&known, what, at)
    };
    judged
}

fn hold_stale(judged: &mut Judged, stale: bool, valid_until: Option<Instant>) {
    if stale {
        judged.also.push(Verdict::StaleCredential.as_str());
        judged.held.push((Kind::Verdict(Verdict::StaleCredential), valid_until));
    }
}
