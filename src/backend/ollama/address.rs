//! Where an Ollama listens: the forms of `OLLAMA_HOST`, made into a URL.
//!
//! Called by the settings and by [`Ollama::new`](super::Ollama::new). Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use crate::backend::http::{AddressError, as_base};

/// Ollama's port, unless the address names another. Source: its `envconfig/config.go`.
const DEFAULT_PORT: u16 = 11434;

/// Turns an address as people write it into `OLLAMA_HOST` into a base URL that ends in `/`.
///
/// Follows Ollama's own reading: quotes and spaces around it do not matter, no scheme means `http` and
/// port 11434, a scheme without a port means that scheme's port, an empty host means this machine.
/// One thing is added: `0.0.0.0` and `[::]`, which people set to make a server listen everywhere,
/// become the loopback address, since nothing can be sent to them.
///
/// # Errors
/// [`AddressError::Scheme`] or [`AddressError::Malformed`].
pub fn base_url(address: &str) -> Result<Url, AddressError> {
    let malformed = || AddressError::malformed(address);
    let trimmed = address.trim().trim_matches(['"', '\'']).trim();
    let (scheme, rest) = trimmed.split_once("://").unwrap_or(("", trimmed));
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "" => Some(DEFAULT_PORT),
        "http" | "https" => None,
        _ => return Err(AddressError::scheme(address, scheme)),
    };
    let scheme = if scheme.is_empty() { "http" } else { scheme };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let authority = with_host(authority);
    let path = path.trim_end_matches('/');
    let mut url = Url::parse(&format!("{scheme}://{authority}/{path}")).map_err(|_| malformed())?;
    if let Some(port) = default_port
        && !has_port(&authority)
    {
        url.set_port(Some(port)).map_err(|()| malformed())?;
    }
    match url.host_str() {
        Some("0.0.0.0") => url
            .set_ip_host(IpAddr::V4(Ipv4Addr::LOCALHOST))
            .map_err(|()| malformed())?,
        Some("[::]") => url
            .set_ip_host(IpAddr::V6(Ipv6Addr::LOCALHOST))
            .map_err(|()| malformed())?,
        Some(_) => {}
        None => return Err(malformed()),
    }
    Ok(as_base(url))
}

/// Puts this machine in for a missing host, and brackets around a bare IPv6 address.
fn with_host(authority: &str) -> String {
    if authority.parse::<Ipv6Addr>().is_ok() {
        return format!("[{authority}]");
    }
    if authority.is_empty() || authority.starts_with(':') {
        return format!("127.0.0.1{authority}");
    }
    authority.to_owned()
}

/// Whether the authority names a port. Asking the URL would miss a port that is its scheme's own.
fn has_port(authority: &str) -> bool {
    authority
        .rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_table() {
        let cases = [
            ("", Some("http://127.0.0.1:11434/")),
            ("localhost", Some("http://localhost:11434/")),
            ("127.0.0.1", Some("http://127.0.0.1:11434/")),
            ("127.0.0.1:8000", Some("http://127.0.0.1:8000/")),
            (":8000", Some("http://127.0.0.1:8000/")),
            ("0.0.0.0", Some("http://127.0.0.1:11434/")),
            ("0.0.0.0:8000", Some("http://127.0.0.1:8000/")),
            ("http://0.0.0.0:11434", Some("http://127.0.0.1:11434/")),
            ("::1", Some("http://[::1]:11434/")),
            ("[::1]", Some("http://[::1]:11434/")),
            ("[::1]:8000", Some("http://[::1]:8000/")),
            ("[::]:8000", Some("http://[::1]:8000/")),
            ("::", Some("http://[::1]:11434/")),
            ("gpu-box", Some("http://gpu-box:11434/")),
            ("gpu-box:80", Some("http://gpu-box/")),
            ("http://gpu-box", Some("http://gpu-box/")),
            ("HTTP://gpu-box:1234", Some("http://gpu-box:1234/")),
            ("https://gpu.example.com", Some("https://gpu.example.com/")),
            (
                "https://gpu.example.com:443/",
                Some("https://gpu.example.com/"),
            ),
            ("http://gpu-box:80/ollama", Some("http://gpu-box/ollama/")),
            ("gpu-box:1234/ollama//", Some("http://gpu-box:1234/ollama/")),
            (
                " \"http://127.0.0.1:11434/\" ",
                Some("http://127.0.0.1:11434/"),
            ),
            ("'localhost:1'", Some("http://localhost:1/")),
            ("http://h/a?b#c", Some("http://h/a/")),
            ("ftp://gpu-box", None),
            ("gpu-box:port", None),
            ("gpu-box:70000", None),
            ("http://", Some("http://127.0.0.1/")),
            ("a b", None),
            ("http://[::1", None),
        ];
        for (input, expect) in cases {
            let url = base_url(input).ok().map(|url| url.to_string());
            assert_eq!(url.as_deref(), expect, "{input:?}");
        }
    }
}
