//! `overstay explain`: what a verdict or a kind of finding means.

use std::io::Write;

use super::{Ended, Status};
use crate::error::{Error, Result};
use crate::findings::EXPLANATIONS;
use crate::nearest::similar;

/// Prints the explanation of `kind`, or a line on each without one.
///
/// # Errors
///
/// If there is no such kind.
pub fn explain(kind: Option<&str>, stdout: &mut (dyn Write + Send)) -> Result<Ended> {
    let written = |error| Error::io("standard output", error);
    match kind {
        Some(kind) => {
            let Some((_, text)) = EXPLANATIONS.iter().find(|(name, _)| *name == kind) else {
                let error =
                    Error::new(format!("found `{kind}`, expected a verdict or a kind of finding"));
                return Err(match similar(kind, EXPLANATIONS.iter().map(|(name, _)| *name)) {
                    Some(nearest) => error.hint(format!("did you mean `{nearest}`?")),
                    None => error.hint("`overstay explain` lists them"),
                });
            };
            stdout.write_all(text.as_bytes()).map_err(written)?;
        }
        None => {
            let width = EXPLANATIONS.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
            for (name, text) in EXPLANATIONS {
                writeln!(stdout, "{name:width$}  {}", first_sentence(text)).map_err(written)?;
            }
        }
    }
    stdout.flush().map_err(written)?;
    Ok(Ended::new(Status::Done))
}

/// The first sentence under the first heading, on one line.
fn first_sentence(text: &str) -> String {
    let body = text.lines().skip_while(|line| line.starts_with('#') || line.is_empty());
    let paragraph: Vec<&str> = body.take_while(|line| !line.is_empty()).collect();
    let paragraph = paragraph.join(" ");
    match paragraph.find(". ") {
        Some(end) => paragraph[..=end].to_owned(),
        None => paragraph,
    }
}
