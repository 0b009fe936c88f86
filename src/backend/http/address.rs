//! Addresses of servers, and which of them are on this machine. Pure.
//!
//! Called by the backends that are servers.

use std::net::IpAddr;

use reqwest::Url;

/// An address that cannot be used. Passwords in it are not repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Not the address of a server.
    #[error("{backend} has an address that is none; write http://host:port or https://host")]
    Malformed {
        /// The backend's name.
        backend: String,
    },
    /// A backend without any address.
    #[error("{backend} has no address; set `urls`, for example [\"http://127.0.0.1:11434\"]")]
    Missing {
        /// The backend's name.
        backend: String,
    },
    /// A key that no request can carry. It is not repeated.
    #[error("{backend} has a key with characters that no key has; look at {variable}")]
    Key {
        /// The backend's name.
        backend: String,
        /// The environment variable.
        variable: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

/// The base URL of a server, ending in `/`.
///
/// # Errors
/// [`AddressError::Malformed`].
pub(in crate::backend) fn base_url(backend: &str, address: &str) -> Result<Url, AddressError> {
    Url::parse(address)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .map(|mut url| {
            url.set_query(None);
            url.set_fragment(None);
            let path = format!("{}/", url.path().trim_end_matches('/'));
            url.set_path(&path);
            url
        })
        .ok_or_else(|| AddressError::Malformed {
            backend: backend.to_owned(),
        })
}

/// Whether `url` leads to this machine. Such requests never go through a proxy.
pub(super) fn is_loopback(url: &Url) -> bool {
    url.host_str().is_some_and(|host| {
        let host = host.trim_matches(['[', ']']);
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_table() {
        let cases = [
            ("http://h:1", Some("http://h:1/")),
            ("http://h:80//", Some("http://h/")),
            ("https://h/a/b/", Some("https://h/a/b/")),
            ("http://[::1]:1", Some("http://[::1]:1/")),
            ("http://h/a?b#c", Some("http://h/a/")),
            ("h:1", None),
            ("ftp://h", None),
            ("http://", None),
            ("", None),
        ];
        for (input, expect) in cases {
            let url = base_url("b", input).ok().map(|url| url.to_string());
            assert_eq!(url.as_deref(), expect, "{input:?}");
        }
    }

    #[test]
    fn loopback_table() {
        let cases = [
            ("http://localhost", true),
            ("http://127.8.9.1:1", true),
            ("http://[::1]", true),
            ("http://a.localhost", true),
            ("http://192.168.1.4", false),
            ("http://localhost.example.com", false),
            ("http://gpu-box", false),
        ];
        for (input, expect) in cases {
            let url = base_url("b", input).expect("a good address");
            assert_eq!(is_loopback(&url), expect, "{input}");
        }
    }
}
