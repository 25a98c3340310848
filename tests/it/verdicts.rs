//! What each table of the register makes of a call: for every verdict one call that has it and, where there is one, the
//! nearest that has not. Worked out by hand from the contract; the twin checks the rest by the thousand.

use serde_json::Value;

use crate::harness::Case;

/// A register and the calls that it is to judge.
struct Trial {
    case: Case,
    arguments: Vec<&'static str>,
}

/// `acme` presents `key-1`, `globex` presents `key-2`; `messages` is all there is, a person's or everybody's.
fn trial(tables: &[(&str, &str)]) -> Trial {
    let mut case = Case::with_register()
        .file("register/credentials.csv", "credential,partner\nkey-1,acme\nkey-2,globex\n")
        .file("register/routes.csv", "path,api\n/messages,messages\n/messages/{user},messages\n");
    for (table, rows) in tables {
        case = case.file(&format!("register/{table}.csv"), rows);
    }
    Trial { case, arguments: Vec::new() }
}

impl Trial {
    fn with(mut self, arguments: &[&'static str]) -> Trial {
        self.arguments.extend(arguments);
        self
    }

    /// Each call as `INSTANT CREDENTIAL METHOD PATH`, and what is to be said of it:
    /// `VERDICT ALSO PARTNER GRANT SINCE LAPSED_AT`, `-` for what there is not.
    fn check(&self, calls: &[(&str, &str)]) -> &Trial {
        let told: Vec<String> = self.judged(calls.iter().map(|(call, _)| *call));
        let expected: Vec<String> = calls
            .iter()
            .map(|(call, expected)| format!("{call}: {}", fields(expected).join(" ")))
            .collect();
        assert_eq!(told, expected);
        self
    }

    fn judged<'c>(&self, calls: impl Iterator<Item = &'c str> + Clone) -> Vec<String> {
        let log: String = calls.clone().map(line).collect();
        self.case.write("a.log", log);
        let fixed = ["calls", "-q", "--register", "register", "--log-format", "json", "a.log"];
        let output = self.case.run(&[&fixed[..], &self.arguments].concat()).expect_status(0);
        let lines = output.json_lines();
        assert_eq!(lines.len(), calls.clone().count());
        calls.zip(&lines).map(|(call, judged)| format!("{call}: {}", told(judged))).collect()
    }
}

fn line(call: &str) -> String {
    let [at, credential, method, path] = fields(call)[..] else { panic!("{call}") };
    let credential = if credential == "-" { "" } else { credential };
    format!(
        "{{\"time\":\"{at}\",\"client_id\":\"{credential}\",\"method\":\"{method}\",\"path\":\"{path}\",\"status\":200}}\n"
    )
}

fn fields(text: &str) -> Vec<&str> {
    text.split_whitespace().collect()
}

fn told(judged: &Value) -> String {
    let also: Vec<&str> =
        judged["also"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let also = if also.is_empty() { "-".to_owned() } else { also.join("+") };
    let text = |key: &str| judged[key].as_str().unwrap_or("-");
    format!(
        "{} {also} {} {} {} {}",
        text("verdict"),
        text("partner"),
        text("grant"),
        text("since"),
        text("lapsed_at")
    )
}

const GRANTS: &str = "grant,partner,api,operations,granted_at,expires_at,revoked_at\n";

fn grants(rows: &str) -> String {
    format!("{GRANTS}{rows}")
}

#[test]
fn a_grant_is_live_from_its_start_to_before_its_revocation() {
    trial(&[("grants", &grants("g1,acme,messages,read,2018-01-01,,2018-06-01\n"))]).check(&[
        ("2017-12-31T23:59:59.999999999Z key-1 GET /messages/u1", "before-grant - acme g1 - -"),
        ("2018-01-01T00:00:00Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        ("2018-05-31T23:59:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (
            "2018-06-01T00:00:00Z key-1 GET /messages/u1",
            "after-revocation - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
        // The same instant, told with the offset of another zone.
        (
            "2018-06-01T02:00:00+02:00 key-1 GET /messages/u1",
            "after-revocation - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
    ]);
}

#[test]
fn the_earlier_of_expiry_and_revocation_ends_a_grant() {
    let after = |row: &str, expected: &str| {
        trial(&[("grants", &grants(row))])
            .check(&[("2018-07-01T00:00:00Z key-1 GET /messages/u1", expected)]);
    };
    after(
        "g1,acme,messages,read,,2018-05-01,2018-06-01\n",
        "after-expiry - acme g1 2018-05-01T00:00:00Z 2018-05-01T00:00:00Z",
    );
    after(
        "g1,acme,messages,read,,2018-06-01,2018-05-01\n",
        "after-revocation - acme g1 2018-05-01T00:00:00Z 2018-05-01T00:00:00Z",
    );
    // Both at once: somebody revoked it.
    after(
        "g1,acme,messages,read,,2018-05-01,2018-05-01\n",
        "after-revocation - acme g1 2018-05-01T00:00:00Z 2018-05-01T00:00:00Z",
    );
    // Of two that ended together the revoked one is named, then the smaller id.
    after(
        "g1,acme,messages,read,,2018-05-01,\ng2,acme,messages,read,,,2018-05-01\n",
        "after-revocation - acme g2 2018-05-01T00:00:00Z 2018-05-01T00:00:00Z",
    );
    after(
        "g2,acme,messages,read,,,2018-05-01\ng1,acme,messages,read,2018-02-01,,2018-05-01\n",
        "after-revocation - acme g1 2018-05-01T00:00:00Z 2018-05-01T00:00:00Z",
    );
}

#[test]
fn of_several_grants_any_live_one_will_do() {
    let rows = "g1,acme,messages,read,2018-01-01,,2018-06-01\n\
                g2,acme,messages,read|write,2018-03-01,2018-09-01,\n\
                g3,acme,messages,read,2018-11-01,,\n";
    trial(&[("grants", &grants(rows))]).check(&[
        ("2018-04-01T00:00:00Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        ("2018-04-01T00:00:00Z key-1 PUT /messages/u1", "granted - acme g2 - -"),
        ("2018-06-01T00:00:00Z key-1 GET /messages/u1", "granted - acme g2 - -"),
        // Between two grants: the one that ended, not the one to come.
        (
            "2018-10-01T00:00:00Z key-1 GET /messages/u1",
            "after-expiry - acme g2 2018-09-01T00:00:00Z 2018-09-01T00:00:00Z",
        ),
        ("2018-11-01T00:00:00Z key-1 GET /messages/u1", "granted - acme g3 - -"),
        // A later grant for reading does not cover writing.
        (
            "2018-11-01T00:00:00Z key-1 PUT /messages/u1",
            "after-expiry - acme g2 2018-09-01T00:00:00Z 2018-09-01T00:00:00Z",
        ),
    ]);
}

#[test]
fn an_operation_that_no_grant_covers() {
    trial(&[("grants", &grants("g1,acme,messages,read,2018-01-01,,2018-06-01\n"))]).check(&[
        ("2018-02-01T00:00:00Z key-1 DELETE /messages/u1", "out-of-scope - acme - - -"),
        ("2018-06-01T00:00:00Z key-1 DELETE /messages/u1", "never-granted - acme - - -"),
        ("2017-06-01T00:00:00Z key-1 DELETE /messages/u1", "never-granted - acme - - -"),
        ("2018-02-01T00:00:00Z key-2 GET /messages/u1", "never-granted - globex - - -"),
    ]);
    trial(&[("grants", &grants("g1,acme,messages,*,2018-01-01,,2018-06-01\n"))]).check(&[
        ("2018-02-01T00:00:00Z key-1 DELETE /messages/u1", "granted - acme g1 - -"),
        ("2018-02-01T00:00:00Z key-1 PURGE /messages/u1", "granted - acme g1 - -"),
    ]);
}

#[test]
fn caches_have_their_time_after_a_revocation_only() {
    let rows = "g1,acme,messages,read,,,2018-06-01\ng2,globex,messages,read,,2018-06-01,\n";
    trial(&[("apis", "api,propagation_s\nmessages,60\n"), ("grants", &grants(rows))]).check(&[
        (
            "2018-06-01T00:00:59.999999999Z key-1 GET /messages/u1",
            "propagating - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
        (
            "2018-06-01T00:01:00Z key-1 GET /messages/u1",
            "after-revocation - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
        (
            "2018-06-01T00:00:00Z key-2 GET /messages/u1",
            "after-expiry - globex g2 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
    ]);
}

#[test]
fn a_purpose_ends_and_a_certification_lapses_while_the_grant_runs_on() {
    let columns =
        "grant,partner,api,operations,granted_at,purpose,certified_until,expires_at,revoked_at\n";
    let purposes = "purpose,ended_at\nshare,2018-03-01\nlog-in,\n";
    let tables = |rows: &str| -> Trial {
        trial(&[("purposes", purposes), ("grants", &format!("{columns}{rows}"))])
    };
    tables("g1,acme,messages,read,2018-01-01,share,2018-06-01,,\n").check(&[
        ("2018-02-28T23:59:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (
            "2018-03-01T00:00:00Z key-1 GET /messages/u1",
            "purpose-ended - acme g1 2018-03-01T00:00:00Z 2018-03-01T00:00:00Z",
        ),
        // Its certification lapses too; the purpose ended first, and that is what is said.
        (
            "2018-07-01T00:00:00Z key-1 GET /messages/u1",
            "purpose-ended - acme g1 2018-03-01T00:00:00Z 2018-03-01T00:00:00Z",
        ),
    ]);
    tables("g1,acme,messages,read,2018-01-01,log-in,2018-06-01,,2018-08-01\n").check(&[
        ("2018-05-31T23:59:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (
            "2018-06-01T00:00:00Z key-1 GET /messages/u1",
            "uncertified - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
        // Revoked at last: that is since August, but out of order since June.
        (
            "2018-08-01T00:00:00Z key-1 GET /messages/u1",
            "after-revocation - acme g1 2018-08-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
    ]);
    // One grant without its certificate, the other without its purpose: in order until the second went.
    let two = "g1,acme,messages,read,2018-01-01,log-in,2018-02-01,,\n\
               g2,acme,messages,read,2018-01-01,share,,,\n";
    tables(two).check(&[
        ("2018-02-15T00:00:00Z key-1 GET /messages/u1", "granted - acme g2 - -"),
        (
            "2018-04-01T00:00:00Z key-1 GET /messages/u1",
            "uncertified - acme g1 2018-02-01T00:00:00Z 2018-03-01T00:00:00Z",
        ),
    ]);
}

#[test]
fn an_api_goes_dormant_whatever_the_grants_say() {
    trial(&[
        ("apis", "api,dormant_since\nmessages,2018-04-01\n"),
        ("grants", &grants("g1,acme,messages,read,2018-01-01,,2018-06-01\n")),
    ])
    .check(&[
        ("2018-03-31T23:59:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (
            "2018-04-01T00:00:00Z key-1 GET /messages/u1",
            "dormant-api - acme g1 2018-04-01T00:00:00Z 2018-04-01T00:00:00Z",
        ),
        (
            "2018-06-01T00:00:00Z key-1 GET /messages/u1",
            "dormant-api after-revocation acme g1 2018-04-01T00:00:00Z 2018-04-01T00:00:00Z",
        ),
        // It never was allowed to write: nothing lapsed.
        (
            "2018-04-01T00:00:00Z key-1 PUT /messages/u1",
            "dormant-api out-of-scope acme - 2018-04-01T00:00:00Z -",
        ),
    ]);
}

#[test]
fn a_moved_credential_is_whose_it_was_at_the_time() {
    let both = grants("g1,acme,messages,read,,,2018-08-01\ng2,globex,messages,read,,,\n");
    let moved = "credential,partner,valid_from,valid_until\n\
                 key-1,acme,2018-01-01,2018-06-01\nkey-1,globex,2018-06-01,\n";
    trial(&[("credentials", moved), ("grants", &both)]).check(&[
        ("2018-05-31T23:59:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        ("2018-06-01T00:00:00Z key-1 GET /messages/u1", "granted - globex g2 - -"),
        // Before any of its rows it is taken for that of its first holder, and held against it.
        ("2017-12-31T00:00:00Z key-1 GET /messages/u1", "stale-credential - acme g1 - -"),
    ]);
    let gap = "credential,partner,valid_from,valid_until\n\
               key-1,acme,2018-01-01,2018-06-01\nkey-1,globex,2018-09-01,\n";
    trial(&[
        ("apis", "api,propagation_s\nmessages,60\n"),
        ("credentials", gap),
        ("grants", &both),
    ])
    .check(&[
        ("2018-06-01T00:00:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (
            "2018-06-01T00:01:00Z key-1 GET /messages/u1",
            "stale-credential - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z",
        ),
        (
            "2018-08-02T00:00:00Z key-1 GET /messages/u1",
            "after-revocation stale-credential acme g1 2018-08-01T00:00:00Z 2018-08-01T00:00:00Z",
        ),
        ("2018-09-01T00:00:00Z key-1 GET /messages/u1", "granted - globex g2 - -"),
    ]);
}

const WITH_OVERRIDE: &str = "grant,partner,api,operations,overrides_consent\n";

#[test]
fn a_persons_latest_word_counts() {
    let consents = "subject,partner,api,at,state\n\
                    u1,acme,messages,2018-01-01,given\n\
                    u1,acme,messages,2018-03-01,withdrawn\n\
                    u1,*,*,2018-05-01,given\n\
                    u2,*,messages,2018-02-01,given\n\
                    u2,acme,*,2018-02-01,withdrawn\n\
                    u3,globex,messages,2018-01-01,given\n";
    let rows = format!(
        "{WITH_OVERRIDE}g1,acme,messages,read,\ng2,globex,messages,read,true\ng3,globex,messages,*,\n"
    );
    let calls = [
        ("2018-01-01T00:00:00Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        ("2018-02-28T23:59:59.999999999Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (
            "2018-03-01T00:00:00Z key-1 GET /messages/u1",
            "without-consent - acme g1 2018-03-01T00:00:00Z 2018-03-01T00:00:00Z",
        ),
        ("2018-05-01T00:00:00Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        // Given and withdrawn at one instant: withdrawn.
        (
            "2018-02-01T00:00:00Z key-1 GET /messages/u2",
            "without-consent - acme g1 2018-02-01T00:00:00Z 2018-02-01T00:00:00Z",
        ),
        // That was towards acme; globex may.
        ("2018-02-01T00:00:00Z key-2 GET /messages/u2", "granted - globex g2 - -"),
        // Nobody's data, nobody's consent.
        ("2018-02-01T00:00:00Z key-1 GET /messages", "granted - acme g1 - -"),
    ];
    let required = [
        // Before the first word, and of one who never said any to acme.
        ("2017-12-31T00:00:00Z key-1 GET /messages/u1", "without-consent - acme g1 - -"),
        ("2018-02-01T00:00:00Z key-1 GET /messages/u3", "without-consent - acme g1 - -"),
        // Of globex's two grants one overrides; it says nothing of writing.
        ("2017-12-31T00:00:00Z key-2 GET /messages/u3", "consent-overridden - globex g2 - -"),
        ("2017-12-31T00:00:00Z key-2 PUT /messages/u3", "without-consent - globex g3 - -"),
    ];
    trial(&[
        ("apis", "api,consent\nmessages,required\n"),
        ("consents", consents),
        ("grants", &rows),
    ])
    .check(&[&calls[..], &required].concat());
    // Where it is not required, only who said no is missed.
    let silent = required.map(|(call, _)| {
        let who = if call.contains("key-1") { "acme g1" } else { "globex g2" };
        let who = if call.contains("PUT") { "globex g3" } else { who };
        (call, format!("granted - {who} - -"))
    });
    let silent: Vec<(&str, &str)> = silent.iter().map(|(call, told)| (*call, &**told)).collect();
    trial(&[("consents", consents), ("grants", &rows)]).check(&[&calls[..], &silent].concat());
}

#[test]
fn an_override_goes_with_the_withdrawal_and_lapses_nothing() {
    let consents = "subject,partner,api,at,state\nu1,*,*,2018-03-01,withdrawn\n";
    trial(&[
        ("consents", consents),
        ("grants", &format!("{WITH_OVERRIDE}g1,acme,messages,read,true\n")),
    ])
    .check(&[(
        "2018-04-01T00:00:00Z key-1 GET /messages/u1",
        "consent-overridden - acme g1 2018-03-01T00:00:00Z -",
    )]);
}

#[test]
fn what_goes_before_the_register() {
    let trial = trial(&[
        ("apis", "api,access,dormant_since\nmessages,,\nhealth,open,2018-01-01\n"),
        ("routes", "path,api\n/messages/{user},messages\n/healthz,health\n"),
    ]);
    trial.check(&[
        ("2018-02-01T00:00:00Z - GET /healthz", "open - - - - -"),
        ("2018-02-01T00:00:00Z key-9 GET /healthz", "open - - - - -"),
        ("2018-02-01T00:00:00Z key-1 GET /healthz", "open - acme - - -"),
        ("2018-02-01T00:00:00Z - GET /messages/u1", "anonymous - - - - -"),
        ("2018-02-01T00:00:00Z - GET /nowhere", "anonymous - - - - -"),
        ("2018-02-01T00:00:00Z key-9 GET /messages/u1", "unknown-credential - - - - -"),
        ("2018-02-01T00:00:00Z key-9 GET /nowhere", "unknown-credential - - - - -"),
        ("2018-02-01T00:00:00Z key-1 GET /nowhere", "unlisted-api - acme - - -"),
        // However it is written.
        ("2018-02-01T00:00:00Z - GET //a/..//%68ealthz/?x=1#y", "open - - - - -"),
    ]);
}

#[test]
fn papers_that_came_late_are_hindsight() {
    let rows = "grant,partner,api,operations,granted_at,revoked_at,recorded_at\n\
                g1,acme,messages,read,2018-01-01,,\n\
                g1,acme,messages,read,2018-01-01,2018-06-01,2018-07-01\n\
                g2,globex,messages,read,2018-01-01,,2018-03-01\n";
    let tables: &[(&str, &str)] = &[("grants", rows)];
    let revoked = "after-revocation - acme g1 2018-06-01T00:00:00Z 2018-06-01T00:00:00Z".to_owned();
    let accused = revoked.replace(" - acme", " hindsight acme");
    let june = "2018-06-15T00:00:00Z key-1 GET /messages/u1";
    let february = "2018-02-15T00:00:00Z key-2 GET /messages/u1";
    trial(tables).check(&[
        ("2018-05-31T00:00:00Z key-1 GET /messages/u1", "granted - acme g1 - -"),
        (june, &accused),
        ("2018-06-30T23:59:59.999999999Z key-1 GET /messages/u1", &accused),
        ("2018-07-01T00:00:00Z key-1 GET /messages/u1", &revoked),
        (february, "granted hindsight globex g2 - -"),
        ("2018-03-01T00:00:00Z key-2 GET /messages/u1", "granted - globex g2 - -"),
    ]);
    // The register as it was: the versions recorded by then, and no row that has none.
    trial(tables)
        .with(&["--as-known-at", "2018-06-30T23:59:59Z"])
        .check(&[(june, "granted - acme g1 - -"), (february, "granted hindsight globex g2 - -")]);
    trial(tables).with(&["--as-known-at", "2018-07-01"]).check(&[(june, &accused)]);
    trial(tables)
        .with(&["--as-known-at", "2018-02-28"])
        .check(&[(february, "never-granted - globex - - -")]);
}

/// Lapsed is since when it was no longer in order without a break, not since the first time it was not.
#[test]
fn a_renewal_starts_the_clock_anew() {
    let rows = "g1,acme,messages,read,2018-01-01,,2018-02-01\ng2,acme,messages,read,2018-03-01,,2018-04-01\n";
    trial(&[("grants", &grants(rows))]).check(&[
        (
            "2018-02-15T00:00:00Z key-1 GET /messages/u1",
            "after-revocation - acme g1 2018-02-01T00:00:00Z 2018-02-01T00:00:00Z",
        ),
        ("2018-03-15T00:00:00Z key-1 GET /messages/u1", "granted - acme g2 - -"),
        (
            "2018-04-15T00:00:00Z key-1 GET /messages/u1",
            "after-revocation - acme g2 2018-04-01T00:00:00Z 2018-04-01T00:00:00Z",
        ),
    ]);
}

/// A row that ends at or before it begins belongs to no time: it takes the key from nobody, before or after.
#[test]
fn a_credential_row_that_is_never_valid_names_nobody() {
    let rows = |rows: &str| format!("credential,valid_from,partner,valid_until\n{rows}");
    let grants = grants("g1,acme,messages,read,2017-01-01,,\n");
    let call = "2018-07-01T00:00:00Z key-1 GET /messages/u1";
    for (credentials, expected) in [
        (
            "key-1,2017-01-01,acme,2019-01-01\nkey-1,2018-06-01,globex,2018-06-01\n",
            "granted - acme g1 - -",
        ),
        (
            "key-1,2017-01-01,acme,2018-03-01\nkey-1,2018-06-01,globex,2018-01-01\n",
            "stale-credential - acme g1 2018-03-01T00:00:00Z 2018-03-01T00:00:00Z",
        ),
        (
            "key-1,2018-08-01,acme,\nkey-1,2018-06-01,globex,2018-06-01\n",
            "stale-credential - acme g1 - -",
        ),
        ("key-1,2018-06-01,globex,2018-06-01\n", "unknown-credential - - - - -"),
    ] {
        trial(&[("credentials", &rows(credentials)), ("grants", &grants)])
            .check(&[(call, expected)]);
    }
}
