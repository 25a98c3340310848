//! The values of a line → a call: which value is which call field, and what it means.
//!
//! Knows no format kind: values come by slot, whoever found them.

use std::borrow::Cow;

use crate::call::{Call, Outcome, Reason, Sourced};
use crate::parse::instant::{TimeForm, Zone};
use crate::parse::layout::Layout;
use crate::parse::number::{Decimal, duration_ns};
use crate::parse::request::{is_method, query_parameter, request_line, request_or_target};
use crate::parse::table::Table;
use crate::parse::{Values, Wanted};
use crate::time::{self, Instant};
use crate::word;

/// How a format maps its values onto call fields. In each list the first present source counts.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pub(crate) zone: Option<Zone>,
    /// Whether a record is a call at all, as `true` or `false`, where a log holds others too.
    pub(crate) is_call: Vec<Source>,
    /// Slots of which a line must hold a value in one to be of the format; empty where any line may be.
    pub(crate) requires: Vec<usize>,
    pub(crate) at: Vec<AtSource>,
    pub(crate) credential: Vec<Source>,
    pub(crate) method: Vec<Source>,
    pub(crate) path: Vec<Source>,
    /// The query string, where a log keeps it apart from the path.
    pub(crate) query: Vec<Source>,
    pub(crate) host: Vec<Source>,
    pub(crate) api: Vec<Source>,
    pub(crate) operation: Vec<Source>,
    pub(crate) status: Vec<StatusSource>,
    pub(crate) outcome: Vec<Source>,
    /// Outcomes by status, before any other rule.
    pub(crate) outcomes: Table<Outcome>,
    pub(crate) bytes: Vec<Source>,
    pub(crate) latency: Vec<LatencySource>,
    pub(crate) subject: RoutedSources,
    pub(crate) actor: RoutedSources,
    pub(crate) remote_addr: Vec<Source>,
    pub(crate) user_agent: Vec<Source>,
    pub(crate) request_id: Vec<Source>,
}

/// One place a text may come from.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) origin: Origin,
    /// Values that stand for other words; what is not in it stays as it is.
    pub(crate) map: Option<Table<String>>,
}

/// Where a text comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// A value of the log.
    Slot(usize),
    /// A value of the log that is known to be a whole request line.
    RequestLine(usize),
    /// A path that the server has decoded. Without `query`, what looks like one's beginning in it came escaped.
    Decoded { slot: usize, query: bool },
    /// A parameter of the request target's query.
    Query(String),
    /// The format's own word, whatever the log holds.
    Constant(String),
}

/// Sources of a text that may also come from a placeholder of the matched route.
#[derive(Debug, Default)]
pub(crate) struct RoutedSources {
    pub(crate) before: Vec<Source>,
    pub(crate) route: Option<String>,
    pub(crate) after: Vec<Source>,
}

/// One place the time may come from.
#[derive(Debug)]
pub(crate) struct AtSource {
    pub(crate) slot: usize,
    /// What follows it, with blanks between: a log may have the date and the time of day apart.
    pub(crate) joined: Vec<usize>,
    pub(crate) form: TimeForm,
    /// Whether it is the time of the response, so that the latency is to be taken off.
    pub(crate) is_end: bool,
}

/// One place the status may come from.
#[derive(Debug)]
pub(crate) struct StatusSource {
    pub(crate) slot: usize,
    /// Whether numbers are gRPC's, not HTTP's.
    pub(crate) grpc: bool,
    pub(crate) map: Option<Table<Status>>,
}

/// What a status means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Status {
    pub(crate) number: Option<u16>,
    pub(crate) outcome: Outcome,
}

/// One place the latency may come from.
#[derive(Debug)]
pub(crate) struct LatencySource {
    /// One, or several whose sum it is.
    pub(crate) slots: Vec<usize>,
    pub(crate) unit: Unit,
}

/// The unit of a latency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// Ten to this power nanoseconds.
    Power(i64),
    /// Stands in the value: `0.123s`, `1m3.5s`. A bare number is of the other unit, if there is one.
    Written { or: Option<i64> },
}

impl Fields {
    /// The same fields for lines of one layout: without sources whose values such lines never have, the slots of the others
    /// being those of the layout. None if no such line is of the format.
    pub(crate) fn within(&self, layout: &mut Layout, wanted: Wanted) -> Option<Fields> {
        let unless = |unwanted: bool, all: &'_ [Source], layout: &mut Layout| match unwanted {
            true => Vec::new(),
            false => sources_within(all, layout),
        };
        let sums_only = wanted != Wanted::Everything;
        let requires: Vec<usize> =
            self.requires.iter().filter_map(|&slot| layout.ask(slot)).collect();
        if requires.is_empty() && !self.requires.is_empty() {
            return None;
        }
        let at = self.at.iter().filter_map(|source| {
            Some(AtSource {
                slot: layout.ask(source.slot)?,
                joined: source
                    .joined
                    .iter()
                    .map(|&slot| layout.ask(slot))
                    .collect::<Option<_>>()?,
                form: source.form.clone(),
                is_end: source.is_end,
            })
        });
        let at = at.collect();
        let status = self.status.iter().filter_map(|source| {
            let slot = layout.ask(source.slot)?;
            Some(StatusSource { slot, grpc: source.grpc, map: source.map.clone() })
        });
        let status = status.collect();
        let latency = self.latency.iter().filter_map(|source| {
            let slots = source.slots.iter().map(|&slot| layout.ask(slot)).collect::<Option<_>>()?;
            Some(LatencySource { slots, unit: source.unit })
        });
        let latency = latency.collect();
        Some(Fields {
            zone: self.zone.clone(),
            is_call: sources_within(&self.is_call, layout),
            requires,
            at,
            credential: sources_within(&self.credential, layout),
            method: sources_within(&self.method, layout),
            path: sources_within(&self.path, layout),
            query: sources_within(&self.query, layout),
            host: sources_within(&self.host, layout),
            api: sources_within(&self.api, layout),
            operation: sources_within(&self.operation, layout),
            status,
            outcome: sources_within(&self.outcome, layout),
            outcomes: self.outcomes.clone(),
            bytes: sources_within(&self.bytes, layout),
            latency,
            subject: self.subject.within(layout),
            actor: match sums_only {
                true => RoutedSources::default(),
                false => self.actor.within(layout),
            },
            remote_addr: unless(sums_only, &self.remote_addr, layout),
            user_agent: unless(sums_only, &self.user_agent, layout),
            request_id: unless(sums_only, &self.request_id, layout),
        })
    }

    /// Makes a call of a line's values.
    ///
    /// # Errors
    ///
    /// The first reason that applies, in the order of [`Reason`].
    pub(crate) fn call<'a>(&'a self, values: Values<'a>) -> Result<Call<'a>, Reason> {
        let is_call = text(&self.is_call, values, None);
        // What is no call need not have a time.
        if is_call.as_deref() == Some("false") {
            return Err(Reason::NoTarget);
        }
        let zone = self.zone.as_ref().unwrap_or(&Zone::UTC);
        let latency_ns = self.latency_ns(values);
        let at = self.at(values, zone, latency_ns).ok_or(Reason::NoTime)?;
        let path = self.path(values);
        let target = path.as_ref();
        let api = text(&self.api, values, target);
        if path.is_none() && api.is_none() {
            return Err(Reason::NoTarget);
        }
        if is_call.is_some_and(|word| word != "true") {
            return Err(Reason::BadValue);
        }
        // What is no request lacks much of what requests have, and is no line of another format for that.
        if !self.requires.is_empty() && self.requires.iter().all(|&slot| values.get(slot).is_none())
        {
            return Err(Reason::Malformed);
        }
        let status = self.status(values)?;
        let outcome = match text(&self.outcome, values, target) {
            Some(word) => Outcome::from_name(&word).ok_or(Reason::BadValue)?,
            None => status.outcome,
        };
        let bytes = match first(&self.bytes, values) {
            Some(value) => Some(natural(value).ok_or(Reason::BadValue)?),
            None => None,
        };
        let latency_us = match latency_ns.map_err(|Unreadable| Reason::BadValue)? {
            Some(ns) => Some(u64::try_from(ns / 1000).map_err(|_| Reason::BadValue)?),
            None => None,
        };
        Ok(Call {
            at,
            credential: text(&self.credential, values, target),
            method: self.method(values),
            host: text(&self.host, values, target),
            api,
            operation: text(&self.operation, values, target),
            outcome,
            status: status.number,
            bytes,
            latency_us,
            subject: self.subject.sourced(values, target),
            actor: self.actor.sourced(values, target),
            remote_addr: text(&self.remote_addr, values, target).map(without_port),
            user_agent: text(&self.user_agent, values, target),
            request_id: text(&self.request_id, values, target),
            path,
        })
    }

    fn at(
        &self,
        values: Values<'_>,
        zone: &Zone,
        latency_ns: Result<Option<u128>, Unreadable>,
    ) -> Option<Instant> {
        let (source, value) =
            self.at.iter().find_map(|source| Some((source, source.value(values)?)))?;
        let at = source.form.read(&value, zone)?;
        match latency_ns {
            Ok(Some(ns)) if source.is_end => {
                Some(at.saturating_sub_ns(i64::try_from(ns).unwrap_or(i64::MAX)))
            }
            _ => Some(at),
        }
    }

    /// The request target: out of a request line if it stands in one, with the query that is logged apart.
    fn path<'a>(&'a self, values: Values<'a>) -> Option<Cow<'a, str>> {
        let path = self.path.iter().find_map(|source| {
            let value = source.value(values)?;
            let request = match &source.origin {
                Origin::Decoded { query, .. } => return Some(encoded(value, *query)),
                Origin::RequestLine(_) => request_line(value),
                _ => request_or_target(value),
            };
            request.map(|request| Cow::Borrowed(request.target))
        })?;
        // Where the log keeps the query apart, that is the query: a `?` in the path may have been an escaped one.
        let Some(query) = first(&self.query, values) else { return Some(path) };
        let path = path.split_once('?').map_or(path.as_ref(), |(path, _)| path);
        let query = query.strip_prefix('?').unwrap_or(query);
        Some(Cow::Owned(format!("{path}?{query}")))
    }

    /// The method: the field itself, or the one in a request line.
    fn method<'a>(&'a self, values: Values<'a>) -> Option<Cow<'a, str>> {
        self.method
            .iter()
            .find_map(|source| {
                let value = source.value(values)?;
                match &source.origin {
                    Origin::Slot(_) | Origin::Constant(_) if is_method(value) => Some(value),
                    _ => request_line(value)?.method,
                }
            })
            .map(Cow::Borrowed)
    }

    fn status(&self, values: Values<'_>) -> Result<Status, Reason> {
        let first = self.status.iter().find_map(|source| Some((source, values.get(source.slot)?)));
        let Some((source, value)) = first else {
            return Ok(Status { number: None, outcome: Outcome::Unknown });
        };
        let read = || Status::read(value, source.grpc);
        if let Some(&outcome) = self.outcomes.get(value) {
            return Ok(Status { number: read().and_then(|status| status.number), outcome });
        }
        if let Some(&status) = source.map.as_ref().and_then(|map| map.get(value)) {
            let number = || read().and_then(|status| status.number);
            return Ok(Status { number: status.number.or_else(number), ..status });
        }
        read().ok_or(Reason::BadValue)
    }

    fn latency_ns(&self, values: Values<'_>) -> Result<Option<u128>, Unreadable> {
        let present =
            |source: &LatencySource| source.slots.iter().all(|&slot| values.get(slot).is_some());
        let Some(source) = self.latency.iter().find(|source| present(source)) else {
            return Ok(None);
        };
        let parts = source.slots.iter().filter_map(|&slot| values.get(slot));
        let mut sum = 0u128;
        for value in parts {
            sum = sum.checked_add(source.unit.read_ns(value)?).ok_or(Unreadable)?;
        }
        Ok(Some(sum))
    }
}

impl Unit {
    /// A latency in nanoseconds, what is below one cut off.
    fn read_ns(self, value: &str) -> Result<u128, Unreadable> {
        let power = match self {
            Unit::Power(power) => power,
            Unit::Written { or } => match (duration_ns(value), or) {
                (Some(ns), _) => return Ok(ns),
                (None, Some(power)) => power,
                (None, None) => return Err(Unreadable),
            },
        };
        if let (Some(whole), Ok(power)) = (short_whole(value.as_bytes()), u32::try_from(power))
            && let Some(ns) = 10u64.checked_pow(power).and_then(|unit| whole.checked_mul(unit))
        {
            return Ok(ns.into());
        }
        let number = Decimal::parse(value).ok_or(Unreadable)?;
        let (ns, exact) = number.scaled(power).ok_or(Unreadable)?;
        if number.negative && (ns > 0 || !exact) {
            return Err(Unreadable);
        }
        Ok(ns)
    }
}

/// A number that cannot be read. Whether that matters is for the order of reasons to say.
#[derive(Clone, Copy)]
struct Unreadable;

impl Status {
    /// Reads a status number; `None` if it is none.
    ///
    /// HTTP: 100–399 served; 401, 403, 407 and 451 denied; other 4xx and 5xx failed; -1 and 0 unknown.
    /// gRPC: 0 served, 7 (permission denied) and 16 (unauthenticated) denied, all others failed.
    pub(crate) fn read(text: &str, grpc: bool) -> Option<Status> {
        let number = match short_whole(text.as_bytes()) {
            Some(whole) => return Status::of(whole.into(), grpc),
            None => Decimal::parse(text)?,
        };
        let (magnitude, exact) = number.scaled(0)?;
        if !exact {
            return None;
        }
        if number.negative && magnitude != 0 {
            let outcome = if grpc { Outcome::Failed } else { Outcome::Unknown };
            return (grpc || magnitude == 1).then_some(Status { number: None, outcome });
        }
        Status::of(magnitude, grpc)
    }

    pub(crate) fn of(magnitude: u128, grpc: bool) -> Option<Status> {
        let outcome = match (grpc, magnitude) {
            (true, 0) => Outcome::Served,
            (true, 7 | 16) => Outcome::Denied,
            (true, _) => Outcome::Failed,
            (false, 0) => return Some(Status { number: None, outcome: Outcome::Unknown }),
            (false, 100..=399) => Outcome::Served,
            (false, 401 | 403 | 407 | 451) => Outcome::Denied,
            (false, 400..=599) => Outcome::Failed,
            (false, _) => return None,
        };
        Some(Status { number: u16::try_from(magnitude).ok(), outcome })
    }
}

/// What a map says of values that stay as they are, where others that fit fewer characters of them would not.
const AS_IT_IS: &str = "*";

impl Source {
    /// The log's own value for it, or the format's. A query parameter is none.
    fn value<'a>(&'a self, values: Values<'a>) -> Option<&'a str> {
        match &self.origin {
            Origin::Slot(slot) | Origin::RequestLine(slot) | Origin::Decoded { slot, .. } => {
                Some(self.mapped(values.get(*slot)?)).filter(|value| !is_absent(value))
            }
            Origin::Constant(word) => Some(word),
            Origin::Query(_) => None,
        }
    }

    fn mapped<'a>(&'a self, value: &'a str) -> &'a str {
        match self.map.as_ref().and_then(|map| map.get(value)) {
            Some(meaning) if meaning != AS_IT_IS => meaning,
            _ => value,
        }
    }

    fn text<'a>(
        &'a self,
        values: Values<'a>,
        target: Option<&Cow<'a, str>>,
    ) -> Option<Cow<'a, str>> {
        let Origin::Query(name) = &self.origin else {
            return self.value(values).map(Cow::Borrowed);
        };
        let value = match target? {
            Cow::Borrowed(target) => query_parameter(target, name)?,
            Cow::Owned(target) => Cow::Owned(query_parameter(target, name)?.into_owned()),
        };
        let value = match self.map.as_ref().and_then(|map| map.get(value.as_ref())) {
            Some(mapped) if mapped != AS_IT_IS => Cow::Borrowed(mapped.as_str()),
            _ => value,
        };
        (!is_absent(&value)).then_some(value)
    }
}

impl AtSource {
    /// The time as the log has it; absent if a part of it is.
    fn value<'a>(&self, values: Values<'a>) -> Option<Cow<'a, str>> {
        let first = values.get(self.slot)?;
        if self.joined.is_empty() {
            return Some(Cow::Borrowed(first));
        }
        let rest = self.joined.iter().map(|&slot| values.get(slot));
        let parts: Option<Vec<&str>> = std::iter::once(Some(first)).chain(rest).collect();
        Some(Cow::Owned(parts?.join(" ")))
    }
}

impl RoutedSources {
    /// See [`Fields::within`].
    fn within(&self, layout: &mut Layout) -> RoutedSources {
        RoutedSources {
            before: sources_within(&self.before, layout),
            route: self.route.clone(),
            after: sources_within(&self.after, layout),
        }
    }

    fn sourced<'a>(&'a self, values: Values<'a>, target: Option<&Cow<'a, str>>) -> Sourced<'a> {
        Sourced {
            before: text(&self.before, values, target),
            route: self.route.as_deref(),
            after: text(&self.after, values, target),
        }
    }
}

/// See [`Fields::within`].
fn sources_within(sources: &[Source], layout: &mut Layout) -> Vec<Source> {
    let within = |source: &Source| {
        let origin = match &source.origin {
            Origin::Slot(slot) => Origin::Slot(layout.ask(*slot)?),
            Origin::RequestLine(slot) => Origin::RequestLine(layout.ask(*slot)?),
            Origin::Decoded { slot, query } => {
                Origin::Decoded { slot: layout.ask(*slot)?, query: *query }
            }
            Origin::Query(_) | Origin::Constant(_) => source.origin.clone(),
        };
        Some(Source { origin, map: source.map.clone() })
    };
    sources.iter().filter_map(within).collect()
}

/// The first present of several sources.
fn text<'a>(
    sources: &'a [Source],
    values: Values<'a>,
    target: Option<&Cow<'a, str>>,
) -> Option<Cow<'a, str>> {
    sources.iter().find_map(|source| source.text(values, target))
}

/// The first present of several sources that are values of the log.
fn first<'a>(sources: &'a [Source], values: Values<'a>) -> Option<&'a str> {
    sources.iter().find_map(|source| source.value(values))
}

/// An address without the port behind it, which is another one at each connection; anything else as it is.
fn without_port(text: Cow<'_, str>) -> Cow<'_, str> {
    fn bare(text: &str) -> Option<&str> {
        let is_port = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if let Some(rest) = text.strip_prefix('[') {
            let (address, port) = rest.split_once(']')?;
            return (port.is_empty() || port.strip_prefix(':').is_some_and(is_port))
                .then_some(address);
        }
        let (address, port) = text.rsplit_once(':')?;
        // More colons are those of an address of IPv6.
        (!address.contains([':', ' ', ',']) && is_port(port)).then_some(address)
    }
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(bare(text).unwrap_or(text)),
        Cow::Owned(text) => {
            let address = bare(&text).map(str::to_owned);
            Cow::Owned(address.unwrap_or(text))
        }
    }
}

/// A decoded path as a target: what means something there is escaped again, or it would be decoded a second time.
/// With `has_query` the path ends at its first question mark; what follows was never decoded.
fn encoded(value: &str, has_query: bool) -> Cow<'_, str> {
    let path = if has_query { value.split('?').next().unwrap_or(value) } else { value };
    if !path.contains(['%', '?', '#']) {
        return Cow::Borrowed(value);
    }
    let query = &value[path.len()..];
    Cow::Owned(path.replace('%', "%25").replace('?', "%3F").replace('#', "%23") + query)
}

fn natural(text: &str) -> Option<u64> {
    short_whole(text.as_bytes()).or_else(|| Decimal::parse(text)?.natural())
}

/// The number of a text that is a short run of digits, as nearly every number is.
#[inline]
pub(crate) fn short_whole(text: &[u8]) -> Option<u64> {
    if text.is_empty() || text.len() > SHORT_DIGITS {
        return None;
    }
    text.iter().try_fold(0, |number: u64, byte| {
        let digit = byte.wrapping_sub(b'0');
        (digit <= 9).then(|| number * 10 + u64::from(digit))
    })
}

/// The same of what stands in a line from `begin` to `end`.
#[inline]
pub(crate) fn short_whole_within(line: &[u8], begin: usize, end: usize) -> Option<u64> {
    match word::short_at(line, begin) {
        Some(eight) if end > begin && end - begin <= 8 => {
            time::whole_of_eight(eight, end - begin).map(u64::from)
        }
        _ => short_whole(line.get(begin..end)?),
    }
}

/// Digits of numbers that surely fit.
const SHORT_DIGITS: usize = 19;

/// Whether a text says that there is no value.
fn is_absent(text: &str) -> bool {
    matches!(text, "" | "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_status_to_outcome() {
        let read = |text| Status::read(text, false).map(|s| (s.number, s.outcome));
        for served in ["100", "200", "204", "301", "399", "200.0", "2e2"] {
            assert_eq!(read(served).unwrap().1, Outcome::Served, "{served}");
        }
        assert_eq!(read("200.0"), Some((Some(200), Outcome::Served)));
        for denied in ["401", "403", "407", "451"] {
            assert_eq!(read(denied).unwrap().1, Outcome::Denied, "{denied}");
        }
        for failed in ["400", "402", "404", "429", "499", "500", "503", "599"] {
            assert_eq!(read(failed).unwrap().1, Outcome::Failed, "{failed}");
        }
        for unknown in ["-1", "0", "000", "-0", "0.0"] {
            assert_eq!(read(unknown), Some((None, Outcome::Unknown)), "{unknown}");
        }
        for bad in ["99", "600", "200.5", "-2", "-200", "OK", "2xx", "99999999999999999999999"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn addresses_lose_their_ports() {
        let read = |text: &'static str| without_port(Cow::Borrowed(text));
        for (with, without) in
            [("10.0.0.7:443", "10.0.0.7"), ("[::1]:443", "::1"), ("[::1]", "::1")]
        {
            assert_eq!(read(with), without);
        }
        for same in
            ["10.0.0.7", "2001:db8::7", "a.example", "10.0.0.7, 10.0.0.8:1", "x:y", "[x", "[::1]x"]
        {
            assert_eq!(read(same), same);
        }
    }

    #[test]
    fn grpc_status_to_outcome() {
        let read = |text| Status::read(text, true).map(|s| s.outcome);
        assert_eq!(read("0"), Some(Outcome::Served));
        assert_eq!(read("7"), Some(Outcome::Denied));
        assert_eq!(read("16"), Some(Outcome::Denied));
        assert_eq!(read("5"), Some(Outcome::Failed));
        assert_eq!(read("200"), Some(Outcome::Failed));
        assert_eq!(read("NOT_FOUND"), None);
    }
}
