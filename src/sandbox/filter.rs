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
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_dup,
    libc::SYS_readlinkat,
    libc::SYS_getdents64,
    libc::SYS_inotify_add_watch,
    libc::SYS_inotify_rm_watch,
    libc::SYS_inotify_init1,
    libc::SYS_rt_sigpending,
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

/// The system calls allowed with some arguments only: openat(2) not for writing; pidfd_open(2) for a whole process;
/// pidfd_send_signal(2) and kill(2) with the configured signal, to one process and not to a group.
pub const RESTRICTED_CALLS: [c_long; 4] = [
    libc::SYS_openat,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
];

/// The architecture whose numbers these are; `AUDIT_ARCH_*` of linux/audit.h. A call by another one's numbers is denied.
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
const fn argument_at(index: u32) -> u32 {
    let half = if cfg!(target_endian = "big") { 4 } else { 0 };
    16 + 8 * index + half
}

const OPENS_FOR_WRITING: u32 = OFlags::WRONLY
    .union(OFlags::RDWR)
    .union(OFlags::CREATE)
    .union(OFlags::TRUNC)
    .bits();

/// A filter: a program for the kernel's packet filter; Documentation/networking/filter.rst.
pub type Filter = [sock_filter; LENGTH];

/// The number of instructions ahead of those for [`CALLS`].
const RULES: usize = 26;
const LENGTH: usize = RULES + 2 * CALLS.len() + 1;

/// Returns the filter that allows sending this signal and no other.
pub fn filter(signal: Signal) -> Filter {
    let [openat, pidfd_open, pidfd_send_signal, kill] = RESTRICTED_CALLS;
    let rules: [sock_filter; RULES] = [
        load(ARCHITECTURE_AT),
        skip_if_equal(ARCHITECTURE, 1),
        DENY,
        load(NUMBER_AT),
        // openat(2): the flags are the third argument.
        skip_unless_equal(openat as u32, 4),
        load(argument_at(2)),
        skip_if_any(OPENS_FOR_WRITING, 1),
        ALLOW,
        DENY,
        // pidfd_open(2): the flags are the second argument.
        skip_unless_equal(pidfd_open as u32, 4),
        load(argument_at(1)),
        skip_unless_equal(0, 1),
        ALLOW,
        DENY,
        // pidfd_send_signal(2): the flags are the fourth argument; without one, the descriptor says how many get the signal.
        skip_unless_equal(pidfd_send_signal as u32, 3),
        load(argument_at(3)),
        skip_if_equal(0, 5),
        DENY,
        // kill(2): the first argument is the id; 0 and negative numbers stand for groups of processes.
        skip_unless_equal(kill as u32, 7),
        load(argument_at(0)),
        skip_if_equal(0, 4),
        skip_if_any(1 << 31, 3),
        // The signal is the second argument of both.
        load(argument_at(1)),
        skip_unless_equal(signal.number().into(), 1),
        ALLOW,
        DENY,
    ];
    // A call that no instruction allowed is denied.
    let mut filter = [DENY; LENGTH];
    let (head, calls) = filter.split_at_mut(RULES);
    head.copy_from_slice(&rules);
    for (pair, call) in calls.chunks_exact_mut(2).zip(CALLS) {
        pair.copy_from_slice(&[skip_unless_equal(*call as u32, 1), ALLOW]);
    }
    filter
}

const ALLOW: sock_filter = answer(libc::SECCOMP_RET_ALLOW);
const DENY: sock_filter = answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);

const fn answer(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

/// Loads 32 bits of `struct seccomp_data`, which the next tests compare.
const fn load(offset: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset, 0, 0)
}

/// Skips the next `count` instructions if the loaded value equals `k`.
const fn skip_if_equal(k: u32, count: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, count, 0)
}

/// Skips the next `count` instructions unless the loaded value equals `k`.
const fn skip_unless_equal(k: u32, count: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, k, 0, count)
}

/// Skips the next `count` instructions if the loaded value has any of these bits.
const fn skip_if_any(bits: u32, count: u8) -> sock_filter {
    instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, bits, count, 0)
}

/// Jumps over `jt` instructions if a test is true, over `jf` if it is false.
const fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter {
        code: code as u16,
        jt,
        jf,
        k,
    }
}
