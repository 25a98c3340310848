//! The values of a line → a call, where nothing is to be chosen and nothing is odd.
//!
//! In the lines of one layout most fields have one source, and most values are written in the plainest way there is. This
//! reads such lines only, and gives up at anything else; [`Fields::call`] then says what the line is. It may be faster,
//! never different.

use std::borrow::Cow;

use crate::call::{Call, Outcome, Sourced};
use crate::parse::Values;
use crate::parse::fields::{
    Fields, LatencySource, Origin, RoutedSources, Source, Status, Unit, short_whole,
};
use crate::parse::instant::{PlainTime, Zone};
use crate::parse::request::{is_method, is_version};

/// Slots of the fields that lines have.
#[derive(Debug)]
pub(crate) struct Plain {
    zone: Zone,
    time: PlainTime,
    at: usize,
    target: Target,
    credential: Option<usize>,
    host: Option<usize>,
    status: Option<usize>,
    bytes: Option<usize>,
    /// With the nanoseconds of its unit.
    latency: Option<(usize, u64)>,
    subject: Routed,
    actor: Routed,
}

/// Where the request target is.
#[derive(Debug)]
enum Target {
    /// A value of its own, as is the method, if there is one.
    Apart { path: usize, method: Option<usize> },
    /// In a request line, which holds the method too.
    RequestLine(usize),
}

impl Target {
    fn new(path: &[Source], method: &[Source]) -> Option<Target> {
        if let ([path], [method]) = (path, method)
            && let (&Origin::RequestLine(slot), &Origin::RequestLine(same)) =
                (&path.origin, &method.origin)
            && path.map.is_none()
            && method.map.is_none()
            && slot == same
        {
            return Some(Target::RequestLine(slot));
        }
        Some(Target::Apart { path: only(path)??, method: only(method)? })
    }

    /// The path and the method.
    #[inline]
    fn read<'a>(&self, values: Values<'a>) -> Option<(&'a str, Option<&'a str>)> {
        let (path, method) = match *self {
            Target::Apart { path, method } => {
                (values.get(path)?, method.and_then(|method| values.get(method)))
            }
            Target::RequestLine(slot) => {
                let (method, rest) = values.get(slot)?.split_once(' ')?;
                let (path, version) = rest.split_once(' ')?;
                (Some(path).filter(|_| is_version(version))?, Some(method))
            }
        };
        let is_plain = path.starts_with('/') && method.is_none_or(is_method);
        is_plain.then_some((path, method))
    }
}

#[derive(Debug)]
struct Routed {
    before: Option<usize>,
    route: Option<String>,
    after: Option<usize>,
}

/// The slot of a field that has one source at most, taken as it is. The outer option is none if it has others.
fn only(sources: &[Source]) -> Option<Option<usize>> {
    match sources {
        [] => Some(None),
        [Source { origin: Origin::Slot(slot), map: None }] => Some(Some(*slot)),
        _ => None,
    }
}

impl Routed {
    fn new(sources: &RoutedSources) -> Option<Routed> {
        let (before, after) = (only(&sources.before)?, only(&sources.after)?);
        Some(Routed { before, route: sources.route.clone(), after })
    }

    #[inline]
    fn sourced<'a>(&'a self, values: Values<'a>) -> Sourced<'a> {
        let text = |slot: Option<usize>| values.get(slot?).map(Cow::Borrowed);
        Sourced { before: text(self.before), route: self.route.as_deref(), after: text(self.after) }
    }
}

impl Plain {
    /// The same fields, if they are as plain as that.
    pub(crate) fn new(fields: &Fields) -> Option<Plain> {
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
            subject,
            actor,
            remote_addr,
            user_agent,
            request_id,
        } = fields;
        let others = [is_call, query, api, operation, outcome, remote_addr, user_agent, request_id];
        if others.iter().any(|sources| !sources.is_empty())
            || !requires.is_empty()
            || !outcomes.is_empty()
        {
            return None;
        }
        let at = match at.as_slice() {
            [at] if at.joined.is_empty() && !at.is_end => at,
            _ => return None,
        };
        let status = match status.as_slice() {
            [] => None,
            [status] if !status.grpc && status.map.is_none() => Some(status.slot),
            _ => return None,
        };
        let latency = match latency.as_slice() {
            [] => None,
            [LatencySource { slots, unit: Unit::Power(power) }] if slots.len() == 1 => {
                Some((slots[0], 10u64.checked_pow(u32::try_from(*power).ok()?)?))
            }
            _ => return None,
        };
        Some(Plain {
            zone: zone.clone().unwrap_or(Zone::UTC),
            time: PlainTime::of(&at.form)?,
            at: at.slot,
            target: Target::new(path, method)?,
            credential: only(credential)?,
            host: only(host)?,
            status,
            bytes: only(bytes)?,
            latency,
            subject: Routed::new(subject)?,
            actor: Routed::new(actor)?,
        })
    }

    /// The call, or nothing, whatever the line is.
    #[inline]
    pub(crate) fn call<'a>(&'a self, values: Values<'a>) -> Option<Call<'a>> {
        let text = |slot: Option<usize>| values.get(slot?);
        let (path, method) = self.target.read(values)?;
        let at = self.time.read(values.get(self.at)?, &self.zone)?;
        let status = match text(self.status) {
            None => Status { number: None, outcome: Outcome::Unknown },
            Some(status) => Status::of(short_whole(status)?.into(), false)?,
        };
        let bytes = match text(self.bytes) {
            None => None,
            Some(bytes) => Some(short_whole(bytes)?),
        };
        let latency_us = match self.latency {
            None => None,
            Some((slot, unit_ns)) => match values.get(slot) {
                None => None,
                Some(latency) => Some(short_whole(latency)?.checked_mul(unit_ns)? / 1000),
            },
        };
        Some(Call {
            at,
            credential: text(self.credential).map(Cow::Borrowed),
            method: method.map(Cow::Borrowed),
            path: Some(Cow::Borrowed(path)),
            host: text(self.host).map(Cow::Borrowed),
            api: None,
            operation: None,
            outcome: status.outcome,
            status: status.number,
            bytes,
            latency_us,
            subject: self.subject.sourced(values),
            actor: self.actor.sourced(values),
            remote_addr: None,
            user_agent: None,
            request_id: None,
        })
    }
}
