//! The kinds of finding, their names and default severities.

use std::fmt;

use crate::judge::Verdict;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Calls whose verdict, or what is also held against them, is this one. Never `open` or `granted`.
    Verdict(Verdict),
    /// Calls in order only by what was recorded after them.
    Hindsight,
    /// A live grant whose purpose, api or certification has ended. Needs no call, as all that follow.
    StandingAccess,
    /// A live grant that no call needed.
    UnusedGrant,
    /// Operations of a live grant that were never called, while others of it were.
    UnusedOperation,
    /// A valid credential that no call presented.
    UnusedCredential,
    /// Many more calls in an hour than the partner's past leads one to expect.
    Spike,
    /// Hours with hardly any of the calls that the partner's past leads one to expect.
    Drop,
    /// Calls about many more people in an hour than expected.
    SubjectSweep,
    /// Many more denied calls in an hour than expected.
    DeniedBurst,
    /// A partner's first call to an api.
    NewApi,
    /// A partner's first call of an operation of an api that it has called before.
    NewOperation,
    /// A grant by which a call was served again after a long time.
    WokenGrant,
    /// An api of which a call was served again after a long time.
    WokenApi,
    /// A credential that was presented from a network for the first time.
    NewNetwork,
    /// A log of which what was read is no longer what lies there.
    LogRewritten,
    /// A log that is gone before it was read to its end.
    LogLost,
    /// A register with errors, in whose place the last good one was used.
    RegisterRefused,
}

impl Kind {
    /// All kinds: those of calls, then those that need none.
    pub fn all() -> impl Iterator<Item = Kind> {
        Kind::of_calls().chain([
            Kind::StandingAccess,
            Kind::UnusedGrant,
            Kind::UnusedOperation,
            Kind::UnusedCredential,
            Kind::Spike,
            Kind::Drop,
            Kind::SubjectSweep,
            Kind::DeniedBurst,
            Kind::NewApi,
            Kind::NewOperation,
            Kind::WokenGrant,
            Kind::WokenApi,
            Kind::NewNetwork,
            Kind::LogRewritten,
            Kind::LogLost,
            Kind::RegisterRefused,
        ])
    }

    /// The kinds that calls belong to, in the order of verdicts, `hindsight` last.
    pub fn of_calls() -> impl Iterator<Item = Kind> {
        let of_verdicts = Verdict::ALL.into_iter().filter(|verdict| !verdict.in_order());
        of_verdicts.map(Kind::Verdict).chain([Kind::Hindsight])
    }

    /// Whether calls belong to it.
    pub const fn is_of_calls(self) -> bool {
        matches!(self, Kind::Verdict(_) | Kind::Hindsight)
    }

    /// Whether it is of what is unlike what was before, which by itself is nothing out of order.
    pub const fn is_anomaly(self) -> bool {
        matches!(
            self,
            Kind::Spike
                | Kind::Drop
                | Kind::SubjectSweep
                | Kind::DeniedBurst
                | Kind::NewApi
                | Kind::NewOperation
                | Kind::WokenGrant
                | Kind::WokenApi
                | Kind::NewNetwork
        )
    }

    /// The word used in every report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Verdict(verdict) => verdict.as_str(),
            Kind::Hindsight => "hindsight",
            Kind::StandingAccess => "standing-access",
            Kind::UnusedGrant => "unused-grant",
            Kind::UnusedOperation => "unused-operation",
            Kind::UnusedCredential => "unused-credential",
            Kind::Spike => "spike",
            Kind::Drop => "drop",
            Kind::SubjectSweep => "subject-sweep",
            Kind::DeniedBurst => "denied-burst",
            Kind::NewApi => "new-api",
            Kind::NewOperation => "new-operation",
            Kind::WokenGrant => "woken-grant",
            Kind::WokenApi => "woken-api",
            Kind::NewNetwork => "new-network",
            Kind::LogRewritten => "log-rewritten",
            Kind::LogLost => "log-lost",
            Kind::RegisterRefused => "register-refused",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Kind> {
        Kind::all().find(|kind| kind.as_str() == name)
    }

    /// How grave a finding of this kind is, if any of its calls was served or it needs none, unless configured.
    pub const fn severity(self) -> Severity {
        let verdict = match self {
            Kind::Verdict(verdict) => verdict,
            Kind::Hindsight
            | Kind::StandingAccess
            | Kind::LogRewritten
            | Kind::LogLost
            | Kind::SubjectSweep => return Severity::High,
            Kind::Spike | Kind::DeniedBurst | Kind::WokenGrant | Kind::WokenApi => {
                return Severity::Medium;
            }
            Kind::RegisterRefused => return Severity::Critical,
            Kind::UnusedGrant
            | Kind::UnusedOperation
            | Kind::UnusedCredential
            | Kind::Drop
            | Kind::NewApi
            | Kind::NewOperation
            | Kind::NewNetwork => return Severity::Low,
        };
        match verdict {
            Verdict::AfterRevocation
            | Verdict::DormantApi
            | Verdict::PurposeEnded
            | Verdict::WithoutConsent => Severity::Critical,
            Verdict::AfterExpiry
            | Verdict::NeverGranted
            | Verdict::OutOfScope
            | Verdict::StaleCredential
            | Verdict::UnknownCredential => Severity::High,
            Verdict::BeforeGrant
            | Verdict::Uncertified
            | Verdict::ConsentOverridden
            | Verdict::Anonymous
            | Verdict::UnlistedApi => Severity::Medium,
            Verdict::Propagating | Verdict::Open | Verdict::Granted => Severity::Info,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Kind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// How grave a finding is. Ordered: `info` is the least.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// To know.
    Info,
    /// Refused, or harmless.
    Low,
    /// To look at.
    Medium,
    /// To act on.
    High,
    /// To act on at once.
    Critical,
}

impl Severity {
    /// All severities, the gravest first.
    pub const ALL: [Severity; 5] =
        [Severity::Critical, Severity::High, Severity::Medium, Severity::Low, Severity::Info];

    /// The word used in every report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Severity::Critical => "critical",
            Severity::High => "high",
            Severity::Medium => "medium",
            Severity::Low => "low",
            Severity::Info => "info",
        }
    }

    /// The severity of that name.
    pub fn from_name(name: &str) -> Option<Severity> {
        Severity::ALL.into_iter().find(|severity| severity.as_str() == name)
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl serde::Serialize for Severity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> serde::Deserialize<'de> for Severity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Severity, D::Error> {
        let name = String::deserialize(deserializer)?;
        Severity::from_name(&name).ok_or_else(|| {
            let names = Severity::ALL.map(Severity::as_str).join(", ");
            serde::de::Error::custom(format!("found severity `{name}`, expected one of {names}"))
        })
    }
}
