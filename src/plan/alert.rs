//! `[alert]`: channels with their secrets, files and certificates, as this machine has them. What is missing here is no error of the
//! configuration: the run must come all the same, and the alerts wait until it is there.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Spanned;

use super::config::{self, HeaderGiven, Hidden};
use super::{ConfigFile, span_s};
use crate::alert::{
    AlertPlan, BuiltIn, Channel, Command, Endpoint, Header, Heartbeat, Proxies, Roots, Secret,
    Target, Template, Way, content_type_of,
};
use crate::error::{Problems, io_words};
use crate::findings::Severity;
use crate::limits;
use crate::nearest::did_you_mean;
use crate::render::for_terminal;
use crate::time::S_PER_DAY;

/// After how long what is open and critical is told again, unless the configuration says.
const REMIND_EVERY_S: u64 = 7 * S_PER_DAY as u64;
/// How long a request may take.
const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a command may take.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(60);

/// The alerts of a configuration; a problem for each key that does not fit.
pub(super) fn alert(config: &ConfigFile, problems: &mut Problems) -> AlertPlan {
    let given = &config.tables.alert;
    let remind_every_s = given.remind_every.as_ref().and_then(|text| {
        let span = span_s(text.get_ref()).ok_or_else(|| {
            let what = format!(
                "[alert] remind_every: found `{}`, expected a number of days or hours such as 7d or 12h",
                text.get_ref()
            );
            config.error(text.span(), what)
        });
        problems.note(span)
    });
    let mut reader = Reader {
        config,
        folder: absolute(config.folder()),
        remind_every_s: remind_every_s.unwrap_or(REMIND_EVERY_S),
        system: None,
        proxies: proxies(),
    };
    let mut channels: Vec<Channel> = Vec::new();
    let webhooks =
        given.webhook.iter().map(|webhook| (webhook.span(), Given::Webhook(webhook.get_ref())));
    let commands =
        given.command.iter().map(|command| (command.span(), Given::Command(command.get_ref())));
    for (span, given) in webhooks.chain(commands) {
        let channel = match given {
            Given::Webhook(webhook) => reader.webhook(span.clone(), webhook, problems),
            Given::Command(command) => reader.command(span.clone(), command, problems),
        };
        let Some(channel) = channel else { continue };
        if channels.iter().any(|known| known.name == channel.name) {
            let what = format!(
                "[alert]: found two channels that are known as `{}`, expected each to be known apart",
                for_terminal(&channel.name)
            );
            problems.0.push(config.error(span, what).hint("give one of them a `name`"));
            continue;
        }
        channels.push(channel);
    }
    let heartbeat = given.heartbeat.as_ref().and_then(|heartbeat| {
        let (span, heartbeat) = (heartbeat.span(), &heartbeat.get_ref().0);
        let request = Request {
            what: "[alert] heartbeat",
            url: &heartbeat.url,
            url_env: &heartbeat.url_env,
            url_file: &heartbeat.url_file,
            headers: &heartbeat.headers,
            ca_file: &heartbeat.ca_file,
            timeout: &heartbeat.timeout,
        };
        let (endpoint, _) = reader.endpoint(span, &request, problems)?;
        Some(Heartbeat { endpoint })
    });
    AlertPlan { remind_every_s: reader.remind_every_s, channels, heartbeat }
}

/// The folder, wherever a command makes itself at home.
fn absolute(folder: &Path) -> PathBuf {
    // A path that is empty is no path.
    let folder = Path::new(".").join(folder);
    std::path::absolute(&folder).unwrap_or(folder)
}

enum Given<'a> {
    Webhook(&'a config::Webhook),
    Command(&'a config::AlertCommand),
}

/// What a webhook and the heartbeat have in common.
struct Request<'a> {
    what: &'static str,
    url: &'a Option<Hidden>,
    url_env: &'a Option<String>,
    url_file: &'a Option<String>,
    headers: &'a BTreeMap<String, HeaderGiven>,
    ca_file: &'a Option<String>,
    timeout: &'a Option<Spanned<String>>,
}

/// How a webhook or a command writes its alerts.
struct Wording<'a> {
    what: &'static str,
    span: &'a Range<usize>,
    template: &'a Option<Spanned<String>>,
    file: &'a Option<String>,
    content_type: &'a Option<Spanned<String>>,
    /// The type of content of a file, unless that is given.
    otherwise: fn(&str) -> &'static str,
    /// The templates that there are.
    known: &'a [BuiltIn],
}

struct Reader<'a> {
    config: &'a ConfigFile,
    /// Of the configuration, absolute.
    folder: PathBuf,
    remind_every_s: u64,
    /// Whom this machine trusts, once someone needed to know.
    system: Option<Roots>,
    proxies: Proxies,
}

impl Reader<'_> {
    fn webhook(
        &mut self,
        span: Range<usize>,
        given: &config::Webhook,
        problems: &mut Problems,
    ) -> Option<Channel> {
        const WHAT: &str = "[alert] webhook";
        let request = Request {
            what: WHAT,
            url: &given.url,
            url_env: &given.url_env,
            url_file: &given.url_file,
            headers: &given.headers,
            ca_file: &given.ca_file,
            timeout: &given.timeout,
        };
        let name = self.name(&span, WHAT, given.name.as_deref(), problems);
        let endpoint = self.endpoint(span.clone(), &request, problems);
        let wording = Wording {
            what: WHAT,
            span: &span,
            template: &given.template,
            file: &given.template_file,
            content_type: &given.content_type,
            otherwise: |_| "application/json",
            known: &[BuiltIn::Json, BuiltIn::Chat, BuiltIn::Teams, BuiltIn::Alertmanager],
        };
        let template = self.template(&wording, problems);
        let min_severity = self.min_severity(WHAT, &given.min_severity, problems);
        let (endpoint, known_as) = endpoint?;
        Some(Channel {
            name: name?.unwrap_or_else(|| format!("webhook:{known_as}")),
            min_severity: min_severity?,
            way: Way::Webhook(endpoint),
            template: template?,
            remind_every_s: self.remind_every_s,
        })
    }

    fn command(
        &self,
        span: Range<usize>,
        given: &config::AlertCommand,
        problems: &mut Problems,
    ) -> Option<Channel> {
        const WHAT: &str = "[alert] command";
        let name = self.name(&span, WHAT, given.name.as_deref(), problems);
        let wording = Wording {
            what: WHAT,
            span: &span,
            template: &given.template,
            file: &given.template_file,
            content_type: &None,
            otherwise: content_type_of,
            known: &BuiltIn::ALL,
        };
        let template = self.template(&wording, problems);
        let min_severity = self.min_severity(WHAT, &given.min_severity, problems);
        let timeout = self.timeout(WHAT, &given.timeout, COMMAND_TIMEOUT, problems);
        let Some((program, arguments)) =
            given.command.split_first().filter(|(program, _)| !program.trim().is_empty())
        else {
            let what =
                format!("{WHAT}: command: found nothing, expected a program and its arguments");
            problems.0.push(self.config.error(span, what));
            return None;
        };
        let is_path = program.contains(std::path::is_separator);
        let basename = Path::new(program).file_name().unwrap_or_default().to_string_lossy();
        let known_as = format!("command:{basename}");
        Some(Channel {
            name: name?.unwrap_or_else(|| known_as.clone()),
            min_severity: min_severity?,
            way: Way::Command(Command {
                place: basename.into_owned(),
                program: match is_path {
                    true => self.folder.join(program).into_os_string(),
                    false => OsString::from(program),
                },
                arguments: arguments.to_vec(),
                folder: self.folder.clone(),
                timeout: timeout?,
            }),
            template: template?,
            remind_every_s: self.remind_every_s,
        })
    }

    /// Where requests go, and by what that is known.
    fn endpoint(
        &mut self,
        span: Range<usize>,
        given: &Request<'_>,
        problems: &mut Problems,
    ) -> Option<(Endpoint, String)> {
        let what = given.what;
        let place = match (given.url, given.url_env, given.url_file) {
            (Some(url), None, None) => Target::read(&url.0)
                .map(|target| {
                    let known_as = target.host_and_port().unwrap_or_default();
                    (target.origin().unwrap_or_default(), target, known_as)
                })
                .map_err(|why| format!("url: {why}")),
            (None, Some(variable), None) => variable_name(variable)
                .map(|()| {
                    let target = Target::secret(&Secret::new(secret_of(variable)));
                    (variable.clone(), target, variable.clone())
                })
                .map_err(|why| format!("url_env: {why}")),
            (None, None, Some(file)) => match Path::new(file).file_name() {
                Some(name) => {
                    let target = Target::secret(&Secret::new(self.secret_in(file)));
                    Ok((file.clone(), target, name.to_string_lossy().into_owned()))
                }
                None => Err("url_file: found no name of a file, expected one".to_owned()),
            },
            (None, None, None) => Err("found no url, expected url, url_env or url_file".to_owned()),
            _ => Err("found more than one of url, url_env and url_file, expected one".to_owned()),
        };
        let place = problems
            .note(place.map_err(|why| self.config.error(span.clone(), format!("{what}: {why}"))));
        let mut headers = Vec::new();
        for (name, HeaderGiven(value)) in given.headers {
            match self.header(name, value) {
                Ok(header) => headers.push(header),
                Err(why) => {
                    let name = for_terminal(name);
                    let told = format!("{what}: headers: {name}: {why}");
                    problems.0.push(self.config.error(span.clone(), told));
                }
            }
        }
        let timeout = self.timeout(what, given.timeout, WEBHOOK_TIMEOUT, problems);
        let (place, target, known_as) = place?;
        let roots = match given.ca_file {
            Some(file) => self.ca_file(file),
            None if target.is_secure() => self.system_roots(),
            // Nobody's word is needed, and nothing is read for it.
            None => Roots::from_der([]),
        };
        let proxies = self.proxies.clone();
        let endpoint = Endpoint { place, target, headers, roots, proxies, timeout: timeout? };
        Some((endpoint, known_as))
    }

    fn header(
        &self,
        name: &str,
        given: &config::HeaderTable,
    ) -> std::result::Result<Header, String> {
        match (&given.plain, &given.env, &given.file) {
            (Some(Hidden(text)), None, None) => {
                let header = Header::new(name, Secret::new(Ok(text.clone())))?;
                // This one stands in the configuration: it is mended there.
                header.missing().map_or(Ok(header), |_| {
                    Err("found control characters in its value, expected one line".to_owned())
                })
            }
            (None, Some(variable), None) => {
                variable_name(variable)?;
                Header::new(name, Secret::new(secret_of(variable)))
            }
            (None, None, Some(file)) => Header::new(name, Secret::new(self.secret_in(file))),
            _ => Err("expected either env or file".to_owned()),
        }
    }

    /// The text of a file with a secret, without the line's end.
    fn secret_in(&self, file: &str) -> std::result::Result<String, String> {
        let text = self.text_of(file).map_err(|why| format!("{file}: {why}"))?;
        match text.trim() {
            "" => Err(format!("{file}: found nothing in it, expected a secret")),
            secret => Ok(secret.to_owned()),
        }
    }

    fn text_of(&self, file: &str) -> std::result::Result<String, String> {
        let bytes = self.bytes_of(file)?;
        String::from_utf8(bytes)
            .map_err(|_| "found bytes that are not UTF-8, expected text".to_owned())
    }

    fn bytes_of(&self, file: &str) -> std::result::Result<Vec<u8>, String> {
        let opened =
            std::fs::File::open(self.folder.join(file)).map_err(|error| io_words(&error))?;
        let mut bytes = Vec::new();
        let read = opened.take(limits::ALERT_FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
        read.map_err(|error| io_words(&error))?;
        match bytes.len() as u64 > limits::ALERT_FILE_BYTES_MAX {
            true => Err(format!(
                "found more than {} bytes, expected less",
                limits::ALERT_FILE_BYTES_MAX
            )),
            false => Ok(bytes),
        }
    }

    fn ca_file(&self, file: &str) -> Roots {
        let read = self.bytes_of(file).and_then(|pem| Roots::from_pem(&pem).map_err(str::to_owned));
        read.unwrap_or_else(|why| Roots::Missing(format!("{file}: {why}")))
    }

    /// Whom this machine trusts: read once, and only if someone needs it.
    fn system_roots(&mut self) -> Roots {
        self.system.get_or_insert_with(|| {
            let found = rustls_native_certs::load_native_certs();
            if found.certs.is_empty() {
                return Roots::Missing(
                    "found no certificates of authorities on this machine, expected some: install ca-certificates, \
                     set SSL_CERT_FILE, or give ca_file"
                        .to_owned(),
                );
            }
            Roots::from_der(found.certs)
        }).clone()
    }

    fn template(&self, given: &Wording<'_>, problems: &mut Problems) -> Option<Template> {
        let what = given.what;
        let error =
            |span: Range<usize>, told: String| self.config.error(span, format!("{what}: {told}"));
        if let (Some(content_type), None) = (given.content_type, given.file) {
            let told = "content_type: found it without template_file, expected both: a template that comes with overstay has its own";
            problems.0.push(error(content_type.span(), told.to_owned()));
        }
        let read = match (given.template, given.file) {
            (Some(template), Some(_)) => Err(error(
                template.span(),
                "found template and template_file, expected one of them".to_owned(),
            )),
            (None, None) => Ok(Template::BuiltIn(BuiltIn::Json)),
            (Some(template), None) => {
                let name = template.get_ref();
                let known = given.known.iter().copied();
                let names: Vec<&str> = known.clone().map(BuiltIn::as_str).collect();
                let found = known.clone().find(|built_in| built_in.as_str() == name);
                found.map(Template::BuiltIn).ok_or_else(|| {
                    let told = format!(
                        "template: found `{}`, expected one of {}",
                        for_terminal(name),
                        names.join(", ")
                    );
                    let near = did_you_mean(name, names.iter().copied());
                    let own = || Some("a template of your own is a template_file".to_owned());
                    error(template.span(), told).maybe_hint(near.or_else(own))
                })
            }
            (None, Some(path)) if path.trim().is_empty() => {
                let told = "template_file: found nothing, expected a file";
                Err(error(given.span.clone(), told.to_owned()))
            }
            (None, Some(path)) => {
                let content_type = match given.content_type {
                    Some(given) if !fits_a_header(given.get_ref()) => Err(error(
                        given.span(),
                        "content_type: found no type of content, expected one such as application/json".to_owned(),
                    )),
                    Some(given) => Ok(given.get_ref().clone()),
                    None => Ok((given.otherwise)(path).to_owned()),
                };
                content_type.map(|content_type| Template::File {
                    path: path.clone(),
                    content_type,
                    text: self.text_of(path),
                })
            }
        };
        problems.note(read)
    }

    fn min_severity(
        &self,
        what: &str,
        given: &Option<Spanned<String>>,
        problems: &mut Problems,
    ) -> Option<Severity> {
        let Some(given) = given else { return Some(Severity::Info) };
        let name = given.get_ref();
        let severity = Severity::from_name(name).ok_or_else(|| {
            let told = format!(
                "{what}: min_severity: found `{}`, expected critical, high, medium, low or info",
                for_terminal(name)
            );
            let near = did_you_mean(name, Severity::ALL.map(Severity::as_str));
            self.config.error(given.span(), told).maybe_hint(near)
        });
        problems.note(severity)
    }

    fn timeout(
        &self,
        what: &str,
        given: &Option<Spanned<String>>,
        otherwise: Duration,
        problems: &mut Problems,
    ) -> Option<Duration> {
        let Some(given) = given else { return Some(otherwise) };
        let timeout = seconds(given.get_ref()).ok_or_else(|| {
            let told = format!(
                "{what}: timeout: found `{}`, expected seconds or minutes such as 30s or 2m, up to {} s",
                for_terminal(given.get_ref()),
                limits::ALERT_TIMEOUT_MAX_S
            );
            self.config.error(given.span(), told)
        });
        problems.note(timeout).map(Duration::from_secs)
    }

    /// The name that a person gave, if one did.
    fn name(
        &self,
        span: &Range<usize>,
        what: &str,
        given: Option<&str>,
        problems: &mut Problems,
    ) -> Option<Option<String>> {
        let Some(name) = given else { return Some(None) };
        let harmless = for_terminal(name);
        if name.trim().is_empty()
            || harmless != name
            || name.chars().count() > limits::ALERT_NAME_CHARS_MAX
        {
            let told = format!(
                "{what}: name: found `{harmless}`, expected up to {} characters that show themselves",
                limits::ALERT_NAME_CHARS_MAX
            );
            problems.0.push(self.config.error(span.clone(), told));
            return None;
        }
        Some(Some(name.to_owned()))
    }
}

/// A span of time such as `30s` or `2m`, in seconds; not nothing, and not more than a night has time for.
fn seconds(text: &str) -> Option<u64> {
    let (number, unit_s) = match text.strip_suffix('s') {
        Some(seconds) => (seconds, 1),
        None => (text.strip_suffix('m')?, 60),
    };
    let seconds = u64::from(number.parse::<u32>().ok()?) * unit_s;
    (1..=limits::ALERT_TIMEOUT_MAX_S).contains(&seconds).then_some(seconds)
}

fn fits_a_header(content_type: &str) -> bool {
    let mut chars = content_type.chars();
    content_type.contains('/') && chars.all(|c| c.is_ascii_graphic() || c == ' ')
}

/// Whether it could be the name of a variable. What could not is more likely to be the secret itself, and is not shown.
fn variable_name(name: &str) -> std::result::Result<(), String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
    match !name.is_empty() && name.chars().all(fits) {
        true => Ok(()),
        false => {
            Err("found what is no name of a variable, expected letters, digits and _".to_owned())
        }
    }
}

/// What a variable holds.
#[expect(clippy::disallowed_methods, reason = "this is where secrets are resolved, once")]
fn secret_of(variable: &str) -> std::result::Result<String, String> {
    match std::env::var(variable) {
        Ok(value) if value.trim().is_empty() => {
            Err(format!("{variable} is empty, expected a secret in the environment"))
        }
        Ok(value) => Ok(value.trim().to_owned()),
        Err(std::env::VarError::NotPresent) => {
            Err(format!("{variable} is not set, expected a secret in the environment"))
        }
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{variable} is not UTF-8")),
    }
}

/// The proxies that the environment names. In capitals and without; `http_proxy` not in capitals, since a web server would set that
/// from a header of whoever asks.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is asked, once")]
fn proxies() -> Proxies {
    let first = |names: &[&'static str]| {
        let mut set = names.iter().map(|name| (*name, std::env::var(name).unwrap_or_default()));
        set.find(|(_, value)| !value.trim().is_empty())
    };
    Proxies {
        https: first(&["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"]),
        http: first(&["http_proxy", "ALL_PROXY", "all_proxy"]),
        none: first(&["NO_PROXY", "no_proxy"]).map(|(_, value)| value).unwrap_or_default(),
    }
}
