//! The built-in formats of web servers and proxies, by lines made up after their documentation.

use std::fmt::Display;

use super::*;

/// What a built-in format makes of a line: all call fields in order, `-` for what is absent, or the reason.
///
/// `at credential method path host outcome status bytes latency_us remote_addr user_agent request_id`
fn told(name: &str, line: &str) -> String {
    let format = Format::built_in(name).unwrap();
    let mut scratch = Scratch::default();
    told_by(&format, line, &mut scratch)
}

fn told_by(format: &Format, line: &str, scratch: &mut Scratch) -> String {
    fn or_dash<T: Display>(value: Option<T>) -> String {
        value.map_or("-".to_owned(), |value| value.to_string())
    }
    let call = match format.parse(line.as_bytes(), scratch) {
        Ok(call) => call,
        Err(reason) => return reason.as_str().to_owned(),
    };
    // A person in the path is reached through the route, by all of them.
    assert_eq!((call.subject.before, call.subject.route), (None, Some("user")));
    assert_eq!((call.api, call.operation, call.actor), (None, None, Default::default()));
    [
        call.at.to_string(),
        or_dash(call.credential),
        or_dash(call.method),
        or_dash(call.path),
        or_dash(call.host),
        call.outcome.to_string(),
        or_dash(call.status),
        or_dash(call.bytes),
        or_dash(call.latency_us),
        or_dash(call.remote_addr),
        or_dash(call.user_agent),
        or_dash(call.request_id),
    ]
    .join(" ")
}

/// What a format with directives makes of a log.
fn told_all(name: &str, log: &str) -> Vec<String> {
    let format = Format::built_in(name).unwrap();
    let mut scratch = Scratch::default();
    format.begin(None, &mut scratch);
    let mut all = Vec::new();
    for line in log.lines() {
        if !format.directive(line.as_bytes(), &mut scratch) {
            all.push(told_by(&format, line, &mut scratch));
        }
    }
    all
}

const VCOMBINED: &str = r#"api.example.com:443 10.0.0.7 - reelhouse [18/Dec/2018:10:30:00 +0100] "GET /v1/users/7?x=1 HTTP/1.1" 200 5120 "-" "curl/7.61""#;

#[test]
fn vcombined_has_the_host_in_front() {
    assert_eq!(
        told("vcombined", VCOMBINED),
        "2018-12-18T09:30:00Z reelhouse GET /v1/users/7?x=1 api.example.com served 200 5120 - 10.0.0.7 curl/7.61 -"
    );
    let v6 = VCOMBINED.replace("10.0.0.7", "2001:db8::7").replace(" 5120 ", " - ");
    assert_eq!(
        told("vcombined", &v6),
        "2018-12-18T09:30:00Z reelhouse GET /v1/users/7?x=1 api.example.com served 200 - - 2001:db8::7 curl/7.61 -"
    );
    let hello = VCOMBINED.replace("GET /v1/users/7?x=1 HTTP/1.1", r"\x16\x03\x01");
    assert_eq!(told("vcombined", &hello), "no-target");
    // An IPv6 client of the combined format is no host with a port.
    let combined =
        r#"2001:db8::7 - john doe [18/Dec/2018:10:30:00 +0100] "GET / HTTP/1.1" 200 5 "-" "-""#;
    assert_eq!(told("vcombined", combined), "malformed");
}

#[test]
fn vcombined_without_a_port() {
    let bare = VCOMBINED.replacen(":443 ", " ", 1);
    assert_eq!(told("vcombined", &bare), told("vcombined", VCOMBINED));
    assert_eq!(told("combined", &bare), "malformed");
    let nobody = bare.replace(" reelhouse ", " - ");
    assert!(told("vcombined", &nobody).starts_with("2018-12-18T09:30:00Z - GET "));
    assert_eq!(told("combined", &nobody), "malformed");
    for combined in ["10.0.0.7 - john doe", "10.0.0.7 - -", "10.0.0.7 ident reelhouse"] {
        let line =
            format!(r#"{combined} [18/Dec/2018:10:30:00 +0100] "GET / HTTP/1.1" 200 5 "-" "-""#);
        assert!(told("combined", &line).contains(" GET "), "{combined}");
        assert!(!told("vcombined", &line).contains(" GET "), "{combined}");
    }
}

#[test]
fn what_shippers_write_in_front_is_no_part_of_a_line() {
    let combined = VCOMBINED.split_once(' ').unwrap().1;
    let call = told("combined", combined);
    assert!(call.starts_with("2018-12-18T09:30:00Z reelhouse GET "));
    for prefix in [
        "Dec 18 09:30:00 web1 nginx: ",
        "<190>Dec 18 09:30:00 web1 httpd[71]: ",
        "<134>1 2018-12-18T09:30:00.123Z web1 nginx 71 - - ",
        "2018-12-18T09:30:00.123456789Z stdout F ",
        "2018-12-18T09:30:00.123456789Z ",
        "web_1  | ",
    ] {
        assert_eq!(told("combined", &format!("{prefix}{combined}")), call, "{prefix}");
        assert_eq!(
            told("vcombined", &format!("{prefix}{VCOMBINED}")),
            told("vcombined", VCOMBINED)
        );
        assert_eq!(
            told("nginx-ingress", &format!("{prefix}{INGRESS}")),
            told("nginx-ingress", INGRESS)
        );
    }
    // What is not known is no part of the user's name.
    for prefix in ["Dec 18 09:30:00 web1 ", "10.0.0.1, ", "18/12/2018 09:30:00 "] {
        assert_eq!(told("combined", &format!("{prefix}{combined}")), "malformed", "{prefix}");
    }
}

const INGRESS: &str = r#"10.0.0.7 - reelhouse [18/Dec/2018:09:30:02 +0000] "POST /v1/messages HTTP/2.0" 201 42 "-" "curl/7.61" 310 1.500 [shop-api-80] [] 10.244.0.5:8080 42 1.499 201 0123456789abcdef0123456789abcdef"#;

#[test]
fn nginx_ingress_has_the_time_of_the_end_and_how_long_it_took() {
    let call = "2018-12-18T09:30:00.5Z reelhouse POST /v1/messages - served 201 42 1500000 10.0.0.7 curl/7.61";
    assert_eq!(told("nginx-ingress", INGRESS), format!("{call} 0123456789abcdef0123456789abcdef"));
    let kept = format!("2018-12-18T09:30:02.1Z stdout F {INGRESS}");
    assert_eq!(told("nginx-ingress", &kept), told("nginx-ingress", INGRESS));
    // Two upstreams were tried, and nginx went on to a third after an internal redirect.
    let upstreams = "10.244.0.5:8080, 10.244.0.6:8080 : 10.244.0.9:80 0, 0 : 42 0.5, 0.5 : 0.499 502, 504 : 201";
    let tried = INGRESS.replace("10.244.0.5:8080 42 1.499 201", upstreams);
    assert_eq!(told("nginx-ingress", &tried), format!("{call} 0123456789abcdef0123456789abcdef"));
    let none = INGRESS.replace("[shop-api-80] [] 10.244.0.5:8080 42 1.499 201", "[] [] - - - -");
    assert_eq!(told("nginx-ingress", &none), format!("{call} 0123456789abcdef0123456789abcdef"));
}

#[test]
fn nginx_ingress_of_older_releases() {
    let old = r#"10.0.0.1 - [10.0.0.7, 10.0.0.1] - - [18/Dec/2018:09:30:02 +0000] "GET /x HTTP/1.1" 200 42 "-" "curl" 310 0.002 [shop-api-80] 10.244.0.5:8080 42 0.001 200"#;
    let call = "2018-12-18T09:30:01.998Z - GET /x - served 200 42 2000 10.0.0.7 curl";
    assert_eq!(told("nginx-ingress", old), format!("{call} -"));
    assert_eq!(told("nginx-ingress", &format!("{old} 0123abc")), format!("{call} 0123abc"));
}

#[test]
fn nginx_ingress_resolves_escapes_and_knows_what_is_no_request() {
    let quoted = INGRESS.replace("/v1/messages", r"/v1/\x22a b\x22");
    assert!(told("nginx-ingress", &quoted).contains(r#" POST /v1/"a b" - "#));
    for no_request in [r"\x16\x03\x01\x02\xfc", "", "-", "t3 12.1.2", r"\x00\x0e8"] {
        let line = INGRESS.replace("POST /v1/messages HTTP/2.0", no_request);
        assert_eq!(told("nginx-ingress", &line), "no-target", "{no_request}");
    }
    let session = "[10.0.0.7] [18/Dec/2018:09:30:02 +0000] TCP 200 100 50 0.010";
    assert_eq!(told("nginx-ingress", session), "malformed");
}

const HAPROXY: &str = r#"10.0.0.7:33317 [18/Dec/2018:09:30:00.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {api.example.com|curl} {} "GET /index.html HTTP/1.1""#;

#[test]
fn haproxy_has_the_time_of_the_first_byte() {
    let call = "2018-12-18T09:30:00.655Z - GET /index.html - served 200 2750 109000 10.0.0.7 - -";
    for prefix in [
        "",
        "Dec 18 09:30:00 localhost haproxy[14389]: ",
        "<134>Dec 18 09:30:00 haproxy[14389]: ",
        "<134>1 2018-12-18T09:30:00.764+00:00 lb1 haproxy 14389 - - ",
        "2018-12-18T09:30:00+00:00 lb1 haproxy[14389]: ",
    ] {
        assert_eq!(told("haproxy", &format!("{prefix}{HAPROXY}")), call, "{prefix}");
    }
    let https = format!("{HAPROXY} 0/0/0/0/0 api.example.com/TLSv1.3/TLS_AES_256_GCM_SHA384");
    assert_eq!(told("haproxy", &https), call);
    assert_eq!(told("haproxy", &HAPROXY.replace(" {api.example.com|curl} {}", "")), call);
    // As syslog-ng writes quotes, with `option logasap`, and with a request that redispatching sent elsewhere.
    assert_eq!(told("haproxy", &HAPROXY.replace('"', "\\\"")), call);
    let asap =
        HAPROXY.replace("/109 200 2750", "/+109 200 +2750").replace("1/1/1/1/0", "1/1/1/1/+1");
    assert_eq!(told("haproxy", &asap), call);
}

#[test]
fn haproxy_requests_that_are_odd() {
    let of = |request: &str| told("haproxy", &HAPROXY.replace("GET /index.html HTTP/1.1", request));
    assert_eq!(of("<BADREQ>"), "no-target");
    assert!(
        of("GET https://api.example.com/x HTTP/2.0").contains(" GET https://api.example.com/x ")
    );
    assert!(of("GET /a b HTTP/1.1").contains(" GET /a b - "));
    // syslog cut it off, and with it the quote.
    let cut = HAPROXY.replace("index.html HTTP/1.1\"", "very/long?a=");
    assert!(told("haproxy", &cut).contains(" GET /very/long?a= - served 200 "));
    let aborted = HAPROXY
        .replace("static/srv1 10/0/30/69/109 200 2750", "http-in/<NOSRV> 5/-1/-1/-1/-1 -1 0");
    assert_eq!(
        told("haproxy", &aborted),
        "2018-12-18T09:30:00.655Z - GET /index.html - unknown - 0 - 10.0.0.7 - -"
    );
    let v6 = HAPROXY.replace("10.0.0.7:", "2001:db8::7:");
    assert!(told("haproxy", &v6).contains(" 2001:db8::7 "));
    assert!(told("haproxy", &HAPROXY.replace("10.0.0.7:33317", "unix:1")).contains(" unix "));
    // As 1.2 wrote it, with fewer counts.
    let old = HAPROXY.replace("1/1/1/1/0 0/0", "2/54/54 0/0");
    assert_eq!(told("haproxy", &old), told("haproxy", HAPROXY));
}

#[test]
fn haproxy_lines_that_are_no_requests_are_no_calls() {
    for line in [
        "10.0.0.7:33313 [18/Dec/2018:09:30:00.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        "10.0.0.7:33313 [18/Dec/2018:09:30:00.443] fnt bck/<NOSRV> -1/-1/+5007 +212 SC 0/0/0/0/3 0/0",
        "10.0.0.7:56059 [18/Dec/2018:09:30:00.380] frt/f1: Connection error during SSL handshake",
        r#"-:- [18/Dec/2018:09:30:00.200] <OCSP-UPDATE> -/- 2/0/-1/-1/3009 503 217 - - SC-- 0/0/0/0/3 0/0 {} "GET http://10.0.0.9/MEM HTTP/1.1""#,
        r#"<133>Dec 18 09:30:00 haproxy[1]: <OCSP-UPDATE> /certs/a.pem 1 "Update successful" 0 1"#,
        "Dec 18 09:30:00 localhost haproxy[1]: Proxy http-in started.",
        r#"haproxy[1]: Server bck/srv1 is DOWN, reason: Layer7 wrong status, code: 503, info: "Service Unavailable", check duration: 1ms."#,
        "haproxy[14385]: Connect from 10.0.0.7:33312 to 10.0.3.31:8012 (www/HTTP)",
        r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "TCP " 000 212 "" "" 33313 443 "fnt" "bck" "srv1" 0 0 0 0 5007 "--" 0 0 0 0 3 0 0 "-" "-" "" """#,
    ] {
        assert_eq!(told("haproxy", line), "no-target", "{line}");
    }
    for line in [
        "Dec 18 09:30:00 localhost sshd[1]: Connection closed by 10.0.0.7 port 33312",
        r#"haproxy[1]: www 10.0.0.7 "GET /x HTTP/1.1" 200"#,
    ] {
        assert_eq!(told("haproxy", line), "malformed", "{line}");
    }
}

#[test]
fn haproxy_in_the_common_format() {
    let clf = r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "GET /index.html HTTP/1.1" 200 2750 "" "" 33317 655 "http-in" "static" "srv1" 10 0 30 69 109 "----" 1 1 1 1 0 0 0 "-" "-" "" """#;
    assert_eq!(
        told("haproxy", clf),
        "2018-12-18T09:30:00Z - GET /index.html - served 200 2750 109000 10.0.0.7 - -"
    );
}

const SQUID: &str = "1545125400.655    155 10.0.0.7 TCP_MISS/200 2750 GET http://api.example.com/x?a=1 reelhouse HIER_DIRECT/10.0.3.31 text/html";

#[test]
fn squid_has_the_time_of_the_end_and_how_long_it_took() {
    let call = "2018-12-18T09:30:00.5Z reelhouse GET http://api.example.com/x?a=1 - served 200 2750 155000 10.0.0.7 - -";
    assert_eq!(told("squid", SQUID), call);
    assert_eq!(told("squid", &format!("Dec 18 09:30:00 px (squid-1)[71]: {SQUID}")), call);
    assert_eq!(told("squid", &format!("<13>1 2018-12-18T09:30:00Z px squid 71 - - {SQUID}")), call);
    assert_eq!(told("squid", SQUID.strip_suffix(" text/html").unwrap()), call);
    assert_eq!(told("squid", &format!("{SQUID} [Host: x%0d%0a] [HTTP/1.1 200 OK%0d%0a]")), call);
    let tunnel = "1545125400.655 60155 10.0.0.7 TCP_TUNNEL/200 5120 CONNECT api.example.com:443 - HIER_DIRECT/10.0.3.31 -";
    assert_eq!(
        told("squid", tunnel),
        "2018-12-18T09:29:00.5Z - CONNECT api.example.com:443 - served 200 5120 60155000 10.0.0.7 - -"
    );
    let denied = SQUID.replace("TCP_MISS/200", "TCP_DENIED/407");
    assert!(told("squid", &denied).contains(" denied 407 "));
    let aborted = SQUID.replace("TCP_MISS/200", "TCP_MISS_ABORTED/000");
    assert!(told("squid", &aborted).contains(" unknown - "));
}

#[test]
fn squid_in_the_common_and_combined_formats() {
    let call = "2018-12-18T09:30:00Z reelhouse GET http://api.example.com/x?a=1 - served 200 2750 - 10.0.0.7";
    let common = r#"10.0.0.7 - reelhouse [18/Dec/2018:10:30:00 +0100] "GET http://api.example.com/x?a=1 HTTP/1.1" 200 2750 TCP_MISS:HIER_DIRECT"#;
    assert_eq!(told("squid", common), format!("{call} - -"));
    let combined = common.replace("TCP_MISS", r#""-" "curl \"7\"" TCP_MISS"#);
    assert_eq!(told("squid", &combined), format!("{call} curl \"7\" -"));
    let mime = format!("{combined} [Host: x%0d%0a] [HTTP/1.1 200 OK%0d%0a]");
    assert_eq!(told("squid", &mime), format!("{call} curl \"7\" -"));
    assert_eq!(told("squid", common.strip_suffix(" TCP_MISS:HIER_DIRECT").unwrap()), "malformed");
}

#[test]
fn squid_connections_without_a_request_are_no_calls() {
    for line in [
        "1545125400.655      0 10.0.0.7 NONE_NONE/000 0 - error:transaction-end-before-headers - HIER_NONE/- -",
        "1545125400.655      0 10.0.0.7 TAG_NONE/400 3900 GET error:invalid-request - HIER_NONE/- text/html",
        "1545125400.655      0 10.0.0.7 UDP_MISS/000 70 ICP_QUERY http://api.example.com/x - HIER_NONE/- -",
        r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "NONE error:invalid-request HTTP/0.0" 400 3900 TAG_NONE:HIER_NONE"#,
    ] {
        assert_eq!(told("squid", line), "no-target", "{line}");
    }
}

const IIS: &str = "\
#Software: Microsoft Internet Information Services 10.0
#Version: 1.0
#Date: 2018-12-18 09:30:02
#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) cs(Referer) cs-host sc-status sc-substatus sc-win32-status sc-bytes cs-bytes time-taken
2018-12-18 09:30:02 10.0.3.31 GET /v1/users/7 a=1&b=2 443 CORP\\reelhouse 10.0.0.7 Mozilla/5.0+(Windows) - api.example.com 200 0 0 2750 310 1500
2018-12-18 09:30:02 10.0.3.31 GET /v1/users/7 - 443 - 10.0.0.7 - - - 401 2 5 - - 0
";

#[test]
fn iis_has_the_columns_of_its_directive() {
    assert_eq!(
        told_all("iis", IIS),
        [
            "2018-12-18T09:30:00.5Z CORP\\reelhouse GET /v1/users/7?a=1&b=2 api.example.com served 200 2750 1500000 10.0.0.7 Mozilla/5.0+(Windows) -",
            "2018-12-18T09:30:02Z - GET /v1/users/7 - denied 401 - 0 10.0.0.7 - -",
        ]
    );
    let six = "#Fields: date time s-sitename s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(Host) sc-status \n\
        2018-12-18 09:30:02 W3SVC1 10.0.3.31 GET /x - 80 - 10.0.0.7 api.example.com 200\n";
    assert_eq!(
        told_all("iis", six),
        ["2018-12-18T09:30:02Z - GET /x api.example.com served 200 - - 10.0.0.7 - -"]
    );
    // Without a date in the lines only the file's first one is known.
    let dateless = "#Date: 2018-12-18 09:30:02\n#Fields: time s-ip cs-method cs-uri-stem sc-status\n09:30:02 10.0.3.31 GET /x 200\n";
    assert_eq!(told_all("iis", dateless), ["no-time"]);
}

#[test]
fn iis_has_logs_of_ftp_sites_and_of_exchange() {
    let ftp = "#Fields: date time c-ip cs-username s-ip s-port cs-method cs-uri-stem sc-status sc-win32-status sc-substatus x-session x-fullpath\n\
        2018-12-18 09:30:02 10.0.0.7 reelhouse 10.0.3.31 21 RETR /a.txt 226 0 0 5e0c /a.txt\n\
        2018-12-18 09:30:02 10.0.0.7 - 10.0.3.31 21 ControlChannelOpened - - 0 0 5e0c -\n";
    assert_eq!(told_all("iis", ftp), ["no-target", "no-target"]);
    let exchange = "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query s-port cs-username c-ip cs(User-Agent) sc-status time-taken\n\
        2018-12-18 09:30:02 fe80::1%3 POST /mapi/ - 444 Anonymous fe80::1%3 - 200 2\n";
    assert_eq!(
        told_all("iis", exchange),
        ["2018-12-18T09:30:01.998Z - POST /mapi/ - served 200 - 2000 fe80::1%3 - -"]
    );
}

#[test]
fn iis_takes_no_other_w3c_log() {
    let cloudfront = "#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status time-taken\n\
        2018-12-18\t09:30:02\tFRA2\t5\t10.0.0.7\tGET\td111.cloudfront.net\t/x\t200\t0.002\n";
    assert_eq!(told_all("iis", cloudfront), ["malformed"]);
}

const CADDY: &str = r#"{"level":"info","ts":1545125402.25,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.1","remote_port":"41342","client_ip":"10.0.0.7","proto":"HTTP/2.0","method":"GET","host":"api.example.com","uri":"/v1/users/7?a=1","headers":{"User-Agent":["curl/7.82.0"],"X-Request-Id":["r-1"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"api.example.com"}},"bytes_read":0,"user_id":"reelhouse","duration":1.75,"size":10900,"status":200,"resp_headers":{"Server":["Caddy"]}}"#;

#[test]
fn caddy_has_the_time_of_the_end_and_how_long_it_took() {
    assert_eq!(
        told("caddy", CADDY),
        "2018-12-18T09:30:00.5Z reelhouse GET /v1/users/7?a=1 api.example.com served 200 10900 1750000 10.0.0.7 curl/7.82.0 r-1"
    );
    // With `time_format iso8601`, in seconds that a float writes with an exponent, without a user.
    let other = CADDY
        .replace("1545125402.25", "\"2018-12-18T10:30:02.250+0100\"")
        .replace("1.75", "1.75e-6")
        .replace("\"user_id\":\"reelhouse\"", "\"user_id\":\"\"");
    assert_eq!(
        told("caddy", &other),
        "2018-12-18T09:30:02.24999825Z - GET /v1/users/7?a=1 api.example.com served 200 10900 1 10.0.0.7 curl/7.82.0 r-1"
    );
    let certificate = CADDY
        .replace("\"user_id\":\"reelhouse\"", "\"user_id\":\"\"")
        .replace("\"server_name\"", "\"client_common_name\":\"reelhouse.example\",\"server_name\"");
    assert!(told("caddy", &certificate).contains("Z reelhouse.example GET "));
    // Before 2.5.
    let old = CADDY.replace(
        r#""remote_ip":"10.0.0.1","remote_port":"41342","client_ip":"10.0.0.7""#,
        r#""remote_addr":"10.0.0.7:41342""#,
    );
    assert!(told("caddy", &old).contains(" 10.0.0.7 "));
}

#[test]
fn caddy_in_other_forms() {
    let call = told("caddy", CADDY);
    for (ts, duration) in [
        ("\"2018/12/18 09:30:02.250\"", "1.75"),
        ("1545125402250", "\"1.75s\""),
        ("\"18/Dec/2018:09:30:02.250 +0000\"", "\"1750ms\""),
    ] {
        let other = CADDY.replace("1545125402.25", ts).replace(":1.75,", &format!(":{duration},"));
        assert_eq!(told("caddy", &other), call, "{ts} {duration}");
        assert_eq!(told("caddy", &format!("caddy-1  | {other}")), call, "{ts} {duration}");
    }
}

#[test]
fn caddy_logs_a_request_once() {
    let error = CADDY.replace("http.log.access.log0", "http.log.error.log0");
    let step = CADDY.replace("http.log.access.log0", "http.handlers.reverse_proxy");
    assert_eq!(told("caddy", &error), "no-target");
    assert_eq!(told("caddy", &step), "no-target");
    let log = format!("{CADDY}\n{error}\n{step}\n{step}\n{CADDY}\n");
    assert_eq!(detected(None, &log), Ok("caddy".to_owned()));
}

#[test]
fn caddy_lines_that_are_no_requests_are_no_calls() {
    let other = r#"{"level":"info","ts":1545125402.25,"logger":"http.log","msg":"server running","name":"srv0"}"#;
    assert_eq!(told("caddy", other), "no-target");
    assert_eq!(told("caddy", r#"{"ts":1545125402.25,"request":{"uri":"/x"}}"#), "malformed");
}

const TRAEFIK: &str = r#"{"ClientAddr":"10.0.0.7:39496","ClientHost":"10.0.0.7","ClientPort":"39496","ClientUsername":"reelhouse","DownstreamContentSize":357,"DownstreamStatus":403,"Duration":1500000,"OriginContentSize":350,"OriginDuration":1400000,"OriginStatus":200,"Overhead":100000,"RequestAddr":"api.example.com:8443","RequestContentSize":0,"RequestCount":190,"RequestHost":"api.example.com","RequestMethod":"GET","RequestPath":"/v1/users/7?a=1","RequestPort":"8443","RequestProtocol":"HTTP/1.1","RequestScheme":"https","RetryAttempts":0,"RouterName":"api@docker","StartLocal":"2018-12-18T10:30:00.5+01:00","StartUTC":"2018-12-18T09:30:00.5Z","entryPointName":"websecure","level":"info","msg":"","request_User-Agent":"curl/7.61","request_X-Request-Id":"r-1","time":"2018-12-18T10:30:01+01:00"}"#;

#[test]
fn traefik_tells_what_the_client_got() {
    assert_eq!(
        told("traefik", TRAEFIK),
        "2018-12-18T09:30:00.5Z reelhouse GET /v1/users/7?a=1 api.example.com denied 403 357 1500 10.0.0.7 curl/7.61 r-1"
    );
    let few = r#"{"StartLocal":"2018-12-18T10:30:00.5+01:00","RequestPath":"/x","RequestMethod":"GET","ClientUsername":"-","OriginStatus":200}"#;
    assert_eq!(told("traefik", few), "2018-12-18T09:30:00.5Z - GET /x - served 200 - - - - -");
    let line = r#"{"level":"info","msg":"Starting provider","time":"2018-12-18T10:30:01+01:00"}"#;
    assert_eq!(told("traefik", line), "no-target");
}

const TRAEFIK_CLF: &str = r#"10.0.0.7 - reelhouse [18/Dec/2018:09:30:00 +0000] "GET /v1/users/7?a=1 HTTP/1.1" 200 357 "-" "curl/7.61" 190 "api@docker" "http://172.17.0.3:80" 15ms"#;

#[test]
fn traefik_as_it_comes_has_the_duration_last() {
    assert_eq!(
        told("traefik-clf", TRAEFIK_CLF),
        "2018-12-18T09:30:00Z reelhouse GET /v1/users/7?a=1 - served 200 357 15000 10.0.0.7 curl/7.61 -"
    );
    let none = r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" - - "-" "-" 191 "-" "-" 0ms"#;
    assert_eq!(
        told("traefik-clf", none),
        "2018-12-18T09:30:00Z - GET /x - unknown - - 0 10.0.0.7 - -"
    );
    // As 1 wrote it; and quotes that a client sent.
    let call = told("traefik-clf", TRAEFIK_CLF);
    let bare = TRAEFIK_CLF.replace("\"-\" \"curl", "- \"curl");
    assert_ne!(bare, TRAEFIK_CLF);
    assert_eq!(told("traefik-clf", &bare), call);
    let quotes = bare.replace("?a=1", "?a=\"1\"").replace("curl/7.61", "x \"curl\" y");
    assert_eq!(
        told("traefik-clf", &quotes),
        call.replace("?a=1", "?a=\"1\"").replace("curl/7.61", "x \"curl\" y")
    );
    let hello = TRAEFIK_CLF.replace("GET /v1/users/7?a=1 HTTP/1.1", "PRI");
    assert_eq!(told("traefik-clf", &hello), "no-target");
    assert_eq!(
        told("traefik-clf", &format!("2018-12-18T09:30:00.1Z stdout F {TRAEFIK_CLF}")),
        call
    );
}

const ECS: &str = r#"{"@timestamp":"2018-12-18T09:30:00.500Z","ecs":{"version":"8.11.0"},"event":{"kind":"event","category":["web"],"outcome":"success","duration":1500000},"http":{"request":{"method":"GET","id":"r-1"},"response":{"status_code":200,"body":{"bytes":357}}},"url":{"original":"/v1/users/7?a=1","path":"/v1/users/7","query":"a=1","domain":"api.example.com"},"user":{"name":"reelhouse"},"client":{"ip":"10.0.0.7"},"user_agent":{"original":"curl/7.61"}}"#;

#[test]
fn ecs_has_nested_or_dotted_keys() {
    let call = "2018-12-18T09:30:00.5Z reelhouse GET /v1/users/7?a=1 api.example.com served 200 357 1500 10.0.0.7 curl/7.61 r-1";
    assert_eq!(told("ecs", ECS), call);
    let dotted = r#"{"@timestamp":"2018-12-18T09:30:00.500Z","ecs.version":"1.6.0","http.request.method":"GET","http.request.id":"r-1","http.response.status_code":200,"http.response.bytes":357,"url.path":"/v1/users/7","url.query":"a=1","url.domain":"api.example.com","event.duration":1500000,"user.name":"reelhouse","source.ip":"10.0.0.7","user_agent.original":"curl/7.61"}"#;
    assert_eq!(told("ecs", dotted), call);
    let started = dotted.replace(
        "\"event.duration\"",
        "\"event.start\":\"2018-12-18T09:29:59Z\",\"event.duration\"",
    );
    assert!(told("ecs", &started).starts_with("2018-12-18T09:29:59Z "));
    // As a search gives them, over several lines.
    let hit = format!("{{\n  \"_index\": \"logs\",\n  \"_source\": {ECS}\n}}");
    assert_eq!(told("ecs", &hit), call);
    assert_eq!(detected(None, &hit), Ok("ecs".to_owned()));
    let status = "\"http.response.status_code\":200,";
    let silent = dotted.replace(status, "\"event.outcome\":\"failure\",");
    assert!(told("ecs", &silent).contains(" failed - "), "{silent}");
    let denied =
        silent.replace("\"event.outcome\"", "\"http.response.status_code\":403,\"event.outcome\"");
    assert!(told("ecs", &denied).contains(" denied 403 "), "{denied}");
    let other = r#"{"@timestamp":"2018-12-18T09:30:00.500Z","log.level":"info","ecs.version":"1.6.0","message":"started"}"#;
    assert_eq!(told("ecs", other), "no-target");
}

/// A log of each built-in.
const LOGS: [(&str, &str); 9] = [
    ("vcombined", VCOMBINED),
    ("nginx-ingress", INGRESS),
    ("haproxy", HAPROXY),
    ("squid", SQUID),
    ("iis", IIS),
    ("caddy", CADDY),
    ("traefik", TRAEFIK),
    ("traefik-clf", TRAEFIK_CLF),
    ("ecs", ECS),
];

fn detected(extra: Option<Format>, log: &str) -> std::result::Result<String, Vec<String>> {
    let mut formats: Vec<Format> =
        Format::BUILT_IN.into_iter().filter_map(Format::built_in).collect();
    formats.extend(extra);
    let formats: Vec<&Format> = formats.iter().collect();
    match detect(&formats, log.as_bytes()) {
        Ok(idx) => Ok(formats[idx].name().to_owned()),
        Err(undetected) => Err(undetected.equal),
    }
}

#[test]
fn each_is_told_from_all_others() {
    for (name, log) in LOGS {
        assert_eq!(detected(None, log), Ok(name.to_owned()));
        // The last line of a log may be unfinished.
        let unfinished = log.trim_end();
        assert_eq!(detected(None, unfinished), Ok(name.to_owned()), "{unfinished}");
    }
}

#[test]
fn none_takes_the_lines_of_another() {
    let common = r#"10.0.0.7 - - [18/Dec/2018:09:30:00 +0000] "GET /x HTTP/1.1" 200 5"#;
    let combined = format!(r#"{common} "-" "curl""#);
    for (name, log) in LOGS.into_iter().chain([("common", common), ("combined", combined.as_str())])
    {
        for (other, _) in LOGS {
            let lines = told_all(other, log);
            let calls = lines.iter().any(|line| line.contains(' '));
            assert_eq!(calls, other == name, "{other} reads {name}: {lines:?}");
        }
        // Half and half is neither.
        if log.lines().count() == 1 && name != "squid" {
            assert_eq!(
                detected(None, &format!("{log}\n{SQUID}\n{log}\n{SQUID}\n")),
                Err(vec![]),
                "{name}"
            );
        }
    }
}

#[test]
fn what_says_what_it_requires_goes_before_a_built_in_that_does_not() {
    let own = |text: &str| Format::from_toml("own", &text.parse().unwrap()).unwrap();
    let plain = "kind = \"json\"\nat = \"ts\"\npath = \"request.uri\"\n";
    // The config's own formats are never passed over in silence.
    let equal = vec!["own".to_owned(), "caddy".to_owned()];
    let mut found = detected(Some(own(plain)), CADDY).unwrap_err();
    found.sort_by(|a, b| b.cmp(a));
    assert_eq!(found, equal);
    let other = r#"{"ts":1545125402.25,"request":{"uri":"/x","method":"GET"},"shop":"s"}"#;
    assert_eq!(detected(None, other), Ok("json".to_owned()));
    // Nor is what finds more credentials: this is no log of Caddy's.
    let named =
        r#"{"ts":1545125402.25,"request":{"uri":"/x","remote_ip":"10.0.0.7"},"client_id":"c"}"#;
    assert_eq!(detected(None, named).unwrap_err().len(), 2);
    assert_eq!(detected(None, &named.replace("client_id", "id")), Ok("caddy".to_owned()));
    let requires = format!("{plain}requires = [\"tenant\", \"shop\"]\n");
    assert_eq!(detected(Some(own(&requires)), other), Ok("own".to_owned()));
}

#[test]
fn what_is_wrong_with_requirements_is_told() {
    let refused = |text: &str| {
        let mut problems = Format::from_toml("x", &text.parse().unwrap()).unwrap_err();
        problems.0.remove(0).to_string()
    };
    let plain = "kind = \"json\"\nat = \"ts\"\npath = \"p\"\n";
    for none in ["[]", "\"\"", "[\"a\", \"\"]"] {
        assert_eq!(
            refused(&format!("{plain}requires = {none}")),
            "formats.x: requires: found no field's name, expected one or a list",
        );
    }
    assert_eq!(
        refused(&format!("{plain}requires = 1")),
        "formats.x: requires: found integer, expected a list of strings"
    );
    let regex = "kind = \"regex\"\nregex = '(?<at>.*) (?<path>.*)'\nat = \"at\"\npath = \"path\"\n";
    assert_eq!(
        refused(&format!("{regex}requires = \"paths\"")),
        "formats.x: requires: the expression has no group `paths`, it has at, path"
    );
}

#[test]
fn loggers_of_requests_in_general_are_no_caddy_traefik_or_iis() {
    let caddy = r#"{"ts":1545125402.25,"level":"info","request":{"method":"GET","uri":"/x"},"status":200,"duration":1200}"#;
    assert_ne!(detected(None, caddy), Ok("caddy".to_owned()));
    let traefik = r#"{"time":"2018-12-18T09:30:00Z","RequestMethod":"GET","RequestPath":"/x","StatusCode":403,"client_id":"k1"}"#;
    assert!(detected(None, traefik).is_err());
    let tomcat = "#Fields: date time c-ip s-ip cs-method cs-uri-stem sc-status time-taken\n#Software: Apache Tomcat\n\
        2018-12-18 09:30:02 '10.0.0.7' 10.0.3.31 GET /x 200 1.500\n";
    assert!(detected(None, tomcat).is_err());
}

/// A log that is of another program for the most part is not told by the few records that a format knows.
#[test]
fn a_format_that_leaves_most_records_out_is_not_taken() {
    let audit = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete","requestURI":"/api/v1/pods","verb":"list","user":{"username":"u"},"objectRef":{"resource":"pods","apiVersion":"v1"},"responseStatus":{"code":200},"requestReceivedTimestamp":"2018-12-18T09:30:00.000000Z"}"#;
    let other = r#"{"requestReceivedTimestamp":"2018-12-18T09:30:00.000000Z","msg":"x"}"#;
    let log = |others: usize| format!("{audit}\n{}", format!("{other}\n").repeat(others));
    assert_eq!(detected(None, &log(2)), Ok("k8s-audit".to_owned()));
    assert!(detected(None, &log(3)).is_err());
}

#[test]
fn nginx_main_is_combined_with_one_more() {
    let format = Format::built_in("nginx-main").unwrap();
    let combined = r#"10.0.0.7 - key-1 [18/Dec/2018:09:30:00 +0000] "GET /messages/u-81 HTTP/1.1" 200 5 "-" "curl/7""#;
    let line = format!("{combined} \"203.0.113.9, 10.1.1.1\"");
    let mut scratch = Scratch::default();
    let call = format.parse(line.as_bytes(), &mut scratch).unwrap();
    assert_eq!(call.credential.as_deref(), Some("key-1"));
    assert_eq!(call.user_agent.as_deref(), Some("curl/7"));
    assert_eq!((call.status, call.bytes), (Some(200), Some(5)));
    assert_eq!(call.remote_addr.as_deref(), Some("10.0.0.7"));
    assert_eq!(
        format.parse(combined.as_bytes(), &mut Scratch::default()).err(),
        Some(Reason::Malformed)
    );
}
