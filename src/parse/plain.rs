//! The values of a line → a call, where nothing is to be chosen and nothing is odd.
//!
//! In the lines of one layout most fields have one source, and most values are written in the plainest way there is. This
//! reads such lines only, each value when its end is found, and gives up at anything else; [`Fields::call`] then says what
//! the line is. It may be faster, never different.

use crate::call::{Brief, Outcome, Sourced};
use crate::limits::LINE_TEXTS_MAX;
use crate::parse::fields::{
    Fields, LatencySource, Origin, RoutedSources, Source, Status, Unit, short_whole_within,
};
use crate::parse::instant::{PlainTime, Zone};
use crate::parse::request::{is_method, is_version};
use crate::time::Instant;

/// What the fields that lines have are read from.
#[derive(Debug)]
pub(crate) struct Plain {
    zone: Zone,
    time: PlainTime,
    target: Target,
    credential: Option<usize>,
    host: Option<usize>,
    /// Nanoseconds of the latency's unit.
    latency_unit_ns: u64,
    before: Option<usize>,
    route: Option<String>,
    after: Option<usize>,
}

/// What a value is read for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Nothing.
    #[default]
    None,
    /// When the request arrived.
    Time,
    /// The HTTP status.
    Status,
    /// Bytes sent.
    Bytes,
    /// How long it took.
    Latency,
    /// The text of that number.
    Text(usize),
}

/// Where the request target is.
#[derive(Debug)]
enum Target {
    /// A text of its own, as is the method, if there is one.
    Apart { path: usize, method: Option<usize> },
    /// In a request line, which holds the method too.
    RequestLine(usize),
}

/// Where a text stands in its line, from byte to byte. Absent texts are empty.
type Span = (u32, u32);

/// What a line was read for, until its call is asked for. The texts stay where they are.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PlainValues {
    at: Option<Instant>,
    status: Option<Status>,
    bytes: Option<u64>,
    latency: Option<u64>,
    texts: [Span; LINE_TEXTS_MAX],
    path: Span,
    method: Span,
}

impl PlainValues {
    #[inline]
    fn text<'l>(&self, line: &'l str, text: Option<usize>) -> Option<&'l str> {
        span(line, *self.texts.get(text?)?)
    }
}

#[inline]
fn span(line: &str, (start, end): Span) -> Option<&str> {
    line.get(start as usize..end as usize).filter(|text| !text.is_empty())
}

/// What values are read for, one for each slot.
struct Goals {
    of_slots: Vec<Goal>,
    texts: usize,
}

impl Goals {
    /// Sets a slot's goal; none if it has another.
    fn set(&mut self, slot: usize, goal: Goal) -> Option<()> {
        let of_slot = self.of_slots.get_mut(slot)?;
        match *of_slot {
            Goal::None => *of_slot = goal,
            _ => return None,
        }
        Some(())
    }

    /// The number of a slot's text.
    fn text(&mut self, slot: usize) -> Option<usize> {
        if let Some(&Goal::Text(text)) = self.of_slots.get(slot) {
            return Some(text);
        }
        let text = Some(self.texts).filter(|text| *text < LINE_TEXTS_MAX)?;
        self.set(slot, Goal::Text(text))?;
        self.texts += 1;
        Some(text)
    }

    /// The text of a field that has one source at most, taken as it is. The outer option is none if it has others.
    fn only(&mut self, sources: &[Source]) -> Option<Option<usize>> {
        match sources {
            [] => Some(None),
            [Source { origin: Origin::Slot(slot), map: None }] => self.text(*slot).map(Some),
            _ => None,
        }
    }

    fn target(&mut self, path: &[Source], method: &[Source]) -> Option<Target> {
        if let ([path], [method]) = (path, method)
            && let (&Origin::RequestLine(slot), &Origin::RequestLine(same)) =
                (&path.origin, &method.origin)
            && path.map.is_none()
            && method.map.is_none()
            && slot == same
        {
            return self.text(slot).map(Target::RequestLine);
        }
        Some(Target::Apart { path: self.only(path)??, method: self.only(method)? })
    }
}

impl Plain {
    /// The same fields, if they are as plain as that, and what each of the first so many slots is read for.
    pub(crate) fn new(fields: &Fields, slots: usize) -> Option<(Plain, Vec<Goal>)> {
        let Fields {
            zone,
            is_call,
            requires,
            at,
            credential,
            method,
            path,
            query,
            host,
            api,
            operation,
            status,
            outcome,
            outcomes,
            bytes,
            latency,
            subject: RoutedSources { before, route, after },
            actor: RoutedSources { before: actor_before, route: actor_route, after: actor_after },
            remote_addr,
            user_agent,
            request_id,
        } = fields;
        let others = [is_call, query, api, operation, outcome, remote_addr, user_agent, request_id];
        let others = others.into_iter().chain([actor_before, actor_after]);
        if others.into_iter().any(|sources| !sources.is_empty())
            || actor_route.is_some()
            || !requires.is_empty()
            || !outcomes.is_empty()
        {
            return None;
        }
        let mut goals = Goals { of_slots: vec![Goal::None; slots], texts: 0 };
        let at = match at.as_slice() {
            [at] if at.joined.is_empty() && !at.is_end => at,
            _ => return None,
        };
        goals.set(at.slot, Goal::Time)?;
        match status.as_slice() {
            [] => {}
            [status] if !status.grpc && status.map.is_none() => {
                goals.set(status.slot, Goal::Status)?;
            }
            _ => return None,
        }
        match bytes.as_slice() {
            [] => {}
            [Source { origin: Origin::Slot(slot), map: None }] => goals.set(*slot, Goal::Bytes)?,
            _ => return None,
        }
        let latency_unit_ns = match latency.as_slice() {
            [] => 0,
            [LatencySource { slots, unit: Unit::Power(power) }] if slots.len() == 1 => {
                goals.set(slots[0], Goal::Latency)?;
                10u64.checked_pow(u32::try_from(*power).ok()?)?
            }
            _ => return None,
        };
        let plain = Plain {
            zone: zone.clone().unwrap_or(Zone::UTC),
            time: PlainTime::of(&at.form)?,
            target: goals.target(path, method)?,
            credential: goals.only(credential)?,
            host: goals.only(host)?,
            latency_unit_ns,
            before: goals.only(before)?,
            route: route.clone(),
            after: goals.only(after)?,
        };
        Some((plain, goals.of_slots))
    }

    /// Reads a value that stands in a line from `begin` to `end`. False if it is odd.
    #[inline(always)]
    pub(crate) fn read(
        &self,
        goal: Goal,
        line: &str,
        begin: usize,
        end: usize,
        values: &mut PlainValues,
    ) -> bool {
        if matches!(goal, Goal::None) {
            return true;
        }
        let bytes = line.as_bytes();
        // Absent, as everywhere.
        if end <= begin || (end - begin == 1 && bytes[begin] == b'-') {
            return true;
        }
        match goal {
            Goal::None => {}
            Goal::Text(text) => match (u32::try_from(begin), u32::try_from(end)) {
                (Ok(begin), Ok(end)) => values.texts[text] = (begin, end),
                _ => return false,
            },
            Goal::Time => {
                values.at = self.time.read(&bytes[begin..end], &self.zone);
                return values.at.is_some();
            }
            Goal::Status => {
                let number = short_whole_within(bytes, begin, end);
                values.status = number.and_then(|number| Status::of(number.into(), false));
                return values.status.is_some();
            }
            Goal::Bytes => {
                values.bytes = short_whole_within(bytes, begin, end);
                return values.bytes.is_some();
            }
            Goal::Latency => {
                values.latency = short_whole_within(bytes, begin, end);
                return values.latency.is_some();
            }
        }
        true
    }

    /// Whether the values of a whole line make a call.
    #[inline]
    pub(crate) fn complete(&self, line: &str, values: &mut PlainValues) -> bool {
        if values.at.is_none() {
            return false;
        }
        // Odd, if it does not fit.
        if let Some(latency) = values.latency {
            let Some(ns) = latency.checked_mul(self.latency_unit_ns) else { return false };
            values.latency = Some(ns / 1000);
        }
        let (path, method) = match self.target {
            Target::Apart { path, method } => {
                (values.texts[path], method.map_or((0, 0), |method| values.texts[method]))
            }
            Target::RequestLine(text) => {
                let (start, end) = values.texts[text];
                let Some(request) = span(line, (start, end)) else { return false };
                let Some((method, rest)) = request.split_once(' ') else { return false };
                let Some((path, version)) = rest.split_once(' ') else { return false };
                if !is_version(version) || method.is_empty() {
                    return false;
                }
                let method_end = start + method.len() as u32;
                let path_start = method_end + 1;
                ((path_start, path_start + path.len() as u32), (start, method_end))
            }
        };
        (values.path, values.method) = (path, method);
        let is_usual = |method: &str| matches!(method, "GET" | "POST" | "PUT" | "DELETE");
        span(line, path).is_some_and(|path| path.starts_with('/'))
            && span(line, method).is_none_or(|method| is_usual(method) || is_method(method))
    }

    /// The call of complete values.
    #[inline]
    pub(crate) fn brief<'a>(&'a self, line: &'a str, values: &PlainValues) -> Option<Brief<'a>> {
        let unknown = Status { number: None, outcome: Outcome::Unknown };
        let status = values.status.unwrap_or(unknown);
        Some(Brief {
            at: values.at?,
            credential: values.text(line, self.credential),
            method: span(line, values.method),
            path: span(line, values.path)?,
            host: values.text(line, self.host),
            outcome: status.outcome,
            status: status.number,
            bytes: values.bytes,
            latency_us: values.latency,
            subject: Sourced {
                before: values.text(line, self.before),
                route: self.route.as_deref(),
                after: values.text(line, self.after),
            },
        })
    }
}
