//! The entry point: musl's start-up code calls `main`. Everything else is in the library.

// A development build has std, which the tests' dependencies bring in: a program can have only one panic handler.
#![cfg_attr(not(debug_assertions), no_std)]
#![no_main]
#![allow(unsafe_code)]

use config_reloader_sidecar::base::sys;
use config_reloader_sidecar::command;
use core::ffi::{c_char, c_int};

// Links the C library after the crates that use it; a `-lc` among the link arguments would come before them.
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: musl's start-up code calls this name with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    #[cfg(all(target_env = "musl", not(debug_assertions)))]
    sys::protect_relocated();
    // The environment follows the null pointer that ends the arguments; x86-64 psABI 3.4.1, and likewise on the others.
    let (first, environment) = (argc.min(1) as usize, argc as usize + 1);
    // SAFETY: these are the start-up code's own arguments, as the kernel put them on the stack.
    let (mut arguments, mut environment) = unsafe {
        (
            sys::strings(argv.add(first)),
            sys::strings(argv.add(environment)),
        )
    };
    command::main(&mut arguments, &mut environment)
}

/// Does not print where it happened: using the `PanicInfo` adds 4 KB of formatting.
#[cfg(not(debug_assertions))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    command::panicked();
    // SAFETY: ends the process, which has nothing to clean up.
    unsafe { libc::_exit(command::EXIT_PANICKED) }
}

/// Satisfies the core library in builds without link-time optimisation. With `panic = "abort"` nothing calls it.
// SAFETY: the symbol has no other definition in a program without std.
#[cfg(not(debug_assertions))]
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}
