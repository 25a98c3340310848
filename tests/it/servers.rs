//! What `docs/what-to-log.md` tells people to copy, in the servers themselves: each is started with it, is sent calls, and
//! what it logged is read with the format beside it. Servers that are not installed are skipped.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Case, repository};

pub const SINCE_START: Duration = Duration::from_secs(20);

/// The block of the manual that stands in a fence of that kind under the server's heading.
fn block(heading: &str, fence: &str) -> String {
    let manual = std::fs::read_to_string(repository("docs/what-to-log.md")).unwrap();
    let section = manual.split(&format!("\n## {heading}\n")).nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let block = section.split(&format!("```{fence}\n")).nth(1).unwrap();
    block.split("```").next().unwrap().to_owned()
}

/// A port of the loopback that nobody uses just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// An application that answers 403 under `/denied`, else 200, and says whom the call was about.
fn application() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let head = head(&mut stream);
            let status = if head.contains("/denied") { "403 Forbidden" } else { "200 OK" };
            let _ = write!(
                stream,
                "HTTP/1.1 {status}\r\nX-Subject: u-81\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
            );
        }
    });
    port
}

/// What comes up to the end of the headers.
fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) > 0 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// A server that is stopped at the end.
pub struct Server(pub Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

/// Sends a request and returns the whole answer.
pub fn send(port: u16, request: &str) -> String {
    let started = Instant::now();
    let mut stream = loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Ok(stream) => break stream,
            Err(error) => assert!(started.elapsed() < SINCE_START, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// Starts a server, sends it three calls, and returns what it logged as calls.
fn logged(
    case: &Case,
    heading: &str,
    mut command: Command,
    port: u16,
    log: &str,
    format: &str,
) -> Vec<Value> {
    let server = Server(command.spawn().unwrap());
    let get = |path: &str, more: &str| {
        format!(
            "GET {path} HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\nX-Client-Id: key-1\r\n{more}\r\n"
        )
    };
    let answer = send(port, &get("/messages/u-7?a=%22b%22", "User-Agent: x \"y\" \\z\r\n"));
    assert!(answer.contains("hello"), "{heading}: {answer}");
    let answer = send(port, &get("/denied", ""));
    assert!(answer.starts_with("HTTP/1.1 403"), "{heading}: {answer}");
    send(port, "GET /messages HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n");
    let path = case.path(log);
    let started = Instant::now();
    let lines = || std::fs::read_to_string(&path).unwrap_or_default().lines().count();
    while lines() < 3 && started.elapsed() < SINCE_START {
        std::thread::sleep(Duration::from_millis(50));
    }
    drop(server);
    // A register of one partner, to see what its calls come to.
    case.write("register/partners.csv", "partner\nacme\n");
    case.write("register/credentials.csv", "credential,partner\nkey-1,acme\n");
    case.write("register/apis.csv", "api\nmessages\n");
    case.write(
        "register/routes.csv",
        "path,api\n/messages/{user},messages\n/messages,messages\n/denied,messages\n",
    );
    case.write("register/grants.csv", "grant,partner,api,operations\ng,acme,messages,read\n");
    case.write("overstay.toml", block(heading, "toml"));
    let output = case.run(&["calls", "--register", "register", "--log-format", format, log]);
    let mut calls = output.expect_status(0).json_lines();
    // Servers write them as they end.
    let sent = ["/messages/u-7", "/denied", "/messages"];
    calls.sort_by_key(|call| sent.iter().position(|path| call["target"] == *path));
    calls
}

/// What all of them say of the three calls.
fn check(heading: &str, calls: &[Value]) {
    assert_eq!(calls.len(), 3, "{heading}: {calls:#?}");
    let of = |i: usize, key: &str| calls[i][key].as_str().unwrap_or("-").to_owned();
    for (i, outcome, partner) in [(0, "served", "acme"), (1, "denied", "acme"), (2, "served", "-")]
    {
        assert_eq!(of(i, "outcome"), outcome, "{heading}: {calls:#?}");
        assert_eq!(of(i, "partner"), partner, "{heading}: {calls:#?}");
        assert_eq!(of(i, "subject"), "u-81", "{heading}: {calls:#?}");
        assert_eq!(of(i, "operation"), "read", "{heading}");
        assert!(calls[i]["latency_us"].is_u64(), "{heading}: {calls:#?}");
    }
    assert_eq!(of(0, "verdict"), "granted", "{heading}");
    assert_eq!(of(2, "verdict"), "anonymous", "{heading}");
    assert_eq!(of(0, "target"), "/messages/u-7", "{heading}");
    assert!(of(0, "request_id").len() > 10, "{heading}: {calls:#?}");
}

#[expect(clippy::print_stderr, reason = "says that it is skipped")]
pub fn is_installed(program: &str) -> bool {
    let found = ["/usr/sbin", "/usr/bin"].iter().any(|of| Path::new(of).join(program).exists());
    if !found {
        eprintln!("skipped: {program} is not installed");
    }
    found
}

/// An nginx on that port, ready to be started, that logs to `logs/calls.log` as the manual has it.
fn nginx(case: &Case, port: u16) -> Command {
    let backend = application();
    let folder = case.path("");
    case.write("logs/empty", "");
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|name| format!("{name}_temp_path {}/logs/{name};\n", folder.display()))
        .collect();
    case.write(
        "nginx.conf",
        format!(
            "daemon off;\nmaster_process off;\npid logs/pid;\nerror_log logs/error;\nevents {{}}\nhttp {{\n{temporary}{}\n\
             server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://127.0.0.1:{backend}; }} }} }}\n",
            block("nginx", "nginx"),
        ),
    );
    let mut command = Command::new("/usr/sbin/nginx");
    command.arg("-p").arg(&folder).args(["-e", "logs/error", "-c", "nginx.conf"]);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[test]
fn nginx_logs_what_its_format_reads() {
    if !is_installed("nginx") {
        return;
    }
    let (case, port) = (Case::new(), free_port());
    let command = nginx(&case, port);
    let calls = logged(&case, "nginx", command, port, "logs/calls.log", "nginx-calls");
    check("nginx", &calls);
    // The header is for the log alone.
    assert_eq!(calls[0]["user_agent"], "x \"y\" \\z");
}

#[test]
fn what_nginx_logged_becomes_a_register() {
    if !is_installed("nginx") {
        return;
    }
    let (case, port) = (Case::new(), free_port());
    let command = nginx(&case, port);
    logged(&case, "nginx", command, port, "logs/calls.log", "nginx-calls");
    let arguments = ["init", "logs/calls.log", "--log-format", "nginx-calls", "--into", "new"];
    let output = case.run(&arguments).expect_status(0);
    assert!(output.stdout.starts_with("3 calls in 1 log, "), "{}", output.stdout);
    // What may be a key is not written out.
    assert!(!case.read("new/register/credentials.csv").contains("key-1"));
    assert!(case.read("new/register/routes.csv").contains("\n,,/messages/{message},messages,\n"));
    let config = ["--config", "new/overstay.toml"];
    case.run(&["check", config[0], config[1]]).expect_status(0);
    let verdicts = || {
        let report = case.run(&["audit", "--json", config[0], config[1]]).expect_status(0).report();
        let mut all: Vec<String> = report["usage"]
            .as_array()
            .unwrap()
            .iter()
            .map(|row| {
                format!("{} {}", row["outcome"].as_str().unwrap(), row["verdict"].as_str().unwrap())
            })
            .collect();
        all.sort();
        all
    };
    let grants =
        "grant,partner,api,operations,granted_at,revoked_at\ng,partner-1,messages,read,2018-01-01,";
    // Of `/denied` nothing was ever served: it is no route.
    for (revoked_at, verdict) in [("", "granted"), ("2020-01-01", "after-revocation")] {
        case.write("new/register/grants.csv", format!("{grants}{revoked_at}\n"));
        let verdicts = verdicts();
        let expected =
            [format!("served {verdict}"), "denied unlisted-api".into(), "served anonymous".into()];
        assert_eq!(verdicts.len(), expected.len(), "{verdicts:?}");
        assert!(expected.iter().all(|told| verdicts.contains(told)), "{verdicts:?}");
    }
}

#[test]
fn apache_logs_what_its_format_reads() {
    if !is_installed("apache2") {
        return;
    }
    let (case, port, backend) = (Case::new(), free_port(), application());
    case.write("logs/empty", "");
    let modules: String = ["mpm_event", "authz_core", "proxy", "proxy_http", "unique_id"]
        .iter()
        .map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"))
        .collect();
    case.write(
        "httpd.conf",
        format!(
            "ServerRoot {}\nServerName api.example\nListen 127.0.0.1:{port}\nPidFile logs/pid\nErrorLog logs/error\n\
             DefaultRuntimeDir logs\n{modules}ProxyPass / http://127.0.0.1:{backend}/\n{}",
            case.path("").display(),
            block("Apache", "apache"),
        ),
    );
    let mut command = Command::new("/usr/sbin/apache2");
    command.arg("-f").arg(case.path("httpd.conf")).arg("-DFOREGROUND");
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let calls = logged(&case, "Apache", command, port, "logs/calls.log", "apache-calls");
    check("Apache", &calls);
    assert_eq!(calls[0]["user_agent"], "x \"y\" \\z");
}

#[test]
fn haproxy_logs_what_its_format_reads() {
    if !is_installed("haproxy") {
        return;
    }
    let (case, port, backend) = (Case::new(), free_port(), application());
    case.write(
        "haproxy.cfg",
        format!(
            "global\n    log stdout format raw local0\ndefaults\n    mode http\n    log global\n    timeout connect 5s\n    \
             timeout client 5s\n    timeout server 5s\nfrontend front\n    bind 127.0.0.1:{port}\n{}    default_backend back\n\
             backend back\n    server one 127.0.0.1:{backend}\n",
            block("HAProxy", "haproxy"),
        ),
    );
    let mut command = Command::new("/usr/sbin/haproxy");
    command.arg("-f").arg(case.path("haproxy.cfg"));
    command.stdout(std::fs::File::create(case.path("calls.log")).unwrap()).stderr(Stdio::null());
    let calls = logged(&case, "HAProxy", command, port, "calls.log", "haproxy-calls");
    check("HAProxy", &calls);
}
