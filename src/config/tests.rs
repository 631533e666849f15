//! What a start makes of an environment.

use super::*;
use crate::base::signal::Signal;
use crate::base::sys::SocketAddress;
use std::net::{Ipv6Addr, SocketAddr};

/// The configuration, or every mistake as `NAME` or `NAME value` with its problem.
fn parse<'e>(entries: &[&'e [u8]]) -> Result<Config<'e>, Vec<String>> {
    let mut mistakes = Vec::new();
    let values = Values::of(&mut entries.iter().copied());
    let config = values.config(&mut |mistake| {
        mistakes.push(match mistake {
            Mistake::Value(setting, _, problem) => format!("{}{problem}", setting.name),
            Mistake::NoTarget => "no target".into(),
        });
    });
    config.ok_or(mistakes)
}

fn entries<'e>(entries: &[&'e str]) -> Result<Config<'e>, Vec<String>> {
    parse(&entries.iter().map(|it| it.as_bytes()).collect::<Vec<_>>())
}

/// The required settings, after `more`.
fn with<'e>(more: &[&'e str]) -> Result<Config<'e>, Vec<String>> {
    entries(&[more, &["CONFIG_DIR=/etc/app", "PROCESS_NAME=app"]].concat())
}

fn pieces(list: CommaList<'_>) -> Vec<&str> {
    list.iter()
        .map(|piece| str::from_utf8(piece).unwrap())
        .collect()
}

#[test]
fn settings_that_are_not_set_have_their_defaults() {
    let expected = Config {
        roots: CommaList::new(b"/etc/app"),
        matcher: Matcher {
            names: Some(CommaList::new(b"app")),
            cmdline: None,
            pid_file: None,
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
        sandbox: true,
        listen: None,
    };
    assert_eq!(with(&[]), Ok(expected));
    // Empty values count as not set, and a table's default means the same when it is set.
    let empty: Vec<String> = SETTINGS[2..]
        .iter()
        .map(|it| format!("{}= \t", it.name))
        .collect();
    assert_eq!(
        with(&empty.iter().map(String::as_str).collect::<Vec<_>>()),
        with(&[])
    );
    let defaults: Vec<String> = SETTINGS
        .iter()
        .filter(|it| matches!(it.default, Default::Value(_)))
        .map(|it| format!("{}={}", it.name, it.default.text()))
        .collect();
    assert_eq!(defaults.len(), 14);
    assert_eq!(
        with(&defaults.iter().map(String::as_str).collect::<Vec<_>>()),
        with(&[])
    );
}

#[test]
fn every_setting_arrives_in_its_field() {
    let all = [
        "CONFIG_DIR=/etc/a, /etc/b c ,relative",
        "PROCESS_NAME=nginx, a b",
        "PROCESS_CMDLINE=  -Dname=value=  app.jar ",
        "PROCESS_PID_FILE=/run/app.pid",
        "RELOAD_SIGNAL=SIGUSR2",
        "VERBOSE=yes",
        "PROCESS_SELECT=all",
        "PROCESS_MIN_AGE=1ms",
        "RELOAD_SETTLE=\t2ms\n",
        "RELOAD_SETTLE_MAX=3s",
        "RELOAD_MIN_INTERVAL=4m",
        "RELOAD_GUARD=no",
        "RELOAD_CATCH_UP=no",
        "RELOAD_CONFIRM=retry",
        "CONFIG_POLL_INTERVAL=5h",
        "LOG_FORMAT=json",
        "SANDBOX=no",
        "LISTEN_ADDR=[::1]:9533",
    ];
    let config = entries(&all).unwrap();
    assert_eq!(pieces(config.roots), ["/etc/a", "/etc/b c", "relative"]);
    assert_eq!(pieces(config.matcher.names.unwrap()), ["nginx", "a b"]);
    let expected = Config {
        roots: config.roots,
        matcher: Matcher {
            names: config.matcher.names,
            cmdline: Some(b"-Dname=value=  app.jar"),
            pid_file: Some(b"/run/app.pid"),
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
        sandbox: false,
        listen: Some(Listen {
            text: b"[::1]:9533",
            address: SocketAddress::v6(Ipv6Addr::LOCALHOST.octets(), 9533),
        }),
    };
    assert_eq!(config, expected);
}

#[test]
fn one_way_of_naming_the_process_is_required() {
    for process in ["PROCESS_NAME=a", "PROCESS_CMDLINE=a", "PROCESS_PID_FILE=/a"] {
        assert!(entries(&["CONFIG_DIR=/a", process]).is_ok(), "{process}");
    }
    assert_eq!(entries(&["CONFIG_DIR=/a"]), Err(vec!["no target".into()]));
}

#[test]
fn the_first_value_of_a_name_counts() {
    let settle = |entries| with(entries).unwrap().settle;
    assert_eq!(
        settle(&["RELOAD_SETTLE=5ms", "RELOAD_SETTLE=6ms"]),
        Millis(5)
    );
    assert_eq!(
        settle(&["RELOAD_SETTLE=5ms", "RELOAD_SETTLE=wrong"]),
        Millis(5)
    );
    // Even if it is empty, as for getenv(3).
    assert_eq!(
        settle(&["RELOAD_SETTLE=", "RELOAD_SETTLE=6ms"]),
        Millis(100)
    );
}

#[test]
fn other_variables_are_ignored() {
    let strange: [&[u8]; 9] = [
        b"",
        b"=",
        b"=x",
        b"VERBOSE",
        b"verbose=yes",
        b"VERBOSE =yes",
        b"XVERBOSE=yes",
        b"VERBOSE_=yes",
        b"\xff\xfe=\xff",
    ];
    let required: [&[u8]; 2] = [b"CONFIG_DIR=/etc/app", b"PROCESS_NAME=app"];
    assert_eq!(parse(&[&strange[..], &required].concat()), with(&[]));
}

/// Each wrong value alone, with all that is said of it.
#[test]
fn a_wrong_value_is_reported_with_what_would_be_right() {
    const PATH: &str = ", which holds a NUL byte; a path cannot";
    const BOOLEAN: &str = ", which is no boolean; give true or false";
    const DURATION: &str =
        ", which is no duration; give a number with ms, s, m or h, for example 500ms, or 0";
    const COMMA: &str = ", where nothing stands before or after a comma; remove that comma";
    const LONG: &str = ", which is too long; at most 1000h work";
    let long_cmdline = "x".repeat(1025);
    let long_path = "/".repeat(4096);
    let long_name = format!("/{}/x", "n".repeat(256));
    let long_list = vec!["x"; 65].join(",");
    for (name, value, problem) in [
        ("CONFIG_DIR", "/etc/a,/etc/b\0", PATH),
        ("CONFIG_DIR", "/a,,/b", COMMA),
        (
            "CONFIG_DIR",
            &long_path,
            "..., a path longer than the kernel takes; at most 4095 bytes work",
        ),
        (
            "CONFIG_DIR",
            &long_name,
            "..., with a name in the path longer than the kernel takes; at most 255 bytes work",
        ),
        (
            "CONFIG_DIR",
            &long_list,
            ", which has too many parts; at most 64 work",
        ),
        ("PROCESS_NAME", ",", COMMA),
        (
            "PROCESS_NAME",
            "/usr/sbin/nginx",
            ", which is a path; give the name alone, the part after the last slash",
        ),
        (
            "PROCESS_NAME",
            &long_list,
            ", which has too many parts; at most 64 work",
        ),
        (
            "PROCESS_CMDLINE",
            &long_cmdline,
            "..., which is too long; at most 1024 bytes work",
        ),
        ("PROCESS_PID_FILE", "/a\0b", PATH),
        (
            "PROCESS_PID_FILE",
            &long_path,
            "..., a path longer than the kernel takes; at most 4095 bytes work",
        ),
        (
            "RELOAD_SIGNAL",
            "SIGHAP",
            ", which is no signal; did you mean SIGHUP?",
        ),
        (
            "RELOAD_SIGNAL",
            "32",
            ", which is out of range; signals are 1 to 31 and 34 to 64, SIGRTMIN to SIGRTMIN+30",
        ),
        ("VERBOSE", "maybe", BOOLEAN),
        ("PROCESS_SELECT", "first", "; give main or all"),
        ("PROCESS_MIN_AGE", "60001m", LONG),
        ("PROCESS_MIN_AGE", "-1s", DURATION),
        ("RELOAD_SETTLE", "5", DURATION),
        (
            "RELOAD_SETTLE",
            "2001ms",
            ", which is longer than RELOAD_SETTLE_MAX; make that one longer as well",
        ),
        ("RELOAD_SETTLE_MAX", "3600000001ms", LONG),
        ("RELOAD_MIN_INTERVAL", "18446744073709551617ms", LONG),
        ("RELOAD_GUARD", "2", BOOLEAN),
        ("RELOAD_CATCH_UP", "on", BOOLEAN),
        ("RELOAD_CONFIRM", "yes", "; give warn, retry or off"),
        ("CONFIG_POLL_INTERVAL", "never", DURATION),
        ("LOG_FORMAT", "xml", "; give text or json"),
        (
            "LISTEN_ADDR",
            "9533",
            ", which is no address with a port; give for example :9533 for the loopback, 0.0.0.0:9533 or [::]:9533 for every interface",
        ),
        ("SANDBOX", "off", BOOLEAN),
    ] {
        let entry = format!("{name}={value}");
        assert_eq!(with(&[&entry]), Err(vec![format!("{name}{problem}")]));
    }
    let not_utf8: [&[u8]; 3] = [b"CONFIG_DIR=/a", b"PROCESS_NAME=app", b"VERBOSE=\xff"];
    let expected = "VERBOSE, which is not UTF-8; give it as UTF-8 text";
    assert_eq!(parse(&not_utf8), Err(vec![expected.into()]));
}

#[test]
fn every_mistake_is_reported_in_one_start() {
    let wrong = [
        "VERBOSE=x",
        "SANDBOX=x",
        "RELOAD_SETTLE=3s",
        "RELOAD_SETTLE_MAX=x",
    ];
    let mistakes = entries(&wrong).unwrap_err();
    let names: Vec<&str> = mistakes
        .iter()
        .map(|it| it.split([',', ' ']).next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "CONFIG_DIR",
            "VERBOSE",
            "RELOAD_SETTLE_MAX",
            "SANDBOX",
            "no"
        ]
    );
}

#[test]
fn the_longest_values_are_accepted() {
    let path = "/".repeat(4095);
    let list = vec!["x"; 64].join(",");
    for (name, value) in [
        ("CONFIG_DIR", &vec![path.as_str(); 64].join(",")),
        ("CONFIG_DIR", &format!("/{}/x", "n".repeat(255))),
        ("PROCESS_NAME", &list),
        ("PROCESS_PID_FILE", &path),
        ("PROCESS_CMDLINE", &"x".repeat(1024)),
        ("RELOAD_SETTLE_MAX", &"3600000000ms".into()),
        ("PROCESS_MIN_AGE", &"1000h".into()),
    ] {
        let entry = format!("{name}={value}");
        assert!(with(&[&entry]).is_ok(), "{name} of {} bytes", value.len());
    }
}

#[test]
fn a_poll_interval_is_automatic_never_or_a_duration() {
    for (value, expected) in [
        ("AUTOMATIC", PollInterval::Automatic),
        ("0", PollInterval::Never),
        ("00s", PollInterval::Never),
        ("1ms", PollInterval::Every(Millis(1))),
    ] {
        let entry = format!("CONFIG_POLL_INTERVAL={value}");
        assert_eq!(with(&[&entry]).unwrap().poll, expected, "{value}");
    }
}

#[test]
fn the_default_settle_time_gives_way_to_a_shorter_maximum() {
    let config = with(&["RELOAD_SETTLE_MAX=50ms"]).unwrap();
    assert_eq!((config.settle, config.settle_max), (Millis(50), Millis(50)));
    assert!(with(&["RELOAD_SETTLE=3s", "RELOAD_SETTLE_MAX=3s"]).is_ok());
}

#[test]
fn mistakes_are_reported_in_the_format_asked_for_if_that_is_right() {
    for (entry, expected) in [
        ("LOG_FORMAT=JSON", (LogFormat::Json, false)),
        ("LOG_FORMAT=xml", (LogFormat::Text, false)),
        ("VERBOSE=1", (LogFormat::Text, true)),
    ] {
        let values = Values::of(&mut [entry.as_bytes()].into_iter());
        assert_eq!(values.for_mistakes(), expected, "{entry}");
    }
}

#[test]
fn addresses_are_those_of_the_standard_library_with_a_port() {
    let listen = |value: &str| {
        let entry = format!("LISTEN_ADDR={value}");
        with(&[&entry])
            .ok()
            .and_then(|config| config.listen)
            .map(|it| it.address)
    };
    let loopback = SocketAddress::v4([127, 0, 0, 1], 9533);
    for value in [":9533", "localhost:9533", "127.0.0.1:9533", ":09533"] {
        assert_eq!(listen(value), Some(loopback), "{value}");
    }
    for value in ["off", "OFF"] {
        let entry = format!("LISTEN_ADDR={value}");
        assert_eq!(with(&[&entry]).unwrap().listen, None, "{value}");
    }
    for host in [
        "0.0.0.0",
        "1.2.3.256",
        "1.2.3",
        "10.0.0.01",
        "[::]",
        "[fe80::AbCd]",
        "::1",
        "[1]",
        "a.b",
        "[",
    ] {
        for port in ["1", "65535", "65536", "0", "", "x", "-1"] {
            let value = format!("{host}:{port}");
            let expected = value.parse().ok().filter(|it: &SocketAddr| it.port() > 0);
            let expected = expected.map(|address| match address {
                SocketAddr::V4(it) => SocketAddress::v4(it.ip().octets(), it.port()),
                SocketAddr::V6(it) => SocketAddress::v6(it.ip().octets(), it.port()),
            });
            assert_eq!(listen(&value), expected, "{value}");
        }
    }
    assert_eq!(listen("[fe80::1%1]:1"), None, "a scope");
}
