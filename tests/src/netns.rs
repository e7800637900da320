//! Network namespaces of tests.

use std::{ffi::CString, os::fd::AsRawFd as _};

use rustix::net::{AddressFamily, SocketType, socket};

/// Brings loopback up in the namespace of this thread, where a new one has it down.
pub fn loopback_up() {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    // SAFETY: zeros are a valid request; the name fits, and the kernel reads no more than the request.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        let name = CString::new("lo").unwrap();
        for (target, source) in request.ifr_name.iter_mut().zip(name.as_bytes_with_nul()) {
            *target = *source as libc::c_char;
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
        assert_eq!(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request), 0);
    }
}
