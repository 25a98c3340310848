//! Sending by HTTP: one request, and what its answer means. Follows no redirect, keeps no connection, and tells of a URL nothing but
//! scheme and host.

use std::fmt;
use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ureq::http::{HeaderName, HeaderValue, Response, StatusCode, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::Secret;
use super::attempts::{Again, Failure, Missed};
use crate::error::io_words;
use crate::limits;

/// What every request says of who sends it.
const USER_AGENT: &str = concat!("overstay/", env!("CARGO_PKG_VERSION"));
/// A name that receivers know a repeated request by.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// Headers that are set here, or by the protocol.
const OWN_HEADERS: [&str; 9] = [
    "content-type",
    "idempotency-key",
    "user-agent",
    "content-length",
    "transfer-encoding",
    "connection",
    "host",
    "expect",
    "upgrade",
];

/// Where requests go, and how.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// What errors call it: scheme and host, or where its URL is kept.
    pub(crate) place: String,
    /// Its URL.
    pub(crate) target: Target,
    /// Headers of the user.
    pub(crate) headers: Vec<Header>,
    /// Whom to trust to say who the receiver is.
    pub(crate) roots: Roots,
    /// By way of whom.
    pub(crate) proxies: Proxies,
    /// How long one attempt may take, all of it.
    pub(crate) timeout: Duration,
}

/// A URL, checked; or why it is missing.
#[derive(Clone)]
pub(crate) struct Target(Result<Uri, String>);

impl Target {
    /// What a text is as a URL.
    ///
    /// # Errors
    ///
    /// What was found and expected, without the text.
    pub(crate) fn read(text: &str) -> Result<Target, &'static str> {
        if !text.contains("://") {
            return Err("found no scheme, expected https:// or http:// in front");
        }
        let uri: Uri = text
            .parse()
            .map_err(|_| "found what is no URL, expected one such as https://host/path")?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err("found a URL of another scheme, expected http:// or https://");
        }
        match uri.host() {
            None | Some("") => Err("found a URL without a host, expected https://host/path"),
            Some(_) => Ok(Target(Ok(uri))),
        }
    }

    /// The same of a secret: that it is missing or does not fit is told when it is needed.
    pub(crate) fn secret(secret: &Secret) -> Target {
        let read = |text| Target::read(text).map_err(str::to_owned);
        Target(secret.reveal().map_err(str::to_owned).and_then(read).and_then(|target| target.0))
    }

    /// Scheme, host, and port if there is one.
    pub(crate) fn origin(&self) -> Option<String> {
        let uri = self.0.as_ref().ok()?;
        Some(format!("{}://{}", uri.scheme_str()?, host_and_port(uri)?))
    }

    /// Host, and port if there is one.
    pub(crate) fn host_and_port(&self) -> Option<String> {
        self.0.as_ref().ok().and_then(host_and_port)
    }

    /// Whether the receiver says by a certificate who it is.
    pub(crate) fn is_secure(&self) -> bool {
        self.0.as_ref().is_ok_and(|uri| uri.scheme_str() == Some("https"))
    }

    /// Why it is missing, if it is.
    pub(crate) fn missing(&self) -> Option<&str> {
        self.0.as_ref().err().map(String::as_str)
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Ok(_) => write!(f, "Target({}…)", self.origin().unwrap_or_default()),
            Err(why) => write!(f, "Target(missing: {why})"),
        }
    }
}

fn host_and_port(uri: &Uri) -> Option<String> {
    let host = uri.host()?.to_ascii_lowercase();
    Some(match uri.port_u16() {
        Some(port) => format!("{host}:{port}"),
        None => host,
    })
}

/// A header of the user.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    name: HeaderName,
    value: Secret,
}

impl Header {
    /// A header.
    ///
    /// # Errors
    ///
    /// What was found and expected of its name, or of its value if that stands in the configuration.
    pub(crate) fn new(name: &str, value: Secret) -> Result<Header, String> {
        let known = HeaderName::from_bytes(name.as_bytes()).map_err(
            |_| "found what is no name of a header, expected letters, digits and dashes",
        )?;
        if OWN_HEADERS.contains(&known.as_str()) {
            return Err("found a header that overstay sets itself, expected another".to_owned());
        }
        Ok(Header { name: known, value })
    }

    /// Why it can't be sent, if it can't.
    pub(crate) fn missing(&self) -> Option<String> {
        self.value().err()
    }

    fn value(&self) -> Result<HeaderValue, String> {
        let text = self.value.reveal()?;
        let value = HeaderValue::from_str(text).map_err(|_| {
            format!("{}: found control characters in the value, expected one line", self.name)
        });
        value.map(|mut value| {
            value.set_sensitive(true);
            value
        })
    }
}

/// The certificates of those who are trusted, or why there are none.
#[derive(Clone)]
pub(crate) enum Roots {
    /// So many; none where nothing is secured.
    Trusted(Arc<Vec<Certificate<'static>>>),
    /// Why there are none.
    Missing(String),
}

impl Roots {
    /// Those of a PEM file's text.
    ///
    /// # Errors
    ///
    /// What was found and expected.
    pub(crate) fn from_pem(pem: &[u8]) -> Result<Roots, &'static str> {
        use rustls::pki_types::CertificateDer;
        use rustls::pki_types::pem::PemObject as _;
        let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match read {
            Ok(certificates) if !certificates.is_empty() => Ok(Roots::from_der(certificates)),
            _ => Err("found no certificate, expected PEM with -----BEGIN CERTIFICATE-----"),
        }
    }

    /// These.
    pub(crate) fn from_der(
        certificates: impl IntoIterator<Item = rustls::pki_types::CertificateDer<'static>>,
    ) -> Roots {
        let own =
            |der: rustls::pki_types::CertificateDer<'_>| Certificate::from_der(&der).to_owned();
        Roots::Trusted(Arc::new(certificates.into_iter().map(own).collect()))
    }

    /// Why there are none, if that is so.
    pub(crate) fn missing(&self) -> Option<&str> {
        match self {
            Roots::Trusted(_) => None,
            Roots::Missing(why) => Some(why),
        }
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Roots::Trusted(certificates) => write!(f, "Roots({})", certificates.len()),
            Roots::Missing(why) => write!(f, "Roots(missing: {why})"),
        }
    }
}

/// The proxies of the environment, as `HTTPS_PROXY` and its like name them. They may hold passwords.
#[derive(Clone, Default)]
pub(crate) struct Proxies {
    /// For `https://`: the variable's name and its value.
    pub(crate) https: Option<(&'static str, String)>,
    /// For `http://`.
    pub(crate) http: Option<(&'static str, String)>,
    /// Hosts that are reached without.
    pub(crate) none: String,
}

impl Proxies {
    /// The proxy for a URL, with the variable that names it.
    fn of(&self, uri: &Uri) -> Result<Option<(&'static str, ureq::Proxy)>, String> {
        let given = if uri.scheme_str() == Some("https") { &self.https } else { &self.http };
        let Some((variable, url)) = given else { return Ok(None) };
        if self.spares(uri) {
            return Ok(None);
        }
        use ureq::ProxyProtocol::{Http, Https};
        match ureq::Proxy::new(url) {
            Ok(proxy) if matches!(proxy.protocol(), Http | Https) => Ok(Some((variable, proxy))),
            _ => Err(format!(
                "{variable}: found what is no proxy of HTTP, expected one such as http://proxy:3128"
            )),
        }
    }

    /// Whether the host is this machine, or `NO_PROXY` has it: its name, a domain that it lies in (with or without a dot or `*.` in
    /// front), `*`, each with a port or without.
    fn spares(&self, uri: &Uri) -> bool {
        let host = uri.host().unwrap_or_default().to_ascii_lowercase();
        let host = host.trim_matches(['[', ']']);
        let address: Option<IpAddr> = host.parse().ok();
        if host == "localhost" || address.is_some_and(|address| address.is_loopback()) {
            return true;
        }
        let secure = uri.scheme_str() == Some("https");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 }).to_string();
        self.none.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
            let entry = entry.to_ascii_lowercase();
            let (name, of_port) = match entry.rsplit_once(':') {
                // More colons are those of an IPv6 address.
                Some((name, port)) if !name.contains(':') || name.ends_with(']') => {
                    (name, Some(port))
                }
                _ => (entry.as_str(), None),
            };
            let name = name.trim_matches(['[', ']']);
            let domain = name.trim_start_matches('*').trim_start_matches('.');
            let within = |domain: &str| {
                host.strip_suffix(domain)
                    .is_some_and(|front| front.is_empty() || front.ends_with('.'))
            };
            of_port.is_none_or(|of| of == port)
                && (name == "*" || !domain.is_empty() && within(domain))
        })
    }
}

impl fmt::Debug for Proxies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [&self.https, &self.http].map(|given| given.as_ref().map(|(name, _)| *name));
        f.debug_tuple("Proxies").field(&names).finish()
    }
}

impl Endpoint {
    /// What a person must mend before anything can be sent, if anything.
    pub(crate) fn missing(&self) -> Option<String> {
        let headers = || self.headers.iter().find_map(Header::missing);
        let roots = || self.target.is_secure().then(|| self.roots.missing()).flatten();
        let missing = self.target.missing().map(str::to_owned).or_else(headers);
        missing.or_else(|| roots().map(str::to_owned)).map(|why| self.told(&why))
    }

    /// What is to be told of it, with its place before it, once.
    fn told(&self, what: &str) -> String {
        match what.strip_prefix(&self.place) {
            Some(rest) if rest.starts_with([':', ' ']) => what.to_owned(),
            _ => format!("{}: {what}", self.place),
        }
    }

    /// Sends it once.
    pub(super) fn post(&self, body: &[u8], content_type: &str, key: &str) -> Result<(), Missed> {
        let mend = |why: String| Missed::for_good(Failure::mend(self.told(&why)));
        let uri = self.target.0.as_ref().map_err(|why| mend(why.clone()))?;
        let proxy = self.proxies.of(uri).map_err(mend)?;
        let (variable, proxy) = proxy.unzip();
        let agent = self.agent(proxy).map_err(mend)?;
        let mut request = agent
            .post(uri)
            .header(header::CONTENT_TYPE, content_type)
            .header(header::CONNECTION, "close")
            .header(IDEMPOTENCY_KEY, key);
        for header in &self.headers {
            request = request.header(&header.name, header.value().map_err(mend)?);
        }
        let answer = request.send(body).map_err(|error| self.missed(&error, variable))?;
        let meaning = self.meaning(&answer);
        // Whatever it is, it is taken, so that the receiver sees no broken connection. What it says decides nothing any more.
        let mut rest = answer.into_body().into_reader().take(limits::ALERT_ANSWER_BYTES_MAX);
        let _ = std::io::copy(&mut rest, &mut std::io::sink());
        meaning
    }

    fn agent(&self, proxy: Option<ureq::Proxy>) -> Result<ureq::Agent, String> {
        let roots = match (&self.roots, self.target.is_secure()) {
            (Roots::Trusted(certificates), _) => RootCerts::Specific(certificates.clone()),
            (Roots::Missing(why), true) => return Err(why.clone()),
            (Roots::Missing(_), false) => RootCerts::Specific(Arc::default()),
        };
        let tls = TlsConfig::builder()
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .root_certs(roots);
        Ok(ureq::Agent::config_builder()
            .tls_config(tls.build())
            .proxy(proxy)
            .user_agent(USER_AGENT)
            .accept("*/*")
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(self.timeout))
            .build()
            .new_agent())
    }

    /// What an answer means: 2xx is delivered. What the receiver refuses is not repeated within the run, but for the refusals that
    /// pass by themselves.
    fn meaning<T>(&self, answer: &Response<T>) -> Result<(), Missed> {
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let told = format!("{}: found the answer {}, expected 2xx", self.place, words(status));
        if status.is_redirection() {
            let told = format!(
                "{told}: redirects are not followed, since a URL may hold a secret; give the new one"
            );
            return Err(Missed::for_good(Failure::mend(told)));
        }
        let passes = matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
        );
        if status.is_client_error() && !passes {
            return Err(Missed::for_good(Failure::mend(told)));
        }
        let again = retry_after(answer).map_or(Again::Yes, Again::After);
        Err(Missed { failure: Failure::later(told), again })
    }

    /// What a request means that had no answer; a proxy that it went by is named by its variable.
    fn missed(&self, error: &ureq::Error, proxy: Option<&str>) -> Missed {
        let place = match proxy {
            Some(variable) => format!("{} by the proxy of {variable}", self.place),
            None => self.place.clone(),
        };
        let later = |told: &str| Missed::for_now(Failure::later(format!("{place}: {told}")));
        let mend = |told: &str| Missed::for_good(Failure::mend(format!("{place}: {told}")));
        if let Some(error) = rustls_error(error) {
            return match untrusted(error) {
                Some(told) => mend(told),
                None => later("TLS failed; is it an HTTPS server, and of TLS 1.2 or 1.3?"),
            };
        }
        // None of the words of those that could hold the URL.
        match error {
            ureq::Error::Io(error) => later(&io_words(error)),
            ureq::Error::Timeout(_) => {
                later(&format!("no answer within {} s", self.timeout.as_secs()))
            }
            ureq::Error::HostNotFound => later("the host was not found by its name"),
            ureq::Error::ConnectProxyFailed(_) => later("the proxy made no connection to the host"),
            ureq::Error::Protocol(_) | ureq::Error::LargeResponseHeader(..) => {
                later("found an answer that is no HTTP/1.1, expected one")
            }
            ureq::Error::Tls(_) => mend("the host's name is none that a certificate could have"),
            _ => later("no connection could be made"),
        }
    }
}

/// The status with its name in the standard: never with the words of the receiver.
fn words(status: StatusCode) -> String {
    match status.canonical_reason() {
        Some(reason) => format!("{} {reason}", status.as_u16()),
        None => status.as_u16().to_string(),
    }
}

/// For how long a receiver asks to be left alone: seconds, or a date, which is held against the receiver's own clock.
fn retry_after<T>(answer: &Response<T>) -> Option<Duration> {
    let text = |name| answer.headers().get(name)?.to_str().ok().map(str::trim);
    let asked = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok();
    let seconds = date(asked)?.as_second().saturating_sub(date(text(header::DATE)?)?.as_second());
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

/// The error of TLS in it, however it is wrapped.
fn rustls_error(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

/// Why a certificate is not taken, if it is that.
fn untrusted(error: &rustls::Error) -> Option<&'static str> {
    use rustls::CertificateError::{
        BadSignature, Expired, ExpiredContext, NotValidForName, NotValidForNameContext,
        NotValidYet, NotValidYetContext, Other, UnknownIssuer,
    };
    let rustls::Error::InvalidCertificate(error) = error else { return None };
    Some(match error {
        // A signature does not hold where another authority has the same name.
        UnknownIssuer | BadSignature => {
            "its certificate is signed by nobody who is trusted here; name your own authority's with ca_file"
        }
        Expired | ExpiredContext { .. } => "its certificate has expired",
        NotValidYet | NotValidYetContext { .. } => "its certificate is not valid yet",
        NotValidForName | NotValidForNameContext { .. } => "its certificate is for another host",
        Other(error) if error.to_string().contains("CaUsedAsEndEntity") => {
            "its certificate is one of an authority, expected one of a server, signed by it or by itself (CA:FALSE)"
        }
        _ => "its certificate is not valid",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(text: &str) -> Target {
        Target::read(text).unwrap()
    }

    #[test]
    fn of_a_url_only_scheme_and_host_are_told() {
        let url = target("https://user:pa55@Hooks.Example:8443/T0/s3cret?token=t0ken");
        assert_eq!(url.origin().as_deref(), Some("https://hooks.example:8443"));
        assert_eq!(url.host_and_port().as_deref(), Some("hooks.example:8443"));
        let shown = format!("{url:?}");
        assert_eq!(shown, "Target(https://hooks.example:8443…)");
        for bad in
            ["", "hooks.example/x", "ftp://host/s3cret", "https://", "https:///s3cret", "ht tp"]
        {
            let told = Target::read(bad).unwrap_err();
            assert!(told.contains("expected") && !told.contains("s3cret"), "{bad}: {told}");
        }
    }

    #[test]
    fn a_proxy_is_as_the_environment_says() {
        let proxies = Proxies {
            https: Some(("HTTPS_PROXY", "http://u:p@secure.proxy:3128".to_owned())),
            http: Some(("http_proxy", "plain.proxy".to_owned())),
            none: ".corp.example,*.lab.example 10.0.0.1,odd.example:8080,[fd00::1]:80,".to_owned(),
        };
        let host = |url: &str| {
            let uri = target(url).0.unwrap();
            proxies.of(&uri).unwrap().map(|(_, proxy)| proxy.host().to_owned())
        };
        let (secure, plain) = (Some("secure.proxy".to_owned()), Some("plain.proxy".to_owned()));
        for (url, expected) in [
            ("https://hooks.example/x", &secure),
            ("http://hooks.example/x", &plain),
            ("https://mylocalhost/", &secure),
            ("http://127.0.0.2:9093/", &None),
            ("https://localhost:9093/", &None),
            ("https://a.corp.example/", &None),
            ("https://corp.example/", &None),
            ("https://xcorp.example/", &secure),
            ("https://a.b.LAB.example/", &None),
            ("http://10.0.0.1:9093/", &None),
            ("http://10.0.0.11:9093/", &plain),
            ("http://odd.example:8080/", &None),
            ("http://odd.example/", &plain),
            ("http://[::1]:8080/", &None),
            ("http://[fd00::1]/", &None),
            ("http://[fd00::1]:81/", &plain),
        ] {
            assert_eq!(host(url), *expected, "{url}");
        }
        assert!(!format!("{proxies:?}").contains("u:p"));
        let all = Proxies { none: "*".to_owned(), ..proxies.clone() };
        assert!(all.of(&target("https://hooks.example").0.unwrap()).unwrap().is_none());
        let odd = Proxies { https: Some(("ALL_PROXY", "socks5://u:p@h".to_owned())), ..all };
        let odd = Proxies { none: String::new(), ..odd };
        let told = odd.of(&target("https://hooks.example").0.unwrap()).unwrap_err();
        assert!(told.starts_with("ALL_PROXY: found") && !told.contains("u:p"), "{told}");
    }

    #[test]
    fn a_proxy_connects_and_sees_no_more_than_the_host() {
        use std::io::{BufRead as _, BufReader, Read as _, Write as _};
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = format!("http://user:pa55@{}", listener.local_addr().unwrap());
        let seen = std::thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            let mut head = || {
                let mut lines = Vec::new();
                loop {
                    let mut line = String::new();
                    stream.read_line(&mut line).unwrap();
                    if line.trim().is_empty() {
                        return (lines, stream.get_ref().try_clone().unwrap());
                    }
                    lines.push(line.trim().to_ascii_lowercase());
                }
            };
            let (connect, mut answer) = head();
            answer.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").unwrap();
            let (post, mut answer) = head();
            answer.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
            let _ = stream.read(&mut [0; 64]);
            (connect, post)
        });
        let endpoint = Endpoint {
            place: "http://hooks.example".to_owned(),
            target: target("http://hooks.example/s3cret"),
            headers: Vec::new(),
            roots: Roots::from_der([]),
            proxies: Proxies { http: Some(("http_proxy", proxy)), ..Proxies::default() },
            timeout: Duration::from_secs(10),
        };
        let sent = endpoint.post(b"{}", "application/json", "id-1");
        assert!(sent.is_ok());
        let (connect, post) = seen.join().unwrap();
        assert_eq!(connect[0], "connect hooks.example:80 http/1.1");
        // "user:pa55" in base 64, in lower case as all that was seen.
        assert!(
            connect.contains(&"proxy-authorization: basic dxnlcjpwytu1".to_owned()),
            "{connect:?}"
        );
        assert_eq!(post[0], "post /s3cret http/1.1");
        assert!(!post.iter().any(|line| line.contains("proxy-authorization")), "{post:?}");
    }

    #[test]
    fn what_is_asked_for_is_read() {
        let answer = |headers: &[(&str, &str)]| {
            let mut answer = Response::builder().status(429);
            for (name, value) in headers {
                answer = answer.header(*name, *value);
            }
            retry_after(&answer.body(()).unwrap()).map(|wait| wait.as_secs())
        };
        let date = ("date", "Tue, 18 Dec 2018 09:30:00 GMT");
        assert_eq!(answer(&[("retry-after", " 7 ")]), Some(7));
        assert_eq!(answer(&[date, ("retry-after", "Tue, 18 Dec 2018 09:30:42 GMT")]), Some(42));
        // In the past: at once.
        assert_eq!(answer(&[date, ("retry-after", "Tue, 18 Dec 2018 09:29:00 GMT")]), Some(0));
        assert_eq!(answer(&[("retry-after", "Tue, 18 Dec 2018 09:30:42 GMT")]), None);
        assert_eq!(answer(&[date, ("retry-after", "soon")]), None);
        assert_eq!(answer(&[("retry-after", "-1")]), None);
        assert_eq!(answer(&[]), None);
    }

    #[test]
    fn headers_are_checked_and_hidden() {
        let secret = |text: &str| Secret::new(Ok(text.to_owned()));
        let header = Header::new("X-Api-Key", secret("s3cret")).unwrap();
        assert_eq!((header.missing(), format!("{header:?}").contains("s3cret")), (None, false));
        for name in ["", "a b", "a:b", "ä", "Content-Type", "IDEMPOTENCY-KEY", "Host"] {
            assert!(Header::new(name, secret("x")).is_err(), "{name}");
        }
        let split = Header::new("X-Api-Key", secret("a\r\nHost: evil s3cret")).unwrap();
        let told = split.missing().unwrap();
        assert!(
            told.starts_with("x-api-key: found control characters") && !told.contains("s3cret")
        );
    }
}
