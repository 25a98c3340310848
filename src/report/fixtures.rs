//! Reports made by hand, on which renderers and texts are tested. Not part of the program.

use super::*;
use crate::time::parse_table_instant;

/// The instant a text names.
pub(crate) fn at(text: &str) -> Instant {
    parse_table_instant(text).expect("a fixture's instant")
}

fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// An exact count of people.
pub(crate) fn exactly(count: u64) -> Subjects {
    Subjects { count, exact: true, low: count, high: count }
}

fn about(count: u64) -> Subjects {
    Subjects { count, exact: false, low: count * 967 / 1000, high: count * 1033 / 1000 + 1 }
}

fn hex(digit: char) -> String {
    digit.to_string().repeat(64)
}

/// A register and config, inputs read whole, and nothing in them.
pub(crate) fn empty() -> Report {
    let mut report = Report {
        schema: "overstay.report/1",
        program: "overstay 0.1.0".to_owned(),
        status: Status::Complete,
        partial: Vec::new(),
        headline: String::new(),
        window: Window { since: None, until: None, first: None, last: None },
        config: Config { digest: None, paths_from: PathsFrom::WorkingFolder },
        register: Register {
            digest: Some(hex('e')),
            partners: 0,
            credentials: 0,
            apis: 0,
            grants: 0,
            as_known_at: None,
        },
        inputs: vec![input("gateway.jsonl", 0)],
        accounting: Accounting::default(),
        rejects: Rejects { by_reason: RejectCounts::default(), sample: Vec::new() },
        usage: Vec::new(),
        partners: Vec::new(),
        apis: Vec::new(),
        series: Vec::new(),
        ends: Vec::new(),
        findings: Vec::new(),
        anomalies: Anomalies { history_days_min: 14, ..Anomalies::default() },
        exceptions: Vec::new(),
        suppressions: Vec::new(),
        flipped: Vec::new(),
        nightly: None,
        overstayed_people: Subjects::default(),
        partner: None,
        ungranted: None,
        coverage: Coverage {
            days_read: 1,
            sources: vec![source("gateway")],
            partners_without_calls: 0,
            grants_without_calls: 0,
        },
    };
    report.headline = text::headline(&report, &Subjects::default());
    report
}

fn input(path: &str, calls: u64) -> Input {
    Input {
        path: path.to_owned(),
        source: "gateway".to_owned(),
        format: some("json"),
        compression: None,
        bytes: calls * 120,
        digest: None,
        lines: calls,
        blank: 0,
        calls,
        rejected: 0,
        outside_window: 0,
        duplicates: 0,
        repeats_unchecked: 0,
        pending_bytes: 0,
        gap_bytes: 0,
        first: (calls > 0).then(|| at("2018-12-18T09:00:00Z")),
        last: (calls > 0).then(|| at("2018-12-18T10:30:00.25Z")),
        complete: true,
        repeats: None,
    }
}

fn source(name: &str) -> SourceCoverage {
    SourceCoverage {
        source: name.to_owned(),
        expect: None,
        hours_expected: 0,
        hours_seen: 0,
        gaps: Vec::new(),
        calls: 0,
        anonymous: 0,
    }
}

/// One partner of a register.
pub(crate) fn partner(id: &str, served: u64, denied: u64, overstayed: u64) -> Partner {
    let calls = served + denied;
    Partner {
        partner: id.to_owned(),
        name: None,
        calls,
        served,
        denied,
        failed: 0,
        unknown: 0,
        bytes_served: served * 512,
        subjects: served / 2,
        apis: u64::from(calls > 0),
        overstayed_calls: overstayed,
        overstay_s_max: (overstayed > 0).then_some(377 * 86_400),
        latency_us: Latency::default(),
        first: (calls > 0).then(|| at("2018-12-18T09:00:00Z")),
        last: (calls > 0).then(|| at("2018-12-18T10:30:00.25Z")),
    }
}

/// What an anomaly of a kind shows.
fn anomaly(kind: Kind) -> Anomaly {
    let is_of_hours =
        matches!(kind, Kind::Spike | Kind::Drop | Kind::SubjectSweep | Kind::DeniedBurst);
    let is_burst = kind == Kind::DeniedBurst;
    let of_hours = |x: f64| is_of_hours.then_some(x);
    let woke = matches!(kind, Kind::WokenGrant | Kind::WokenApi);
    Anomaly {
        observed: if is_of_hours { 1900 } else { 4 },
        expected: if is_of_hours { 104.25 } else { 0.0 },
        score: of_hours(17.125),
        from: at("2018-12-18T09:00:00Z"),
        until: at("2018-12-18T12:00:00Z"),
        worst: is_of_hours.then(|| at("2018-12-18T10:00:00Z")),
        denied_ratio: is_burst.then_some(0.62),
        denied_ratio_usual: is_burst.then_some(0.021),
        history_days: 56,
        same_hours: is_of_hours.then_some(8),
        median: of_hours(98.0),
        day_ratio: of_hours(1.064),
        last_before: woke.then(|| "2018-09-03".to_owned()),
        network: (kind == Kind::NewNetwork).then(|| "203.0.113.0/24".to_owned()),
    }
}

/// A finding with everything set that its kind may have.
pub(crate) fn finding(id: &str, kind: &str) -> Finding {
    let kind = Kind::from_name(kind).expect("a fixture's kind");
    let mut finding = Finding {
        id: id.to_owned(),
        kind,
        severity: kind.severity(),
        status: None,
        first_seen: None,
        suppressed_by: None,
        partner: some("reelhouse"),
        api: some("messages"),
        data_class: some("private messages"),
        grant: some("g-reelhouse-messages"),
        operations: vec!["delete".to_owned(), "read".to_owned()],
        credentials: vec!["…k7Qa".to_owned()],
        since: Some(at("2017-12-05T00:00:00Z")),
        lapsed_at: Some(at("2017-12-05T00:00:00Z")),
        first: Some(at("2018-12-18T09:00:00Z")),
        last: Some(at("2018-12-18T10:30:00.25Z")),
        overstay_s: Some(378 * 86_400 + 37_800),
        served: 3,
        denied: 1,
        failed: 0,
        hindsight: 0,
        bytes_served: 1536,
        subjects: exactly(2),
        log: None,
        anomaly: None,
        summary: String::new(),
        evidence: vec![Evidence {
            path: "gateway.jsonl".to_owned(),
            offset: 0,
            length: 119,
            blake3: hex('b'),
            at: at("2018-12-18T09:00:00Z"),
            input: None,
        }],
    };
    if kind.is_anomaly() {
        finding.anomaly = Some(anomaly(kind));
    }
    if finding.anomaly.as_ref().is_some_and(|anomaly| anomaly.score.is_none()) {
        // Of what is new or woke there are calls.
        finding = Finding {
            credentials: Vec::new(),
            since: None,
            lapsed_at: None,
            overstay_s: None,
            evidence: Vec::new(),
            ..finding
        };
        if kind == Kind::NewNetwork {
            finding.credentials = vec!["…k7Qa".to_owned()];
            finding.api = None;
            finding.data_class = None;
            finding.grant = None;
            finding.operations = Vec::new();
        }
        finding.summary = text::summary(&finding);
        return finding;
    }
    if !kind.is_of_calls() {
        finding = Finding {
            lapsed_at: None,
            first: None,
            last: None,
            overstay_s: None,
            served: 0,
            denied: 0,
            bytes_served: 0,
            subjects: exactly(0),
            evidence: Vec::new(),
            ..finding
        };
    }
    if matches!(kind, Kind::LogRewritten | Kind::LogLost | Kind::RegisterRefused) {
        let is_of_log = kind != Kind::RegisterRefused;
        finding = Finding {
            partner: None,
            api: None,
            data_class: None,
            grant: None,
            operations: Vec::new(),
            credentials: Vec::new(),
            since: None,
            log: is_of_log.then(|| FindingLog {
                source: "edge".to_owned(),
                path: "edge.log".to_owned(),
                read_bytes: 10_000,
                seen_bytes: 12_000,
            }),
            ..finding
        };
    }
    finding.summary = text::summary(&finding);
    finding
}

fn usage(partner: Option<&str>, verdict: Verdict, outcome: &'static str, calls: u64) -> Usage {
    Usage {
        partner: partner.map(str::to_owned),
        api: some("messages"),
        operation: some("read"),
        verdict: Some(verdict),
        also: Vec::new(),
        grant: partner.map(|partner| format!("g-{partner}-messages")),
        outcome,
        calls,
        bytes: calls * 512,
        subjects: calls / 2,
        first: at("2018-12-18T09:00:00Z"),
        last: at("2018-12-18T10:30:00.25Z"),
        credential: None,
    }
}

/// One partner, four calls, one finding: every array has one element.
pub(crate) fn small() -> Report {
    let mut report = empty();
    let (first, last) = (at("2018-12-18T09:00:00Z"), at("2018-12-18T10:30:00.25Z"));
    report.window.first = Some(first);
    report.window.last = Some(last);
    report.config = Config { digest: Some(hex('c')), paths_from: PathsFrom::Config };
    report.register = Register {
        partners: 1,
        credentials: 1,
        apis: 1,
        grants: 1,
        digest: Some(hex('e')),
        as_known_at: None,
    };
    let mut gateway = input("gateway.jsonl", 4);
    gateway.lines = 5;
    gateway.rejected = 1;
    report.inputs = vec![gateway];
    report.accounting = Accounting { lines: 5, calls: 4, rejected: 1, ..Accounting::default() };
    report.rejects.by_reason.malformed = 1;
    report.rejects.sample = vec![Reject {
        path: "gateway.jsonl".to_owned(),
        line: 3,
        offset: 238,
        reason: "malformed",
        shape: r#"{"aa":"9999-99-99a99:"#.to_owned(),
    }];
    report.usage = vec![
        usage(Some("reelhouse"), Verdict::AfterRevocation, "denied", 1),
        usage(Some("reelhouse"), Verdict::AfterRevocation, "served", 3),
    ];
    let mut reelhouse = partner("reelhouse", 3, 1, 3);
    reelhouse.name = some("Reelhouse Inc.");
    reelhouse.subjects = 2;
    reelhouse.overstay_s_max = Some(378 * 86_400 + 37_800);
    reelhouse.latency_us = Latency {
        count: 4,
        p50: Some(12_031),
        p90: Some(40_123),
        p99: Some(40_123),
        max: Some(40_123),
    };
    report.partners = vec![reelhouse.clone()];
    report.apis = vec![Api {
        api: "messages".to_owned(),
        name: some("Messages"),
        data_class: some("private messages"),
        dormant_since: None,
        calls: 4,
        served: 3,
        partners: 1,
        subjects: 2,
        calls_without_subject: 0,
        latency_us: reelhouse.latency_us,
        first: Some(first),
        last: Some(last),
    }];
    report.series = vec![Hour {
        hour: Some(first),
        partner: some("reelhouse"),
        served: 3,
        denied: 1,
        failed: 0,
        overstayed: 3,
    }];
    report.ends = vec![End {
        partner: "reelhouse".to_owned(),
        api: "messages".to_owned(),
        grant: "g-reelhouse-messages".to_owned(),
        reason: Verdict::AfterRevocation,
        ended_at: at("2017-12-05"),
        operations: vec!["delete".to_owned(), "read".to_owned()],
        last_served: Some(last),
        first_denied: Some(at("2018-12-18T10:00:00Z")),
        lag_s: Some(378 * 86_400 + 37_800),
        status: EndStatus::Open,
    }];
    report.findings = vec![finding("os-7f3k2mq4t6xa", "after-revocation")];
    report.exceptions = vec![Exception {
        grant: "g-reelhouse-legal".to_owned(),
        partner: "reelhouse".to_owned(),
        api: "messages".to_owned(),
        justification: some("court order 12/44"),
        calls: 0,
        subjects: 0,
    }];
    report.suppressions = vec![Suppression {
        finding: some("os-22222222222a"),
        kind: None,
        partner: None,
        api: None,
        owner: "api-governance".to_owned(),
        reason: "wind-down agreed, contract 12/44".to_owned(),
        until: at("2018-12-01"),
        expired: true,
        hides: 0,
    }];
    report.coverage.sources[0].calls = 4;
    report.coverage.sources[0].hours_seen = 2;
    report.headline = text::headline(&report, &exactly(2));
    report
}

/// Many partners, every kind of finding, declared sources with gaps.
pub(crate) fn full() -> Report {
    let mut report = small();
    let names = ["reelhouse", "seekly", "mapwise", "acme", "bowline", "quiet-one", "quiet-two"];
    report.partners = names
        .iter()
        .zip([
            (41_207, 12, 41_000),
            (9800, 0, 207),
            (1_204_333, 901, 0),
            (12, 0, 0),
            (7, 7, 0),
            (0, 0, 0),
            (0, 0, 0),
        ])
        .map(|(name, (served, denied, overstayed))| partner(name, served, denied, overstayed))
        .collect();
    report.partners[0].name = some("Reelhouse Inc.");
    report.partners[1].overstay_s_max = Some((2 * 365 + 112) * 86_400);
    report.partners[1].unknown = 17;
    report.partners[2].latency_us = Latency {
        count: 9,
        p50: Some(850),
        p90: Some(2_000_000),
        p99: Some(2_123_456),
        max: Some(3_000_000),
    };
    report.partners.sort_by(|a, b| a.partner.cmp(&b.partner));
    report.register.partners = 7;
    report.usage.insert(0, usage(None, Verdict::UnknownCredential, "served", 77));
    report.findings = Kind::all()
        .enumerate()
        .map(|(i, kind)| {
            let digit = char::from(b"abcdefghijklmnopqrstuvwxyz234567"[i]);
            finding(&format!("os-{}", digit.to_string().repeat(12)), kind.as_str())
        })
        .collect();
    for finding in &mut report.findings {
        match finding.kind.as_str() {
            "after-revocation" => {
                finding.subjects = about(8201);
                finding.served = 41_207;
            }
            "after-expiry" => {
                finding.partner = some("seekly");
                finding.overstay_s = Some((2 * 365 + 112) * 86_400);
                finding.subjects = Subjects { exact: true, ..Subjects::default() };
            }
            "anonymous" => {
                finding.partner = None;
                finding.credentials = Vec::new();
                finding.overstay_s = None;
                finding.grant = None;
            }
            "unknown-credential" => {
                finding.partner = None;
                finding.api = None;
                finding.grant = None;
                finding.overstay_s = None;
            }
            "stale-credential" => {
                finding.api = None;
                finding.grant = None;
            }
            "never-granted" => {
                finding.partner = some("an-organisation-with-a-remarkably-long-identifier");
                finding.severity = Severity::Low;
                finding.served = 0;
                finding.denied = 12;
                finding.subjects = exactly(0);
                finding.overstay_s = None;
            }
            "uncertified" => finding.suppressed_by = some("api-governance"),
            _ => {}
        }
        finding.summary = text::summary(finding);
    }
    let end = report.ends[0].clone();
    report.ends = vec![
        End { status: EndStatus::Cut, lag_s: Some(38), ..end.clone() },
        End {
            status: EndStatus::Cut,
            lag_s: Some(4000),
            partner: "acme".to_owned(),
            ..end.clone()
        },
        End {
            status: EndStatus::Untested,
            lag_s: None,
            last_served: None,
            partner: "bowline".to_owned(),
            ..end.clone()
        },
        end,
    ];
    report.exceptions.push(Exception {
        grant: "g-mapwise-emergency-location".to_owned(),
        partner: "mapwise".to_owned(),
        api: "location".to_owned(),
        justification: None,
        calls: 1204,
        subjects: 700,
    });
    report.suppressions.push(Suppression {
        finding: None,
        kind: Kind::from_name("uncertified"),
        partner: some("mapwise"),
        api: some("location"),
        owner: "partner-management".to_owned(),
        reason: "recertification under way".to_owned(),
        until: at("2019-03-31"),
        expired: false,
        hides: 1,
    });
    let hourly = |name: &str| SourceCoverage {
        expect: Some("hourly"),
        hours_expected: 744,
        hours_seen: 744,
        ..source(name)
    };
    let mut silent = hourly("gw-eu-7");
    silent.hours_seen = 718;
    silent.gaps = vec![
        Gap { from: at("2018-12-02T00:00:00Z"), until: at("2018-12-03T00:00:00Z") },
        Gap { from: at("2018-12-09T10:00:00Z"), until: at("2018-12-09T12:00:00Z") },
    ];
    report.coverage.sources = vec![hourly("gw-eu-1"), silent, hourly("gw-us-1")];
    report.accounting = Accounting {
        lines: 1_257_560,
        blank: 0,
        calls: 1_256_356,
        rejected: 1204,
        outside_window: 0,
        duplicates: 0,
    };
    report.rejects.by_reason.no_time = 1203;
    report.headline = text::headline(&report, &about(8201));
    report
}

/// A report over inputs of which two were not read as they should have been.
pub(crate) fn partial() -> Report {
    let mut report = small();
    report.status = Status::Partial;
    report.inputs.push(Input { complete: false, ..input("gateway-2.jsonl.gz", 0) });
    report.partial = vec![
        Partial { path: "gateway-2.jsonl.gz".to_owned(), reason: "gzip: ends early".to_owned() },
        Partial { path: "logs/eu-*.jsonl".to_owned(), reason: "matches nothing".to_owned() },
    ];
    report.headline = text::headline(&report, &exactly(2));
    report
}

/// A run that keeps state: of each status a finding, and a register that is not the one of the run before.
pub(crate) fn nightly() -> Report {
    let mut report = small();
    let first_seen = Some(at("2018-12-01T02:00:00Z"));
    let with = |finding, status, first_seen| Finding { status, first_seen, ..finding };
    let now = Some(at("2018-12-19T02:00:00Z"));
    report.findings = vec![
        with(finding("os-22222222222b", "log-lost"), Some("new"), now),
        with(finding("os-33333333333c", "dormant-api"), Some("resolved"), first_seen),
        with(finding("os-44444444444d", "register-refused"), Some("reopened"), first_seen),
        with(finding("os-7f3k2mq4t6xa", "after-revocation"), Some("ongoing"), first_seen),
    ];
    report.inputs[0].repeats_unchecked = 2;
    report.inputs[0].pending_bytes = 17;
    let day = |day: &str, revision, calls, added| NightlyDay {
        day: day.to_owned(),
        revision,
        calls,
        added,
    };
    let affected = |partner: &str, api: &str, operation: Option<&str>, calls| Affected {
        partner: partner.to_owned(),
        api: api.to_owned(),
        operation: operation.map(str::to_owned),
        calls,
    };
    report.nightly = Some(Nightly {
        run: 12,
        run_at: now,
        is_committed: true,
        day: None,
        revision: None,
        days: vec![
            day("2018-12-17", 3, None, 0),
            day("2018-12-18", 2, Some(13_000), 12_011),
            day("2018-12-19", 1, Some(1), 1),
        ],
        register_change: Some(RegisterChange {
            from: hex('d'),
            from_propagation_s: None,
            days: (1..=12).map(|day| format!("2018-12-{day:02}")).collect(),
            affected: vec![
                affected("reelhouse", "messages", Some("read"), 1204),
                affected("seekly", "location", None, 1),
            ],
            tables: vec!["routes"],
        }),
        previous: some(&hex('a')),
        since: Some(RunBefore { run: 11, run_at: at("2018-12-18T02:00:00Z") }),
        logs: Some(14),
        standing: Some(Standing { critical: 1, low: 2, suppressed: 1, ..Standing::default() }),
        alerts: Some(Alerts {
            changes: 3,
            waiting: vec![
                waiting("webhook:ops", 11, 2, some("503 Service Unavailable")),
                waiting("webhook:ops", 12, 3, None),
            ],
        }),
    });
    report.headline = text::headline(&report, &exactly(2));
    report
}

fn waiting(channel: &str, run: u64, changes: u64, failure: Option<String>) -> WaitingAlert {
    WaitingAlert {
        channel: channel.to_owned(),
        run,
        delivery_id: format!("{run:032x}"),
        changes,
        tries: u64::from(failure.is_some()),
        failure,
    }
}

/// The report on one of its days.
pub(crate) fn day() -> Report {
    let mut report = nightly();
    report.nightly = report.nightly.map(|nightly| Nightly {
        day: some("2018-12-18"),
        revision: Some(2),
        days: vec![nightly.days[1].clone()],
        register_change: None,
        since: None,
        logs: None,
        standing: None,
        alerts: None,
        ..nightly
    });
    report
}

/// Logs without a register.
pub(crate) fn unjudged() -> Report {
    let mut report = small();
    report.register = Register {
        digest: None,
        partners: 0,
        credentials: 0,
        apis: 0,
        grants: 0,
        as_known_at: None,
    };
    for row in &mut report.usage {
        row.partner = None;
        row.verdict = None;
        row.grant = None;
        row.api = some("/v1/users/{id}/messages");
        row.credential = some("…k7Qa");
    }
    report.partners = Vec::new();
    report.apis = Vec::new();
    report.series = Vec::new();
    report.ends = Vec::new();
    report.findings = Vec::new();
    report.exceptions = Vec::new();
    report.suppressions = Vec::new();
    report.headline = text::headline(&report, &Subjects::default());
    report
}

/// The report with hostile text in every field that comes from a log, a register or a config.
pub(crate) fn poisoned(mut report: Report, poison: &str) -> Report {
    let spoil = |text: &mut String| text.push_str(poison);
    let spoil_some = |text: &mut Option<String>| {
        text.get_or_insert_default().push_str(poison);
    };
    spoil(&mut report.headline);
    for partial in &mut report.partial {
        spoil(&mut partial.path);
        spoil(&mut partial.reason);
    }
    for input in &mut report.inputs {
        spoil(&mut input.path);
        spoil(&mut input.source);
        spoil_some(&mut input.format);
    }
    for reject in &mut report.rejects.sample {
        spoil(&mut reject.path);
        spoil(&mut reject.shape);
    }
    for row in &mut report.usage {
        for text in [
            &mut row.partner,
            &mut row.api,
            &mut row.operation,
            &mut row.grant,
            &mut row.credential,
        ] {
            text.iter_mut().for_each(spoil);
        }
    }
    for partner in &mut report.partners {
        spoil(&mut partner.partner);
        spoil_some(&mut partner.name);
    }
    for api in &mut report.apis {
        spoil(&mut api.api);
        spoil_some(&mut api.name);
        spoil_some(&mut api.data_class);
    }
    for hour in &mut report.series {
        spoil_some(&mut hour.partner);
    }
    for end in &mut report.ends {
        spoil(&mut end.partner);
        spoil(&mut end.api);
        spoil(&mut end.grant);
        end.operations.iter_mut().for_each(spoil);
    }
    for finding in &mut report.findings {
        spoil(&mut finding.summary);
        for text in
            [&mut finding.partner, &mut finding.api, &mut finding.grant, &mut finding.data_class]
        {
            spoil_some(text);
        }
        if let Some(log) = &mut finding.log {
            spoil(&mut log.source);
            spoil(&mut log.path);
        }
        finding.suppressed_by.iter_mut().for_each(spoil);
        finding.operations.iter_mut().for_each(spoil);
        finding.credentials.iter_mut().for_each(spoil);
        finding.evidence.iter_mut().for_each(|evidence| spoil(&mut evidence.path));
    }
    for exception in &mut report.exceptions {
        spoil(&mut exception.grant);
        spoil(&mut exception.partner);
        spoil(&mut exception.api);
        spoil_some(&mut exception.justification);
    }
    for suppression in &mut report.suppressions {
        suppression.finding.iter_mut().for_each(spoil);
        suppression.partner.iter_mut().for_each(spoil);
        suppression.api.iter_mut().for_each(spoil);
        spoil(&mut suppression.owner);
        spoil(&mut suppression.reason);
    }
    for source in &mut report.coverage.sources {
        spoil(&mut source.source);
    }
    if let Some(nightly) = &mut report.nightly {
        nightly.day.iter_mut().for_each(spoil);
        nightly.days.iter_mut().for_each(|day| spoil(&mut day.day));
        nightly.previous.iter_mut().for_each(spoil);
        if let Some(change) = &mut nightly.register_change {
            spoil(&mut change.from);
            change.days.iter_mut().for_each(spoil);
            for affected in &mut change.affected {
                spoil(&mut affected.partner);
                spoil(&mut affected.api);
                spoil_some(&mut affected.operation);
            }
        }
    }
    report
}
