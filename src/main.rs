//! The entry point: the C start-up code calls `main`, and everything else is in the library.

// A development build has std: the tests' own dependencies bring it in, and a program can have one panic handler only.
#![cfg_attr(not(debug_assertions), no_std)]
#![no_main]
#![allow(unsafe_code)]

use config_reloader_sidecar::{command, sys};
use core::ffi::{c_char, c_int};

// The C library has to come after the crates that use it, which a `-lc` among the link arguments would not.
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: the name is the one that the C start-up code calls, with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the start-up code's own arguments.
    let mut arguments = unsafe { sys::arguments(argc, argv) };
    command::main(&mut arguments, &mut sys::environment())
}

/// Does not say where: whoever looks at the `PanicInfo` gets 4 KB of formatting with it.
#[cfg(not(debug_assertions))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    command::panicked();
    // SAFETY: ends the process; nothing is left to be put in order.
    unsafe { libc::_exit(command::EXIT_PANICKED) }
}

/// Builds without link-time optimisation refer to it from the core library; with `panic = "abort"` nothing calls it.
// SAFETY: the symbol has no other definition in a program without std.
#[cfg(not(debug_assertions))]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
