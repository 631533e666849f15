//! The sandbox: once everything long-lived is open, the program gives up what it no longer needs.
//!
//! - `no_new_privs`: no program that it executes gains privileges; prctl(2).
//! - Capabilities: it keeps only those for signalling and reading; capabilities(7).
//! - A seccomp [`filter`]: calls it never makes are answered as by a kernel that lacks them. It opens no file for writing and sends
//!   no signal but the one in the settings; seccomp(2).
//!
//! An earlier filter, such as a container's, still holds: the stricter of two answers counts.

pub mod filter;

use crate::base::signal::Signal;
use crate::base::sys;
use crate::base::text::Word;
use crate::mount;
use crate::report::Report;
use crate::report::facts::lifecycle::{Lifecycle, Sandboxed};
pub use filter::{CALLS, RESTRICTED_CALLS, filter};
use rustix::io;

/// A capability as a bit of the first 32; capabilities(7).
struct Capability {
    bit: u32,
    name: &'static str,
}

const KILL: Capability = Capability {
    bit: 1 << 5,
    name: "KILL",
};
const DAC_READ_SEARCH: Capability = Capability {
    bit: 1 << 2,
    name: "DAC_READ_SEARCH",
};
const DAC_OVERRIDE: Capability = Capability {
    bit: 1 << 1,
    name: "DAC_OVERRIDE",
};
const SYS_PTRACE: Capability = Capability {
    bit: 1 << 19,
    name: "SYS_PTRACE",
};

/// Enters the sandbox as far as the kernel allows, and reports how far that is.
// Not inlined: keeps the filter off the stack of the program's loop.
#[inline(never)]
pub fn enter(signal: Signal, report: &mut Report) {
    report.record(&Lifecycle::Sandboxed(&Sandboxed {
        no_new_privs: sys::set_no_new_privs(),
        capabilities: drop_capabilities().map(names),
        seccomp: sys::set_filter(&filter(signal)),
    }));
}

/// Drops the capabilities that are not needed, and returns those that were kept. Without inheritable capabilities there are no
/// ambient ones, and `no_new_privs` keeps the bounding set from mattering.
fn drop_capabilities() -> io::Result<u32> {
    let mut sets = [0; 6];
    sys::capabilities(libc::SYS_capget, &mut sets)?;
    let [effective, permitted, ..] = sets;
    let mut needed = KILL.bit | DAC_READ_SEARCH.bit;
    // It allows writing as well, so it is kept only in place of the other, as Docker grants it.
    if permitted & DAC_READ_SEARCH.bit == 0 {
        needed |= DAC_OVERRIDE.bit;
    }
    // It allows reading other processes' memory, so it is kept only if `/proc` hides them without it; proc(5), `hidepid`.
    if permitted & SYS_PTRACE.bit != 0 {
        mount::each(&mut |mount| {
            if mount.hides_processes() {
                needed |= SYS_PTRACE.bit;
            }
        });
    }
    let kept = permitted & needed;
    sets = [effective & needed, kept, 0, 0, 0, 0];
    sys::capabilities(libc::SYS_capset, &mut sets)?;
    Ok(kept)
}

/// Returns the names of capabilities, separated by commas.
fn names(bits: u32) -> Word {
    let mut names = Word::new();
    for capability in [KILL, DAC_READ_SEARCH, DAC_OVERRIDE, SYS_PTRACE] {
        if bits & capability.bit != 0 {
            if !names.is_empty() {
                names.push(b",");
            }
            names.push(capability.name.as_bytes());
        }
    }
    if names.is_empty() {
        names.push(b"none");
    }
    names
}
