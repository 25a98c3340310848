//! The digest of a register's content: equal for equal content, however it is written down.
//!
//! Covers every version known, in key order, with every text preceded by its length, so that no
//! two contents give one stream of bytes. Row and column order, quoting, the spelling of times and
//! where the tables lie do not enter.

use super::Operations;
use super::tables::{Row, Table, Tables};
use super::versions::known;
use crate::time::Instant;

/// BLAKE3 of all versions known at `as_known_at` (`None`: all).
pub(super) fn of(tables: &Tables, as_known_at: Option<Instant>) -> [u8; 32] {
    let mut bytes = Encoder { hasher: blake3::Hasher::new() };
    bytes.text("overstay.register/1");
    bytes.rows(
        Table::Partners,
        known(&tables.partners, as_known_at, |cells| &cells.partner).into_values().flatten(),
        |bytes, cells| {
            bytes.text(&cells.partner);
            bytes.optional(cells.name.as_deref(), Encoder::text);
            bytes.optional(cells.contact.as_deref(), Encoder::text);
        },
    );
    bytes.rows(
        Table::Credentials,
        known(&tables.credentials, as_known_at, |cells| (cells.digest, cells.valid_from))
            .into_values()
            .flatten(),
        |bytes, cells| {
            bytes.hasher.update(&cells.digest);
            bytes.text(&cells.shown);
            bytes.instant(cells.valid_from);
            bytes.text(&cells.partner);
            bytes.instant(cells.valid_until);
        },
    );
    bytes.rows(
        Table::Apis,
        known(&tables.apis, as_known_at, |cells| &cells.api).into_values().flatten(),
        |bytes, cells| {
            bytes.text(&cells.api);
            bytes.optional(cells.row.name.as_deref(), Encoder::text);
            bytes.optional(cells.row.data_class.as_deref(), Encoder::text);
            bytes.flag(cells.row.open);
            bytes.flag(cells.row.consent_required);
            bytes.instant(cells.row.dormant_since);
            bytes.optional(cells.row.propagation_s, Encoder::number);
        },
    );
    bytes.rows(
        Table::Routes,
        known(&tables.routes, as_known_at, |cells| (&cells.host, &cells.method, &cells.template))
            .into_values()
            .flatten(),
        |bytes, cells| {
            bytes.optional(cells.host.as_deref(), Encoder::text);
            bytes.optional(cells.method.as_deref(), Encoder::text);
            bytes.text(&cells.template.to_string());
            bytes.text(&cells.api);
            bytes.optional(cells.operation.as_deref(), Encoder::text);
        },
    );
    bytes.rows(
        Table::Grants,
        known(&tables.grants, as_known_at, |cells| &cells.grant).into_values().flatten(),
        |bytes, cells| {
            for text in [&cells.grant, &cells.partner, &cells.api] {
                bytes.text(text);
            }
            bytes.operations(&cells.operations);
            bytes.instant(cells.granted_at);
            bytes.instant(cells.expires_at);
            bytes.instant(cells.revoked_at);
            bytes.optional(cells.purpose.as_deref(), Encoder::text);
            bytes.instant(cells.certified_until);
            bytes.flag(cells.overrides_consent);
            bytes.optional(cells.justification.as_deref(), Encoder::text);
        },
    );
    bytes.rows(
        Table::Purposes,
        known(&tables.purposes, as_known_at, |cells| &cells.purpose).into_values().flatten(),
        |bytes, cells| {
            bytes.text(&cells.purpose);
            bytes.optional(cells.row.name.as_deref(), Encoder::text);
            bytes.instant(cells.row.ended_at);
        },
    );
    bytes.rows(
        Table::Consents,
        known(&tables.consents, as_known_at, |cells| {
            (&cells.subject, &cells.partner, &cells.api, cells.at)
        })
        .into_values()
        .flatten(),
        |bytes, cells| {
            bytes.text(&cells.subject);
            bytes.optional(cells.partner.as_deref(), Encoder::text);
            bytes.optional(cells.api.as_deref(), Encoder::text);
            bytes.instant(Some(cells.at));
            bytes.flag(cells.given);
        },
    );
    *bytes.hasher.finalize().as_bytes()
}

/// Feeds values to the hash so that each can be told from the next.
struct Encoder {
    hasher: blake3::Hasher,
}

impl Encoder {
    fn rows<'t, T: 't>(
        &mut self,
        table: Table,
        rows: impl Iterator<Item = &'t Row<T>>,
        mut content: impl FnMut(&mut Encoder, &T),
    ) {
        self.text(table.name());
        for row in rows {
            self.flag(true);
            content(self, &row.cells);
            self.instant(row.recorded_at);
        }
        self.flag(false);
    }

    fn number(&mut self, number: u64) {
        self.hasher.update(&number.to_le_bytes());
    }

    fn flag(&mut self, flag: bool) {
        self.hasher.update(&[u8::from(flag)]);
    }

    fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.hasher.update(text.as_bytes());
    }

    fn optional<T>(&mut self, value: Option<T>, encode: impl FnOnce(&mut Encoder, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            encode(self, value);
        }
    }

    fn instant(&mut self, instant: Option<Instant>) {
        self.optional(instant, |bytes, instant| {
            bytes.hasher.update(&instant.ns().to_le_bytes());
        });
    }

    fn operations(&mut self, operations: &Operations) {
        match operations {
            Operations::All => self.flag(true),
            Operations::Named(names) => {
                self.flag(false);
                self.number(names.len() as u64);
                names.iter().for_each(|name| self.text(name));
            }
        }
    }
}
