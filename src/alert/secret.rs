//! Texts that must not be seen: they come resolved, and show themselves to no one.

use std::fmt;

/// A secret, or why it is missing.
#[derive(Clone)]
pub(crate) struct Secret(Result<String, String>);

impl Secret {
    /// One that is there, or the reason why it is not, in words that follow "expected …".
    pub(crate) fn new(value: Result<String, String>) -> Secret {
        Secret(value)
    }

    /// What it is: for nothing but to be sent.
    ///
    /// # Errors
    ///
    /// Why it is missing.
    pub(crate) fn reveal(&self) -> Result<&str, &str> {
        self.0.as_deref().map_err(String::as_str)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(_) => f.write_str("Secret(hidden)"),
            Err(why) => write!(f, "Secret(missing: {why})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shows_itself_to_no_one() {
        assert_eq!(format!("{:?}", Secret::new(Ok("s3cret".to_owned()))), "Secret(hidden)");
        let missing = Secret::new(Err("TOKEN is not set".to_owned()));
        assert_eq!(format!("{missing:#?}"), "Secret(missing: TOKEN is not set)");
    }
}
