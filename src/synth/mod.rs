//! Workloads for benchmarks: a register, and calls that it has something to say of, drawn from a seed.
//!
//! A pure function of [`Params`]. A call depends on nothing but these and its number, so any stretch of calls can be
//! written on any thread. Knows no file: it appends to buffers and writers. `docs/synth.md` has the laws.

mod rng;
mod world;
mod calls;
mod lines;
mod tables;

pub use lines::LogFormat;
pub use tables::{Table, timeline};
pub use world::World;

/// What a workload is drawn from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Params {
    /// Lines of the log.
    pub calls: u64,
    /// Partners, at least one.
    pub partners: u32,
    /// Credentials, at least one for each partner.
    pub credentials: u32,
    /// Apis, at least one.
    pub apis: u32,
    /// Grants, at least one, at most one for each partner and api.
    pub grants: u32,
    /// Routes, at least one for each api.
    pub routes: u32,
    /// Persons that calls are about, from 1 to [`PEOPLE_MAX`].
    pub people: u64,
    /// Words of persons, at most [`CONSENTS_PER_PERSON_MAX`] for each of them.
    pub consents: u64,
    /// Days of the log, from [`START`] on.
    pub days: u32,
    /// What all chance comes from.
    pub seed: u64,
    /// Calls of a million that are not in order, about.
    pub violations_ppm: u32,
}

/// Persons that have an id of eight digits.
pub const PEOPLE_MAX: u64 = 90_000_000;
/// Words of one person, on average: so many that someone is left who has not withdrawn.
pub const CONSENTS_PER_PERSON_MAX: u64 = 10;
/// The first day.
pub const START: &str = "2018-12-18";
