//! The application of the tests and of the demo: it prints `ready`, then every signal with the configuration it sees at that
//! moment, as `SIGHUP <nanoseconds since boot> <content>`. Of a directory it prints the names in it.
//!
//! With `--tree 1`, CONFIG is a list like `CONFIG_DIR`, everything below it is read, and a digest of that is printed, after `ready`
//! too.
//!
//! usage: target CONFIG [OPTION VALUE]...
//!
//! `--default N` leaves signal N alone, `--ignore N` ignores it, `--late N` catches it only after SIGUSR2 has come.
//! `--await N` waits for signal N alone, in sigwait(3), instead of catching it.
//! `--drop N` does nothing for the first N signals, `--die N` ends it at the Nth.
//! `--parent PID` is whose child it was started as.
//! `--children N` starts N processes of the same name. `--note TEXT` does nothing: it is there to be found.
//! `--comm NAME` is what it calls itself, `--title TEXT` what it puts in its arguments' place, `--thread NAME` a thread of it.
//! `--become NAME` is what it calls itself once SIGUSR2 has come.
//! `--rename NAME` is what it calls itself, in its arguments too, once any other signal has come.
//! `--leave 1` ends its first thread, and goes on in another one.
//! `--again 1` executes itself anew after each signal but SIGUSR2. `--daemon 1`, which comes first, starts another one and ends.
//! `--crowd N` forks N children that do nothing, `--storm N` forks N children one after the other that end at once.
//! Arguments that do not begin with two hyphens are ignored, such as a script's name if this program is its interpreter.
//!
//! It catches every other signal that can be caught but SIGTERM, SIGINT and SIGCHLD, and ends when it loses its parent: with
//! `--stay 1` when its standard input ends, as its children do then.

#![allow(unsafe_code)]

#[path = "../support/digest.rs"]
mod digest;

use signal_hook::low_level::{register, signal_name};
use std::ffi::CString;
use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The options.
#[derive(Default)]
struct Options {
    config: String,
    /// Signals that are not caught.
    left: Vec<i32>,
    late: Vec<i32>,
    awaited: Option<i32>,
    is_tree: bool,
    stays: bool,
    begins_again: bool,
    becomes: Option<String>,
    renamed: Option<String>,
    parent: Option<u32>,
    to_drop: u32,
    to_live: u32,
    children: u32,
    crowd: u32,
    storm: u32,
    threads: Vec<String>,
    leaves: bool,
}

impl Options {
    fn parse(config: String, mut arguments: impl Iterator<Item = String>) -> Self {
        let mut options = Self {
            config,
            left: vec![libc::SIGTERM, libc::SIGINT, libc::SIGCHLD],
            to_live: u32::MAX,
            ..Self::default()
        };
        while let Some(option) = arguments.next() {
            if !option.starts_with("--") {
                continue;
            }
            let value = arguments.next().expect("a value");
            let number = || value.parse::<u32>().expect("a number");
            match option.as_str() {
                "--default" => options.left.push(number() as i32),
                "--await" => {
                    options.left.push(number() as i32);
                    options.awaited = Some(number() as i32);
                }
                "--late" => {
                    options.left.push(number() as i32);
                    options.late.push(number() as i32);
                }
                "--ignore" => {
                    options.left.push(number() as i32);
                    // SAFETY: a constant disposition.
                    unsafe { libc::signal(number() as i32, libc::SIG_IGN) };
                }
                "--note" => {}
                "--tree" => options.is_tree = true,
                "--stay" => options.stays = true,
                "--again" => options.begins_again = true,
                "--parent" => options.parent = Some(number()),
                "--drop" => options.to_drop = number(),
                "--die" => options.to_live = number(),
                "--children" => options.children = number(),
                "--crowd" => options.crowd = number(),
                "--storm" => options.storm = number(),
                "--thread" => options.threads.push(value),
                "--leave" => options.leaves = true,
                "--title" => set_title(value.as_bytes()),
                "--comm" => set_name(value),
                "--become" => options.becomes = Some(value),
                "--rename" => options.renamed = Some(value),
                other => panic!("unknown option {other}"),
            }
        }
        options
    }

    /// Starts the processes that do not handle signals.
    fn start_others(&self) {
        fork_crowd(self.crowd);
        fork_storm(self.storm);
        if self.stays {
            std::thread::spawn(|| {
                let _ = io::stdin().read_to_end(&mut Vec::new());
                std::process::exit(0);
            });
        }
        for name in &self.threads {
            let sleep = || loop {
                std::thread::park();
            };
            let thread = std::thread::Builder::new().name(name.clone());
            thread.spawn(sleep).unwrap();
        }
    }

    fn read(&self) -> String {
        if self.is_tree {
            return format!("{:016x}", digest::digest(&self.config));
        }
        content(Path::new(&self.config)).unwrap_or_else(|error| error.to_string())
    }
}

/// This program with other arguments.
fn anew() -> Command {
    Command::new(std::env::current_exe().unwrap())
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    let config = arguments
        .next()
        .expect("usage: target CONFIG [OPTION VALUE]...");
    if arguments
        .next_if(|option| option.as_str() == "--daemon")
        .is_some()
    {
        let rest = arguments.skip(1);
        let daemon = anew().arg(&config).args(rest).spawn();
        // Nobody waits for it, which is what a daemon is.
        return std::mem::forget(daemon.unwrap());
    }
    let mut options = Options::parse(config, arguments);
    let mut children = Vec::new();
    for _ in 0..options.children {
        let mut child = anew();
        child.arg(&options.config);
        child.args(["--parent", &std::process::id().to_string()]);
        if options.stays {
            child.args(["--stay", "1"]);
        } else {
            child.stdin(Stdio::null());
        }
        children.push(child.spawn().unwrap());
    }
    if !options.stays {
        end_with(options.parent);
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
    let caught = |signal: &i32| !forbidden.contains(signal) && !options.left.contains(signal);
    catch_all(&(1..=64).filter(caught).collect::<Vec<_>>(), pipe);
    // They inherit the handlers, so that a signal to any of them is printed as well.
    options.start_others();
    if options.is_tree {
        println!("ready {}", options.read());
    } else {
        println!("ready");
    }
    if let Some(signal) = options.awaited {
        loop {
            wait_for(signal);
            let name = signal_name(signal).expect("a name");
            println!("{name} 0 {}", options.read().trim_end());
        }
    }
    let leaves = options.leaves;
    let mut rest = move || report(&mut options, &mut reader, pipe);
    if !leaves {
        return rest();
    }
    std::thread::spawn(move || {
        rest();
        std::process::exit(0);
    });
    // SAFETY: ends this thread alone, on whose stack nothing is that others use.
    unsafe { libc::syscall(libc::SYS_exit, 0) };
}

/// Prints each signal until it is time to end.
fn report(options: &mut Options, reader: &mut UnixStream, pipe: i32) {
    let mut message = [0; 12];
    while reader.read_exact(&mut message).is_ok() {
        let signal = i32::from_le_bytes(message[..4].try_into().unwrap());
        if signal == libc::SIGUSR2 {
            options.becomes.take().into_iter().for_each(set_name);
        } else if let Some(name) = options.renamed.take() {
            set_title(name.as_bytes());
            set_name(name);
        }
        options.to_live -= 1;
        if options.to_live == 0 {
            return;
        }
        if options.to_drop > 0 {
            options.to_drop -= 1;
            continue;
        }
        let time = i64::from_le_bytes(message[4..].try_into().unwrap());
        let name = signal_name(signal).map_or_else(|| format!("SIG{signal}"), str::to_owned);
        let content = options.read().trim_end().replace('\n', "|");
        println!("{name} {time} {content}");
        io::stdout().flush().unwrap();
        if signal == libc::SIGUSR2 {
            let late = options.late.drain(..);
            late.for_each(|signal| catch(signal, pipe));
        } else if options.begins_again {
            panic!("{}", anew().args(std::env::args().skip(1)).exec());
        }
    }
}

/// Waits for one signal, which is blocked meanwhile and ever after.
fn wait_for(signal: i32) {
    // SAFETY: a set on the stack, made empty before it is used; the mask is this thread's own.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal);
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        let mut taken = 0;
        assert_eq!(libc::sigwait(&raw const set, &raw mut taken), 0);
    }
}

/// Ends the process when the parent, which is this one, has ended.
fn end_with(parent: Option<u32>) {
    // SAFETY: asks the kernel for a signal on the parent's death; no memory is touched.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    // It may have died before that.
    if parent.is_some_and(|parent| parent != std::os::unix::process::parent_id()) {
        std::process::exit(0);
    }
}

/// Children that wait for their parent's end.
fn fork_crowd(count: u32) {
    for _ in 0..count {
        fork(|| {
            loop {
                // SAFETY: no memory is touched.
                unsafe { libc::pause() };
            }
        });
    }
}

/// A child that has children of its own, of which each ends at once.
fn fork_storm(count: u32) {
    if count > 0 {
        fork(|| {
            for _ in 0..count {
                let child = fork(|| {});
                // SAFETY: the status is not asked for.
                unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            }
        });
    }
}

/// A process that is a copy of this one and runs `action`.
fn fork(action: impl FnOnce()) -> i32 {
    let parent = std::process::id();
    // SAFETY: this is the only thread, so that the copy has whatever it was about.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "fork: {}", io::Error::last_os_error());
    if child == 0 {
        end_with(Some(parent));
        action();
        // SAFETY: ends the copy without what is done at the end of the original.
        unsafe { libc::_exit(0) };
    }
    child
}

fn set_name(name: String) {
    rustix::thread::set_name(&CString::new(name).unwrap()).unwrap();
}

/// Writes over the arguments, as setproctitle does: the kernel shows what stands there.
fn set_title(title: &[u8]) {
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    // `arg_start` and `arg_end`, the 48th and 49th field, of which the third is the first after the name; proc(5).
    let mut fields = stat.rsplit(')').next().unwrap().split_whitespace();
    let mut address = |skipped| fields.nth(skipped).unwrap().parse::<usize>().unwrap();
    let (start, end) = (address(48 - 3), address(0));
    assert!(title.len() < end - start, "no room for the title");
    // SAFETY: the kernel has put the arguments there for this process to use. Rust has copies of those that were asked for, and
    // no string is read beyond the NUL that is left at the end.
    unsafe {
        let arguments = std::slice::from_raw_parts_mut(start as *mut u8, end - start);
        arguments.fill(0);
        arguments[..title.len()].copy_from_slice(title);
    }
}

/// Returns the content of a file, or the names in a directory.
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
/// unset, so they are blocked until everything is set.
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
