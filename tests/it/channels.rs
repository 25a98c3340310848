//! Alerts on their way: to a receiver of our own that answers as well and as badly as receivers do, to programs, to Alertmanager and a mail server
//! themselves, by what `docs/alerts.md` tells people to copy.

use std::cell::RefCell;
use std::io::{BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use overstay::alert::{
    AlertPlan, Beat, BySeverity, Change, Channel, Delivery, Failure, Message, What,
};
use overstay::cli::AlertArgs;
use overstay::findings::Severity;
use overstay::time;
use serde_json::{Value, json};

use crate::harness::{Case, repository};

const SINCE_START: Duration = Duration::from_secs(30);
const ID: &str = "5f0c2a9e8d7b6c5a4f3e2d1c0b9a8f7e";

// --- What is sent ---------------------------------------------------------------------------

fn change(id: &str, severity: Severity, what: What, at: time::Instant) -> Change {
    Change {
        id: id.to_owned(),
        kind: "after-revocation".to_owned(),
        severity,
        change: what,
        severity_before: None,
        partner: Some("globex".to_owned()),
        api: Some("messages".to_owned()),
        data_class: None,
        grant: Some("g-globex".to_owned()),
        operations: vec!["read".to_owned()],
        first_seen: at,
        since: None,
        lapsed_at: None,
        first: None,
        last: Some(at),
        overstay_s: Some(90_061),
        served: 2,
        denied: 1,
        failed: 0,
        subjects: 2,
        subjects_exact: true,
        anomaly: None,
        summary: "globex \"read\" messages of 2 people — 1 d past its end".to_owned(),
    }
}

fn message_of(changes: Vec<Change>, run_at: time::Instant) -> Message {
    let groups = Message::group(changes);
    Message {
        counts: Message::count(&groups),
        groups,
        run: 12,
        head: "ab".repeat(32),
        is_test: false,
        headline: "1 of 2 partners overstayed".to_owned(),
        ..Message::test("overstay 0.1.0".to_owned(), run_at)
    }
}

fn message() -> Message {
    let at = time::parse_table_instant("2018-12-18T03:00:00Z").unwrap();
    message_of(vec![change("os-7f3k2mq4t6xa", Severity::Critical, What::New, at)], at)
}

/// The alerts of a configuration.
fn plan(case: &Case, config: &str) -> AlertPlan {
    case.write("overstay.toml", config);
    plan_of(&case.path("overstay.toml"))
}

fn plan_of(config: &Path) -> AlertPlan {
    let (test, send, drop, channel) = (false, false, None, None);
    let asked = AlertArgs { config: Some(config.to_owned()), test, send, drop, channel };
    overstay::plan::alerts(&asked).unwrap().alert
}

fn channel(case: &Case, config: &str) -> Channel {
    plan(case, config).channels.remove(0)
}

/// A webhook to a port of this machine, with more keys.
fn webhook(case: &Case, port: u16, more: &str) -> Channel {
    let config =
        format!("[alert]\nwebhook = [{{ url = \"http://127.0.0.1:{port}/T0/s3cret\"{more} }}]\n");
    channel(case, &config)
}

/// Sends a message without waiting between attempts; for how many seconds it would have waited.
fn send(channel: &Channel, message: &Message) -> (Result<(), Failure>, Vec<u64>) {
    let waited = RefCell::new(Vec::new());
    let pause = |wait: Duration| waited.borrow_mut().push(wait.as_secs());
    let sent = channel.deliver(&Delivery { delivery_id: ID, message }, &pause);
    (sent, waited.into_inner())
}

/// The reason why it was not delivered, and whether a person must mend something. It never holds a secret.
fn reason(sent: Result<(), Failure>) -> (String, bool) {
    let failure = sent.unwrap_err();
    let shown = format!("{failure} {failure:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("T0"), "{shown}");
    assert_eq!(failure.reason().lines().count(), 1, "{shown}");
    (failure.reason().to_owned(), matches!(failure, Failure::Mend { .. }))
}

// --- A receiver of our own --------------------------------------------------------------------

#[derive(Clone)]
enum Answer {
    /// These bytes, and the end.
    Bytes(String),
    /// These bytes, then nothing more, for as long as anyone listens.
    Hang(&'static str),
    /// A byte at a time, for ever.
    Trickle,
    /// Not even a look at the request.
    Close,
    /// 200, and 100 MB.
    Flood,
}

fn status(line: &str) -> Answer {
    Answer::Bytes(format!("HTTP/1.1 {line}\r\nContent-Length: 2\r\n\r\nok"))
}

/// A request: its head in lines, the first as it is, and names of headers in lower case; and its body.
#[derive(Clone, Debug)]
pub struct Request {
    head: Vec<String>,
    pub body: String,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(&format!("{name}: ")))
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

fn request(stream: &mut impl std::io::BufRead) -> Option<Request> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        head.push(match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}", name.to_ascii_lowercase()),
            None => line.to_owned(),
        });
    }
    let mut request = Request { head, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).unwrap();
    Some(request)
}

pub struct Receiver {
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
    /// How many bytes of a flood were taken.
    flooded: Arc<AtomicUsize>,
}

impl Receiver {
    /// Answers in turn, and then always as last.
    fn new(answers: Vec<Answer>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (requests, flooded) = (Arc::default(), Arc::default());
        let receiver =
            Receiver { port, requests: Arc::clone(&requests), flooded: Arc::clone(&flooded) };
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let answer = answers[i.min(answers.len() - 1)].clone();
                let (requests, flooded) = (Arc::clone(&requests), Arc::clone(&flooded));
                std::thread::spawn(move || serve(stream.unwrap(), &answer, &requests, &flooded));
            }
        });
        receiver
    }

    pub fn answers(lines: &[&str]) -> Receiver {
        Receiver::new(lines.iter().map(|line| status(line)).collect())
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    stream: TcpStream,
    answer: &Answer,
    requests: &Mutex<Vec<Request>>,
    flooded: &AtomicUsize,
) {
    let mut stream = BufReader::new(stream);
    if matches!(answer, Answer::Close) {
        return;
    }
    requests.lock().unwrap().extend(request(&mut stream));
    let mut out = stream.get_ref();
    let _ = match answer {
        Answer::Bytes(bytes) => out.write_all(bytes.as_bytes()),
        Answer::Hang(bytes) => out.write_all(bytes.as_bytes()),
        Answer::Trickle | Answer::Close => Ok(()),
        Answer::Flood => out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n"),
    };
    match answer {
        Answer::Flood => {
            for _ in 0..100_000_000 / 8_000 {
                match out.write(&[b'x'; 8_000]) {
                    Ok(count) => flooded.fetch_add(count, Ordering::SeqCst),
                    Err(_) => break,
                };
            }
        }
        Answer::Trickle => {
            let _ = out.write_all(b"HTTP/1.1 200 OK\r\nX-Slow: ");
            while out.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(50));
            }
        }
        // It goes when the other side has.
        Answer::Hang(_) => drop(stream.read(&mut [0; 16])),
        _ => {}
    }
}

// --- Webhooks -----------------------------------------------------------------------------------

#[test]
fn what_is_answered_with_2xx_is_delivered() {
    let receiver = Receiver::answers(&["200 OK", "201 Created", "202 Accepted", "299 Odd"]);
    let case = Case::new().file("token", "Bearer t0ken\n");
    let headers = ", headers = { X-Team = \"privacy\", authorization = { file = \"token\" } }";
    let channel = webhook(&case, receiver.port, headers);
    assert_eq!(channel.name, format!("webhook:127.0.0.1:{}", receiver.port));
    assert_eq!(channel.min_severity, Severity::Info);
    let shown = format!("{channel:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
    for _ in 0..4 {
        assert_eq!(send(&channel, &message()), (Ok(()), vec![]));
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 4);
    let request = &requests[0];
    assert_eq!(request.head[0], "POST /T0/s3cret HTTP/1.1");
    for (name, value) in [
        ("host", format!("127.0.0.1:{}", receiver.port).as_str()),
        ("content-type", "application/json"),
        ("idempotency-key", ID),
        ("user-agent", concat!("overstay/", env!("CARGO_PKG_VERSION"))),
        ("authorization", "Bearer t0ken"),
        ("x-team", "privacy"),
    ] {
        assert_eq!(request.header(name), Some(value), "{name}: {request:?}");
    }
    let body = request.json();
    assert_eq!((&body["delivery_id"], &body["run"]), (&json!(ID), &json!(12)));
    assert_eq!(body["groups"][0]["changes"][0]["id"], "os-7f3k2mq4t6xa");
}

#[test]
fn what_fails_for_now_is_tried_again_as_the_same_delivery() {
    for bad in ["500 No", "503 Busy", "429 Slow down", "408 Late", "425 Early"] {
        let receiver = Receiver::answers(&[bad, bad, "200 OK"]);
        let channel = webhook(&Case::new(), receiver.port, "");
        assert_eq!(send(&channel, &message()), (Ok(()), vec![1, 4]), "{bad}");
        let requests = receiver.requests();
        assert_eq!(requests.len(), 3);
        for request in &requests {
            assert_eq!(request.header("idempotency-key"), Some(ID));
            assert_eq!(request.body, requests[0].body);
        }
    }
    let receiver = Receiver::answers(&["500 s3cret words of the receiver"]);
    let (sent, waited) = send(&webhook(&Case::new(), receiver.port, ""), &message());
    let (told, mend) = reason(sent);
    let port = receiver.port;
    assert_eq!(
        told,
        format!(
            "http://127.0.0.1:{port}: found the answer 500 Internal Server Error, expected 2xx; tried 3 times"
        )
    );
    assert_eq!((mend, waited, receiver.requests().len()), (false, vec![1, 4], 3));
}

#[test]
fn a_receiver_that_asks_for_patience_gets_it() {
    let after = |wait: &str| {
        Answer::Bytes(format!(
            "HTTP/1.1 429 Too Many Requests\r\nDate: Tue, 18 Dec 2018 09:30:00 GMT\r\nRetry-After: {wait}\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    let date = "Tue, 18 Dec 2018 09:30:30 GMT";
    let receiver = Receiver::new(vec![after("7"), after(date), status("200 OK")]);
    let sent = send(&webhook(&Case::new(), receiver.port, ""), &message());
    assert_eq!(sent, (Ok(()), vec![7, 30]));
    let receiver = Receiver::new(vec![after("3600")]);
    let (sent, waited) = send(&webhook(&Case::new(), receiver.port, ""), &message());
    let (told, mend) = reason(sent);
    assert!(told.ends_with("it asks to wait 3600 s, which is left to the next run"), "{told}");
    assert_eq!((mend, waited, receiver.requests().len()), (false, vec![], 1));
}

#[test]
fn what_the_receiver_refuses_is_left_to_a_person() {
    for bad in ["400 No", "401 No", "403 No", "404 No", "410 No", "422 No"] {
        let receiver = Receiver::answers(&[bad, "200 OK"]);
        let (sent, waited) = send(&webhook(&Case::new(), receiver.port, ""), &message());
        let (told, mend) = reason(sent);
        assert!(told.contains(&format!("found the answer {}", &bad[..3])), "{told}");
        assert_eq!((mend, waited, receiver.requests().len()), (true, vec![], 1), "{bad}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    for code in ["301", "302", "303", "307", "308"] {
        let other = Receiver::answers(&["200 OK"]);
        let to = format!("http://127.0.0.1:{}/T0/s3cret", other.port);
        let head = format!("HTTP/1.1 {code} Moved\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n");
        let receiver = Receiver::new(vec![Answer::Bytes(head)]);
        let (sent, _) = send(&webhook(&Case::new(), receiver.port, ""), &message());
        let (told, mend) = reason(sent);
        assert!(told.contains("redirects are not followed") && mend, "{told}");
        assert_eq!((receiver.requests().len(), other.requests().len()), (1, 0), "{code}");
    }
}

#[test]
fn a_receiver_that_is_out_of_order_is_tried_again_and_told() {
    // One that is given to nobody: a port that was free a moment ago may be another test's by now.
    let closed = 1;
    let half = "HTTP/1.1 200 OK\r\nContent-Le".to_owned();
    let garbage = "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_owned();
    let endless = format!("HTTP/1.1 200 OK\r\nX-Long: {}\r\n\r\n", "x".repeat(1 << 20));
    for (answer, told) in [
        (Some(Answer::Hang("")), "no answer within 1 s"),
        (Some(Answer::Hang("HTTP/1.1 200 OK\r\nContent-Le")), "no answer within 1 s"),
        (Some(Answer::Trickle), "no answer within 1 s"),
        (Some(Answer::Bytes(half)), ""),
        (Some(Answer::Close), ""),
        (Some(Answer::Bytes(garbage)), "found an answer that is no HTTP/1.1, expected one"),
        (Some(Answer::Bytes(endless)), "found an answer that is no HTTP/1.1, expected one"),
        (None, "connection refused"),
    ] {
        let receiver = answer.map(|answer| Receiver::new(vec![answer]));
        let port = receiver.as_ref().map_or(closed, |receiver| receiver.port);
        let started = Instant::now();
        let channel = webhook(&Case::new(), port, ", timeout = \"1s\"");
        let (sent, waited) = send(&channel, &message());
        let (found, mend) = reason(sent);
        let place = format!("http://127.0.0.1:{port}: ");
        assert!(found.starts_with(&format!("{place}{told}")), "{told}: {found}");
        assert!(found.len() > place.len() + 15, "{found}");
        assert!(found.ends_with("; tried 3 times") && !mend, "{told}: {found}");
        assert_eq!(waited, [1, 4], "{told}");
        assert!(started.elapsed() < Duration::from_secs(20), "{told}: {:?}", started.elapsed());
    }
}

#[test]
fn what_a_delivered_answer_goes_on_to_say_does_not_matter() {
    let case = Case::new();
    let receiver = Receiver::new(vec![Answer::Flood]);
    assert_eq!(send(&webhook(&case, receiver.port, ""), &message()).0, Ok(()));
    std::thread::sleep(Duration::from_millis(300));
    let flooded = receiver.flooded.load(Ordering::SeqCst);
    assert!(flooded < 30_000_000, "{flooded}");
    let hangs = Answer::Hang("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nwait");
    let cut = Answer::Bytes("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\ncut".to_owned());
    let packed =
        "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    for answer in [hangs, cut, Answer::Bytes(packed.to_owned())] {
        let receiver = Receiver::new(vec![answer]);
        let sent = send(&webhook(&case, receiver.port, ", timeout = \"1s\""), &message());
        assert_eq!(sent, (Ok(()), vec![]));
        assert_eq!(receiver.requests().len(), 1);
    }
}

#[test]
fn the_heartbeat_tells_of_the_run() {
    let receiver = Receiver::answers(&["503 No", "200 OK"]);
    let case = Case::new().file("beat.url", format!("http://127.0.0.1:{}/s3cret\n", receiver.port));
    let beat = Beat {
        run: 12,
        run_at: message().run_at,
        head: "cd".repeat(32),
        status: "complete".to_owned(),
        findings: BySeverity { critical: 1, low: 3, ..BySeverity::default() },
        alerts_waiting: 2,
    };
    for given in [
        "{ url_file = \"beat.url\", timeout = \"5s\" }".to_owned(),
        format!("\"http://127.0.0.1:{}/s3cret\"", receiver.port),
    ] {
        let plan = plan(&case, &format!("[alert]\nheartbeat = {given}\n"));
        assert!(plan.channels.is_empty());
        assert!(!format!("{plan:?}").contains("s3cret"));
        assert_eq!(plan.heartbeat.unwrap().beat(&beat, &|_| {}), Ok(()));
    }
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(requests[2].header("idempotency-key"), Some("cd".repeat(32).as_str()));
    assert_eq!(
        requests[2].json(),
        json!({
            "schema": "overstay.heartbeat/1",
            "program": concat!("overstay ", env!("CARGO_PKG_VERSION")),
            "delivery_id": "cd".repeat(32),
            "run": 12,
            "run_at": "2018-12-18T03:00:00Z",
            "head": "cd".repeat(32),
            "status": "complete",
            "findings": {"critical": 1, "high": 0, "medium": 0, "low": 3, "info": 0},
            "alerts_waiting": 2,
        })
    );
}

// --- HTTPS ----------------------------------------------------------------------------------------

fn is_installed(program: &str) -> bool {
    let found =
        ["/usr/bin", "/usr/sbin"].iter().any(|folder| Path::new(folder).join(program).exists());
    #[expect(clippy::print_stderr, reason = "says that it is skipped")]
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// Makes a certificate for a host that is signed by itself, `NAME.pem` and `NAME.key`, as of a year.
fn certificate(case: &Case, name: &str, host: &str, year: Option<&str>, more: &[&str]) {
    let mut arguments = match year {
        Some(year) => vec!["faketime", year, "openssl"],
        None => vec!["openssl"],
    };
    let (key, pem, san) =
        (format!("{name}.key"), format!("{name}.pem"), format!("subjectAltName=DNS:{host}"));
    arguments.extend(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
    arguments.extend(["-nodes", "-keyout", &key, "-out", &pem, "-days", "30", "-subj", "/CN=test"]);
    arguments.extend(["-addext", &san]);
    arguments.extend(more);
    let output = case.finish(case.tool(arguments[0], &arguments[1..]));
    output.expect_status(0);
}

/// A receiver by HTTPS that answers 200 to whoever trusts it.
fn secured(case: &Case, name: &str) -> u16 {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificates = CertificateDer::pem_file_iter(case.path(&format!("{name}.pem")))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let key = PrivateKeyDer::from_pem_file(case.path(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let stream = rustls::StreamOwned::new(connection, stream.unwrap());
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream);
                if request(&mut stream).is_some() {
                    let stream = stream.get_mut();
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
                    stream.conn.send_close_notify();
                    let _ = stream.flush();
                }
            });
        }
    });
    port
}

#[test]
fn by_https_the_receiver_must_say_who_it_is() {
    if !["openssl", "faketime"].iter().all(|program| is_installed(program)) {
        return;
    }
    let case = Case::new();
    let of_server = ["-addext", "basicConstraints=critical,CA:FALSE"];
    certificate(&case, "good", "localhost", None, &of_server);
    certificate(&case, "other", "other.example", None, &of_server);
    certificate(&case, "expired", "localhost", Some("2018-01-01"), &of_server);
    certificate(&case, "early", "localhost", Some("2090-01-01"), &of_server);
    certificate(&case, "authority", "localhost", None, &[]);
    case.write("rubbish.pem", "no certificate");
    let tried = |server: &str, ca_file: Option<&str>| {
        let ca_file = ca_file.map(|file| format!(", ca_file = \"{file}\"")).unwrap_or_default();
        let port = secured(&case, server);
        let url = format!("https://localhost:{port}/T0/s3cret");
        let config =
            format!("[alert]\nwebhook = [{{ url = \"{url}\", timeout = \"10s\"{ca_file} }}]\n");
        let (sent, waited) = send(&channel(&case, &config), &message());
        // What is wrong with a certificate is not better in a moment.
        assert_eq!(waited, [0; 0], "{sent:?}");
        sent.map_err(|failure| {
            let (told, mend) = reason(Err(failure));
            assert!(mend, "{told}");
            told.replace(&format!("https://localhost:{port}: "), "")
        })
    };
    assert_eq!(tried("good", Some("good.pem")), Ok(()));
    let told = |server: &str, ca_file: &str| tried(server, Some(ca_file)).unwrap_err();
    assert!(told("good", "other.pem").starts_with("its certificate is signed by nobody"));
    assert_eq!(told("other", "other.pem"), "its certificate is for another host");
    assert_eq!(told("expired", "expired.pem"), "its certificate has expired");
    assert_eq!(told("early", "early.pem"), "its certificate is not valid yet");
    assert!(
        told("authority", "authority.pem").starts_with("its certificate is one of an authority")
    );
    assert!(told("good", "absent.pem").starts_with("absent.pem: no such file"));
    assert!(told("good", "rubbish.pem").starts_with("rubbish.pem: found no certificate"));
    // Whom this machine trusts has nothing to do with it; or it trusts nobody.
    let system = tried("good", None).unwrap_err();
    let expected = ["its certificate is signed by nobody", "found no certificates of authorities"];
    assert!(expected.iter().any(|begin| system.starts_with(begin)), "{system}");
    // A server that speaks no TLS.
    let plain = Receiver::answers(&["200 OK"]);
    let config = format!(
        "[alert]\nwebhook = [{{ url = \"https://127.0.0.1:{}/s3cret\", ca_file = \"good.pem\", timeout = \"2s\" }}]\n",
        plain.port
    );
    let (told, _) = reason(send(&channel(&case, &config), &message()).0);
    assert!(told.contains("TLS failed") || told.contains("no answer within"), "{told}");
}

// --- Commands ---------------------------------------------------------------------------------------

fn shell(case: &Case, script: &str, more: &str) -> Channel {
    let script = serde_json::to_string(script).unwrap();
    channel(
        case,
        &format!("[alert]\ncommand = [{{ command = [\"sh\", \"-c\", {script}]{more} }}]\n"),
    )
}

#[test]
fn a_command_has_the_alert_on_its_standard_input() {
    let case = Case::new();
    let script =
        "cat > told; echo \"$OVERSTAY_DELIVERY_ID $OVERSTAY_RUN\" > known; pwd > where; echo noise";
    let channel = shell(&case, script, "");
    assert_eq!(channel.name, "command:sh");
    assert_eq!(send(&channel, &message()), (Ok(()), vec![]));
    let told: Value = serde_json::from_str(&case.read("told")).unwrap();
    assert_eq!(told["groups"][0]["partner"], "globex");
    assert_eq!(case.read("known"), format!("{ID} 12\n"));
    // It runs where the configuration is.
    let folder = case.path("").canonicalize().unwrap();
    assert_eq!(Path::new(case.read("where").trim()).canonicalize().unwrap(), folder);
}

#[test]
fn a_program_is_a_path_from_the_configuration_or_a_name() {
    let case = Case::new().file("bin/tell", "#!/bin/sh\ncat > told\n");
    case.finish(case.tool("chmod", &["+x", "bin/tell"])).expect_status(0);
    let local = channel(&case, "[alert]\ncommand = [{ command = [\"bin/tell\"] }]\n");
    assert_eq!(local.name, "command:tell");
    // A program that was just written may still be held open by a child of another test.
    let sent = (0..50).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        send(&local, &message()).0.ok()
    });
    assert_eq!(sent, Some(()));
    assert!(case.read("told").contains("globex"));
    for absent in ["bin/absent", "no-such-program-anywhere", "bin"] {
        let absent =
            channel(&case, &format!("[alert]\ncommand = [{{ command = [\"{absent}\"] }}]\n"));
        let (sent, waited) = send(&absent, &message());
        let (told, mend) = reason(sent);
        assert!(mend && told.ends_with(", expected a program to run"), "{told}");
        assert_eq!(waited, [0; 0]);
    }
}

#[test]
fn a_command_that_fails_says_why_in_its_last_line() {
    let case = Case::new();
    let tried = |script: &str| reason(send(&shell(&case, script, ""), &message()).0);
    let (told, mend) = tried("echo first >&2; printf 'mail \\033[31mrefused\\n\\n' >&2; exit 75");
    assert_eq!(
        (told.as_str(), mend),
        ("sh: found exit status 75, expected 0: mail \\u{1b}[31mrefused; tried 3 times", false)
    );
    assert_eq!(
        tried("exit 1").0,
        "sh: found exit status 1, expected 0, and no word of why; tried 3 times"
    );
    assert_eq!(
        tried("kill -9 $$").0,
        "sh: found an end by signal 9, expected exit status 0, and no word of why; tried 3 times"
    );
    // Much is said, in one line that is longer than what is kept; a program that was left behind says nothing.
    let (told, _) = tried("head -c 3000000 /dev/zero | tr '\\0' x >&2; sleep 30 & exit 1");
    assert!(told.starts_with("sh: found exit status 1, expected 0"), "{told}");
    assert!(told.chars().count() <= 320, "{told}");
    let script = "echo . >> tries; test $(wc -l < tries) -eq 3";
    assert_eq!(send(&shell(&case, script, ""), &message()), (Ok(()), vec![1, 4]));
}

#[test]
fn a_command_need_not_read_nor_end_all_that_it_started() {
    let case = Case::new();
    let at = message().run_at;
    let many = (0..5000).map(|i| change(&format!("os-{i}"), Severity::High, What::New, at));
    let large = message_of(many.collect(), at);
    assert_eq!(send(&shell(&case, "exec 0<&-; exit 0", ""), &large), (Ok(()), vec![]));
    let started = Instant::now();
    assert_eq!(send(&shell(&case, "sleep 30 & exit 0", ""), &large), (Ok(()), vec![]));
    assert_eq!(send(&shell(&case, "cat | wc -c > bytes", ""), &large), (Ok(()), vec![]));
    assert!(case.read("bytes").trim().parse::<usize>().unwrap() > 1 << 20);
    assert!(started.elapsed() < Duration::from_secs(20));
}

#[test]
#[cfg(target_os = "linux")]
fn a_command_that_takes_too_long_is_killed_with_all_that_it_started() {
    let case = Case::new();
    let script = "sleep 600 & echo $! >> pids; echo $$ >> pids; trap '' TERM; wait";
    let (sent, waited) = send(&shell(&case, script, ", timeout = \"1s\""), &message());
    let (told, mend) = reason(sent);
    assert_eq!(told, "sh: was killed, since it had not ended after 1 s; tried 3 times");
    assert_eq!((mend, waited), (false, vec![1, 4]));
    let pids = case.read("pids");
    assert_eq!(pids.lines().count(), 6, "{pids}");
    std::thread::sleep(Duration::from_millis(200));
    for pid in pids.lines() {
        // Gone, or waiting for whoever inherited it to take note.
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap().split_whitespace().next();
        assert!(matches!(state, None | Some("Z" | "X")), "{stat}");
    }
}

// --- The configuration --------------------------------------------------------------------------------

fn check(alert: &str, environment: &[(&str, &str)]) -> crate::harness::Output {
    let case = Case::with_register()
        .file("overstay.toml", format!("[register]\nsource = \"register\"\n{alert}"))
        .file("empty", "\n")
        .file("odd.url", "ftp://s3cret\n")
        .file("good.url", "https://hooks.example/s3cret\n");
    let mut command = case.command(&["check"]);
    command.envs(environment.iter().copied());
    let output = case.finish(command);
    let all = format!("{}{}", output.stdout, output.stderr);
    assert!(!all.contains("s3cret"), "{all}");
    output
}

#[test]
fn what_does_not_fit_is_told_with_its_line() {
    for (alert, told) in [
        ("[alert]\nwebook = []", "overstay.toml: 4: 1: unknown field `webook`"),
        ("[alert]\nwebhook = [{ ulr = \"https://h/s3cret\" }]", "hint: did you mean `url`?"),
        (
            "[alert]\nwebhook = [\n{ url = \"https://h/s3cret\", heders = {} }]",
            "overstay.toml: 5: ",
        ),
        (
            "[alert]\nwebhook = [\n{ url = \"https://h/s3cret\", headers = { A = { evn = \"X\" } } }]",
            "hint: did you mean `env`?",
        ),
        ("[alert]\nheartbeat = { urll = \"https://h/s3cret\" }", "hint: did you mean `url`?"),
        (
            "[alert]\ncommand = [{ command = \"curl s3cret\" }]",
            "overstay.toml: 4: 24: invalid type: string, expected a sequence",
        ),
        ("[alert]\nwebhook = \"https://h/s3cret\"", "invalid type: string, expected a sequence"),
        ("[alert]\nheartbeat = 5", "expected a URL, or a table with url, url_env or url_file"),
        (
            "[alert]\nwebhook = [{ url = \"https://h/s3cret\", headers = \"Bearer s3cret\" }]",
            "invalid type: string, expected a map",
        ),
        (
            "[alert]\nremind_every = \"often\"",
            "overstay.toml: 4: [alert] remind_every: found `often`, expected a number of days or hours",
        ),
        (
            "[alert]\nwebhook = [{ name = \"x\" }]",
            "overstay.toml: 4: [alert] webhook: found no url, expected url, url_env or url_file",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h/s3cret\", url_env = \"X\" }]",
            "found more than one of url, url_env and url_file",
        ),
        (
            "[alert]\nwebhook = [{ url = \"hooks.example/s3cret\" }]",
            "overstay.toml: 4: [alert] webhook: url: found no scheme, expected https://",
        ),
        (
            "[alert]\nwebhook = [{ url_env = \"https://h/s3cret\" }]",
            "url_env: found what is no name of a variable",
        ),
        (
            "[alert]\nheartbeat = \"ftp://h/s3cret\"",
            "overstay.toml: 4: [alert] heartbeat: url: found a URL of another scheme",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", template = \"chta\" }]",
            "template: found `chta`, expected one of json, chat, teams, alertmanager\n  hint: did you mean `chat`?",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", template = \"mail\" }]",
            "expected one of json, chat, teams, alertmanager",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", template = \"chat\", template_file = \"x\" }]",
            "found template and template_file, expected one",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", content_type = \"text/plain\" }]",
            "content_type: found it without template_file",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", min_severity = \"hihg\" }]",
            "min_severity: found `hihg`, expected critical, high, medium, low or info\n  hint: did you mean `high`?",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", timeout = \"1h\" }]",
            "timeout: found `1h`, expected seconds or minutes such as 30s or 2m, up to 600 s",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", headers = { Host = \"s3cret\" } }]",
            "headers: Host: found a header that overstay sets itself",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", headers = { A = \"s3cret\\nB: c\" } }]",
            "headers: A: found control characters in its value",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", headers = { A = { env = \"X\", file = \"x\" } } }]",
            "headers: A: expected either env or file",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h\", name = \"a\\nb\" }]",
            "name: found `a\\u{a}b`, expected up to 100 characters",
        ),
        (
            "[alert]\ncommand = [{ command = [] }]",
            "[alert] command: command: found nothing, expected a program",
        ),
        (
            "[alert]\nwebhook = [{ url = \"https://h/s3cret1\" }, { url = \"https://H/s3cret2\" }]",
            "[alert]: found two channels that are known as `webhook:h`, expected each to be known apart\n",
        ),
        (
            "[alert]\ncommand = [{ name = \"webhook:X\", command = [\"a\"] }]\nwebhook = [{ url_env = \"X\" }]",
            "hint: give one of them a `name`",
        ),
    ] {
        let output = check(alert, &[]);
        let all = format!("{}{}", output.stdout, output.stderr);
        assert!(all.contains(told), "{alert}\n{told}\n{all}");
        let _ = output.expect_status(2);
    }
}

#[test]
fn what_is_missing_is_no_error_but_told() {
    let alert = r#"[alert]
heartbeat = { url_file = "absent" }
webhook = [
  { url_env = "A_WEBHOOK" },
  { url_file = "empty" },
  { url_file = "odd.url" },
  { name = "fine", url_file = "good.url", headers = { Authorization = { env = "A_TOKEN" } } },
  { name = "own", url = "https://hooks.example/s3cret", template_file = "absent.j2" },
]
command = [{ command = ["bin/absent", "s3cret"] }, { command = ["sh"] }]
"#;
    let output = check(alert, &[("A_WEBHOOK", " ")]).expect_status(0);
    for told in [
        "warning: overstay.toml: [alert] alerts by webhook:A_WEBHOOK will wait: A_WEBHOOK is empty, expected a secret in the environment\n",
        "warning: overstay.toml: [alert] alerts by webhook:empty will wait: empty: found nothing in it, expected a secret\n",
        "alerts by webhook:odd.url will wait: odd.url: found a URL of another scheme, expected http:// or https://\n",
        "alerts by fine will wait: good.url: A_TOKEN is not set, expected a secret in the environment\n",
        "alerts by command:absent will wait: absent: found no such file, expected a program to run\n",
        "alerts by own will wait: absent.j2: no such file or directory\n",
        "the heartbeat will not be heard: absent: no such file or directory\n",
    ] {
        assert!(output.stdout.contains(told), "{told}\n{}", output.stdout);
    }
    let environment = [("A_WEBHOOK", "https://h.example/s3cret"), ("A_TOKEN", "Bearer s3cret")];
    let output = check(alert, &environment).expect_status(0);
    assert!(
        !output.stdout.contains("A_WEBHOOK") && !output.stdout.contains("by fine"),
        "{}",
        output.stdout
    );
    // Sent all the same, each says why not.
    let case = Case::new().file("empty", "");
    let plan = plan(
        &case,
        "[alert]\nwebhook = [{ url_file = \"empty\" }, { url_env = \"OVERSTAY_NO_SUCH_VARIABLE\" }]\n",
    );
    let told: Vec<_> =
        plan.channels.iter().map(|channel| reason(send(channel, &message()).0)).collect();
    assert_eq!(told[0], ("empty: found nothing in it, expected a secret".to_owned(), true));
    assert_eq!(
        told[1],
        (
            "OVERSTAY_NO_SUCH_VARIABLE is not set, expected a secret in the environment".to_owned(),
            true
        )
    );
}

#[test]
fn channels_are_known_by_what_they_are() {
    let case = Case::new();
    let plan = plan(
        &case,
        r#"[alert]
remind_every = "12h"
webhook = [
  { url = "https://Hooks.example/T0/s3cret" },
  { url = "https://user:s3cret@hooks.example:8443/" },
  { url_env = "OVERSTAY_WEBHOOK", min_severity = "high" },
  { url_file = "/etc/overstay/teams.url" },
  { name = "Privacy team", url = "https://hooks.example/other" },
]
command = [{ command = ["/usr/bin/page", "--team", "privacy"] }, { command = ["mail"] }]
"#,
    );
    let names: Vec<&str> = plan.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "webhook:hooks.example",
            "webhook:hooks.example:8443",
            "webhook:OVERSTAY_WEBHOOK",
            "webhook:teams.url",
            "Privacy team",
            "command:page",
            "command:mail"
        ]
    );
    assert_eq!(plan.channels[2].min_severity, Severity::High);
    assert_eq!(plan.remind_every_s, 43_200);
    assert!(!format!("{plan:?}").contains("s3cret"));
}

// --- What the manual tells people to copy ----------------------------------------------------------------

/// The block of the manual that stands in a fence of that kind under the heading.
fn block(heading: &str, fence: &str) -> String {
    let manual = std::fs::read_to_string(repository("docs/alerts.md")).unwrap();
    let section = manual.split(&format!("\n### {heading}\n")).nth(1).unwrap();
    let section = section.split("\n### ").next().unwrap();
    let block = section.split(&format!("```{fence}\n")).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// The text with one thing in it, which must be there, in place of another.
fn replaced(text: &str, what: &str, with: &str) -> String {
    assert!(text.contains(what), "{what}: {text}");
    text.replace(what, with)
}

/// A server that is stopped at the end.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until something is so, and says what it is.
fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(started.elapsed() < SINCE_START, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.0 200").then(|| answer.split_once("\r\n\r\n").unwrap().1.to_owned())
}

#[test]
fn alertmanager_has_what_is_open_and_ends_what_is_not() {
    if !is_installed("prometheus-alertmanager") {
        return;
    }
    let (case, port, told) = (Case::new(), free_port(), Receiver::answers(&["200 OK"]));
    let config = replaced(
        &block("Alertmanager", "yaml"),
        "http://127.0.0.1:8088/privacy",
        &format!("http://127.0.0.1:{}/privacy", told.port),
    );
    let config = replaced(&config, "group_wait: 30s", "group_wait: 0s\n      group_interval: 1s");
    case.write("alertmanager.yml", config);
    let listen = format!("--web.listen-address=127.0.0.1:{port}");
    let mut command = case.tool(
        "prometheus-alertmanager",
        &[
            "--config.file=alertmanager.yml",
            "--storage.path=data",
            "--cluster.listen-address=",
            "--data.retention=200h",
            &listen,
        ],
    );
    command.stdout(Stdio::null()).stderr(std::fs::File::create(case.path("log")).unwrap());
    let _server = Server(command.spawn().unwrap());
    eventually("Alertmanager is ready", || get(port, "/-/ready"));

    let toml = block("Alertmanager", "toml");
    let toml = replaced(&toml, "127.0.0.1:9093", &format!("127.0.0.1:{port}"));
    let channel = channel(&case, &toml);
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = time::Instant::from_s_ns(now as i64, 0).unwrap();
    let active = |ids: &[&str]| {
        let alerts: Vec<Value> =
            serde_json::from_str(&get(port, "/api/v2/alerts?active=true")?).unwrap();
        let mut found: Vec<String> = alerts
            .iter()
            .map(|alert| {
                let labels = &alert["labels"];
                let of = |label: &str| labels[label].as_str().unwrap_or("none").to_owned();
                format!("{} {} {}", of("finding_id"), of("severity"), of("partner"))
            })
            .collect();
        found.sort();
        (found == ids).then_some(alerts)
    };
    // By the route of the manual, its receiver hears of all of it.
    let heard = |status: &str, id: &str, severity: &str| {
        eventually(&format!("{id} {severity} is told as {status}"), || {
            let bodies: Vec<Value> = told.requests().iter().map(Request::json).collect();
            let mut all = bodies.iter().flat_map(|body| body["alerts"].as_array().unwrap());
            let is_it = |alert: &Value| {
                let labels = &alert["labels"];
                alert["status"] == status
                    && labels["finding_id"] == id
                    && labels["severity"] == severity
            };
            all.any(is_it).then_some(())
        });
    };
    let (critical, high) = (Severity::Critical, Severity::High);
    let mut nobody = change("os-2", high, What::New, now);
    (nobody.partner, nobody.grant) = (None, None);
    nobody.summary = "a \"hostile\"\n\0\u{202e} {{ .Labels }} name".to_owned();
    let first = message_of(vec![change("os-1", high, What::New, now), nobody], now);
    assert_eq!(send(&channel, &first), (Ok(()), vec![]), "{}", case.read("log"));
    let alerts = eventually("two alerts", || active(&["os-1 high globex", "os-2 high none"]));
    let of_first = alerts.iter().find(|alert| alert["labels"]["finding_id"] == "os-1").unwrap();
    assert_eq!(of_first["labels"]["alertname"], "overstay_after_revocation");
    assert_eq!(of_first["annotations"]["delivery_id"], ID);
    assert_eq!(of_first["receivers"], json!([{"name": "privacy"}]));
    heard("firing", "os-1", "high");
    heard("firing", "os-2", "high");
    // Twice is once.
    assert_eq!(send(&channel, &first).0, Ok(()));
    eventually("the same two", || active(&["os-1 high globex", "os-2 high none"]));
    // Graver: the old one is over.
    let mut risen = change("os-1", critical, What::MoreSevere, now);
    risen.severity_before = Some(high);
    assert_eq!(send(&channel, &message_of(vec![risen], now)).0, Ok(()), "{}", case.read("log"));
    eventually("a graver one", || active(&["os-1 critical globex", "os-2 high none"]));
    heard("firing", "os-1", "critical");
    let gone = vec![change("os-1", critical, What::Resolved, now)];
    assert_eq!(send(&channel, &message_of(gone, now)).0, Ok(()));
    eventually("one is resolved", || active(&["os-2 high none"]));
    heard("resolved", "os-1", "critical");
    heard("resolved", "os-1", "high");
    let test = Message::test("overstay 0.1.0".to_owned(), now);
    assert_eq!(send(&channel, &test).0, Ok(()));
    eventually("the test", || active(&["none info none", "os-2 high none"]));
}

#[test]
fn a_mail_server_takes_the_mail_of_the_manual() {
    if !["msmtp", "aiosmtpd"].iter().all(|program| is_installed(program)) {
        return;
    }
    let (case, port) = (Case::new(), free_port());
    let listen = format!("127.0.0.1:{port}");
    let arguments = ["-n", "-l", &listen, "-c", "aiosmtpd.handlers.Mailbox", "mails"];
    let mut command = case.tool("/usr/bin/aiosmtpd", &arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let _server = Server(command.spawn().unwrap());
    eventually("the mail server is ready", || TcpStream::connect(("127.0.0.1", port)).ok());
    let settings = replaced(&block("Mail", "msmtprc"), "mail.corp.example", "127.0.0.1");
    let settings = replaced(&settings, "port 25", &format!("port {port}"));
    case.write("msmtprc", settings);
    let toml = replaced(&block("Mail", "toml"), "/etc/overstay/msmtprc", "msmtprc");
    let channel = channel(&case, &toml);
    assert_eq!(channel.name, "mail");
    assert_eq!(send(&channel, &message()), (Ok(()), vec![]));
    let mail = case
        .names()
        .into_iter()
        .find(|name| name.starts_with("mails/new/"))
        .map(|name| case.read(&name))
        .unwrap();
    let (headers, text) = mail.split_once("\n\n").unwrap();
    for header in [
        "Subject: overstay run 12: 1 critical",
        &format!("Message-ID: <{ID}@overstay.invalid>"),
        "From: overstay@corp.example",
        "To: undisclosed-recipients:;",
        "X-RcptTo: privacy@corp.example",
    ] {
        assert!(headers.lines().any(|line| line == header), "{header}\n{headers}");
    }
    assert!(headers.contains("\nDate: "), "{headers}");
    assert!(text.contains("globex \"read\" messages of 2 people"), "{text}");
    assert!(text.contains("overstayed 1 d 1 h"), "{text}");
    // A server that is not there: msmtp says so.
    drop(_server);
    let (told, mend) = reason(send(&channel, &message()).0);
    assert!(told.starts_with("msmtp: found exit status ") && !mend, "{told}");
    assert!(told.contains("msmtp: "), "{told}");
}

#[test]
fn chat_teams_and_heartbeat_of_the_manual_are_sent() {
    let receiver = Receiver::answers(&["200 OK"]);
    let url = format!("http://127.0.0.1:{}/s3cret\n", receiver.port);
    let case = Case::new().file("secret.url", url);
    let from_env = "url_env = \"OVERSTAY_WEBHOOK\"";
    let chat =
        replaced(&block("Slack and Mattermost", "toml"), from_env, "url_file = \"secret.url\"");
    let chat = channel(&case, &chat);
    assert_eq!(chat.min_severity, Severity::High);
    assert_eq!(send(&chat, &message()).0, Ok(()));
    let teams = replaced(&block("Teams", "toml"), "/etc/overstay/teams.url", "secret.url");
    assert_eq!(send(&channel(&case, &teams), &message()).0, Ok(()));
    let beat = replaced(&block("A heartbeat", "toml"), "/etc/overstay/heartbeat.url", "secret.url");
    assert!(plan(&case, &beat).heartbeat.is_some());
    // All of it at once, as it stands in front.
    let manual = std::fs::read_to_string(repository("docs/alerts.md")).unwrap();
    let front = manual.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
    let front = plan(&case, front);
    let names: Vec<&str> = front.channels.iter().map(|channel| channel.name.as_str()).collect();
    assert_eq!(names, ["webhook:OVERSTAY_WEBHOOK", "command:page"]);
    assert!(front.heartbeat.is_some() && front.remind_every_s == 7 * 86_400);
    let requests = receiver.requests();
    let text = requests[0].json()["text"].as_str().unwrap().to_owned();
    assert!(text.contains("• CRITICAL, new: globex \"read\" messages of 2 people — 1 d"), "{text}");
    assert_eq!(requests[1].json()["attachments"][0]["content"]["type"], "AdaptiveCard");
}

/// Where the process below finds its configuration.
const CHILD_CONFIG: &str = "OVERSTAY_TEST_CONFIG";

/// Sends by each channel of a configuration in a process of its own, with such an environment. What came of it, a line each.
fn sent_in(case: &Case, config: &str, environment: &[(&str, String)]) -> Vec<String> {
    case.write("overstay.toml", config);
    let test = "channels::secrets_authorities_and_proxies_are_as_the_environment_says";
    let program = std::env::current_exe().unwrap();
    let mut command = case.tool(program.to_str().unwrap(), &["--exact", test]);
    command.envs(environment.iter().map(|(name, value)| (name, value)));
    command.env(CHILD_CONFIG, case.path("overstay.toml"));
    let _ = case.finish(command).expect_status(0);
    case.read("sent").lines().map(str::to_owned).collect()
}

#[test]
fn secrets_authorities_and_proxies_are_as_the_environment_says() {
    if let Some(config) = std::env::var_os(CHILD_CONFIG) {
        let config = Path::new(&config);
        let plan = plan_of(config);
        let sent = plan.channels.iter().map(|channel| match send(channel, &message()).0 {
            Ok(()) => "delivered\n".to_owned(),
            failed => format!("{}\n", reason(failed).0),
        });
        return std::fs::write(config.with_file_name("sent"), sent.collect::<String>()).unwrap();
    }
    if !is_installed("openssl") {
        return;
    }
    let (case, closed) = (Case::new(), free_port());
    certificate(
        &case,
        "good",
        "localhost",
        None,
        &["-addext", "basicConstraints=critical,CA:FALSE"],
    );
    let hook = format!("https://localhost:{}/T0/s3cret\n", secured(&case, "good"));
    let trusted = case.path("good.pem").to_str().unwrap().to_owned();
    let proxy = format!("http://127.0.0.1:{closed}");
    let recipe = block("Slack and Mattermost", "toml");
    // This machine is reached without a proxy.
    let environment = [
        ("OVERSTAY_WEBHOOK", hook.clone()),
        ("SSL_CERT_FILE", trusted),
        ("HTTPS_PROXY", proxy.clone()),
    ];
    assert_eq!(sent_in(&case, &recipe, &environment), ["delivered"]);
    let sent = sent_in(&case, &recipe, &[("OVERSTAY_WEBHOOK", hook)]);
    let expected = [
        "OVERSTAY_WEBHOOK: its certificate is signed by nobody",
        "OVERSTAY_WEBHOOK: found no certificates of authorities",
    ];
    assert!(expected.iter().any(|begin| sent[0].starts_with(begin)), "{sent:?}");
    let sent = sent_in(&case, &recipe, &[]);
    assert_eq!(sent, ["OVERSTAY_WEBHOOK is not set, expected a secret in the environment"]);
    // A host that is nowhere is asked of the proxy, which is not there.
    let far =
        "[alert]\nwebhook = [{ url = \"http://hooks.invalid/T0/s3cret\", timeout = \"5s\" }]\n";
    let sent = sent_in(&case, far, &[("http_proxy", proxy.clone())]);
    assert_eq!(
        sent,
        ["http://hooks.invalid by the proxy of http_proxy: connection refused; tried 3 times"]
    );
    let sent = sent_in(&case, far, &[("ALL_PROXY", "socks5://127.0.0.1:1080".to_owned())]);
    assert!(
        sent[0].starts_with("http://hooks.invalid: ALL_PROXY: found what is no proxy"),
        "{sent:?}"
    );
    let spared = [("http_proxy", proxy), ("NO_PROXY", ".invalid".to_owned())];
    let sent = sent_in(&case, far, &spared);
    assert!(!sent[0].contains("refused") && !sent[0].contains("delivered"), "{sent:?}");
}

/// The service as it is shipped, with what the manual adds to it, where systemd is there to look at them.
#[test]
fn the_service_with_a_network_is_well_formed() {
    if !is_installed("systemd-analyze") {
        return;
    }
    let manual = std::fs::read_to_string(repository("docs/alerts.md")).unwrap();
    let added = manual.split("```ini\n").nth(1).unwrap().split("```").next().unwrap();
    let service = std::fs::read_to_string(repository("docs/systemd/overstay.service")).unwrap();
    let service = replaced(&service, "/usr/local/bin/overstay", env!("CARGO_BIN_EXE_overstay"));
    let case = Case::new().file("overstay.service", format!("{service}\n{added}"));
    let arguments = ["verify", "--man=no", "./overstay.service"];
    let output = case.finish(case.tool("systemd-analyze", &arguments)).expect_status(0);
    assert_eq!(output.stderr, "");
}

#[test]
fn the_template_of_the_manual_makes_what_it_says() {
    let receiver = Receiver::answers(&["200 OK"]);
    let case = Case::new()
        .file("alerts/pager.json.j2", block("A template of your own", "jinja"))
        .file("pager.auth", "Token t0ken\n");
    let toml = block("A template of your own", "toml");
    let toml = replaced(
        &toml,
        "https://pager.corp.example",
        &format!("http://127.0.0.1:{}", receiver.port),
    );
    let toml = replaced(&toml, "/etc/overstay/pager.auth", "pager.auth");
    let pager = channel(&case, &toml);
    let at = message().run_at;
    let mut acme = change("os-3", Severity::Critical, What::New, at);
    acme.partner = Some("acme".to_owned());
    let changes = vec![
        change("os-1", Severity::Critical, What::New, at),
        change("os-2", Severity::Critical, What::Resolved, at),
        acme,
    ];
    assert_eq!(send(&pager, &message_of(changes, at)), (Ok(()), vec![]));
    let request = receiver.requests().remove(0);
    assert_eq!(request.header("authorization"), Some("Token t0ken"));
    let summary = "globex \"read\" messages of 2 people — 1 d past its end";
    assert_eq!(
        request.json(),
        json!({
            "title": "overstay: 2 critical, 1 resolved",
            "dedup_key": ID,
            "details": [
                {"partner": "acme", "findings": [format!("new os-3: {summary}")]},
                {"partner": "globex", "findings": [format!("new os-1: {summary}"), format!("resolved os-2: {summary}")]},
            ],
        })
    );
    // One that fails is told with its line, and nothing is sent.
    case.write("alerts/pager.json.j2", "{\n\"a\": {{ delivery }}\n}");
    let (told, mend) = reason(send(&channel(&case, &toml), &message()).0);
    assert!(
        mend && told.starts_with("alerts/pager.json.j2: 2: found a name or key that is not there"),
        "{told}"
    );
    assert_eq!(receiver.requests().len(), 1);
}
