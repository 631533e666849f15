//! What a start makes of an environment. The text of each error is in `tests/it/settings.rs`.

use super::*;
use std::net::{Ipv6Addr, SocketAddr};

type Parsed<'e> = Result<Config<'e>, Box<Values<'e>>>;

fn entries<'e>(entries: &'e [&'e str]) -> Parsed<'e> {
    parse(&mut entries.iter().map(|entry| entry.as_bytes())).map_err(Box::new)
}

/// The settings that must be there, and `more`.
fn with<'e>(more: &[&'e str]) -> Parsed<'e> {
    let least = ["CONFIG_DIR=/etc/app", "PROCESS_NAME=app"];
    parse(&mut more.iter().copied().chain(least).map(str::as_bytes)).map_err(Box::new)
}

/// What is wrong with the variable of this name; nothing if it is right.
fn problem(errors: &Values, name: &str) -> String {
    let setting = Setting::all().find(|setting| text(setting.name()) == name);
    let wrong = errors.read(setting.expect("a setting's name")).err();
    wrong.map(|words| words.to_string()).unwrap_or_default()
}

fn pieces(list: CommaList<'_>) -> Vec<&str> {
    list.iter()
        .map(|piece| str::from_utf8(piece).unwrap())
        .collect()
}

#[test]
fn without_more_than_what_is_required_everything_has_its_default() {
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
        confirm: Mode::Warn,
        poll: PollInterval::Automatic,
        verbose: false,
        log_format: Format::Text,
        sandbox: true,
        listen: None,
    };
    assert_eq!(with(&[]), Ok(expected));
}

#[test]
fn the_defaults_of_the_table_are_those_that_hold() {
    let defaults: Vec<String> = Setting::all()
        .filter(|setting| !["", "required"].contains(&text(setting.default())))
        .map(|setting| format!("{}={}", text(setting.name()), text(setting.default())))
        .collect();
    let defaults: Vec<&str> = defaults.iter().map(String::as_str).collect();
    assert_eq!(defaults.len(), 14);
    assert_eq!(with(&defaults), with(&[]));
}

#[test]
fn every_setting_arrives_where_it_belongs() {
    let all = [
        "CONFIG_DIR=/etc/a, /etc/b ,relative",
        "PROCESS_NAME=nginx, a b",
        "PROCESS_CMDLINE=org.logstash.Logstash --path",
        "PROCESS_PID_FILE=/run/app.pid",
        "RELOAD_SIGNAL=SIGUSR2",
        "VERBOSE=yes",
        "PROCESS_SELECT=all",
        "PROCESS_MIN_AGE=1ms",
        "RELOAD_SETTLE=2ms",
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
    assert_eq!(pieces(config.roots), ["/etc/a", "/etc/b", "relative"]);
    assert_eq!(pieces(config.matcher.names.unwrap()), ["nginx", "a b"]);
    let expected = Config {
        roots: config.roots,
        matcher: Matcher {
            names: config.matcher.names,
            cmdline: Some(b"org.logstash.Logstash --path"),
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
        confirm: Mode::Retry,
        poll: PollInterval::Every(18_000_000),
        verbose: true,
        log_format: Format::Json,
        sandbox: false,
        listen: Some(Listen {
            text: b"[::1]:9533",
            address: SocketAddress::v6(Ipv6Addr::LOCALHOST.octets(), 9533),
        }),
    };
    assert_eq!(config, expected);
}

#[test]
fn the_variables_are_numbered_as_they_stand_in_the_table() {
    for (var, name) in [
        (Var::ConfigDir, "CONFIG_DIR"),
        (Var::ProcessName, "PROCESS_NAME"),
        (Var::ProcessCmdline, "PROCESS_CMDLINE"),
        (Var::ProcessPidFile, "PROCESS_PID_FILE"),
        (Var::ReloadSignal, "RELOAD_SIGNAL"),
        (Var::Verbose, "VERBOSE"),
        (Var::ProcessSelect, "PROCESS_SELECT"),
        (Var::ProcessMinAge, "PROCESS_MIN_AGE"),
        (Var::ReloadSettle, "RELOAD_SETTLE"),
        (Var::ReloadSettleMax, "RELOAD_SETTLE_MAX"),
        (Var::ReloadMinInterval, "RELOAD_MIN_INTERVAL"),
        (Var::ReloadGuard, "RELOAD_GUARD"),
        (Var::ReloadCatchUp, "RELOAD_CATCH_UP"),
        (Var::ReloadConfirm, "RELOAD_CONFIRM"),
        (Var::ConfigPollInterval, "CONFIG_POLL_INTERVAL"),
        (Var::LogFormat, "LOG_FORMAT"),
        (Var::ListenAddr, "LISTEN_ADDR"),
    ] {
        assert_eq!(text(Setting(var as usize).name()), name);
    }
    for (at, setting) in Setting::all().enumerate() {
        assert!(
            Setting::all()
                .take(at)
                .all(|other| text(other.name()) != text(setting.name())),
            "{} stands twice",
            text(setting.name())
        );
    }
}

#[test]
fn each_way_of_naming_the_process_is_enough() {
    for process in ["PROCESS_NAME=a", "PROCESS_CMDLINE=a", "PROCESS_PID_FILE=/a"] {
        assert!(entries(&["CONFIG_DIR=/a", process]).is_ok(), "{process}");
    }
    assert!(entries(&["CONFIG_DIR=/a"]).unwrap_err().names_no_process());
}

#[test]
fn blanks_around_a_value_and_around_the_pieces_of_a_list_are_not_part_of_it() {
    let config = entries(&[
        "CONFIG_DIR=\t /etc/a b ,\n/c ",
        "PROCESS_CMDLINE=  -jar  app.jar ",
        "RELOAD_SETTLE=\t5ms\n",
    ])
    .unwrap();
    assert_eq!(pieces(config.roots), ["/etc/a b", "/c"]);
    assert_eq!(config.matcher.cmdline, Some(&b"-jar  app.jar"[..]));
    assert_eq!(config.settle, 5);
}

#[test]
fn an_empty_value_is_as_good_as_none() {
    let empty: Vec<String> = Setting::all()
        .skip(2)
        .map(|setting| format!("{}= \t", text(setting.name())))
        .collect();
    let empty: Vec<&str> = empty.iter().map(String::as_str).collect();
    assert_eq!(with(&empty), with(&[]));
    let errors = entries(&["CONFIG_DIR=", "PROCESS_NAME="]).unwrap_err();
    assert_eq!(
        problem(&errors, "CONFIG_DIR"),
        " is not set; give the directories or files to watch, separated by commas, for example CONFIG_DIR=/etc/nginx"
    );
    assert!(errors.names_no_process());
}

#[test]
fn of_a_variable_that_stands_twice_the_first_counts() {
    assert_eq!(
        with(&["RELOAD_SETTLE=5ms", "RELOAD_SETTLE=6ms"])
            .unwrap()
            .settle,
        5
    );
    assert_eq!(
        with(&["RELOAD_SETTLE=5ms", "RELOAD_SETTLE=wrong"])
            .unwrap()
            .settle,
        5
    );
    // Even if it is empty, as for getenv(3).
    assert_eq!(
        with(&["RELOAD_SETTLE=", "RELOAD_SETTLE=6ms"])
            .unwrap()
            .settle,
        100
    );
}

#[test]
fn what_is_no_setting_is_passed_over() {
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
        "LOG_FORMAT",
    ];
    assert_eq!(with(&strange), with(&[]));
    let mut bytes = [
        &b"\xff\xfe=\xff"[..],
        b"CONFIG_DIR=/etc/app",
        b"PROCESS_NAME=app",
    ]
    .into_iter();
    assert_eq!(parse(&mut bytes).map_err(Box::new), with(&[]));
}

#[test]
fn a_value_may_hold_equals_signs() {
    let config = with(&["PROCESS_CMDLINE=-Dname=value="]).unwrap();
    assert_eq!(config.matcher.cmdline, Some(&b"-Dname=value="[..]));
}

#[test]
fn a_path_with_a_nul_is_refused_though_no_environment_has_one() {
    for name in ["CONFIG_DIR", "PROCESS_PID_FILE"] {
        let entry = format!("{name}=/etc/a\0b");
        let errors = with(&[&entry]).unwrap_err();
        assert_eq!(
            problem(&errors, name),
            ", which holds a NUL byte; a path cannot"
        );
    }
    let errors = with(&["CONFIG_DIR=/etc/a,/etc/b\0"]).unwrap_err();
    assert_eq!(
        problem(&errors, "CONFIG_DIR"),
        ", which holds a NUL byte; a path cannot"
    );
}

#[test]
fn the_longest_values_are_taken_and_one_byte_more_is_not() {
    let name = |length: usize| "n".repeat(length);
    let path = |length: usize| "/".repeat(length);
    let list = |count: usize| vec!["x"; count].join(",");
    for (setting, longest, too_long, expected) in [
        (
            "CONFIG_DIR",
            path(4095),
            path(4096),
            "..., a path longer than the kernel takes; at most 4095 bytes work",
        ),
        (
            "CONFIG_DIR",
            format!("/{}/x", name(255)),
            format!("/{}/x", name(256)),
            "..., with a name in the path longer than the kernel takes; at most 255 bytes work",
        ),
        (
            "CONFIG_DIR",
            list(64),
            list(65),
            ", which has too many parts; at most 64 work",
        ),
        (
            "PROCESS_NAME",
            list(64),
            list(65),
            ", which has too many parts; at most 64 work",
        ),
        (
            "PROCESS_PID_FILE",
            path(4095),
            path(4096),
            "..., a path longer than the kernel takes; at most 4095 bytes work",
        ),
        (
            "PROCESS_CMDLINE",
            name(1024),
            name(1025),
            "..., which is too long; at most 1024 bytes work",
        ),
        (
            "RELOAD_SETTLE_MAX",
            "3600000000ms".into(),
            "3600000001ms".into(),
            ", which is too long; at most 1000h work",
        ),
        (
            "PROCESS_MIN_AGE",
            "1000h".into(),
            "60001m".into(),
            ", which is too long; at most 1000h work",
        ),
    ] {
        let entry = format!("{setting}={longest}");
        assert!(
            with(&[&entry]).is_ok(),
            "{setting} of {} bytes",
            longest.len()
        );
        let entry = format!("{setting}={too_long}");
        let errors = with(&[&entry]).unwrap_err();
        assert_eq!(
            problem(&errors, setting),
            expected,
            "{setting} of {} bytes",
            too_long.len()
        );
    }
    // A list may be longer than a path.
    let long = format!("CONFIG_DIR={}", vec![path(4095); 64].join(","));
    assert_eq!(pieces(with(&[&long]).unwrap().roots).len(), 64);
}

#[test]
fn an_interval_is_automatic_never_or_a_time() {
    for (value, expected) in [
        ("automatic", PollInterval::Automatic),
        ("AUTOMATIC", PollInterval::Automatic),
        ("0", PollInterval::Never),
        ("0s", PollInterval::Never),
        ("00", PollInterval::Never),
        ("1ms", PollInterval::Every(1)),
        ("1000h", PollInterval::Every(3_600_000_000)),
    ] {
        let entry = format!("CONFIG_POLL_INTERVAL={value}");
        assert_eq!(with(&[&entry]).unwrap().poll, expected, "{value}");
    }
}

#[test]
fn a_quiet_time_longer_than_the_longest_time_is_refused() {
    assert!(with(&["RELOAD_SETTLE=2s"]).is_ok());
    assert!(with(&["RELOAD_SETTLE=3s", "RELOAD_SETTLE_MAX=3s"]).is_ok());
    for settings in [
        &["RELOAD_SETTLE=2001ms"][..],
        &["RELOAD_SETTLE=3s", "RELOAD_SETTLE_MAX=2999ms"],
    ] {
        let errors = with(settings).unwrap_err();
        assert_eq!(
            problem(&errors, "RELOAD_SETTLE"),
            ", which is longer than RELOAD_SETTLE_MAX; make that one longer as well",
            "{settings:?}"
        );
    }
    // Where the longest time is wrong, only that is.
    let errors = with(&["RELOAD_SETTLE=3s", "RELOAD_SETTLE_MAX=x"]).unwrap_err();
    assert_eq!(problem(&errors, "RELOAD_SETTLE"), "");
    assert_eq!(
        problem(&errors, "RELOAD_SETTLE_MAX"),
        ", which is no duration; give a number with ms, s, m or h, for example 500ms, or 0"
    );
}

/// The address that a value stands for.
fn listen(value: &str) -> Option<SocketAddress> {
    let entry = format!("LISTEN_ADDR={value}");
    match with(&[&entry]) {
        Ok(config) => Some(config.listen.unwrap().address),
        Err(errors) => {
            assert_eq!(
                problem(&errors, "LISTEN_ADDR"),
                ", which is no address with a port; give for example :9533 for the loopback, 0.0.0.0:9533 or [::]:9533 for every interface"
            );
            None
        }
    }
}

#[test]
fn an_address_without_a_host_is_the_loopbacks() {
    let loopback = SocketAddress::v4([127, 0, 0, 1], 9533);
    for value in [":9533", "localhost:9533", "127.0.0.1:9533", ":09533"] {
        assert_eq!(listen(value), Some(loopback), "{value}");
    }
    for value in ["off", "OFF", "", " "] {
        let entry = format!("LISTEN_ADDR={value}");
        assert_eq!(with(&[&entry]).unwrap().listen, None, "{value}");
    }
}

#[test]
fn addresses_are_read_as_the_standard_library_reads_them() {
    let hosts = [
        "0.0.0.0",
        "255.255.255.255",
        "1.2.3.4",
        "10.0.0.01",
        "1.2.3",
        "1.2.3.4.5",
        "1.2.3.256",
        "1..3.4",
        ".1.2.3",
        "1.2.3.",
        "a.b.c.d",
        "1.2.3.4 ",
        "00.0.0.0",
        "[::]",
        "[::1]",
        "[1::]",
        "[1::2]",
        "[1:2:3:4:5:6:7:8]",
        "[1:2:3:4:5:6:7::]",
        "[::2:3:4:5:6:7:8]",
        "[1:2:3::5:6:7:8]",
        "[1:2:3:4::5:6:7:8]",
        "[1:2:3:4:5:6:7]",
        "[1:2:3:4:5:6:7:8:9]",
        "[fe80::AbCd]",
        "[12345::]",
        "[00001::]",
        "[0001::]",
        "[:::]",
        "[1:::2]",
        "[::1::]",
        "[1:]",
        "[:1]",
        "[:]",
        "[]",
        "[1]",
        "[g::]",
        "[::",
        "::]",
        "::1",
        "[::1]]",
        "[[::1]",
        "[1::2:]",
        "[:1::2]",
        "[::ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
        "[1:2:3:4:5:6:7:8::]",
        "[::1:2:3:4:5:6:7:8]",
        "[ ::1]",
    ];
    for host in hosts {
        for port in [
            "1",
            "9533",
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
            // The kernel would choose one for 0, and nobody would know it.
            let expected = value
                .parse()
                .ok()
                .filter(|address: &SocketAddr| address.port() > 0);
            let expected = expected.map(|address| match address {
                SocketAddr::V4(it) => SocketAddress::v4(it.ip().octets(), it.port()),
                SocketAddr::V6(it) => SocketAddress::v6(it.ip().octets(), it.port()),
            });
            assert_eq!(listen(&value), expected, "{value}");
        }
    }
    // Not taken, because nobody listens so.
    for value in ["[::ffff:1.2.3.4]:1", "[fe80::1%1]:1"] {
        assert_eq!(listen(value), None, "{value}");
    }
}

#[test]
fn every_wrong_variable_has_its_problem_and_only_those() {
    let wrong: Vec<String> = Setting::all()
        .map(|setting| match text(setting.name()) {
            "CONFIG_DIR" | "PROCESS_NAME" => format!("{}=,", text(setting.name())),
            "PROCESS_PID_FILE" => format!("{}=/\0", text(setting.name())),
            "PROCESS_CMDLINE" => format!("{}={}", text(setting.name()), "x".repeat(1025)),
            name => format!("{name}=wrong"),
        })
        .collect();
    let wrong: Vec<&str> = wrong.iter().map(String::as_str).collect();
    let errors = entries(&wrong).unwrap_err();
    for setting in Setting::all() {
        assert!(errors.read(setting).is_err(), "{setting:?}");
    }
    assert!(
        !errors.names_no_process(),
        "one that is wrong is set all the same"
    );
    for (at, entry) in wrong.iter().enumerate() {
        let others = if at < 2 {
            vec!["CONFIG_DIR=/a", "PROCESS_PID_FILE=/b"]
        } else {
            vec!["CONFIG_DIR=/a", "PROCESS_NAME=b"]
        };
        let environment = [&[*entry][..], &others].concat();
        let errors = entries(&environment).unwrap_err();
        let wrong: Vec<usize> = Setting::all()
            .filter(|setting| errors.read(*setting).is_err())
            .map(|Setting(at)| at)
            .collect();
        assert_eq!(wrong, [at], "{entry}");
    }
}

#[test]
fn errors_are_reported_in_the_format_asked_for_if_that_is_right() {
    for (value, format) in [
        ("json", Format::Json),
        ("JSON", Format::Json),
        ("text", Format::Text),
        ("xml", Format::Text),
    ] {
        let entry = format!("LOG_FORMAT={value}");
        assert_eq!(
            entries(&[&entry]).unwrap_err().log_format(),
            format,
            "{value}"
        );
    }
}

#[test]
fn the_default_quiet_time_gives_way_to_a_shorter_longest_time() {
    let environment = ["CONFIG_DIR=/a", "PROCESS_NAME=b", "RELOAD_SETTLE_MAX=50ms"];
    let config = parse(&mut environment.iter().map(|entry| entry.as_bytes())).unwrap();
    assert_eq!((config.settle, config.settle_max), (50, 50));
}

fn text(bytes: &'static [u8]) -> &'static str {
    str::from_utf8(bytes).unwrap()
}
