//! The register: who may do what, from when until when, as known at some instant.
//!
//! A [`Register`] is what the judge works from. Partners, apis, grants, purposes are
//! sorted by their ids in byte order, and an id newtype is an index into its list.
//! Apis, grants and purposes keep all their versions known by then, since hindsight
//! asks what was known at each call; the other tables keep the one that counts.

mod build;
mod check;
mod credential;
mod digest;
mod extend;
mod problem;
mod routes;
mod source;
mod tables;
mod target;
mod unrouted;
mod versions;

pub use build::build;
pub use check::check;
pub use credential::{Remembered, Shown, credential_digest, mask};
pub use extend::{Mentioned, extended};
pub use problem::{Level, Problem};
pub use routes::{Match, Route, Routes, Scratch, Segment, Template, operation_of_method};
pub use source::{Source, load, may_be_table, of_files, table_files};
pub use tables::Tables;
pub use target::{Target, legible_host, normalise};
pub use unrouted::{is_id, is_version, template_of};

use std::cmp::Ordering;

use crate::time::Instant;

/// Index into [`Register::partners`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PartnerId(pub u32);
/// Index into [`Register::credentials`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CredentialId(pub u32);
/// Index into [`Register::apis`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiId(pub u32);
/// Index into [`Register::grants`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GrantId(pub u32);
/// Index into [`Register::purposes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PurposeId(pub u32);

/// The register as known at some instant.
#[derive(Clone, Debug)]
pub struct Register {
    /// All partners, sorted by id.
    pub partners: Vec<Partner>,
    /// All credentials, sorted by digest.
    pub credentials: Vec<Credential>,
    /// All apis, sorted by id.
    pub apis: Vec<Api>,
    /// The routes, ready to match.
    pub routes: Routes,
    /// All grants, sorted by id.
    pub grants: Vec<Grant>,
    /// All purposes, sorted by id.
    pub purposes: Vec<Purpose>,
    /// All consents that count, in no particular order.
    pub consents: Vec<Consent>,
    /// Operations that it has no word for any more, and that calls counted earlier name.
    pub operations: Vec<String>,
    /// How long after an end caches may still serve, for apis that do not say, in seconds.
    pub propagation_s: u64,
    /// The instant it is known at; `None`: now.
    pub as_known_at: Option<Instant>,
    /// Whether any row says when it was recorded.
    pub is_versioned: bool,
    /// BLAKE3 of the parsed content in key order, of all versions known.
    pub digest: [u8; 32],
    /// How many distinct keys the tables have, as known.
    pub counts: Counts,
}

/// How many distinct keys tables have, as known at the register's instant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of partners.
    pub partners: u64,
    /// Of credentials: a credential counts once for each `valid_from`.
    pub credentials: u64,
    /// Of apis.
    pub apis: u64,
    /// Of grants.
    pub grants: u64,
}

impl Register {
    /// The partner of that id.
    pub fn partner_id(&self, id: &str) -> Option<PartnerId> {
        position(&self.partners, |partner| partner.id.as_str().cmp(id)).map(PartnerId)
    }

    /// The credential of that digest, see [`credential_digest`].
    pub fn credential_id(&self, digest: &[u8; 32]) -> Option<CredentialId> {
        position(&self.credentials, |credential| credential.digest.cmp(digest)).map(CredentialId)
    }

    /// The api of that id, if the apis table has it, as known.
    pub fn api_id(&self, id: &str) -> Option<ApiId> {
        position(&self.apis, |api| api.id.as_str().cmp(id))
            .filter(|&found| self.apis[found as usize].is_listed())
            .map(ApiId)
    }

    /// The grant of that id.
    pub fn grant_id(&self, id: &str) -> Option<GrantId> {
        position(&self.grants, |grant| grant.id.as_str().cmp(id)).map(GrantId)
    }

    /// Every operation that the register has a word for, and those that methods yield; in no order, and not each once.
    pub fn operation_names(&self) -> impl Iterator<Item = String> + '_ {
        let versions = self.grants.iter().flat_map(|grant| &grant.versions);
        let of_grants = versions.flat_map(|version| match &version.row.operations {
            Operations::All => &[][..],
            Operations::Named(names) => names.as_slice(),
        });
        let of_routes = self.routes.rows().iter().filter_map(|route| route.operation.clone());
        let usual = ["read", "write", "delete", "unknown"].map(str::to_owned);
        of_grants.cloned().chain(of_routes).chain(usual)
    }

    /// The apis that the apis table has, as known.
    pub fn listed_apis(&self) -> impl Iterator<Item = (ApiId, &Api)> {
        (0..).map(ApiId).zip(&self.apis).filter(|(_, api)| api.is_listed())
    }
}

/// The index of what compares equal in a sorted list.
fn position<T>(sorted: &[T], compare: impl Fn(&T) -> Ordering) -> Option<u32> {
    sorted.binary_search_by(compare).ok().and_then(|i| u32::try_from(i).ok())
}

/// An organisation that holds access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partner {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Whom to write to.
    pub contact: Option<String>,
    /// Whether the partners table has it, as known; if not, only grants or credentials name it.
    pub listed: bool,
}

/// One credential with the times at which it belonged to someone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// SHA-256 of what a call presents.
    pub digest: [u8; 32],
    /// How reports show it: masked.
    pub shown: String,
    /// Its rows, sorted by `valid_from` (none first), not overlapping, never empty.
    pub rows: Vec<CredentialRow>,
}

/// To whom a credential belonged, in `[valid_from, valid_until)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// From when; `None`: the beginning of time.
    pub valid_from: Option<Instant>,
    /// Until when; `None`: for ever.
    pub valid_until: Option<Instant>,
    /// To whom.
    pub partner: PartnerId,
}

/// One row's content as recorded at some instant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version<T> {
    /// When it was recorded; `None`: always known.
    pub recorded_at: Option<Instant>,
    /// What it says.
    pub row: T,
}

/// A named set of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Api {
    /// Its id.
    pub id: String,
    /// Its versions by `recorded_at` (none first); the last one counts. Empty if the apis table does not have it, as
    /// known, and only grants name it: to calls there is no such api.
    pub versions: Vec<Version<ApiRow>>,
}

impl Api {
    /// Whether the apis table has it, as known.
    pub fn is_listed(&self) -> bool {
        !self.versions.is_empty()
    }
}

/// What the register says of an api.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRow {
    /// Its name.
    pub name: Option<String>,
    /// What kind of data it gives.
    pub data_class: Option<String>,
    /// Whether it needs no grant.
    pub open: bool,
    /// Whether a subject must have consented.
    pub consent_required: bool,
    /// Since when it is out of use.
    pub dormant_since: Option<Instant>,
    /// How long after an end caches may still serve, in seconds; `None`: the default.
    pub propagation_s: Option<u64>,
}

/// A partner may use an api for some operations, for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id.
    pub id: String,
    /// Its versions by `recorded_at` (none first), never empty; the last one counts.
    pub versions: Vec<Version<GrantRow>>,
}

/// What the register says of a grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRow {
    /// Who may.
    pub partner: PartnerId,
    /// What they may use.
    pub api: ApiId,
    /// What they may do with it.
    pub operations: Operations,
    /// From when; `None`: the beginning of time.
    pub granted_at: Option<Instant>,
    /// Until when, as agreed beforehand.
    pub expires_at: Option<Instant>,
    /// When it was taken back.
    pub revoked_at: Option<Instant>,
    /// The feature it serves.
    pub purpose: Option<PurposeId>,
    /// Until when its certification holds.
    pub certified_until: Option<Instant>,
    /// Whether it holds even where consent is missing.
    pub overrides_consent: bool,
    /// Why it was given.
    pub justification: Option<String>,
}

impl GrantRow {
    /// The earlier of expiry and revocation; `None`: never.
    pub fn end(&self) -> Option<Instant> {
        match (self.expires_at, self.revoked_at) {
            (Some(expires_at), Some(revoked_at)) => Some(expires_at.min(revoked_at)),
            (expires_at, revoked_at) => expires_at.or(revoked_at),
        }
    }

    /// Whether it was revoked no later than it would have expired.
    pub fn ended_by_revocation(&self) -> bool {
        match (self.expires_at, self.revoked_at) {
            (Some(expires_at), Some(revoked_at)) => revoked_at <= expires_at,
            (_, revoked_at) => revoked_at.is_some(),
        }
    }

    /// Whether `at` lies in its life, `[granted_at, end)`.
    pub fn is_live(&self, at: Instant) -> bool {
        self.granted_at.is_none_or(|granted_at| granted_at <= at)
            && self.end().is_none_or(|end| at < end)
    }
}

/// The operations a grant covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operations {
    /// `*`: all of them.
    All,
    /// These, sorted, distinct, never none.
    Named(Vec<String>),
}

impl Operations {
    /// Whether the operation is covered; `None` is one that has no name.
    pub fn covers(&self, operation: Option<&str>) -> bool {
        match (self, operation) {
            (Operations::All, _) => true,
            (Operations::Named(names), Some(name)) => names.iter().any(|n| n == name),
            (Operations::Named(_), None) => false,
        }
    }
}

/// The feature a grant serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purpose {
    /// Its id.
    pub id: String,
    /// Its versions by `recorded_at` (none first), never empty; the last one counts.
    pub versions: Vec<Version<PurposeRow>>,
}

/// What the register says of a purpose.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurposeRow {
    /// Its name.
    pub name: Option<String>,
    /// When the feature ended.
    pub ended_at: Option<Instant>,
}

/// A subject's word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Whose word.
    pub subject: String,
    /// Towards whom; `None`: `*`.
    pub partner: Option<PartnerId>,
    /// For which api; `None`: `*`.
    pub api: Option<ApiId>,
    /// When.
    pub at: Instant,
    /// Given, or withdrawn.
    pub given: bool,
}
