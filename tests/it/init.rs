//! `overstay init`: a first config and register from nothing but logs, as a user sees it.

use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{Case, gzip, repository};

const SECRET: &str = "sk_live_4eC39HqLyjWDarjtT1zdp7dc";
const HASH: &str = "sha256:78a08441f4314f0a2833cfe58c62e555a162264206982cda39f6804f5048f570";

const WRITTEN: [&str; 6] = [
    "overstay.toml",
    "register/apis.csv",
    "register/credentials.csv",
    "register/grants.csv",
    "register/partners.csv",
    "register/routes.csv",
];

/// A line as nginx writes it in `combined`, `minute` minutes after nine.
fn line(minute: usize, who: &str, request: &str, status: u16) -> String {
    format!(
        "10.0.0.7 - {who} [18/Dec/2018:{:02}:{:02}:00 +0000] \"{request} HTTP/1.1\" {status} 5 \"-\" \"x/1\"\n",
        9 + minute / 60,
        minute % 60
    )
}

/// Calls of an app, of one that presents a secret, and of nobody.
fn log() -> String {
    let mut log = String::new();
    for i in 0..30 {
        log += &line(i, "reelhouse-app", &format!("GET /v2/users/u-{i}/messages?x={i}"), 200);
        log += &line(i, SECRET, &format!("POST /v2/photos/{i}"), 201);
    }
    log += &line(31, "-", "GET /health", 200);
    log += &line(32, "-", "GET /wp-login.php", 404);
    log += &line(33, SECRET, "DELETE /v2/users/u-1/messages", 403);
    log
}

fn ready() -> Case {
    Case::new().file("logs/access.log", log())
}

fn verdicts(report: &Value, partner: &str) -> Vec<(String, u64)> {
    let usage = report["usage"].as_array().unwrap();
    let mut all: Vec<(String, u64)> = usage
        .iter()
        .filter(|row| row["partner"] == partner)
        .map(|row| (row["verdict"].as_str().unwrap().to_owned(), row["calls"].as_u64().unwrap()))
        .collect();
    all.sort();
    all
}

#[test]
fn a_register_from_nothing_but_logs() {
    let case = ready();
    let output = case.run(&["init", "logs/access.log"]).expect_status(0);
    for told in [
        "63 calls in 1 log, 2018-12-18T09:00:00Z to 2018-12-18T09:33:00Z.\n",
        "\nWHO         2 credentials, 1 of them written as hashes: they may be secrets\n",
        "\nWHAT        3 routes of 3 apis: messages, photos, health\n",
        "\nMISSING     2 of 63 calls show no credential\n",
        "\nWRITTEN     overstay.toml; in register: partners,",
        "\n     partner-1-photos,partner-1,photos,write,2018-12-18,,,\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
    output.expect_stderr(&["note: format combined, told from the lines: logs/access.log\n"]);
    let names: Vec<String> =
        case.names().into_iter().filter(|name| name != "logs/access.log").collect();
    assert_eq!(names, WRITTEN);
    assert_eq!(
        case.read("register/credentials.csv"),
        format!(
            "credential,partner,valid_from,valid_until\n{HASH},partner-1,,\nreelhouse-app,reelhouse-app,,\n"
        )
    );
    assert_eq!(
        case.read("register/partners.csv"),
        "partner,name,contact\npartner-1,,\nreelhouse-app,,\n"
    );
    assert_eq!(
        case.read("register/routes.csv"),
        "host,method,path,api,operation\n,,/health,health,\n,,/v2/users/{user}/messages,messages,\n,,/v2/photos/{photo},photos,\n"
    );
    assert_eq!(
        case.read("register/grants.csv"),
        "grant,partner,api,operations,granted_at,expires_at,revoked_at,purpose\n"
    );
    let config = case.read("overstay.toml");
    let config: toml::Table = config.parse().unwrap();
    assert_eq!(
        config["logs"][0],
        toml::toml! { source = "logs"
        paths = ["logs/access.log"]
        format = "combined" }
        .into()
    );
    case.run(&["check"]).expect_status(0);

    // Nothing is granted yet, and that is said; then one line is written.
    let output = case.run(&["audit"]).expect_status(0);
    let told = "UNGRANTED   2 of 2 partners with calls have no grant in the register: 61 calls are never-granted\n";
    assert!(output.stdout.contains(told), "{}", output.stdout);
    output.expect_stderr(&["warning: the register has no grant at all: "]);
    let markdown = case.run(&["audit", "--report", "markdown"]).expect_status(0);
    assert!(markdown.stdout.contains("**Ungranted**: 2 of 2 partners with calls have no grant"));

    let mut grants = case.read("register/grants.csv");
    grants += "g1,reelhouse-app,messages,read,2018-01-01,,,\n";
    case.write("register/grants.csv", grants);
    let report = case.run(&["audit", "--json"]).expect_status(0).report();
    assert_eq!(verdicts(&report, "reelhouse-app"), [("granted".to_owned(), 30)]);
    assert_eq!(verdicts(&report, "partner-1").iter().map(|(_, calls)| calls).sum::<u64>(), 31);
    assert!(report.get("ungranted").is_none());
    // The person in the path is known by the placeholder's name.
    let messages =
        report["apis"].as_array().unwrap().iter().find(|api| api["api"] == "messages").unwrap();
    assert_eq!(messages["subjects"], 30);
    let output = case.run(&["audit"]).expect_status(0);
    assert!(output.stdout.contains(
        "UNGRANTED   1 of 2 partners with calls has no grant in the register: 31 calls are"
    ));
    output.expect_stderr(&["note: 1 of 2 partners with calls has no grant"]);
}

/// The README tells the way from logs to a finding as it goes.
#[test]
fn the_readme_goes_from_logs_to_a_finding() {
    let readme = std::fs::read_to_string(repository("README.md")).unwrap();
    let section = readme.split("\n## Starting from nothing but logs\n").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks: Vec<&str> = section.split("```").skip(1).step_by(2).map(str::trim_start).collect();
    let [init, drafted, grant, audit, found] = blocks[..5] else { panic!("{blocks:?}") };
    let name = "docs/nginx/access.log";
    let case = Case::new().file(name, std::fs::read(repository(name)).unwrap());
    let run = |command: &str| {
        let words: Vec<&str> = command.trim().split(' ').collect();
        assert_eq!(words[0], "overstay");
        let mut command = case.command(&words[1..]);
        command.env("COLUMNS", "100");
        case.finish(command).expect_status(0).stdout.clone()
    };
    assert_eq!(run(init), drafted);
    let grants = case.read("drafted/register/grants.csv");
    case.write("drafted/register/grants.csv", format!("{grants}{grant}"));
    let report = run(audit);
    assert!(report.starts_with(found.trim_end()), "{report}");
}

#[test]
fn secrets_are_in_nothing_that_is_written() {
    let secrets = [
        SECRET,
        "key-12345678",
        "7f3a9c1be2d4470f8e1a5b6c",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln",
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "dXNlcjpwYXNzd29yZA==",
    ];
    let log: String = secrets
        .iter()
        .map(|secret| line(1, secret, "GET /messages/1?api_key=QUERYSECRET9", 200))
        .collect();
    let case = Case::new().file("a.log", log);
    let output = case.run(&["init", "a.log", "--into", "new"]).expect_status(0);
    for name in WRITTEN {
        let text = case.read(&format!("new/{name}"));
        for secret in secrets.iter().chain(&["QUERYSECRET9"]) {
            assert!(!text.contains(secret), "{name}: {secret}");
        }
    }
    for secret in secrets {
        assert!(!output.stdout.contains(secret) && !output.stderr.contains(secret));
    }
    // Each is found again by its hash.
    case.write("new/register/grants.csv", "grant,partner,api,operations\ng,partner-1,messages,*\n");
    let report =
        case.run(&["audit", "--json", "--config", "new/overstay.toml"]).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 6);
    assert!(
        report["usage"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["verdict"] != "unknown-credential")
    );
    assert_eq!(verdicts(&report, "partner-1"), [("granted".to_owned(), 1)]);
}

#[test]
fn what_is_there_stays() {
    for there in
        ["overstay.toml", "register/grants.csv", "register/consents.csv", "register/routes.csv.gz"]
    {
        let case = ready().file(there, "mine\n");
        let before = case.names();
        case.run(&["init", "logs/access.log"]).expect_status(2).expect_no_stdout().expect_stderr(
            &[
                &format!("error: found {there} already"),
                "hint: write to another folder with --into DIR",
            ],
        );
        assert_eq!(case.names(), before);
        assert_eq!(case.read(there), "mine\n");
    }
    // A folder beside is made, with those around it.
    let case = ready().file("register/notes.txt", "");
    case.run(&["init", "logs/access.log", "--into", "a/b"]).expect_status(0);
    assert!(case.read("a/b/overstay.toml").contains("\"../../logs/access.log\""));
    case.run(&["check", "--config", "a/b/overstay.toml"]).expect_status(0);
    let report =
        case.run(&["audit", "--json", "--config", "a/b/overstay.toml"]).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 63);
    // What is written would be read as a log by the next run.
    let case = Case::new().file("access.log", log());
    case.run(&["init", "."]).expect_status(2).expect_stderr(&["found where logs are looked for"]);
    assert_eq!(case.names(), ["access.log"]);
}

#[test]
fn nothing_readable_leaves_nothing() {
    let case = Case::new().file("empty.log", "").file("odd.log", "no\nlog\n");
    for (log, told) in [
        ("empty.log", "empty.log: found no call"),
        ("odd.log", "no input could be read: odd.log: no format fits"),
        ("none.log", "matches nothing"),
    ] {
        case.run(&["init", log, "--into", "new"])
            .expect_status(2)
            .expect_no_stdout()
            .expect_stderr(&[told]);
        assert!(!case.path("new").exists());
    }
    case.run(&["init"]).expect_status(2);
}

#[cfg(unix)]
#[test]
fn a_failure_leaves_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = ready().file("new/keep", "");
    std::fs::set_permissions(case.path("new"), std::fs::Permissions::from_mode(0o555)).unwrap();
    let writable = std::fs::write(case.path("new/probe"), "").is_ok();
    if !writable {
        case.run(&["init", "logs/access.log", "--into", "new"]).expect_status(2).expect_no_stdout();
        assert_eq!(case.names(), ["logs/access.log", "new/keep"]);
    }
    std::fs::set_permissions(case.path("new"), std::fs::Permissions::from_mode(0o755)).unwrap();
    // A folder stands where a file is to go.
    let case = ready().file("new", "a file");
    case.run(&["init", "logs/access.log", "--into", "new"]).expect_status(2).expect_no_stdout();
    assert_eq!(case.names(), ["logs/access.log", "new"]);
}

#[test]
fn some_logs_unread_is_told_and_the_rest_is_drafted() {
    let case = ready().file("logs/odd.log", "no\nlog\n").file("logs/cut.log.gz", {
        let mut cut = gzip(log());
        cut.truncate(cut.len() - 9);
        cut
    });
    let output = case.run(&["init", "logs"]).expect_status(3);
    output.expect_stderr(&["warning: logs/odd.log: no format fits", "warning: logs/cut.log.gz: "]);
    // The folder stays as it was given: what could not be read now is missed by each audit too, and what comes there
    // later is read.
    let config: toml::Table = case.read("overstay.toml").parse().unwrap();
    assert_eq!(config["logs"][0]["paths"], toml::Value::from(vec!["logs"]));
    assert_eq!(config["logs"][0]["format"].as_str(), Some("auto"));
    case.run(&["audit"]).expect_status(3).expect_stderr(&["logs/odd.log: no format fits"]);
    // Rejects past what is tolerated, likewise.
    let case = Case::new().file("a.log", log() + &"bad\n".repeat(5));
    case.run(&["init", "a.log", "--into", "x"])
        .expect_status(3)
        .expect_stderr(&["5 of 68 lines rejected"]);
    case.run(&["init", "a.log", "--into", "y", "--max-rejects", "5"]).expect_status(0);
}

#[test]
fn logs_of_several_formats_are_several_sources() {
    let json = "{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"acme\",\"method\":\"GET\",\"path\":\"/messages/1\",\"status\":200}\n";
    let case = ready()
        .file("logs/more.jsonl", json.repeat(3))
        .file("old/b.log.gz", gzip(format!("\n{}", log())));
    case.run(&["init", "logs", "old/*.gz", "--into", "new"]).expect_status(0);
    let config: toml::Table = case.read("new/overstay.toml").parse().unwrap();
    let logs = config["logs"].as_array().unwrap();
    let of = |i: usize, key: &str| logs[i][key].clone();
    assert_eq!(of(0, "format").as_str(), Some("auto"));
    assert_eq!(of(0, "paths"), toml::Value::from(vec!["../logs"]));
    assert_eq!(of(1, "format").as_str(), Some("combined"));
    assert_eq!(of(1, "paths"), toml::Value::from(vec!["../old/*.gz"]));
    case.run(&["check", "--config", "new/overstay.toml"]).expect_status(0);
    let report =
        case.run(&["audit", "--json", "--config", "new/overstay.toml"]).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 63 * 2 + 3);
}

#[test]
fn a_format_of_ones_own_is_taken_over() {
    let formats = "[formats.edge]\nkind = \"json\"\nat = { field = \"t\", as = \"epoch_s\" }\ncredential = { query = \"app\" }\npath = \"p\"\n";
    let case = Case::new()
        .file("formats.toml", formats)
        .file("edge.log", "{\"t\":1545123600,\"p\":\"/messages/7?app=acme\"}\n".repeat(4));
    case.run(&["init", "edge.log", "--config", "formats.toml", "--log-format", "edge"])
        .expect_status(0);
    case.run(&["check"]).expect_status(0);
    let report = case.run(&["audit", "--json"]).expect_status(0).report();
    assert_eq!(verdicts(&report, "acme"), [("never-granted".to_owned(), 4)]);
    case.run(&["init", "edge.log", "--log-format", "edge", "--into", "x", "--config", "none.toml"])
        .expect_status(2);
}

#[test]
fn standard_input_is_a_log() {
    let case = Case::new();
    let output = case.run_with_input(&["init", "-"], log().as_bytes()).expect_status(0);
    assert!(output.stdout.starts_with("63 calls in 1 log"));
    assert!(case.read("overstay.toml").contains("paths  = [\"-\"]"));
    case.run(&["check"]).expect_status(0);
}

#[test]
fn a_log_without_any_credential_says_what_to_log() {
    let case = Case::new().file("a.log", line(1, "-", "GET /messages/1", 200));
    let output = case.run(&["init", "a.log"]).expect_status(0);
    assert!(
        output
            .stdout
            .contains("no call shows a credential: who called can't be told. docs/what-to-log.md")
    );
    assert_eq!(
        case.read("register/credentials.csv"),
        "credential,partner,valid_from,valid_until\n"
    );
    case.run(&["check"]).expect_status(0);
    case.run(&["audit"]).expect_status(0);
}

#[test]
fn apis_that_logs_name() {
    let event = |name: &str, who: &str| {
        json!({"eventVersion": "1.08", "eventTime": "2018-12-18T09:00:00Z", "eventSource": "s3.amazonaws.com",
            "eventName": name, "awsRegion": "eu-west-1", "eventID": format!("e-{name}"),
            "userIdentity": {"type": "IAMUser", "accessKeyId": who, "accountId": "123456789012"}})
    };
    let key = "AKIAIOSFODNN7EXAMPLE";
    let records = json!({"Records": [event("GetObject", key), event("PutObject", key)]});
    let case = Case::new().file("trail.json", records.to_string());
    let output = case.run(&["init", "trail.json"]).expect_status(0);
    assert!(
        output.stdout.contains("s3.amazonaws.com,GetObject|PutObject,2018-12-18,,,"),
        "{}",
        output.stdout
    );
    assert!(case.read("register/credentials.csv").contains("\nAKIAIOSFODNN7EXAMPLE,partner-1,,\n"));
    assert!(case.read("register/apis.csv").contains("\ns3.amazonaws.com,"));
    assert_eq!(case.read("register/routes.csv"), "host,method,path,api,operation\n");
    case.run(&["check"]).expect_status(0);
    case.write(
        "register/grants.csv",
        "grant,partner,api,operations\ng,partner-1,s3.amazonaws.com,GetObject\n",
    );
    let report = case.run(&["audit", "--json"]).expect_status(0).report();
    assert_eq!(
        verdicts(&report, "partner-1"),
        [("granted".to_owned(), 1), ("out-of-scope".to_owned(), 1)]
    );
}

#[test]
fn many_words_in_one_place_are_ids_and_few_are_names() {
    let names: Vec<String> =
        ('a'..='z').flat_map(|a| ["lice", "bob"].map(|b| format!("{a}{b}"))).collect();
    let mut log = String::new();
    for (i, name) in names.iter().enumerate() {
        log += &line(
            i,
            "app",
            &format!("GET /v1/people/{name}/friends/{}", names[names.len() - 1 - i]),
            200,
        );
        log += &line(i, "app", &format!("GET /things/{name}"), 200);
        log += &line(i, "app", &format!("POST /rpc-calls/get{}{name}", name.to_uppercase()), 200);
        log += &line(i, "app", "GET /things/top", 200);
        log += &line(i, "app", "GET /things/top", 200);
    }
    for name in ["red", "green", "blue"] {
        log += &line(1, "app", &format!("GET /colours/{name}"), 200);
    }
    log += &line(1, "app", "GET /v1/people/me", 200);
    log += &line(1, "app", "GET /oauth2/token", 200);
    let case = Case::new().file("a.log", log);
    case.run(&["init", "a.log"]).expect_status(0);
    let routes = case.read("register/routes.csv");
    let mut paths: Vec<&str> =
        routes.lines().skip(1).map(|row| row.split(',').nth(2).unwrap()).collect();
    let operations = paths.iter().filter(|path| path.starts_with("/rpc-calls/get")).count();
    assert_eq!(operations, names.len());
    paths.retain(|path| !path.starts_with("/rpc-calls/"));
    assert_eq!(
        paths,
        [
            "/colours/blue",
            "/colours/green",
            "/colours/red",
            "/v1/people/{user}/friends/{user-2}",
            "/oauth2/token",
            "/v1/people/me",
            "/things/top",
            "/things/{thing}",
        ]
    );
    case.run(&["check"]).expect_status(0);
}

#[test]
fn hosts_with_routes_of_their_own_are_named() {
    let call = |host: &str, path: &str| {
        format!(
            "{{\"time\":\"2018-12-18T09:00:00Z\",\"client_id\":\"acme\",\"path\":\"{path}\",\"host\":\"{host}\",\"status\":200}}\n"
        )
    };
    let two = |a: [&str; 2], b: [&str; 2]| {
        let log: String = a.map(|path| call("API.example:443", path)).concat()
            + &b.map(|path| call("auth.example", path)).concat();
        let case = Case::new().file("a.log", log);
        case.run(&["init", "a.log"]).expect_status(0);
        case.run(&["check"]).expect_status(0);
        case.read("register/routes.csv").lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(
        two(["/mail", "/photos"], ["/token", "/keys"]),
        [
            "auth.example,,/keys,keys,",
            "api.example,,/mail,mail,",
            "api.example,,/photos,photos,",
            "auth.example,,/token,token,"
        ]
    );
    assert_eq!(
        two(["/mail", "/photos"], ["/photos", "/mail"]),
        [",,/mail,mail,", ",,/photos,photos,"]
    );
}

#[test]
fn the_same_bytes_whatever_reads_the_logs() {
    let mut case = Case::new();
    for i in 0..7 {
        let log: String = (0..300)
            .map(|n| {
                line(
                    n % 60,
                    &format!("app{}", (n * 7 + i) % 13),
                    &format!("GET /a{}/b{}/{}", n % 5, (n + i) % 40, n),
                    200,
                )
            })
            .collect();
        case = case.file(&format!("logs/{i}.log"), log);
    }
    let drafted = |into: &str, flags: &[&str]| {
        let mut arguments = vec!["init", "logs", "--into", into];
        arguments.extend(flags);
        let stdout = case.run(&arguments).expect_status(0).stdout.replace(into, "");
        let files = WRITTEN.map(|name| case.read(&format!("{into}/{name}")));
        (stdout, files)
    };
    let one = drafted("x1", &["--threads", "1"]);
    assert_eq!(drafted("x2", &["--threads", "4"]), one);
    assert_eq!(drafted("x3", &["--threads", "3", "--io", "mmap", "--chunk-bytes", "1"]), one);
    assert_eq!(drafted("x4", &["--io", "read", "--chunk-bytes", "1000"]), one);
}

#[test]
fn hostile_text_stays_text() {
    let call = |who: &str, host: &str, path: &str, method: &str| {
        let mut line =
            json!({"time": "2018-12-18T09:00:00Z", "client_id": who, "path": path, "host": host,
            "method": method, "status": 200})
            .to_string();
        line.push('\n');
        line
    };
    let log = call("=cmd|' /C calc'!A0", "a\nb", "/x\n[register]\nsource = \"/etc\"", "GET")
        + &call("acme\r\npartner", "evil,host", "/a,b/\"q\"/c", "A|B")
        + &call("\u{1b}[2J", "-", "/\u{202e}gpj/\u{1b}[2J", "\u{7}")
        + &call("acme", "x", "/=1+1", "GET");
    let odd = "logs/[a] 'b'\n\"c\".log";
    let case = Case::new().file(odd, log);
    let output = case.run(&["init", odd]).expect_status(0);
    let is_command = |c: char| c.is_control() && c != '\n';
    assert!(!output.stdout.contains(is_command) && !output.stderr.contains(is_command));
    let config = case.read("overstay.toml");
    assert!(!config.contains(is_command) && !config.contains('\u{202e}'));
    let tables: toml::Table = config.parse().unwrap();
    assert_eq!(tables["register"]["source"].as_str(), Some("register"));
    assert_eq!(tables["logs"][0]["paths"][0].as_str(), Some(odd));
    case.run(&["check"]).expect_status(0);
    let report = case.run(&["audit", "--json"]).expect_status(0).report();
    assert_eq!(report["accounting"]["calls"], 4);
    let verdicts: Vec<&Value> =
        report["usage"].as_array().unwrap().iter().map(|row| &row["verdict"]).collect();
    assert!(verdicts.iter().all(|verdict| **verdict == "never-granted"), "{verdicts:?}");
}

/// Segments as nobody should write them.
const ODD: [&str; 30] = [
    "{", "}", "{}", "{id}", "{a}{b}", "*", "**", "a*", ".", "..", "...", "", " ", "%", "%2", "%2F",
    "%%34", "%%341", "%41", "%7B", "%%32E", "é", "\u{202e}", "\u{0}", "a,b", "\"", "\"\"", ":id",
    "<id>", "a b ",
];

fn odd_path() -> impl Strategy<Value = String> {
    let segment = prop_oneof![
        4 => prop::sample::select(&ODD[..]).prop_map(str::to_owned),
        2 => "[a-c]{1,2}",
        1 => "[0-9]{1,3}",
        1 => "\\PC{0,6}",
        1 => "x{40,60}",
    ];
    let head =
        prop::sample::select(&["/", "", "//", "http://h.example/", "http://", "?", "#", "*"][..]);
    (head, prop::collection::vec(segment, 0..22))
        .prop_map(|(head, parts)| format!("{head}{}", parts.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// The register passes its check, and every served call is then somebody's and of some api.
    #[test]
    fn whatever_the_logs_hold_the_register_is_sound(
        calls in prop::collection::vec(
            (odd_path(), prop_oneof!["[a-z]{1,6}", "\\PC{1,12}", Just("sha256:x".to_owned())], prop::option::of("\\PC{1,8}"), "\\PC{0,9}"),
            1..60,
        ),
    ) {
        let log: String = calls
            .iter()
            .map(|(path, who, api, host)| {
                let mut call = json!({"time": "2018-12-18T09:00:00Z", "path": path, "client_id": who, "host": host, "status": 200});
                if let Some(api) = api.as_ref().filter(|api| api.len() % 3 == 0) {
                    call["api"] = json!(api);
                }
                format!("{call}\n")
            })
            .collect();
        let case = Case::new().file("a.log", log);
        let arguments = ["init", "a.log", "--log-format", "json", "--max-rejects", "100%"];
        let output = case.run(&arguments);
        if output.status.code() == Some(2) {
            // No line had a path.
            assert!(output.stderr.contains("found no call"), "{}", output.stderr);
            return Ok(());
        }
        let _ = output.expect_status(0);
        case.run(&["check"]).expect_status(0);
        let arguments = ["audit", "--json", "--max-rejects", "100%"];
        let report = case.run(&arguments).expect_status(0).report();
        for row in report["usage"].as_array().unwrap() {
            let mut told = String::new();
            let _ = write!(told, "{row}");
            let verdict = row["verdict"].as_str().unwrap();
            let named_in_vain = verdict == "unlisted-api" && !row["api"].is_null();
            assert!(named_in_vain || matches!(verdict, "never-granted" | "anonymous"), "{told}");
        }
    }
}

/// What comes to be there while the logs are read is left as it is.
#[cfg(unix)]
#[test]
fn what_a_person_writes_meanwhile_is_not_replaced() {
    let case = Case::new();
    let made = case.tool("mkfifo", &["pipe"]).status().unwrap();
    assert!(made.success());
    let mut command = case.command(&["init", "pipe", "--log-format", "combined"]);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let child = command.spawn().unwrap();
    // It opens once there is a reader, which looks for what is there before it reads.
    let mut pipe = std::fs::OpenOptions::new().write(true).open(case.path("pipe")).unwrap();
    std::io::Write::write_all(&mut pipe, log().as_bytes()).unwrap();
    case.write("overstay.toml", "# mine");
    drop(pipe);
    let output = case.output("init".to_owned(), child.wait_with_output().unwrap());
    let output = output.expect_status(2).expect_no_stdout().expect_stderr(&["overstay.toml"]);
    assert_eq!(case.read("overstay.toml"), "# mine");
    assert!(!case.names().iter().any(|name| name.starts_with("register")), "{:?}", output.stderr);
}

#[test]
fn a_log_delivered_twice_is_drafted_from_once() {
    let case = ready().file("logs/access.log.gz", gzip(log()));
    let output = case.run(&["init", "logs"]).expect_status(0);
    assert!(output.stdout.starts_with("63 calls in 2 logs, "), "{}", output.stdout);
    output.expect_stderr(&["logs/access.log.gz has the same content as logs/access.log"]);
}
