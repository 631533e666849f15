//! The least program that could do the job, as a lower bound for the benchmarks: floor DIRECTORY PID
//!
//! It waits for the last step of a volume's update, the removal of the previous timestamped directory, in a blocking read of one
//! inotify descriptor, and signals the process. It reads no files, checks nothing, and any error ends it.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int};
use core::mem::MaybeUninit;
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

// The linker needs the C library after the crates that use it.
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: the C start-up code calls a function with this name and signature.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if count != 3 {
        return 2;
    }
    // SAFETY: the start-up code passes three strings, and never frees them.
    let [directory, pid] = [1, 2].map(|at| unsafe { CStr::from_ptr(*arguments.add(at)) });
    match watch(directory, pid) {
        Ok(never) => match never {},
        Err(errno) => errno.raw_os_error(),
    }
}

fn watch(directory: &CStr, pid: &CStr) -> Result<core::convert::Infallible, Errno> {
    let number = |digits: &CStr| digits.to_str().ok()?.parse().ok();
    let pid = number(pid).and_then(Pid::from_raw).ok_or(Errno::INVAL)?;
    let inotify = init(CreateFlags::CLOEXEC)?;
    add_watch(
        &inotify,
        directory,
        WatchFlags::DELETE | WatchFlags::ONLYDIR,
    )?;
    let mut buffer = [MaybeUninit::uninit(); 1024];
    let mut events = Reader::new(inotify, &mut buffer);
    loop {
        let event = events.next()?;
        let is_old = |name: &CStr| name.to_bytes().starts_with(b"..");
        if event.events().contains(ReadFlags::ISDIR) && event.file_name().is_some_and(is_old) {
            kill_process(pid, Signal::HUP)?;
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: always sound; it does not return.
    unsafe { libc::_exit(1) }
}
