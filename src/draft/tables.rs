//! The draft: what was seen, as the tables of a register, with what could not be taken in.

use std::collections::{BTreeMap, BTreeSet};

use super::credential::{self, Plainness};
use super::learn::{Learned, learn};
use super::names;
use super::seen::{CredentialSeen, Hosts, NamedSeen, Presence, Seen, Went};
use super::text::slug;
use crate::limits;
use crate::register::{Route, Routes, Scratch, Segment};
use crate::tally::Span;
use crate::time::Instant;

/// The api of paths in which no segment says anything.
const NAMELESS_API: &str = "root";

/// Hosts that one call in so many is for count where it is asked whether hosts have routes of their own.
const HOST_SHARE: u64 = 100;

/// Paths that are mostly for everybody: for health checks, crawlers, signing in.
const FOR_EVERYBODY: [&str; 28] = [
    "health",
    "healthz",
    "healthcheck",
    "health-check",
    "livez",
    "readyz",
    "live",
    "ready",
    "alive",
    "ping",
    "status",
    "heartbeat",
    "robots.txt",
    "favicon.ico",
    "sitemap.xml",
    "well-known",
    "login",
    "logout",
    "signin",
    "signup",
    "docs",
    "swagger",
    "swagger-ui",
    "swagger.json",
    "openapi",
    "openapi.json",
    "assets",
    "static",
];

/// A first register, without grants.
#[derive(Debug, Default)]
pub struct Draft {
    /// The partners' ids, each once, by their calls: the most first.
    pub partners: Vec<String>,
    /// By their partners, in the same order.
    pub credentials: Vec<CredentialRow>,
    /// By name.
    pub apis: Vec<ApiRow>,
    /// By api, host and path.
    pub routes: Vec<RouteRow>,
    /// What a grant might look like; none where no credential made a served call.
    pub example: Option<ExampleGrant>,
    /// Call fields by format.
    pub presence: BTreeMap<String, Presence>,
    /// The first and the last call.
    pub span: Span,
    /// All calls.
    pub calls: u64,
    /// Calls that presented nothing.
    pub anonymous: u64,
    /// Calls that were denied or failed.
    pub unserved: u64,
    /// What was not taken in.
    pub left_out: LeftOut,
}

/// A row of the table of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// As the table has it: itself, or its hash.
    pub credential: String,
    /// Whether it is its hash.
    pub is_hash: bool,
    /// How reports show it, where it is a hash and the end tells little.
    pub end: Option<String>,
    /// Whose it is.
    pub partner: String,
    /// Its calls.
    pub calls: u64,
    /// The first and the last of them.
    pub span: Span,
}

/// A row of the table of apis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRow {
    /// Its id.
    pub api: String,
    /// Served calls.
    pub calls: u64,
    /// What they did.
    pub operations: BTreeSet<String>,
}

/// A row of the table of routes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteRow {
    /// The only host it was seen on, where hosts have routes of their own.
    pub host: Option<String>,
    /// The template.
    pub path: String,
    /// Whose route it is.
    pub api: String,
    /// Served calls.
    pub calls: u64,
}

/// What a grant might look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExampleGrant {
    /// A partner.
    pub partner: String,
    /// An api that it called.
    pub api: String,
    /// What was done with it.
    pub operations: BTreeSet<String>,
    /// The partner's first call.
    pub since: Option<Instant>,
}

/// Calls whose credential, path or api is not in the tables, and how much that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// Calls of credentials past [`limits::DRAFT_CREDENTIALS_MAX`].
    pub credential_calls: u64,
    /// Routes past [`limits::DRAFT_ROUTES_MAX`].
    pub routes: u64,
    /// Served calls to them.
    pub route_calls: u64,
    /// Served calls to paths of too many segments, or past [`limits::DRAFT_PLACES_MAX`].
    pub path_calls: u64,
    /// Served calls to named apis past [`limits::DRAFT_APIS_MAX`], or of names that no table holds.
    pub api_calls: u64,
}

impl LeftOut {
    /// What was not taken in, a line each.
    pub fn told(&self) -> Vec<String> {
        let mut told = Vec::new();
        let calls = |n: u64, one: &str| match n {
            1 => format!("1 {one}"),
            n => format!("{n} {one}s"),
        };
        if self.credential_calls > 0 {
            told.push(format!(
                "credentials: more than {} of them; {} presented others, which stay unknown-credential",
                limits::DRAFT_CREDENTIALS_MAX,
                calls(self.credential_calls, "call")
            ));
        }
        if self.routes > 0 {
            told.push(format!(
                "routes: the {} most called; {} to {} stay unlisted-api",
                limits::DRAFT_ROUTES_MAX,
                calls(self.route_calls, "served call"),
                calls(self.routes, "other")
            ));
        }
        if self.path_calls > 0 {
            told.push(format!(
                "routes: {} to paths of more than {} segments, or of more kinds than are told apart, stay unlisted-api",
                calls(self.path_calls, "served call"),
                limits::DRAFT_SEGMENTS_MAX
            ));
        }
        if self.api_calls > 0 {
            told.push(format!(
                "apis: {} to apis whose names no table can hold, or past the first {}, stay unlisted-api",
                calls(self.api_calls, "served call"),
                limits::DRAFT_APIS_MAX
            ));
        }
        told
    }
}

/// Whether an api's name is one of those that mostly need no grant.
pub fn is_for_everybody(api: &str) -> bool {
    FOR_EVERYBODY.contains(&api)
}

/// Makes tables of what was seen.
pub fn draft(seen: Seen) -> Draft {
    let (calls, anonymous) = (seen.calls(), seen.anonymous());
    let Seen { presence, span, unserved, credentials, root, hosts, named, .. } = seen;
    let (routes, apis, left_routes) = routes(learn(root), &hosts, named);
    let (partners, credentials, example) = credentials_of(credentials, &routes, &apis);
    Draft {
        partners,
        credentials,
        example,
        presence,
        span,
        calls,
        anonymous,
        unserved,
        left_out: LeftOut {
            credential_calls: seen.other_credentials,
            path_calls: seen.other_places,
            api_calls: seen.other_named,
            ..left_routes
        },
        routes,
        apis,
    }
}

/// The most called routes, and the apis that they and the logs name.
fn routes(
    mut learned: Vec<Learned>,
    hosts: &Hosts,
    named: BTreeMap<String, NamedSeen>,
) -> (Vec<RouteRow>, Vec<ApiRow>, LeftOut) {
    let have_own = hosts_have_own(&learned, hosts);
    let most_called = |a: &Learned, b: &Learned| {
        b.end.calls.cmp(&a.end.calls).then_with(|| a.template.cmp(&b.template))
    };
    learned.sort_by(most_called);
    let rest = learned.split_off(learned.len().min(limits::DRAFT_ROUTES_MAX));
    let left_out = LeftOut {
        routes: rest.len() as u64,
        route_calls: rest.iter().map(|route| route.end.calls).sum(),
        ..LeftOut::default()
    };
    let mut apis: BTreeMap<String, (u64, BTreeSet<String>)> = BTreeMap::new();
    for (api, seen) in named {
        let (calls, operations) = apis.entry(api).or_default();
        *calls += seen.calls;
        operations.extend(seen.operations.into_keys().map(String::from));
    }
    let mut rows = Vec::with_capacity(learned.len());
    for Learned { template, end } in learned {
        let api = api_of(&template.segments);
        let (calls, operations) = apis.entry(api.clone()).or_default();
        *calls += end.calls;
        operations.extend(end.operations.into_keys().map(String::from));
        let only = have_own.then(|| only_host(end.hosts, hosts)).flatten();
        rows.push(RouteRow { host: only, path: template.to_string(), api, calls: end.calls });
    }
    rows.sort_by(|a, b| (&a.api, &a.host, &a.path).cmp(&(&b.api, &b.host, &b.path)));
    let apis = apis.into_iter();
    let apis = apis.map(|(api, (calls, operations))| ApiRow { api, calls, operations }).collect();
    (rows, apis, left_out)
}

/// The host if it is the only one.
fn only_host(bits: u64, hosts: &Hosts) -> Option<String> {
    let place = bits.trailing_zeros() as usize;
    let (name, _) = hosts.seen.get(place).filter(|_| bits.count_ones() == 1)?;
    Some(name.clone())
}

/// Whether two hosts that matter share less than half of their paths: then they are no two names of one server.
fn hosts_have_own(learned: &[Learned], hosts: &Hosts) -> bool {
    let all: u64 = hosts.seen.iter().map(|(_, calls)| calls).sum();
    let matters = |calls: u64| calls * HOST_SHARE >= all;
    let bits: Vec<u64> = hosts
        .seen
        .iter()
        .enumerate()
        .filter(|(_, (_, calls))| matters(*calls))
        .map(|(i, _)| 1 << i)
        .collect();
    let of = |both: u64| learned.iter().filter(|route| route.end.hosts & both == both).count();
    bits.iter().enumerate().any(|(i, a)| {
        bits[i + 1..].iter().any(|b| {
            let fewer = of(*a).min(of(*b));
            fewer > 0 && of(a | b) * 2 < fewer
        })
    })
}

/// The api of a template: its first literal segment that says anything. Where that lists persons, what is behind one of them
/// says more: `/users/{user}/photos` is of `photos`.
fn api_of(segments: &[Segment]) -> String {
    let stem = |word: &str| {
        let stem = word.strip_suffix(".json").or(word.strip_suffix(".xml"));
        let is_file = FOR_EVERYBODY.contains(&word);
        slug(stem.filter(|stem| !stem.is_empty() && !is_file).unwrap_or(word))
    };
    let word = |segment: &Segment| match segment {
        Segment::Literal(text) if !names::is_prefix(text) => {
            Some((stem(text), names::is_of_persons(text)))
        }
        _ => None,
    };
    let is_one = |segment: &Segment| match segment {
        Segment::Placeholder(_) => true,
        Segment::Literal(text) => names::is_oneself(text),
    };
    for (i, segment) in segments.iter().enumerate() {
        let Some((slug, of_persons)) = word(segment).filter(|(slug, _)| !slug.is_empty()) else {
            continue;
        };
        let behind = match &segments[i + 1..] {
            [one, behind, ..] if of_persons && is_one(one) => word(behind),
            _ => None,
        };
        return behind.map(|(slug, _)| slug).filter(|slug| !slug.is_empty()).unwrap_or(slug);
    }
    NAMELESS_API.to_owned()
}

/// The partners, their credentials, and an example of a grant for the first that can have one.
fn credentials_of(
    seen: BTreeMap<[u8; 32], CredentialSeen>,
    routes: &[RouteRow],
    apis: &[ApiRow],
) -> (Vec<String>, Vec<CredentialRow>, Option<ExampleGrant>) {
    let mut seen: Vec<([u8; 32], CredentialSeen)> = seen.into_iter().collect();
    // By digest already: that is the order of those with as many calls.
    seen.sort_by_key(|(_, credential)| std::cmp::Reverse(credential.calls));
    let example_of = ExampleOf::new(routes, apis);
    let mut taken = Taken::default();
    let mut nameless = 0_u64;
    let (mut rows, mut example) = (Vec::with_capacity(seen.len()), None);
    for (digest, credential) in seen {
        let name = match &credential.plain {
            Some((Plainness::Name, text)) => Some(credential::partner_of(text)),
            _ => None,
        };
        // A name that reads as one of those that are given here would only confuse.
        let name = name.filter(|name| !name.is_empty() && !name.starts_with("partner-"));
        let partner = match name {
            Some(name) => taken.free(name),
            None => {
                nameless += 1;
                format!("partner-{nameless}")
            }
        };
        if example.is_none() {
            example = example_of.find(&partner, &credential);
        }
        let is_hash = credential.plain.is_none();
        rows.push(CredentialRow {
            credential: match credential.plain {
                Some((_, text)) => text,
                None => credential::hash_text(&digest),
            },
            is_hash,
            end: credential.end.filter(|_| is_hash),
            partner,
            calls: credential.calls,
            span: credential.span,
        });
    }
    (rows.iter().map(|row| row.partner.clone()).collect(), rows, example)
}

/// The names that are taken, and for each the number that was last put behind it.
#[derive(Default)]
struct Taken(BTreeMap<String, u64>);

impl Taken {
    /// The name, with a number behind where it is taken.
    fn free(&mut self, name: String) -> String {
        let mut free = name.clone();
        let mut number = self.0.get(&name).copied().unwrap_or(1);
        while self.0.contains_key(&free) {
            number += 1;
            free = format!("{name}-{number}");
        }
        self.0.insert(name, number);
        self.0.entry(free.clone()).or_insert(1);
        free
    }
}

/// Finds an api for an example of a grant.
struct ExampleOf<'d> {
    routes: Routes,
    apis: &'d [ApiRow],
}

impl ExampleOf<'_> {
    fn new<'d>(rows: &[RouteRow], apis: &'d [ApiRow]) -> ExampleOf<'d> {
        let route = |row: &RouteRow| {
            let template = crate::register::Template::parse(&row.path).ok()?;
            let api = row.api.clone();
            Some(Route { host: None, method: None, template, api, api_id: None, operation: None })
        };
        ExampleOf { routes: Routes::new(rows.iter().filter_map(route).collect()), apis }
    }

    fn find(&self, partner: &str, credential: &CredentialSeen) -> Option<ExampleGrant> {
        let (went, operation) = credential.example.as_ref()?;
        let api = match went {
            Went::Api(api) => api.to_string(),
            Went::Path(path) => {
                let mut scratch = Scratch::default();
                self.routes.find(None, None, path, &mut scratch)?.route.api.clone()
            }
        };
        let row = self.apis.iter().find(|row| row.api == api && !is_for_everybody(&row.api))?;
        let is_word = |word: &&String| {
            word.bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b':'))
        };
        // Of an api with operations of its own, those that this one used.
        let operations: BTreeSet<String> = match row.operations.len() {
            0..=3 => row.operations.iter().filter(is_word).cloned().collect(),
            _ => [operation.to_string()].iter().filter(is_word).cloned().collect(),
        };
        (!operations.is_empty()).then(|| ExampleGrant {
            partner: partner.to_owned(),
            api,
            operations,
            since: credential.span.first,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draft::Batch;
    use crate::formats::Format;
    use crate::parse::Scratch as Parsing;
    use crate::register::Template;

    /// What these calls show: credential, path, status.
    fn seen(calls: &[(&str, &str, u16)]) -> Seen {
        let json = Format::built_in("json").unwrap();
        let (mut batch, mut scratch) = (Batch::default(), Parsing::default());
        for (who, path, status) in calls {
            let line = format!(
                "{{\"at\":\"2018-12-18T09:30:00Z\",\"client_id\":\"{who}\",\"path\":\"{path}\",\"status\":{status}}}"
            );
            batch.add(&json.parse(line.as_bytes(), &mut scratch).unwrap(), false);
        }
        let mut seen = Seen::default();
        seen.take(batch, "json");
        seen
    }

    fn paths(draft: &Draft) -> Vec<&str> {
        draft.routes.iter().map(|row| row.path.as_str()).collect()
    }

    #[test]
    fn apis_are_called_by_what_says_something() {
        for (path, api) in [
            ("/v2/messages/{message}", "messages"),
            ("/api/v1.2/rest/Photos.json", "photos"),
            ("/users", "users"),
            ("/users/{user}", "users"),
            ("/users/{user}/photos/{photo}", "photos"),
            ("/users/me/photos", "photos"),
            ("/users/search/photos", "users"),
            ("/users/{user}/{id}", "users"),
            ("/{id}/mail", "mail"),
            ("/", "root"),
            ("/v1/{id}", "root"),
            ("/favicon.ico", "favicon.ico"),
            ("/.well-known/x", "well-known"),
        ] {
            assert_eq!(api_of(&Template::parse(path).unwrap().segments), api, "{path}");
        }
    }

    #[test]
    fn what_nothing_was_served_from_is_no_route() {
        let draft = draft(seen(&[
            ("acme", "/a", 200),
            ("acme", "/wp-login.php", 404),
            ("acme", "/a", 500),
        ]));
        assert_eq!(paths(&draft), ["/a"]);
        assert_eq!((draft.routes[0].calls, draft.unserved, draft.calls), (1, 2, 3));
        assert_eq!(draft.left_out, LeftOut::default());
    }

    #[test]
    fn the_most_called_routes_are_kept_and_the_rest_is_told() {
        let most = limits::DRAFT_ROUTES_MAX;
        // An endpoint for each pair, none of which repeats.
        let path = |i: usize| {
            let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
            format!("/get{}{}/x{}", letter(i).to_ascii_uppercase(), letter(i / 26), letter(i / 676))
        };
        let paths_: Vec<String> = (0..most + 3).map(path).collect();
        let calls: Vec<(&str, &str, u16)> = (0..most)
            .flat_map(|i| [i, i])
            .chain(most..most + 3)
            .map(|i| ("acme", paths_[i].as_str(), 200))
            .collect();
        let draft = draft(seen(&calls));
        assert_eq!(draft.routes.len(), most);
        assert!(draft.routes.iter().all(|row| row.calls == 2));
        assert_eq!((draft.left_out.routes, draft.left_out.route_calls), (3, 3));
        assert_eq!(
            draft.left_out.told(),
            ["routes: the 500 most called; 3 served calls to 3 others stay unlisted-api"]
        );
    }

    #[test]
    fn long_paths_are_left_out_and_told() {
        let long = "/a".repeat(limits::DRAFT_SEGMENTS_MAX + 1);
        let draft = draft(seen(&[("acme", &long, 200), ("acme", "/a", 200)]));
        assert_eq!(paths(&draft), ["/a"]);
        assert_eq!(draft.left_out.path_calls, 1);
        assert_eq!(draft.left_out.told().len(), 1);
    }

    #[test]
    fn words_past_the_bound_of_a_place_are_ids() {
        let names: Vec<String> = (0..limits::DRAFT_WORDS_MAX + 10)
            .map(|i| {
                let letter = |n: usize| char::from(b'a' + (n % 26) as u8);
                format!("/things/{}{}{}{}", letter(i), letter(i / 26), letter(i / 676), "n")
            })
            .collect();
        let calls: Vec<(&str, &str, u16)> =
            names.iter().map(|name| ("acme", name.as_str(), 200)).collect();
        let draft = draft(seen(&calls));
        assert_eq!(paths(&draft), ["/things/{thing}"]);
        assert_eq!(draft.routes[0].calls, names.len() as u64);
    }

    #[test]
    fn partners_by_calls_and_names_once() {
        let draft = draft(seen(&[
            ("Acme", "/a", 200),
            ("acme", "/a", 200),
            ("partner-1", "/a", 200),
            ("sk_live_1234567890", "/a", 200),
            ("sk_live_1234567890", "/a", 200),
            ("acme-2", "/a", 200),
        ]));
        assert_eq!(draft.partners[0], "partner-1");
        assert!(draft.credentials[0].is_hash);
        let mut partners = draft.partners.clone();
        partners.sort_unstable();
        partners.dedup();
        assert_eq!(partners.len(), 5, "{:?}", draft.partners);
        assert!(partners.contains(&"acme".to_owned()) && partners.contains(&"acme-2".to_owned()));
    }

    #[test]
    fn logs_taken_in_one_by_one_come_to_what_one_log_comes_to() {
        let calls = [
            ("acme", "/users/ann/photos", 200),
            ("acme", "/users/bob", 200),
            ("globex", "/users/ann/photos", 200),
            ("globex", "/x", 404),
        ];
        let whole = draft(seen(&calls));
        for cut in 0..=calls.len() {
            let mut parts = seen(&calls[..cut]);
            parts.merge(seen(&calls[cut..]));
            let parts = draft(parts);
            assert_eq!((&parts.routes, &parts.credentials), (&whole.routes, &whole.credentials));
            assert_eq!((&parts.apis, &parts.presence), (&whole.apis, &whole.presence));
        }
    }
}
