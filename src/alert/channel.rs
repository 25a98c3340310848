//! Channels: where alerts go, and what a delivery is.

use std::time::Duration;

use serde::Serialize;

use super::attempts::{Failure, Missed, attempts};
use super::{Command, Endpoint, Message, Template};
use crate::findings::Severity;
use crate::time::Instant;

/// Where alerts go. By default nowhere.
#[derive(Clone, Debug, Default)]
pub struct AlertPlan {
    /// After how long an open critical finding is told again, in seconds.
    pub remind_every_s: u64,
    /// The channels, as the configuration has them: webhooks, then commands. Their names differ.
    pub channels: Vec<Channel>,
    /// Who is told of each committed run.
    pub heartbeat: Option<Heartbeat>,
}

impl AlertPlan {
    /// What would keep alerts waiting, as far as that can be told beforehand, a line each.
    pub fn doubts(&self) -> Vec<String> {
        let of_channel = |channel: &Channel| {
            let doubt = channel.doubt()?;
            Some(format!("alerts by {} will wait: {doubt}", channel.name))
        };
        let beat = self.heartbeat.as_ref().and_then(|heartbeat| {
            let why = heartbeat.endpoint.missing()?;
            Some(format!("the heartbeat will not be heard: {why}"))
        });
        self.channels.iter().filter_map(of_channel).chain(beat).collect()
    }
}

/// One way that alerts go.
#[derive(Clone, Debug)]
pub struct Channel {
    /// By what the state knows it. Holds no secret, and stays when others come and go.
    pub name: String,
    /// From which severity on it is told; see [`Message::at_least`].
    pub min_severity: Severity,
    pub(crate) way: Way,
    pub(crate) template: Template,
    /// For how long receivers that forget are to remember a critical finding: reminders come so often.
    pub(crate) remind_every_s: u64,
}

/// How a channel delivers.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// By HTTP.
    Webhook(Endpoint),
    /// On the standard input of a program.
    Command(Command),
}

/// A message on its way.
#[derive(Clone, Copy, Debug)]
pub struct Delivery<'a> {
    /// The same each time it is tried, so that a receiver can drop what it has.
    pub delivery_id: &'a str,
    /// What it says.
    pub message: &'a Message,
}

impl Channel {
    /// Delivers a message, by up to three attempts; `pause` is how to wait between them ([`std::thread::sleep`]). Nothing is left out of the
    /// message: whether it is grave enough was decided when it was made.
    ///
    /// # Errors
    ///
    /// Why it was not delivered. It may have arrived all the same, where the answer got lost.
    pub fn deliver(
        &self,
        delivery: &Delivery<'_>,
        pause: &dyn Fn(Duration),
    ) -> Result<(), Failure> {
        let body = self.template.render(delivery, self.remind_every_s).map_err(Failure::mend)?;
        attempts(pause, || match &self.way {
            Way::Webhook(endpoint) => {
                endpoint.post(body.as_bytes(), self.template.content_type(), delivery.delivery_id)
            }
            Way::Command(command) => command.run(body.as_bytes(), delivery),
        })
    }

    fn doubt(&self) -> Option<String> {
        let of_way = match &self.way {
            Way::Webhook(endpoint) => endpoint.missing(),
            Way::Command(command) => command.missing(),
        };
        of_way.or_else(|| self.template.doubt(self.remind_every_s))
    }
}

/// Who is told that a run was committed: that it is silent is the alarm.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    pub(crate) endpoint: Endpoint,
}

/// What a heartbeat says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Beat {
    /// The run's number.
    pub run: u64,
    /// The time of the run.
    pub run_at: Instant,
    /// The head of the chain of manifests, hex.
    pub head: String,
    /// `complete` or `partial`.
    pub status: String,
    /// Open findings.
    pub findings: BySeverity,
    /// Messages that wait to be delivered.
    pub alerts_waiting: u64,
}

/// A number for each severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct BySeverity {
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
}

impl Heartbeat {
    /// Tells of a run; as [`Channel::deliver`].
    ///
    /// # Errors
    ///
    /// Why it was not heard.
    pub fn beat(&self, beat: &Beat, pause: &dyn Fn(Duration)) -> Result<(), Failure> {
        #[derive(Serialize)]
        struct Body<'a> {
            schema: &'a str,
            program: &'a str,
            delivery_id: &'a str,
            #[serde(flatten)]
            beat: &'a Beat,
        }
        // The head is of this run alone, and the same after a crash.
        let body = serde_json::to_vec(&Body {
            schema: "overstay.heartbeat/1",
            program: concat!("overstay ", env!("CARGO_PKG_VERSION")),
            delivery_id: &beat.head,
            beat,
        });
        attempts(pause, || match &body {
            Ok(body) => self.endpoint.post(body, "application/json", &beat.head),
            Err(error) => Err(Missed::for_good(Failure::mend(error.to_string()))),
        })
    }
}
