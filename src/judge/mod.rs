//! What the register says of a call, at the call's own time.
//!
//! Credential → partner, target → api and operation, then one step of a compiled
//! [`Timeline`]; consent is the one thing left to look up. [`axes`] is the
//! same question asked of the rows themselves.

mod kind;
mod verdict;
mod timeline;
mod credential;
mod consent;

use std::borrow::Cow;

use hashbrown::HashMap;

pub use consent::{Consents, Word};
pub use credential::{Holder, holder};
pub use kind::{Also, Verdict};
pub use timeline::{Step, Timeline, TimelineId, Timelines};
pub use verdict::{Axes, RecordedBy, axes};

use crate::call::{Brief, Call, Sourced};
use crate::register::{
    ApiId, CredentialId, GrantId, Match, PartnerId, Register, Remembered, Scratch,
    credential_digest, operation_of_method,
};
use crate::time::Instant;

/// Index into [`Judge::operations`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(pub u32);

/// A name that the register may or may not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name<'c, Id> {
    /// There is none.
    Absent,
    /// The register knows it.
    Known(Id),
    /// Only the log brings it.
    Logged(Cow<'c, str>),
}

impl<Id: Copy> Name<'_, Id> {
    /// The register's id, if it knows the name.
    pub fn known(&self) -> Option<Id> {
        match self {
            Name::Known(id) => Some(*id),
            Name::Absent | Name::Logged(_) => None,
        }
    }

    /// The name, if only the log brings it.
    pub fn logged(&self) -> Option<&str> {
        match self {
            Name::Logged(name) => Some(name),
            Name::Absent | Name::Known(_) => None,
        }
    }
}

/// What a call presented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presented {
    /// Nothing.
    Nothing,
    /// A credential of the register.
    Known(CredentialId),
    /// One that it does not know, by its digest.
    Unknown([u8; 32]),
}

/// Who called, what, for what, and about whom: all that a verdict depends on beside the call's time.
#[derive(Clone, Debug)]
pub struct Asked<'c> {
    /// What it presented.
    pub presented: Presented,
    /// What it called.
    pub api: Name<'c, ApiId>,
    /// For what.
    pub operation: Name<'c, OperationId>,
    /// The person whose data it touched.
    pub subject: Option<Cow<'c, str>>,
    /// The person logged in.
    pub actor: Option<Cow<'c, str>>,
}

impl Asked<'_> {
    /// The same, if the register has words for all of it.
    pub fn known(&self) -> Option<Known<'_>> {
        let (Presented::Known(credential), &Name::Known(api), &Name::Known(operation)) =
            (self.presented, &self.api, &self.operation)
        else {
            return None;
        };
        Some(Known { credential, api, operation, subject: self.subject.as_deref() })
    }
}

/// What a call's verdict depends on beside its time, where the register has words for all of it.
#[derive(Clone, Copy, Debug)]
pub struct Known<'c> {
    /// What it presented.
    pub credential: CredentialId,
    /// What it called.
    pub api: ApiId,
    /// For what.
    pub operation: OperationId,
    /// The person whose data it touched.
    pub subject: Option<&'c str>,
}

/// A call with all that the register says of it.
#[derive(Clone, Debug)]
pub struct Judged<'c> {
    /// Whose credential it presented.
    pub partner: Option<PartnerId>,
    /// What it presented.
    pub presented: Presented,
    /// What it called.
    pub api: Name<'c, ApiId>,
    /// For what.
    pub operation: Name<'c, OperationId>,
    /// What the register says.
    pub verdict: Verdict,
    /// What else is held against it.
    pub also: Also,
    /// The grant that the grant axis names.
    pub grant: Option<GrantId>,
    /// Since when the verdict holds.
    pub since: Option<Instant>,
    /// Since when [`Also::axis`] holds.
    pub axis_since: Option<Instant>,
    /// When its stale credential was last valid.
    pub stale_since: Option<Instant>,
    /// When access was last in order, if it is not and ever was.
    pub lapsed_at: Option<Instant>,
    /// The timeline it was judged by, and the index of its step.
    pub step: Option<(TimelineId, u32)>,
    /// The person whose data it touched.
    pub subject: Option<Cow<'c, str>>,
    /// The person logged in.
    pub actor: Option<Cow<'c, str>>,
}

/// What is looked at on every call of an api.
#[derive(Clone, Copy, Debug)]
struct ApiFacts {
    open: bool,
    consent_required: bool,
    propagation_s: u64,
    /// Whether any subject's word can concern it.
    consent_matters: bool,
}

/// What is looked at on every call of a route.
#[derive(Clone, Copy, Debug)]
struct RouteFacts {
    api: Option<ApiId>,
    /// What the row says that its calls do.
    operation: Option<OperationId>,
}

/// A register compiled, ready to judge calls.
#[derive(Debug)]
pub struct Judge<'r> {
    /// What it was compiled from.
    pub register: &'r Register,
    /// What holds when.
    pub timelines: Timelines,
    /// Every operation that the register has a word for, and those that methods yield; sorted.
    pub operations: Vec<String>,
    consents: Consents,
    apis: Vec<ApiFacts>,
    api_ids: HashMap<&'r str, ApiId>,
    credential_ids: HashMap<[u8; 32], CredentialId>,
    operation_ids: HashMap<String, OperationId>,
    /// By the index of their row in the routes table.
    routes: Vec<RouteFacts>,
    usual: Usual,
}

/// What the usual methods do.
#[derive(Debug)]
struct Usual {
    read: OperationId,
    write: OperationId,
    delete: OperationId,
}

/// What a worker remembers from call to call: credentials resolved, buffers.
#[derive(Debug, Default)]
pub struct Memory {
    credentials: Remembered<Presented>,
    routes: Scratch,
}

impl<'r> Judge<'r> {
    /// Compiles the register.
    pub fn new(register: &'r Register) -> Judge<'r> {
        let operations = operations(register);
        let operation_ids: HashMap<String, OperationId> =
            operations.iter().zip(0..).map(|(name, id)| (name.clone(), OperationId(id))).collect();
        let worded: hashbrown::HashSet<Option<ApiId>> =
            register.consents.iter().map(|consent| consent.api).collect();
        let facts = |(api, id): (&crate::register::Api, u32)| {
            let row = api.versions.last().map(|version| &version.row);
            let consent_required = row.is_some_and(|row| row.consent_required);
            ApiFacts {
                open: row.is_some_and(|row| row.open),
                consent_required,
                propagation_s: verdict::propagation_s(register, row),
                consent_matters: consent_required
                    || worded.contains(&None)
                    || worded.contains(&Some(ApiId(id))),
            }
        };
        let ids = || 0u32..;
        let of_route = |route: &crate::register::Route| {
            let operation = route.operation.as_deref().and_then(|name| operation_ids.get(name));
            RouteFacts { api: route.api_id, operation: operation.copied() }
        };
        let routes = register.routes.rows().iter().map(of_route).collect();
        let of_method = |method| operation_ids[operation_of_method(Some(method)).as_ref()];
        let usual =
            Usual { read: of_method("GET"), write: of_method("POST"), delete: of_method("DELETE") };
        Judge {
            register,
            timelines: Timelines::compile(register),
            operations,
            consents: Consents::new(register),
            apis: register.apis.iter().zip(0..).map(facts).collect(),
            api_ids: register.listed_apis().map(|(id, api)| (&*api.id, id)).collect(),
            credential_ids: register
                .credentials
                .iter()
                .zip(ids())
                .map(|(credential, id)| (credential.digest, CredentialId(id)))
                .collect(),
            operation_ids,
            routes,
            usual,
        }
    }

    /// How long after an end the api's caches may still serve, in seconds.
    pub fn propagation_s(&self, api: ApiId) -> u64 {
        self.apis[api.0 as usize].propagation_s
    }

    /// Whether the api needs no grant.
    pub fn is_open(&self, api: ApiId) -> bool {
        self.apis[api.0 as usize].open
    }

    /// Whether a subject must have consented to calls of the api.
    pub fn consent_required(&self, api: ApiId) -> bool {
        self.apis[api.0 as usize].consent_required
    }

    /// The name of an operation, if it has one.
    pub fn operation_name<'a>(&'a self, operation: &'a Name<'_, OperationId>) -> Option<&'a str> {
        match operation {
            Name::Known(id) => Some(&self.operations[id.0 as usize]),
            other => other.logged(),
        }
    }

    /// Whether what is said of a call depends on its subject's consent.
    pub fn asks_consent(&self, judged: &Judged<'_>) -> bool {
        let matters =
            judged.api.known().is_some_and(|api| self.apis[api.0 as usize].consent_matters);
        let step =
            judged.step.map(|(timeline, step)| &self.timelines[timeline].steps[step as usize]);
        matters && step.is_some_and(|step| step.axes.axis == Verdict::Granted)
    }

    /// Judges one call at its own time.
    pub fn judge<'c>(&'c self, call: &'c Call<'_>, memory: &'c mut Memory) -> Judged<'c> {
        self.pronounce(call.at, self.ask(call, memory))
    }

    /// What there is to be judged of a call.
    pub fn ask<'c>(&'c self, call: &'c Call<'_>, memory: &'c mut Memory) -> Asked<'c> {
        let presented = self.presented(call.credential.as_deref(), &mut memory.credentials);
        let route = call.path.as_deref().and_then(|target| {
            let (host, method) = (call.host.as_deref(), call.method.as_deref());
            self.register.routes.find(host, method, target, &mut memory.routes)
        });
        let api = match (call.api.as_deref(), &route) {
            (Some(name), _) => match self.api_ids.get(name) {
                Some(&id) => Name::Known(id),
                None => Name::Logged(Cow::Borrowed(name)),
            },
            (None, Some(found)) => match self.routes[found.row].api {
                Some(id) => Name::Known(id),
                None => Name::Logged(Cow::Borrowed(&found.route.api)),
            },
            (None, None) => Name::Absent,
        };
        let of_route = route.as_ref().and_then(|found| self.routes[found.row].operation);
        let operation = match (call.operation.as_deref(), &api) {
            (Some(name), _) => self.operation(Cow::Borrowed(name)),
            (None, Name::Known(_)) => match of_route {
                Some(id) => Name::Known(id),
                None => self.operation_of_method(call.method.as_deref()),
            },
            (None, Name::Logged(_) | Name::Absent) => Name::Absent,
        };
        let subject = resolve(&call.subject, route.as_ref());
        let actor = resolve(&call.actor, route.as_ref());
        Asked { presented, api, operation, subject, actor }
    }

    /// What there is to be judged of a plain call, where that is quickly said; else [`Judge::ask`] says it.
    #[inline]
    pub fn recall<'c>(&self, brief: &Brief<'c>, memory: &'c mut Memory) -> Option<Known<'c>>
    where
        Self: 'c,
    {
        let Memory { credentials, routes } = memory;
        let Presented::Known(credential) = self.presented(brief.credential, credentials) else {
            return None;
        };
        let found = self.register.routes.find_again(brief.path, routes)?;
        let RouteFacts { api, operation } = self.routes[found.row];
        let operation = operation.or_else(|| self.operation_of_method(brief.method).known())?;
        let Sourced { before, route, after } = brief.subject;
        let placed = || found.escaped(route?).filter(|value| is_value(value));
        Some(Known { credential, api: api?, operation, subject: before.or_else(placed).or(after) })
    }

    /// What the register says at an instant.
    pub fn pronounce<'c>(&self, at: Instant, asked: Asked<'c>) -> Judged<'c> {
        let Asked { presented, api, operation, subject, actor } = asked;
        let mut judged = Judged {
            partner: None,
            presented,
            api,
            operation,
            verdict: Verdict::Granted,
            also: Also::default(),
            grant: None,
            since: None,
            axis_since: None,
            stale_since: None,
            lapsed_at: None,
            step: None,
            subject,
            actor,
        };
        self.fill_in(at, &mut judged);
        judged
    }

    /// The stretch of time around `at`, its end not in it, in which the register says of who called, what and for what all
    /// that it says of this call, consent aside. (The last instant there is stands for no end.)
    pub fn stretch(&self, at: Instant, judged: &Judged<'_>) -> std::ops::Range<Instant> {
        let (mut from, mut until) = (Instant::MIN, Instant::MAX);
        let mut cut = |change: Instant| match change <= at {
            true => from = from.max(change),
            false => until = until.min(change),
        };
        if let Some((timeline, step)) = judged.step {
            let around = self.timelines[timeline].steps.iter().skip(step as usize).take(2);
            around.for_each(|step| cut(step.from));
        }
        if let Presented::Known(id) = judged.presented {
            let api = judged.api.known().map(|api| self.propagation_s(api));
            let propagation_s = api.unwrap_or(self.register.propagation_s);
            for row in &self.register.credentials[id.0 as usize].rows {
                row.valid_from.into_iter().for_each(&mut cut);
                if let Some(until) = row.valid_until {
                    cut(until);
                    cut(until.saturating_add_s(propagation_s));
                }
            }
        }
        from..until
    }

    /// Whether a subject's consent makes no difference to what is said of a call.
    #[inline]
    pub fn is_consented(
        &self,
        subject: &str,
        credential: CredentialId,
        api: ApiId,
        at: Instant,
    ) -> bool {
        let ApiFacts { consent_matters, propagation_s, .. } = self.apis[api.0 as usize];
        if !consent_matters {
            return true;
        }
        let credential = &self.register.credentials[credential.0 as usize];
        let partner = holder(credential, at, propagation_s).partner;
        match self.consents.word(subject, partner, api, at) {
            Word::Given => true,
            Word::Never => !self.consent_required(api),
            Word::Withdrawn(_) => false,
        }
    }

    /// Whose a credential is, as [`Judged::partner`] has it of a call that presents it.
    pub fn partner_of(&self, credential: CredentialId, at: Instant) -> PartnerId {
        // What an api's caches still serve makes nobody else its holder.
        let propagation_s = self.register.propagation_s;
        holder(&self.register.credentials[credential.0 as usize], at, propagation_s).partner
    }

    /// Fills in all that depends on who called, what, and when.
    fn fill_in(&self, at: Instant, judged: &mut Judged<'_>) {
        let facts = judged.api.known().map(|api| (api, &self.apis[api.0 as usize]));
        let propagation_s = facts.map_or(self.register.propagation_s, |(_, api)| api.propagation_s);
        let holder = match judged.presented {
            Presented::Known(id) => {
                Some(holder(&self.register.credentials[id.0 as usize], at, propagation_s))
            }
            Presented::Nothing | Presented::Unknown(_) => None,
        };
        judged.partner = holder.map(|holder| holder.partner);
        if facts.is_some_and(|(_, api)| api.open) {
            judged.verdict = Verdict::Open;
            return;
        }
        let Some(holder) = holder else {
            judged.verdict = match judged.presented {
                Presented::Unknown(_) => Verdict::UnknownCredential,
                Presented::Nothing | Presented::Known(_) => Verdict::Anonymous,
            };
            return;
        };
        let Some((api, facts)) = facts else {
            judged.verdict = Verdict::UnlistedApi;
            judged.also.stale = holder.stale;
            judged.stale_since = holder.ended_at;
            return;
        };
        let operation = self.operation_name(&judged.operation).unwrap_or_default();
        let timeline = self.timelines.find(holder.partner, api, operation);
        let index = self.timelines[timeline].step_at(at);
        let step = &self.timelines[timeline].steps[index];
        judged.step = Some((timeline, index as u32));

        let (axis, grant, axis_since) = self.with_consent(step, facts, holder, api, at, judged);
        judged.grant = grant;
        judged.also.hindsight = step.hindsight;
        judged.stale_since = holder.ended_at;
        (judged.verdict, judged.since) = match step.axes.dormant_since {
            Some(dormant_since) => {
                if axis != Verdict::Granted {
                    judged.also.axis = Some(axis);
                    judged.axis_since = axis_since;
                }
                (Verdict::DormantApi, Some(dormant_since))
            }
            None if axis != Verdict::Granted => (axis, axis_since),
            None if holder.stale => (Verdict::StaleCredential, holder.ended_at),
            None => (Verdict::Granted, None),
        };
        judged.also.stale = holder.stale && judged.verdict != Verdict::StaleCredential;
        judged.lapsed_at = if step.axes.active_and_granted() {
            let withdrawal = axis_since.filter(|_| axis == Verdict::WithoutConsent);
            match (withdrawal, holder.ended_at) {
                (Some(withdrawn), Some(ended)) => Some(withdrawn.min(ended)),
                (withdrawn, ended) => withdrawn.or(ended),
            }
        } else {
            step.lapsed_at
        };
    }

    /// The grant axis with consent: its value, the grant it names, and since when.
    fn with_consent(
        &self,
        step: &Step,
        facts: &ApiFacts,
        holder: Holder,
        api: ApiId,
        at: Instant,
        judged: &Judged<'_>,
    ) -> (Verdict, Option<GrantId>, Option<Instant>) {
        let axes = &step.axes;
        let as_is = (axes.axis, axes.grant, axes.since);
        let Some(subject) = judged.subject.as_deref() else { return as_is };
        if axes.axis != Verdict::Granted || !facts.consent_matters {
            return as_is;
        }
        let withdrawn_at = match self.consents.word(subject, holder.partner, api, at) {
            Word::Given => return as_is,
            Word::Never if !facts.consent_required => return as_is,
            Word::Never => None,
            Word::Withdrawn(withdrawn_at) => Some(withdrawn_at),
        };
        match axes.overriding {
            Some(_) => (Verdict::ConsentOverridden, axes.overriding, withdrawn_at),
            None => (Verdict::WithoutConsent, axes.grant, withdrawn_at),
        }
    }

    fn presented(&self, credential: Option<&str>, memory: &mut Remembered<Presented>) -> Presented {
        let Some(text) = credential else { return Presented::Nothing };
        memory.get(text, |text| {
            let digest = credential_digest(text);
            match self.credential_ids.get(&digest) {
                Some(&id) => Presented::Known(id),
                None => Presented::Unknown(digest),
            }
        })
    }

    /// What a call of a method does. The usual ones need no looking up.
    fn operation_of_method<'c>(&self, method: Option<&'c str>) -> Name<'c, OperationId> {
        match method {
            Some("GET") => Name::Known(self.usual.read),
            Some("POST" | "PUT") => Name::Known(self.usual.write),
            Some("DELETE") => Name::Known(self.usual.delete),
            other => self.operation(operation_of_method(other)),
        }
    }

    fn operation<'c>(&self, name: Cow<'c, str>) -> Name<'c, OperationId> {
        match self.operation_ids.get(name.as_ref()) {
            Some(&id) => Name::Known(id),
            None => Name::Logged(name),
        }
    }
}

/// Every operation named by grants and routes, and those of the usual methods.
fn operations(register: &Register) -> Vec<String> {
    let mut operations: Vec<String> =
        register.operation_names().chain(register.operations.iter().cloned()).collect();
    operations.sort_unstable();
    operations.dedup();
    operations
}

/// The first present: the sources before the placeholder, its value, the sources after it.
fn resolve<'c>(sourced: &'c Sourced<'_>, route: Option<&Match<'_, 'c>>) -> Option<Cow<'c, str>> {
    if let Some(value) = &sourced.before {
        return Some(Cow::Borrowed(value));
    }
    let placed = sourced.route.zip(route).and_then(|(name, route)| route.value(name));
    placed.filter(|value| is_value(value)).or_else(|| sourced.after.as_deref().map(Cow::Borrowed))
}

/// Whether what stands for a placeholder is a value. In a path as in a field `-` is none; and some gateways log a template of
/// theirs for the path.
#[inline]
fn is_value(placed: &str) -> bool {
    placed != "-" && !(placed.starts_with('{') && placed.ends_with('}'))
}
