//! The twin judged by hand: expected values are worked out in the comments, from the contract.

#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, TestRunner};

use overstay::judge::Verdict;
use overstay::report::EndStatus;
use overstay::time::Instant;

use super::judge::{credential_hex, masked};
use super::lines::{lines, parse, rfc3339, shape};
use super::rows::{
    ApiRow, ConsentRow, CredentialRow, GrantRow, PartnerRow, PurposeRow, RouteRow, Rows,
};
use super::target::{route, segments, target, templated, value};
use super::told::Report;
use super::{Call, Case, InputCase, Judged, LineCase, Outcome, generate, judge, report};

/// 1 January 2019, that hour; `+` or `-` a nanosecond after it.
fn t(text: &str) -> Instant {
    let (hour, ns) = match text.strip_suffix(['+', '-']) {
        Some(hour) => (hour, if text.ends_with('+') { 1 } else { -1 }),
        None => (text, 0),
    };
    let whole = rfc3339(&format!("2019-01-01T{hour}:00:00Z")).unwrap();
    Instant::from_ns(whole.ns() + ns)
}

/// The register of the hand-worked cases. Partner `ames` (and `bolt`), key `ames-key` valid until 20:00.
///
/// | grant | api | operations | |
/// | --- | --- | --- | --- |
/// | g-read | photos | read | 02:00 until revoked at 06:00 |
/// | g-write | photos | write | 02:00 until expired at 06:00 |
/// | g-cert | photos | list | from 02:00, certified until 04:00 |
/// | g-purp | photos | tag | from 02:00, purpose ends at 04:00 |
/// | g-all | messages | * | from 02:00; consent required |
/// | g-over | letters | read | from 02:00; consent required, overridden |
/// | g-old | old | read | from 02:00; dormant since 05:00, revoked at 08:00 |
fn register() -> Rows {
    let api = |api: &str| ApiRow { api: api.to_owned(), ..ApiRow::default() };
    let grant = |grant: &str, api: &str, operation: &str| GrantRow {
        grant: grant.to_owned(),
        partner: "ames".to_owned(),
        api: api.to_owned(),
        operations: vec![operation.to_owned()],
        granted_at: Some(t("02")),
        ..GrantRow::default()
    };
    let partner =
        |partner: &str| PartnerRow { partner: partner.to_owned(), ..PartnerRow::default() };
    let path = |path: &str, api: &str| RouteRow {
        path: path.to_owned(),
        api: api.to_owned(),
        ..RouteRow::default()
    };
    Rows {
        partners: vec![partner("ames"), partner("bolt")],
        credentials: vec![
            CredentialRow {
                credential: "ames-key".to_owned(),
                partner: "ames".to_owned(),
                valid_until: Some(t("20")),
                ..CredentialRow::default()
            },
            CredentialRow {
                credential: format!("sha256:{}", credential_hex("bolt-key").to_uppercase()),
                partner: "bolt".to_owned(),
                valid_from: Some(t("10")),
                ..CredentialRow::default()
            },
        ],
        apis: vec![
            ApiRow { propagation_s: Some(3600), ..api("photos") },
            ApiRow { consent_required: true, ..api("messages") },
            ApiRow { consent_required: true, ..api("letters") },
            ApiRow { dormant_since: Some(t("05")), ..api("old") },
            ApiRow { open: true, ..api("health") },
        ],
        routes: vec![
            path("/photos/{user}", "photos"),
            path("/messages/{user}", "messages"),
            path("/letters/{user}", "letters"),
            path("/old", "old"),
            path("/health", "health"),
        ],
        grants: vec![
            GrantRow { revoked_at: Some(t("06")), ..grant("g-read", "photos", "read") },
            GrantRow { expires_at: Some(t("06")), ..grant("g-write", "photos", "write") },
            GrantRow { certified_until: Some(t("04")), ..grant("g-cert", "photos", "list") },
            GrantRow { purpose: Some("tags".to_owned()), ..grant("g-purp", "photos", "tag") },
            grant("g-all", "messages", "*"),
            GrantRow { overrides_consent: true, ..grant("g-over", "letters", "read") },
            GrantRow { revoked_at: Some(t("08")), ..grant("g-old", "old", "read") },
        ],
        purposes: vec![PurposeRow {
            purpose: "tags".to_owned(),
            ended_at: Some(t("04")),
            ..PurposeRow::default()
        }],
        consents: vec![
            consent("u1", "ames", "messages", "03", true),
            consent("u1", "*", "messages", "05", false),
        ],
    }
}

fn consent(subject: &str, partner: &str, api: &str, at: &str, given: bool) -> ConsentRow {
    ConsentRow {
        recorded_at: None,
        subject: subject.to_owned(),
        partner: partner.to_owned(),
        api: api.to_owned(),
        at: t(at),
        given,
    }
}

/// A served call: `METHOD /path` or `METHOD /path operation`.
fn call(at: Instant, credential: &str, request: &str) -> Call {
    let words: Vec<&str> = request.split(' ').collect();
    Call {
        at,
        credential: (credential != "-").then(|| credential.to_owned()),
        method: Some(words[0].to_owned()),
        path: Some(words[1].to_owned()),
        host: None,
        api: None,
        operation: words.get(2).map(|&operation| operation.to_owned()),
        outcome: Outcome::Served,
        status: None,
        bytes: None,
        latency_us: None,
        user: None,
        actor: None,
        remote_addr: None,
        user_agent: None,
        request_id: None,
    }
}

/// `verdict grant since lapsed_at also`, absent things as `-`, instants of [`t`] as their hour.
fn told(judged: &Judged) -> String {
    let hour = |at: Option<Instant>| match at {
        Some(at) => at.to_string()[11..13].to_owned(),
        None => "-".to_owned(),
    };
    let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let line = format!(
        "{} {} {} {} {}",
        judged.verdict,
        text(&judged.grant),
        hour(judged.since),
        hour(judged.lapsed_at),
        judged.also.join(",")
    );
    line.trim_end().to_owned()
}

/// Judges `ames-key`'s request at that hour.
fn ames(rows: &Rows, at: &str, request: &str) -> String {
    told(&judge(rows, None, 0, &call(t(at), "ames-key", request)))
}

#[test]
fn every_verdict_at_its_boundaries() {
    let rows = register();
    let check = |at: &str, request: &str, expected: &str| {
        assert_eq!(ames(&rows, at, request), expected, "{request} at {at}");
    };
    // g-read runs from 02:00 until revoked at 06:00; caches may serve an hour longer. Lapsed when it ended.
    check("02-", "GET /photos/u", "before-grant g-read - -");
    check("02", "GET /photos/u", "granted g-read - -");
    check("06-", "GET /photos/u", "granted g-read - -");
    check("06", "GET /photos/u", "propagating g-read 06 06");
    check("07-", "GET /photos/u", "propagating g-read 06 06");
    check("07", "GET /photos/u", "after-revocation g-read 06 06");
    // g-write expired: nothing propagates.
    check("06-", "POST /photos/u", "granted g-write - -");
    check("06", "POST /photos/u", "after-expiry g-write 06 06");
    // Certification until 04:00, purpose until 04:00.
    check("04-", "GET /photos/u list", "granted g-cert - -");
    check("04", "GET /photos/u list", "uncertified g-cert 04 04");
    check("04-", "GET /photos/u tag", "granted g-purp - -");
    check("04", "GET /photos/u tag", "purpose-ended g-purp 04 04");
    // Nobody may delete photos; at 03:00 other grants are live, at 01:00 none is.
    check("03", "DELETE /photos/u", "out-of-scope - - -");
    check("01", "DELETE /photos/u", "never-granted - - -");
    // u1 consented at 03:00 and withdrew at 05:00; u2 never said a word; nobody: no consent is missed.
    check("03-", "GET /messages/u1", "without-consent g-all - -");
    check("03", "GET /messages/u1", "granted g-all - -");
    check("05-", "GET /messages/u1", "granted g-all - -");
    check("05", "GET /messages/u1", "without-consent g-all 05 05");
    check("05", "GET /messages/u2", "without-consent g-all - -");
    // The override's lapsed_at is null; without a withdrawal, since too.
    check("05", "GET /letters/u2", "consent-overridden g-over - -");
    // Dormant since 05:00, while the grant is live until 08:00. Access has lapsed with dormancy, also after 08:00.
    check("05-", "GET /old", "granted g-old - -");
    check("05", "GET /old", "dormant-api g-old 05 05");
    check("08", "GET /old", "dormant-api g-old 05 05 after-revocation");
    check("05", "GET /health", "open - - -");
    check("05", "GET /nowhere", "unlisted-api - - -");
}

#[test]
fn credentials_hashed_unknown_stale_and_moved() {
    let rows = register();
    let check = |at: &str, credential: &str, request: &str, partner: &str, expected: &str| {
        let judged = judge(&rows, None, 0, &call(t(at), credential, request));
        let found = (judged.partner.clone().unwrap_or_else(|| "-".to_owned()), told(&judged));
        assert_eq!(found, (partner.to_owned(), expected.to_owned()), "{credential} at {at}");
    };
    check("03", "-", "GET /photos/u", "-", "anonymous - - -");
    check("03", "who", "GET /photos/u", "-", "unknown-credential - - -");
    // An open api asks nobody, but the partner is known by the key.
    check("03", "-", "GET /health", "-", "open - - -");
    check("21", "ames-key", "GET /health", "ames", "open - - -");
    // Nothing of the register says `letters` was ever bolt's. Its key begins at 10:00, before that it is stale.
    check("10", "bolt-key", "GET /letters/u", "bolt", "never-granted - - -");
    check("10-", "bolt-key", "GET /letters/u", "bolt", "never-granted - - - stale-credential");
    let as_hash = format!("sha256:{}", credential_hex("bolt-key"));
    check("10", &as_hash, "GET /letters/u", "bolt", "never-granted - - -");
    // An unlisted api and a stale key.
    check("20", "ames-key", "GET /no", "ames", "unlisted-api - - - stale-credential");

    // A moved key: ames's until 20:00, bolt's from 22:00. Between them it names ames, who let it end at 20:00.
    let mut moved = rows.clone();
    moved.credentials.push(CredentialRow {
        credential: "ames-key".to_owned(),
        partner: "bolt".to_owned(),
        valid_from: Some(t("22")),
        ..CredentialRow::default()
    });
    let mut tags = call(t("20"), "ames-key", "PURGE /messages/u1");
    tags.path = Some("/messages/".to_owned());
    tags.api = Some("messages".to_owned());
    let at = |at: Instant, default_s: u64| {
        let judged = judge(&moved, None, default_s, &Call { at, ..tags.clone() });
        (judged.partner.clone().unwrap(), told(&judged))
    };
    let ames = |told: &str| ("ames".to_owned(), told.to_owned());
    assert_eq!(at(t("20-"), 0), ames("granted g-all - -"));
    assert_eq!(at(t("20"), 0), ames("stale-credential g-all 20 20"));
    // With propagation of an hour it is valid still.
    assert_eq!(at(t("21-"), 3600), ames("granted g-all - -"));
    assert_eq!(at(t("21"), 3600), ames("stale-credential g-all 20 20"));
    assert_eq!(at(t("22"), 0), ("bolt".to_owned(), "never-granted - - -".to_owned()));
    // Stale and without consent: the withdrawal at 05:00 is the earlier.
    let user = Call { user: Some("u1".to_owned()), ..tags.clone() };
    assert_eq!(
        told(&judge(&moved, None, 0, &user)),
        "without-consent g-all 05 05 stale-credential"
    );
}

#[test]
fn hindsight_excuses_and_accuses() {
    // The revocation at 06:00 was written down at 09:00, the first version says nothing of an end.
    let mut rows = register();
    let late = GrantRow { recorded_at: Some(t("09")), ..rows.grants[0].clone() };
    rows.grants[0].revoked_at = None;
    rows.grants.push(late);
    assert_eq!(ames(&rows, "06-", "GET /photos/u"), "granted g-read - -");
    assert_eq!(ames(&rows, "07", "GET /photos/u"), "after-revocation g-read 06 06 hindsight");
    assert_eq!(ames(&rows, "09-", "GET /photos/u"), "after-revocation g-read 06 06 hindsight");
    assert_eq!(ames(&rows, "09", "GET /photos/u"), "after-revocation g-read 06 06");
    // As known at 08:00 there was no revocation, so nothing differs.
    let known_at_8 = judge(&rows, Some(t("08")), 0, &call(t("07"), "ames-key", "GET /photos/u"));
    assert_eq!(told(&known_at_8), "granted g-read - -");

    // The other way round: a grant from 02:00 that was written down at 04:00 only.
    let mut rows = register();
    rows.grants[0].recorded_at = Some(t("04"));
    let excused = judge(&rows, None, 0, &call(t("03"), "ames-key", "GET /photos/u"));
    assert_eq!(told(&excused), "granted g-read - - hindsight");
    assert_eq!(excused.held.len(), 1, "a call in order is held by the finding `hindsight` alone");
    assert_eq!(ames(&rows, "04", "GET /photos/u"), "granted g-read - -");
    // As known at 03:00 the grant does not exist; others are live.
    let before = judge(&rows, Some(t("03")), 0, &call(t("03"), "ames-key", "GET /photos/u"));
    assert_eq!(told(&before), "out-of-scope - - -");
}

#[test]
fn ties_go_to_the_revoked_then_to_the_smaller_id() {
    let mut rows = register();
    // g-read was revoked at 06:00. `a` expires then: the revoked one comes first, whatever its id.
    let like = rows.grants[0].clone();
    let of = |grant: &str, expires_at: Option<&str>, revoked_at: Option<&str>| GrantRow {
        grant: grant.to_owned(),
        expires_at: expires_at.map(t),
        revoked_at: revoked_at.map(t),
        ..like.clone()
    };
    rows.grants.push(of("a", Some("06"), None));
    assert_eq!(ames(&rows, "07", "GET /photos/u"), "after-revocation g-read 06 06");
    // Two live ones with the same start: the smaller id.
    assert_eq!(ames(&rows, "05", "GET /photos/u"), "granted a - -");
    // `b` ended by revocation at 06:00 too, as `revoked_at <= expires_at`.
    rows.grants.push(of("b", Some("06"), Some("06")));
    assert_eq!(ames(&rows, "07", "GET /photos/u"), "after-revocation b 06 06");
    // `c` ends later: it is the one that ended last, and by expiry. Access lapsed when it ended.
    rows.grants.push(of("c", Some("07"), Some("08")));
    assert_eq!(ames(&rows, "06", "GET /photos/u"), "granted c - -");
    assert_eq!(ames(&rows, "07", "GET /photos/u"), "after-expiry c 07 07");
}

#[test]
fn lapsed_at_is_the_start_of_the_last_stretch() {
    let mut rows = register();
    // g-read ended at 06:00; again granted from 08:00 until 10:00; then a purpose that had ended at 09:00.
    let again = GrantRow {
        grant: "g-again".to_owned(),
        granted_at: Some(t("08")),
        revoked_at: None,
        expires_at: Some(t("10")),
        purpose: Some("tours".to_owned()),
        ..rows.grants[0].clone()
    };
    rows.grants.push(again);
    rows.purposes.push(PurposeRow {
        purpose: "tours".to_owned(),
        ended_at: Some(t("09")),
        ..PurposeRow::default()
    });
    assert_eq!(ames(&rows, "07", "GET /photos/u"), "after-revocation g-read 06 06");
    assert_eq!(ames(&rows, "08", "GET /photos/u"), "granted g-again - -");
    assert_eq!(ames(&rows, "09", "GET /photos/u"), "purpose-ended g-again 09 09");
    // The verdict changes at 10:00, the stretch began at 09:00.
    assert_eq!(ames(&rows, "10", "GET /photos/u"), "after-expiry g-again 10 09");
}

fn case_of(register: Option<Rows>, lines: &[&str]) -> Case {
    Case {
        register,
        inputs: vec![InputCase::plain("logs/a.log", "gw", lines)],
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

/// A log line of `ames-key`.
fn logged(at: &str, request: &str, status: u16) -> String {
    let words: Vec<&str> = request.split(' ').collect();
    format!(
        r#"{{"at":"2019-01-01T{at}Z","client_id":"ames-key","method":"{}","path":"{}","status":{status},"bytes":10}}"#,
        words[0], words[1]
    )
}

fn report_of(lines: &[String]) -> Report {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    report(&case_of(Some(register()), &lines))
}

/// `api grant reason ended_at operations last_served first_denied lag status`
fn told_ends(report: &Report) -> Vec<String> {
    let hour =
        |at: Option<Instant>| at.map_or("-".to_owned(), |at| at.to_string()[11..19].to_owned());
    let mut ends: Vec<String> = Vec::new();
    for end in &report.ends {
        ends.push(format!(
            "{} {} {} {} {} {} {} {:?} {:?}",
            end.api,
            end.grant,
            end.reason,
            hour(Some(end.ended_at)),
            end.operations.join(","),
            hour(end.last_served),
            hour(end.first_denied),
            end.lag_s,
            end.status
        ));
    }
    ends
}

#[test]
fn ends_are_cut_open_or_untested() {
    // The window is from 03:00 to 07:00. Within: g-cert and g-purp at 04:00, g-old (dormant) at 05:00, g-read and
    // g-write at 06:00. `old` is revoked at 08:00, after the window, and it was dormant by then.
    let report = report_of(&[
        logged("03:00:00", "GET /photos/u", 200),
        logged("06:10:00", "GET /photos/u", 200),
        logged("06:20:00", "GET /photos/u", 403),
        logged("06:00:30.5", "POST /photos/u", 200),
        logged("06:59:59", "POST /photos/u", 200),
        logged("07:00:00", "POST /photos/u", 200),
    ]);
    assert_eq!(
        told_ends(&report),
        [
            "old g-old dormant-api 05:00:00 read - - None Untested",
            "photos g-cert uncertified 04:00:00 list - - None Untested",
            "photos g-purp purpose-ended 04:00:00 tag - - None Untested",
            // Served ten minutes after the end, while it propagated; denied then.
            "photos g-read propagating 06:00:00 read 06:10:00 06:20:00 Some(600) Cut",
            // Served an hour after the end, when nothing propagates any more.
            "photos g-write after-expiry 06:00:00 write 07:00:00 - Some(3600) Open",
        ]
    );
    assert_eq!(report.ends[3].status, EndStatus::Cut);
    // Without the call at 07:00 the last served one is within the hour, and none was denied.
    let report = report_of(&[
        logged("05:30:00", "GET /photos/u", 200),
        logged("06:59:59", "POST /photos/u", 200),
    ]);
    assert_eq!(
        told_ends(&report),
        [
            "photos g-read propagating 06:00:00 read - - None Untested",
            "photos g-write after-expiry 06:00:00 write 06:59:59 - Some(3599) Untested",
        ]
    );
    // Before the window: only that of which a call came.
    let report = report_of(&[logged("10:00:00", "GET /photos/u", 401)]);
    assert_eq!(told_ends(&report), ["photos g-read propagating 06:00:00 read - 10:00:00 None Cut"]);
}

#[test]
fn ends_of_a_star_grant_speak_of_what_no_grant_names() {
    let mut rows = register();
    rows.grants[4].revoked_at = Some(t("06"));
    // `list` has a grant of its own that runs on: it does not end with the `*` grant.
    let list = GrantRow {
        grant: "g-list".to_owned(),
        operations: vec!["list".to_owned()],
        revoked_at: None,
        ..rows.grants[4].clone()
    };
    rows.grants.push(list);
    let lines = [
        logged("05:00:00", "GET /messages", 200),
        // Named by no grant.
        logged("06:00:01", "PURGE /messages/u2", 200),
    ];
    let report = report(&case_of(Some(rows), &lines.each_ref().map(String::as_str)));
    // The other apis' grants end in the window as they always do.
    let of_messages: Vec<String> =
        told_ends(&report).into_iter().filter(|end| end.starts_with("messages")).collect();
    assert_eq!(of_messages, ["messages g-all after-revocation 06:00:00 * 06:00:01 - Some(1) Open"]);
}

#[test]
fn a_finding_with_its_numbers() {
    // Six served and one denied call after the revocation at 06:00, the first while it propagated: two findings.
    let mut lines: Vec<String> =
        (1..7).map(|i| logged(&format!("{:02}:00:01.5", 5 + i), "GET /photos/u", 200)).collect();
    lines.push(logged("13:00:00", "GET /photos/u", 403));
    let report = report_of(&lines);
    // Beside these, g-purp and g-cert still stand at 13:00, though purpose and certification ended at 04:00.
    let kinds: BTreeSet<&str> = report.findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, BTreeSet::from(["after-revocation", "propagating", "standing-access"]));
    assert_eq!(report.findings.len(), 4);
    let after = report.findings.iter().find(|f| f.kind == "after-revocation").unwrap();
    assert_eq!((after.served, after.denied, after.bytes_served), (5, 1, 50));
    assert_eq!(after.since, Some(t("06")));
    assert_eq!(after.last, Some(t("13")));
    // The last served call is at 11:00:01.5, five hours after 06:00.
    assert_eq!(after.overstay_s, Some(18_001));
    assert_eq!(after.credentials, ["…-key"]);
    assert_eq!(after.operations, ["read"]);
    assert_eq!(after.subjects.count, 1);
    // Five served: three earliest and three latest share one.
    assert_eq!(after.evidence.len(), 5);
    let length = lines[0].len() as u64 + 1;
    assert_eq!(after.evidence[0].offset, length, "the first line is another finding's");
    assert_eq!(after.severity.as_str(), "critical");
    // The first 60 bits of a hash of the length-prefixed parts, five bits a character.
    let parts = b"\x10\0\0\0\0\0\0\0after-revocation\x04\0\0\0\0\0\0\0ames\x06\0\0\0\0\0\0\0photos\x06\0\0\0\0\0\0\0g-read\0\0\0\0\0\0\0\0";
    let first = u64::from_be_bytes(blake3::hash(parts).as_bytes()[..8].try_into().unwrap());
    let digit = |i: u32| b"abcdefghijklmnopqrstuvwxyz234567"[(first >> (59 - 5 * i) & 31) as usize];
    let id: String = (0..12).map(|i| char::from(digit(i))).collect();
    assert_eq!(after.id, format!("os-{id}"));

    let ames = &report.partners[0];
    // Propagating is no overstay. The longest: 11:00:01.5 - 06:00.
    assert_eq!((ames.overstayed_calls, ames.overstay_s_max), (5, Some(18_001)));
    assert_eq!((ames.calls, ames.served, ames.denied, ames.apis), (7, 6, 1, 1));
    assert_eq!(report.series.len(), 7);
    assert_eq!(report.series[0].overstayed, 0);
    assert_eq!(report.series[1].overstayed, 1);
    assert_eq!(report.coverage.partners_without_calls, 1);
    // Of seven grants, g-read alone was named.
    assert_eq!(report.coverage.grants_without_calls, 6);
    assert_eq!(report.exceptions.len(), 1);
    assert_eq!(report.exceptions[0].calls, 0);
}

#[test]
fn a_refused_attempt_is_low() {
    let report = report_of(&[logged("10:00:00", "GET /photos/u", 403)]);
    let finding = report.findings.iter().find(|f| f.kind == "after-revocation").unwrap();
    assert_eq!((finding.severity.as_str(), finding.overstay_s), ("low", None));
    assert_eq!(finding.lapsed_at, Some(t("06")), "of its last call, where none was served");
    assert!(finding.evidence.is_empty());
}

#[test]
fn a_hundred_unknown_credentials_and_the_others() {
    // 103 keys, `k5` with two calls: 100 findings and one for the three others.
    let keys = (0..103).map(|i| format!("k{i}")).chain(["k5".to_owned()]);
    let lines: Vec<String> = keys
        .map(|key| logged("01:00:00", "GET /photos/u", 200).replace("ames-key", &key))
        .collect();
    let report = report_of(&lines);
    assert_eq!(report.findings.len(), 101);
    let other: Vec<_> = report.findings.iter().filter(|f| f.credentials == ["(other)"]).collect();
    assert_eq!(other.len(), 1);
    assert_eq!(other[0].served, 3);
    assert!(report.findings.iter().any(|f| f.served == 2 && f.credentials == ["…k5"]));
}

#[test]
fn a_crowd_is_estimated() {
    let found = report(&generate::crowd(2_000));
    let finding = &found.findings[0];
    assert_eq!((found.findings.len(), finding.kind), (1, "never-granted"));
    let people = finding.subjects;
    assert!(!people.exact && people.low <= 2_000 && 2_000 <= people.high, "{people:?}");
    assert_eq!((found.partners[0].subjects, found.apis[0].subjects), (people.count, people.count));
    let people = report(&generate::crowd(512)).findings[0].subjects;
    assert_eq!((people.count, people.exact, people.low, people.high), (512, true, 512, 512));
}

#[test]
fn without_a_register_nothing_is_judged() {
    let lines = [
        r#"{"at":"2019-01-01T01:00:00Z","client_id":"abcdef","method":"GET","path":"/users/17/x"}"#,
        r#"{"at":"2019-01-01T02:00:00Z","client_id":"abcdef","method":"GET","path":"/users/18/x?a=1"}"#,
    ];
    let report = report(&case_of(None, &lines));
    assert_eq!(report.usage.len(), 1);
    let row = &report.usage[0];
    assert_eq!(row.api.as_deref(), Some("/users/{id}/x"));
    assert_eq!(row.credential.as_deref(), Some("…cdef"));
    assert_eq!((row.verdict, row.calls, row.outcome), (None, 2, "unknown"));
    assert!(report.findings.is_empty() && report.partners.is_empty() && report.ends.is_empty());
}

#[test]
fn lines_gaps_and_rejects() {
    // Offsets: the mark 0..3, two NULs, "x" at 5, one NUL at 6, "\n"; "\t" at 8, "\r\n"; a blank of three NULs 11..14,
    // "\n"; "y" at 15, "\n"; four NULs that are no line.
    let bytes = b"\xef\xbb\xbf\0\0x\0\n\t\r\n\0\0\0\ny\n\0\0\0\0";
    let (found, gap_bytes) = lines(bytes);
    let found: Vec<(u64, u64, &[u8])> =
        found.iter().map(|line| (line.number, line.offset, line.content.as_slice())).collect();
    assert_eq!(found, [(1, 5, &b"x"[..]), (2, 8, b"\t"), (3, 14, b""), (4, 15, b"y")]);
    assert_eq!(gap_bytes, 2 + 1 + 3 + 4);
    assert_eq!(lines(b"").0, []);
    assert_eq!(lines(b"x\n\ny").0.len(), 3, "an unfinished last line is a line");

    assert_eq!(shape(b"GET /\xc3\xa91 \xff\x07"), "aaa /a9 ??");
    let line = |rest: &str| parse(format!(r#"{{"at":"2019-01-01T00:00:00Z",{rest}}}"#).as_bytes());
    assert_eq!(parse(b"\xff{"), Err("not-utf8"));
    assert_eq!(parse(b"[]"), Err("malformed"));
    assert_eq!(parse(br#"{"at":"x","status":"x"}"#), Err("no-time"));
    assert_eq!(line(r#""path":"","status":"x""#), Err("no-target"));
    assert_eq!(line(r#""path":"/","status":"x""#), Err("bad-value"));
    assert_eq!(line(r#""path":"/","status":99"#), Err("bad-value"));
    assert_eq!(line(r#""path":"/","bytes":1.5"#), Err("bad-value"));
    assert_eq!(line(r#""api":"a","status":"407""#).unwrap().outcome, Outcome::Denied);
    assert_eq!(line(r#""path":"/","latency_us":"1.9""#).unwrap().latency_us, Some(1));
    assert_eq!(parse(&vec![b'a'; 1_048_577]), Err("too-long"));
    assert_eq!(parse(&vec![b'a'; 1_048_576]), Err("malformed"));

    let report = report(&case_of(
        Some(register()),
        &["", "{}", "oops 7", &logged("01:00:00", "GET /", 200)],
    ));
    assert_eq!(
        (report.accounting.lines, report.accounting.blank, report.accounting.rejected),
        (4, 1, 2)
    );
    // `{}` is an object without a time. Line 3 starts after "\n{}\n".
    let second = &report.rejects.sample[1];
    assert_eq!((second.line, second.offset, second.reason), (3, 4, "malformed"));
    assert_eq!(second.shape, "aaaa 9");
}

#[test]
fn instants_and_masks() {
    let at = |text: &str| rfc3339(text).map(Instant::ns);
    assert_eq!(at("1970-01-01T00:00:00Z"), Some(0));
    assert_eq!(at("1970-01-01t02:00:00.25+02:00"), Some(250_000_000));
    assert_eq!(at("1969-12-31 23:59:59.9999999999z"), Some(-1));
    assert_eq!(at("1969-12-31T23:59:60"), Some(0));
    assert_eq!(at("2000-02-29T00:00:00Z"), Some(951_782_400_000_000_000));
    assert_eq!(at("1900-02-29T00:00:00Z"), None);
    assert_eq!(at("9999-01-01T00:00:00Z"), None, "beyond the range of a log");
    assert_eq!((masked("abcdef"), masked("ab")), ("…cdef".to_owned(), "…ab".to_owned()));
    let upper = format!("sha256:{}", credential_hex("x").to_uppercase());
    assert_eq!(credential_hex(&upper), credential_hex("x"));
    assert_eq!(masked(&upper), masked(&credential_hex("x")));
}

#[test]
fn targets_and_precedence() {
    assert_eq!(segments("//a/./b/../c%7e%2f%zz/"), ["a", "c~%2F%zz"]);
    assert_eq!(segments("/../%2E%2e/a"), ["a"]);
    let full = target("HTTPS://user@API.Example:8443/a/b?c#d");
    assert_eq!((full.host.as_deref(), full.segments), (Some("api.example"), segments("/a/b")));
    assert_eq!(target("/a?u=http://x/y").segments, ["a"]);
    assert_eq!(
        templated("/v1/12/4f3a2b1c-0000-4000-8000-00000000000a/me@x/abcdefg1/abcdefgh"),
        "/v1/{id}/{id}/{id}/{id}/abcdefgh"
    );
    assert_eq!(templated("/V2.11/t-7/v+1/v1234/v1./v/"), "/V2.11/{id}/{id}/{id}/{id}/v");

    let row = |host: Option<&str>, method: Option<&str>, path: &str| RouteRow {
        host: host.map(str::to_owned),
        method: method.map(str::to_owned),
        path: path.to_owned(),
        ..RouteRow::default()
    };
    let rows = [
        row(None, None, "/*"),
        row(None, None, "/a/*"),
        row(None, None, "/a/{x}"),
        row(None, None, "/{y}/b"),
        row(None, None, "/a"),
        row(None, Some("GET"), "/a/{x}"),
        row(Some("h"), None, "/a/{x}"),
    ];
    let find = |host: Option<&str>, method: &str, path: &str| {
        let found = route(&rows, host, Some(method), path).unwrap();
        rows.iter().position(|row| row == found).unwrap()
    };
    assert_eq!(find(None, "PUT", "/a"), 4, "one that ends before one that goes on with `*`");
    assert_eq!(find(None, "PUT", "/a/b"), 2, "a literal on the left decides");
    assert_eq!(find(None, "get", "/a/b"), 5, "methods without regard to case");
    assert_eq!(find(Some("H:80"), "GET", "/a/b"), 6, "the host before the method");
    assert_eq!(find(None, "PUT", "/a/b/c"), 1);
    assert_eq!(find(None, "PUT", "/"), 0, "any rest, also none");
    assert_eq!(find(None, "PUT", "/c/b"), 3);
    assert_eq!(value(&rows[2], "/a/%C3%BC?x", "x").as_deref(), Some("ü"));
    assert_eq!(value(&rows[2], "/a/%ff", "x").as_deref(), Some("%FF"));
}

#[test]
fn the_window_leaves_calls_out_but_no_rejects() {
    let lines = [
        logged("02:00:00", "GET /photos/u", 200),
        logged("03:00:00", "GET /photos/u", 200),
        logged("04:00:00", "GET /photos/u", 200),
        "x".to_owned(),
    ];
    let mut case = case_of(Some(register()), &lines.each_ref().map(String::as_str));
    case.since = Some(t("03"));
    case.until = Some(t("04"));
    case.expect.insert("gw".to_owned(), super::Expect::Hourly);
    let found = report(&case);
    let accounting = &found.accounting;
    assert_eq!((accounting.calls, accounting.outside_window, accounting.rejected), (1, 2, 1));
    assert_eq!(found.inputs[0].first, Some(t("03")));
    // [03:00, 04:00) is one hour.
    let source = &found.coverage.sources[0];
    assert_eq!((source.hours_expected, source.hours_seen, source.gaps.len()), (1, 1, 0));

    case.since = None;
    case.until = Some(t("07"));
    // From the first call, 02:00, to 07:00: five hours, of which three were seen; 05:00 and 06:00 are one gap.
    let source = report(&case).coverage.sources.remove(0);
    assert_eq!((source.hours_expected, source.hours_seen), (5, 3));
    assert_eq!(
        (source.gaps[0].from, source.gaps[0].until, source.gaps.len()),
        (t("05"), t("07"), 1)
    );
}

/// A register for the days of January 2019.
///
/// | grant of `ames` | api | operations | |
/// | --- | --- | --- | --- |
/// | g-used | photos | read, write, list | all the time |
/// | g-idle | photos | * | from noon of the 2nd |
/// | g-cert | photos | tag | certified until the 20th, purpose ended on the 12th |
/// | g-over | photos | read | until noon of the 31st |
/// | g-dorm | old | write, read | from the 15th; dormant since the 10th |
/// | g-open | health | read | its purpose ended on the 12th |
///
/// Keys of `ames`: `used-key`, `idle-key` all the time, `past-key` until noon of the 31st. Of `bolt`: `late-key` from the
/// last nanosecond of the 2nd. `moved-key` was `bolt`'s until the 10th, is `ames`'s from the 11th.
fn january() -> Rows {
    let rows = register();
    let grant = |grant: &str, api: &str, operations: &[&str]| GrantRow {
        grant: grant.to_owned(),
        partner: "ames".to_owned(),
        api: api.to_owned(),
        operations: operations.iter().map(|&operation| operation.to_owned()).collect(),
        ..GrantRow::default()
    };
    let key = |credential: &str, partner: &str, from: Option<&str>, until: Option<&str>| {
        let at = |text: &str| rfc3339(text).unwrap();
        CredentialRow {
            credential: credential.to_owned(),
            partner: partner.to_owned(),
            valid_from: from.map(at),
            valid_until: until.map(at),
            recorded_at: None,
        }
    };
    Rows {
        credentials: vec![
            key("used-key", "ames", None, None),
            key("idle-key", "ames", None, None),
            key("past-key", "ames", None, Some("2019-01-31T12:00:00Z")),
            key("late-key", "bolt", Some("2019-01-02T23:59:59.999999999Z"), None),
            key("moved-key", "bolt", None, Some("2019-01-10T00:00:00Z")),
            key("moved-key", "ames", Some("2019-01-11T00:00:00Z"), None),
        ],
        apis: vec![
            ApiRow { data_class: Some("pictures".to_owned()), ..rows.apis[0].clone() },
            ApiRow { dormant_since: Some(january_at("10", "00")), ..rows.apis[3].clone() },
            rows.apis[4].clone(),
        ],
        routes: vec![rows.routes[0].clone(), rows.routes[3].clone(), rows.routes[4].clone()],
        grants: vec![
            grant("g-used", "photos", &["read", "write", "list"]),
            GrantRow {
                granted_at: Some(january_at("02", "12")),
                ..grant("g-idle", "photos", &["*"])
            },
            GrantRow {
                certified_until: Some(january_at("20", "00")),
                purpose: Some("tags".to_owned()),
                ..grant("g-cert", "photos", &["tag"])
            },
            GrantRow {
                expires_at: Some(january_at("31", "12")),
                ..grant("g-over", "photos", &["read"])
            },
            GrantRow {
                granted_at: Some(january_at("15", "00")),
                ..grant("g-dorm", "old", &["write", "read"])
            },
            GrantRow { purpose: Some("tags".to_owned()), ..grant("g-open", "health", &["read"]) },
        ],
        purposes: vec![PurposeRow {
            purpose: "tags".to_owned(),
            ended_at: Some(january_at("12", "00")),
            ..PurposeRow::default()
        }],
        consents: Vec::new(),
        ..rows
    }
}

fn january_at(day: &str, hour: &str) -> Instant {
    rfc3339(&format!("2019-01-{day}T{hour}:00:00Z")).unwrap()
}

/// A read at noon of each of these days, and a write at noon of the last; by that key.
fn daily(days: std::ops::RangeInclusive<u32>, key: &str) -> Vec<String> {
    let line = |day: u32, method: &str| {
        format!(
            r#"{{"at":"2019-01-{day:02}T12:00:00Z","client_id":"{key}","method":"{method}","path":"/photos/u","status":200}}"#
        )
    };
    let last = *days.end();
    days.map(|day| line(day, "GET")).chain([line(last, "POST")]).collect()
}

fn january_case(lines: &[String]) -> Case {
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    case_of(Some(january()), &lines)
}

/// `kind grant-or-credential operations since` of the findings that need no call, sorted.
fn told_hygiene(case: &Case) -> Vec<String> {
    let found = report(case);
    let needs_none = |kind: &str| kind.starts_with("unused-") || kind == "standing-access";
    let mut told: Vec<String> = Vec::new();
    for finding in found.findings.iter().filter(|finding| needs_none(finding.kind)) {
        let of = finding.grant.clone().unwrap_or_else(|| finding.credentials.join(","));
        let since = finding.since.map_or("-".to_owned(), |at| at.to_string()[..10].to_owned());
        told.push(format!("{} {of} {} {since}", finding.kind, finding.operations.join(",")));
    }
    told.sort();
    told
}

#[test]
fn access_that_stands_or_is_not_used() {
    // 31 days. The window ends with the last call, at noon of the 31st: g-over and past-key end then, and are not live.
    let case = january_case(&daily(1..=31, "used-key"));
    assert_eq!(
        told_hygiene(&case),
        [
            // Ended purpose on the 12th, lapsed certification on the 20th: the earlier.
            "standing-access g-cert tag 2019-01-12",
            // Dormant since the 10th, granted on the 15th.
            "standing-access g-dorm read,write 2019-01-15",
            // idle-key and late-key, the latter on the 2nd to the 31st: 30 days. moved-key: 1st to 9th and 11th to 31st, 30.
            "unused-credential …-key  -",
            "unused-credential …-key  -",
            "unused-credential …-key  -",
            // All 31 days; g-idle the 2nd to the 31st, 30. g-dorm lives on 17 days only. g-open's api is open.
            "unused-grant g-cert tag -",
            "unused-grant g-idle * -",
            // g-used is named by reads and writes; nobody lists.
            "unused-operation g-used list -",
        ]
    );
    let found = report(&case);
    assert_eq!(found.coverage.days_read, 31);
    let unused = |partner: &str| {
        let of = |f: &&super::told::Finding| f.partner.as_deref() == Some(partner);
        found.findings.iter().filter(|f| f.kind == "unused-credential").filter(of).count()
    };
    assert_eq!((unused("ames"), unused("bolt")), (2, 1), "moved-key is of the partner it has now");
    let standing = found.findings.iter().find(|f| f.kind == "standing-access").unwrap();
    assert_eq!(standing.severity.as_str(), "high");
    assert_eq!((standing.first, standing.lapsed_at, standing.overstay_s), (None, None, None));
    assert!(standing.subjects.exact && standing.evidence.is_empty());
    let idle = found.findings.iter().find(|f| f.grant.as_deref() == Some("g-idle")).unwrap();
    assert_eq!((idle.severity.as_str(), idle.data_class.as_deref()), ("low", Some("pictures")));
    // As every id: the length-prefixed parts.
    let parts = b"\x0c\0\0\0\0\0\0\0unused-grant\x04\0\0\0\0\0\0\0ames\x06\0\0\0\0\0\0\0photos\x06\0\0\0\0\0\0\0g-idle\0\0\0\0\0\0\0\0";
    let first = u64::from_be_bytes(blake3::hash(parts).as_bytes()[..8].try_into().unwrap());
    let digit = |i: u32| b"abcdefghijklmnopqrstuvwxyz234567"[(first >> (59 - 5 * i) & 31) as usize];
    let id: String = (0..12).map(|i| char::from(digit(i))).collect();
    assert_eq!(idle.id, format!("os-{id}"));
}

#[test]
fn unused_access_needs_thirty_days_of_logs() {
    let standing =
        ["standing-access g-cert tag 2019-01-12", "standing-access g-dorm read,write 2019-01-15"];
    // 29 days: nothing is said of what is not used.
    let case = january_case(&daily(1..=29, "used-key"));
    assert_eq!(told_hygiene(&case), standing);
    assert_eq!(report(&case).coverage.days_read, 29);
    // 30 days, from the 2nd on: moved-key was valid on 29 of them.
    let case = january_case(&daily(2..=31, "used-key"));
    assert_eq!(told_hygiene(&case).len(), 2 + 2 + 2 + 1);
    // 30 days, until the 30th: g-idle, late-key and moved-key see 29; past-key is still valid, and g-over still live: the
    // reads name it, as of two with the same start that with the smaller id. The write names g-used.
    let case = january_case(&daily(1..=30, "used-key"));
    let unused = [
        "unused-credential …-key  -",
        "unused-credential …-key  -",
        "unused-grant g-cert tag -",
        "unused-operation g-used list -",
    ];
    assert_eq!(told_hygiene(&case)[2..], unused);
    // The same days, but the window ends at noon of the 31st: past-key is no longer valid.
    let mut until = case.clone();
    until.until = Some(january_at("31", "12"));
    assert_eq!(told_hygiene(&until)[2..], unused[1..]);
    // Without the write, nothing names g-used.
    until.inputs[0].lines.pop();
    let expected = ["unused-grant g-cert tag -", "unused-grant g-used list,read,write -"];
    assert_eq!(told_hygiene(&until)[3..], expected);
    // A window that ends on the 10th: nothing but g-dorm's api has ended, and it is not granted yet.
    until.until = Some(january_at("10", "00"));
    assert_eq!(told_hygiene(&until), [""; 0]);
    // Nobody's key in any call: the log may hold no keys at all. But what stands, stands.
    assert_eq!(told_hygiene(&january_case(&daily(1..=31, "nobody"))), standing);
    // Without any call nothing is known of the time, unless it is told.
    let mut nothing = january_case(&[]);
    assert_eq!(told_hygiene(&nothing), [""; 0]);
    nothing.until = Some(january_at("31", "00"));
    assert_eq!(told_hygiene(&nothing), standing);
    // Two calls on one day are one day; midnight is the next day's.
    let mut lines = daily(1..=29, "used-key");
    lines.push(lines[0].replace("12:00", "23:59"));
    assert_eq!(report(&january_case(&lines)).coverage.days_read, 29);
    lines.push(lines[0].replace("2019-01-01T12", "2019-01-30T00"));
    assert_eq!(report(&january_case(&lines)).coverage.days_read, 30);
}

/// A record with every call field, of `ames-key` reading photos at 08:00, when that had been revoked.
const RECORD: &str = r#"{"at":"2019-01-01T08:00:00Z","client_id":"ames-key","method":"GET","path":"/photos/u","host":"h","api":"photos","operation":"read","status":200,"bytes":7,"latency_us":9,"user":"u","actor":"v","remote_addr":"192.0.2.7","user_agent":"x/1","request_id":"r-1"}"#;

/// The same, written differently.
const RESPELLED: &str = r#"{"request_id":"r-1", "note":1, "at":"2019-01-01 10:00:00.0000000001+02:00","client_id":"ames-key","method":"GET","path":"/photos/u","host":"h","api":"photos","operation":"read","status":"200.0","bytes":"7","latency_us":9,"user":"u","actor":"v","remote_addr":"192.0.2.7","user_agent":"x/1"}"#;

/// `path calls duplicates` of each input.
fn told_repeats(case: &Case) -> Vec<String> {
    let inputs = report(case).inputs;
    let told = inputs.iter().map(|i| format!("{} {} {}", i.path, i.calls, i.duplicates));
    told.collect()
}

fn repeating(inputs: Vec<InputCase>, dedupe: &[(&str, bool)]) -> Case {
    let dedupe = dedupe.iter().map(|(source, dedupe)| ((*source).to_owned(), *dedupe)).collect();
    Case { inputs, dedupe, ..case_of(Some(register()), &[]) }
}

#[test]
fn a_record_counts_once_in_its_source() {
    let without_id = RECORD.replace(r#""r-1""#, "null");
    // Named against their order: b comes before a, and c is another source's.
    let inputs = || {
        vec![
            InputCase::plain("b", "gw", &[RESPELLED, &without_id, &without_id]),
            InputCase::plain("c", "other", &[RECORD]),
            InputCase::plain("a", "gw", &["", RECORD, RECORD]),
        ]
    };
    let case = repeating(inputs(), &[("gw", true), ("other", true)]);
    assert_eq!(told_repeats(&case), ["a 1 1", "b 2 1", "c 1 0"]);
    let found = report(&case);
    let a = &found.accounting;
    assert_eq!((a.lines, a.blank, a.calls, a.duplicates, a.rejected), (7, 1, 4, 2, 0));
    // The one that counts is that of `a`, on its second line. At the same instant `gw` comes before `other`.
    let finding = found.findings.iter().find(|f| f.kind == "after-revocation").unwrap();
    let evidence: Vec<(&str, u64)> =
        finding.evidence.iter().map(|e| (e.path.as_str(), e.offset)).collect();
    let b = RESPELLED.len() as u64 + 1;
    let c = b + without_id.len() as u64 + 1;
    assert_eq!(evidence, [("a", 1), ("b", b), ("b", c), ("c", 0)]);
    assert_eq!(found.coverage.sources[0].calls, 3);

    // Not asked for: nothing is sought. Of one source only: the other's stay.
    assert_eq!(told_repeats(&repeating(inputs(), &[])), ["a 2 0", "b 3 0", "c 1 0"]);
    let no = repeating(inputs(), &[("gw", false), ("other", true)]);
    assert_eq!(told_repeats(&no), ["a 2 0", "b 3 0", "c 1 0"]);

    // Outside the window they are that, however often they come. `first` is of what counts.
    let mut after = case.clone();
    after.since = Some(t("08+"));
    assert_eq!(told_repeats(&after), ["a 0 0", "b 0 0", "c 0 0"]);
    assert_eq!(report(&after).accounting.outside_window, 6);
    assert_eq!(report(&case).inputs[1].first, Some(t("08")));
    let only_repeats = InputCase::plain("b", "gw", &[RESPELLED]);
    let case =
        repeating(vec![InputCase::plain("a", "gw", &[RECORD]), only_repeats], &[("gw", true)]);
    assert_eq!((report(&case).inputs[1].first, report(&case).inputs[1].duplicates), (None, 1));
}

#[test]
fn a_record_that_differs_in_one_field_is_another() {
    let changes = [
        ("08:00:00Z", "08:00:00.000000001Z"),
        ("ames-key", "bolt-key"),
        ("GET", "HEAD"),
        ("/photos/u", "/photos//u"),
        (r#""host":"h""#, r#""host":null"#),
        (r#""api":"photos","#, ""),
        (r#""operation":"read""#, r#""operation":"-""#),
        ("200", "201"),
        ("200", "403"),
        (r#""bytes":7"#, r#""bytes":0"#),
        (r#""latency_us":9"#, r#""latency_us":"""#),
        (r#""user":"u""#, r#""user":"w""#),
        (r#""actor":"v","#, ""),
        ("192.0.2.7", "192.0.2.8"),
        ("x/1", "x/2"),
        ("r-1", "r-2"),
    ];
    let mut lines: Vec<String> = vec![RECORD.to_owned()];
    for (from, to) in changes {
        assert!(RECORD.contains(from), "{from}");
        lines.push(RECORD.replace(from, to));
    }
    lines.extend(lines.clone());
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let case = repeating(vec![InputCase::plain("a", "gw", &lines)], &[("gw", true)]);
    // Each of the 17 stands there twice, and counts once.
    assert_eq!(told_repeats(&case), ["a 17 17"]);
}

#[test]
fn a_file_counts_once_in_its_source() {
    // A blank, a reject, a call and blanks up to 1,024 bytes.
    let file = |path: &str, source: &str, bytes: usize| {
        let mut input = InputCase::plain(path, source, &["", "x", RECORD]);
        let filled = bytes - input.bytes().len() - 1;
        input.lines.push(LineCase::plain(&" ".repeat(filled)));
        assert_eq!(input.bytes().len(), bytes);
        input
    };
    let zipped = InputCase { compression: Some("gzip"), ..file("b", "gw", 1024) };
    let unfinished = InputCase { finished: false, ..file("e", "gw", 1024) };
    let inputs = vec![
        zipped,
        file("c", "gw", 1024),
        file("a", "gw", 1024),
        file("d", "other", 1024),
        unfinished,
    ];
    // No source asks for it.
    let case = repeating(inputs, &[]);
    assert_eq!(told_repeats(&case), ["a 1 0", "b 0 2", "c 0 2", "d 1 0", "e 1 0"]);
    let found = report(&case);
    let repeats: Vec<Option<&str>> = found.inputs.iter().map(|i| i.repeats.as_deref()).collect();
    assert_eq!(repeats, [None, Some("a"), Some("a"), None, None]);
    let b = &found.inputs[1];
    assert_eq!((b.lines, b.blank, b.rejected, b.calls, b.bytes), (4, 2, 0, 0, 1024));
    assert_eq!((b.first, b.last, b.complete), (None, None, true));
    assert_eq!((found.accounting.rejected, found.rejects.by_reason.malformed), (3, 3));
    assert_eq!(found.rejects.sample.len(), 3);
    assert_eq!(found.accounting.duplicates, 4);
    // What lies outside the window is as repeated as the rest of the file.
    let mut after = case.clone();
    after.since = Some(t("09"));
    assert_eq!(told_repeats(&after), ["a 0 0", "b 0 2", "c 0 2", "d 0 0", "e 0 0"]);
    assert_eq!(report(&after).accounting.outside_window, 3);

    // A byte less: two files. Their records are sought by themselves.
    let small = vec![file("a", "gw", 1023), file("b", "gw", 1023)];
    assert_eq!(told_repeats(&repeating(small.clone(), &[])), ["a 1 0", "b 1 0"]);
    let case = repeating(small, &[("gw", true)]);
    assert_eq!(told_repeats(&case), ["a 1 0", "b 0 1"]);
    assert_eq!(report(&case).accounting.rejected, 2);
    // A record of a file that repeats another is no repeat of its own, nor the one that counts.
    let inputs = vec![
        file("b", "gw", 1024),
        file("c", "gw", 1024),
        InputCase::plain("a", "gw", &[RESPELLED]),
    ];
    let case = repeating(inputs, &[("gw", true)]);
    assert_eq!(told_repeats(&case), ["a 1 0", "b 0 1", "c 0 2"]);
}

#[test]
fn one_partner_alone() {
    let mut lines = daily(1..=31, "used-key");
    // Of bolt: one call to photos, one in hindsight of nothing; of nobody: one; of an unknown key: one; a reject.
    lines.push(lines[0].replace("used-key", "late-key").replace("01-01T12", "01-03T12"));
    lines.push(lines[0].replace("used-key", "late-key").replace("/photos/u", "/nowhere"));
    lines.push(lines[0].replace("used-key", "-"));
    lines.push(lines[0].replace("used-key", "nobody").replace("01-01T12", "02-02T12"));
    lines.push("x".to_owned());
    let whole = january_case(&lines);
    let of = |partner: &str| report(&Case { partner: Some(partner.to_owned()), ..whole.clone() });
    let (all, bolt, ames) = (report(&whole), of("bolt"), of("ames"));
    assert_eq!((all.partner.as_deref(), bolt.partner.as_deref()), (None, Some("bolt")));

    // Of everything: lines, window (the unknown key's call is the last), sources, days.
    assert_eq!((bolt.accounting.calls, bolt.accounting.rejected), (36, 1));
    assert_eq!(bolt.inputs[0].calls, 36);
    assert_eq!(bolt.rejects.sample.len(), 1);
    assert_eq!(bolt.window.last, rfc3339("2019-02-02T12:00:00Z"));
    assert_eq!((bolt.coverage.sources[0].calls, bolt.coverage.sources[0].anonymous), (36, 1));
    assert_eq!((bolt.coverage.days_read, all.coverage.days_read), (32, 32));
    assert_eq!((bolt.register.partners, bolt.register.grants), (2, 6));

    // Only bolt's.
    let calls = |found: &Report| found.usage.iter().map(|row| row.calls).sum::<u64>();
    assert_eq!((calls(&all), calls(&ames), calls(&bolt)), (36, 32, 2));
    let partners: Vec<&str> = bolt.partners.iter().map(|row| row.partner.as_str()).collect();
    let apis: Vec<(&str, u64)> =
        bolt.apis.iter().map(|row| (row.api.as_str(), row.calls)).collect();
    assert_eq!((partners, apis), (vec!["bolt"], vec![("photos", 1)]));
    assert_eq!(bolt.series.len(), 2);
    assert!(bolt.ends.is_empty() && bolt.exceptions.is_empty());
    assert_eq!((bolt.coverage.partners_without_calls, bolt.coverage.grants_without_calls), (0, 0));
    let told = |found: &Report| {
        let told: BTreeSet<(&str, String, u64)> =
            found.findings.iter().map(|f| (f.kind, f.id.clone(), f.served)).collect();
        told
    };
    let kinds: Vec<&str> = told(&bolt).iter().map(|(kind, ..)| *kind).collect();
    // The key is stale on the 1st; moved-key and idle-key are ames's.
    assert_eq!(kinds, ["never-granted", "stale-credential", "unlisted-api"]);
    // The two partners' are all there are, but for those of nobody and of the unknown key; here none is of both.
    let nobody: Vec<&str> =
        (&(&told(&all) - &told(&bolt)) - &told(&ames)).iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(nobody, ["anonymous", "unknown-credential"]);
    assert_eq!(told(&all).len(), told(&bolt).len() + told(&ames).len() + 2);
    assert_eq!(all.ends.len(), ames.ends.len());
    // Grants of ames that no call names: all but g-used and g-over.
    assert_eq!(ames.coverage.grants_without_calls, 4);
}

/// Draws cases with a fixed seed.
fn drawn(count: usize) -> Vec<Case> {
    let mut runner = TestRunner::deterministic();
    (0..count).map(|_| generate::case().new_tree(&mut runner).unwrap().current()).collect()
}

#[test]
fn drawn_cases_show_everything() {
    let mut seen: BTreeSet<&str> = BTreeSet::new();
    let mut statuses: BTreeSet<&str> = BTreeSet::new();
    let mut kinds: BTreeSet<&str> = BTreeSet::new();
    let mut star = false;
    let mut days: BTreeSet<u64> = BTreeSet::new();
    let mut repeated: BTreeMap<&str, usize> = BTreeMap::new();
    for case in drawn(300) {
        let found = report(&case);
        for row in &found.usage {
            seen.extend(row.verdict.map(Verdict::as_str));
            seen.extend(&row.also);
        }
        kinds.extend(found.findings.iter().map(|finding| finding.kind));
        days.insert(found.coverage.days_read);
        let mut seen_if = |what, is| *repeated.entry(what).or_default() += usize::from(is);
        let equal_to = |input: &InputCase, other: &InputCase| {
            input.path < other.path && input.bytes() == other.bytes()
        };
        let equal = |is: &dyn Fn(&InputCase, &InputCase) -> bool| {
            let mut others = case.inputs.iter();
            others.any(|a| case.inputs.iter().any(|b| equal_to(a, b) && is(a, b)))
        };
        seen_if("one partner", found.partner.is_some());
        seen_if("a file", found.inputs.iter().any(|i| i.repeats.is_some()));
        seen_if("a file of 1024", equal(&|a, b| a.source == b.source && a.bytes().len() == 1024));
        seen_if("a file of 1023", equal(&|a, b| a.source == b.source && a.bytes().len() == 1023));
        seen_if("a file elsewhere", equal(&|a, b| a.source != b.source && a.bytes().len() >= 1024));
        let records: u64 =
            found.inputs.iter().filter(|i| i.repeats.is_none()).map(|i| i.duplicates).sum();
        seen_if("a record", records > 0);
        seen_if("several records", records > 1);
        for end in &found.ends {
            statuses.insert(match end.status {
                EndStatus::Cut => "cut",
                EndStatus::Untested => "untested",
                EndStatus::Open => "open",
            });
            star |= end.operations == ["*"];
        }
    }
    let all: BTreeSet<&str> = Verdict::ALL.iter().map(|verdict| verdict.as_str()).collect();
    assert_eq!(seen, &all | &BTreeSet::from(["hindsight"]));
    let in_order = BTreeSet::from(["granted", "open"]);
    let not_of_calls = [
        "hindsight",
        "new-api",
        "new-network",
        "new-operation",
        "standing-access",
        "unused-credential",
        "unused-grant",
        "unused-operation",
    ];
    assert_eq!(kinds, &(&all - &in_order) | &BTreeSet::from(not_of_calls));
    assert_eq!(statuses, BTreeSet::from(["cut", "open", "untested"]));
    assert!(star);
    assert!((28..=32).all(|count| days.contains(&count)), "{days:?}");
    assert!(repeated.values().all(|&cases| cases >= 2), "{repeated:?}");
}

/// The rows that name a partner, as JSON, sorted.
fn rows_of_partners(found: &Report) -> Vec<String> {
    let report = serde_json::to_value(found).unwrap();
    let mut rows: Vec<String> = ["usage", "partners", "series", "ends", "exceptions"]
        .iter()
        .flat_map(|rows| report[*rows].as_array().unwrap())
        .filter(|row| !row["partner"].is_null())
        .map(ToString::to_string)
        .collect();
    rows.sort();
    rows
}

proptest! {
    #![proptest_config(Config { cases: 64, failure_persistence: None, ..Config::default() })]

    #[test]
    fn sums_agree(case in generate::case()) {
        let found = report(&case);
        let a = &found.accounting;
        prop_assert_eq!(a.lines, a.blank + a.calls + a.rejected + a.outside_window + a.duplicates);
        let used = found.usage.iter().map(|row| row.calls).sum::<u64>();
        prop_assert!(used == a.calls || (used < a.calls && found.partner.is_some()));
        prop_assert_eq!(a.calls, found.coverage.sources.iter().map(|source| source.calls).sum::<u64>());
        let ids: BTreeSet<&String> = found.findings.iter().map(|finding| &finding.id).collect();
        prop_assert_eq!(ids.len(), found.findings.len());
        for partner in &found.partners {
            let outcomes = partner.served + partner.denied + partner.failed + partner.unknown;
            prop_assert_eq!(partner.calls, outcomes);
            let hours = found.series.iter().filter(|hour| hour.partner.as_ref() == Some(&partner.partner));
            prop_assert_eq!(partner.overstayed_calls, hours.map(|hour| hour.overstayed).sum::<u64>());
        }
    }

    /// The reports on each partner together are the whole report, but for what is nobody's.
    #[test]
    fn partners_are_told_one_by_one(case in generate::case()) {
        let Some(register) = &case.register else { return Ok(()) };
        let whole = report(&Case { partner: None, ..case.clone() });
        let partners: BTreeSet<&String> =
            register.partners.iter().map(|row| &row.partner).collect();
        let mut rows: Vec<String> = Vec::new();
        let mut ids: BTreeSet<String> = BTreeSet::new();
        for partner in partners {
            let found = report(&Case { partner: Some(partner.clone()), ..case.clone() });
            prop_assert_eq!(&found.accounting, &whole.accounting);
            rows.extend(rows_of_partners(&found));
            ids.extend(found.findings.iter().map(|finding| finding.id.clone()));
        }
        rows.sort();
        prop_assert_eq!(rows, rows_of_partners(&whole));
        let known: BTreeSet<String> = whole.findings.iter().map(|f| f.id.clone()).collect();
        prop_assert!(ids.is_subset(&known));
        let left = whole.findings.iter().filter(|finding| !ids.contains(&finding.id));
        let nobodys = ["anonymous", "unknown-credential"];
        prop_assert!(left.map(|finding| finding.kind).all(|kind| nobodys.contains(&kind)));
    }

    #[test]
    fn a_written_line_reads_back(call in generate::call(), spelled in generate::spelling()) {
        let line = generate::line(&call, spelled);
        // A repeated key `status` counts as last written: that of the call, if it has one.
        prop_assert_eq!(parse(line.as_bytes()), Ok(call));
    }

    /// Access that lapsed is access that was in order a nanosecond before, and not since.
    #[test]
    fn lapsed_at_is_a_boundary(rows in generate::register(), call in generate::call()) {
        let judged = judge(&rows, None, 0, &call);
        if let (Some(lapsed_at), Some(partner)) = (judged.lapsed_at, &judged.partner) {
            prop_assert!(lapsed_at <= call.at);
            let known = rows.known_at(None);
            let (api, operation) = (judged.api.clone().unwrap(), judged.operation.clone().unwrap());
            let what = (partner.as_str(), api.as_str(), operation.as_str());
            if !super::judge::active_and_granted(&known, what, call.at) {
                let before = super::judge::just_before(lapsed_at).unwrap();
                prop_assert!(super::judge::active_and_granted(&known, what, before));
                prop_assert!(!super::judge::active_and_granted(&known, what, lapsed_at));
            }
        }
    }
}

#[test]
fn a_case_is_written_as_the_program_reads_it() {
    let mut case = case_of(Some(register()), &["{}"]);
    case.inputs[0].compression = Some("gzip");
    case.inputs[0].lines.push(LineCase { nuls_before: 2, ..LineCase::plain("x") });
    case.since = Some(t("03"));
    let dir = tempfile::tempdir().unwrap();
    case.write(dir.path());
    let config = std::fs::read_to_string(dir.path().join("overstay.toml")).unwrap();
    let config: toml::Table = toml::from_str(&config).unwrap();
    assert_eq!(config["logs"][0]["paths"][0].as_str(), Some("logs/a.log"));
    assert_eq!(config["formats"]["twin"]["kind"].as_str(), Some("json"));
    let grants = std::fs::read_to_string(dir.path().join("register/grants.csv")).unwrap();
    assert!(grants.contains("g-read,ames,photos,read,2019-01-01T02:00:00Z,,2019-01-01T06:00:00Z,"));
    assert_eq!(case.arguments()[2..], ["--since", "2019-01-01T03:00:00Z"]);
    assert_eq!(case.inputs[0].bytes(), b"{}\n\0\0x\n");
    assert!(std::fs::read(dir.path().join("logs/a.log")).unwrap().starts_with(b"\x1f\x8b"));
}
