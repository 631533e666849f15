//! The parsers with what a hostile or unlucky process can make of its files; selection over `/proc` trees made up for it.

use super::parse::{COMM_MAX, KERNEL_THREAD, argument_name};
use super::*;
use crate::base::time::{Instant, Millis};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use tempfile::TempDir;

// The stat file.

/// What is told of process 42.
fn parsed(stat: &[u8]) -> Option<Process> {
    parse_stat(Pid::from_raw(42).unwrap(), stat)
}

/// A line as the kernel writes it, fields up to the 24th.
fn stat_line(
    pid: &str,
    comm: &[u8],
    state: &str,
    parent: &str,
    flags: &str,
    start: &str,
) -> Vec<u8> {
    let after = format!(
        ") {state} {parent} 1 1 0 -1 {flags} 9 9 9 9 7 7 7 7 20 0 1 0 {start} 3133440 418\n"
    );
    [format!("{pid} (").as_bytes(), comm, after.as_bytes()].concat()
}

fn named(comm: &[u8]) -> Vec<u8> {
    stat_line("42", comm, "S", "7", "4194304", "5678")
}

#[test]
fn a_stat_line_of_the_kernel_is_read() {
    let line = b"6483 (cat) R 6479 6479 11417 0 -1 4194304 101 0 0 0 0 0 0 0 20 0 1 0 574752 3133440 418 18446744073709551615 \
        94727769260032 94727769279913 140735936138416 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0 94727769295920 94727769297536 \
        94727991242752 140735936146138 140735936146158 140735936146158 140735936146435 0\n";
    let process = parsed(line).unwrap();
    assert_eq!(process.parent.unwrap().as_raw_nonzero().get(), 6479);
    assert_eq!(process.comm.as_bytes(), b"cat");
    assert_eq!(process.start, Instant::from_nanoseconds(5_747_520_000_000));
    assert!(process.is_alive);
}

#[test]
fn a_name_of_any_bytes_is_read_whole_and_moves_no_field() {
    let hostile: [&[u8]; 12] = [
        b"",
        b" ",
        b"a b",
        b")",
        b"(",
        b"()",
        b") S 1 (",
        b"a) R 1 1 1 1",
        b"line\nfeed",
        b"\xff\xfe\x80",
        b"\t\x1b[31m",
        b"123456789012345",
    ];
    for comm in hostile {
        let process = parsed(&named(comm)).unwrap_or_else(|| panic!("{comm:?}"));
        assert_eq!(process.comm.as_bytes(), comm, "{comm:?}");
        assert_eq!(
            process.parent.unwrap().as_raw_nonzero().get(),
            7,
            "{comm:?}"
        );
        assert_eq!(
            process.start,
            Instant::from_nanoseconds(56_780_000_000),
            "{comm:?}"
        );
        assert!(process.is_alive, "{comm:?}");
    }
}

#[test]
fn the_long_name_of_a_kernels_worker_is_cut() {
    let process = parsed(&named(&[b'k'; 64])).unwrap();
    assert_eq!(process.comm.as_bytes(), [b'k'; COMM_MAX]);
}

#[test]
fn a_stat_line_that_was_cut_is_no_process() {
    let line = named(b"x) S (y");
    let before_start = line
        .windows(4)
        .position(|digits| digits == b"5678")
        .unwrap();
    for length in 0..before_start {
        assert_eq!(
            parsed(&line[..length]),
            None,
            "{:?}",
            String::from_utf8_lossy(&line[..length])
        );
    }
}

#[test]
fn numbers_that_are_none_or_do_not_fit_are_no_process() {
    for (flags, start) in [
        ("-1", "1"),
        ("18446744073709551616", "1"),
        ("1", "-1"),
        ("1", "18446744073709551616"),
        // It does not fit once it is in nanoseconds.
        ("1", "1844674407371"),
    ] {
        let line = stat_line("42", b"x", "S", "1", flags, start);
        assert_eq!(parsed(&line), None, "{flags} {start}");
    }
    assert_eq!(parsed(b""), None);
    assert_eq!(parsed(b")("), None);
    assert_eq!(parsed(b"1 (x"), None);
    assert_eq!(parsed(b"1 x) S"), None);
}

#[test]
fn a_parent_outside_the_namespace_is_none() {
    for parent in ["0", "-1", "2147483648"] {
        let process = parsed(&stat_line("1", b"x", "S", parent, "0", "1")).unwrap();
        assert_eq!(process.parent, None, "{parent}");
    }
}

#[test]
fn zombies_dead_processes_and_kernel_threads_are_not_alive() {
    for (state, flags, alive) in [
        ("S", "0", true),
        ("R", "4194560", true),
        ("D", "0", true),
        ("T", "0", true),
        ("t", "0", true),
        ("I", "0", true),
        ("Z", "0", false),
        ("X", "0", false),
        ("x", "0", false),
        ("S", "2097152", false),
        ("I", "69238880", false),
    ] {
        let process = parsed(&stat_line("2", b"kthreadd", state, "0", flags, "1")).unwrap();
        assert_eq!(process.is_alive, alive, "{state} {flags}");
    }
}

// Names.

#[test]
fn the_name_in_an_argument_is_its_last_path_component_before_a_title() {
    for (argument, name) in [
        ("nginx", "nginx"),
        ("/usr/sbin/nginx", "nginx"),
        ("./run", "run"),
        ("/opt/with space/app", "app"),
        (
            "nginx: master process /usr/sbin/nginx -g daemon off;",
            "nginx",
        ),
        ("nginx: worker process", "nginx"),
        (
            "sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups",
            "sshd",
        ),
        ("sshd: user@pts/0", "sshd"),
        ("gunicorn: master [app:app]", "gunicorn"),
        ("postgres: checkpointer ", "postgres"),
        ("postgres: app db 10.0.0.1(1234) idle", "postgres"),
        ("/usr/lib/postgresql/15/bin/postgres: x", "postgres"),
        (
            "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)",
            "php-fpm",
        ),
        ("app:", "app"),
        ("a:b", "a:b"),
        ("-bash", "-bash"),
        ("/", ""),
        (":", ""),
        (": ", ""),
        ("", ""),
    ] {
        assert_eq!(
            argument_name(argument.as_bytes()),
            name.as_bytes(),
            "{argument}"
        );
    }
}

#[test]
fn a_process_goes_by_its_comm_and_by_its_first_argument_as_a_whole() {
    for (name, comm, argument, goes) in [
        (
            "nginx",
            "nginx",
            "nginx: master process /usr/sbin/nginx",
            true,
        ),
        ("gunicorn", "python3", "gunicorn: master [app]", true),
        ("gunicorn", "gunicorn", "/usr/bin/python3", true),
        ("gunicorn", "python3", "/usr/bin/python3", false),
        ("postgres", "postgres", "postgres: checkpointer ", true),
        ("sshd", "sshd", "sshd: /usr/sbin/sshd -D [listener]", true),
        ("java", "java", "/opt/java/bin/java", true),
        // Never a part of it.
        ("ngin", "nginx", "nginx", false),
        (
            "nginx",
            "nginx-prometheu",
            "/nginx-prometheus-exporter",
            false,
        ),
        ("master", "nginx", "nginx: master process", false),
        ("sbin", "nginx", "/usr/sbin/nginx", false),
        ("nginx", "tail", "/var/log/nginx/access.log", false),
        ("NGINX", "nginx", "nginx", false),
        // Longer than the kernel keeps.
        (
            "prometheus-blackbox-exporter",
            "prometheus-blac",
            "/bin/prometheus-blackbox-exporter",
            true,
        ),
        (
            "prometheus-blackbox-exporter",
            "prometheus-blac",
            "/bin/prometheus-blackhole",
            false,
        ),
        (
            "prometheus-blackbox-exporter",
            "python3",
            "/bin/prometheus-blackbox-exporter",
            false,
        ),
        ("prometheus-blackbox-exporter", "prometheus-blac", "", false),
        (
            "prometheus-blac",
            "prometheus-blac",
            "/bin/prometheus-blackbox-exporter",
            true,
        ),
        // A script that was run directly.
        (
            "reload-everything.sh",
            "reload-everythi",
            "/bin/sh\0-e\0/opt/reload-everything.sh\0x",
            true,
        ),
        (
            "reload-everything.sh",
            "reload-everythi",
            "/bin/sh\0-e\0-x\0/opt/reload-everything.sh",
            false,
        ),
        ("script.sh", "sh", "/bin/sh\0/opt/script.sh", false),
        ("123456789012345", "123456789012345", "", true),
        (
            "1234567890123456",
            "123456789012345",
            "1234567890123456",
            true,
        ),
    ] {
        assert_eq!(
            goes_by(name.as_bytes(), comm.as_bytes(), argument.as_bytes()),
            goes,
            "{name} for {comm}, {argument}"
        );
    }
}

// The process file.

#[test]
fn the_first_line_of_a_process_file_is_the_id() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for (content, pid) in [
        ("42", Some(42)),
        ("42\n", Some(42)),
        ("  42 \r\n", Some(42)),
        ("42\n/var/lib/postgresql/data\n1700000000\n5432\n", Some(42)),
        ("0042\n", Some(42)),
        ("2147483647\n", Some(i32::MAX)),
        ("", None),
        ("\n42\n", None),
        ("0\n", None),
        ("-42\n", None),
        ("+42\n", None),
        ("42 43\n", None),
        ("0x2a\n", None),
        ("2147483648\n", None),
        ("99999999999999999999\n", None),
        ("nginx\n", None),
        ("42\0\n", None),
    ] {
        fs::write(file.path(), content).unwrap();
        let read = read_pid_file(file.path().as_os_str().as_bytes());
        assert_eq!(
            read.map(|pid| pid.as_raw_nonzero().get()),
            pid,
            "{content:?}"
        );
    }
}

// Trees.

/// A process as the fixture shows it.
#[derive(Clone, Copy)]
struct Sample<'s> {
    pid: i32,
    parent: i32,
    comm: &'s [u8],
    cmdline: &'s [u8],
    state: &'s str,
    flags: u64,
}

const NGINX: Sample = Sample {
    pid: 10,
    parent: 1,
    comm: b"nginx",
    cmdline: b"nginx\0",
    state: "S",
    flags: 0,
};

const OWN: i32 = 1000;

/// A `/proc` in which this program is process 1000 and its name is `reloader`.
struct Tree {
    directory: TempDir,
}

impl Tree {
    fn new() -> Self {
        let tree = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        tree.add(Sample {
            pid: OWN,
            parent: 0,
            comm: b"reloader",
            cmdline: b"/reloader\0",
            ..NGINX
        });
        tree
    }

    fn of(samples: &[Sample]) -> Self {
        let tree = Self::new();
        for sample in samples {
            tree.add(*sample);
        }
        tree
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.directory.path().join(name)
    }

    fn add(&self, sample: Sample) {
        let (pid, parent, flags) = (
            sample.pid.to_string(),
            sample.parent.to_string(),
            sample.flags.to_string(),
        );
        fs::create_dir(self.path(&pid)).unwrap();
        let stat = stat_line(&pid, sample.comm, sample.state, &parent, &flags, "100");
        fs::write(self.path(&pid).join("stat"), stat).unwrap();
        fs::write(self.path(&pid).join("cmdline"), sample.cmdline).unwrap();
    }

    fn proc(&self) -> Proc {
        open(self.directory.path(), OWN).unwrap()
    }

    fn select(&self, matcher: &Matcher, select: Select) -> (Vec<i32>, Scanned) {
        let mut selected = Vec::new();
        let scanned = self.proc().select(matcher, select, &mut |process| {
            selected.push(process.pid.as_raw_nonzero().get());
        });
        selected.sort_unstable();
        (selected, scanned.unwrap())
    }

    fn main(&self, matcher: &Matcher) -> Vec<i32> {
        self.select(matcher, Select::Main).0
    }

    fn all(&self, matcher: &Matcher) -> Vec<i32> {
        self.select(matcher, Select::All).0
    }
}

fn open(directory: &Path, own: i32) -> io::Result<Proc> {
    let directory = fs::File::open(directory).unwrap();
    Proc::new(directory.into(), Pid::from_raw(own).unwrap())
}

fn names(names: &str) -> Matcher<'_> {
    Matcher {
        names: Some(CommaList::new(names.as_bytes())),
        ..Matcher::default()
    }
}

fn cmdline(text: &str) -> Matcher<'_> {
    Matcher {
        cmdline: Some(text.as_bytes()),
        ..Matcher::default()
    }
}

#[test]
fn p2_of_every_tree_of_matches_the_uppermost_is_main() {
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
    let tree = Tree::of(&[
        Sample {
            pid: 1,
            parent: 0,
            comm: b"pause",
            cmdline: b"/pause\0",
            ..NGINX
        },
        NGINX,
        Sample { pid: 11, ..worker },
        Sample { pid: 12, ..worker },
        // Through one that does not match, and one generation more.
        Sample {
            pid: 13,
            parent: 12,
            ..shell
        },
        Sample {
            pid: 14,
            parent: 13,
            ..worker
        },
        Sample {
            pid: 15,
            parent: 14,
            ..worker
        },
        // Another tree, below a shell; its parent's id is larger.
        Sample {
            pid: 20,
            parent: 30,
            ..NGINX
        },
        Sample {
            pid: 21,
            parent: 20,
            ..worker
        },
        Sample {
            pid: 30,
            parent: 1,
            ..shell
        },
        // In a container of its own.
        Sample {
            pid: 40,
            parent: 0,
            ..NGINX
        },
    ]);
    assert_eq!(tree.main(&names("nginx")), [10, 20, 40]);
    assert_eq!(tree.all(&names("nginx")), [10, 11, 12, 14, 15, 20, 21, 40]);
    assert_eq!(
        tree.select(&names("nginx"), Select::Main).1,
        Scanned {
            others: 11,
            selected: 3,
            no_pid_file: false
        }
    );
    assert_eq!(tree.main(&names("sh")), [13, 30]);
    assert_eq!(tree.main(&names("none, sh ,nginx")), [10, 30, 40]);
}

#[test]
fn p2_a_match_whose_matching_ancestor_is_no_longer_alive_is_main() {
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
        assert_eq!(tree.all(&names("nginx")), [11]);
        assert_eq!(tree.select(&names("nginx"), Select::Main).1.others, 1);
    }
}

#[test]
fn p2_neither_this_program_nor_a_copy_of_it_is_selected() {
    let copy = Sample {
        comm: b"reloader",
        cmdline: b"/reloader\0",
        ..NGINX
    };
    let tree = Tree::of(&[
        Sample { pid: 30, ..copy },
        // They do not stand for their children, either.
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
    assert_eq!(tree.all(&names("reloader")), [0; 0]);
    assert_eq!(tree.all(&cmdline("/reloader")), [0; 0]);
    assert_eq!(tree.main(&cmdline("e")), [0; 0]);
    assert_eq!(tree.main(&names("reloader,nginx")), [31, 32]);
    assert_eq!(
        tree.select(&names("reloader"), Select::All).1,
        Scanned {
            others: 3,
            selected: 0,
            no_pid_file: false
        }
    );
}

#[test]
fn ancestors_that_go_in_circles_or_are_missing_end_the_search() {
    let sh = Sample {
        comm: b"sh",
        cmdline: b"sh\0",
        ..NGINX
    };
    let tree = Tree::of(&[
        Sample {
            pid: 50,
            parent: 51,
            ..NGINX
        },
        Sample {
            pid: 51,
            parent: 52,
            ..sh
        },
        Sample {
            pid: 52,
            parent: 51,
            ..sh
        },
        Sample {
            pid: 60,
            parent: 60,
            ..sh
        },
        Sample {
            pid: 61,
            parent: 60,
            ..NGINX
        },
        Sample {
            pid: 70,
            parent: 9999,
            ..NGINX
        },
    ]);
    assert_eq!(tree.main(&names("nginx")), [50, 61, 70]);
}

#[test]
fn what_has_vanished_or_is_no_process_is_passed_over() {
    let tree = Tree::of(&[
        NGINX,
        Sample { pid: 11, ..NGINX },
        Sample { pid: 12, ..NGINX },
    ]);
    // As it looks when a process ends between two looks at it.
    fs::remove_file(tree.path("11/stat")).unwrap();
    fs::write(tree.path("12/stat"), "").unwrap();
    fs::create_dir(tree.path("13")).unwrap();
    fs::write(tree.path("14"), "").unwrap();
    for name in ["self", "12x", "+10", "-1", "0", "99999999999"] {
        fs::create_dir(tree.path(name)).unwrap();
        fs::write(tree.path(name).join("stat"), named(b"nginx")).unwrap();
        fs::write(tree.path(name).join("cmdline"), "nginx\0").unwrap();
    }
    assert_eq!(tree.all(&names("nginx")), [10]);
    // By its name it is found without its command line, by that not any more.
    fs::remove_file(tree.path("10/cmdline")).unwrap();
    assert_eq!(tree.all(&names("nginx")), [10]);
    assert_eq!(tree.all(&cmdline("nginx")), [0; 0]);
    assert_eq!(tree.all(&names("a-name-longer-than-comm")), [0; 0]);
}

#[test]
fn p1_all_that_is_given_must_hold() {
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
    assert_eq!(tree.all(&names("java")), [10, 11]);
    assert_eq!(tree.all(&cmdline("org.logstash.Logstash")), [10, 12]);
    assert_eq!(
        tree.all(&cmdline("-Xmx1g org.logstash.Logstash")),
        [10],
        "arguments are joined by spaces"
    );
    let both = Matcher {
        cmdline: Some(b"org.logstash.Logstash"),
        ..names("java,other")
    };
    assert_eq!(tree.all(&both), [10]);
    let neither = Matcher {
        cmdline: Some(b"absent"),
        ..names("java")
    };
    assert_eq!(tree.all(&neither), [0; 0]);
}

#[test]
fn p1_a_long_name_is_found_in_the_tree() {
    let exporter = Sample {
        comm: b"prometheus-blac",
        cmdline: b"/bin/prometheus-blackbox-exporter\0--config.file=x\0",
        ..NGINX
    };
    let tree = Tree::of(&[
        exporter,
        Sample {
            pid: 11,
            cmdline: b"/bin/prometheus-blackhole\0",
            ..exporter
        },
    ]);
    assert_eq!(tree.all(&names("prometheus-blackbox-exporter")), [10]);
    assert_eq!(tree.all(&names("prometheus-blac")), [10, 11]);
}

#[test]
fn a_process_without_a_command_line_has_a_name_only() {
    let tree = Tree::of(&[Sample {
        cmdline: b"",
        ..NGINX
    }]);
    assert_eq!(tree.all(&names("nginx")), [10]);
    assert_eq!(tree.all(&cmdline("nginx")), [0; 0]);
}

/// Whether `text` is found in a command line of `length` bytes in which it stands at `offset`, and nowhere once it is spoilt.
fn found(tree: &Tree, text: &[u8], offset: usize, length: usize) {
    let mut line = vec![b'a'; length];
    line[offset..offset + text.len()].copy_from_slice(text);
    let matcher = Matcher {
        cmdline: Some(text),
        ..Matcher::default()
    };
    let proc = tree.proc();
    let process = proc.read(Pid::from_raw(10).unwrap()).unwrap();
    for (spoilt, expected) in [(false, true), (true, false)] {
        if spoilt {
            line[offset + text.len() - 1] = b'a';
        }
        // The arguments' ends count as spaces.
        let written: Vec<u8> = line
            .iter()
            .map(|byte| if *byte == b' ' { 0 } else { *byte })
            .collect();
        fs::write(tree.path("10/cmdline"), written).unwrap();
        assert_eq!(
            proc.matches(&process, &matcher),
            expected,
            "{} bytes at {offset} of {length}",
            text.len()
        );
    }
}

#[test]
fn a_text_is_found_wherever_the_pieces_end_in_which_the_command_line_is_read() {
    let tree = Tree::of(&[NGINX]);
    // Pieces end here: 4,096 bytes, and then as many less those that are kept.
    let ends = [4096, 4096 + 3072, 4096 + 2 * 3072];
    for text in [
        &b"b"[..],
        b"ab",
        b"aaa aab",
        &[b'a'; 99].iter().copied().chain(*b"b").collect::<Vec<_>>(),
    ] {
        for end in ends {
            for offset in end - text.len() - 1..=end + 1 {
                found(&tree, text, offset, 12_000);
            }
        }
    }
    let longest: Vec<u8> = std::iter::repeat_n(b'a', MAX_CMDLINE - 1)
        .chain(*b"b")
        .collect();
    for end in ends {
        for from_end in [0, 1, 2, 511, 1022, 1023, 1024, 1025] {
            found(&tree, &longest, end - from_end, 12_000);
        }
    }
    // At the very end, of lines that end at, before and after the end of a piece.
    for end in ends {
        for length in end - 2..=end + 2 {
            found(&tree, b"aab", length - 3, length);
            found(&tree, &longest, length - longest.len(), length);
        }
    }
}

#[test]
fn a_first_argument_longer_than_a_piece_is_no_name_and_no_harm() {
    // Wherever it is cut: `nginx` would be what is left of `nginx-exporter`.
    for length in [5000]
        .into_iter()
        .chain(2 * MAX_CMDLINE - 8..2 * MAX_CMDLINE + 8)
    {
        let line = [&b"/".repeat(length), &b"nginx-exporter\0"[..]].concat();
        let tree = Tree::of(&[Sample {
            comm: b"x",
            cmdline: &line,
            ..NGINX
        }]);
        assert_eq!(tree.all(&names("nginx")), [0; 0], "{length}");
        assert_eq!(tree.all(&cmdline("/nginx")), [10]);
    }
}

#[test]
fn p1_the_process_of_a_file_is_selected_whoever_its_ancestors_are() {
    let tree = Tree::of(&[
        Sample {
            pid: 1,
            parent: 0,
            comm: b"tini",
            cmdline: b"/tini\0",
            ..NGINX
        },
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
    let file = tree.path("app.pid");
    let with = |content: &str, matcher: Matcher| {
        fs::write(&file, content).unwrap();
        let path = file.as_os_str().as_bytes().to_owned();
        tree.select(
            &Matcher {
                pid_file: Some(&path),
                ..matcher
            },
            Select::Main,
        )
    };
    assert_eq!(with("10\n", Matcher::default()).0, [10]);
    assert_eq!(with("11\n", Matcher::default()).0, [11]);
    assert_eq!(
        with("11\n", names("nginx")).0,
        [11],
        "the others with the name are not asked for"
    );
    assert_eq!(
        with("11\n", names("tini")).0,
        [0; 0],
        "the name must hold as well"
    );
    assert_eq!(
        with("11\n", cmdline("absent")).0,
        [0; 0],
        "and the command line"
    );
    assert_eq!(with("12\n", Matcher::default()).0, [0; 0], "a zombie");
    assert_eq!(
        with("999\n", Matcher::default()),
        (vec![], Scanned::default()),
        "nobody"
    );
    assert_eq!(
        with("1000\n", Matcher::default()),
        (vec![], Scanned::default()),
        "this program"
    );
    let unusable = (
        vec![],
        Scanned {
            no_pid_file: true,
            ..Scanned::default()
        },
    );
    assert_eq!(with("starting\n", Matcher::default()), unusable);
    assert_eq!(with("", Matcher::default()), unusable);
}

#[test]
fn a_first_line_too_long_for_an_id_is_none_rather_than_its_beginning() {
    let tree = Tree::of(&[NGINX]);
    let file = tree.path("app.pid");
    let path = file.as_os_str().as_bytes().to_owned();
    let matcher = Matcher {
        pid_file: Some(&path),
        ..Matcher::default()
    };
    for (blanks, selected) in [
        (50, &[10][..]),
        (61, &[10]),
        (62, &[]),
        (63, &[]),
        (100, &[]),
    ] {
        let digits = "10";
        fs::write(&file, format!("{}{digits}99\n", " ".repeat(blanks))).unwrap();
        assert_eq!(tree.main(&matcher), [0; 0], "{blanks} blanks before 1099");
        fs::write(&file, format!("{}{digits}\n", " ".repeat(blanks))).unwrap();
        assert_eq!(tree.main(&matcher), selected, "{blanks} blanks before 10");
    }
}

#[test]
fn a_process_file_that_is_none_is_said_to_be_so() {
    let tree = Tree::of(&[NGINX]);
    let fifo = tree.path("fifo");
    rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::RWXU, 0).unwrap();
    for path in [tree.path("absent"), tree.path("10"), fifo] {
        let matcher = Matcher {
            pid_file: Some(path.as_os_str().as_bytes()),
            ..Matcher::default()
        };
        let (selected, scanned) = tree.select(&matcher, Select::Main);
        assert_eq!(
            (selected, scanned.no_pid_file),
            (vec![], true),
            "{}",
            path.display()
        );
    }
}

#[test]
fn a_proc_that_does_not_show_this_program_is_refused() {
    assert_eq!(
        open(Tree::new().directory.path(), 999).unwrap_err(),
        Errno::NOENT
    );
}

// The status file.

/// The status of process 10 with this file.
fn status(content: &[u8]) -> Status {
    let tree = Tree::of(&[NGINX]);
    fs::write(tree.path("10/status"), content).unwrap();
    status_in(&tree.proc(), 10)
}

fn status_in(proc: &Proc, pid: i32) -> Status {
    let mut status = Status::default();
    let pid = Pid::from_raw(pid).unwrap();
    proc.status(pid, &mut status).unwrap();
    status
}

const STATUS: &str = "Name:\tSigCgt:\tff\nUmask:\t0022\nState:\tS (sleeping)\nPid:\t10\nUid:\t1000\t1001\t1002\t1003\n\
    Gid:\t5\t6\t7\t8\nGroups:\t{groups}\nVmRSS:\t     100 kB\nSigQ:\t0/31210\nSigPnd:\t00000000000000ff\nShdPnd:\t00000000000000ff\n\
    SigBlk:\t0000000000010000\nSigIgn:\t0000000000001000\nSigCgt:\t8000000180014a03\nCapInh:\t0000000000000000\n";

fn expected() -> Status {
    Status {
        comm: Comm::new(b"SigCgt:\tff"),
        is_dead: false,
        uid: 1001,
        blocked: 0x10000,
        ignored: 0x1000,
        caught: 0x8000_0001_8001_4a03,
    }
}

#[test]
fn the_effective_uid_and_the_three_masks_are_read() {
    let text = STATUS.replace("{groups}", "");
    assert_eq!(status(text.as_bytes()), expected());
    let zombie = text.replace("S (sleeping)", "Z (zombie)");
    assert!(status(zombie.as_bytes()).is_dead);
}

#[test]
fn a_list_of_groups_of_any_length_hides_nothing() {
    let tree = Tree::of(&[NGINX]);
    let proc = tree.proc();
    for length in (700..1_300).chain(2_900..3_200).chain([65_535, 700_000]) {
        let groups: String = "4294967294 ".chars().cycle().take(length).collect();
        fs::write(tree.path("10/status"), STATUS.replace("{groups}", &groups)).unwrap();
        let status = status_in(&proc, 10);
        assert_eq!(status, expected(), "{length} bytes of groups");
    }
}

#[test]
fn lines_that_are_missing_or_cut_count_as_nothing_set_up() {
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
        assert_eq!(status(content.as_bytes()), Status::default(), "{content:?}");
    }
    let only = Status {
        caught: 1,
        ..Status::default()
    };
    assert_eq!(status(b"SigCgt:\t0000000000000001\n"), only);
}

#[test]
fn a_signal_that_any_thread_blocks_is_found_among_all_threads() {
    let tree = Tree::of(&[NGINX]);
    let thread = |tid: &str, blocked: &str| {
        fs::create_dir_all(tree.path("10/task").join(tid)).unwrap();
        fs::write(
            tree.path("10/task").join(tid).join("status"),
            format!("Name:\tx\nSigBlk:\t{blocked}\n"),
        )
        .unwrap();
    };
    // More than one buffer of directory entries.
    for tid in 10..150 {
        thread(&tid.to_string(), "0000000000000000");
    }
    fs::create_dir(tree.path("10/task/200")).unwrap();
    thread("x", "ffffffffffffffff");
    let is_blocked = |mask| {
        tree.proc()
            .is_blocked_in_a_thread(Pid::from_raw(10).unwrap(), mask)
    };
    assert!(!is_blocked(1));
    thread("201", "0000000000000001");
    assert!(is_blocked(1));
    assert!(!is_blocked(2));
}

#[test]
fn what_the_kernel_counts_of_waiting_is_the_second_number_of_schedstat() {
    let waited = |schedstat: Option<&str>| {
        let directory = tempfile::tempdir().unwrap();
        let own = directory.path().join("1");
        fs::create_dir(&own).unwrap();
        fs::write(own.join("stat"), stat_line("1", b"own", "S", "0", "0", "1")).unwrap();
        if let Some(schedstat) = schedstat {
            fs::write(own.join("schedstat"), schedstat).unwrap();
        }
        let proc = open(directory.path(), 1).unwrap();
        assert_eq!(proc.waited_for_processor(), proc.waited_for_processor());
        proc.waited_for_processor()
    };
    assert_eq!(waited(Some("9122024 2425810 1167\n")), 2_425_810);
    assert_eq!(waited(Some("0 0 0\n")), 0, "the kernel does not count");
    for unknown in ["", "9122024", "9122024 x 1167\n", "9122024  1167\n"] {
        assert_eq!(waited(Some(unknown)), 0);
    }
    assert_eq!(waited(None), 0);
}

// The kernel's own.

#[test]
fn the_proc_of_this_machine_is_understood() {
    let own = rustix::process::getpid();
    let proc = Proc::new(fs::File::open("/proc").unwrap().into(), own).unwrap();
    let process = proc.read(own).unwrap();
    assert_eq!(
        process.comm.as_bytes(),
        fs::read("/proc/self/comm").unwrap().trim_ascii_end()
    );
    assert_eq!(process.parent, rustix::process::getppid());
    let age_ms = crate::base::sys::now().since(process.start);
    assert!(
        process.start < crate::base::sys::now() && age_ms < 3_600_000,
        "{age_ms} ms"
    );
    assert_eq!(
        status_in(&proc, own.as_raw_nonzero().get()).uid,
        rustix::process::geteuid().as_raw()
    );
    let mut is_seen = false;
    proc.each(&mut |process| is_seen |= process.pid == own)
        .unwrap();
    assert!(!is_seen, "this program is not one to be signalled");
    let others = proc
        .select(&cmdline("\u{1}\u{2}"), Select::All, &mut |_| {})
        .unwrap();
    assert_eq!(others.selected, 0);
}
