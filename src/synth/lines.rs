//! Calls as lines of a log: the same calls in each format.

use std::ops::Range;

use super::World;
use super::calls::Call;
use crate::time::{S_PER_DAY, civil_from_days};

/// How the log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// A JSON object a line.
    Json,
    /// The combined log format; the credential is the user name.
    Combined,
    /// `key=value` pairs.
    Logfmt,
    /// `label:value` pairs.
    Ltsv,
    /// Fields with commas between them, below a row of their names.
    Csv,
    /// An AWS application load balancer's; the credential is `api_key` of the query.
    AwsAlb,
}

impl LogFormat {
    /// As `--log-format` has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            LogFormat::Json => "json",
            LogFormat::Combined => "combined",
            LogFormat::Logfmt => "logfmt",
            LogFormat::Ltsv => "ltsv",
            LogFormat::Csv => "csv",
            LogFormat::AwsAlb => "aws-alb",
        }
    }

    /// What a log begins with, before its calls.
    pub const fn header(self) -> &'static str {
        match self {
            LogFormat::Csv => {
                "ts,request_id,client_id,remote_addr,method,path,status,bytes,latency_us,user_agent\n"
            }
            _ => "",
        }
    }
}

/// A date, written for as long as it lasts.
struct Date {
    day: i64,
    /// `2018-12-18T`
    iso: [u8; 11],
    /// `18/Dec/2018:`
    clf: [u8; 12],
}

const MONTHS: [&[u8; 3]; 12] = [
    b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec",
];

const US_PER_DAY: i64 = S_PER_DAY * 1_000_000;

impl Date {
    fn of(day: i64) -> Date {
        let (year, month, of_month) = civil_from_days(day);
        let two = |n: u32| [b'0' + (n / 10 % 10) as u8, b'0' + (n % 10) as u8];
        let ([a, b], [c, d]) = (two((year / 100) as u32), two((year % 100) as u32));
        let ([e, f], [g, h]) = (two(month), two(of_month));
        let [i, j, k] = *MONTHS[(month as usize).clamp(1, 12) - 1];
        Date {
            day,
            iso: [a, b, c, d, b'-', e, f, b'-', g, h, b'T'],
            clf: [g, h, b'/', i, j, k, b'/', a, b, c, d, b':'],
        }
    }

    /// Takes the date of an instant, and leaves what has gone of the day, in microseconds.
    fn at(&mut self, at_us: i64) -> u64 {
        let day = at_us.div_euclid(US_PER_DAY);
        if day != self.day {
            *self = Date::of(day);
        }
        at_us.rem_euclid(US_PER_DAY) as u64
    }
}

impl World {
    /// Appends the calls of these numbers, from 0, a line each.
    pub fn write(&self, format: LogFormat, calls: Range<u64>, out: &mut Vec<u8>) {
        let mut date = Date::of(0);
        let line = match format {
            LogFormat::Json => json,
            LogFormat::Combined => combined,
            LogFormat::Logfmt => logfmt,
            LogFormat::Ltsv => ltsv,
            LogFormat::Csv => csv,
            LogFormat::AwsAlb => aws_alb,
        };
        for index in calls {
            line(&self.call(index), &mut date, out);
            out.push(b'\n');
        }
    }
}

fn json(call: &Call<'_>, date: &mut Date, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"ts\":\"");
    iso(call.at_us, date, out);
    out.extend_from_slice(b"\",\"level\":\"info\",\"request_id\":\"");
    hex(call.request_id, out);
    out.extend_from_slice(b"\",\"client_id\":\"");
    out.extend_from_slice(&call.credential);
    out.extend_from_slice(b"\",\"remote_addr\":\"");
    address(call, out);
    out.extend_from_slice(b"\",\"method\":\"");
    out.extend_from_slice(call.method.as_bytes());
    out.extend_from_slice(b"\",\"path\":\"");
    target(call, out);
    out.extend_from_slice(b"\",\"status\":");
    number(u64::from(call.status), out);
    out.extend_from_slice(b",\"bytes\":");
    number(u64::from(call.bytes), out);
    out.extend_from_slice(b",\"latency_us\":");
    number(u64::from(call.latency_us), out);
    out.extend_from_slice(b",\"user_agent\":\"");
    out.extend_from_slice(call.user_agent.as_bytes());
    out.extend_from_slice(b"\"}");
}

fn combined(call: &Call<'_>, date: &mut Date, out: &mut Vec<u8>) {
    address(call, out);
    out.extend_from_slice(b" - ");
    out.extend_from_slice(&call.credential);
    out.extend_from_slice(b" [");
    let of_day = date.at(call.at_us);
    out.extend_from_slice(&date.clf);
    time_of_day(of_day / 1_000_000, out);
    out.extend_from_slice(b" +0000] \"");
    out.extend_from_slice(call.method.as_bytes());
    out.push(b' ');
    target(call, out);
    out.extend_from_slice(b" HTTP/1.1\" ");
    number(u64::from(call.status), out);
    out.push(b' ');
    number(u64::from(call.bytes), out);
    out.extend_from_slice(b" \"-\" \"");
    out.extend_from_slice(call.user_agent.as_bytes());
    out.push(b'"');
}

fn logfmt(call: &Call<'_>, date: &mut Date, out: &mut Vec<u8>) {
    out.extend_from_slice(b"ts=");
    iso(call.at_us, date, out);
    out.extend_from_slice(b" level=info request_id=");
    hex(call.request_id, out);
    out.extend_from_slice(b" client_id=");
    out.extend_from_slice(&call.credential);
    out.extend_from_slice(b" remote_addr=");
    address(call, out);
    out.extend_from_slice(b" method=");
    out.extend_from_slice(call.method.as_bytes());
    out.extend_from_slice(b" path=\"");
    target(call, out);
    out.extend_from_slice(b"\" status=");
    number(u64::from(call.status), out);
    out.extend_from_slice(b" bytes=");
    number(u64::from(call.bytes), out);
    out.extend_from_slice(b" latency_us=");
    number(u64::from(call.latency_us), out);
    out.extend_from_slice(b" user_agent=\"");
    out.extend_from_slice(call.user_agent.as_bytes());
    out.push(b'"');
}

fn ltsv(call: &Call<'_>, date: &mut Date, out: &mut Vec<u8>) {
    out.extend_from_slice(b"time:");
    iso(call.at_us, date, out);
    out.extend_from_slice(b"\thost:");
    address(call, out);
    out.extend_from_slice(b"\tclient_id:");
    out.extend_from_slice(&call.credential);
    out.extend_from_slice(b"\tmethod:");
    out.extend_from_slice(call.method.as_bytes());
    out.extend_from_slice(b"\turi:");
    target(call, out);
    out.extend_from_slice(b"\tstatus:");
    number(u64::from(call.status), out);
    out.extend_from_slice(b"\tsize:");
    number(u64::from(call.bytes), out);
    out.extend_from_slice(b"\treqtime_microsec:");
    number(u64::from(call.latency_us), out);
    out.extend_from_slice(b"\tua:");
    out.extend_from_slice(call.user_agent.as_bytes());
    out.extend_from_slice(b"\treqid:");
    hex(call.request_id, out);
}

fn csv(call: &Call<'_>, date: &mut Date, out: &mut Vec<u8>) {
    iso(call.at_us, date, out);
    out.push(b',');
    hex(call.request_id, out);
    out.push(b',');
    out.extend_from_slice(&call.credential);
    out.push(b',');
    address(call, out);
    out.push(b',');
    out.extend_from_slice(call.method.as_bytes());
    out.push(b',');
    target(call, out);
    out.push(b',');
    number(u64::from(call.status), out);
    out.push(b',');
    number(u64::from(call.bytes), out);
    out.push(b',');
    number(u64::from(call.latency_us), out);
    out.push(b',');
    // No user agent has a comma or a quote in it.
    out.extend_from_slice(call.user_agent.as_bytes());
}

fn aws_alb(call: &Call<'_>, date: &mut Date, out: &mut Vec<u8>) {
    const GROUP: &[u8] =
        b"arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/api/73e2d6bc24d8a067";
    const CERTIFICATE: &[u8] =
        b"arn:aws:acm:eu-west-1:123456789012:certificate/12345678-1234-1234-1234-123456789012";
    out.extend_from_slice(b"https ");
    iso(call.at_us + i64::from(call.latency_us), date, out);
    out.extend_from_slice(b" app/api/50dc6c495c0c9188 ");
    address(call, out);
    out.push(b':');
    number(1024 + (call.request_id & 0x7fff), out);
    out.extend_from_slice(b" 10.0.0.66:8080 0.000 ");
    number(u64::from(call.latency_us) / 1_000_000, out);
    out.push(b'.');
    padded(u64::from(call.latency_us) / 1000 % 1000, 3, out);
    out.extend_from_slice(b" 0.000 ");
    number(u64::from(call.status), out);
    out.push(b' ');
    number(u64::from(call.status), out);
    out.extend_from_slice(b" 431 ");
    number(u64::from(call.bytes), out);
    out.extend_from_slice(b" \"");
    out.extend_from_slice(call.method.as_bytes());
    out.extend_from_slice(b" https://api.example.com:443");
    target(call, out);
    out.push(if call.limit.is_some() { b'&' } else { b'?' });
    out.extend_from_slice(b"api_key=");
    out.extend_from_slice(&call.credential);
    out.extend_from_slice(b" HTTP/2.0\" \"");
    out.extend_from_slice(call.user_agent.as_bytes());
    out.extend_from_slice(b"\" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 ");
    out.extend_from_slice(GROUP);
    out.extend_from_slice(b" \"Root=1-5c18b2f0-00000000");
    hex(call.request_id, out);
    out.extend_from_slice(b"\" \"api.example.com\" \"");
    out.extend_from_slice(CERTIFICATE);
    out.extend_from_slice(b"\" 0 ");
    iso(call.at_us, date, out);
    out.extend_from_slice(b" \"forward\" \"-\" \"-\"");
}

fn iso(at_us: i64, date: &mut Date, out: &mut Vec<u8>) {
    let of_day = date.at(at_us);
    out.extend_from_slice(&date.iso);
    time_of_day(of_day / 1_000_000, out);
    out.push(b'.');
    padded(of_day % 1_000_000, 6, out);
    out.push(b'Z');
}

fn time_of_day(s: u64, out: &mut Vec<u8>) {
    padded(s / 3600, 2, out);
    out.push(b':');
    padded(s / 60 % 60, 2, out);
    out.push(b':');
    padded(s % 60, 2, out);
}

fn address(call: &Call<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(call.network.as_bytes());
    number(u64::from(call.machine), out);
}

/// The path and the query.
fn target(call: &Call<'_>, out: &mut Vec<u8>) {
    out.extend_from_slice(call.route.before.as_bytes());
    number(call.id, out);
    out.extend_from_slice(call.route.after.as_bytes());
    if let Some(limit) = call.limit {
        out.extend_from_slice(b"?limit=");
        number(u64::from(limit), out);
    }
}

fn number(number: u64, out: &mut Vec<u8>) {
    let digits = number.checked_ilog10().unwrap_or(0) as usize + 1;
    padded(number, digits, out);
}

/// The last `digits` digits, at most 20.
fn padded(mut number: u64, digits: usize, out: &mut Vec<u8>) {
    let mut text = [b'0'; 20];
    for byte in text[..digits].iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&text[..digits]);
}

fn hex(bits: u64, out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let nibbles = (0..16).rev().map(|place| DIGITS[(bits >> (4 * place) & 15) as usize]);
    let mut text = [0; 16];
    text.iter_mut().zip(nibbles).for_each(|(byte, nibble)| *byte = nibble);
    out.extend_from_slice(&text);
}
