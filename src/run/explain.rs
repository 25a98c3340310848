//! `overstay explain`: what a verdict or a kind of finding means.

use std::io::Write;

use super::{Ended, Status};
use crate::error::{Error, Result};
use crate::findings::{EXPLANATIONS, ID_PREFIX};
use crate::nearest::did_you_mean;
use crate::render;

/// Prints the explanation of `kind`, or a line on each without one, on a screen of so many columns.
///
/// # Errors
///
/// If there is no such kind.
pub fn explain(
    kind: Option<&str>,
    columns: Option<usize>,
    stdout: &mut (dyn Write + Send),
) -> Result<Ended> {
    match kind {
        Some(kind) => {
            let explained = EXPLANATIONS.iter().find(|(name, _)| *name == kind);
            let (_, text) = explained.ok_or_else(|| unknown(kind))?;
            stdout.write_all(text.as_bytes())
        }
        None => {
            let entries: Vec<(&str, String)> =
                EXPLANATIONS.iter().map(|(name, text)| (*name, first_sentence(text))).collect();
            render::list(&entries, columns, stdout)
        }
    }
    .and_then(|()| stdout.flush())
    .map_err(|error| Error::io("standard output", error))?;
    Ok(Ended::new(Status::Done))
}

fn unknown(kind: &str) -> Error {
    let error = Error::new(format!("found `{kind}`, expected a verdict or a kind of finding"));
    if kind.starts_with(ID_PREFIX) {
        return error.hint(format!(
            "that is a finding's id: explain its kind, or see its calls with `overstay calls --finding {kind}`"
        ));
    }
    error
        .hint("`overstay explain` lists them")
        .maybe_hint(did_you_mean(kind, EXPLANATIONS.iter().map(|(name, _)| *name)))
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
