//! The library's only `unsafe` code: calls for which rustix has no safe interface.
#![allow(unsafe_code)]

use super::address::SocketAddress;
use crate::base::time::{Instant, Millis};
use core::ffi::{CStr, c_char, c_int};
use core::ptr;
use rustix::event::Timespec;
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::{self, Errno};

/// The timeout of a poll(2) that does not wait.
pub const AT_ONCE: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};

/// Returns the strings of a null-terminated array, as the arguments and the environment are; execve(2).
///
/// # Safety
/// `array` must be such an array, and live as long as the program, as must its strings.
pub unsafe fn strings(mut array: *const *const c_char) -> impl Iterator<Item = &'static [u8]> {
    core::iter::from_fn(move || {
        // SAFETY: never moves beyond the null pointer; the caller promises everything else.
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
        /// The file's header in memory, named by the linker; the program headers follow it.
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

/// Returns the string that ends at the first NUL of `bytes`, the last of which must be one; else an empty string. Core's own way looks
/// for the NUL in words of eight bytes, which takes 250 bytes of code.
pub fn c_str(bytes: &[u8]) -> &CStr {
    if bytes.last() != Some(&0) {
        return c"";
    }
    // SAFETY: there is a NUL, so the string ends within `bytes`, which are borrowed for as long.
    unsafe { CStr::from_ptr(bytes.as_ptr().cast()) }
}

/// Returns the random bytes that the kernel gave this process at its start; AT_RANDOM of getauxval(3).
pub fn random() -> [u8; 16] {
    // SAFETY: the kernel has passed the address of 16 bytes since Linux 2.6.29. They are never written to.
    unsafe {
        let bytes = libc::getauxval(libc::AT_RANDOM) as *const [u8; 16];
        bytes.as_ref().copied().unwrap_or_default()
    }
}

/// Returns standard output, whatever is open there.
pub const fn stdout() -> BorrowedFd<'static> {
    // SAFETY: `fill_standard_descriptors` ran first, and nothing closes the first three descriptors.
    unsafe { BorrowedFd::borrow_raw(libc::STDOUT_FILENO) }
}

/// Returns standard error, whatever is open there.
pub const fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as for `stdout`.
    unsafe { BorrowedFd::borrow_raw(libc::STDERR_FILENO) }
}

/// Blocks every signal and returns a descriptor to read them from, which works for PID 1 as well; signalfd(2). So none ends or stops
/// the program, except SIGKILL, SIGSTOP and a fault of its own, which the kernel does not let it block.
///
/// # Errors
/// EMFILE, ENFILE, ENODEV, ENOMEM.
pub fn signal_descriptor() -> io::Result<OwnedFd> {
    // The kernel's form of a set has 64 bits; the C library's has 1024 and leaves out two signals.
    let all = u64::MAX;
    let flags = libc::SFD_NONBLOCK | libc::SFD_CLOEXEC;
    // SAFETY: the calls read a set of the given size. The descriptor is new and owned by nobody else.
    unsafe {
        let null = ptr::null_mut::<u64>();
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_BLOCK,
            &raw const all,
            null,
            size_of::<u64>(),
        );
        match libc::syscall(
            libc::SYS_signalfd4,
            -1,
            &raw const all,
            size_of::<u64>(),
            flags,
        ) {
            fd if fd < 0 => Err(last_error()),
            fd => Ok(OwnedFd::from_raw_fd(fd as c_int)),
        }
    }
}

/// Lets the kernel reap the children that end, those that process 1 adopts among them: ignoring SIGCHLD does that, without waking the
/// program; wait(2).
pub fn reap_children() {
    // Every architecture's form of the action begins with the handler; the rest is smaller than this.
    let ignore = [libc::SIG_IGN, 0, 0, 0, 0];
    // SAFETY: the call reads an action no longer than that, and a set of the given size at its end.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            libc::SIGCHLD,
            ignore.as_ptr(),
            ptr::null_mut::<usize>(),
            size_of::<u64>(),
        );
    }
}

/// The signals that end the program or continue it, as a set.
const INTERRUPTING: u64 =
    1 << (libc::SIGTERM - 1) | 1 << (libc::SIGINT - 1) | 1 << (libc::SIGCONT - 1);

/// Returns true if a signal has come that ends the program, or continues it: what it is doing is to be broken off. Takes no signal;
/// sigpending(2).
pub fn is_interrupted() -> bool {
    let mut pending = 0_u64;
    // SAFETY: the call fills a set of the given size.
    unsafe { libc::syscall(libc::SYS_rt_sigpending, &raw mut pending, size_of::<u64>()) };
    pending & INTERRUPTING != 0
}

/// Reads one pending signal from a descriptor of [`signal_descriptor`]; signalfd(2).
pub fn next_signal(fd: BorrowedFd<'_>) -> Option<c_int> {
    // `struct signalfd_siginfo` begins with the number; the kernel returns only whole records.
    let mut info = [0; size_of::<libc::signalfd_siginfo>()];
    let length = io::read(fd, &mut info).ok()?;
    let number = info.first_chunk().filter(|_| length == info.len())?;
    Some(c_int::from_ne_bytes(*number))
}

/// Gives up gaining privileges by executing programs; PR_SET_NO_NEW_PRIVS of prctl(2).
///
/// # Errors
/// EINVAL before Linux 3.5.
pub fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: the call takes no pointers.
    done(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) })
}

/// Lets the kernel run `filter` at each system call from now on; PR_SET_SECCOMP of prctl(2).
///
/// # Errors
/// EINVAL where the kernel has no filters, EACCES without `no_new_privs`, ENOMEM.
pub fn set_filter(filter: &[libc::sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: filter.len() as _,
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the kernel copies the given number of instructions and keeps no pointer to them.
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
    // _LINUX_CAPABILITY_VERSION_3, which has 64 bits, and the calling process; linux/capability.h.
    let header = [0x2008_0522_u32, 0];
    // SAFETY: the kernel reads or writes six numbers in this version.
    done(unsafe { libc::syscall(call, header.as_ptr(), sets.as_mut_ptr()) })
}

/// Converts a system call's return value.
fn done(answer: libc::c_long) -> io::Result<()> {
    if answer < 0 {
        Err(last_error())
    } else {
        Ok(())
    }
}

/// Binds or connects a socket: `call` is `SYS_bind` or `SYS_connect`, which take the same arguments; bind(2), connect(2).
///
/// # Errors
/// Those of the call.
pub fn set_address(
    call: libc::c_long,
    fd: BorrowedFd<'_>,
    address: &SocketAddress,
) -> io::Result<()> {
    // SAFETY: both calls read the given number of bytes.
    done(unsafe {
        libc::syscall(
            call,
            fd.as_raw_fd(),
            &raw const *address,
            size_of::<SocketAddress>(),
        )
    })
}

/// Returns the time since boot, suspension included: the clock of the start times in `/proc/PID/stat`; clock_gettime(2).
pub fn now() -> Instant {
    Instant::from_nanoseconds(clock(libc::CLOCK_BOOTTIME))
}

/// Returns the milliseconds since the epoch; clock_gettime(2).
pub fn wall_ms() -> u64 {
    clock(libc::CLOCK_REALTIME) / 1_000_000
}

/// Returns the processor time that the program has used; clock_gettime(2).
pub fn processor_time() -> Millis {
    Millis(clock(libc::CLOCK_PROCESS_CPUTIME_ID) / 1_000_000)
}

/// The number of the clock_gettime(2) that fills two 64-bit fields.
#[cfg(target_pointer_width = "64")]
pub const CLOCK_GETTIME: libc::c_long = libc::SYS_clock_gettime;
/// The number of the clock_gettime(2) that fills two 64-bit fields: `clock_gettime64` on every 32-bit architecture, which the libc
/// crate defines for few.
#[cfg(target_pointer_width = "32")]
pub const CLOCK_GETTIME: libc::c_long = 403;

/// Returns a clock's time in nanoseconds. Makes the system call itself: the C library's way around it takes 700 bytes.
fn clock(id: libc::clockid_t) -> u64 {
    let mut time = [0_u64; 2];
    // SAFETY: the call fills two 64-bit fields. The clocks exist since Linux 2.6.39, so it cannot fail.
    unsafe { libc::syscall(CLOCK_GETTIME, id, time.as_mut_ptr()) };
    time[0] * 1_000_000_000 + time[1]
}

/// Converts a signal's number to rustix's type, which has names only for the standard ones.
pub fn to_rustix(number: u8) -> rustix::process::Signal {
    // SAFETY: it is only sent. The kernel refuses what is none, and no thread waits for the two that the C library keeps to itself.
    unsafe { rustix::process::Signal::from_raw_unchecked(number.into()) }
}

fn last_error() -> Errno {
    // SAFETY: returns a pointer to the calling thread's errno, which is always valid.
    Errno::from_raw_os_error(unsafe { *libc::__errno_location() })
}
