//! The only `unsafe` of the program besides its entry: system calls that rustix has no safe wrapper for.
#![allow(unsafe_code)]

use crate::base::signal::Signal;
use crate::base::time::Instant;
use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use rustix::event::Timespec;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::fs;
use rustix::io::{self, Errno};

/// For a poll(2) that does not wait.
pub const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// The strings of an array that ends with a null pointer, as the program's arguments and its environment do; execve(2).
///
/// # Safety
/// `array` must be such an array, and live until the end of the program as its strings do.
pub unsafe fn strings(mut array: *const *const c_char) -> impl Iterator<Item = &'static [u8]> {
    core::iter::from_fn(move || {
        // SAFETY: never moved beyond the null pointer; the rest is what the caller promises.
        unsafe {
            let entry = *array;
            if entry.is_null() {
                return None;
            }
            array = array.add(1);
            Some(CStr::from_ptr(entry).to_bytes())
        }
    })
}

/// Opens a placeholder for each of the first three descriptors that was closed at the start, so that no file of the program's own
/// gets one of these numbers and has log lines written into it.
///
/// The placeholder is `/` opened with `O_PATH`, which exists in any image and cannot be written to (EBADF): lines to a closed
/// standard error count as dropped.
pub fn fill_standard_descriptors() {
    // open(2) returns the lowest free number. If that is none of the three, they are all taken.
    while let Ok(placeholder) = fs::openat(fs::CWD, c"/", fs::OFlags::PATH, fs::Mode::empty()) {
        if placeholder.as_raw_fd() > 2 {
            return;
        }
        core::mem::forget(placeholder);
    }
}

#[cfg(target_pointer_width = "32")]
use libc::{Elf32_Ehdr as FileHeader, Elf32_Phdr as Segment};
#[cfg(target_pointer_width = "64")]
use libc::{Elf64_Ehdr as FileHeader, Elf64_Phdr as Segment};

unsafe extern "C" {
    /// The start of the program in memory, named by the linker; elf(5).
    static __ehdr_start: FileHeader;
}

/// Makes what was relocated at the start read-only. A dynamic linker does that (RELRO); musl's start-up code of a static program
/// does not.
pub fn protect_relocated_data() {
    /// The page size that the linker aligns to. Where pages are larger the kernel refuses, and the data stays writable.
    const PAGE_SIZE: usize = 4096;
    let header = &raw const __ehdr_start;
    // SAFETY: the linker puts the program headers right behind the file header, both in the first segment.
    let segments = unsafe {
        let first = header.add(1).cast::<Segment>();
        core::slice::from_raw_parts(first, (*header).e_phnum.into())
    };
    let loaded = segments.iter().find(|it| it.p_type == libc::PT_LOAD);
    let base = header.addr() - loaded.map_or(0, |it| it.p_vaddr as usize);
    for segment in segments.iter().filter(|it| it.p_type == libc::PT_GNU_RELRO) {
        let start = (base + segment.p_vaddr as usize) & !(PAGE_SIZE - 1);
        let end = base + (segment.p_vaddr + segment.p_memsz) as usize;
        // SAFETY: nothing writes to this data after relocation, which is over.
        unsafe { libc::syscall(libc::SYS_mprotect, start, end - start, libc::PROT_READ) };
    }
}

/// Standard output, whatever is open there.
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: `fill_standard_descriptors` ran first, and nothing closes the first three descriptors.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

/// Standard error, whatever is open there.
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for `stdout`.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}

/// Blocks `signals` and gives a descriptor to read them from, which works for PID 1 as well; signalfd(2). Blocks SIGPIPE, too:
/// a reader of the log that goes away must not take the program with it.
///
/// # Errors
/// EMFILE, ENFILE, ENODEV, ENOMEM.
pub fn signal_descriptor(signals: &[c_int]) -> io::Result<OwnedFd> {
    // The kernel's own form of a set, without the C library's 700 bits that no signal has.
    let set = signals
        .iter()
        .fold(0_u64, |set, signal| set | 1 << (signal - 1));
    let blocked = set | 1 << (libc::SIGPIPE - 1);
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the calls read a set of the size that they are told. The descriptor is new and nobody else's.
    unsafe {
        let null = ptr::null_mut::<u64>();
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            &raw const blocked,
            null,
            size_of::<u64>(),
        );
        match libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const set,
            size_of::<u64>(),
            flags,
        ) {
            fd if fd < 0 => Err(last_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd as c_int)),
        }
    }
}

/// Takes one signal from a descriptor of [`signal_descriptor`], if one has come; signalfd(2).
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<c_int> {
    // `struct signalfd_siginfo` begins with the number; the kernel gives whole records only.
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    let length = io::read(fd, &mut info).ok()?;
    let number = info.first_chunk().filter(|_| length == info.len())?;
    Some(c_int::from_ne_bytes(*number))
}

/// No program that this one executes gains anything from now on; PR_SET_NO_NEW_PRIVS of prctl(2).
///
/// # Errors
/// EINVAL before Linux 3.5.
pub fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: nothing of Rust's depends on it.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// From now on the kernel runs `filter` at each system call; PR_SET_SECCOMP of prctl(2).
///
/// # Errors
/// EINVAL where the kernel has no filters, EACCES without `no_new_privs`, ENOMEM.
pub fn set_filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as _,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies as many instructions as it is told, and keeps nothing of this memory.
    done(unsafe {
        libc::syscall(
            libc::SYS_prctl,
            libc::PR_SET_SECCOMP,
            libc::SECCOMP_MODE_FILTER,
            &raw const program,
        )
    })
}

/// Reads this process's capabilities by `SYS_capget`, or sets them by `SYS_capset`; capset(2). The sets are the effective,
/// the permitted and the inheritable ones below 32, then the same from 32.
///
/// # Errors
/// EPERM if any is to be added.
pub fn capabilities(call: libc::c_long, sets: &mut [u32; 6]) -> io::Result<()> {
    // The third version, which has 64 bits, and the calling process; linux/capability.h.
    let header = [0x2008_0522_u32, 0];
    // SAFETY: the kernel reads or writes six numbers, which is what this version has.
    done(unsafe { libc::syscall(call, header.as_ptr(), sets.as_mut_ptr()) })
}

/// What a system call has answered.
fn done(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 {
        Err(last_error())
    } else {
        Ok(())
    }
}

/// A socket's address as the kernel takes it: `struct sockaddr_in6`, or `struct sockaddr_in` and zeros; ip(7), ipv6(7).
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SocketAddress {
    family: u16,
    port: [u8; 2],
    v4: [u8; 4],
    v6: [u8; 16],
    scope: u32,
}

impl SocketAddress {
    /// An IPv4 address.
    pub const fn v4(v4: [u8; 4], port: u16) -> Self {
        Self {
            family: libc::AF_INET as u16,
            port: port.to_be_bytes(),
            v4,
            v6: [0; 16],
            scope: 0,
        }
    }

    /// An IPv6 address.
    pub const fn v6(v6: [u8; 16], port: u16) -> Self {
        Self {
            family: libc::AF_INET6 as u16,
            v6,
            ..Self::v4([0; 4], port)
        }
    }

    /// Whether it is an IPv6 address.
    pub const fn is_v6(&self) -> bool {
        self.family == libc::AF_INET6 as u16
    }
}

/// Gives a socket its own address, or the address of the other end: `call` is that of bind(2) or connect(2), which take the same.
///
/// # Errors
/// Those of the call.
pub fn set_address(
    call: libc::c_long,
    fd: BorrowedFd<'_>,
    address: &SocketAddress,
) -> io::Result<()> {
    // SAFETY: both calls read as many bytes as they are told.
    done(unsafe {
        libc::syscall(
            call,
            fd.as_raw_fd(),
            &raw const *address,
            size_of::<SocketAddress>(),
        )
    })
}

/// The time since boot, sleep included, the clock that `/proc/PID/stat` gives start times in; `clock_gettime(2)`.
pub fn now() -> Instant {
    let [seconds, nanoseconds] = clock(libc::CLOCK_BOOTTIME);
    Instant::from_nanoseconds(seconds * 1_000_000_000 + nanoseconds)
}

/// Milliseconds since the epoch; `clock_gettime(2)`.
pub fn wall_ms() -> u64 {
    let [seconds, nanoseconds] = clock(libc::CLOCK_REALTIME);
    seconds * 1000 + nanoseconds / 1_000_000
}

/// The call that fills two 64-bit fields. It has this number on all that have 32 bits, and the libc crate knows it on few.
#[cfg(target_pointer_width = "64")]
pub const CLOCK_GETTIME: libc::c_long = libc::SYS_clock_gettime;
/// See above.
#[cfg(target_pointer_width = "32")]
pub const CLOCK_GETTIME: libc::c_long = 403;

/// Seconds and nanoseconds. Asks the kernel itself: the C library's way around that call is 700 bytes for a few dozen calls
/// a reload.
fn clock(id: libc::clockid_t) -> [u64; 2] {
    let mut time = [0_u64; 2];
    // SAFETY: the call fills two 64-bit fields. Both clocks exist since Linux 2.6.39, so it cannot fail.
    unsafe { libc::syscall(CLOCK_GETTIME, id, time.as_mut_ptr()) };
    time
}

/// A signal in rustix's type, which has names for the standard ones only.
pub fn to_rustix(signal: Signal) -> rustix::process::Signal {
    // SAFETY: the number is a signal's, and not one of the two that the C library keeps to itself; it is only sent.
    unsafe { rustix::process::Signal::from_raw_unchecked(signal.number().into()) }
}

fn last_error() -> Errno {
    // SAFETY: the C library's own accessor of the calling thread's errno.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}
