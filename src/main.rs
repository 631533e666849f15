//! The entry point: musl's start-up code calls `main`; everything else is in the library.

// A development build has std: the tests' own dependencies bring it in, and a program can have one panic handler only.
#![cfg_attr(not(debug_assertions), no_std)]
#![no_main]
#![allow(unsafe_code)]

use config_reloader_sidecar::base::sys;
use config_reloader_sidecar::command;
use core::ffi::{c_char, c_int};

// The C library has to come after the crates that use it, where a `-lc` among the link arguments would not be.
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: this is the name that the C start-up code calls, with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    sys::protect_relocated_data();
    // The environment follows the null pointer that ends the arguments; x86-64 psABI 3.4.1, and alike on the others.
    let (first, environment) = (argc.min(1) as usize, argc as usize + 1);
    // SAFETY: the start-up code's own arguments, as the kernel put them on the stack.
    let (mut arguments, mut environment) = unsafe {
        (
            sys::strings(argv.add(first)),
            sys::strings(argv.add(environment)),
        )
    };
    command::main(&mut arguments, &mut environment)
}

/// Does not say where: looking at the `PanicInfo` would add all of its formatting.
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
