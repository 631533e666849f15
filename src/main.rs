//! The entry point: the C start-up code calls `main`, and everything else is in the library.

// A development build has std: the tests' own dependencies bring it in, and a program can have one panic handler only.
#![cfg_attr(not(debug_assertions), no_std)]
#![no_main]
#![allow(unsafe_code)]

use config_reloader_sidecar::base::sys;
use config_reloader_sidecar::command;
use core::ffi::{c_char, c_int};

// The C library has to come after the crates that use it, which a `-lc` among the link arguments would not.
#[link(name = "c")]
unsafe extern "C" {}

// SAFETY: the name is the one that the C start-up code calls, with this signature.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // The environment stands after the null pointer that ends the arguments; x86-64 psABI 3.4.1, and alike on the others.
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

/// What the C library would do between the start and `main`, and after it, is for C code that uses threads, files or `atexit`: the
/// program has none. Both names take the place of the library's own, which are then not linked.
#[cfg(all(target_env = "musl", not(debug_assertions)))]
mod start {
    use core::ffi::{c_char, c_int};

    // SAFETY: the name is the one that the C start-up code calls once the program is relocated, with these arguments first.
    #[unsafe(no_mangle)]
    extern "C" fn __libc_start_main(
        main: extern "C" fn(c_int, *const *const c_char) -> c_int,
        argc: c_int,
        argv: *const *const c_char,
    ) -> ! {
        make_read_only();
        // SAFETY: ends the process; nothing is left to be put in order.
        unsafe { libc::_exit(main(argc, argv)) }
    }

    #[cfg(target_pointer_width = "32")]
    use libc::{Elf32_Ehdr as Header, Elf32_Phdr as Segment};
    #[cfg(target_pointer_width = "64")]
    use libc::{Elf64_Ehdr as Header, Elf64_Phdr as Segment};

    unsafe extern "C" {
        /// Where the program begins in memory, as the linker calls it; elf(5).
        static __ehdr_start: Header;
    }

    /// Takes from what was relocated the permission to be written to: a dynamic linker does that, musl's start-up code does not.
    fn make_read_only() {
        let header = &raw const __ehdr_start;
        // SAFETY: the linker has put the headers of the segments behind that of the file, and both into the first segment.
        let (segments, first) = unsafe {
            let segments = header.add(1).cast::<Segment>();
            let count = (*header).e_phnum.into();
            (core::slice::from_raw_parts(segments, count), &*segments)
        };
        // The first segment is the one of these headers themselves.
        let moved_by = (&raw const *first).addr() - first.p_vaddr as usize;
        for segment in segments {
            if segment.p_type == libc::PT_GNU_RELRO {
                let start = (moved_by + segment.p_vaddr as usize) & !(PAGE_SIZE - 1);
                let end = moved_by + (segment.p_vaddr + segment.p_memsz) as usize;
                // Where pages are larger the kernel refuses, and they stay as they are.
                // SAFETY: nothing in it is written to after it was relocated, which has been done.
                unsafe { libc::syscall(libc::SYS_mprotect, start, end - start, libc::PROT_READ) };
            }
        }
    }

    /// What the linker goes by.
    const PAGE_SIZE: usize = 4096;

    /// Of the one thread that there is.
    static mut ERRNO: c_int = 0;

    // SAFETY: the name is the one that users of the C library go by, with this signature.
    #[unsafe(no_mangle)]
    extern "C" fn __errno_location() -> *mut c_int {
        &raw mut ERRNO
    }

    // SAFETY: the name is the one that the C library itself goes by, with this signature.
    #[unsafe(no_mangle)]
    extern "C" fn ___errno_location() -> *mut c_int {
        &raw mut ERRNO
    }
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
