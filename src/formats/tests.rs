//! What formats promise, sentence by sentence, seen from outside: TOML and a line in, a call or a reason out.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::call::{Outcome, Sourced};
use crate::error::Error;

/// A call with all that is borrowed made its own.
pub(super) fn owned(call: Call<'_>) -> Call<'static> {
    let own = |text: Option<Cow<'_, str>>| text.map(|text| Cow::Owned(text.into_owned()));
    let routed = |sourced: Sourced<'_>| Sourced {
        before: own(sourced.before),
        route: sourced.route.map(|name| &*name.to_owned().leak()),
        after: own(sourced.after),
    };
    Call {
        at: call.at,
        credential: own(call.credential),
        method: own(call.method),
        path: own(call.path),
        host: own(call.host),
        api: own(call.api),
        operation: own(call.operation),
        outcome: call.outcome,
        status: call.status,
        bytes: call.bytes,
        latency_us: call.latency_us,
        subject: routed(call.subject),
        actor: routed(call.actor),
        remote_addr: own(call.remote_addr),
        user_agent: own(call.user_agent),
        request_id: own(call.request_id),
    }
}

/// The format, or the first of what is wrong with it.
fn try_format(toml: &str) -> std::result::Result<Format, Error> {
    Format::from_toml("x", &toml.parse().unwrap()).map_err(|mut problems| problems.0.remove(0))
}

pub(super) fn format(toml: &str) -> Format {
    try_format(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"))
}

/// A JSON format with `at` and `path` mapped, and what else is given.
fn json(more: &str) -> Format {
    format(&format!("kind = \"json\"\nat = \"at\"\npath = \"path\"\n{more}"))
}

fn parse(format: &Format, line: impl AsRef<[u8]>) -> std::result::Result<Call<'static>, Reason> {
    format.parse(line.as_ref(), &mut Scratch::default()).map(owned)
}

/// A line of the `json` formats here, with `at`, `path` and what else is given.
fn line(more: &str) -> String {
    format!(
        r#"{{"at":"2018-12-18T09:30:00Z","path":"/x"{}{more}}}"#,
        if more.is_empty() { "" } else { "," }
    )
}

fn call(more_format: &str, more_line: &str) -> Call<'static> {
    parse(&json(more_format), line(more_line)).unwrap()
}

fn reason(more_format: &str, more_line: &str) -> Option<Reason> {
    parse(&json(more_format), line(more_line)).err()
}

fn some(text: &str) -> Option<Cow<'static, str>> {
    Some(Cow::Owned(text.to_owned()))
}

fn refused(toml: &str) -> String {
    let error = try_format(toml).err().unwrap_or_else(|| panic!("accepted: {toml}"));
    format!("{error} | {}", error.hint_text().unwrap_or_default())
}

// Sources

#[test]
fn of_a_list_of_sources_the_first_present_counts() {
    let list = r#"credential = ["a", "b", { query = "key" }]"#;
    assert_eq!(call(list, r#""a":"1","b":"2""#).credential, some("1"));
    assert_eq!(call(list, r#""a":"-","b":2"#).credential, some("2"));
    assert_eq!(call(list, r#""a":null,"b":"","path":"/x?key=3""#).credential, some("3"));
    assert_eq!(call(list, r#""a":{},"b":[1]"#).credential, None);
}

#[test]
fn absent_is_absent_never_zero() {
    let all = r#"
        status = "status"
        bytes = "bytes"
        latency = { field = "latency", unit = "ms" }
        subject = "user"
    "#;
    for absent in ["", r#""status":null,"bytes":"-","latency":"","user":"-""#] {
        let call = call(all, absent);
        assert_eq!((call.status, call.bytes, call.latency_us), (None, None, None));
        assert_eq!(call.subject, Sourced::default());
        assert_eq!(call.outcome, Outcome::Unknown);
    }
}

#[test]
fn a_number_may_come_as_a_string_and_text_as_a_number() {
    let both = "bytes = \"bytes\"\nhost = \"host\"\napi = \"api\"";
    let call = call(both, r#""bytes":"12","host":7.50,"api":true"#);
    assert_eq!(call.bytes, Some(12));
    assert_eq!(call.host, some("7.50"));
    assert_eq!(call.api, some("true"));
}

#[test]
fn credentials_come_from_fields_queries_and_headers() {
    let query = r#"credential = { query = "api_key" }"#;
    assert_eq!(call(query, r#""path":"/x?a=1&api_key=k%2B1&api_key=z#f""#).credential, some("k+1"));
    assert_eq!(call(query, r#""path":"GET /x?api_key=k HTTP/1.1""#).credential, some("k"));
    assert_eq!(call(query, r#""path":"/x?api_key=-""#).credential, None);
    let header = "credential = { header = \"X-Api-Key\" }\nheaders = \"request.headers\"";
    assert_eq!(call(header, r#""request":{"headers":{"x-api-key":["k"]}}"#).credential, some("k"));
    let nginx = format(
        r#"
        kind = "pattern"
        pattern = '[$time_local] "$request" "$http_x_api_key"'
        credential = { header = "X-Api-Key" }
        "#,
    );
    let line = r#"[18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" "k""#;
    assert_eq!(parse(&nginx, line).unwrap().credential, some("k"));
}

#[test]
fn a_query_that_is_logged_apart_belongs_to_the_path() {
    let apart = "query = \"query\"\ncredential = { query = \"key\" }";
    let with = |query: &str| {
        let call = call(apart, &format!(r#""query":"{query}""#));
        (call.path.unwrap().into_owned(), call.credential.map(Cow::into_owned))
    };
    assert_eq!(with("key=a+b"), ("/x?key=a+b".to_owned(), Some("a b".to_owned())));
    assert_eq!(with("?key=k"), ("/x?key=k".to_owned(), Some("k".to_owned())));
    assert_eq!(with("-"), ("/x".to_owned(), None));
    // It is the query, whatever the path looks like.
    let both = |path: &str| {
        let call = call(apart, &format!(r#""path":"{path}","query":"key=k""#));
        (call.path.unwrap().into_owned(), call.credential.map(Cow::into_owned))
    };
    for path in ["/x", "/x?key=k", "/x?key=another"] {
        assert_eq!(both(path), ("/x?key=k".to_owned(), Some("k".to_owned())), "{path}");
    }
}

/// nginx's `$uri` and Apache's `%U` are decoded: a caller's `%3F` is logged as a question mark.
#[test]
fn a_question_mark_in_a_decoded_path_begins_no_query() {
    for (pattern, path) in [
        ("$time_iso8601 $uri $args", ""),
        ("%{%FT%TZ}t %U %q", ""),
        ("$time_iso8601 $uri $args", "path = \"uri\"\nquery = \"$args\""),
        ("$time_iso8601 $uri $args", "path = \"uri\""),
        ("%{%FT%TZ}t %U %q", "path = \"%U\"\nquery = \"q\""),
    ] {
        let mapped = "credential = { query = \"key\" }";
        let format =
            format(&format!("kind = \"pattern\"\npattern = '{pattern}'\n{path}\n{mapped}"));
        let with = |path: &str, query: &str| {
            let line = format!("2018-12-18T09:30:00Z {path} {query}");
            let call = parse(&format, &line).unwrap();
            (call.path.unwrap().into_owned(), call.credential.map(Cow::into_owned))
        };
        assert_eq!(with("/x?key=victim", "-"), ("/x%3Fkey=victim".to_owned(), None), "{pattern}");
        // Nor is anything decoded twice.
        assert_eq!(with("/%61dmin", "-").0, "/%2561dmin", "{pattern}");
        assert_eq!(
            with("/x?key=victim#", "key=own"),
            ("/x%3Fkey=victim%23?key=own".to_owned(), Some("own".to_owned())),
            "{pattern}"
        );
    }
}

#[test]
fn a_decoded_path_right_before_its_query_is_not_decoded_twice() {
    for pattern in ["%{%FT%TZ}t %U%q", "$time_iso8601 $uri$is_args$args"] {
        let format = format(&format!("kind = 'pattern'\npattern = '{pattern}'"));
        let path = |path: &str| {
            let line = format!("2018-12-18T09:30:00Z {path}");
            parse(&format, line).unwrap().path.unwrap().into_owned()
        };
        assert_eq!(path("/%61#x?a=%62&b=#"), "/%2561%23x?a=%62&b=#");
    }
}

#[test]
fn a_time_in_several_directives_says_itself_how_it_is_written() {
    let toml =
        "kind = 'pattern'\npattern = '%t.%{usec_frac}t %U'\nat = { field = 't', as = 'clf' }";
    assert!(refused(toml).contains("several directives"));
}

#[test]
fn subject_and_actor_may_wait_for_the_route() {
    let subject = r#"subject = ["a", { route = "user" }, "b"]"#;
    let call = call(subject, r#""a":"1","b":"2""#);
    assert_eq!(call.subject, Sourced { before: some("1"), route: Some("user"), after: some("2") });
    assert!(
        refused("kind = 'json'\nat = 'a'\npath = 'p'\nhost = { route = 'user' }")
            .contains("`route`")
    );
    let twice = "kind = 'json'\nat = 'a'\npath = 'p'\nsubject = [{ route = 'u' }, { route = 'v' }]";
    assert!(refused(twice).contains("at most one `route`"));
}

#[test]
fn a_value_map_renames_and_leaves_the_rest() {
    let map = r#"
        api = { field = "source", map = { "s3.amazonaws.com" = "storage", "none" = "" } }
        operation = { field = "verb", map = { get = "read" } }
    "#;
    let named = call(map, r#""source":"s3.amazonaws.com","verb":"get""#);
    assert_eq!((named.api, named.operation), (some("storage"), some("read")));
    let other = call(map, r#""source":"none","verb":"list""#);
    assert_eq!((other.api, other.operation), (None, some("list")));
}

// Method, path, host

#[test]
fn path_and_method_may_come_out_of_a_request_line() {
    let both = format("kind = 'json'\nat = 'at'\npath = 'request'\nmethod = 'request'");
    let read = |request: &str| {
        let line = format!(r#"{{"at":1545091200,"request":"{request}"}}"#);
        parse(&both, line).map(|call| (call.method, call.path))
    };
    assert_eq!(read("GET /x y?z HTTP/1.1"), Ok((some("GET"), some("/x y?z"))));
    assert_eq!(read("GET /x"), Ok((some("GET"), some("/x"))));
    assert_eq!(read("/x"), Ok((None, some("/x"))));
    assert_eq!(read("https://h:1/x?y"), Ok((None, some("https://h:1/x?y"))));
    assert_eq!(read("PROPFIND http://h/x HTTP/1.1"), Ok((some("PROPFIND"), some("http://h/x"))));
    assert_eq!(read(r"\u0016\u0003"), Err(Reason::NoTarget));
    assert_eq!(read("-"), Err(Reason::NoTarget));
}

#[test]
fn the_target_of_a_call_is_a_path_or_an_api() {
    let api = format("kind = 'json'\nat = 'at'\napi = 'api'\npath = 'path'");
    let line = r#"{"at":1545091200,"api":"storage"}"#;
    assert_eq!(parse(&api, line).unwrap().api, some("storage"));
    assert_eq!(parse(&api, r#"{"at":1545091200}"#), Err(Reason::NoTarget));
    assert_eq!(call("host = \"host\"", r#""host":"api.example""#).host, some("api.example"));
}

// Time

#[test]
fn each_source_of_the_time_has_its_own_form() {
    let list = format(
        r#"
        kind = "json"
        at = [{ field = "ms", as = "epoch_ms" }, { field = "when", as = "%Y/%m/%d %H:%M" }]
        path = "path"
        zone = "Europe/Berlin"
        "#,
    );
    let at = |more: &str| {
        parse(&list, format!(r#"{{"path":"/x",{more}}}"#)).map(|call| call.at.to_string())
    };
    assert_eq!(at(r#""ms":1545091200000"#), Ok("2018-12-18T00:00:00Z".to_owned()));
    assert_eq!(at(r#""when":"2018/12/18 01:00""#), Ok("2018-12-18T00:00:00Z".to_owned()));
    // The first present one counts, readable or not.
    assert_eq!(at(r#""ms":"x","when":"2018/12/18 01:00""#), Err(Reason::NoTime));
}

#[test]
fn offsets_are_honoured_line_by_line() {
    let format = json("zone = \"-05:00\"");
    let at = |at: &str| {
        parse(&format, format!(r#"{{"path":"/x","at":"{at}"}}"#)).unwrap().at.to_string()
    };
    assert_eq!(at("2018-12-18T09:30:00+01:00"), "2018-12-18T08:30:00Z");
    assert_eq!(at("2018-12-18T09:30:00-08:00"), "2018-12-18T17:30:00Z");
    assert_eq!(at("2018-12-18T09:30:00"), "2018-12-18T14:30:00Z");
    assert_eq!(at("2018-12-18T09:30:00.0000000019Z"), "2018-12-18T09:30:00.000000001Z");
}

#[test]
fn of_the_time_of_a_response_the_latency_is_taken_off() {
    let end = format(
        r#"
        kind = "json"
        at = { field = "at", is = "end" }
        path = "path"
        latency = { field = "took", unit = "ms" }
        "#,
    );
    let read =
        |more: &str| parse(&end, line(more)).map(|call| (call.at.to_string(), call.latency_us));
    assert_eq!(read(r#""took":1500"#), Ok(("2018-12-18T09:29:58.5Z".to_owned(), Some(1_500_000))));
    assert_eq!(
        read(r#""took":0.000001"#),
        Ok(("2018-12-18T09:29:59.999999999Z".to_owned(), Some(0)))
    );
    assert_eq!(read(""), Ok(("2018-12-18T09:30:00Z".to_owned(), None)));
    assert_eq!(read(r#""took":"soon""#), Err(Reason::BadValue));
}

#[test]
fn nginx_writes_when_the_response_is_done_and_apache_when_the_request_came() {
    let nginx = format(
        r#"
        kind = "pattern"
        pattern = '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent $request_time'
        "#,
    );
    let call = parse(
        &nginx,
        r#"10.0.0.7 - acme [18/Dec/2018:09:30:00 +0100] "GET /x HTTP/1.1" 200 5 1.250"#,
    )
    .unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T08:29:58.75Z");
    assert_eq!(call.latency_us, Some(1_250_000));
    let apache = format("kind = 'pattern'\npattern = '%t \"%r\" %D'");
    let call = parse(&apache, r#"[18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" 1250000"#).unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T09:30:00Z");
    assert_eq!(call.latency_us, Some(1_250_000));
}

#[test]
fn a_time_that_nginx_names_is_that_of_the_response_also_where_the_format_maps_it() {
    let at = |at: &str, time: &str| {
        let variable = at.split('"').nth(1).unwrap();
        let nginx = format(&format!(
            "kind = \"pattern\"\npattern = '[${variable}] \"$request\" $request_time'\nat = {at}"
        ));
        let line = format!("[{time}] \"GET /x HTTP/1.1\" 1.5");
        parse(&nginx, line).unwrap().at.to_string()
    };
    let arrived = "2018-12-18T09:29:58.5Z";
    assert_eq!(at("\"time_iso8601\"", "2018-12-18T10:30:00+01:00"), arrived);
    assert_eq!(at("\"time_local\"", "18/Dec/2018:09:30:00 +0000"), arrived);
    assert_eq!(at("\"msec\"", "1545125400.000"), arrived);
    assert_eq!(at("{ field = \"msec\", as = \"epoch_s\" }", "1545125400.000"), arrived);
    // What the user says goes first.
    let start = "{ field = \"time_iso8601\", is = \"start\" }";
    assert_eq!(at(start, "2018-12-18T10:30:00+01:00"), "2018-12-18T09:30:00Z");

    let json = Format::built_in("json").unwrap();
    let at = |time: &str| {
        let line = format!("{{{time},\"request_uri\":\"/x\",\"request_time\":\"1.5\"}}");
        parse(&json, line).unwrap().at.to_string()
    };
    assert_eq!(at(r#""time_iso8601":"2018-12-18T10:30:00+01:00""#), arrived);
    assert_eq!(at(r#""time_local":"18/Dec/2018:09:30:00 +0000""#), arrived);
    assert_eq!(at(r#""msec":"1545125400.000""#), arrived);
    assert_eq!(at(r#""time":"2018-12-18T09:30:00Z""#), "2018-12-18T09:30:00Z");
}

/// The offset was lost and `+0100` was the method.
#[test]
fn a_time_without_brackets_keeps_its_offset() {
    let line = "10.0.0.7 18/Dec/2018:09:30:00 +0100 GET /x HTTP/1.1 200 5";
    for pattern in [
        "$remote_addr $time_local $request $status $body_bytes_sent",
        "$remote_addr $time_local $request_method $request_uri $server_protocol $status $body_bytes_sent",
        "%h %{%d/%b/%Y:%H:%M:%S %z}t %r %>s %b",
    ] {
        let call =
            parse(&format(&format!("kind = 'pattern'\npattern = '{pattern}'")), line).unwrap();
        assert_eq!(call.at.to_string(), "2018-12-18T08:30:00Z", "{pattern}");
        assert_eq!((call.method, call.path), (some("GET"), some("/x")), "{pattern}");
        assert_eq!((call.status, call.bytes), (Some(200), Some(5)), "{pattern}");
    }
    // A variable of one's own spans its blanks as well, once the format says that it is the time.
    let own = "kind = 'pattern'\npattern = '$when $request_method $uri'\n";
    for at in ["'when'", "{ field = 'when', as = '%d %b %Y %H:%M' }"] {
        let time = if at.contains('%') { "18 Dec 2018 09:30" } else { "2018-12-18 09:30:00" };
        let call = parse(&format(&format!("{own}at = {at}")), format!("{time} GET /x")).unwrap();
        assert_eq!(call.at.to_string(), "2018-12-18T09:30:00Z");
        assert_eq!((call.method, call.path), (some("GET"), some("/x")));
    }
}

#[test]
fn a_whole_url_in_parts_is_host_and_path() {
    let toml = "kind = 'pattern'\npattern = '[$time_local] $request_method $scheme://$host$request_uri $status'";
    let line = "[18/Dec/2018:09:30:00 +0000] GET https://api.example/x?y=/z 200";
    let call = parse(&format(toml), line).unwrap();
    assert_eq!((call.host, call.path), (some("api.example"), some("/x?y=/z")));
}

#[test]
fn names_are_the_same_in_quotes_or_without() {
    let combined = Format::built_in("combined").unwrap();
    let line =
        r#"10.0.0.7 - m\xC3\xBCller [18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "-""#;
    assert_eq!(parse(&combined, line).unwrap().credential, some("müller"));
}

// Status and outcome

#[test]
fn outcomes_override_the_rule_for_a_status_as_written() {
    let rule = "status = \"s\"\noutcomes = { \"302\" = \"denied\", \"999\" = \"failed\" }";
    let read = |s: &str| {
        let call = call(rule, &format!("\"s\":{s}"));
        (call.status, call.outcome)
    };
    assert_eq!(read("302"), (Some(302), Outcome::Denied));
    assert_eq!(read("\"302\""), (Some(302), Outcome::Denied));
    assert_eq!(read("301"), (Some(301), Outcome::Served));
    assert_eq!(read("\"999\"").1, Outcome::Failed);
}

/// A refusal that a logger wrote as `302.0` passed as served.
#[test]
fn outcomes_and_status_maps_know_a_status_however_it_is_written() {
    for spelling in ["302.0", "\"302.0\"", "\"0302\"", "3.02e2", "\"+302\""] {
        let by_rule = "status = \"s\"\noutcomes = { \"302\" = \"denied\" }";
        let by_map = "status = { field = \"s\", map = { \"302\" = \"denied\" } }";
        let by_word = "outcome = { field = \"s\", map = { \"302\" = \"denied\" } }";
        for rule in [by_rule, by_map, by_word] {
            assert_eq!(
                call(rule, &format!("\"s\":{spelling}")).outcome,
                Outcome::Denied,
                "{spelling} {rule}"
            );
        }
        assert_eq!(call(by_rule, &format!("\"s\":{spelling}")).status, Some(302));
    }
    let grpc = "status = { field = \"s\", as = \"grpc\" }\noutcomes = { \"5\" = \"denied\" }";
    assert_eq!(call(grpc, "\"s\":5.0").outcome, Outcome::Denied);
    for (key, spelling) in [("000", "0"), ("0", "\"000\""), ("000", "\"000\""), ("-1", "-1.0")] {
        let none = format!("status = \"s\"\noutcomes = {{ \"{key}\" = \"failed\" }}");
        assert_eq!(
            call(&none, &format!("\"s\":{spelling}")).outcome,
            Outcome::Failed,
            "{key} {spelling}"
        );
    }
    // The text goes first, so that both may stand in one table.
    let both = "status = \"s\"\noutcomes = { \"302\" = \"denied\", \"0302\" = \"failed\" }";
    assert_eq!(call(both, "\"s\":\"0302\"").outcome, Outcome::Failed);
    assert_eq!(call(both, "\"s\":302.0").outcome, Outcome::Denied);
}

#[test]
fn a_code_mapped_to_a_status_means_what_outcomes_make_of_it() {
    let both = "status = { field = \"s\", map = { moved = \"302\", ok = \"served\" } }\noutcomes = { \"302\" = \"denied\" }";
    assert_eq!(call(both, r#""s":"moved""#).outcome, Outcome::Denied);
    assert_eq!(call(both, r#""s":"ok""#).outcome, Outcome::Served);
}

#[test]
fn a_status_may_be_grpc_or_an_error_code_with_a_map() {
    let grpc = call("status = { field = \"s\", as = \"grpc\" }", "\"s\":16");
    assert_eq!((grpc.status, grpc.outcome), (Some(16), Outcome::Denied));
    let map =
        "status = { field = \"s\", map = { AccessDenied = \"denied\", Throttled = \"429\" } }";
    assert_eq!(call(map, r#""s":"AccessDenied""#).outcome, Outcome::Denied);
    assert_eq!(call(map, r#""s":"Throttled""#).status, Some(429));
    assert_eq!(call(map, r#""s":200"#).outcome, Outcome::Served);
    assert_eq!(reason(map, r#""s":"Other""#), Some(Reason::BadValue));
}

#[test]
fn a_logged_outcome_goes_before_the_status() {
    let both = "status = \"s\"\noutcome = { field = \"o\", map = { deny = \"denied\" } }";
    assert_eq!(call(both, r#""s":200,"o":"deny""#).outcome, Outcome::Denied);
    assert_eq!(call(both, r#""s":200,"o":"failed""#).outcome, Outcome::Failed);
    assert_eq!(call(both, r#""s":403"#).outcome, Outcome::Denied);
    assert_eq!(reason(both, r#""o":"allow""#), Some(Reason::BadValue));
}

// Bytes and latency

#[test]
fn bytes_are_whole_and_latency_is_exact_and_rounded_down() {
    let both = "bytes = \"b\"\nlatency = [{ field = \"s\", unit = \"s\" }, { field = \"ns\", unit = \"ns\" }]";
    assert_eq!(call(both, r#""b":123.0"#).bytes, Some(123));
    assert_eq!(call(both, r#""s":0.0570009"#).latency_us, Some(57_000));
    assert_eq!(call(both, r#""s":"1e-3""#).latency_us, Some(1000));
    assert_eq!(call(both, r#""ns":1999"#).latency_us, Some(1));
    assert_eq!(call(both, r#""s":-0.0"#).latency_us, Some(0));
    for bad in [
        r#""b":-1"#,
        r#""b":1.5"#,
        r#""b":"1k""#,
        r#""s":-0.1"#,
        r#""s":"fast""#,
        r#""s":1e30"#,
        r#""b":true"#,
    ] {
        assert_eq!(reason(both, bad), Some(Reason::BadValue), "{bad}");
    }
}

// Rejects

#[test]
fn the_first_reason_that_applies_counts() {
    let all = json("status = \"s\"");
    let reject = |line: &[u8]| parse(&all, line).err();
    assert_eq!(reject(&[b'x'; LINE_BYTES_MAX + 1]), Some(Reason::TooLong));
    assert_eq!(reject(b"\xff{"), Some(Reason::NotUtf8));
    assert_eq!(reject(b"{\"at\":"), Some(Reason::Malformed));
    assert_eq!(reject(b"{\"s\":\"x\"}"), Some(Reason::NoTime));
    assert_eq!(reject(b"{\"at\":\"noon\",\"path\":\"/x\"}"), Some(Reason::NoTime));
    assert_eq!(reject(b"{\"at\":1545091200,\"s\":\"x\"}"), Some(Reason::NoTarget));
    assert_eq!(reject(b"{\"at\":1545091200,\"path\":\"/x\",\"s\":\"x\"}"), Some(Reason::BadValue));
    let longest = line(&format!(r#""z":"{}""#, "x".repeat(LINE_BYTES_MAX - 48)));
    assert_eq!(longest.len(), LINE_BYTES_MAX);
    assert_eq!(reject(longest.as_bytes()), None);
}

// The language

#[test]
fn unknown_keys_name_the_nearest_known_one() {
    let base = "kind = 'json'\nat = 'at'\npath = 'path'\n";
    let with = |more: &str| refused(&(base.to_owned() + more));
    assert!(with("sttus = 's'").ends_with("did you mean `status`?"));
    assert!(with("status = { feild = 's' }").contains("formats.x: status: unknown key `feild`"));
    assert!(with("status = { feild = 's' }").ends_with("did you mean `field`?"));
    assert!(with("pattern = '$a'").contains("unknown key `pattern`"));
    assert!(refused("kind = 'jsn'").ends_with("did you mean `json`?"));
    assert!(refused("at = 'a'").contains("no `kind`"));
}

#[test]
fn a_format_that_cannot_work_is_refused_before_the_first_line() {
    let base = "kind = 'json'\nat = 'at'\npath = 'path'\n";
    for (bad, says) in [
        ("latency = 'l'", "no `unit`"),
        ("latency = { field = 'l', unit = 'h' }", "expected s, ms, us, ns or written"),
        ("credential = { header = 'X' }", "where headers are"),
        ("credential = { field = 'a', query = 'b' }", "found two"),
        ("credential = {}", "names one of"),
        ("credential = []", "empty"),
        ("credential = ''", "empty"),
        ("credential = 5", "expected a name or a table"),
        ("zone = 'Mars/Olympus'", "unknown time zone"),
        ("outcomes = { '302' = 'refused' }", "no outcome"),
        ("status = { field = 's', map = { x = 'refused' } }", "no outcome"),
        ("outcome = { field = 'o', map = { x = '200' } }", "no outcome"),
        ("status = { field = 's', as = 'ftp' }", "expected http or grpc"),
        ("bytes = { query = 'b' }", "unknown key `query`"),
    ] {
        let message = refused(&(base.to_owned() + bad));
        assert!(message.contains(says), "{bad}: {message}");
    }
    assert!(refused("kind = 'json'\npath = 'p'").contains("no `at`"));
    assert!(refused("kind = 'json'\nat = 'a'").contains("neither `path` nor `api`"));
    assert!(
        refused("kind = 'json'\nat = { field = 'a', as = 'iso' }\npath = 'p'").contains("`iso`")
    );
    assert!(
        refused("kind = 'json'\nat = { field = 'a', is = 'late' }\npath = 'p'").contains("`late`")
    );
    let pattern = |text: &str| refused(&format!("kind = 'pattern'\npattern = '{text}'"));
    assert!(pattern("$time_local$request").contains("pattern: column 12"));
    assert!(pattern("CustomLog logs/a combined").contains("nickname"));
    assert!(
        refused("kind = 'pattern'\npattern = \"\"\"log_format x\n  '$time_local$a';\"\"\"")
            .contains("pattern: its line 2, column 15:")
    );
    assert!(pattern("$request").contains("no `at`"));
    let missing =
        "kind = 'pattern'\npattern = '[$time_local] \"$request\" $user_id'\nsubject = 'userid'";
    assert!(refused(missing).contains("no variable `userid`"));
    assert!(refused(missing).ends_with("did you mean `user_id`?"));
}

#[test]
fn all_that_is_wrong_with_a_format_is_told_at_once() {
    let problems = |toml: &str| -> Vec<String> {
        let told = Format::from_toml("x", &toml.parse().unwrap()).unwrap_err();
        told.0.iter().map(ToString::to_string).collect()
    };
    let several = "kind = 'json'\nat = { field = 'a', as = 'iso' }\npth = 'p'\nzone = 'Mars'\n\
        latency = 'l'\nstatus = { field = 's', as = 'ftp' }\noutcomes = { '302' = 'refused' }";
    let told = problems(several);
    let says = [
        "key `pth`",
        "`Mars`",
        "`iso`",
        "`refused`",
        "http or grpc",
        "no `unit`",
        "neither `path`",
    ];
    assert_eq!(told.len(), says.len(), "{told:#?}");
    for (told, says) in told.iter().zip(says) {
        assert!(told.contains(says), "{told}: {says}");
    }
    // What hangs on a pattern that can't be read is not told: it would be wrong.
    let pattern = problems(
        "kind = 'pattern'\npattern = '$a$b'\nsubject = 'c'\ncredental = 'd'\nzone = 'Mars'",
    );
    assert_eq!(pattern.len(), 3, "{pattern:#?}");
    let partial = problems("kind = 'pattern'\npattern = '%{%F}t \"%r\" %{%T}t'");
    assert!(partial[0].contains("`%{%F}t` tells no instant"), "{partial:?}");
}

// Built-ins

#[test]
fn combined_reads_what_servers_write() {
    let combined = Format::built_in("combined").unwrap();
    let call = parse(
        &combined,
        r#"2001:db8::7 - j doe [10/Oct/2000:13:55:36 -0700] "GET /a?b=\x22c HTTP/1.0" 401 - "http://r/" "Mozilla \"x\"""#,
    )
    .unwrap();
    assert_eq!(call.at.to_string(), "2000-10-10T20:55:36Z");
    assert_eq!(call.credential, some("j doe"));
    assert_eq!((call.method, call.path), (some("GET"), some("/a?b=\"c")));
    assert_eq!((call.status, call.outcome, call.bytes), (Some(401), Outcome::Denied, None));
    assert_eq!(call.remote_addr, some("2001:db8::7"));
    assert_eq!(call.user_agent, some("Mozilla \"x\""));
    let hello = r#"10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 5 "-" "-""#;
    assert_eq!(parse(&combined, hello), Err(Reason::NoTarget));
    assert_eq!(parse(&combined, &hello[..40]), Err(Reason::Malformed));
    let no_time = hello.replace("Oct", "Okt");
    assert_eq!(parse(&combined, no_time), Err(Reason::NoTime));
}

#[test]
fn common_is_combined_without_its_last_two() {
    let common = Format::built_in("common").unwrap();
    let line = r#"10.0.0.7 - acme [10/Oct/2000:13:55:36 -0700] "GET /a HTTP/1.0" 200 2326"#;
    let call = parse(&common, line).unwrap();
    assert_eq!((call.credential, call.bytes), (some("acme"), Some(2326)));
    assert_eq!(parse(&common, format!(r#"{line} "-" "-""#)), Err(Reason::Malformed));
}

#[test]
fn json_knows_common_key_names() {
    let json = Format::built_in("json").unwrap();
    let call = parse(
        &json,
        r#"{"ts":1545091200.5,"client_id":"k1","request":"GET /x HTTP/1.1","status":"200","latency_ms":1.5,"user":"u7"}"#,
    )
    .unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T00:00:00.5Z");
    assert_eq!(call.credential, some("k1"));
    assert_eq!((call.method, call.path), (some("GET"), some("/x")));
    assert_eq!(call.latency_us, Some(1500));
    assert_eq!(call.subject.before, some("u7"));
    for name in Format::BUILT_IN {
        assert_eq!(Format::built_in(name).unwrap().name(), name);
    }
    assert!(Format::built_in("morse").is_none());
}

// csv, ltsv, logfmt, regex

#[test]
fn csv_names_its_columns() {
    let format = format(
        r#"
        kind = "csv"
        columns = ["time", "client", "request", "status", "bytes", "ms", ""]
        at = { field = "time", as = "%Y-%m-%d %H:%M:%S" }
        zone = "+01:00"
        credential = ["client", { query = "api_key" }]
        method = "request"
        path = "request"
        status = "status"
        bytes = "bytes"
        latency = { field = "ms", unit = "ms" }
        "#,
    );
    assert_eq!(format.kind(), "csv");
    let line = r#"2018-12-18 09:30:00,,"GET /x?q=""a, b""&api_key=k7 HTTP/1.1",403,-,2.5,unasked"#;
    let call = parse(&format, line).unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T08:30:00Z");
    assert_eq!(call.credential, some("k7"));
    assert_eq!((call.method, call.path), (some("GET"), some("/x?q=\"a, b\"&api_key=k7")));
    assert_eq!((call.outcome, call.status, call.bytes), (Outcome::Denied, Some(403), None));
    assert_eq!(call.latency_us, Some(2500));
    for malformed in [
        "time,client,request,status,bytes,ms,",
        "2018-12-18 09:30:00,c1,/x,200,1,1",
        "2018-12-18 09:30:00,c1,\"/x,200,1,1,",
    ] {
        assert_eq!(parse(&format, malformed), Err(Reason::Malformed), "{malformed}");
    }
    assert_eq!(parse(&format, "time,c1,/x,200,1,1,"), Err(Reason::NoTime));
}

#[test]
fn csv_has_any_delimiter_and_may_be_flexible() {
    let with = |more: &str| {
        let columns = "columns = ['at', 'path', 'host']";
        let fields = "at = 'at'\npath = 'path'\nhost = 'host'";
        format(&format!("kind = 'csv'\n{columns}\n{fields}\n{more}"))
    };
    let line = "1545125400 \"/x y\" api.example";
    assert_eq!(parse(&with("delimiter = ' '"), line).unwrap().host, some("api.example"));
    let line = "1545125400\t/x\tapi.example";
    assert_eq!(parse(&with(r#"delimiter = "\t""#), line).unwrap().host, some("api.example"));
    let flexible = with("flexible = true");
    assert_eq!(parse(&flexible, "1545125400,/x").unwrap().host, None);
    assert_eq!(parse(&flexible, "1545125400,/x,h,more").unwrap().host, some("h"));
    assert_eq!(parse(&with(""), "1545125400,/x"), Err(Reason::Malformed));
}

/// The calls of a log's lines, or why they are none; directives left out.
fn read(format: &Format, lines: &[&str]) -> Vec<std::result::Result<Call<'static>, Reason>> {
    let mut scratch = Scratch::default();
    format.begin(None, &mut scratch);
    let mut all = Vec::new();
    for line in lines {
        if !format.directive(line.as_bytes(), &mut scratch) {
            all.push(format.parse(line.as_bytes(), &mut scratch).map(owned));
        }
    }
    all
}

#[test]
fn csv_may_have_its_columns_in_a_header() {
    let with = |more: &str| {
        format(&format!("kind = 'csv'\nheader = true\nat = 'time'\npath = 'url'\n{more}"))
    };
    let lines =
        ["\"time\",x,\"url\"", "2018-12-18T09:30:00Z,1,\"/a\"\"b\"", "2018-12-18T09:30:00Z,1"];
    let calls = read(&with(""), &lines);
    assert_eq!(calls[0].as_ref().unwrap().path, some("/a\"b"));
    assert_eq!(calls[1].as_ref().err(), Some(&Reason::Malformed));
    let calls = read(&with("flexible = true"), &lines);
    assert_eq!(calls[1].as_ref().err(), Some(&Reason::NoTarget));
    // One that can't be read is one all the same, and the lines after it are not taken for another.
    let broken = ["\"time", "2018-12-18T09:30:00Z", "2018-12-18T09:30:00Z"];
    let reasons: Vec<_> = read(&with(""), &broken).into_iter().map(Result::err).collect();
    assert_eq!(reasons, [Some(Reason::NoTime); 2]);
    // What the header does not have is absent.
    let calls = read(&with("credential = 'key'"), &lines);
    assert_eq!(calls[0].as_ref().unwrap().credential, None);
    let both = "kind = 'csv'\nheader = true\ncolumns = ['a']\nat = 'a'\npath = 'a'";
    assert!(refused(both).contains("expected one of them"));
    assert!(refused("kind = 'csv'\nat = 'a'\npath = 'a'").contains("`header = true`"));
}

#[test]
fn w3c_columns_are_those_of_the_directive() {
    let format = format(
        "kind = 'w3c'\nat = 'date time'\nmethod = 'cs-method'\npath = 'cs-uri-stem'\nquery = 'cs-uri-query'\n\
         credential = { header = 'X-Key' }\nlatency = { field = 'time-taken', unit = 'ms' }",
    );
    let calls = read(
        &format,
        &[
            "2018-12-18 09:30:00 GET /x",
            "#Software: Microsoft Internet Information Services 10.0",
            "#Fields: date time cs-method cs-uri-stem cs-uri-query cs(X-Key) time-taken",
            "2018-12-18 09:30:00 GET /x a=1 k1 15",
            "#Fields: date time cs-uri-stem",
            "2018-12-18 09:30:00 /y",
        ],
    );
    assert_eq!(calls[0].as_ref().err(), Some(&Reason::Malformed));
    let call = calls[1].as_ref().unwrap();
    assert_eq!((&call.path, &call.credential), (&some("/x?a=1"), &some("k1")));
    assert_eq!(
        (call.at.to_string().as_str(), call.latency_us),
        ("2018-12-18T09:30:00Z", Some(15_000))
    );
    assert_eq!(calls[2].as_ref().unwrap().path, some("/y"));
}

#[test]
fn a_record_may_stand_in_a_string_of_another() {
    let format = format(
        "kind = 'json'\nembedded = 'Event'\nat = 'at'\npath = 'p.q'\ncredential = 'k'\nstatus = 's'",
    );
    let line = r#"{"Id":"x","at":"no","Event":"{\"at\":\"2018-12-18T09:30:00Z\",\"p\":{\"q\":\"/\\u00e9\\\"\"},\"k\":\"k1\",\"s\":200}"}"#;
    let call = parse(&format, line).unwrap();
    assert_eq!((call.path, call.credential), (some("/é\""), some("k1")));
    assert_eq!(call.status, Some(200));
    // A record that does not have it is one itself.
    let plain = r#"{"at":"2018-12-18T09:30:00Z","p":{"q":"/Event"}}"#;
    assert_eq!(parse(&format, plain).unwrap().path, some("/Event"));
    let broken = r#"{"at":"2018-12-18T09:30:00Z","Event":"{"}"#;
    assert_eq!(parse(&format, broken).err(), Some(Reason::Malformed));
}

#[test]
fn a_record_may_be_wrapped_several_times() {
    let format = format(
        "kind = 'json'\nembedded = ['_source', 'message', 'p.log']\nat = 'at'\npath = 'path'",
    );
    let record = r#"{"at":"2018-12-18T09:30:00Z","path":"/é","p":7}"#;
    let text = |record: &str| serde_json::to_string(&format!(" \n{record}\n")).unwrap();
    let message = |text: &str| format!(r#"{{"at":"no","message":{text}}}"#);
    let source = |record: &str| format!(r#"{{"_id":"x","_source":{record},"sort":[1]}}"#);
    for line in [
        record.to_owned(),
        source(record),
        message(&text(record)),
        source(&message(&text(record))),
        message(&text(&source(record))),
        message(&text(&message(&text(record)))),
        format!(r#"{{"p":{{"log":{}}}}}"#, text(record)),
        format!(r#"{{"p.log":{}}}"#, text(record)),
        // What is no object is no record.
        record.replace("7}", r#"7,"message":"{","_source":null}"#).replace("\"{\"", "\"x{\""),
    ] {
        assert_eq!(parse(&format, &line).map(|call| call.path), Ok(some("/é")), "{line}");
    }
    // The first of the list counts, and so often that no line takes long.
    let both = format!(r#"{{"message":{{"at":1}},"_source":{record}}}"#);
    assert_eq!(parse(&format, &both).unwrap().path, some("/é"));
    let five = (0..5).fold(record.to_owned(), |record, _| source(&record));
    assert_eq!(parse(&format, &five).err(), Some(Reason::NoTime));
    assert!(refused("kind = 'json'\nembedded = ['']\nat = 'a'\npath = 'p'").contains("is empty"));
}

#[test]
fn a_map_may_leave_values_as_they_are() {
    let format = format(
        "kind = 'json'\nat = 'at'\npath = [{ field = 'p', map = { '/*' = '*', '*' = '' } }, 'q']",
    );
    let path = |p: &str, q: &str| {
        let line = format!(r#"{{"at":1545125400,"p":"{p}","q":"{q}"}}"#);
        parse(&format, &line).map(|call| call.path.unwrap().into_owned())
    };
    assert_eq!(path("/x", "/y").unwrap(), "/x");
    assert_eq!(path("x", "/y").unwrap(), "/y");
    assert_eq!(path("x", ""), Err(Reason::NoTarget));
}

#[test]
fn json_records_name_their_arrays() {
    let base = "kind = 'json-records'\nat = 'a'\npath = 'p'\n";
    assert!(refused(base).contains("no `records`"));
    let format = format(&format!("{base}records = ['Records']"));
    assert_eq!(format.framing(), Framing::Records(vec!["Records".to_owned()]));
    assert_eq!(format.kind(), "json-records");
}

#[test]
fn ltsv_takes_labels_as_they_are() {
    let format = format(
        r#"
        kind = "ltsv"
        at = "time"
        method = "req"
        path = "req"
        status = "status"
        credential = "x.client-id"
        "#,
    );
    assert_eq!(format.kind(), "ltsv");
    let line = "host:10.0.0.7\ttime:[18/Dec/2018:09:30:00 +0100]\treq:GET /x?t=12:30 HTTP/1.1\tstatus:503\tx.client-id:c1";
    let call = parse(&format, line).unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T08:30:00Z");
    assert_eq!((call.method, call.path), (some("GET"), some("/x?t=12:30")));
    assert_eq!((call.credential, call.outcome), (some("c1"), Outcome::Failed));
    assert_eq!(parse(&format, line.replace('\t', " ")), Err(Reason::NoTime));
    assert_eq!(parse(&format, line.replace("host:", "")), Err(Reason::Malformed));
}

#[test]
fn the_built_in_ltsv_has_the_recommended_labels() {
    let ltsv = Format::built_in("ltsv").unwrap();
    let line = [
        "time:[18/Dec/2018:09:30:00 +0000]",
        "host:10.0.0.7",
        "forwardedfor:-",
        "user:c1",
        "req:PUT /x HTTP/1.1",
        "status:204",
        "size:-",
        "reqsize:310",
        "referer:-",
        "ua:curl/7",
        "vhost:api.example",
        "reqtime_microsec:57000",
        "apptime:0.050, 0.002",
    ];
    let call = parse(&ltsv, line.join("\t")).unwrap();
    assert_eq!((call.method, call.path), (some("PUT"), some("/x")));
    assert_eq!((call.status, call.bytes, call.latency_us), (Some(204), None, Some(57_000)));
    assert_eq!((call.host, call.remote_addr), (some("api.example"), some("10.0.0.7")));
    assert_eq!((call.credential, call.user_agent), (some("c1"), some("curl/7")));
    let line = [
        "time_iso8601:2018-12-18T09:30:00+09:00",
        "method:POST",
        "uri:/x?token=t",
        "status:200",
        "size:12",
        "reqtime:0.057",
    ];
    let call = parse(&ltsv, line.join("\t")).unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T00:29:59.943Z");
    assert_eq!((call.method, call.path), (some("POST"), some("/x?token=t")));
    assert_eq!((call.bytes, call.latency_us), (Some(12), Some(57_000)));
    // nginx's own names.
    let line = [
        "time_local:18/Dec/2018:09:30:02 +0000",
        "host:api.example",
        "remote_addr:10.0.0.7",
        "remote_user:c1",
        "request_method:GET",
        "request_uri:/x",
        "status:200",
        "bytes_sent:12",
        "request_time:2.000",
        "http_user_agent:curl/7",
        "http_host:api.example",
    ];
    let line = line.join("\t");
    for line in [line.clone(), format!("2018-12-18T09:30:02.1Z stdout F {line}")] {
        let call = parse(&ltsv, line).unwrap();
        assert_eq!(call.at.to_string(), "2018-12-18T09:30:00Z");
        assert_eq!((call.method, call.path), (some("GET"), some("/x")));
        assert_eq!((call.host, call.remote_addr), (some("api.example"), some("10.0.0.7")));
        assert_eq!((call.credential, call.user_agent), (some("c1"), some("curl/7")));
        assert_eq!((call.bytes, call.latency_us), (Some(12), Some(2_000_000)));
    }
}

#[test]
fn logfmt_takes_keys_as_they_are() {
    let format = format(
        r#"
        kind = "logfmt"
        at = "ts"
        method = "http.method"
        path = "path"
        status = "status"
        credential = "client"
        "#,
    );
    assert_eq!(format.kind(), "logfmt");
    let line = r#"edge[7]: ts=2018-12-18T09:30:00Z http.method=GET path="/x?q=\"a\u00e9\"" client="acme \\ co" status=200 ok"#;
    let call = parse(&format, line).unwrap();
    assert_eq!((call.method, call.path), (some("GET"), some("/x?q=\"aé\"")));
    assert_eq!((call.credential, call.status), (some(r"acme \ co"), Some(200)));
    assert_eq!(parse(&format, line.replace(" ok", " \"ok")), Err(Reason::Malformed));
    assert_eq!(parse(&format, "a line of words"), Err(Reason::Malformed));
    assert_eq!(parse(&format, "ts= path=/x"), Err(Reason::NoTime));
}

#[test]
fn the_built_in_logfmt_has_common_keys() {
    let logfmt = Format::built_in("logfmt").unwrap();
    let line = r#"time="2018-12-18T09:30:00.25+01:00" level=info msg="request done" client_id=c1 method=DELETE path=/x?a=b status=404 bytes=0 duration_ms=1.5 duration=1.5ms user_id=u7 user_agent="curl/7 \"x\"""#;
    let call = parse(&logfmt, line).unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T08:30:00.25Z");
    assert_eq!((call.method, call.path), (some("DELETE"), some("/x?a=b")));
    assert_eq!((call.status, call.bytes, call.latency_us), (Some(404), Some(0), Some(1500)));
    assert_eq!((call.credential, call.subject.before), (some("c1"), some("u7")));
    assert_eq!(call.user_agent, some("curl/7 \"x\""));
    // A router's `at` is no time, and does not hide one.
    let router = r#"at=info method=GET path="/x" host=api.example fwd="10.0.0.7" dyno=web.1 service=18ms status=200"#;
    assert_eq!(parse(&logfmt, router), Err(Reason::NoTime));
    let timed = parse(&logfmt, format!("{router} ts=1545125400")).unwrap();
    assert_eq!(timed.at.to_string(), "2018-12-18T09:30:00Z");
    let own = parse(&logfmt, "at=2018-12-18T09:30:00Z path=/x").unwrap();
    assert_eq!(own.at.to_string(), "2018-12-18T09:30:00Z");
}

#[test]
fn a_regex_takes_its_named_groups_from_the_whole_line() {
    let format = format(
        r#"
        kind = "regex"
        regex = '''(?<at>\S+) router\[\d+\]: method=(?P<method>[A-Z]+) path="(?<path>[^"]*)"(?: service=(?<took>\d+)ms)? status=(?<status>\d+)'''
        at = "at"
        method = "method"
        path = "path"
        status = "status"
        latency = { field = "took", unit = "ms" }
        "#,
    );
    assert_eq!(format.kind(), "regex");
    let line = r#"2018-12-18T09:30:00Z router[7]: method=GET path="/x" service=18ms status=200"#;
    let call = parse(&format, line).unwrap();
    assert_eq!(call.at.to_string(), "2018-12-18T09:30:00Z");
    assert_eq!((call.method, call.path), (some("GET"), some("/x")));
    assert_eq!((call.status, call.latency_us), (Some(200), Some(18_000)));
    assert_eq!(parse(&format, line.replace(" service=18ms", "")).unwrap().latency_us, None);
    assert_eq!(parse(&format, format!("{line} ")), Err(Reason::Malformed));
    assert_eq!(parse(&format, format!("x {line}")), Err(Reason::Malformed));
}

#[test]
fn names_that_a_log_does_not_hold_are_refused_with_the_nearest() {
    let csv = "kind = 'csv'\ncolumns = ['time', '', 'path']\nat = 'time'\n";
    let message = refused(&format!("{csv}path = 'pth'"));
    assert!(message.contains("path: `columns` has no `pth`, it has time, path"), "{message}");
    assert!(message.ends_with("did you mean `path`?"), "{message}");
    let message = refused("kind = 'regex'\nregex = '(?<time>.*)'\nat = 'tme'\npath = 'time'");
    assert!(message.contains("at: the expression has no group `tme`, it has time"), "{message}");
    assert!(message.ends_with("did you mean `time`?"), "{message}");
    let message = refused("kind = 'regex'\nregex = '(.*)'\nat = 'time'\npath = 'time'");
    assert!(message.contains("no group `time`, none at all"), "{message}");
    for kind in ["ltsv'", "logfmt'", "csv'\ncolumns = ['a']", "regex'\nregex = '(?<a>.)'"] {
        let message = refused(&format!("kind = '{kind}\nat = {{ header = 'X-At' }}\npath = 'a'"));
        assert!(message.contains("hold no headers"), "{message}");
    }
}

#[test]
fn keys_of_a_kind_are_checked() {
    let all = "\nat = 'a'\npath = 'a'";
    for (bad, says) in [
        ("kind = 'csv'", "no `columns`"),
        ("kind = 'csv'\ncolumns = []", "`columns` is empty"),
        ("kind = 'csv'\ncolumns = 'a'", "found string, expected a list of strings"),
        ("kind = 'csv'\ncolumns = ['a', 1]", "found integer, expected a string"),
        ("kind = 'csv'\ncolumns = ['a', 'a']", "`a` is listed twice"),
        ("kind = 'csv'\ncolumns = ['a']\ndelimiter = '||'", "expected one character"),
        ("kind = 'csv'\ncolumns = ['a']\ndelimiter = ''", "expected one character"),
        ("kind = 'csv'\ncolumns = ['a']\ndelimiter = '\"'", "a meaning of its own"),
        ("kind = 'csv'\ncolumns = ['a']\nflexible = 'yes'", "expected true or false"),
        ("kind = 'csv'\ncolumn = ['a']", "did you mean `columns`?"),
        ("kind = 'regex'", "no `regex`"),
        ("kind = 'regex'\nregex = '(?<a>.'", "regex: column 1: unclosed group"),
        ("kind = 'regex'\nregex = '(?<a>.)[z-a]'", "regex: column 9: "),
        ("kind = 'logfmt'\nheaders = 'h'", "unknown key `headers`"),
        ("kind = 'ltsv'\npattern = 'p'", "unknown key `pattern`"),
        ("kind = 'lstv'", "did you mean `ltsv`?"),
    ] {
        let message = refused(&(bad.to_owned() + all));
        assert!(message.contains(says), "{bad}: {message}");
    }
}

#[test]
fn every_built_in_with_a_path_takes_its_person_from_the_route() {
    for name in Format::BUILT_IN {
        let text: toml::Table = Format::built_in_text(name).unwrap().parse().unwrap();
        // Without a path there is no route.
        if text["kind"].as_str() != Some("pattern") && !text.contains_key("path") {
            continue;
        }
        let subject = text["subject"].to_string();
        assert!(subject.contains("route = \"user\""), "docs/formats.md says so: {name} {subject}");
    }
}

#[test]
fn the_formats_of_the_manual_compile_and_read_lines() {
    let manual = include_str!("../../docs/formats.md");
    let mut names = Vec::new();
    for block in manual.split("```toml\n").skip(1) {
        let text = block.split("```").next().unwrap();
        let table: toml::Table =
            text.parse().unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
        for (name, format) in
            table.get("formats").and_then(|all| all.as_table()).into_iter().flatten()
        {
            let format = Format::from_toml(name, format.as_table().unwrap())
                .unwrap_or_else(|problems| panic!("{problems:?}\n{text}"));
            names.push(name.clone());
            let line = match name.as_str() {
                "moved" => r#"10.0.0.7 [2018-12-18T09:30:00Z] "GET /x HTTP/1.1" 200"#,
                "exports" => {
                    r#"18.12.2018 10:30:00;c1;GET;"https://api.example/x;""y""?z";200;12;any"#
                }
                "cells" => "time:2018-12-18T09:30:01Z\tmethod:GET\turi:/x\tapptime:1.000\tua:-",
                "services" => r#"ts=2018-12-18T09:30:00Z method=GET path="/x" code=200 took_ms=1"#,
                "router" => {
                    r#"2018-12-18T09:30:00+00:00 app[router]: at=info method=GET path="/x" host=api.example dyno=web.1 connect=1ms service=18ms status=200 bytes=13"#
                }
                "exported" => {
                    r#"{"time":"2018-12-18T09:30:00Z","request":{"path":"GET /x HTTP/1.1"}}"#
                }
                _ => continue,
            };
            let call = parse(&format, line).unwrap_or_else(|reason| panic!("{reason:?}: {line}"));
            assert_eq!(call.at.to_string(), "2018-12-18T09:30:00Z", "{name}");
            if name != "exported" {
                assert_eq!(call.method, some("GET"), "{name}");
            }
        }
    }
    assert_eq!(
        names,
        [
            "my-gateway",
            "moved",
            "exported",
            "edge",
            "old-front",
            "exports",
            "front",
            "cells",
            "services",
            "router"
        ]
    );
}

// Laws

const LINES: [&str; 7] = [
    r#"{"at":"2018-12-18T09:30:00.25+01:00","client_id":"a\u00e9\n","status":200,"path":"/x?api_key=%41","a":{"b":[1,{"c":null}]},"a.b":"q","bytes":"1e3","took":0.057}"#,
    r#"10.0.0.7 - j doe [10/Oct/2000:13:55:36 -0700] "GET /a?b=\x22c HTTP/1.0" 401 - "http://r/" "Mozilla \"x\"""#,
    r#"10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "\x16\x03\x01" 400 5 "-" "-""#,
    r#"10.0.0.7 - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.1" 200 5"#,
    "time:[10/Oct/2000:13:55:36 -0700]\treq:GET /a?b=c HTTP/1.0\tstatus:200\tsize:-\treqtime:0.057",
    r#"web: time=2018-12-18T09:30:00Z method=GET path="/a?b=\"c\"" status=200 duration_ms=1.5 ok"#,
    r#"1545125400,"/a,""b""",200"#,
];

fn law_formats() -> Vec<Format> {
    let mut all: Vec<Format> =
        Format::BUILT_IN.iter().map(|name| Format::built_in(name).unwrap()).collect();
    all.push(json(
        r#"
        credential = ["client_id", "a.b", "/a/b/1/c", { query = "api_key" }]
        status = "status"
        bytes = "bytes"
        latency = { field = "took", unit = "s" }
        zone = "Europe/Berlin"
        "#,
    ));
    let fields = "at = 'at'\npath = 'path'\nstatus = 'status'";
    all.push(format(&format!("kind = 'csv'\ncolumns = ['at', 'path', 'status']\n{fields}")));
    let regex = "(?<at>[0-9]+)[, ](?<path>.*?)(?:,(?<status>[0-9]{3}))?";
    all.push(format(&format!("kind = 'regex'\nregex = '{regex}'\n{fields}")));
    all.push(format("kind = 'pattern'\npattern = '$a - $b [$t] \"$request\" $status'\nat = { field = 't', as = '%d/%b/%Y:%H:%M:%S %z' }"));
    all
}

proptest! {
    #[test]
    fn any_bytes_are_a_call_or_a_reject(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut scratch = Scratch::default();
        for format in law_formats() {
            let _ = format.parse(&bytes, &mut scratch);
        }
        let formats = law_formats();
        let _ = detect(&formats.iter().collect::<Vec<_>>(), &bytes);
        prop_assert!(crate::parse::shape(&bytes).chars().count() <= 80);
    }

    #[test]
    fn a_spoiled_line_is_a_call_or_a_reject_and_leaves_no_trace(
        which in 0..LINES.len(),
        edits in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..3u8), 1..6),
    ) {
        let mut spoiled = LINES[which].as_bytes().to_vec();
        for (idx, byte, edit) in edits {
            let i = idx.index(spoiled.len());
            match edit {
                0 => spoiled[i] = byte,
                1 => { spoiled.remove(i); }
                _ => spoiled.insert(i, b"\\\"\0{}[]:,%-"[usize::from(byte) % 11]),
            }
            if spoiled.is_empty() {
                spoiled.push(b'x');
            }
        }
        let mut scratch = Scratch::default();
        for format in law_formats() {
            let _ = format.parse(&spoiled, &mut scratch);
            for line in LINES {
                let fresh = parse(&format, line);
                prop_assert_eq!(format.parse(line.as_bytes(), &mut scratch).map(owned), fresh);
            }
        }
    }

    #[test]
    fn json_agrees_with_its_naive_twin(line in json_line()) {
        let format = json(
            r#"
            credential = ["a", "a.b", "a.b.c", "/a/b", "/a/0", "/a/0/b"]
            host = ["b.c", "c"]
            "#,
        );
        let call = parse(&format, &line).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        let names = ["a", "a.b", "a.b.c", "/a/b", "/a/0", "/a/0/b"];
        let naive = |names: &[&str]| names.iter().find_map(|name| naive_find(&value, name));
        prop_assert_eq!(call.credential.map(Cow::into_owned), naive(&names), "{}", &line);
        prop_assert_eq!(call.host.map(Cow::into_owned), naive(&["b.c", "c"]), "{}", &line);
    }
}

/// The twin: whole document in memory, every reading of a name tried in turn.
fn naive_find(value: &Value, name: &str) -> Option<String> {
    if name.starts_with('/') {
        return naive_text(value.pointer(name)?);
    }
    if let Some(text) = value.get(name).and_then(naive_text) {
        return Some(text);
    }
    let dots: Vec<usize> = name.match_indices('.').map(|(i, _)| i).collect();
    dots.into_iter().rev().find_map(|dot| naive_find(value.get(&name[..dot])?, &name[dot + 1..]))
}

fn naive_text(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(truth) => truth.to_string(),
        _ => return None,
    };
    (!matches!(text.as_str(), "" | "-")).then_some(text)
}

/// An object with few distinct keys, so that they repeat, contain dots and nest; written with escapes and blanks.
fn json_line() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        (0..100u8).prop_map(|n| n.to_string()),
        prop_oneof![
            Just(""),
            Just("-"),
            Just("x"),
            Just(r"\u0041"),
            Just(r#"\"\\"#),
            Just("é{[,:"),
            Just(r"\ud83d\ude00")
        ]
        .prop_map(|text| format!("\"{text}\"")),
    ];
    let key = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("a.b"),
        Just("b.c"),
        Just("a.b.c"),
        Just(r"\u0061"),
        Just("0"),
        Just(r"b\u002ec")
    ];
    let value = scalar.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3)
                .prop_map(|list| format!("[{}]", list.join(" ,"))),
            proptest::collection::vec((key.clone(), inner), 0..4).prop_map(object),
        ]
    });
    let key = prop_oneof![
        Just("a"),
        Just("b"),
        Just("c"),
        Just("a.b"),
        Just("b.c"),
        Just("a.b.c"),
        Just(r"\u0061")
    ];
    proptest::collection::vec((key, value), 0..5).prop_map(|mut pairs| {
        pairs.push(("at", "1545091200".to_owned()));
        pairs.push(("path", "\"/x\"".to_owned()));
        object(pairs)
    })
}

fn object(pairs: Vec<(&str, String)>) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(key, value)| format!("\"{key}\" :{value}")).collect();
    format!("{{ {} }}", pairs.join(","))
}

fn pattern(text: &str) -> Format {
    format(&format!("kind = \"pattern\"\npattern = '{text}'"))
}

/// What a pattern makes of a line: instant, credential, path.
fn seen(text: &str, line: &str) -> (String, Option<String>, Option<String>) {
    let call = parse(&pattern(text), line).unwrap();
    let own = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    (call.at.to_string(), own(call.credential), own(call.path))
}

/// `ngx_http_log_variable` writes `-` for a variable that is not found, as `$args` is where there is no query.
#[test]
fn what_nginx_writes_for_no_query_is_no_part_of_the_path() {
    let log =
        |target: &str| format!("1.1.1.1 bob [18/Dec/2018:09:30:10 +0000] GET \"{target}\" 200");
    let path = |variables: &str, target: &str| {
        let text = format!(
            "$remote_addr $remote_user [$time_local] $request_method \"{variables}\" $status"
        );
        seen(&text, &log(target)).2.unwrap()
    };
    assert_eq!(path("$uri$is_args$args", "/v1/users?a=1"), "/v1/users?a=1");
    assert_eq!(path("$uri$is_args$args", "/v1/users-"), "/v1/users");
    assert_eq!(path("$uri$is_args$args", "/v1/users--"), "/v1/users-");
    assert_eq!(path("$uri$is_args$args", "/v1/users?a=-"), "/v1/users?a=-");
    assert_eq!(path("$scheme://$host$uri$is_args$args", "https://h/v1/users-"), "/v1/users");
    assert_eq!(path("$uri", "/v1/users-"), "/v1/users-");
    let json = |target: &str| {
        let text = "escape=json ''$time_iso8601 $uri$is_args$args $status''";
        let format = format(&format!(
            "kind = \"pattern\"\npattern = \"\"\"{}\"\"\"",
            text.replace("''", "'")
        ));
        parse(&format, format!("2018-12-18T09:30:10+00:00 {target} 200")).unwrap().path.unwrap()
    };
    assert_eq!(json("/v1/users-"), "/v1/users-");
}

/// A date alone would be midnight, hours before the call.
#[test]
fn a_date_is_no_time_but_a_part_of_one() {
    let at = |text: &str, line: &str| seen(text, line).0;
    let both = "2018-12-18T09:30:10Z";
    assert_eq!(
        at(
            "%h %u %{%H:%M:%S}t %{%Y-%m-%d}t \"%r\" %>s",
            "h bob 09:30:10 2018-12-18 \"GET /x HTTP/1.1\" 200"
        ),
        both
    );
    assert_eq!(
        at(
            "%h %u %{%Y-%m-%d}t %{%H:%M:%S}t \"%r\" %>s",
            "h bob 2018-12-18 09:30:10 \"GET /x HTTP/1.1\" 200"
        ),
        both
    );
    assert_eq!(
        at(
            "%{%Y-%m-%d}t %h %u %t \"%r\" %>s",
            "2018-12-18 h bob [18/Dec/2018:09:30:10 +0000] \"GET /x HTTP/1.1\" 200"
        ),
        both
    );
    let apart = "kind = \"pattern\"\npattern = '%h %{%Y-%m-%d}t \"%r\" %>s %{%T}t'";
    assert!(try_format(apart).unwrap_err().to_string().contains("no `at`"));
}

#[test]
fn the_arrival_goes_before_the_end_in_any_order() {
    let at = |text: &str, line: &str| seen(text, line).0;
    let request = "\"GET /x HTTP/1.1\" 200";
    let (end, begin) = ("2018-12-18T09:30:10Z", "[18/Dec/2018:09:30:00 +0000]");
    assert_eq!(
        at("%{end:%FT%T}tZ %h %t \"%r\" %>s", &format!("{end} h {begin} {request}")),
        "2018-12-18T09:30:00Z"
    );
    assert_eq!(
        at("%t %h %{end:%FT%T}tZ \"%r\" %>s", &format!("{begin} h {end} {request}")),
        "2018-12-18T09:30:00Z"
    );
    assert_eq!(
        at("%{end:sec}t %{begin:sec}t \"%r\" %>s", &format!("1545125410 1545125400 {request}")),
        "2018-12-18T09:30:00Z"
    );
    let json = Format::built_in("json").unwrap();
    let at = |line: &str| parse(&json, line).unwrap().at.to_string();
    let both = r#"{"time_local":"18/Dec/2018:09:30:10 +0000","start_time":"2018-12-18T09:30:00Z","time":"2018-12-18T09:30:10Z","path":"/x"}"#;
    assert_eq!(at(both), "2018-12-18T09:30:00Z");
    let finer = r#"{"time_iso8601":"2018-12-18T09:30:06+00:00","msec":"1545125406.900","request_time":"1.500","path":"/x"}"#;
    assert_eq!(at(finer), "2018-12-18T09:30:05.4Z");
}

/// A caller can send blanks behind the version, and servers log them: no way round a route.
#[test]
fn blanks_behind_the_version_are_no_part_of_the_path() {
    let combined = Format::built_in("combined").unwrap();
    let line =
        "1.1.1.1 - bob [18/Dec/2018:09:30:10 +0000] \"GET /v1/users HTTP/1.1 \" 200 5 \"-\" \"-\"";
    assert_eq!(parse(&combined, line).unwrap().path.unwrap(), "/v1/users");
    let json = Format::built_in("json").unwrap();
    let line = r#"{"time":"2018-12-18T09:30:10Z","request":"GET /v1/users HTTP/1.1 "}"#;
    assert_eq!(parse(&json, line).unwrap().path.unwrap(), "/v1/users");
}

/// `log_remote_user` of Apache writes `""` for a name that is empty.
#[test]
fn an_empty_user_of_apache_is_nobody() {
    let line = |user: &str| {
        format!(
            "1.1.1.1 - {user} [18/Dec/2018:09:30:10 +0000] \"GET /x HTTP/1.1\" 200 5 \"-\" \"-\""
        )
    };
    let combined = Format::built_in("combined").unwrap();
    assert_eq!(parse(&combined, line("\"\"")).unwrap().credential, None);
    assert_eq!(parse(&combined, line("bob")).unwrap().credential.unwrap(), "bob");
    let quoted = "%h \"%u\" %t \"%r\" %>s";
    let line =
        |user: &str| format!("h \"{user}\" [18/Dec/2018:09:30:10 +0000] \"GET /x HTTP/1.1\" 200");
    assert_eq!(seen(quoted, &line("\"\"")).1, None);
    assert_eq!(seen(quoted, &line("bob")).1.unwrap(), "bob");
}
