//! The least that can do the job, to measure the sidecar against: waits in one read of one inotify descriptor for the last step of
//! a volume's update, the removal of the previous timestamped directory, and signals a process whose id it was told.
//!
//! usage: floor DIRECTORY PID
//!
//! It looks at no content and at no process, and whatever goes wrong ends it.

#![no_std]
#![no_main]
#![allow(unsafe_code)]

use core::ffi::{CStr, c_char, c_int};
use core::mem::MaybeUninit;
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

// The C library has to come after the crates that use it.
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: the name is the one that the C start-up code calls, with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    if count != 3 {
        return 2;
    }
    // SAFETY: the start-up code's own arguments, of which there are three.
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
    // SAFETY: ends the process; nothing is left to be put in order.
    unsafe { libc::_exit(1) }
}
