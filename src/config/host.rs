//! `OLLAMA_HOST`: from what people write there to a URL.

use std::net::IpAddr;

/// Where Ollama listens unless told otherwise (its `envconfig/config.go`, `Host`).
pub const OLLAMA_URL: &str = "http://127.0.0.1:11434";

/// Ollama's default port, used when `OLLAMA_HOST` has no scheme.
const OLLAMA_PORT: u16 = 11434;

/// The URL that `OLLAMA_HOST` means, without a slash at the end, or nothing if it means none.
///
/// Takes what Ollama's own client takes: `host`, `host:port`, `:port`, a bare or bracketed IPv6
/// address, or a URL, whose default port is that of its scheme. An address to listen on (`0.0.0.0`,
/// `::`) becomes the loopback address, because it cannot be connected to everywhere.
pub fn ollama_host_url(text: &str) -> Option<String> {
    let text = text.trim().trim_matches(['"', '\'']).trim();
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    let default_port = match (scheme.as_str(), text.contains("://")) {
        ("http", false) => OLLAMA_PORT,
        ("http", true) => 80,
        ("https", _) => 443,
        _ => return None,
    };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_port(authority)?;
    let port = port.unwrap_or(default_port);
    let host = match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) if ip.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(ip)) if ip.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(ip)) => format!("[{ip}]"),
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Err(_) if host.is_empty() => "127.0.0.1".to_owned(),
        Err(_) => host.to_owned(),
    };
    let path = path.trim_end_matches('/');
    let slash = if path.is_empty() { "" } else { "/" };
    check_url(&format!("{scheme}://{host}:{port}{slash}{path}")).ok()
}

/// Splits `host:port`; an IPv6 address may stand bare or in brackets. `None` for a bad port.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    if authority.parse::<IpAddr>().is_ok() {
        return Some((authority, None));
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let (ip, after) = rest.split_once(']')?;
        ip.parse::<IpAddr>().ok()?;
        return match after.strip_prefix(':') {
            Some(port) => Some((ip, Some(port.parse().ok()?))),
            None => after.is_empty().then_some((ip, None)),
        };
    }
    match authority.rsplit_once(':') {
        Some((host, port)) => Some((host, Some(port.parse().ok()?))),
        None => Some((authority, None)),
    }
}

/// Checks the address of a server and takes the slash off its end.
///
/// # Errors
/// Says what is wrong, as the end of a sentence. The address itself is not repeated: a wrong one may
/// hold a password.
pub(super) fn check_url(text: &str) -> Result<String, String> {
    let url =
        url::Url::parse(text).map_err(|e| format!("must be URLs such as `{OLLAMA_URL}` ({e})"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(format!("must be http or https URLs such as `{OLLAMA_URL}`"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user or password; use `api_key_env`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must end before `?` and `#`".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// Whether a server at this address is on this machine.
pub(super) fn is_loopback(text: &str) -> bool {
    match url::Url::parse(text).ok().as_ref().and_then(url::Url::host) {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
