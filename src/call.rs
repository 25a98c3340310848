//! One parsed log record: what every format is mapped onto, and all the judge sees of a log.

use std::borrow::Cow;
use std::fmt;

use crate::time::Instant;

/// What the API did with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// It answered.
    Served,
    /// It refused.
    Denied,
    /// It broke, or the request was wrong in another way.
    Failed,
    /// The log does not say.
    Unknown,
}

impl Outcome {
    /// All outcomes, in the order of reports.
    pub const ALL: [Outcome; 4] =
        [Outcome::Served, Outcome::Denied, Outcome::Failed, Outcome::Unknown];

    /// The word used in every report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Outcome::Served => "served",
            Outcome::Denied => "denied",
            Outcome::Failed => "failed",
            Outcome::Unknown => "unknown",
        }
    }

    /// The outcome of that name.
    pub fn from_name(name: &str) -> Option<Outcome> {
        Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == name)
    }

    /// Whether the call must be taken as served: a log that is silent about the
    /// outcome clears nobody.
    pub const fn counts_as_served(self) -> bool {
        matches!(self, Outcome::Served | Outcome::Unknown)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A call field that a format may also take from a placeholder of the matched route.
///
/// The first present of `before`, the placeholder's value, `after` counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sourced<'a, Text = Cow<'a, str>> {
    /// The first present of the sources listed before the placeholder.
    pub before: Option<Text>,
    /// The placeholder's name, if the format lists one.
    pub route: Option<&'a str>,
    /// The first present of the sources listed after it.
    pub after: Option<Text>,
}

impl<'a> From<Sourced<'a, &'a str>> for Sourced<'a> {
    fn from(sourced: Sourced<'a, &'a str>) -> Sourced<'a> {
        let Sourced { before, route, after } = sourced;
        Sourced { before: before.map(Cow::Borrowed), route, after: after.map(Cow::Borrowed) }
    }
}

/// One call as a log tells it. Absent is `None`, never empty or 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call<'a> {
    /// When the request arrived.
    pub at: Instant,
    /// What the call presented.
    pub credential: Option<Cow<'a, str>>,
    /// The HTTP method, as logged.
    pub method: Option<Cow<'a, str>>,
    /// The request target as logged: a path with its query, or a full URL. Taken out of the request line.
    pub path: Option<Cow<'a, str>>,
    /// The host the request was for, as logged.
    pub host: Option<Cow<'a, str>>,
    /// The api, where the log names it.
    pub api: Option<Cow<'a, str>>,
    /// The operation, where the log names it.
    pub operation: Option<Cow<'a, str>>,
    /// What the API did.
    pub outcome: Outcome,
    /// The status number as logged, HTTP or gRPC.
    pub status: Option<u16>,
    /// Bytes sent to the caller.
    pub bytes: Option<u64>,
    /// How long the API took, in microseconds, rounded down.
    pub latency_us: Option<u64>,
    /// The person whose data the call touches.
    pub subject: Sourced<'a>,
    /// The person logged in.
    pub actor: Sourced<'a>,
    /// The network address the call came from.
    pub remote_addr: Option<Cow<'a, str>>,
    /// The program that called.
    pub user_agent: Option<Cow<'a, str>>,
    /// The id the platform gave the request.
    pub request_id: Option<Cow<'a, str>>,
}

/// A call whose line says all of it in the plainest way: the target is a path, and all that is not here is absent.
///
/// It is small, where a [`Call`] has room for whatever a log may bring.
#[derive(Clone, Copy, Debug)]
pub struct Brief<'a> {
    /// See [`Call::at`], as for all the others.
    pub at: Instant,
    /// What the call presented.
    pub credential: Option<&'a str>,
    /// The HTTP method.
    pub method: Option<&'a str>,
    /// The request target; begins with a slash.
    pub path: &'a str,
    /// The host the request was for.
    pub host: Option<&'a str>,
    /// What the API did.
    pub outcome: Outcome,
    /// The status number.
    pub status: Option<u16>,
    /// Bytes sent to the caller.
    pub bytes: Option<u64>,
    /// How long the API took, in microseconds.
    pub latency_us: Option<u64>,
    /// The person whose data the call touches.
    pub subject: Sourced<'a, &'a str>,
}

impl<'a> From<Brief<'a>> for Call<'a> {
    fn from(brief: Brief<'a>) -> Call<'a> {
        Call {
            at: brief.at,
            credential: brief.credential.map(Cow::Borrowed),
            method: brief.method.map(Cow::Borrowed),
            path: Some(Cow::Borrowed(brief.path)),
            host: brief.host.map(Cow::Borrowed),
            api: None,
            operation: None,
            outcome: brief.outcome,
            status: brief.status,
            bytes: brief.bytes,
            latency_us: brief.latency_us,
            subject: brief.subject.into(),
            actor: Sourced::default(),
            remote_addr: None,
            user_agent: None,
            request_id: None,
        }
    }
}

/// What a line says.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is looked at where it is, and to box whole calls costs each one a box"
)]
pub enum Parsed<'a> {
    /// A plain call.
    Brief(Brief<'a>),
    /// Any call.
    Whole(Call<'a>),
}

impl<'a> From<Parsed<'a>> for Call<'a> {
    fn from(parsed: Parsed<'a>) -> Call<'a> {
        match parsed {
            Parsed::Brief(brief) => brief.into(),
            Parsed::Whole(call) => call,
        }
    }
}

/// Why a line is no call. The first that applies, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Longer than [`crate::limits::LINE_BYTES_MAX`].
    TooLong,
    /// Not UTF-8.
    NotUtf8,
    /// Does not fit the format.
    Malformed,
    /// `at` absent or unreadable.
    NoTime,
    /// Neither path nor api.
    NoTarget,
    /// Status, bytes or latency unreadable.
    BadValue,
}

impl Reason {
    /// All reasons, in the order in which they apply.
    pub const ALL: [Reason; 6] = [
        Reason::TooLong,
        Reason::NotUtf8,
        Reason::Malformed,
        Reason::NoTime,
        Reason::NoTarget,
        Reason::BadValue,
    ];

    /// The word used in every report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::TooLong => "too-long",
            Reason::NotUtf8 => "not-utf8",
            Reason::Malformed => "malformed",
            Reason::NoTime => "no-time",
            Reason::NoTarget => "no-target",
            Reason::BadValue => "bad-value",
        }
    }
}
