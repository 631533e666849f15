//! The only `unsafe` of the program: what rustix has no safe call for.
#![allow(unsafe_code)]

use crate::base::signal::Signal;
use crate::base::time::Instant;
use core::ffi::{CStr, c_char, c_int};
use core::ptr::{self, NonNull};
use rustix::event::Timespec;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
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

/// Makes what was relocated at start read-only, the segment `PT_GNU_RELRO`; elf(5). A dynamic linker does that for its programs,
/// musl's start-up code does not do it for a static one.
#[cfg(all(target_env = "musl", not(debug_assertions)))]
pub fn protect_relocated() {
    #[cfg(target_pointer_width = "32")]
    use libc::{Elf32_Ehdr as FileHeader, Elf32_Phdr as Segment};
    #[cfg(target_pointer_width = "64")]
    use libc::{Elf64_Ehdr as FileHeader, Elf64_Phdr as Segment};

    unsafe extern "C" {
        /// Where the linker put the file's header in memory; the program headers follow it.
        static __ehdr_start: FileHeader;
    }
    // The linker aligns the segment to pages of this size. Where pages are larger the kernel refuses, and it stays writable.
    const PAGE_SIZE: usize = 4096;
    let header = &raw const __ehdr_start;
    // SAFETY: the first segment holds the file's header and the program headers, and is never unmapped.
    let segments = unsafe {
        let count = (*header).e_phnum.into();
        core::slice::from_raw_parts(header.add(1).cast::<Segment>(), count)
    };
    // The first program header is PT_PHDR, which says where they all were linked to.
    let Some(first) = segments.first() else {
        return;
    };
    let offset = (&raw const *first).addr() - first.p_vaddr as usize;
    for segment in segments.iter().filter(|it| it.p_type == libc::PT_GNU_RELRO) {
        let start = (offset + segment.p_vaddr as usize) & !(PAGE_SIZE - 1);
        let end = offset + (segment.p_vaddr + segment.p_memsz) as usize;
        // SAFETY: relocation is over, and nothing else writes to this segment.
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

/// The C string that `bytes` begin with; empty if they do not end with a NUL. The core library's own way to it is 450 bytes
/// longer, because it searches faster than is needed for a name.
pub fn c_str(bytes: &[u8]) -> &CStr {
    if bytes.last() != Some(&0) {
        return c"";
    }
    // SAFETY: there is a NUL within the slice, so that nothing beyond it is read, and the string is borrowed from it.
    unsafe { CStr::from_ptr(bytes.as_ptr().cast()) }
}

/// Bytes up to a NUL, by a pointer alone: smaller than a slice wherever it is handed on.
#[derive(Clone, Copy, Debug)]
pub struct Terminated(NonNull<c_char>);

// SAFETY: what it points to never changes.
unsafe impl Sync for Terminated {}

impl Terminated {
    /// # Panics
    /// The last byte is no NUL.
    pub const fn new(bytes: &'static [u8]) -> Self {
        assert!(matches!(bytes.last(), Some(0)));
        match NonNull::new(bytes.as_ptr().cast_mut()) {
            Some(start) => Self(start.cast()),
            None => panic!(),
        }
    }

    /// What comes before the first NUL.
    pub fn bytes(self) -> &'static [u8] {
        // SAFETY: made from a slice that lives for ever and has a NUL.
        unsafe { CStr::from_ptr(self.0.as_ptr()).to_bytes() }
    }
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
