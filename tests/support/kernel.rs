//! Prepared kernels: signals that are not ignored, system calls that fail or are delayed, and mounts and process ids of a test's
//! own.
#![allow(unsafe_code)]

use super::DEADLINE;
use super::process::{Talker, children, eventually, spawn};
use super::runner;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, prlimit};
use rustix::thread::{
    CpuSet, ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, sched_getaffinity,
    sched_setaffinity, unshare_unsafe,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{PipeReader, PipeWriter};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Runs before `main`: signals may be ignored, as under nohup(1), and started processes would inherit that.
#[used]
#[unsafe(link_section = ".init_array")]
static SIGNALS_AS_IN_A_CONTAINER: extern "C" fn() = {
    extern "C" fn reset() {
        for signal in 1..=64 {
            // SAFETY: a constant disposition; refused where there is no choice.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    }
    reset
};

/// Runs `test` in a mount namespace of its own, which its child processes share: what it mounts is gone with the last of them.
/// Takes root.
pub fn with_own_mounts(test: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the thread ends with the test, and no other relies on what is taken from it.
            unsafe { unshare_unsafe(UnshareFlags::NEWNS) }.unwrap();
            let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
            mount_change("/", private).unwrap();
            test();
        });
        if let Err(panic) = thread.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Runs `action` where another process is: with its mounts, its network and, for whatever `action` starts, its processes. It may
/// start processes, but no threads. Takes root.
pub fn inside<T: Send>(process: Pid, action: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // SAFETY: the thread ends with the action, and no other relies on what is taken from it.
            unsafe { unshare_unsafe(UnshareFlags::FS) }.unwrap();
            let process = pidfd_open(process, PidfdFlags::empty()).unwrap();
            let namespaces = ThreadNameSpaceType::MOUNT
                | ThreadNameSpaceType::NETWORK
                | ThreadNameSpaceType::PROCESS_ID;
            move_into_thread_name_spaces(process.as_fd(), namespaces).unwrap();
            action()
        });
        thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// A PID namespace with a `/proc` of its own, in which a test says what id the next process gets. All its processes end with it.
/// Takes root.
pub struct PidNamespace {
    init: Pid,
    _unshare: Talker,
    /// The standard input of all of them, and what ends it.
    input: PipeReader,
    _end: PipeWriter,
}

impl PidNamespace {
    pub fn new() -> Self {
        let (input, end) = std::io::pipe().unwrap();
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
        command.args(["sh", "-c", "echo ready; exec cat"]);
        command
            .stdin(input.try_clone().unwrap())
            .stdout(Stdio::piped());
        let mut child = spawn(&mut command);
        let output = child.stdout.take().unwrap();
        let mut unshare = Talker::new(child, output);
        unshare.expect("ready");
        Self {
            init: children(unshare.pid())[0],
            _unshare: unshare,
            input,
            _end: end,
        }
    }

    /// Starts a process in it. That is done by a thread which ends, so that a target has to stay.
    pub fn spawn(&self, command: &mut Command) -> Child {
        command.stdin(self.input.try_clone().unwrap());
        inside(self.init, || spawn(command))
    }

    /// The same with an id of the test's choice, which must be free.
    pub fn spawn_as(&self, id: u32, command: &mut Command) -> Child {
        let last = format!("echo {} > /proc/sys/kernel/ns_last_pid", id - 1);
        let mut shell = Command::new("sh");
        let status = inside(self.init, || shell.args(["-c", &last]).status());
        assert!(status.unwrap().success());
        let child = self.spawn(command);
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        assert!(
            status.contains(&format!("\nNSpid:\t{}\t{id}\n", child.id())),
            "{status}"
        );
        child
    }
}

/// A point in a system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum At {
    Entry,
    Exit,
}

/// Returns true if the program makes its own system calls and is not traced already.
pub fn can_hold_up() -> bool {
    let it_can = runner().is_none();
    if !it_can {
        eprintln!("takes a program whose calls are its own, and that nobody else traces");
    }
    it_can
}

/// Calls `cause` and holds a child process up while `action` runs: when it has come by each of these system calls, in this order,
/// and is at the last; ptrace(2).
pub fn hold_up(process: Pid, way: &[(i64, At)], cause: impl FnOnce(), action: impl FnOnce()) {
    let pid = process.as_raw_nonzero().get();
    let trace = |request, data: usize| {
        // SAFETY: none of these requests makes the kernel write to this process.
        let done = unsafe { libc::ptrace(request, pid, 0, data) };
        assert_eq!(done, 0, "{request}: {}", std::io::Error::last_os_error());
    };
    let stopped = || {
        let mut status = 0;
        eventually("stopped", || {
            // SAFETY: the kernel writes a number to the stack.
            unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) == pid }
        });
        assert!(libc::WIFSTOPPED(status), "it has ended: {status:#x}");
    };
    trace(libc::PTRACE_SEIZE, libc::PTRACE_O_TRACESYSGOOD as usize);
    trace(libc::PTRACE_INTERRUPT, 0);
    stopped();
    cause();
    let mut way = way.iter();
    let mut next = way.next();
    let mut number = 0;
    while let Some(&(call, at)) = next {
        trace(libc::PTRACE_SYSCALL, 0);
        stopped();
        // SAFETY: numbers, of which any will do.
        let mut info: libc::ptrace_syscall_info = unsafe { std::mem::zeroed() };
        let size = size_of_val(&info);
        // SAFETY: the kernel writes no more than `size`.
        let written =
            unsafe { libc::ptrace(libc::PTRACE_GET_SYSCALL_INFO, pid, size, &raw mut info) };
        assert!(written > 0, "{}", std::io::Error::last_os_error());
        if info.op == libc::PTRACE_SYSCALL_INFO_ENTRY {
            // SAFETY: this is the field that goes with an entry.
            number = unsafe { info.u.entry.nr };
        }
        let now = match info.op {
            libc::PTRACE_SYSCALL_INFO_ENTRY => At::Entry,
            libc::PTRACE_SYSCALL_INFO_EXIT => At::Exit,
            _ => continue,
        };
        if (number, now) == (call as u64, at) {
            next = way.next();
        }
    }
    action();
    trace(libc::PTRACE_DETACH, 0);
}

/// Makes a system call of the program fail with `errno`; where `argument` is given, only if its first argument is that.
pub fn refuse(command: &mut Command, call: i64, argument: Option<u64>, errno: i32) {
    let rules = argument.map(|value| {
        let is_it = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value);
        SeccompRule::new(vec![is_it.unwrap()]).unwrap()
    });
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, rules.into_iter().collect())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        std::env::consts::ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    let apply = move || apply_filter(&program).map_err(|_| std::io::Error::last_os_error());
    // SAFETY: two system calls in the child, nothing else.
    unsafe { command.pre_exec(apply) };
}

/// Keeps a process ready to run, and without a processor, until what is given back is dropped; it must not be for as long as a
/// second, because the kernel gives others a share then. `None` where there is no second processor for the test, or no real-time
/// priority. Takes root.
pub fn keep_from_running(process: Pid) -> Option<Talker> {
    let all = sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rfind(|processor| all.is_set(*processor))?;
    let mut others = all;
    others.unset(last);
    if others.count() == 0 {
        return None;
    }
    let mut one = CpuSet::new();
    one.set(last);
    // This thread, and what it starts from now on.
    sched_setaffinity(None, &others).unwrap();
    sched_setaffinity(Some(process), &one).unwrap();
    let mut hog = Command::new("taskset");
    hog.args(["--cpu-list", &last.to_string(), "chrt", "--fifo", "1"]);
    hog.args(["sh", "-c", "echo runs; while :; do :; done"]);
    let mut hog = spawn(hog.stdout(Stdio::piped()));
    let output = hog.stdout.take().unwrap();
    let mut hog = Talker::new(hog, output);
    let runs = hog.next(Instant::now() + DEADLINE);
    runs.is_ok().then_some(hog)
}

/// The limit that leaves a process so many descriptors beside those that it holds while it sleeps.
pub fn descriptors_to_leave(process: Pid, count: usize) -> u64 {
    let listed = || {
        let held = fs::read_dir(format!("/proc/{}/fd", process.as_raw_nonzero())).unwrap();
        let number = |entry: fs::DirEntry| entry.file_name().to_str().unwrap().parse().unwrap();
        held.map(|entry| number(entry.unwrap()))
            .collect::<BTreeSet<u64>>()
    };
    let mut held = BTreeSet::new();
    eventually("twice the same descriptors", || {
        let before = std::mem::replace(&mut held, listed());
        before == held
    });
    let mut free = (0..).filter(|number| !held.contains(number));
    free.nth(count).unwrap()
}

/// Sets how many descriptors a process may have open.
pub fn limit_descriptors(process: Pid, count: Option<u64>) {
    let limit = Rlimit {
        current: count,
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    prlimit(Some(process), Resource::Nofile, limit).unwrap();
}
