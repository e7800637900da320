//! Where figures can be had, if they are wanted.

use std::{
    fmt, fs, io,
    net::SocketAddr,
    os::unix::{fs::FileTypeExt as _, net::UnixStream},
    path::{Path, PathBuf},
    str::FromStr,
};

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An address of this host, that nobody reaches from outside.
    Loopback(SocketAddr),
    /// A socket in the file system.
    Socket(PathBuf),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Socket(text.into()));
        }
        let address: SocketAddr = text.parse().map_err(|_error| {
            "neither an address with a port, such as 127.0.0.1:9630 or [::1]:9630, nor the full path of a socket"
                .to_owned()
        })?;
        let ip = address.ip();
        if !ip.is_loopback() {
            return Err(format!(
                "{ip} can be reached from outside, and whoever asks is not asked who he is: give a loopback address, and let \
                 a proxy that knows its clients ask it"
            ));
        }
        if address.port() == 0 {
            return Err("port 0 is any port, and nobody would know which".to_owned());
        }
        Ok(Self::Loopback(address))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loopback(address) => address.fmt(f),
            Self::Socket(path) => path.display().fmt(f),
        }
    }
}

/// Whether a socket may be made at this path: nothing is there, or one that nobody listens at any more.
pub(in crate::control) fn is_free(path: &Path) -> io::Result<()> {
    let refused = |why| Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(data) if !data.file_type().is_socket() => refused("something else is there, which is no socket"),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
            Err(error) => Err(error),
            Ok(_) => refused("somebody listens there already"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn loopback_and_full_paths_are_places_and_nothing_else_is() {
        assert_eq!("/run/m".parse(), Ok(Place::Socket("/run/m".into())));
        for address in ["127.0.0.1:9630", "127.9.9.9:1", "[::1]:9630"] {
            assert_eq!(address.parse::<Place>().unwrap().to_string(), address);
        }
        for (text, why) in [
            ("0.0.0.0:9630", "reached from outside"),
            ("[::]:9630", "reached from outside"),
            ("192.0.2.1:9630", "reached from outside"),
            ("127.0.0.1:0", "any port"),
            ("127.0.0.1", "neither"),
            ("9630", "neither"),
            ("metrics.sock", "neither"),
            ("", "neither"),
        ] {
            let refused = text.parse::<Place>().unwrap_err();
            assert!(refused.contains(why), "{text}: {refused}");
        }
    }

    #[test]
    fn only_a_socket_that_nobody_listens_at_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        is_free(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert!(is_free(&path).unwrap_err().to_string().contains("listens there already"));
        drop(listener);
        is_free(&path).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, "precious").unwrap();
        assert!(is_free(&path).unwrap_err().to_string().contains("no socket"));
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(is_free(&link).unwrap_err().to_string().contains("no socket"));
    }
}
