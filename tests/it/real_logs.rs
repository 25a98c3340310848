//! Logs that other projects published, where a folder of them is there: each is read, all of its lines are accounted
//! for, and the calls are those that the other projects' own tests expect.

use std::collections::HashMap;
use std::path::PathBuf;

use overstay::formats::{Format, detect, first_lines};
use overstay::parse::Scratch;
use serde_json::Value;

use crate::harness::{self, Case, repository};

/// The folder, if it is there.
#[expect(clippy::print_stderr, reason = "says that it is skipped")]
fn folder() -> Option<PathBuf> {
    let folder = repository("../shared/real-logs");
    if !folder.is_dir() {
        eprintln!("skipped: there is no {}", folder.display());
        return None;
    }
    Some(folder)
}

/// Each log with the format that it is in, how many records it has by its own kind's rules (lines without blank ones and
/// directives, elements of arrays), and how many of them are no calls. With `?` in front `auto` can't tell the format, since
/// the log mixes several or tells of no requests, and it is named.
const LOGS: [(&str, &str, u64, u64); 53] = [
    ("advertools/combined_latin1_enc.log", "combined", 200, 46),
    ("advertools/combined_no_errors.log", "combined", 885, 0),
    ("advertools/combined_with_errors.log", "combined", 889, 4),
    ("advertools/dreamhost_apache_access.log", "combined", 129, 0),
    ("advertools/nginx_access.log", "combined", 1000, 43),
    ("alp/json_access.log", "json", 14, 0),
    ("alp/ltsv_access.log", "ltsv", 14, 0),
    ("audit2rbac/demo.log", "k8s-audit", 37, 0),
    ("crowdsec-hub/apache-http-probing.log", "common", 77, 0),
    ("crowdsec-hub/apache2-logs.log", "?combined", 9, 5),
    ("crowdsec-hub/aws-alb-logs.log", "aws-alb", 14, 0),
    ("crowdsec-hub/aws-cloudfront-logs.log", "aws-cloudfront", 2, 0),
    ("crowdsec-hub/aws-cloudtrail.log", "aws-cloudtrail", 2, 0),
    ("crowdsec-hub/caddy-logs.log", "caddy", 11, 1),
    ("crowdsec-hub/envoy.log", "envoy", 10, 0),
    ("crowdsec-hub/haproxy-logs.log", "haproxy", 5, 3),
    ("crowdsec-hub/k8s-audit-pod-exec-file.log", "k8s-audit", 1, 0),
    ("crowdsec-hub/k8s-audit-priv-pod-file.log", "k8s-audit", 1, 0),
    ("crowdsec-hub/nginx_http-logs.log", "?combined", 9, 5),
    ("crowdsec-hub/traefik_json.log", "?traefik", 7, 1),
    // The field behind is a cookie, and in nobody's way.
    ("drill/example1.httpd", "nginx-main", 1, 0),
    ("drill/hackers-access-really-small.httpd", "combined", 1, 0),
    ("drill/hackers-access-small.httpd", "combined", 10, 0),
    ("kiali/waypoint.log", "istio", 16, 0),
    ("kong-docs/kong-http-log.sample.json", "kong", 1, 0),
    ("lnav/logfile_access_log.0", "combined", 3, 0),
    ("lnav/logfile_caddy_log.1", "caddy", 4, 0),
    ("lnav/logfile_haproxy.0", "haproxy", 17, 4),
    ("lnav/logfile_nextcloud.0", "?json", 5, 0),
    ("lnav/logfile_shop_access_log.0", "nginx-main", 1000, 0),
    ("lnav/logfile_w3c.0", "iis", 1, 0),
    ("lnav/logfile_w3c.6", "iis", 1, 0),
    ("logparser-hackers/hackers-access.log", "combined", 3456, 0),
    ("otel-gcp-lb/global_external_application_load_balancer.json", "gcp-lb", 1, 0),
    ("otel-gcp-lb/regional_external_application_load_balancer.json", "gcp-lb", 1, 0),
    ("plaso/aws_cloudtrail.jsonl", "aws-cloudtrail", 6, 0),
    ("plaso/gcp_logging.jsonl", "gcp-audit", 11, 5),
    ("plaso/iis10.log", "iis", 1, 0),
    ("plaso/iis10_cookies.log", "iis", 3, 0),
    ("plaso/iis6.log", "iis", 12, 0),
    ("plaso/iis7_owa.log", "iis", 3, 0),
    ("plaso/iis7_sqli.log", "iis", 2, 0),
    ("plaso/iis_without_date.log", "?iis", 11, 11),
    ("request-log-analyzer/2012-10-05-16-18-11-F9AAC5D1A55AEBAD", "aws-s3", 5, 0),
    ("request-log-analyzer/2012-10-05-16-26-06-15314AF7F0651839", "aws-s3", 3, 0),
    ("request-log-analyzer/apache_combined.log", "combined", 5, 0),
    ("request-log-analyzer/apache_common.log", "common", 10, 0),
    ("webreadr/combined_log.clf", "combined", 12, 0),
    ("webreadr/iis.log", "iis", 1, 0),
    ("webreadr/log.aws", "aws-cloudfront", 2, 0),
    ("webreadr/log.clf", "common", 2, 0),
    ("webreadr/log.squid", "squid", 121, 0),
    ("webreadr/s3.log", "aws-s3", 6, 0),
];

/// The report on one log alone.
fn report(path: &str, format: Option<&str>) -> Value {
    let mut arguments = vec!["audit", "-q", "--json", "--max-rejects", "100%", path];
    arguments.extend(format.iter().flat_map(|name| ["--log-format", name]));
    let report = Case::new().run(&arguments).expect_status(0).report();
    harness::adds_up(&report);
    report
}

#[test]
fn each_is_read_in_its_format_and_every_line_is_accounted_for() {
    let Some(folder) = folder() else { return };
    let mut wrong = Vec::new();
    for (name, format, records, rejected) in LOGS {
        let path = folder.join(name).display().to_string();
        let named = format.strip_prefix('?');
        let report = report(&path, named);
        let input = &report["inputs"][0];
        assert_eq!(input["format"], named.unwrap_or(format), "{name}");
        let found = (input["calls"].as_u64().unwrap(), input["rejected"].as_u64().unwrap());
        if found != (records - rejected, rejected) {
            wrong.push(format!("{name}: {found:?}, {}", report["rejects"]["by_reason"]));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// In their notices the collections say how many records they hold.
#[test]
fn collections_of_cloudtrail_have_the_records_that_they_say() {
    let Some(folder) = folder() else { return };
    for (name, records) in [("invictus-cloudtrail", 2900), ("stratus-cloudtrail", 310)] {
        let glob = folder.join(name).join("*.json").display().to_string();
        let report = report(&glob, None);
        assert_eq!(report["accounting"]["calls"], records, "{name}");
        assert_eq!(report["accounting"]["rejected"], 0, "{name}");
        for input in report["inputs"].as_array().unwrap() {
            assert_eq!(input["format"], "aws-cloudtrail");
        }
    }
}

/// Whatever a log is, `auto` takes no format that it is not in.
#[test]
fn no_format_is_taken_by_mistake() {
    let Some(folder) = folder() else { return };
    let formats: Vec<Format> = Format::BUILT_IN.into_iter().filter_map(Format::built_in).collect();
    let formats: Vec<&Format> = formats.iter().collect();
    let known: HashMap<PathBuf, &str> =
        LOGS.iter().map(|(name, format, ..)| (folder.join(name), *format)).collect();
    let (mut seen, mut wrong) = (0, Vec::new());
    for entry in walkdir(&folder) {
        let bytes = std::fs::read(&entry).unwrap();
        let head = &bytes[..bytes.len().min(1 << 18)];
        let told = detect(&formats, head).ok().map(|index| formats[index].name());
        let in_cloudtrail = ["invictus", "stratus", "trailscraper"]
            .iter()
            .any(|part| entry.to_string_lossy().contains(part));
        let expected = match known.get(&entry) {
            Some(format) if format.starts_with('?') => None,
            Some(format) => Some(*format),
            None if in_cloudtrail && entry.extension().is_some_and(|e| e == "json") => {
                Some("aws-cloudtrail")
            }
            None => None,
        };
        if told != expected {
            wrong.push(format!("{}: {told:?}, expected {expected:?}", entry.display()));
        }
        seen += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen > 200, "{seen}");
}

/// All files below a folder.
fn walkdir(folder: &std::path::Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(walkdir(&path)),
            false => all.push(path),
        }
    }
    all
}

/// What another project's tests expect of each record, by column.
fn expected(folder: &std::path::Path, name: &str) -> Vec<HashMap<String, String>> {
    let text = std::fs::read_to_string(folder.join(format!("{name}.expected.tsv"))).unwrap();
    let mut lines = text.lines();
    let columns: Vec<&str> = lines.next().unwrap().split('\t').collect();
    let row = |line: &str| {
        let cells = line.split('\t').map(str::to_owned);
        columns.iter().map(|column| (*column).to_owned()).zip(cells).collect()
    };
    lines.map(row).collect()
}

/// Their sources, methods, paths, statuses and agents; an empty cell says nothing.
#[test]
fn calls_are_what_other_projects_expect() {
    let Some(folder) = folder() else { return };
    for (name, format, of_other_forms) in [
        ("apache2-logs.log", "combined", 5),
        ("aws-alb-logs.log", "aws-alb", 0),
        ("aws-cloudfront-logs.log", "aws-cloudfront", 0),
        ("caddy-logs.log", "caddy", 0),
        ("envoy.log", "envoy", 0),
        ("haproxy-logs.log", "haproxy", 2),
        ("nginx_http-logs.log", "combined", 4),
        ("traefik_json.log", "traefik", 0),
    ] {
        let folder = folder.join("crowdsec-hub");
        let expected = expected(&folder, name);
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        bytes.push(b'\n');
        let format = Format::built_in(format).unwrap();
        let mut scratch = Scratch::default();
        format.begin(None, &mut scratch);
        let mut calls = Vec::new();
        for line in first_lines(&bytes) {
            if format.directive(line, &mut scratch) {
                continue;
            }
            if let Ok(call) = format.parse(line, &mut scratch) {
                calls.push([
                    ("source_ip", call.remote_addr.as_deref().unwrap_or("").to_owned()),
                    ("http_verb", call.method.as_deref().unwrap_or("").to_owned()),
                    ("http_path", call.path.as_deref().unwrap_or("").to_owned()),
                    ("http_status", call.status.map(|s| s.to_string()).unwrap_or_default()),
                    ("http_user_agent", call.user_agent.as_deref().unwrap_or("").to_owned()),
                ]);
            }
        }
        let agree = |call: &[(&str, String); 5], row: &HashMap<String, String>| {
            call.iter().all(|(column, value)| match row.get(*column).map(String::as_str) {
                None | Some("") => true,
                Some("-" | "0") => value.is_empty(),
                // An address from a list of those on the way.
                Some(address) if *column == "source_ip" => {
                    value.split(',').any(|a| a.trim() == address)
                }
                // Some leave the query out.
                Some(path) if *column == "http_path" => {
                    value == path || value.split('?').next() == path.split('?').next()
                }
                Some(text) => value == text,
            })
        };
        for call in &calls {
            assert!(expected.iter().any(|row| agree(call, row)), "{name}: {call:?}");
        }
        // What they expect beyond is of lines in another form, or of connections that were no requests.
        let missed = expected.iter().filter(|row| !calls.iter().any(|call| agree(call, row)));
        assert_eq!(missed.count(), of_other_forms, "{name}");
    }
}
