//! What an alert says, as data: kept in the state as JSON, and rendered when it is sent.

use serde::{Deserialize, Serialize};

use crate::findings::Severity;
use crate::time::Instant;

/// The name and version of the format.
pub const SCHEMA: &str = "overstay.alert/1";

/// One message: what one run has to tell by one channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// [`SCHEMA`].
    pub schema: String,
    /// The program and its version.
    pub program: String,
    /// The run's number.
    pub run: u64,
    /// The time of the run.
    pub run_at: Instant,
    /// The head of the chain of manifests, hex; empty in a test.
    pub head: String,
    /// `complete` or `partial`.
    pub status: String,
    /// Whether it only tries the channel.
    pub is_test: bool,
    /// The headline of the run's report.
    pub headline: String,
    /// How many changes it tells.
    pub counts: Counts,
    /// The changes, as [`Message::group`] orders them.
    pub groups: Vec<Group>,
}

/// How many changes there are: by severity those that are not `resolved`, and those that are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Critical ones.
    pub critical: u64,
    /// High ones.
    pub high: u64,
    /// Medium ones.
    pub medium: u64,
    /// Low ones.
    pub low: u64,
    /// Those to know.
    pub info: u64,
    /// Resolved and suppressed ones, of any severity.
    pub resolved: u64,
}

/// What is told of one partner and grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// The partner, if the findings are about one.
    pub partner: Option<String>,
    /// Its name in the register; for whoever knows the register to fill in.
    pub partner_name: Option<String>,
    /// The grant, if they are about one.
    pub grant: Option<String>,
    /// What became of its findings; never empty.
    pub changes: Vec<Change>,
}

/// What became of a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// The finding's id.
    pub id: String,
    /// Its kind.
    pub kind: String,
    /// Its severity.
    pub severity: Severity,
    /// What became of it.
    pub change: What,
    /// The severity of the alert before, if there was one.
    pub severity_before: Option<Severity>,
    /// The partner.
    pub partner: Option<String>,
    /// The api.
    pub api: Option<String>,
    /// The class of its data.
    pub data_class: Option<String>,
    /// The grant.
    pub grant: Option<String>,
    /// The operations.
    pub operations: Vec<String>,
    /// When it was first found.
    pub first_seen: Instant,
    /// Since when access was not in order.
    pub since: Option<Instant>,
    /// When it was last in order before.
    pub lapsed_at: Option<Instant>,
    /// The first call.
    pub first: Option<Instant>,
    /// The last call.
    pub last: Option<Instant>,
    /// How long access was used past its end, in seconds.
    pub overstay_s: Option<u64>,
    /// Calls served.
    pub served: u64,
    /// Calls denied.
    pub denied: u64,
    /// Calls that failed.
    pub failed: u64,
    /// Data subjects.
    pub subjects: u64,
    /// Whether that is a count, no estimate.
    pub subjects_exact: bool,
    /// What was expected and what was observed, of an anomaly.
    pub anomaly: Option<Observed>,
    /// The finding in a sentence.
    pub summary: String,
}

/// What shows an anomaly, as the report's `anomaly` has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// What was counted.
    pub observed: u64,
    /// What was expected in its place.
    pub expected: f64,
    /// How far apart they are; none of what is new or woke.
    pub score: Option<f64>,
    /// From when …
    pub from: Instant,
    /// … until when.
    pub until: Instant,
    /// Of a new network, that network.
    pub network: Option<String>,
}

/// What became of a finding, that it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// It was found for the first time.
    New,
    /// It was resolved, and is there again.
    Reopened,
    /// It is graver than when it was told last.
    MoreSevere,
    /// It is critical and open still.
    Reminder,
    /// It is no more.
    Resolved,
    /// It was told of, and a suppression hides it by now.
    Suppressed,
}

impl What {
    /// Whether nobody has to act on it any more.
    pub const fn is_over(self) -> bool {
        matches!(self, What::Resolved | What::Suppressed)
    }
}

impl Message {
    /// The changes by partner and grant: the group with the gravest open finding first, those of which all is resolved last; in a group
    /// the gravest first, then by id. What is equal in that goes by partner and grant, none before any.
    pub fn group(mut changes: Vec<Change>) -> Vec<Group> {
        changes.sort_by(|a, b| {
            let by_group = (&a.partner, &a.grant).cmp(&(&b.partner, &b.grant));
            by_group.then(b.severity.cmp(&a.severity)).then_with(|| a.id.cmp(&b.id))
        });
        let mut groups: Vec<Group> = Vec::new();
        for change in changes {
            match groups.last_mut() {
                Some(group) if group.partner == change.partner && group.grant == change.grant => {
                    group.changes.push(change);
                }
                _ => groups.push(Group {
                    partner: change.partner.clone(),
                    partner_name: None,
                    grant: change.grant.clone(),
                    changes: vec![change],
                }),
            }
        }
        in_order(&mut groups);
        groups
    }

    /// How many changes of each severity there are in these groups.
    pub fn count(groups: &[Group]) -> Counts {
        let mut counts = Counts::default();
        for change in groups.iter().flat_map(|group| &group.changes) {
            *counts.of(change) += 1;
        }
        counts
    }

    /// What is left of it for a channel that is told of findings from a severity on; a resolved one counts by its own. `None`: nothing.
    /// A test is left as it is.
    #[must_use]
    pub fn at_least(&self, min: Severity) -> Option<Message> {
        if self.is_test {
            return Some(self.clone());
        }
        let mut groups = self.groups.clone();
        for group in &mut groups {
            group.changes.retain(|change| change.severity >= min);
        }
        groups.retain(|group| !group.changes.is_empty());
        if groups.is_empty() {
            return None;
        }
        in_order(&mut groups);
        Some(Message { counts: Message::count(&groups), groups, ..self.clone() })
    }

    /// A message that only tries a channel.
    pub fn test(program: String, run_at: Instant) -> Message {
        Message {
            schema: SCHEMA.to_owned(),
            headline: format!(
                "A test of the alerts of {program}: nothing was found. Whoever reads this would be told."
            ),
            program,
            run: 0,
            run_at,
            head: String::new(),
            status: "complete".to_owned(),
            is_test: true,
            counts: Counts::default(),
            groups: Vec::new(),
        }
    }
}

/// What a message may hold, made up, so that a template can be tried before there is anything to tell: a finding of calls, and an
/// anomaly that is over.
pub(super) fn sample() -> Message {
    let hour = |number: i64| Instant::from_hour(429_000 + number);
    let of_calls = Change {
        id: "os-aaaaaaaaaaaa".to_owned(),
        kind: "after-revocation".to_owned(),
        severity: Severity::Critical,
        change: What::MoreSevere,
        severity_before: Some(Severity::Low),
        partner: Some("partner".to_owned()),
        api: Some("api".to_owned()),
        data_class: Some("class".to_owned()),
        grant: Some("grant".to_owned()),
        operations: vec!["read".to_owned()],
        first_seen: hour(9),
        since: Some(hour(1)),
        lapsed_at: Some(hour(1)),
        first: Some(hour(5)),
        last: Some(hour(7)),
        overstay_s: Some(6 * 3600),
        served: 2,
        denied: 1,
        failed: 0,
        subjects: 2,
        subjects_exact: true,
        anomaly: None,
        summary: "a sample".to_owned(),
    };
    let observed = Observed {
        observed: 900,
        expected: 104.5,
        score: Some(17.0),
        from: hour(5),
        until: hour(6),
        network: None,
    };
    let odd = Change {
        id: "os-bbbbbbbbbbbb".to_owned(),
        kind: "spike".to_owned(),
        change: What::Resolved,
        severity_before: None,
        grant: None,
        anomaly: Some(observed),
        ..of_calls.clone()
    };
    let groups = Message::group(vec![of_calls, odd]);
    let test = Message::test("overstay".to_owned(), hour(9));
    Message { run: 1, is_test: false, counts: Message::count(&groups), groups, ..test }
}

/// Brings groups into their order; what is in them is in its own.
fn in_order(groups: &mut [Group]) {
    groups.sort_by(|a, b| {
        let gravest_first = b.gravity().cmp(&a.gravity());
        gravest_first.then_with(|| (&a.partner, &a.grant).cmp(&(&b.partner, &b.grant)))
    });
}

impl Counts {
    fn of(&mut self, change: &Change) -> &mut u64 {
        if change.change.is_over() {
            return &mut self.resolved;
        }
        match change.severity {
            Severity::Critical => &mut self.critical,
            Severity::High => &mut self.high,
            Severity::Medium => &mut self.medium,
            Severity::Low => &mut self.low,
            Severity::Info => &mut self.info,
        }
    }
}

impl Group {
    /// Whether anything of it is open, and the gravest severity of what counts by that.
    fn gravity(&self) -> (bool, Option<Severity>) {
        let open = self.changes.iter().filter(|change| !change.change.is_over());
        let gravest = open.map(|change| change.severity).max();
        let all = || self.changes.iter().map(|change| change.severity).max();
        (gravest.is_some(), gravest.or_else(all))
    }
}

/// Changes for the tests of this room.
#[cfg(test)]
pub(super) mod examples {
    use super::*;

    pub(in crate::alert) fn at(text: &str) -> Instant {
        crate::time::parse_table_instant(text).unwrap()
    }

    /// A served overstay of `partner` by the grant `g-PARTNER`.
    pub(in crate::alert) fn change(
        id: &str,
        partner: &str,
        severity: Severity,
        what: What,
    ) -> Change {
        Change {
            id: id.to_owned(),
            kind: "after-revocation".to_owned(),
            severity,
            change: what,
            severity_before: None,
            partner: Some(partner.to_owned()),
            api: Some("messages".to_owned()),
            data_class: Some("content".to_owned()),
            grant: Some(format!("g-{partner}")),
            operations: vec!["read".to_owned()],
            first_seen: at("2018-12-18T03:00:00Z"),
            since: Some(at("2018-06-01")),
            lapsed_at: Some(at("2018-06-01")),
            first: Some(at("2018-12-17T09:00:00Z")),
            last: Some(at("2018-12-17T21:30:00Z")),
            overstay_s: Some(17_271_000),
            served: 1200,
            denied: 3,
            failed: 0,
            subjects: 81,
            subjects_exact: true,
            anomaly: None,
            summary: format!("{partner} read messages of 81 people after its access was revoked"),
        }
    }

    pub(in crate::alert) fn message(changes: Vec<Change>) -> Message {
        let groups = Message::group(changes);
        Message {
            schema: SCHEMA.to_owned(),
            program: "overstay 0.1.0".to_owned(),
            run: 12,
            run_at: at("2018-12-18T03:00:00Z"),
            head: "ab".repeat(32),
            status: "complete".to_owned(),
            is_test: false,
            headline: "1 of 9 partners overstayed".to_owned(),
            counts: Message::count(&groups),
            groups,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::examples::{change, message};
    use super::*;

    fn ids(groups: &[Group]) -> Vec<Vec<&str>> {
        groups.iter().map(|g| g.changes.iter().map(|c| c.id.as_str()).collect()).collect()
    }

    #[test]
    fn the_gravest_stand_first_and_what_is_resolved_last() {
        use Severity::{Critical, High, Low, Medium};
        let mut none = change("os-n", "x", Medium, What::New);
        (none.partner, none.grant) = (None, None);
        let groups = Message::group(vec![
            change("os-r", "done", Critical, What::Resolved),
            change("os-b", "beta", High, What::New),
            change("os-a2", "alpha", Low, What::Reminder),
            none,
            change("os-c", "beta", Critical, What::Resolved),
            change("os-a1", "alpha", Critical, What::Reopened),
            change("os-a0", "alpha", Low, What::New),
            change("os-m", "mu", Medium, What::MoreSevere),
        ]);
        assert_eq!(
            ids(&groups),
            [
                vec!["os-a1", "os-a0", "os-a2"],
                // Its critical one is resolved: it counts by its high one.
                vec!["os-c", "os-b"],
                vec!["os-n"],
                vec!["os-m"],
                vec!["os-r"],
            ]
        );
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        use Severity::{Critical, High};
        let mut changes = Vec::new();
        for (i, partner) in ["a", "b", "a", "c"].into_iter().enumerate() {
            let severity = if i % 2 == 0 { High } else { Critical };
            changes.push(change(&format!("os-{i}"), partner, severity, What::New));
        }
        let expected = Message::group(changes.clone());
        changes.reverse();
        assert_eq!(Message::group(changes), expected);
    }

    #[test]
    fn a_channel_is_told_of_what_is_grave_enough() {
        use Severity::{Critical, High, Info, Low, Medium};
        let mut all = message(vec![
            change("os-1", "acme", Critical, What::New),
            change("os-2", "acme", Low, What::New),
            change("os-3", "globex", High, What::Resolved),
            change("os-4", "initech", Medium, What::New),
        ]);
        all.groups[0].partner_name = Some("Acme".to_owned());
        let counts = Counts { critical: 1, medium: 1, low: 1, resolved: 1, ..Counts::default() };
        assert_eq!(all.counts, counts);
        assert_eq!(all.at_least(Info).as_ref(), Some(&all));
        let high = all.at_least(High).unwrap();
        assert_eq!(ids(&high.groups), [["os-1"], ["os-3"]]);
        assert_eq!(high.groups[0].partner_name.as_deref(), Some("Acme"));
        assert_eq!(high.counts, Counts { critical: 1, resolved: 1, ..Counts::default() });
        assert_eq!((&high.headline, high.run), (&all.headline, 12));
        let low = message(vec![change("os-2", "acme", Low, What::New)]);
        assert_eq!(low.at_least(Medium), None);
        let test = Message::test("overstay 0.1.0".to_owned(), all.run_at);
        assert_eq!(test.at_least(Critical), Some(test));
    }

    #[test]
    fn it_reads_back_equal_from_the_state() {
        let mut change = change("os-1", "a\0\u{202e}\"\n", Severity::High, What::MoreSevere);
        change.severity_before = Some(Severity::Medium);
        change.first = None;
        change.last = Some(Instant::MAX);
        change.since = Some(Instant::MIN);
        let message = message(vec![change]);
        let json = serde_json::to_string(&message).unwrap();
        assert!(json.contains(r#""change":"more-severe","severity_before":"medium""#), "{json}");
        assert!(json.contains(r#""run_at":"2018-12-18T03:00:00Z""#), "{json}");
        assert_eq!(serde_json::from_str::<Message>(&json).unwrap(), message);
    }
}
