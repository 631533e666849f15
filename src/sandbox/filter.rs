//! The system calls that the sandbox allows, as a seccomp filter; seccomp(2). Pure.
//!
//! The filter answers ENOSYS to every other call. It does not end the program, which only a signal may do. And ENOSYS means "do it
//! another way" to all code that has another way, where EPERM means that it must not be done at all.

use crate::base::signal::Signal;
#[cfg(target_pointer_width = "32")]
use crate::base::sys;
use libc::{c_long, sock_filter};
use rustix::fs::OFlags;

/// The system calls allowed with any arguments. `make syscalls` compares them with what the integration tests call.
pub const CALLS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    libc::SYS_inotify_init1,
    libc::SYS_pidfd_open,
    libc::SYS_getpid,
    libc::SYS_geteuid,
    libc::SYS_accept4,
    libc::SYS_shutdown,
    libc::SYS_exit_group,
    libc::SYS_ppoll,
    #[cfg(target_pointer_width = "64")]
    libc::SYS_clock_gettime,
    #[cfg(target_pointer_width = "64")]
    libc::SYS_fstat,
    #[cfg(target_pointer_width = "64")]
    libc::SYS_newfstatat,
    #[cfg(target_pointer_width = "64")]
    libc::SYS_fstatfs,
    // 32-bit architectures have other names for these, and the newest is tried first. libc lacks clock_gettime64 and ppoll_time64 on
    // some of them; both have the same number on all.
    #[cfg(target_pointer_width = "32")]
    sys::CLOCK_GETTIME,
    #[cfg(target_pointer_width = "32")]
    414,
    #[cfg(target_pointer_width = "32")]
    libc::SYS_geteuid32,
    #[cfg(target_pointer_width = "32")]
    libc::SYS_statx,
    #[cfg(target_pointer_width = "32")]
    libc::SYS_fstat64,
    #[cfg(target_pointer_width = "32")]
    libc::SYS_fstatat64,
    #[cfg(target_pointer_width = "32")]
    libc::SYS_fstatfs64,
];

/// The system calls allowed with some arguments only: openat(2) not for writing, the others with the configured signal.
pub const RESTRICTED_CALLS: [c_long; 3] = [
    libc::SYS_openat,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
];

/// The architecture that the numbers belong to; `AUDIT_ARCH_*` of linux/audit.h. A call by another one's numbers is denied.
const ARCHITECTURE: u32 = if cfg!(target_arch = "x86_64") {
    0xc000_003e
} else if cfg!(target_arch = "aarch64") {
    0xc000_00b7
} else if cfg!(target_arch = "riscv64") {
    0xc000_00f3
} else if cfg!(target_arch = "powerpc64") {
    0xc000_0015
} else if cfg!(target_arch = "s390x") {
    0x8000_0016
} else {
    assert!(cfg!(target_arch = "arm"), "AUDIT_ARCH of linux/audit.h");
    0x4000_0028
};

/// Offsets in `struct seccomp_data`, in bytes.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Returns the offset of an argument's lower 32 bits: the restricted calls take no more.
const fn argument_at(at: u32) -> u32 {
    let half = if cfg!(target_endian = "big") { 4 } else { 0 };
    16 + 8 * at + half
}

const OPENS_FOR_WRITING: u32 = OFlags::WRONLY
    .union(OFlags::RDWR)
    .union(OFlags::CREATE)
    .union(OFlags::TRUNC)
    .bits();

/// A filter: a program of the kernel's packet filter; it only ever jumps forward.
pub type Filter = [sock_filter; LENGTH];

/// The instructions before those for [`CALLS`].
const HEAD: usize = 10;
const LENGTH: usize = HEAD + CALLS.len() + 2;
/// The last two instructions.
const DENY: usize = LENGTH - 2;
const ALLOW: usize = LENGTH - 1;
/// The instruction that compares the signal to be sent.
const SIGNAL: usize = 9;

/// Returns the filter that allows sending this signal and no other.
pub fn filter(signal: Signal) -> Filter {
    let mut filter = FILTER;
    filter[SIGNAL].k = signal.number().into();
    filter
}

/// The filter, except for the signal.
const FILTER: Filter = {
    const IS: u32 = libc::BPF_JEQ;
    const HAS_ANY: u32 = libc::BPF_JSET;
    let [open, pidfd_send_signal, kill] = RESTRICTED_CALLS;
    let mut filter = [answer(libc::SECCOMP_RET_ALLOW); LENGTH];
    filter[0] = load(ARCHITECTURE_AT);
    filter[1] = test(1, IS, ARCHITECTURE, 2, DENY);
    filter[2] = load(NUMBER_AT);
    filter[3] = test(3, IS, open as u32, 4, 6);
    filter[4] = load(argument_at(2));
    filter[5] = test(5, HAS_ANY, OPENS_FOR_WRITING, DENY, ALLOW);
    filter[6] = test(6, IS, pidfd_send_signal as u32, 8, 7);
    filter[7] = test(7, IS, kill as u32, 8, HEAD);
    filter[8] = load(argument_at(1));
    filter[SIGNAL] = test(SIGNAL, IS, 0, ALLOW, DENY);
    let mut at = 0;
    while at < CALLS.len() {
        let next = HEAD + at + 1;
        filter[HEAD + at] = test(HEAD + at, IS, CALLS[at] as u32, ALLOW, next);
        at += 1;
    }
    filter[DENY] = answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
    filter
};

const fn load(at: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

const fn answer(with: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, with, 0, 0)
}

/// Compares what was loaded with `k`, and continues at one of two later instructions. `at` is this one's place.
const fn test(at: usize, how: u32, k: u32, yes: usize, no: usize) -> sock_filter {
    instruction(
        libc::BPF_JMP | how | libc::BPF_K,
        k,
        yes - at - 1,
        no - at - 1,
    )
}

const fn instruction(code: u32, k: u32, yes: usize, no: usize) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt: yes as u8,
        jf: no as u8,
        k,
    }
}
