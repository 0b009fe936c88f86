//! Addresses of servers, and which of them are on this machine. Pure.
//!
//! Called by the backends that are servers.

use std::net::IpAddr;

use reqwest::Url;

/// An address that cannot be used. Users and passwords in it are not repeated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// Neither `http` nor `https`.
    #[error("{address:?} starts with {scheme:?}; use http:// or https://")]
    Scheme {
        /// Without user and password.
        address: String,
        /// What stands before `://`.
        scheme: String,
    },
    /// Not a host and a port.
    #[error("{address:?} is no address of a server; write http://host:port or https://host")]
    Malformed {
        /// Without user and password.
        address: String,
    },
    /// The HTTP client could not be made.
    #[error("cannot make an HTTP client")]
    Client(#[source] reqwest::Error),
}

impl AddressError {
    pub(in crate::backend) fn malformed(address: &str) -> Self {
        Self::Malformed {
            address: without_user(address),
        }
    }

    pub(in crate::backend) fn scheme(address: &str, scheme: &str) -> Self {
        Self::Scheme {
            address: without_user(address),
            scheme: scheme.to_owned(),
        }
    }
}

fn without_user(address: &str) -> String {
    let shown = address.rsplit_once('@').map_or(address, |(_, host)| host);
    shown.to_owned()
}

/// The base URL of a server, ending in `/`.
///
/// # Errors
/// [`AddressError::Scheme`] or [`AddressError::Malformed`].
pub(in crate::backend) fn base_url(address: &str) -> Result<Url, AddressError> {
    let url = Url::parse(address).map_err(|_| AddressError::malformed(address))?;
    if !matches!(url.scheme(), "http" | "https") && address.contains("://") {
        return Err(AddressError::scheme(address, url.scheme()));
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(AddressError::malformed(address));
    }
    Ok(as_base(url))
}

/// The URL without query and fragment, its path ending in `/`.
pub(in crate::backend) fn as_base(mut url: Url) -> Url {
    url.set_query(None);
    url.set_fragment(None);
    let path = format!("{}/", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// Whether `url` leads to this machine. Such requests never go through a proxy.
pub fn is_loopback(url: &Url) -> bool {
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
            let url = base_url(input).ok().map(|url| url.to_string());
            assert_eq!(url.as_deref(), expect, "{input:?}");
        }
    }

    #[test]
    fn passwords_are_not_repeated() {
        for input in ["ftp://me:secret@h", "http://me:secret@", "me:secret@h h"] {
            let error = base_url(input).expect_err("no address");
            assert!(!error.to_string().contains("secret"), "{error}");
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
            let url = base_url(input).expect("a good address");
            assert_eq!(is_loopback(&url), expect, "{input}");
        }
    }
}
