//! A kernel that refuses: system calls that fail, mounts of a test's own.
#![allow(unsafe_code)]

use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, prlimit};
use rustix::thread::{
    ThreadNameSpaceType, UnshareFlags, move_into_thread_name_spaces, unshare_unsafe,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

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

/// Sets how many descriptors a process may have open.
pub fn limit_descriptors(process: Pid, count: Option<u64>) {
    let limit = Rlimit {
        current: count,
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    prlimit(Some(process), Resource::Nofile, limit).unwrap();
}
