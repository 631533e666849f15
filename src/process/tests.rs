//! Matching and selection in made-up `/proc` trees, and this machine's own `/proc`.

use super::fixture::{NGINX, OWN, Sample, Tree, cmdline, names, open, stat_line};
use super::stat::KERNEL_THREAD;
use super::threads::Awaited;
use super::*;
use crate::base::comm::Comm;
use crate::base::signal::Signal;
use crate::base::sys;
use crate::base::time::Millis;
use crate::config::MAX_CMDLINE;
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, getpid, getppid};
use std::format;
use std::fs;
use std::iter::repeat_n;
use std::os::unix::ffi::OsStrExt;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

const NONE: [i32; 0] = [];

// Selection.

#[test]
fn p2_the_topmost_match_of_every_process_tree_is_main() {
    let worker = Sample {
        parent: 10,
        cmdline: b"nginx: worker process\0",
        ..NGINX
    };
    let shell = Sample {
        comm: b"sh",
        cmdline: b"sh\0-c\0nginx\0",
        ..NGINX
    };
    let of = |pid, parent, sample: Sample<'static>| Sample {
        pid,
        parent,
        ..sample
    };
    let tree = Tree::of(&[
        of(10, 0, NGINX),
        of(11, 10, worker),
        of(12, 10, worker),
        // Below a process that does not match, and one generation further.
        of(13, 12, shell),
        of(14, 13, worker),
        of(15, 14, worker),
        // Another tree, whose root has the larger id.
        of(20, 30, NGINX),
        of(21, 20, worker),
        of(30, 0, shell),
        // A container of its own.
        of(40, 0, NGINX),
    ]);
    assert_eq!(tree.main(&names("nginx")), [10, 20, 40]);
    assert_eq!(tree.all(&names("nginx")), [10, 11, 12, 14, 15, 20, 21, 40]);
    assert_eq!(tree.main(&names("sh")), [13, 30]);
    assert_eq!(tree.main(&names("none, sh ,nginx")), [10, 30, 40]);
    let scanned = Scanned {
        others: 10,
        selected: 3,
        no_pid_file: false,
        stranger: None,
    };
    assert_eq!(tree.select(&names("nginx"), Select::Main).1, scanned);
}

#[test]
fn p2_a_match_below_a_dead_match_is_main() {
    for (state, flags) in [("Z", 0), ("S", KERNEL_THREAD)] {
        let tree = Tree::of(&[
            Sample {
                state,
                flags,
                ..NGINX
            },
            Sample {
                pid: 11,
                parent: 10,
                ..NGINX
            },
        ]);
        assert_eq!(tree.main(&names("nginx")), [11]);
        let (selected, scanned) = tree.select(&names("nginx"), Select::All);
        assert_eq!((selected, scanned.others), (vec![11], 1));
    }
}

#[test]
fn p2_the_sidecar_and_its_copies_are_never_selected() {
    let tree = Tree::of(&[
        Sample {
            pid: 30,
            comm: b"reloader",
            cmdline: b"/reloader\0",
            ..NGINX
        },
        // As ancestors they do not count, either.
        Sample {
            pid: 31,
            parent: 30,
            ..NGINX
        },
        Sample {
            pid: 32,
            parent: OWN,
            ..NGINX
        },
    ]);
    assert_eq!(
        tree.all(&names("reloader")),
        [30],
        "an application of that name"
    );
    tree.run_same_file(&[OWN, 30]);
    assert_eq!(tree.all(&names("reloader")), NONE);
    assert_eq!(tree.all(&cmdline("/reloader")), NONE);
    assert_eq!(tree.main(&names("reloader,nginx")), [31, 32]);
    let scanned = Scanned {
        others: 2,
        selected: 0,
        no_pid_file: false,
        stranger: None,
    };
    assert_eq!(tree.select(&names("reloader"), Select::All).1, scanned);
}

#[test]
fn ancestors_in_a_circle_or_missing_end_the_search() {
    let of = |pid, parent, comm| Sample {
        pid,
        parent,
        comm,
        cmdline: b"\0",
        ..NGINX
    };
    let tree = Tree::of(&[
        of(50, 51, b"nginx"),
        of(51, 52, b"sh"),
        of(52, 51, b"sh"),
        of(60, 60, b"sh"),
        of(61, 60, b"nginx"),
        of(70, 9999, b"nginx"),
    ]);
    assert_eq!(tree.main(&names("nginx")), [50, 61, 70]);
}

#[test]
fn entries_that_are_no_process_or_have_vanished_are_skipped() {
    let tree = Tree::of(&[NGINX, Sample { pid: 11, ..NGINX }]);
    fs::remove_file(tree.path("11/stat")).unwrap();
    tree.write("12/stat", "");
    fs::create_dir(tree.path("13")).unwrap();
    tree.write("14", "");
    for name in ["self", "12x", "+10", "-1", "0", "99999999999"] {
        let stat = stat_line("42", b"nginx", "S", "7", "0", "1", "1");
        tree.write(&format!("{name}/stat"), stat);
        tree.write(&format!("{name}/cmdline"), "nginx\0");
    }
    assert_eq!(tree.all(&names("nginx")), [10]);
}

#[test]
fn p1_a_process_file_selects_its_process_whatever_the_ancestors() {
    let tree = Tree::of(&[
        NGINX,
        Sample {
            pid: 11,
            parent: 10,
            ..NGINX
        },
        Sample {
            pid: 12,
            state: "Z",
            ..NGINX
        },
    ]);
    let path = tree.path("app.pid");
    let path = path.as_os_str().as_bytes();
    let select = |content: &str, matcher: Matcher<'_>| {
        tree.write("app.pid", content);
        let pid_file = Some(path);
        let matcher = Matcher {
            pid_file,
            ..matcher
        };
        tree.main(&matcher)
    };
    assert_eq!(select("10\n", Matcher::default()), [10]);
    assert_eq!(select("11\n", Matcher::default()), [11]);
    assert_eq!(select("11\n", names("nginx")), [11]);
    assert_eq!(select("11\n", names("tini")), NONE);
    assert_eq!(select("11\n", cmdline("absent")), NONE);
    assert_eq!(select("12\n", Matcher::default()), NONE, "a zombie");
    assert_eq!(select("999\n", Matcher::default()), NONE, "no process");
    assert_eq!(select("1000\n", Matcher::default()), NONE, "the sidecar");
}

#[test]
fn a_process_file_without_an_id_is_reported() {
    let tree = Tree::of(&[NGINX]);
    let fifo = tree.path("fifo");
    let kind = rustix::fs::FileType::Fifo;
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, kind, mode, 0).unwrap();
    tree.write("text", "starting\n");
    for (path, no_pid_file) in [
        (tree.path("absent"), true),
        (tree.path("10"), true),
        (tree.path("text"), true),
        (fifo, true),
        (tree.path("gone"), false),
    ] {
        tree.write("gone", "999\n");
        let matcher = Matcher {
            pid_file: Some(path.as_os_str().as_bytes()),
            ..Matcher::default()
        };
        let scanned = Scanned {
            no_pid_file,
            ..Scanned::default()
        };
        let expected = (vec![], scanned);
        let path = path.display();
        assert_eq!(tree.select(&matcher, Select::Main), expected, "{path}");
    }
}

// Roles.

const SHELL: Sample = Sample {
    comm: b"sh",
    cmdline: b"sh\0-c\0app --x; :\0",
    parent: 0,
    ..NGINX
};

const APP: Sample = Sample {
    pid: 11,
    parent: 10,
    comm: b"app",
    cmdline: b"app\0--x\0",
    ..NGINX
};

#[test]
fn p10_the_program_is_meant_and_not_what_launched_it() {
    let worker = Sample {
        pid: 12,
        parent: 11,
        cmdline: b"app\0",
        ..APP
    };
    for launcher in [
        &b"sh\0-c\0app --x; :\0"[..],
        b"bash\0-c\0app --x | cat\0",
        b"env\0A=b\0app\0--x\0",
        b"/usr/bin/tini\0--\0app\0--x\0",
        b"/bin/sh\0/opt/launch\0'app'\0--x\0",
    ] {
        let cmdline_of_launcher = Sample {
            cmdline: launcher,
            ..SHELL
        };
        let tree = Tree::of(&[cmdline_of_launcher, APP, worker]);
        let expected = [(10, Role::Launcher), (11, Role::Main), (12, Role::Worker)];
        assert_eq!(tree.roles(&cmdline("app")), expected, "{launcher:?}");
    }
}

#[test]
fn p11_an_adopted_match_is_passed_over_for_one_that_is_not() {
    let adopted = Sample { pid: 12, ..NGINX };
    let parented = Sample { parent: 0, ..NGINX };
    let roles = |samples: &[Sample]| Tree::of(samples).roles(&names("nginx"));
    let expected = [(10, Role::Main), (12, Role::Adopted)];
    assert_eq!(roles(&[parented, adopted]), expected);
    assert_eq!(roles(&[adopted]), [(12, Role::Main)], "there is no other");
    let tree = Tree::of(&[parented, adopted]);
    assert_eq!(tree.all(&names("nginx")), [10, 12], "all are meant");
    // On the machine itself, process 1 starts what it is told to.
    tree.link("1000/ns/pid", "pid:[4026531836]");
    assert_eq!(tree.main(&names("nginx")), [10, 12]);
}

#[test]
fn p14_other_containers_and_other_pods_are_not_meant() {
    let tree = Tree::of(&[NGINX, Sample { pid: 11, ..NGINX }]);
    tree.write("1000/status", "NSpid:\t1000\n");
    tree.write("10/status", "NSpid:\t10\n");
    tree.write("11/status", "NSpid:\t11\t1\n");
    let mut matcher = names("nginx");
    let expected = [(10, Role::Main), (11, Role::OtherContainer)];
    assert_eq!(tree.roles(&matcher), expected);
    assert_eq!(tree.all(&matcher), [10], "all means all of the Pod");
    matcher.scope = Scope::Node;
    assert_eq!(tree.main(&matcher), [10, 11]);

    // With hostPID there is one namespace for all. The sidecar is in /, as it sees itself in a control group namespace.
    matcher.scope = Scope::Pod;
    tree.write("11/status", "NSpid:\t11\n");
    let other =
        "0::/../../kubepods-pod0f8b6f21_7d4c_4c53_9c3e_1c2d3e4f5a6b.slice/crio-8d1f.scope\n";
    tree.write("11/cgroup", other);
    assert_eq!(tree.main(&matcher), [10, 11], "in a namespace of its own");
    tree.link("1000/ns/pid", "pid:[4026531836]");
    let expected = [(10, Role::Main), (11, Role::OtherPod)];
    assert_eq!(tree.roles(&matcher), expected);
    tree.write("1000/cgroup", other);
    assert_eq!(tree.main(&matcher), [10, 11], "the same Pod");
}

// Matching.

#[test]
fn p1_a_process_must_meet_every_setting() {
    let java = Sample {
        comm: b"java",
        cmdline: b"/bin/java\0-Xmx1g\0org.logstash.Logstash\0",
        ..NGINX
    };
    let tree = Tree::of(&[
        java,
        Sample {
            pid: 11,
            cmdline: b"/bin/java\0-jar\0other.jar\0",
            ..java
        },
        Sample {
            pid: 12,
            comm: b"tail",
            cmdline: b"tail\0org.logstash.Logstash\0",
            ..java
        },
    ]);
    let both = |text| Matcher {
        cmdline: Some(text),
        ..names("java,other")
    };
    assert_eq!(tree.all(&names("java")), [10, 11]);
    assert_eq!(tree.all(&cmdline("org.logstash.Logstash")), [10, 12]);
    assert_eq!(tree.all(&cmdline("-Xmx1g org.logstash.Logstash")), [10]);
    assert_eq!(tree.all(&both(b"org.logstash.Logstash")), [10]);
    assert_eq!(tree.all(&both(b"absent")), NONE);
}

#[test]
fn p1_a_process_without_a_command_line_has_only_its_comm() {
    let tree = Tree::of(&[
        Sample {
            cmdline: b"",
            ..NGINX
        },
        Sample { pid: 11, ..NGINX },
    ]);
    fs::remove_file(tree.path("11/cmdline")).unwrap();
    assert_eq!(tree.all(&names("nginx")), [10, 11]);
    assert_eq!(tree.all(&cmdline("nginx")), NONE);
    assert_eq!(tree.all(&names("a-name-longer-than-comm")), NONE);
}

/// Checks that `text` is found at `offset` in a command line of `length` bytes, and not once its last byte has changed.
fn assert_found(tree: &Tree, text: &[u8], offset: usize, length: usize) {
    let matcher = Matcher {
        cmdline: Some(text),
        ..Matcher::default()
    };
    let process = tree.read(10);
    for (last, expected) in [(b'b', true), (b'a', false)] {
        let mut line = vec![b'a'; length];
        line[offset..offset + text.len()].copy_from_slice(text);
        line[offset + text.len() - 1] = last;
        for byte in &mut line {
            // A blank in the text also matches the end of an argument.
            *byte = if *byte == b' ' { 0 } else { *byte };
        }
        tree.write("10/cmdline", line);
        let found = tree.proc().matches(&process, &matcher);
        let size = text.len();
        assert_eq!(found, expected, "{size} bytes at {offset} of {length}");
    }
}

#[test]
fn p1_text_is_found_wherever_the_parts_of_a_long_command_line_end() {
    let tree = Tree::of(&[NGINX]);
    let of = |byte, length| -> Vec<u8> { repeat_n(byte, length - 1).chain(*b"b").collect() };
    let longest = of(b'c', MAX_CMDLINE);
    // The first read fills the buffer; each further one keeps the last half of it.
    for end in [2, 3, 4, 5].map(|parts| parts * MAX_CMDLINE) {
        for text in [b"b", &b"aaa aab"[..], &of(b'a', 20)] {
            for offset in end - text.len() - 1..=end + 1 {
                assert_found(&tree, text, offset, 8_000);
            }
        }
        for before_end in [0, 1, 512, MAX_CMDLINE - 1, MAX_CMDLINE, MAX_CMDLINE + 1] {
            assert_found(&tree, &longest, end - before_end, 8_000);
        }
        for length in end - 1..=end + 1 {
            assert_found(&tree, b"aab", length - 3, length);
            assert_found(&tree, &longest, length - longest.len(), length);
        }
    }
}

#[test]
fn p1_a_truncated_argument_is_no_name() {
    for length in (2 * MAX_CMDLINE - 8..2 * MAX_CMDLINE + 8).chain([5000]) {
        let line = [&b"/".repeat(length), &b"nginx-exporter\0"[..]].concat();
        let tree = Tree::of(&[Sample {
            comm: b"x",
            cmdline: &line,
            ..NGINX
        }]);
        assert_eq!(tree.all(&names("nginx")), NONE, "{length}");
        assert_eq!(tree.all(&cmdline("/nginx")), [10], "{length}");
    }
}

// Status.

const STATUS: &str = "Name:\tSigCgt:\tff\nUmask:\t0022\nState:\tS (sleeping)\nPid:\t10\nUid:\t1000\t1001\t1002\t1003\n\
    Gid:\t5\t6\t7\t8\nGroups:\t{groups}\nVmRSS:\t     100 kB\nSigQ:\t0/31210\nSigPnd:\t00000000000000ff\nShdPnd:\t00000000000000ff\n\
    SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\nSigCgt:\t8000000180014a03\nCapInh:\t0000000000000000\n";

#[test]
fn a_status_is_read_whatever_the_length_of_the_list_of_groups() {
    let tree = Tree::of(&[NGINX]);
    let expected = Status {
        comm: Comm::new(b"SigCgt:\tff"),
        is_dead: false,
        uid: 1001,
        shows_signals: true,
        namespaces: 0,
        blocked: 0x10000,
        ignored: 0x1000,
        caught: 0x8000_0001_8001_4a03,
    };
    // Around the end of the first read and of the second, and far beyond.
    for length in (0..4)
        .chain(1_700..2_100)
        .chain(3_700..4_100)
        .chain([700_000])
    {
        let groups: String = "4294967294 ".chars().cycle().take(length).collect();
        tree.write("10/status", STATUS.replace("{groups}", &groups));
        assert_eq!(tree.status(10), expected, "{length} bytes of groups");
    }
    tree.write("10/status", STATUS.replace("S (sleeping)", "Z (zombie)"));
    assert!(tree.status(10).is_dead);
}

#[test]
fn missing_and_malformed_status_lines_count_as_nothing_set() {
    let tree = Tree::of(&[NGINX]);
    for content in [
        "",
        "\n\n",
        ":\n",
        "no colon\n",
        "Name:\n",
        "State:\n",
        "SigCgt:\n",
        "SigCgt:\tx\n",
        "Uid:\t5\n",
        "SigCgt:\t1ffffffffffffffff\n",
        "SigCgt:\t1",
    ] {
        tree.write("10/status", content);
        assert_eq!(tree.status(10), Status::default(), "{content:?}");
    }
}

#[test]
fn p4_a_signal_that_every_thread_blocks_or_waits_for_is_awaited() {
    let tree = Tree::of(&[NGINX]);
    let add_thread = |tid: &str, blocked: u64, sleeps_in: &str| {
        let status = format!("Name:\tx\nSigBlk:\t{blocked:016x}\n");
        tree.write(&format!("10/task/{tid}/status"), status);
        tree.write(&format!("10/task/{tid}/wchan"), sleeps_in);
    };
    let awaits = |signal: &[u8]| {
        let signal = Signal::parse(signal).unwrap();
        tree.proc().awaits(Pid::from_raw(10).unwrap(), signal)
    };
    // More than one buffer of directory entries, one that is no thread, and a thread that has ended.
    for tid in 10..150 {
        add_thread(&tid.to_string(), Signal::HUP.mask(), "do_epoll_wait");
    }
    add_thread("x", 0, "do_epoll_wait");
    fs::create_dir(tree.path("10/task/201")).unwrap();
    assert_eq!(awaits(b"HUP"), Awaited::Yes);
    assert_eq!(awaits(b"INT"), Awaited::No);
    for (sleeps_in, expected) in [
        ("do_sigtimedwait", Awaited::Yes),
        ("sys_rt_sigtimedwait", Awaited::Yes),
        ("do_sigtimedwait.isra.0", Awaited::Yes),
        // It may not be seen, and the others leave the signal to it.
        ("0", Awaited::Yes),
        ("do_epoll_wait", Awaited::No),
    ] {
        add_thread("200", 0, sleeps_in);
        assert_eq!(awaits(b"HUP"), expected, "{sleeps_in}");
    }
    add_thread("200", 0, "0");
    add_thread("202", 0, "0");
    assert_eq!(awaits(b"HUP"), Awaited::Unseen);
}

// The sidecar itself.

#[test]
fn a_proc_without_the_sidecar_is_refused() {
    let tree = Tree::of(&[]);
    assert_eq!(open(&tree.path("."), 999).unwrap_err(), Errno::NOENT);
}

#[test]
fn the_wait_for_a_processor_is_the_second_number_of_schedstat() {
    let waited = |schedstat: Option<&str>| {
        let tree = Tree::of(&[]);
        if let Some(schedstat) = schedstat {
            tree.write("1000/schedstat", schedstat);
        }
        let proc = tree.proc();
        assert_eq!(proc.waited_for_processor(), proc.waited_for_processor());
        proc.waited_for_processor()
    };
    assert_eq!(waited(Some("9122024 2425810 1167\n")), 2_425_810);
    for unknown in ["0 0 0\n", "", "9122024", "9122024 x 1167\n"] {
        assert_eq!(waited(Some(unknown)), 0, "{unknown:?}");
    }
    assert_eq!(waited(None), 0);
}

#[test]
fn the_proc_of_this_machine_is_understood() {
    let proc = Proc::own().unwrap();
    let own = proc.read(getpid()).unwrap();
    let comm = fs::read("/proc/self/comm").unwrap();
    assert_eq!(own.comm.as_bytes(), comm.trim_ascii_end());
    assert_eq!(own.parent, getppid());
    let now = sys::now();
    assert!(own.start < now && now.since(own.start) < Millis::from_secs(3600));
    assert_eq!(proc.status(getpid()).unwrap().uid, geteuid().as_raw());
    let mut is_seen = false;
    proc.each(&mut |process| {
        is_seen |= process.pid == getpid();
        Ok(())
    })
    .unwrap();
    assert!(!is_seen, "the sidecar is none of the others");
}
