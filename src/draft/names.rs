//! The words by which paths are told: which say nothing, which are about persons, which are operations, and what one of
//! a collection is called.

use super::text::slug;
use crate::register::is_version;

/// Segments in front of what a path is about.
const PREFIXES: [&str; 20] = [
    "api", "apis", "rest", "v", "public", "internal", "external", "private", "service", "services",
    "gateway", "rpc", "json", "latest", "stable", "current", "web", "app", "www", "graph",
];

/// Collections of persons. What follows is whom the calls are about.
const PERSONS: [&str; 34] = [
    "people",
    "persons",
    "person",
    "users",
    "user",
    "members",
    "member",
    "customers",
    "customer",
    "accounts",
    "account",
    "profiles",
    "profile",
    "contacts",
    "contact",
    "employees",
    "employee",
    "students",
    "patients",
    "subscribers",
    "friends",
    "followers",
    "persona",
    "citizens",
    "residents",
    "applicants",
    "participants",
    "attendees",
    "guests",
    "drivers",
    "owners",
    "participant",
    "patient",
    "student",
];

/// Words that are no id wherever they stand behind a collection.
const RESERVED: [&str; 44] = [
    "me",
    "self",
    "search",
    "new",
    "count",
    "batch",
    "bulk",
    "export",
    "import",
    "login",
    "logout",
    "signin",
    "signup",
    "register",
    "password",
    "settings",
    "verify",
    "verification",
    "list",
    "all",
    "query",
    "find",
    "create",
    "update",
    "delete",
    "status",
    "health",
    "stats",
    "summary",
    "current",
    "latest",
    "recent",
    "active",
    "lookup",
    "validate",
    "refresh",
    "token",
    "reset",
    "invite",
    "sync",
    "upload",
    "download",
    "events",
    "feed",
];

/// Verbs that names of operations begin or end with.
const VERBS: [&str; 52] = [
    "get",
    "list",
    "create",
    "update",
    "delete",
    "set",
    "add",
    "remove",
    "send",
    "search",
    "find",
    "fetch",
    "post",
    "put",
    "patch",
    "upload",
    "download",
    "start",
    "stop",
    "check",
    "validate",
    "query",
    "read",
    "write",
    "open",
    "close",
    "cancel",
    "approve",
    "reject",
    "register",
    "describe",
    "batch",
    "sync",
    "reset",
    "run",
    "execute",
    "submit",
    "subscribe",
    "unsubscribe",
    "publish",
    "invite",
    "join",
    "leave",
    "archive",
    "unarchive",
    "history",
    "info",
    "lookup",
    "load",
    "save",
    "count",
    "verify",
];

/// Plurals that do not end as others do.
const PLURALS: [(&str, &str); 6] = [
    ("movies", "movie"),
    ("cookies", "cookie"),
    ("children", "child"),
    ("caches", "cache"),
    ("indices", "index"),
    ("series", "series"),
];

/// Whether a literal segment says nothing of what a path is about.
pub(super) fn is_prefix(segment: &str) -> bool {
    is_version(segment) || PREFIXES.iter().any(|prefix| prefix.eq_ignore_ascii_case(segment))
}

/// Whether what follows the segment is a person.
pub(super) fn is_of_persons(segment: &str) -> bool {
    PERSONS.iter().any(|word| word.eq_ignore_ascii_case(segment))
}

/// Whether it stands for the person who calls.
pub(super) fn is_oneself(segment: &str) -> bool {
    ["me", "self", "current"].iter().any(|word| word.eq_ignore_ascii_case(segment))
}

/// Whether the word is for many.
pub(super) fn is_plural(segment: &str) -> bool {
    segment.ends_with(['s', 'S']) || segment.eq_ignore_ascii_case("people")
}

/// Whether it is no id wherever it stands.
pub(super) fn is_reserved(segment: &str) -> bool {
    RESERVED.iter().any(|word| word.eq_ignore_ascii_case(segment))
}

/// Whether it reads as an operation's name: `getUser`, `chat.postMessage`, `send-mail`, `users.list`.
pub(super) fn is_operation(segment: &str) -> bool {
    let is_verb = |word: &str| VERBS.iter().any(|verb| verb.eq_ignore_ascii_case(word));
    let parts = || segment.split(['.', '-', '_', ':']);
    parts().count() > 1
        && (parts().next().is_some_and(is_verb) || parts().next_back().is_some_and(is_verb))
        || parts().any(|part| {
            let head = part.char_indices().skip(1).find(|(_, c)| c.is_ascii_uppercase());
            head.is_some_and(|(end, _)| is_verb(&part[..end]))
        })
}

/// What one element of a collection is called as a placeholder.
pub(super) fn of_collection(segment: Option<&str>) -> String {
    let named = segment.filter(|segment| !is_prefix(segment));
    let Some(segment) = named.map(slug).filter(|segment| !segment.is_empty()) else {
        return "id".to_owned();
    };
    if is_of_persons(&segment) {
        return "user".to_owned();
    }
    singular(&segment.replace('.', "-"))
}

fn singular(word: &str) -> String {
    if let Some((_, one)) = PLURALS.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    let es = ["sses", "xes", "shes", "ches", "zzes"].iter().any(|end| word.ends_with(end));
    let stem = if es { word.strip_suffix("es") } else { word.strip_suffix('s') };
    let keeps = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    stem.filter(|stem| !keeps && stem.len() > 1).unwrap_or(word).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_collection() {
        for (collection, one) in [
            ("messages", "message"),
            ("Users", "user"),
            ("people", "user"),
            ("categories", "category"),
            ("addresses", "address"),
            ("boxes", "box"),
            ("status", "status"),
            ("movies", "movie"),
            ("mail", "mail"),
            ("s", "s"),
            ("v1", "id"),
            ("api", "id"),
            ("%{}", "id"),
            ("user.items", "user-item"),
        ] {
            assert_eq!(of_collection(Some(collection)), one, "{collection}");
        }
        assert_eq!(of_collection(None), "id");
    }

    #[test]
    fn names_of_operations() {
        for name in
            ["getUser", "GetUser", "chat.postMessage", "users.list", "send-mail", "mail_send"]
        {
            assert!(is_operation(name), "{name}");
        }
        for name in
            ["alice", "get", "anna.smith", "getaway", "Anna", "listing", "bob-jones", "äGet"]
        {
            assert!(!is_operation(name), "{name}");
        }
    }
}
