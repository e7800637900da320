//! Names of hosts: the resolver of the system. The standard library asks it, too, but keeps its number to itself.

use std::{
    ffi::{CStr, CString},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ptr,
};

/// Why a name has no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotResolved {
    /// `EAI_…`
    pub code: i32,
    /// The same in words.
    pub why: String,
}

impl NotResolved {
    /// Whether there is no such name. Otherwise the resolver could not say.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        matches!(self.code, libc::EAI_NONAME | NODATA)
    }
}

/// `EAI_NODATA`: the name is there, but has no address. <https://sourceware.org/git/?p=glibc.git;a=blob;f=resolv/netdb.h>
const NODATA: i32 = -5;

/// The addresses of a name, in the order in which they are to be tried. This may take very long.
///
/// # Errors
/// When it has none, or the resolver cannot say.
pub fn addresses(name: &[u8]) -> Result<Vec<IpAddr>, NotResolved> {
    let no_name = |why: &str| NotResolved { code: libc::EAI_NONAME, why: why.to_owned() };
    let name = CString::new(name).map_err(|_zero| no_name("its name has a byte of value zero"))?;
    // SAFETY: all zeros are a valid value of this structure of numbers and pointers.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    let mut list = ptr::null_mut();
    // SAFETY: the name ends in a zero, the hints live until the end of the call, and the list is freed below.
    let code = unsafe { libc::getaddrinfo(name.as_ptr(), ptr::null(), &raw const hints, &raw mut list) };
    if code != 0 {
        // SAFETY: the text is a constant of the C library.
        let why = unsafe { CStr::from_ptr(libc::gai_strerror(code)) };
        return Err(NotResolved { code, why: why.to_string_lossy().to_lowercase() });
    }
    let mut found = Vec::new();
    let mut item = list;
    // SAFETY: the list was filled by the call; each item is valid until it is freed, and the last has no next.
    while let Some(info) = unsafe { item.as_ref() } {
        found.extend(address(info).filter(|address| !found.contains(address)));
        item = info.ai_next;
    }
    // SAFETY: it comes from `getaddrinfo`, and nothing refers to it any more.
    unsafe { libc::freeaddrinfo(list) };
    if found.is_empty() { Err(no_name("the name has no address")) } else { Ok(found) }
}

fn address(info: &libc::addrinfo) -> Option<IpAddr> {
    let length = info.ai_addrlen as usize;
    match info.ai_family {
        libc::AF_INET if length >= size_of::<libc::sockaddr_in>() => {
            // SAFETY: the family and the length say that it is one; it need not be aligned.
            let socket = unsafe { info.ai_addr.cast::<libc::sockaddr_in>().read_unaligned() };
            Some(Ipv4Addr::from(u32::from_be(socket.sin_addr.s_addr)).into())
        }
        libc::AF_INET6 if length >= size_of::<libc::sockaddr_in6>() => {
            // SAFETY: as above.
            let socket = unsafe { info.ai_addr.cast::<libc::sockaddr_in6>().read_unaligned() };
            Some(Ipv6Addr::from(socket.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_addresses_or_a_reason_why_not() {
        let local = addresses(b"localhost").unwrap();
        assert!(local.iter().all(IpAddr::is_loopback) && !local.is_empty(), "{local:?}");
        assert_eq!(addresses(b"192.0.2.7").unwrap(), [IpAddr::from([192, 0, 2, 7])]);
        assert_eq!(addresses(b"::1").unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        let error = addresses(b"no.such.host.invalid").unwrap_err();
        assert!(error.code < 0 && !error.why.is_empty(), "{error:?}");
        assert!(addresses(b"a\0b").unwrap_err().is_final());
    }
}
