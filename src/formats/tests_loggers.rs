//! What `json` and `logfmt` make of the lines of well-known loggers, and what they leave alone: lines made up after what
//! the loggers' documentation shows.

use super::*;

/// The format that `auto` takes, and how that one reads each line: the call's main fields, or the reason.
///
/// `at method path outcome status credential remote_addr request_id`
fn seen(log: &str) -> (std::result::Result<&'static str, Undetected>, Vec<String>) {
    let formats: Vec<Format> = Format::BUILT_IN.into_iter().filter_map(Format::built_in).collect();
    let all: Vec<&Format> = formats.iter().collect();
    let told = detect(&all, log.as_bytes()).map(|idx| Format::BUILT_IN[idx]);
    let format = &formats[told
        .as_ref()
        .map_or(0, |name| Format::BUILT_IN.iter().position(|known| known == name).unwrap())];
    let mut scratch = Scratch::default();
    let read = |line: &str| match format.parse(line.as_bytes(), &mut scratch) {
        Err(reason) => reason.as_str().to_owned(),
        Ok(call) => {
            let text = |text: Option<std::borrow::Cow<'_, str>>| {
                text.map_or("-".to_owned(), std::borrow::Cow::into_owned)
            };
            [
                call.at.to_string(),
                text(call.method),
                text(call.path),
                call.outcome.to_string(),
                call.status.map_or("-".to_owned(), |status| status.to_string()),
                text(call.credential),
                text(call.remote_addr),
                text(call.request_id),
            ]
            .join(" ")
        }
    };
    (told, log.lines().map(read).collect())
}

#[test]
fn lines_of_well_known_loggers_are_read() {
    let at = "2024-05-02T10:15:30.123Z";
    for (name, line, call) in [
        (
            "pino-http",
            r#"{"level":30,"time":1714644930123,"pid":7,"hostname":"web","req":{"id":4,"method":"GET","url":"/v1/x?a=1","headers":{"host":"api.example","user-agent":"curl/8","x-api-key":"key-1"},"remoteAddress":"10.0.0.7","remotePort":4711},"res":{"statusCode":403,"headers":{}},"responseTime":12,"msg":"request completed"}"#,
            "GET /v1/x?a=1 denied 403 key-1 10.0.0.7 4",
        ),
        (
            "bunyan",
            r#"{"name":"audit","hostname":"web","pid":7,"level":30,"remoteAddress":"10.0.0.7","req_id":"r-1","req":{"method":"GET","url":"/v1/x","headers":{}},"res":{"statusCode":200},"latency":3,"time":"2024-05-02T10:15:30.123Z","v":0}"#,
            "GET /v1/x served 200 - 10.0.0.7 r-1",
        ),
        (
            "express-winston",
            r#"{"level":"info","message":"HTTP GET /v1/x","meta":{"req":{"url":"/v1/x","method":"GET"},"res":{"statusCode":500},"responseTime":3},"timestamp":"2024-05-02T10:15:30.123Z"}"#,
            "GET /v1/x failed 500 - - -",
        ),
        (
            "zap",
            r#"{"level":"info","ts":1714644930.123,"caller":"x.go:9","msg":"/v1/x","status":200,"method":"GET","path":"/v1/x","query":"","ip":"10.0.0.7","latency":0.003}"#,
            "GET /v1/x served 200 - 10.0.0.7 -",
        ),
        (
            "zerolog",
            r#"{"level":"info","ip":"10.0.0.7","req_id":"r-1","method":"GET","url":"/v1/x","status":401,"size":5,"duration":3.1,"time":"2024-05-02T12:15:30.123+02:00"}"#,
            "GET /v1/x denied 401 - 10.0.0.7 r-1",
        ),
        (
            "a level as status",
            r#"{"timestamp":"2024-05-02T10:15:30.123Z","status":"error","http":{"method":"GET","url":"/v1/x","status_code":502}}"#,
            "GET /v1/x failed 502 - - -",
        ),
        (
            "logback access",
            r#"{"@timestamp":"2024-05-02T10:15:30.123Z","@version":"1","message":"m","method":"GET","protocol":"HTTP/1.1","status_code":200,"requested_url":"GET /v1/x HTTP/1.1","requested_uri":"/v1/x","remote_host":"10.0.0.7","remote_user":"key-1","elapsed_time":3}"#,
            "GET /v1/x served 200 key-1 10.0.0.7 -",
        ),
        (
            "lograge",
            r#"{"method":"GET","path":"/v1/x","format":"json","controller":"X","action":"show","status":200,"duration":3.1,"@timestamp":"2024-05-02T10:15:30.123Z"}"#,
            "GET /v1/x served 200 - - -",
        ),
        (
            "a request line",
            r#"{"time":"2024-05-02 10:15:30.123 UTC","request":"GET /v1/x HTTP/1.1","status":"200"}"#,
            "GET /v1/x served 200 - - -",
        ),
        (
            "a method as request",
            r#"{"time":"2024-05-02 12:15:30.123 +0200","request":"GET","url":"/v1/x","status":"200"}"#,
            "GET /v1/x served 200 - - -",
        ),
    ] {
        let (told, read) = seen(line);
        assert_eq!((told, read), (Ok("json"), vec![format!("{at} {call}")]), "{name}");
    }
    let logfmt = r#"logger=context t=2024-05-02T10:15:30.123Z level=info msg="Request Completed" method=GET path=/v1/x status=403 remote_addr=10.0.0.7 request=r-1 target=app::http"#;
    assert_eq!(
        seen(logfmt),
        (Ok("logfmt"), vec![format!("{at} GET /v1/x denied 403 - 10.0.0.7 -")])
    );
}

#[test]
fn of_a_request_with_two_lines_one_is_the_call() {
    let started = r#"{"event":"request_started","request":"GET /v1/x","request_id":"r-1","ip":"10.0.0.7","timestamp":"2024-05-02T10:15:30.120Z"}"#;
    let finished = r#"{"event":"request_finished","request":"GET /v1/x","code":403,"request_id":"r-1","ip":"10.0.0.7","timestamp":"2024-05-02T10:15:30.123Z"}"#;
    let call = "2024-05-02T10:15:30.123Z GET /v1/x denied 403 - 10.0.0.7 r-1".to_owned();
    assert_eq!(
        seen(&format!("{started}\n{finished}\n")),
        (Ok("json"), vec!["no-target".to_owned(), call])
    );
    // A code that is no status says nothing.
    let (_, odd) = seen(&finished.replace("403", "\"T4000I\""));
    assert!(odd[0].contains(" unknown - "), "{odd:?}");
    // Where the line with the path tells no outcome there is no call, lest a refused one pass as served.
    let fastify = r#"{"level":30,"time":1714644930120,"reqId":"r-1","req":{"method":"GET","url":"/v1/x"},"msg":"incoming request"}
{"level":30,"time":1714644930123,"reqId":"r-1","res":{"statusCode":403},"responseTime":3,"msg":"request completed"}"#;
    let (told, read) = seen(fastify);
    assert!(told.is_err());
    assert_eq!(read, ["no-target", "no-target"]);
}

#[test]
fn lines_with_a_path_that_are_no_requests_are_not_taken() {
    for line in [
        // A module.
        r#"{"timestamp":"2024-05-02T10:15:30.1Z","level":"INFO","fields":{"message":"m"},"target":"app::http"}"#,
        r#"{"timestamp":"2024-05-02T10:15:30.1Z","level":"INFO","status":200,"target":"app::http"}"#,
        // The file that a line was shipped from.
        r#"{"@timestamp":"2024-05-02T10:15:30.1Z","path":"/var/log/app.log","host":"web","message":"m"}"#,
        // A program.
        r#"{"event":"session.command","path":"/bin/echo","program":"echo","time":"2024-05-02T10:15:30.1Z","user":"zoe"}"#,
        // A secret's place, once with the request and once with the response.
        r#"{"time":"2024-05-02T10:15:30.1Z","type":"request","auth":{"display_name":"d"},"request":{"id":"r","operation":"read","path":"secret/data/x"}}"#,
        // An id.
        r#"{"time":"2024-05-02T10:15:30.1Z","request":"c0ffee","status":200}"#,
        "time=2024-05-02T10:15:30Z level=info target=app::http msg=m",
        "time=2024-05-02T10:15:30Z level=info path=/var/log/app.log msg=opened",
    ] {
        let (told, _) = seen(line);
        assert!(told.as_ref().is_err_and(|error| error.equal.is_empty()), "{line}: {told:?}");
    }
}
