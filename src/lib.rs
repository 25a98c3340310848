//! Joins API access logs with the register of who was allowed what, and when.
//!
//! Data flows one way, and each room imports only from those before it:
//!
//! ```text
//! bytes → line-aligned pieces → calls → steps → Tally → Report → bytes
//! input/        input/          parse/   judge/  tally/  report/  render/
//!                               formats/ register/       findings/
//! ```
//!
//! A [`formats::Format`] turns a line into a [`call::Call`]. A [`judge::Judge`], compiled from a [`register::Register`],
//! says what the register says of it at its own time. A [`tally::Tally`] counts it; tallies of pieces, threads and
//! files merge in any order to the same sums. A [`report::Report`] is a pure function of a tally, and a
//! renderer one of a report. [`plan`] resolves whatever depends on the machine, once, and [`run`] has one file for
//! each command. A first register comes out of calls by way of a [`draft::Draft`];
//! workloads for benchmarks out of a [`synth::World`].
//!
//! ```
//! use overstay::formats::Format;
//! use overstay::judge::{Judge, Memory, Verdict};
//! use overstay::parse::Scratch;
//! use overstay::register::{self, Source};
//!
//! let tables = register::load(&Source::Folder("sample-logs/register".into()))?;
//! let register = register::build(&tables, None, 0);
//! let judge = Judge::new(&register);
//!
//! let line = br#"{"at":"2018-12-17T00:07:12Z","client_id":"reelhouse-sample-key-rh01","method":"GET","path":"/v2/messages/t-7"}"#;
//! let (mut scratch, mut memory) = (Scratch::default(), Memory::default());
//! let json = Format::built_in("json").expect("it is built in");
//! let call = json.parse(line, &mut scratch).expect("it is a call");
//! let judged = judge.judge(&call, &mut memory);
//!
//! assert_eq!(judged.verdict, Verdict::AfterRevocation);
//! assert_eq!(judged.since.map(|since| since.to_string()).as_deref(), Some("2017-12-06T00:00:00Z"));
//! # Ok::<(), overstay::error::Error>(())
//! ```

// In the order a newcomer should read them: from what a call is, along the flow of the data, to the command line.
mod word;
pub mod time;
pub mod call;
pub mod limits;
pub mod error;
mod nearest;
pub mod network;
pub mod register;
pub mod input;
pub mod parse;
pub mod formats;
pub mod judge;
pub mod tally;
pub mod draft;
pub mod anomaly;
pub mod findings;
pub mod state;
pub mod report;
pub mod render;
pub mod alert;
pub mod synth;
pub mod cli;
pub mod plan;
pub mod run;
