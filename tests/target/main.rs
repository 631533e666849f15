//! The application of the tests and of the demo: it prints `ready`, then every signal with the configuration it sees at that
//! moment, as `SIGHUP <nanoseconds since boot> <content>`. Of a directory it prints the names in it.
//!
//! With `--tree 1` CONFIG is a list as in `CONFIG_DIR`, everything below it is read, and what is printed stands for that: after
//! `ready`, too.
//!
//! usage: target CONFIG [OPTION VALUE]...
//!
//! `--default N` leaves signal N alone, `--ignore N` ignores it, `--late N` catches it only after SIGUSR2 has come.
//! `--drop N` does nothing for the first N signals, `--die N` ends it at the Nth.
//! `--parent PID` is whose child it was started as.
//! `--children N` starts N processes of the same name. `--note TEXT` does nothing: it is there to be found.
//!
//! It catches every other signal that can be caught but SIGTERM, SIGINT and SIGCHLD, and ends when it loses its parent.

#![allow(unsafe_code)]

#[path = "../support/digest.rs"]
mod digest;

use signal_hook::low_level::{register, signal_name};
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};

fn main() {
    let mut arguments = std::env::args().skip(1);
    let config = arguments
        .next()
        .expect("usage: target CONFIG [OPTION VALUE]...");
    let mut left = vec![libc::SIGTERM, libc::SIGINT, libc::SIGCHLD];
    let mut late = Vec::new();
    let mut children = Vec::new();
    let mut is_tree = false;
    let mut parent: Option<u32> = None;
    let (mut to_drop, mut to_live) = (0, u32::MAX);
    while let (Some(option), Some(value)) = (arguments.next(), arguments.next()) {
        let signal = || value.parse::<i32>().expect("a signal's number");
        match option.as_str() {
            "--default" => left.push(signal()),
            "--late" => {
                left.push(signal());
                late.push(signal());
            }
            "--note" => {}
            "--tree" => is_tree = true,
            "--parent" => parent = Some(value.parse().expect("a process")),
            "--drop" => to_drop = value.parse().expect("a number"),
            "--die" => to_live = value.parse().expect("a number"),
            "--ignore" => {
                left.push(signal());
                // SAFETY: a constant disposition.
                unsafe { libc::signal(signal(), libc::SIG_IGN) };
            }
            "--children" => {
                for _ in 0..value.parse::<usize>().expect("a number") {
                    let program = std::env::current_exe().unwrap();
                    children.push(
                        Command::new(program)
                            .arg(&config)
                            .args(["--parent", &std::process::id().to_string()])
                            .stdin(Stdio::null())
                            .spawn()
                            .unwrap(),
                    );
                }
            }
            other => panic!("unknown option {other}"),
        }
    }
    // SAFETY: asks the kernel for a signal on the parent's death; no memory is touched.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // It may have died before that.
    if parent.is_some_and(|parent| parent != std::os::unix::process::parent_id()) {
        return;
    }

    // Each run of the handler is a message of its own, so that two signals are never taken for one.
    let (mut reader, writer) = UnixStream::pair().unwrap();
    let forbidden = [
        libc::SIGKILL,
        libc::SIGSTOP,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGSEGV,
        32,
        33,
    ];
    let pipe = writer.as_raw_fd();
    let caught = |signal: &i32| !forbidden.contains(signal) && !left.contains(signal);
    catch_all(&(1..=64).filter(caught).collect::<Vec<_>>(), pipe);
    let read = || {
        if is_tree {
            return format!("{:016x}", digest::digest(&config));
        }
        content(Path::new(&config)).unwrap_or_else(|error| error.to_string())
    };
    if is_tree {
        println!("ready {}", read());
    } else {
        println!("ready");
    }
    let mut message = [0; 12];
    while reader.read_exact(&mut message).is_ok() {
        to_live -= 1;
        if to_live == 0 {
            return;
        }
        if to_drop > 0 {
            to_drop -= 1;
            continue;
        }
        let signal = i32::from_le_bytes(message[..4].try_into().unwrap());
        let time = i64::from_le_bytes(message[4..].try_into().unwrap());
        let name = signal_name(signal).map_or_else(|| format!("SIG{signal}"), str::to_owned);
        println!("{name} {time} {}", read().trim_end().replace('\n', "|"));
        io::stdout().flush().unwrap();
        if signal == libc::SIGUSR2 {
            late.drain(..).for_each(|signal| catch(signal, pipe));
        }
    }
}

/// What is in a file; the names in a directory.
fn content(config: &Path) -> io::Result<String> {
    if !config.is_dir() {
        return fs::read_to_string(config);
    }
    let names = fs::read_dir(config)?.map(|entry| Ok(entry?.file_name().display().to_string()));
    let mut names = names.collect::<io::Result<Vec<_>>>()?;
    names.sort();
    Ok(names.join(" "))
}

/// Catches all of these. One that comes between the kernel's knowing of the handler and the handler's knowing what to do would be
/// nobody's, so they are held up until all is set.
fn catch_all(signals: &[i32], pipe: i32) {
    let block = |how| {
        // SAFETY: a set on the stack, made empty before it is used; the mask is this thread's own.
        unsafe {
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&raw mut set);
            for signal in signals {
                libc::sigaddset(&raw mut set, *signal);
            }
            libc::pthread_sigmask(how, &raw const set, std::ptr::null_mut());
        }
    };
    block(libc::SIG_BLOCK);
    for signal in signals {
        catch(*signal, pipe);
    }
    block(libc::SIG_UNBLOCK);
}

/// Writes signal and time to `pipe` whenever the signal comes.
fn catch(signal: i32, pipe: i32) {
    let tell = move || {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let mut message = [0; 12];
        // SAFETY: clock_gettime and write are async-signal-safe, and both get buffers of the size they are told.
        unsafe {
            libc::clock_gettime(libc::CLOCK_BOOTTIME, &raw mut time);
            message[..4].copy_from_slice(&signal.to_le_bytes());
            message[4..]
                .copy_from_slice(&(time.tv_sec * 1_000_000_000 + time.tv_nsec).to_le_bytes());
            libc::write(pipe, message.as_ptr().cast(), message.len());
        }
    };
    // SAFETY: the handler keeps to async-signal-safe calls.
    unsafe { register(signal, tell).unwrap() };
}
