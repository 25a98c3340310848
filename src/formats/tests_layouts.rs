//! Layouts learned from lines: faster, never different.

use proptest::prelude::*;

use super::tests::{format, owned};
use super::*;
use crate::parse::Wanted;

/// Formats of kinds whose layouts are learned, with all that may go wrong: names that several places may hold, wrapped
/// records, what stands before a record, headers, requirements, tables, joined times, sums of latencies.
fn learned_formats() -> Vec<Format> {
    let named = ["json", "caddy", "istio", "envoy", "traefik", "kong", "gcp-lb", "ecs"];
    let mut all: Vec<Format> = named.iter().map(|name| Format::built_in(name).unwrap()).collect();
    for more in [
        "",
        "prefixed = true",
        "embedded = ['message', 'log.line']",
        "headers = 'request.headers'\nuser_agent = { header = 'User-Agent' }",
        "outcomes = { 404 = 'served' }\noutcome = 'outcome'",
        "query = 'query'\nactor = 'user'\nlatency = { sum = ['bytes', 'took'], unit = 'ms' }",
    ] {
        let text = format!(
            "kind = 'json'\nat = ['at', {{ field = 'day time' }}]\npath = ['path', 'request.path']\n\
             credential = ['client', 'a.b', '/a/b']\nmethod = 'method'\nstatus = 'status'\nbytes = 'bytes'\n\
             subject = ['user', {{ route = 'user' }}]\n{more}"
        );
        all.push(format(&text));
    }
    all
}

/// Names that the formats know, and some that none does.
const NAMES: [&str; 26] = [
    "at",
    "time",
    "ts",
    "path",
    "uri",
    "request.path",
    "client",
    "client_id",
    "method",
    "status",
    "bytes",
    "took",
    "latency_us",
    "user",
    "a",
    "a.b",
    "b",
    "message",
    "log.line",
    "outcome",
    "query",
    "level",
    "request",
    "headers",
    "user_agent",
    "é\\u00e9",
];

const VALUES: [&str; 28] = [
    "\"2018-12-18T09:30:00.25Z\"",
    "\"2018-12-18T10:30:00+01:00\"",
    "1545125400",
    "1545125400.5",
    "\"/v1/a?b=c\"",
    "\"/v1/users/7\"",
    "\"GET /x HTTP/1.1\"",
    "\"GET\"",
    "\"x\\ny\"",
    "\"\\u00e9\\ud83d\"",
    "\"é\"",
    "\"-\"",
    "\"\"",
    "null",
    "true",
    "false",
    "200",
    "404",
    "\"503\"",
    "0",
    "-1",
    "1e3",
    "01",
    "1.50",
    "{\"b\":\"q\"}",
    "{\"path\":\"/y\",\"headers\":{\"User-Agent\":\"u\"}}",
    "[1,\"x\"]",
    "\"{\\\"at\\\":1545125400,\\\"path\\\":\\\"/z\\\"}\"",
];

/// An object of some of the names, in some order, with blanks or without.
fn object() -> impl Strategy<Value = String> {
    let member = (prop::sample::select(&NAMES[..]), prop::sample::select(&VALUES[..]));
    let blanks = prop::sample::select(&["", "", "", " ", "  ", "\t"][..]);
    (prop::collection::vec(member, 0..10), blanks).prop_map(|(members, blank)| {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!("\"{name}\":{blank}{value}")).collect();
        format!("{{{blank}{}{blank}}}", members.join(&format!(",{blank}")))
    })
}

/// Several lines that are mostly alike: of two objects, with other values in their places, cut, spoiled or put together.
fn lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let change =
        (any::<prop::sample::Index>(), prop::sample::select(&VALUES[..]), 0..12u8, any::<u8>());
    let first = r#"{"at":"2018-12-18T09:30:00Z","client":"c","method":"GET","path":"/v1/users/7","status":200,"bytes":5,"user":"u"}"#;
    let object = prop_oneof![Just(first.to_owned()), object()];
    (object.clone(), object, prop::collection::vec((any::<bool>(), change), 1..24)).prop_map(
        |(one, other, changes)| {
            let change = |(which, (index, value, how, byte)): (
                bool,
                (prop::sample::Index, &str, u8, u8),
            )| {
                let line = if which { &one } else { &other };
                let mut line = line.clone().into_bytes();
                let at = index.index(line.len());
                match how {
                    0 => line[at] = byte,
                    1 => drop(line.remove(at)),
                    2 => line.insert(at, b"\\\"\0{}[]:,%- "[usize::from(byte) % 12]),
                    3 => line.truncate(at),
                    4 => line.splice(0..0, *b"prefix: ").for_each(drop),
                    // The value behind one of the colons is another one.
                    5..=9 => {
                        let colons: Vec<usize> = (0..line.len())
                            .filter(|&i| line[i] == b':' && i > 0 && line[i - 1] == b'"')
                            .collect();
                        if let Some(&colon) = colons.get(index.index(colons.len().max(1))) {
                            let rest = &line[colon + 1..];
                            let is_end = |byte: &u8| b",}".contains(byte);
                            let end = rest.iter().position(is_end).unwrap_or(rest.len());
                            line.splice(colon + 1..colon + 1 + end, value.bytes()).for_each(drop);
                        }
                    }
                    _ => {}
                }
                line
            };
            changes.into_iter().map(change).collect()
        },
    )
}

/// What is read of each line after the others is what the parser of its kind reads alone; also where some fields are not
/// wanted, but for these.
fn agree(formats: &[Format], lines: &[Vec<u8>]) -> std::result::Result<(), TestCaseError> {
    for format in formats {
        let mut learning = Scratch::default();
        let mut sums_only = Scratch::wanting(Wanted::Sums);
        for line in lines {
            let mut alone = Scratch::without_layouts();
            let expected = format.parse(line, &mut alone).map(owned);
            let found = format.parse(line, &mut learning).map(owned);
            let sums = format.parse(line, &mut sums_only).map(owned);
            let line = String::from_utf8_lossy(line);
            prop_assert_eq!(&found, &expected, "{}: {}", format.name(), line);
            prop_assert_eq!(sums.map(wanted), expected.map(wanted), "{}: {}", format.name(), line);
        }
    }
    Ok(())
}

/// A call without what no sum depends on.
fn wanted(call: Call<'static>) -> Call<'static> {
    let actor = crate::call::Sourced::default();
    Call { actor, remote_addr: None, user_agent: None, request_id: None, ..call }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// Whatever lines come in whatever order, what is read of each is what the parser of its kind reads alone.
    #[test]
    fn a_layout_never_changes_an_answer(lines in lines()) {
        agree(&learned_formats(), &lines)?;
    }
}

/// Lines of servers, spoiled in the places where patterns look.
fn server_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let line = |form: usize, parts: [&str; 6]| {
        let [user, time, request, status, referer, agent] = parts;
        match form {
            0 => format!(
                "10.0.0.7 - {user} [{time}] \"{request}\" {status} 5 \"{referer}\" \"{agent}\""
            ),
            1 => format!("10.0.0.7 - {user} [{time}] \"{request}\" {status} 5"),
            2 => format!(
                "h:443 10.0.0.7 - {user} [{time}] \"{request}\" {status} 5 \"{referer}\" \"{agent}\""
            ),
            5 => format!(
                "h2 {time} app/x 10.0.0.7:5 10.1.0.7:80 0.001 0.002 0.000 {status} 200 34 366 \"{request}\" \"{agent}\" c t arn:x \
                 \"{referer}\" \"h\" \"arn:y\" 0 {time} \"forward\" \"-\" \"-\" \"10.0.0.9:80\" \"{status}\" \"-\" \"-\""
            ),
            3 => format!("10.0.0.7 {status} \"{request}\" {user} {time} {agent}"),
            _ => format!("{time} {user}|{request}|{status}|{agent}"),
        }
    };
    let users = ["-", "joe", "j doe", "a [b", "\"\"", "a\\\"b", "-x", "a - b", "é", ""];
    let times = [
        "18/Dec/2018:09:30:00 +0000",
        "18/Dec/2018:09:30:01.5 +0100",
        "19/Dec/2018:09:30:00 +0000",
        "x [y",
        "",
        "2018-12-18T09:30:00Z",
        "31/Feb/2018:09:30:00 +0000",
        "18/Dec/2018:09:30:00 +0000] [x",
        "2018-12-18T09:30:01.123456Z",
        "2018-12-18 09:30:00Z",
        "2018-12-18T09:30:00 +01:00",
        "Z",
    ];
    let requests = [
        "GET /x HTTP/1.1",
        "POST /v1/users/7?a=b HTTP/2",
        "GET /a b HTTP/1.1",
        "GET /x",
        "-",
        "",
        "\\x16\\x03",
        "GET http://h/x HTTP/1.1",
        "get /x HTTP/1.1 ",
        "GET /\\\"q HTTP/1.1",
        "GET /x HTTP/x",
    ];
    let statuses = ["200", "404", "401", "-", "2 0", "", "600", "200.0"];
    let texts = ["-", "Mozilla \\\"x\\\"", "a b", "", "x\" \"y", "t\tx", "é"];
    let part = prop::sample::select::<&str>;
    let one = (
        prop::sample::select(vec![0, 0, 0, 1, 2, 3, 4, 5, 5]),
        (part(users.to_vec()), part(times.to_vec()), part(requests.to_vec())),
        (part(statuses.to_vec()), part(texts.to_vec()), part(texts.to_vec())),
        prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
    );
    let one =
        one.prop_map(move |(form, (user, time, request), (status, referer, agent), spoil)| {
            let mut line = line(form, [user, time, request, status, referer, agent]).into_bytes();
            if let Some((index, byte)) = spoil {
                let at = index.index(line.len());
                line[at] = byte;
            }
            line
        });
    prop::collection::vec(one, 1..24)
}

/// Lines of pairs, `logfmt`'s or `ltsv`'s, of which most are like the first.
fn pair_lines() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let keys = ["time", "method", "path", "status", "bytes", "client_id", "x", "user", "k.2"];
    let values = [
        "2018-12-18T09:30:00Z",
        "GET",
        "/x?a=b",
        "200",
        "-",
        "",
        "a",
        "\"a b\"",
        "\"\"",
        "\"q\\\"q\"",
        "a\"b",
        "é",
        "a\u{7f}",
        "a\\b",
        "\"a\u{7f}\"",
        "a b",
        "a\tb",
        "a:b=c",
    ];
    let key = prop::sample::select(keys.to_vec());
    let value = prop::sample::select(values.to_vec());
    let one = (prop::collection::vec(key, 1..8), any::<bool>(), any::<bool>(), 0..4u8);
    let change = (
        prop::collection::vec(value, 8),
        prop::option::weighted(0.2, (any::<prop::sample::Index>(), any::<u8>())),
    );
    (one, prop::collection::vec(change, 1..16)).prop_map(
        |((keys, is_ltsv, has_word, end), changes)| {
            let line = |(values, spoil): (Vec<&str>, Option<(prop::sample::Index, u8)>)| {
                let (is, between) = if is_ltsv { (":", "\t") } else { ("=", " ") };
                let pairs: Vec<String> = keys
                    .iter()
                    .zip(values)
                    .map(|(key, value)| format!("{key}{is}{value}"))
                    .collect();
                let mut line = pairs.join(between);
                if has_word && !is_ltsv {
                    line.insert_str(0, "web.1 ok: ");
                }
                line.push_str(["", "", between, " done"][usize::from(end)]);
                let mut line = line.into_bytes();
                if let Some((index, byte)) = spoil {
                    let at = index.index(line.len());
                    line[at] = byte;
                }
                line
            };
            changes.into_iter().map(line).collect()
        },
    )
}

/// Lines of fields with a delimiter between, of which most are like the first; now and then a line names the columns.
fn delimited_lines(delimiter: &'static str) -> impl Strategy<Value = Vec<Vec<u8>>> {
    let values = [
        "2018-12-18T09:30:00Z",
        "1545125400",
        "GET",
        "/x?a=b",
        "/v1/users/7",
        "200",
        "12345678",
        "123456789",
        "-",
        "",
        "a",
        "at",
        "path",
        "\"a b\"",
        "\"\"",
        "\"-\"",
        "\"q\"\"q\"",
        "\"at\"",
        "\"/x,y\"",
        "a\"b",
        "\"a\"b",
        "é",
        "a\rb",
        "a b ",
    ];
    let usual = ["2018-12-18T09:30:00Z", "c", "GET", "/x", "200", "5", "u"];
    let value = prop::sample::select(values.to_vec());
    let change = (
        prop::collection::vec((any::<prop::sample::Index>(), value), 0..4),
        prop::option::weighted(0.1, (any::<prop::sample::Index>(), any::<u8>())),
        0..12u8,
    );
    prop::collection::vec(change, 1..16).prop_map(move |changes| {
        let line = |(values, spoil, how): (Vec<(prop::sample::Index, &str)>, Option<_>, u8)| {
            let mut fields = usual.to_vec();
            for (index, value) in values {
                fields[index.index(usual.len())] = value;
            }
            match how {
                0 => fields = COLUMNS.to_vec(),
                1 => fields.push("more"),
                2 => drop(fields.pop()),
                _ => {}
            }
            let mut line = fields.join(delimiter).into_bytes();
            if let Some((index, byte)) = spoil {
                let at: usize = prop::sample::Index::index(&index, line.len());
                line[at] = byte;
            }
            line
        };
        changes.into_iter().map(line).collect()
    })
}

const COLUMNS: [&str; 7] = ["at", "client", "method", "path", "status", "bytes", "user"];

/// Formats of delimited lines, whose columns they list or a header names.
fn delimited_formats(delimiter: &str, columns: &str) -> Vec<Format> {
    let of = |more: &str| {
        format(&format!(
            "kind = 'csv'\ndelimiter = '{delimiter}'\n{columns}\n{more}\nat = 'at'\npath = 'path'\ncredential = 'client'\n\
             method = 'method'\nstatus = 'status'\nbytes = 'bytes'\nsubject = ['user', {{ route = 'user' }}]"
        ))
    };
    ["", "flexible = true", "request_id = 'method'"].map(of).into()
}

fn pattern_formats() -> Vec<Format> {
    let named = [
        "common",
        "combined",
        "vcombined",
        "nginx-main",
        "nginx-ingress",
        "aws-alb",
        "haproxy",
        "squid",
    ];
    let mut all: Vec<Format> = named.iter().map(|name| Format::built_in(name).unwrap()).collect();
    let more = "subject = { route = 'user' }";
    for pattern in [
        "$remote_addr - $remote_user [$time_local] \"$request\" $status $body_bytes_sent",
        "$remote_addr $status \"$request\" $remote_user [$time_local] $http_user_agent",
        "$time_iso8601 $remote_user|$request|$status|$http_user_agent",
        "%h %l %u %t \\\"%r\\\" %>s %b",
    ] {
        all.push(format(&format!("kind = 'pattern'\npattern = '{pattern}'\n{more}")));
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nor_does_that_of_pairs(lines in pair_lines()) {
        agree(&["ltsv", "logfmt"].map(|name| Format::built_in(name).unwrap()), &lines)?;
    }

    #[test]
    fn nor_does_that_of_fields(commas in delimited_lines(","), tabs in delimited_lines("\t")) {
        let columns = format!("columns = {COLUMNS:?}");
        agree(&delimited_formats(",", &columns), &commas)?;
        agree(&delimited_formats("\t", &columns), &tabs)?;
    }

    /// Where the lines of a log name its columns, and the next log's lines name others.
    #[test]
    fn nor_does_that_of_fields_with_a_header(
        logs in prop::collection::vec((Just(COLUMNS).prop_shuffle(), delimited_lines(",")), 1..5),
    ) {
        for format in delimited_formats(",", "header = true") {
            let mut learning = Scratch::default();
            for (header, lines) in &logs {
                let mut alone = Scratch::without_layouts();
                let header = header.join(",");
                for scratch in [&mut learning, &mut alone] {
                    format.begin(None, scratch);
                    prop_assert!(format.directive(header.as_bytes(), scratch));
                }
                for line in lines {
                    let expected = format.parse(line, &mut alone).map(owned);
                    let found = format.parse(line, &mut learning).map(owned);
                    prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(line));
                }
            }
        }
    }

    #[test]
    fn nor_does_that_of_a_pattern(lines in server_lines()) {
        agree(&pattern_formats(), &lines)?;
    }
}

/// A key may be spelt with escapes, and then be that of a wrapped record.
#[test]
fn a_record_behind_an_escaped_key_is_unwrapped() {
    let wrapped = r#"{"at":"2018-12-18T09:30:00Z","path":"/x","\u006dessage":"{\"at\":\"2018-12-18T09:30:00Z\",\"path\":\"/y\"}","note":"see \"message\" there"}"#;
    let other = wrapped.replace("see ", "and ");
    let text = "kind = 'json'\nat = 'at'\npath = 'path'\nembedded = 'message'";
    let lines = [wrapped, &other, wrapped, wrapped].map(|line| line.as_bytes().to_vec());
    agree(&[format(text)], &lines).unwrap();
    let call = format(text).parse(wrapped.as_bytes(), &mut Scratch::default()).map(owned).unwrap();
    assert_eq!(call.path.as_deref(), Some("/y"));
}

#[test]
fn lines_of_servers_are_read_by_their_layout() {
    let line = r#"10.0.0.7 - joe [18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" 200 5 "-" "curl""#;
    for (name, line) in [
        ("combined", line),
        ("common", &line[..line.len() - 11]),
        ("ltsv", "time:2018-12-18T09:30:00Z\tmethod:GET\tpath:/x\tstatus:200"),
        ("logfmt", "time=2018-12-18T09:30:00Z ok method=GET path=/x msg=\"a b\" status=200"),
    ] {
        let format = Format::built_in(name).unwrap();
        let mut scratch = Scratch::default();
        format.parse(line.as_bytes(), &mut scratch).unwrap();
        assert!(scratch.has_layout(&format.identity, line, 0), "{name}");
    }
    let format = delimited_formats(",", &format!("columns = {COLUMNS:?}")).remove(0);
    let line = r#"2018-12-18T09:30:00Z,c,GET,"/x,y",200,5,u"#;
    let mut scratch = Scratch::default();
    format.parse(line.as_bytes(), &mut scratch).unwrap();
    assert!(scratch.has_layout(&format.identity, line, 0));
}

#[test]
fn a_line_like_the_one_before_is_read_by_its_layout() {
    let format = Format::built_in("json").unwrap();
    let line = |second: u32, path: &str| {
        format!(
            r#"{{"ts":"2018-12-18T09:30:{second:02}Z","client_id":"c{second}","method":"GET","path":"{path}","status":200}}"#
        )
    };
    let mut scratch = Scratch::default();
    let has = |scratch: &mut Scratch, line: &str| scratch.has_layout(&format.identity, line, 0);
    assert!(!has(&mut scratch, &line(1, "/a")));
    format.parse(line(1, "/a").as_bytes(), &mut scratch).unwrap();
    for path in ["/a", "", "/b?c=é", r"/b\n\u00e9"] {
        assert!(has(&mut scratch, &line(2, path)), "{path}");
    }
    for odd in [
        line(2, r"/\x"),
        line(2, "/a\u{1}"),
        line(2, "/a").replace("200", "0200"),
        line(2, "/a").replace("status", "statuz"),
        line(2, "/a").replace("\"GET\"", "null"),
        format!("{} ", line(2, "/a")),
        line(2, "/a")[..40].to_owned(),
    ] {
        assert!(!has(&mut scratch, &odd), "{odd}");
    }
    let call = format.parse(line(7, "/z").as_bytes(), &mut scratch).map(owned).unwrap();
    assert_eq!((call.credential.as_deref(), call.path.as_deref()), (Some("c7"), Some("/z")));
}

/// Lines of which none is like another are soon not tried any more: no more layouts are kept than there is room for.
#[test]
fn lines_that_are_never_alike_cost_little() {
    let format = format("kind = 'json'\nat = 'at'\npath = 'path'");
    let (mut learning, mut alone) = (Scratch::default(), Scratch::without_layouts());
    for n in 0..2_000 {
        let line = format!(r#"{{"at":{},"key-{n}":1,"path":"/x"}}"#, 1_545_125_400 + n);
        let expected = format.parse(line.as_bytes(), &mut alone).map(owned);
        assert_eq!(format.parse(line.as_bytes(), &mut learning).map(owned), expected);
    }
    assert!(learning.layouts.lessons_taken() < 20, "{}", learning.layouts.lessons_taken());
}
