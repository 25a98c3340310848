//! The verdicts, their names and their order.

use std::fmt;

/// What the register says of one call. The order is that in which they apply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Verdict {
    /// The api needs no grant.
    Open,
    /// The call presented no credential.
    Anonymous,
    /// The register does not know the credential.
    UnknownCredential,
    /// No route, or an api the register does not know.
    UnlistedApi,
    /// The api is out of use.
    DormantApi,
    /// The subject's consent is missing, and a live grant overrides that.
    ConsentOverridden,
    /// The subject's consent is missing.
    WithoutConsent,
    /// A live grant whose certification has lapsed.
    Uncertified,
    /// A live grant whose purpose has ended.
    PurposeEnded,
    /// After a revocation, within the time that caches may lawfully still serve.
    Propagating,
    /// After a revocation.
    AfterRevocation,
    /// After an expiry.
    AfterExpiry,
    /// A grant for this starts later.
    BeforeGrant,
    /// A live grant, for other operations.
    OutOfScope,
    /// No grant ever covered this.
    NeverGranted,
    /// The credential was no longer, or not yet, the partner's.
    StaleCredential,
    /// In order.
    Granted,
}

impl Verdict {
    /// All verdicts, in the order in which they apply.
    pub const ALL: [Verdict; 17] = [
        Verdict::Open,
        Verdict::Anonymous,
        Verdict::UnknownCredential,
        Verdict::UnlistedApi,
        Verdict::DormantApi,
        Verdict::ConsentOverridden,
        Verdict::WithoutConsent,
        Verdict::Uncertified,
        Verdict::PurposeEnded,
        Verdict::Propagating,
        Verdict::AfterRevocation,
        Verdict::AfterExpiry,
        Verdict::BeforeGrant,
        Verdict::OutOfScope,
        Verdict::NeverGranted,
        Verdict::StaleCredential,
        Verdict::Granted,
    ];

    /// The word used in every report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Open => "open",
            Verdict::Anonymous => "anonymous",
            Verdict::UnknownCredential => "unknown-credential",
            Verdict::UnlistedApi => "unlisted-api",
            Verdict::DormantApi => "dormant-api",
            Verdict::ConsentOverridden => "consent-overridden",
            Verdict::WithoutConsent => "without-consent",
            Verdict::Uncertified => "uncertified",
            Verdict::PurposeEnded => "purpose-ended",
            Verdict::Propagating => "propagating",
            Verdict::AfterRevocation => "after-revocation",
            Verdict::AfterExpiry => "after-expiry",
            Verdict::BeforeGrant => "before-grant",
            Verdict::OutOfScope => "out-of-scope",
            Verdict::NeverGranted => "never-granted",
            Verdict::StaleCredential => "stale-credential",
            Verdict::Granted => "granted",
        }
    }

    /// The verdict of that name.
    pub fn from_name(name: &str) -> Option<Verdict> {
        Verdict::ALL.into_iter().find(|verdict| verdict.as_str() == name)
    }

    /// Whether nothing is held against the call's access.
    pub const fn in_order(self) -> bool {
        matches!(self, Verdict::Open | Verdict::Granted)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Verdict {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// What is held against a call beside its verdict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Also {
    /// The grant axis, where the verdict is `dormant-api` and the axis is not `granted`.
    pub axis: Option<Verdict>,
    /// Access differs by what was recorded only after the call.
    pub hindsight: bool,
    /// The credential is stale, and the verdict another one.
    pub stale: bool,
}

impl Also {
    /// The names, in byte order.
    pub fn names(self) -> Vec<&'static str> {
        let mut names: Vec<&'static str> = self.axis.iter().map(|axis| axis.as_str()).collect();
        if self.hindsight {
            names.push("hindsight");
        }
        if self.stale {
            names.push(Verdict::StaleCredential.as_str());
        }
        names.sort_unstable();
        names
    }
}
