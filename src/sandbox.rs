//! Self-restraint: once everything long-lived is open, the program gives up what it does not need from then on.
//!
//! - `no_new_privs`: no program that it executes gains anything; prctl(2).
//! - Capabilities: only those stay, of what it was given, with which it signals and reads; capabilities(7).
//! - A seccomp filter: what it never calls is answered as by a kernel that has no such call. No file is opened for writing, and no
//!   other signal is sent than the one in the settings; seccomp(2).
//!
//! The filter answers ENOSYS. It does not end the program, which nothing but a signal does. And ENOSYS means "do it in another
//! way" to all code that has one, where EPERM means that it must not be done at all.
//!
//! A filter of somebody else's, a container's for example, goes on to hold: of two the stricter answer counts.

use crate::base::signal::Signal;
use crate::base::sys;
use crate::base::words::Words;
use crate::config::Config;
use crate::mount;
use crate::report::Report;
use crate::report::old_log::{self, Level, Log};
use crate::words;
use libc::{c_long, sock_filter};
use rustix::fs::OFlags;
use rustix::io;

/// Every system call from here on but [`RESTRICTED_CALLS`]. `make syscalls` compares both with what is called.
pub const CALLS: &[c_long] = &[
    libc::SYS_read,
    libc::SYS_pread64,
    libc::SYS_write,
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
    // With 32 bits these go by other names, and by the newest of them first. Two that libc does not know everywhere have the same
    // number on all architectures: clock_gettime64 and ppoll_time64.
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

/// Those of which the filter looks at an argument as well: the flags of the first, the signal of the others.
pub const RESTRICTED_CALLS: [c_long; 3] = [
    libc::SYS_openat,
    libc::SYS_pidfd_send_signal,
    libc::SYS_kill,
];

const DAC_OVERRIDE: u32 = 1 << 1;
const DAC_READ_SEARCH: u32 = 1 << 2;
const KILL: u32 = 1 << 5;
const SYS_PTRACE: u32 = 1 << 19;
/// No capability of this number is ever kept: these stand for what the log says of anything else.
const NONE: u32 = 1 << 30;
const ON: u32 = 1 << 31;

/// For the log.
static BITS: [u8; 6] = [
    KILL.trailing_zeros() as u8,
    DAC_READ_SEARCH.trailing_zeros() as u8,
    DAC_OVERRIDE.trailing_zeros() as u8,
    SYS_PTRACE.trailing_zeros() as u8,
    NONE.trailing_zeros() as u8,
    ON.trailing_zeros() as u8,
];
const NAMES: Words = words!("KILL|DAC_READ_SEARCH|DAC_OVERRIDE|SYS_PTRACE|none|on");

/// Gives up what can be given up, and says what holds. What the kernel refuses to take is kept.
// Not inlined: its room on the stack is for the start only.
#[inline(never)]
pub fn enter(config: &Config<'_>, report: &mut Report) {
    let no_new_privs = sys::set_no_new_privs();
    let capabilities = drop_capabilities();
    let seccomp = sys::set_filter(&filter(config.signal));
    let is_whole = no_new_privs.is_ok() && capabilities.is_ok() && seccomp.is_ok();
    let (level, words) = if is_whole {
        (Level::Info, words!("sandboxed"))
    } else {
        (
            Level::Warn,
            words!(
                "sandboxed in part: the kernel, or the container's seccomp profile, refuses the rest"
            ),
        )
    };
    let line = report.old.line(level).say(words);
    tell(line, "no_new_privs", no_new_privs.map(|()| ON));
    tell(line, "capabilities", capabilities);
    tell(line, "seccomp", seccomp.map(|()| ON));
    line.send();
}

fn tell(line: &mut Log, key: &str, held: io::Result<u32>) {
    match held {
        Ok(held) => line.key_names(key, held, &BITS, NAMES),
        Err(errno) => line.key(key, old_log::errno_text(errno).as_bytes()),
    };
}

/// Keeps what is needed of what is permitted, and returns that. Without inheritable capabilities there are no ambient ones; and
/// what the bounding set would let in with another program, `no_new_privs` keeps out.
fn drop_capabilities() -> io::Result<u32> {
    let mut sets = [0; 6];
    sys::capabilities(libc::SYS_capget, &mut sets)?;
    let [effective, permitted, ..] = sets;
    let mut kept = KILL | DAC_READ_SEARCH;
    // Where it is the only one, as docker gives it. It allows writing, too.
    if permitted & DAC_READ_SEARCH == 0 {
        kept |= DAC_OVERRIDE;
    }
    // It allows looking into other processes, and is needed only where they are hidden; proc(5), `hidepid`.
    if permitted & SYS_PTRACE != 0 {
        mount::each(&mut |mount| {
            if mount.hides_processes() {
                kept |= SYS_PTRACE;
            }
        });
    }
    let permitted = permitted & kept;
    sets = [effective & kept, permitted, 0, 0, 0, 0];
    sys::capabilities(libc::SYS_capset, &mut sets)?;
    Ok(if permitted == 0 { NONE } else { permitted })
}

/// The architecture whose numbers these are; a call by the numbers of another one is none of ours. `AUDIT_ARCH_*`.
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

/// Where the kernel puts what a filter looks at, in bytes: `struct seccomp_data`.
const NUMBER_AT: u32 = 0;
const ARCHITECTURE_AT: u32 = 4;

/// Of 64 bits the lower half: the calls in question take no more.
const fn argument_at(at: u32) -> u32 {
    let half = if cfg!(target_endian = "big") { 4 } else { 0 };
    16 + 8 * at + half
}

const OPENS_FOR_WRITING: u32 = OFlags::WRONLY
    .union(OFlags::RDWR)
    .union(OFlags::CREATE)
    .union(OFlags::TRUNC)
    .bits();

/// How far the filter's parts reach: the looks at what was called and at its arguments, then [`CALLS`].
const LOOKS: usize = 10;
const DENY: usize = LOOKS + CALLS.len();
const ALLOW: usize = DENY + 1;

/// What the kernel runs at each call, but for the signal.
const FILTER: Filter = {
    const IS: u32 = libc::BPF_JEQ;
    const HAS_ANY: u32 = libc::BPF_JSET;
    let [open, signal, kill] = RESTRICTED_CALLS;
    let mut filter = [answer(libc::SECCOMP_RET_ALLOW); ALLOW + 1];
    filter[0] = load(ARCHITECTURE_AT);
    filter[1] = test(1, IS, ARCHITECTURE, 2, DENY);
    filter[2] = load(NUMBER_AT);
    filter[3] = test(3, IS, open as u32, 4, 6);
    filter[4] = load(argument_at(2));
    filter[5] = test(5, HAS_ANY, OPENS_FOR_WRITING, DENY, ALLOW);
    filter[6] = test(6, IS, signal as u32, 8, 7);
    filter[7] = test(7, IS, kill as u32, 8, LOOKS);
    filter[8] = load(argument_at(1));
    filter[SIGNAL] = test(SIGNAL, IS, 0, ALLOW, DENY);
    let mut at = LOOKS;
    while at < DENY {
        filter[at] = test(at, IS, CALLS[at - LOOKS] as u32, ALLOW, at + 1);
        at += 1;
    }
    filter[DENY] = answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);
    filter
};

/// Where it says which signal may be sent.
const SIGNAL: usize = 9;

type Filter = [sock_filter; ALLOW + 1];

/// What the kernel runs at each call where this signal may be sent.
pub fn filter(signal: Signal) -> Filter {
    let mut filter = FILTER;
    filter[SIGNAL].k = signal.number().into();
    filter
}

const fn load(at: u32) -> sock_filter {
    instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, at, 0, 0)
}

const fn answer(with: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, with, 0, 0)
}

/// Compares what was loaded with `k`, and goes on at one of two places, which come after this one.
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
