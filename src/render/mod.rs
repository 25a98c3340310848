//! From a report to bytes: one pure function each. None decides about content, none knows
//! where its bytes go.

mod csv;
mod draft;
mod escape;
mod formats;
mod json;
mod list;
mod markdown;
mod ocsf;
mod prometheus;
mod table;
mod terminal;

pub use csv::{CSV_TABLES, CsvTable, csv};
pub use draft::{Logs, Taken, draft_config, draft_summary, draft_table, grant_line};
pub use escape::for_terminal;
pub use formats::{FormatRow, formats};
pub use json::{json, json_line};
pub use list::list;
pub use markdown::{markdown, markdown_partner};
pub use ocsf::ocsf;
pub use prometheus::prometheus;
pub use terminal::{Screen, terminal};
