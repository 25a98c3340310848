//! The register as typed rows, and how they are written as CSV.
//!
//! Knows keys and versions, nothing of what rows mean for a call.

use std::fs;
use std::path::Path;

use overstay::time::Instant;

/// One row of `partners`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerRow {
    pub recorded_at: Option<Instant>,
    pub partner: String,
    pub name: Option<String>,
    pub contact: Option<String>,
}

/// One row of `credentials`. `credential` is as written: plain or `sha256:HEX`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CredentialRow {
    pub recorded_at: Option<Instant>,
    pub credential: String,
    pub valid_from: Option<Instant>,
    pub partner: String,
    pub valid_until: Option<Instant>,
}

/// One row of `apis`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiRow {
    pub recorded_at: Option<Instant>,
    pub api: String,
    pub name: Option<String>,
    pub data_class: Option<String>,
    pub open: bool,
    pub consent_required: bool,
    pub dormant_since: Option<Instant>,
    pub propagation_s: Option<u64>,
}

/// One row of `routes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteRow {
    pub recorded_at: Option<Instant>,
    pub host: Option<String>,
    pub method: Option<String>,
    pub path: String,
    pub api: String,
    pub operation: Option<String>,
}

/// One row of `grants`. `operations` is `["*"]` for all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantRow {
    pub recorded_at: Option<Instant>,
    pub grant: String,
    pub partner: String,
    pub api: String,
    pub operations: Vec<String>,
    pub granted_at: Option<Instant>,
    pub expires_at: Option<Instant>,
    pub revoked_at: Option<Instant>,
    pub purpose: Option<String>,
    pub certified_until: Option<Instant>,
    pub overrides_consent: bool,
    pub justification: Option<String>,
}

/// One row of `purposes`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurposeRow {
    pub recorded_at: Option<Instant>,
    pub purpose: String,
    pub name: Option<String>,
    pub ended_at: Option<Instant>,
}

/// One row of `consents`. `partner` and `api` may be `*`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentRow {
    pub recorded_at: Option<Instant>,
    pub subject: String,
    pub partner: String,
    pub api: String,
    pub at: Instant,
    pub given: bool,
}

/// The register: every row of every table, all versions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    pub partners: Vec<PartnerRow>,
    pub credentials: Vec<CredentialRow>,
    pub apis: Vec<ApiRow>,
    pub routes: Vec<RouteRow>,
    pub grants: Vec<GrantRow>,
    pub purposes: Vec<PurposeRow>,
    pub consents: Vec<ConsentRow>,
}

/// What versions need of a row.
pub trait Row: Clone {
    /// The columns that make two rows versions of one.
    fn key(&self) -> Vec<String>;
    fn recorded_at(&self) -> Option<Instant>;
    /// The cells, in the order of [`Row::COLUMNS`].
    fn cells(&self) -> Vec<String>;
    const COLUMNS: &'static [&'static str];
}

fn cell(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

fn instant(at: Option<Instant>) -> String {
    at.map(|at| at.to_string()).unwrap_or_default()
}

/// A word where it holds, else a blank cell.
fn word(holds: bool, word: &str) -> String {
    if holds { word.to_owned() } else { String::new() }
}

impl Row for PartnerRow {
    const COLUMNS: &'static [&'static str] = &["partner", "name", "contact", "recorded_at"];
    fn key(&self) -> Vec<String> {
        vec![self.partner.clone()]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![self.partner.clone(), cell(&self.name), cell(&self.contact), instant(self.recorded_at)]
    }
}

impl Row for CredentialRow {
    const COLUMNS: &'static [&'static str] =
        &["credential", "valid_from", "partner", "valid_until", "recorded_at"];
    /// "the plain value and its hash are one credential"
    fn key(&self) -> Vec<String> {
        vec![super::judge::credential_hex(&self.credential), instant(self.valid_from)]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![
            self.credential.clone(),
            instant(self.valid_from),
            self.partner.clone(),
            instant(self.valid_until),
            instant(self.recorded_at),
        ]
    }
}

impl Row for ApiRow {
    const COLUMNS: &'static [&'static str] = &[
        "api",
        "name",
        "data_class",
        "access",
        "consent",
        "dormant_since",
        "propagation_s",
        "recorded_at",
    ];
    fn key(&self) -> Vec<String> {
        vec![self.api.clone()]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![
            self.api.clone(),
            cell(&self.name),
            cell(&self.data_class),
            word(self.open, "open"),
            word(self.consent_required, "required"),
            instant(self.dormant_since),
            self.propagation_s.map(|s| s.to_string()).unwrap_or_default(),
            instant(self.recorded_at),
        ]
    }
}

impl Row for RouteRow {
    const COLUMNS: &'static [&'static str] =
        &["host", "method", "path", "api", "operation", "recorded_at"];
    fn key(&self) -> Vec<String> {
        vec![
            cell(&self.host).to_lowercase(),
            cell(&self.method).to_uppercase(),
            super::target::segments(&self.path).join("/"),
        ]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![
            cell(&self.host),
            cell(&self.method),
            self.path.clone(),
            self.api.clone(),
            cell(&self.operation),
            instant(self.recorded_at),
        ]
    }
}

impl Row for GrantRow {
    const COLUMNS: &'static [&'static str] = &[
        "grant",
        "partner",
        "api",
        "operations",
        "granted_at",
        "expires_at",
        "revoked_at",
        "purpose",
        "certified_until",
        "overrides_consent",
        "justification",
        "recorded_at",
    ];
    fn key(&self) -> Vec<String> {
        vec![self.grant.clone()]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![
            self.grant.clone(),
            self.partner.clone(),
            self.api.clone(),
            self.operations.join("|"),
            instant(self.granted_at),
            instant(self.expires_at),
            instant(self.revoked_at),
            cell(&self.purpose),
            instant(self.certified_until),
            word(self.overrides_consent, "true"),
            cell(&self.justification),
            instant(self.recorded_at),
        ]
    }
}

impl Row for PurposeRow {
    const COLUMNS: &'static [&'static str] = &["purpose", "name", "ended_at", "recorded_at"];
    fn key(&self) -> Vec<String> {
        vec![self.purpose.clone()]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![
            self.purpose.clone(),
            cell(&self.name),
            instant(self.ended_at),
            instant(self.recorded_at),
        ]
    }
}

impl Row for ConsentRow {
    const COLUMNS: &'static [&'static str] =
        &["subject", "partner", "api", "at", "state", "recorded_at"];
    fn key(&self) -> Vec<String> {
        vec![self.subject.clone(), self.partner.clone(), self.api.clone(), self.at.to_string()]
    }
    fn recorded_at(&self) -> Option<Instant> {
        self.recorded_at
    }
    fn cells(&self) -> Vec<String> {
        vec![
            self.subject.clone(),
            self.partner.clone(),
            self.api.clone(),
            self.at.to_string(),
            if self.given { "given" } else { "withdrawn" }.to_owned(),
            instant(self.recorded_at),
        ]
    }
}

/// "Rows with equal keys are versions of one row: the one with the latest `recorded_at` counts;
/// with `--as-known-at T`, the latest not after T, and a row with none does not exist."
pub fn counting<T: Row>(rows: &[T], as_known_at: Option<Instant>) -> Vec<T> {
    let mut counting: Vec<T> = Vec::new();
    for row in rows {
        if !was_known(row, as_known_at) {
            continue;
        }
        match counting.iter_mut().find(|other| other.key() == row.key()) {
            // "blank: always known", so a blank one is before all others, as `None` sorts.
            Some(other) if other.recorded_at() < row.recorded_at() => *other = row.clone(),
            Some(_) => {}
            None => counting.push(row.clone()),
        }
    }
    counting
}

fn was_known<T: Row>(row: &T, as_known_at: Option<Instant>) -> bool {
    match (row.recorded_at(), as_known_at) {
        (None, _) | (_, None) => true,
        (Some(recorded_at), Some(t)) => recorded_at <= t,
    }
}

impl Rows {
    /// The register with only those versions that count, as known at an instant.
    pub fn known_at(&self, as_known_at: Option<Instant>) -> Rows {
        Rows {
            partners: counting(&self.partners, as_known_at),
            credentials: counting(&self.credentials, as_known_at),
            apis: counting(&self.apis, as_known_at),
            routes: counting(&self.routes, as_known_at),
            grants: counting(&self.grants, as_known_at),
            purposes: counting(&self.purposes, as_known_at),
            consents: counting(&self.consents, as_known_at),
        }
    }

    /// Writes the tables as CSV files of a folder that exists.
    pub fn write_csv(&self, dir: &Path) {
        write(dir, "partners", &self.partners);
        write(dir, "credentials", &self.credentials);
        write(dir, "apis", &self.apis);
        write(dir, "routes", &self.routes);
        write(dir, "grants", &self.grants);
        write(dir, "purposes", &self.purposes);
        write(dir, "consents", &self.consents);
    }

    /// Every distinct instant at which something was recorded, and none for before all.
    pub fn recordings(&self) -> Vec<Option<Instant>> {
        let mut at: Vec<Option<Instant>> = vec![None, Some(Instant::MIN)];
        at.extend(self.partners.iter().map(|row| row.recorded_at));
        at.extend(self.credentials.iter().map(|row| row.recorded_at));
        at.extend(self.apis.iter().map(|row| row.recorded_at));
        at.extend(self.routes.iter().map(|row| row.recorded_at));
        at.extend(self.grants.iter().map(|row| row.recorded_at));
        at.extend(self.purposes.iter().map(|row| row.recorded_at));
        at.extend(self.consents.iter().map(|row| row.recorded_at));
        at.sort();
        at.dedup();
        at
    }
}

fn write<T: Row>(dir: &Path, table: &str, rows: &[T]) {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(T::COLUMNS).unwrap();
    for row in rows {
        writer.write_record(row.cells()).unwrap();
    }
    fs::write(dir.join(format!("{table}.csv")), writer.into_inner().unwrap()).unwrap();
}
