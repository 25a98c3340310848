//! The tables of the register, row by row, and its timelines as a table.

use std::io::{self, Write};

use super::Params;
use super::rng::{Kind, Rng};
use super::world::{CONSENTS_PER_WITHDRAWAL, NEVER, START_S, World, digits};
use crate::judge::{Timelines, Verdict};
use crate::register::Register;
use crate::time::{Instant, NS_PER_S, S_PER_DAY};

/// A table of the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Who calls.
    Partners,
    /// What they present.
    Credentials,
    /// What they call.
    Apis,
    /// By which paths.
    Routes,
    /// What for.
    Purposes,
    /// By what right.
    Grants,
    /// What persons say to it.
    Consents,
}

impl Table {
    /// All tables.
    pub const ALL: [Table; 7] = [
        Table::Partners,
        Table::Credentials,
        Table::Apis,
        Table::Routes,
        Table::Purposes,
        Table::Grants,
        Table::Consents,
    ];

    /// Its file's name in the register.
    pub const fn file_name(self) -> &'static str {
        match self {
            Table::Partners => "partners.csv",
            Table::Credentials => "credentials.csv",
            Table::Apis => "apis.csv",
            Table::Routes => "routes.csv",
            Table::Purposes => "purposes.csv",
            Table::Grants => "grants.csv",
            Table::Consents => "consents.csv",
        }
    }
}

/// First and second halves of partners' names.
const FIRST: [&str; 16] = [
    "amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "harbour", "indigo", "juniper",
    "kestrel", "lantern", "meadow", "north", "opal", "prairie",
];
const SECOND: [&str; 16] = [
    "apps", "books", "cards", "deals", "echo", "fit", "games", "health", "ideas", "jobs", "kit",
    "labs", "maps", "news", "offers", "play",
];

impl World {
    /// Whether the register has the table: the one for consents only if there are any.
    pub fn has(&self, table: Table) -> bool {
        table != Table::Consents || self.params.consents > 0
    }

    /// Writes a table, its header first.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn table(&self, table: Table, out: &mut dyn Write) -> io::Result<()> {
        match table {
            Table::Partners => self.partners(out),
            Table::Credentials => self.credentials(out),
            Table::Apis => self.apis(out),
            Table::Routes => self.routes(out),
            Table::Purposes => self.purposes(out),
            Table::Grants => self.grants(out),
            Table::Consents => self.consents(out),
        }
    }

    fn partners(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "partner,name,contact")?;
        for partner in 0..self.params.partners {
            let id = self.partner_id(partner);
            writeln!(out, "{id},Partner {partner},desk@{id}.example")?;
        }
        Ok(())
    }

    fn credentials(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "credential,partner,valid_from,valid_until")?;
        for partner in 0..self.params.partners {
            let id = self.partner_id(partner);
            let place = partner as usize;
            let theirs =
                self.credentials_of[place] as usize..self.credentials_of[place + 1] as usize;
            for credential in &self.credentials[theirs] {
                let text = String::from_utf8_lossy(&credential.text);
                let from = credential.valid_from.map(instant).unwrap_or_default();
                writeln!(out, "{text},{id},{from},{}", instant(credential.valid_until))?;
            }
        }
        Ok(())
    }

    fn apis(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "api,name,data_class,dormant_since,propagation_s")?;
        for (api, index) in self.apis.iter().zip(0..) {
            let propagation =
                if api.propagation_s == 0 { String::new() } else { api.propagation_s.to_string() };
            let (name, class) = (&api.name, api.data_class);
            writeln!(
                out,
                "{name},Api {index},{class},{},{propagation}",
                instant(api.dormant_since)
            )?;
        }
        Ok(())
    }

    fn routes(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "host,method,path,api,operation")?;
        for api in &self.apis {
            for route in &api.routes {
                let placeholder = if route.of_person { "{user}" } else { "{item}" };
                writeln!(out, ",,{}{placeholder}{},{},", route.before, route.after, api.name)?;
            }
        }
        Ok(())
    }

    fn purposes(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "purpose,name,ended_at")?;
        for (ended_at, purpose) in self.purposes.iter().zip(0..) {
            writeln!(out, "{},Feature {purpose},{}", self.purpose_id(purpose), instant(*ended_at))?;
        }
        Ok(())
    }

    fn grants(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "grant,partner,api,operations,granted_at,expires_at,revoked_at,purpose,certified_until"
        )?;
        let width = digits(self.params.grants - 1);
        for (grant, index) in self.grants.iter().zip(0..) {
            writeln!(
                out,
                "g-{index:0width$},{},{},{},{},{},{},{},{}",
                self.partner_id(grant.partner),
                self.apis[grant.api as usize].name,
                grant.operations.text(),
                instant(grant.granted_at),
                instant(grant.expires_at),
                instant(grant.revoked_at),
                self.purpose_id(grant.purpose),
                instant(grant.certified_until),
            )?;
        }
        Ok(())
    }

    fn consents(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "subject,partner,api,at,state")?;
        let Params { seed, partners, apis, people, consents, .. } = self.params;
        // Words of one person are of different times: each turn has a stretch of its own. What was given was given in the
        // two years before all withdrawals.
        let turns = consents.div_ceil(people) as i64;
        let (given_s, withdrawn_s) = (730 * S_PER_DAY / turns, 300 * S_PER_DAY / turns);
        for index in 0..consents {
            let mut rng = Rng::of(seed, Kind::Consent, index);
            let (subject, turn) = (self.person_id(index % people), (index / people) as i64);
            let at = |from: i64, each: i64, rng: &mut Rng| {
                Instant::from_ns((from + turn * each + rng.below(each as u64) as i64) * NS_PER_S)
            };
            if index % CONSENTS_PER_WITHDRAWAL == CONSENTS_PER_WITHDRAWAL - 1 {
                let at = at(START_S - 301 * S_PER_DAY, withdrawn_s, &mut rng);
                writeln!(out, "{subject},*,*,{at},withdrawn")?;
            } else {
                let at = at(START_S - 1032 * S_PER_DAY, given_s, &mut rng);
                let partner = self.partner_id(self.partner(&mut rng, partners));
                let api = &self.apis[rng.below(u64::from(apis)) as usize].name;
                writeln!(out, "{subject},{partner},{api},{at},given")?;
            }
        }
        Ok(())
    }

    fn partner_id(&self, partner: u32) -> String {
        let width = digits(self.params.partners - 1);
        let mut rng = Rng::of(self.params.seed, Kind::Partner, !u64::from(partner));
        let first = FIRST[rng.below(FIRST.len() as u64) as usize];
        let second = SECOND[rng.below(SECOND.len() as u64) as usize];
        format!("{first}{second}-{partner:0width$}")
    }

    fn purpose_id(&self, purpose: u32) -> String {
        format!("feature-{purpose:02}")
    }
}

/// An instant of the register; blank where it never comes.
fn instant(at_s: i64) -> String {
    if at_s == NEVER { String::new() } else { Instant::from_ns(at_s * NS_PER_S).to_string() }
}

/// Writes what holds of each (partner, api, operation) from when on: all steps of all timelines.
///
/// # Errors
///
/// Those of the writer.
pub fn timeline(register: &Register, timelines: &Timelines, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "partner,api,operation,from,from_us,verdict")?;
    for timeline in &timelines.all {
        let partner = timeline.partner.map(|id| register.partners[id.0 as usize].id.as_str());
        let partner = partner.unwrap_or_default();
        let api = &register.apis[timeline.api.0 as usize].id;
        let operation = timeline.operation.as_deref().unwrap_or_default();
        for step in &timeline.steps {
            // The beginning of time is no whole microsecond: the first one after it stands for it.
            let from_us = step.from.ns() / 1000;
            let from = Instant::from_ns(from_us * 1000);
            let verdict = match step.axes.dormant_since {
                Some(_) => Verdict::DormantApi,
                None => step.axes.axis,
            };
            writeln!(out, "{partner},{api},{operation},{from},{from_us},{verdict}")?;
        }
    }
    Ok(())
}
