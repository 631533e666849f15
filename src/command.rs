//! The command line: what is asked for, and the commands that only print.

use crate::config::{self, Config, SETTINGS};
use crate::log::{LINE_MAX, Level, Log};
use crate::run;
use crate::signal::{DefaultAction, Signal};
use crate::sys;
use crate::text::{Text, Word};
use rustix::fd::AsRawFd;
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::{self, Errno};

/// Settings or usage wrong.
const EXIT_WRONG: i32 = 2;

/// A panic: what a shell makes of SIGABRT, so that it looks like any other program's.
pub const EXIT_PANICKED: i32 = 134;

/// The commands with what `help` says of them.
pub static COMMANDS: [(&str, &str); 4] = [
    ("run", "watch and signal; what is done without a command"),
    (
        "signals",
        "print every signal with its number and what it does by default",
    ),
    ("help", "print this"),
    ("version", "print the version"),
];

/// Does what the arguments, those after the program's name, ask for. Returns the exit code.
pub fn main(
    arguments: &mut dyn Iterator<Item = &'static [u8]>,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> i32 {
    fill_standard_descriptors();
    let mut log = Log::new();
    let command = arguments.next().unwrap_or(b"run");
    if let Some(extra) = arguments.next() {
        return usage_error(&mut log, "unexpected argument ", extra);
    }
    let spellings = [
        ("-h", "help"),
        ("--help", "help"),
        ("-V", "version"),
        ("--version", "version"),
    ];
    let spelled = |name: &str| {
        command == name.as_bytes()
            || spellings
                .iter()
                .any(|(short, long)| *long == name && short.as_bytes() == command)
    };
    match COMMANDS.iter().position(|(name, _)| spelled(name)) {
        Some(0) => run_sidecar(&mut log, environment),
        Some(1) => exit_code(signals()),
        Some(2) => exit_code(help()),
        Some(_) => exit_code(print(VERSION.as_bytes())),
        None => usage_error(&mut log, "unknown command ", command),
    }
}

const VERSION: &str = concat!("config-reloader-sidecar ", env!("CARGO_PKG_VERSION"), "\n");

fn run_sidecar(log: &mut Log, environment: &mut dyn Iterator<Item = &'static [u8]>) -> i32 {
    match settings(log, environment) {
        Some(config) => run::run(&config, log),
        None => EXIT_WRONG,
    }
}

/// The settings; where they are wrong, all errors are reported.
// Not inlined: the room for all errors is given back before the program begins to wait.
#[inline(never)]
fn settings(
    log: &mut Log,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> Option<Config<'static>> {
    match config::parse(environment) {
        Ok(config) => {
            log.set(config.log_format, config.verbose);
            Some(config)
        }
        Err(errors) => {
            log.set(errors.log_format, false);
            errors.report(log);
            None
        }
    }
}

fn usage_error(log: &mut Log, problem: &str, argument: &[u8]) -> i32 {
    log.line(Level::Error)
        .say(problem)
        .quoted(&argument[..argument.len().min(200)])
        .say("; see config-reloader-sidecar help")
        .send();
    EXIT_WRONG
}

/// Reports a panic, which is a bug.
pub fn panicked() {
    Log::new()
        .line(Level::Error)
        .say("internal error; please report it with the lines before")
        .send();
}

/// Opens a placeholder for each of the first three descriptors that was closed at start, so that no file of the program's own
/// gets one of these numbers and has log lines written into it.
///
/// The placeholder is `/` opened with `O_PATH`, which any image has and which refuses to be written (EBADF), so that lines
/// to a closed standard error count as dropped.
fn fill_standard_descriptors() {
    // The lowest free number is given: when it is none of the three, they are all taken.
    while let Ok(placeholder) = openat(CWD, c"/", OFlags::PATH, Mode::empty()) {
        if placeholder.as_raw_fd() > 2 {
            return;
        }
        core::mem::forget(placeholder);
    }
}

/// A standard output that cannot be written is an error.
fn exit_code(printed: io::Result<()>) -> i32 {
    if printed.is_ok() {
        0
    } else {
        run::EXIT_REFUSED
    }
}

fn print(mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match io::write(sys::stdout(), bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// One line of a table: columns of these widths, the last as long as it likes.
fn print_row(columns: &[(&[u8], usize)], last: &str) -> io::Result<()> {
    let mut line = Text::<LINE_MAX>::new();
    for (text, width) in columns {
        line.push(text);
        for _ in text.len()..*width {
            line.push(b" ");
        }
    }
    line.push(last.as_bytes());
    line.push(b"\n");
    print(line.as_bytes())
}

fn help() -> io::Result<()> {
    print(
        b"Signals an application when its mounted configuration changes.\n\nusage: config-reloader-sidecar [command]\n\ncommands:\n",
    )?;
    for (name, meaning) in &COMMANDS {
        print_row(&[(b"", 2), (name.as_bytes(), 10)], meaning)?;
    }
    print(b"\nenvironment:\n")?;
    for setting in SETTINGS.iter().filter(|setting| setting.works) {
        let columns = [
            (&b""[..], 2),
            (setting.name.as_bytes(), 22),
            (setting.default.as_bytes(), 11),
        ];
        print_row(&columns, setting.meaning)?;
    }
    print(b"\nSIGTERM and SIGINT stop it, SIGUSR1 makes it signal now.\nexit: 0 asked to stop, 1 the operating system refused, 2 settings or usage wrong\n")
}

fn signals() -> io::Result<()> {
    for signal in Signal::all() {
        let mut number = Word::new();
        if signal.number() < 10 {
            number.push(b" ");
        }
        number.push_number(signal.number().into(), 0);
        let action = match signal.default_action() {
            DefaultAction::Terminate => "ends the process",
            DefaultAction::Core => "ends the process with a core file",
            DefaultAction::Ignore => "does nothing",
            DefaultAction::Stop => "stops the process",
            DefaultAction::Continue => "continues the process",
        };
        print_row(
            &[(number.as_bytes(), 4), (signal.name().as_bytes(), 14)],
            action,
        )?;
    }
    Ok(())
}
