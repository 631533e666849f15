use super::*;
use crate::base::address::SocketAddress;
use crate::base::signal::Signal;
use crate::base::time::Millis;
use std::net::SocketAddr;

fn entries<'e>(entries: &[&'e str]) -> Parsed<'e> {
    Parsed::of(&mut entries.iter().map(|entry| entry.as_bytes()))
}

/// Parses entries, and after them the settings that are required.
fn with<'e>(more: &[&'e str]) -> Parsed<'e> {
    entries(&[more, &["CONFIG_DIR=/etc/app", "PROCESS_NAME=app"]].concat())
}

/// Returns the settings, which must be right.
#[track_caller]
fn config<'e>(more: &[&'e str]) -> Config<'e> {
    let parsed = with(more);
    assert_eq!(messages(&parsed), [""; 0]);
    parsed.config().clone()
}

/// Returns the beginning of each mistake's message without the value, or all of it.
fn messages(parsed: &Parsed<'_>) -> Vec<String> {
    let mistakes = parsed.mistakes().map(|mistake| match mistake {
        Mistake::Value { name, problem, .. } => format!("{name}{problem}"),
        Mistake::NoTarget => "no target".into(),
    });
    mistakes.collect()
}

fn items(list: CommaList<'_>) -> Vec<&str> {
    list.iter()
        .map(|item| str::from_utf8(item).unwrap())
        .collect()
}

#[test]
fn unset_and_empty_variables_have_their_defaults() {
    let expected = Config {
        roots: CommaList::new(b"/etc/app"),
        matcher: Matcher {
            names: Some(CommaList::new(b"app")),
            cmdline: None,
            pid_file: None,
            scope: Scope::Pod,
        },
        select: Select::Main,
        min_age: Millis(2_000),
        signal: Signal::HUP,
        settle: Millis(100),
        settle_max: Millis(2_000),
        min_interval: Millis(1_000),
        guard: true,
        catch_up: true,
        confirm: ConfirmMode::Warn,
        poll: PollInterval::Automatic,
        verbose: false,
        log_format: LogFormat::Text,
        log_stream: LogStream::Stderr,
        sandbox: true,
        listen: None,
        hash_key: None,
    };
    assert_eq!(config(&[]), expected);
    let optional = SETTINGS.iter().skip(2);
    let empty: Vec<String> = optional.map(|it| format!("{}= \t", it.name)).collect();
    let empty: Vec<&str> = empty.iter().map(String::as_str).collect();
    assert_eq!(config(&empty), expected);
}

#[test]
fn every_value_reaches_its_field() {
    let parsed = entries(&[
        "CONFIG_DIR=\t/etc/a, /etc/b c ,\nrelative",
        "PROCESS_NAME=nginx, a b",
        "PROCESS_CMDLINE=  -Dname=value  --path ",
        "PROCESS_PID_FILE=/run/app.pid",
        "RELOAD_SIGNAL=SIGUSR2",
        "VERBOSE=YES",
        "PROCESS_SELECT=All",
        "PROCESS_SCOPE=Node",
        "PROCESS_MIN_AGE=1ms",
        "RELOAD_SETTLE=2ms",
        "RELOAD_SETTLE_MAX=3s",
        "RELOAD_MIN_INTERVAL=4m",
        "RELOAD_GUARD=no",
        "RELOAD_CATCH_UP=0",
        "RELOAD_CONFIRM=retry",
        "CONFIG_POLL_INTERVAL=5h",
        "LOG_FORMAT=JSON",
        "LOG_STREAM=Stdout",
        "SANDBOX=false",
        "LISTEN_ADDR=[::1]:9533",
        "CONFIG_HASH_KEY=sixteen bytes, !",
    ]);
    let config = parsed.config();
    assert_eq!(messages(&parsed), [""; 0]);
    assert_eq!(items(config.roots), ["/etc/a", "/etc/b c", "relative"]);
    assert_eq!(items(config.matcher.names.unwrap()), ["nginx", "a b"]);
    let expected = Config {
        roots: config.roots,
        matcher: Matcher {
            names: config.matcher.names,
            cmdline: Some(b"-Dname=value  --path"),
            pid_file: Some(b"/run/app.pid"),
            scope: Scope::Node,
        },
        select: Select::All,
        min_age: Millis(1),
        signal: Signal::parse(b"USR2").unwrap(),
        settle: Millis(2),
        settle_max: Millis(3_000),
        min_interval: Millis(240_000),
        guard: false,
        catch_up: false,
        confirm: ConfirmMode::Retry,
        poll: PollInterval::Every(Millis(18_000_000)),
        verbose: true,
        log_format: LogFormat::Json,
        log_stream: LogStream::Stdout,
        sandbox: false,
        listen: Some(Listen {
            text: b"[::1]:9533",
            address: SocketAddress::v6(std::net::Ipv6Addr::LOCALHOST.octets(), 9533),
        }),
        hash_key: Some(b"sixteen bytes, !"),
    };
    assert_eq!(*config, expected);
}

#[test]
fn the_first_entry_of_a_name_counts_even_if_it_is_empty() {
    for (first, second, settle) in [
        ("RELOAD_SETTLE=5ms", "RELOAD_SETTLE=6ms", 5),
        ("RELOAD_SETTLE=5ms", "RELOAD_SETTLE=wrong", 5),
        ("RELOAD_SETTLE=", "RELOAD_SETTLE=6ms", 100),
    ] {
        assert_eq!(config(&[first, second]).settle, Millis(settle));
    }
}

#[test]
fn other_entries_are_ignored() {
    let strange = [
        "",
        "=",
        "=x",
        "VERBOSE",
        "verbose=yes",
        "VERBOSE =yes",
        "XVERBOSE=yes",
        "VERBOSE_=yes",
        "PATH=/bin",
    ];
    assert_eq!(config(&strange), config(&[]));
    let bytes = [
        &b"\xff\xfe=\xff"[..],
        b"CONFIG_DIR=/etc/app",
        b"PROCESS_NAME=app",
    ];
    assert_eq!(parse(&mut bytes.into_iter()), Ok(config(&[])));
}

#[test]
fn any_one_of_three_variables_names_the_target() {
    for target in ["PROCESS_NAME=a", "PROCESS_CMDLINE=a", "PROCESS_PID_FILE=/a"] {
        assert_eq!(messages(&entries(&["CONFIG_DIR=/a", target])), [""; 0]);
    }
    assert_eq!(messages(&entries(&["CONFIG_DIR=/a"])), ["no target"]);
    let wrong = entries(&["CONFIG_DIR=/a", "PROCESS_NAME=/"]);
    assert_eq!(
        messages(&wrong),
        ["PROCESS_NAME, which is a path; give the name alone, the part after the last slash"]
    );
}

#[test]
#[allow(clippy::too_many_lines)] // It is one table.
fn each_wrong_value_has_its_message_and_its_default_holds() {
    const NOT_A_DURATION: &str =
        ", which is not a duration; give a number with ms, s, m or h, for example 500ms, or 0";
    const TOO_LONG: &str = ", which is too long; the most is 1000h";
    const PATH_TOO_LONG: &str = "..., which is too long; the most in a path is 4095 bytes";
    const EMPTY_ITEM: &str = ", which has nothing before or after a comma; remove that comma";
    const OUT_OF_RANGE: &str =
        ", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30";
    let n = |length: usize| "n".repeat(length);
    let path = |length: usize| "/".repeat(length);
    for (name, value, expected) in [
        ("CONFIG_DIR", ",", EMPTY_ITEM),
        ("CONFIG_DIR", "/a,", EMPTY_ITEM),
        ("PROCESS_NAME", "a,,b", EMPTY_ITEM),
        (
            "CONFIG_DIR",
            &vec!["x"; 65].join(","),
            ", which has too many items; the most is 64",
        ),
        (
            "PROCESS_NAME",
            &vec!["x"; 65].join(","),
            ", which has too many items; the most is 64",
        ),
        (
            "CONFIG_DIR",
            "/a,/b\0",
            ", which has a NUL byte in it; a path cannot",
        ),
        (
            "PROCESS_PID_FILE",
            "/a\0b",
            ", which has a NUL byte in it; a path cannot",
        ),
        ("CONFIG_DIR", &path(4096), PATH_TOO_LONG),
        ("PROCESS_PID_FILE", &path(4096), PATH_TOO_LONG),
        (
            "CONFIG_DIR",
            &format!("/{}/x", n(256)),
            "..., which has a name that is too long; the most in a path is 255 bytes a name",
        ),
        (
            "PROCESS_NAME",
            "/usr/sbin/nginx",
            ", which is a path; give the name alone, the part after the last slash",
        ),
        (
            "PROCESS_CMDLINE",
            &n(1025),
            "..., which is too long; the most is 1024 bytes",
        ),
        (
            "RELOAD_SIGNAL",
            "SIGHPU",
            ", which is not a signal; did you mean SIGHUP?",
        ),
        (
            "RELOAD_SIGNAL",
            "-1",
            ", which is not a signal; did you mean SIGIO?",
        ),
        ("RELOAD_SIGNAL", "32", OUT_OF_RANGE),
        ("RELOAD_SIGNAL", "99999999999999999999", OUT_OF_RANGE),
        (
            "VERBOSE",
            "maybe",
            ", which is not a boolean; give true or false",
        ),
        (
            "RELOAD_GUARD",
            "on",
            ", which is not a boolean; give true or false",
        ),
        (
            "RELOAD_CATCH_UP",
            "2",
            ", which is not a boolean; give true or false",
        ),
        (
            "SANDBOX",
            "t",
            ", which is not a boolean; give true or false",
        ),
        ("PROCESS_SELECT", "first", "; give main or all"),
        ("PROCESS_SCOPE", "cluster", "; give pod or node"),
        ("RELOAD_CONFIRM", "true", "; give warn, retry or off"),
        ("LOG_FORMAT", "xml", "; give text or json"),
        ("LOG_STREAM", "2", "; give stderr or stdout"),
        (
            "CONFIG_HASH_KEY",
            "fifteen bytes !",
            ", which is too short; give a random text of 16 bytes at least",
        ),
        ("PROCESS_MIN_AGE", "1", NOT_A_DURATION),
        ("PROCESS_MIN_AGE", "s", NOT_A_DURATION),
        ("PROCESS_MIN_AGE", "60001m", TOO_LONG),
        ("RELOAD_SETTLE", "-1s", NOT_A_DURATION),
        ("RELOAD_SETTLE_MAX", "1 s", NOT_A_DURATION),
        ("RELOAD_SETTLE_MAX", "3600000001ms", TOO_LONG),
        ("RELOAD_MIN_INTERVAL", "1.5s", NOT_A_DURATION),
        ("RELOAD_MIN_INTERVAL", "18446744073709551615h", TOO_LONG),
        ("CONFIG_POLL_INTERVAL", "never", NOT_A_DURATION),
        ("CONFIG_POLL_INTERVAL", "1d", NOT_A_DURATION),
        (
            "LISTEN_ADDR",
            "9533",
            ", which is not an address with a port; give for example :9533 for every address, or localhost:9533 for this Pod alone",
        ),
    ] {
        let entry = format!("{name}={value}");
        let parsed = with(&[&entry]);
        assert_eq!(messages(&parsed), [format!("{name}{expected}")]);
        if !["CONFIG_DIR", "PROCESS_NAME"].contains(&name) {
            assert_eq!(*parsed.config(), config(&[]), "{name}");
        }
    }
    let missing = messages(&entries(&["CONFIG_DIR= ", "PROCESS_NAME=a"]));
    assert_eq!(
        missing,
        [
            "CONFIG_DIR is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx"
        ]
    );
    let not_utf8 = [&b"CONFIG_DIR=/etc/\xff"[..], b"PROCESS_NAME=a"];
    assert_eq!(
        messages(&Parsed::of(&mut not_utf8.into_iter())),
        ["CONFIG_DIR, which is not UTF-8; give it as UTF-8 text"]
    );
}

#[test]
fn every_mistake_is_found_in_the_order_of_the_table() {
    let names = SETTINGS.iter().map(|setting| setting.name);
    let wrong: Vec<String> = names
        .clone()
        .map(|name| match name {
            "PROCESS_PID_FILE" => format!("{name}=/\0"),
            "PROCESS_CMDLINE" => format!("{name}={}", "x".repeat(1025)),
            _ => format!("{name}=,"),
        })
        .collect();
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let parsed = entries(&wrong);
    let found = parsed.mistakes().map(|mistake| match mistake {
        Mistake::Value { name, value, .. } => {
            let is_shown = wrong.contains(&&*format!("{name}={}", str::from_utf8(value).unwrap()));
            assert_eq!(is_shown, name != "CONFIG_HASH_KEY", "{name}");
            name
        }
        Mistake::NoTarget => panic!("a wrong value is set all the same"),
    });
    assert!(found.eq(names));
}

#[test]
fn the_longest_values_are_taken() {
    let n = |length: usize| "n".repeat(length);
    let path = |length: usize| "/".repeat(length);
    for entry in [
        format!("CONFIG_DIR={}", vec![path(4095); 64].join(",")),
        format!("CONFIG_DIR=/{}/x", n(255)),
        format!("PROCESS_NAME={}", vec!["x"; 64].join(",")),
        format!("PROCESS_PID_FILE={}", path(4095)),
        format!("PROCESS_CMDLINE={}", n(1024)),
        "RELOAD_SETTLE_MAX=3600000000ms".into(),
        "PROCESS_MIN_AGE=1000h".into(),
    ] {
        config(&[&entry]);
    }
}

#[test]
fn the_poll_interval_is_automatic_never_or_a_duration() {
    for (value, expected) in [
        ("AUTOMATIC", PollInterval::Automatic),
        ("0", PollInterval::Never),
        ("0s", PollInterval::Never),
        ("00", PollInterval::Never),
        ("1ms", PollInterval::Every(Millis(1))),
        ("1000h", PollInterval::Every(Millis(3_600_000_000))),
    ] {
        let entry = format!("CONFIG_POLL_INTERVAL={value}");
        assert_eq!(config(&[&entry]).poll, expected, "{value}");
    }
}

#[test]
fn the_quiet_time_is_at_most_the_settle_maximum() {
    const LONGER: &str =
        "RELOAD_SETTLE, which is longer than RELOAD_SETTLE_MAX; make that one longer as well";
    const WRONG: &str = "RELOAD_SETTLE_MAX, which is not a duration; give a number with ms, s, m or h, for example 500ms, or 0";
    assert_eq!(config(&["RELOAD_SETTLE=2s"]).settle, Millis(2_000));
    // The default gives way.
    assert_eq!(config(&["RELOAD_SETTLE_MAX=50ms"]).settle, Millis(50));
    for (settings, expected) in [
        (&["RELOAD_SETTLE=2001ms"][..], LONGER),
        (&["RELOAD_SETTLE=3s", "RELOAD_SETTLE_MAX=2999ms"], LONGER),
        // If the maximum is wrong, nothing can be longer.
        (&["RELOAD_SETTLE=3s", "RELOAD_SETTLE_MAX=x"], WRONG),
    ] {
        assert_eq!(messages(&with(settings)), [expected]);
    }
}

#[test]
fn a_wrong_value_leaves_the_log_format_and_verbosity_in_force() {
    let parsed = entries(&["LOG_FORMAT=json", "VERBOSE=1", "RELOAD_GUARD=x"]);
    assert_eq!(parsed.config().log_format, LogFormat::Json);
    assert!(parsed.config().verbose);
}

/// Returns the address that a value stands for.
fn address(value: &str) -> Option<SocketAddress> {
    let entry = format!("LISTEN_ADDR={value}");
    let parsed = with(&[&entry]);
    parsed.config().listen.map(|listen| listen.address)
}

#[test]
fn an_address_without_a_host_is_every_address() {
    let loopback = SocketAddress::v4([127, 0, 0, 1], 9533);
    let every = SocketAddress::v6([0; 16], 9533);
    for (value, expected) in [
        ("localhost:9533", loopback),
        ("127.0.0.1:9533", loopback),
        (":9533", every),
        (":09533", every),
        ("[::]:9533", every),
    ] {
        assert_eq!(address(value), Some(expected), "{value}");
    }
    assert_eq!(every.without_v6(), SocketAddress::v4([0; 4], 9533));
    let v6_loopback = address("[::1]:9533").unwrap();
    assert_eq!(v6_loopback.without_v6(), v6_loopback);
    assert_eq!(loopback.without_v6(), loopback);
    for entry in ["LISTEN_ADDR=off", "LISTEN_ADDR=OFF"] {
        assert_eq!(config(&[entry]).listen, None);
    }
}

#[test]
fn addresses_are_read_as_the_standard_library_reads_them() {
    #[rustfmt::skip]
    let hosts = [
        "0.0.0.0", "255.255.255.255", "10.0.0.01", "00.0.0.0", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1..3.4", ".1.2.3", "1.2.3.",
        "a.b.c.d", "1.2.3.4 ", "[::]", "[::1]", "[1::]", "[1::2]", "[1:2:3:4:5:6:7:8]", "[1:2:3:4:5:6:7::]",
        "[::2:3:4:5:6:7:8]", "[1:2:3::5:6:7:8]", "[1:2:3:4::5:6:7:8]", "[1:2:3:4:5:6:7]", "[1:2:3:4:5:6:7:8:9]",
        "[fe80::AbCd]", "[12345::]", "[00001::]", "[0001::]", "[:::]", "[1:::2]", "[::1::]", "[1:]", "[:1]", "[:]", "[]",
        "[1]", "[g::]", "[::", "::]", "::1", "[::1]]", "[[::1]", "[1::2:]", "[:1::2]",
        "[::ffff:ffff:ffff:ffff:ffff:ffff:ffff]", "[1:2:3:4:5:6:7:8::]", "[::1:2:3:4:5:6:7:8]", "[ ::1]",
    ];
    for host in hosts {
        for port in [
            "1",
            "65535",
            "65536",
            "0",
            "",
            "x",
            "+1",
            "-1",
            "18446744073709551617",
        ] {
            let value = format!("{host}:{port}");
            let expected: Option<SocketAddr> = value.parse().ok();
            let expected = expected.filter(|address| address.port() > 0);
            let expected = expected.map(|address| match address {
                SocketAddr::V4(it) => SocketAddress::v4(it.ip().octets(), it.port()),
                SocketAddr::V6(it) => SocketAddress::v6(it.ip().octets(), it.port()),
            });
            assert_eq!(address(&value), expected, "{value}");
        }
    }
    // The standard library takes these, and nobody listens on them.
    for value in ["[::ffff:1.2.3.4]:1", "[fe80::1%1]:1"] {
        assert_eq!(address(value), None, "{value}");
    }
}
