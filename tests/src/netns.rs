//! Network namespaces of tests.

use std::{ffi::CString, os::fd::AsRawFd as _, thread};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// This thread, and what it starts from now on, goes to a network namespace of its own, with loopback.
pub fn enter_new() {
    // SAFETY: no memory is involved; other threads stay where they are.
    assert_eq!(unsafe { libc::unshare(libc::CLONE_NEWNET) }, 0, "it takes root");
    loopback_up();
}

/// Does something in a new namespace, which lasts as long as what was started there.
pub fn in_a_new_one<T: Send>(action: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        enter_new();
        action()
    };
    thread::scope(|scope| scope.spawn(inside).join().expect("why is told above"))
}

/// Brings loopback up in the namespace of this thread, where a new one has it down.
pub fn loopback_up() {
    // Services that other threads start do not get it, too.
    let socket = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
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
