//! What each verdict and kind of finding means, as `overstay explain` prints it.

/// Name and text, in the order of verdicts, then the kinds of finding that are none.
pub const EXPLANATIONS: [(&str, &str); 34] = [
    ("open", include_str!("explain/open.md")),
    ("anonymous", include_str!("explain/anonymous.md")),
    ("unknown-credential", include_str!("explain/unknown-credential.md")),
    ("unlisted-api", include_str!("explain/unlisted-api.md")),
    ("dormant-api", include_str!("explain/dormant-api.md")),
    ("consent-overridden", include_str!("explain/consent-overridden.md")),
    ("without-consent", include_str!("explain/without-consent.md")),
    ("uncertified", include_str!("explain/uncertified.md")),
    ("purpose-ended", include_str!("explain/purpose-ended.md")),
    ("propagating", include_str!("explain/propagating.md")),
    ("after-revocation", include_str!("explain/after-revocation.md")),
    ("after-expiry", include_str!("explain/after-expiry.md")),
    ("before-grant", include_str!("explain/before-grant.md")),
    ("out-of-scope", include_str!("explain/out-of-scope.md")),
    ("never-granted", include_str!("explain/never-granted.md")),
    ("stale-credential", include_str!("explain/stale-credential.md")),
    ("granted", include_str!("explain/granted.md")),
    ("hindsight", include_str!("explain/hindsight.md")),
    ("standing-access", include_str!("explain/standing-access.md")),
    ("unused-grant", include_str!("explain/unused-grant.md")),
    ("unused-operation", include_str!("explain/unused-operation.md")),
    ("unused-credential", include_str!("explain/unused-credential.md")),
    ("spike", include_str!("explain/spike.md")),
    ("drop", include_str!("explain/drop.md")),
    ("subject-sweep", include_str!("explain/subject-sweep.md")),
    ("denied-burst", include_str!("explain/denied-burst.md")),
    ("new-api", include_str!("explain/new-api.md")),
    ("new-operation", include_str!("explain/new-operation.md")),
    ("woken-grant", include_str!("explain/woken-grant.md")),
    ("woken-api", include_str!("explain/woken-api.md")),
    ("new-network", include_str!("explain/new-network.md")),
    ("log-rewritten", include_str!("explain/log-rewritten.md")),
    ("log-lost", include_str!("explain/log-lost.md")),
    ("register-refused", include_str!("explain/register-refused.md")),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::findings::Kind;
    use crate::judge::Verdict;

    #[test]
    fn every_verdict_and_kind_is_explained_under_the_same_headings() {
        let verdicts = Verdict::ALL.into_iter().map(Verdict::as_str);
        for name in verdicts.chain(Kind::all().map(Kind::as_str)) {
            let explained = EXPLANATIONS.iter().find(|(explained, _)| *explained == name);
            let (_, text) = explained.unwrap_or_else(|| panic!("{name} is not explained"));
            let headings: Vec<&str> = text.lines().filter(|line| line.starts_with('#')).collect();
            let expected = [
                &format!("# {name}"),
                "## What it reports",
                "## Why it matters",
                "## What it cannot see",
                "## Example",
                "## What to do",
            ];
            assert_eq!(headings, expected);
        }
    }
}
