//! The command line: what is asked for, and the commands that only print.

use crate::config::{self, SETTINGS};
use crate::log::{Format, LINE_MAX, Level, Line, Log};
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
pub fn main<'e>(
    mut arguments: impl Iterator<Item = &'e [u8]>,
    environment: impl Iterator<Item = &'e [u8]>,
) -> i32 {
    fill_standard_descriptors();
    let command = arguments.next();
    if let Some(extra) = arguments.next() {
        return usage_error("unexpected argument ", extra);
    }
    match command {
        None | Some(b"run") => run_sidecar(environment),
        Some(b"signals") => print(signals),
        Some(b"help" | b"-h" | b"--help") => print(help),
        Some(b"version" | b"-V" | b"--version") => print(version),
        Some(unknown) => usage_error("unknown command ", unknown),
    }
}

fn run_sidecar<'e>(environment: impl Iterator<Item = &'e [u8]>) -> i32 {
    match config::parse(environment) {
        Ok(config) => run::run(&config, &mut Log::new(config.log_format, config.verbose)),
        Err(errors) => {
            let mut log = Log::new(errors.log_format, false);
            errors.each(|explain| log.write(Level::Error, explain));
            EXIT_WRONG
        }
    }
}

fn usage_error(problem: &str, argument: &[u8]) -> i32 {
    Log::new(Format::Text, false).write(Level::Error, &|line: &mut Line| {
        line.say(problem)
            .quoted(&argument[..argument.len().min(200)])
            .say("; see config-reloader-sidecar help");
    });
    EXIT_WRONG
}

/// Reports a panic, which is a bug.
pub fn panicked() {
    Log::new(Format::Text, false).write(Level::Error, &|line: &mut Line| {
        line.say("internal error; please report it with the lines before");
    });
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

/// Prints to standard output. The exit code is an error where that cannot be written.
fn print(text: impl FnOnce(&mut Output) -> io::Result<()>) -> i32 {
    let mut output = Output;
    match text(&mut output) {
        Ok(()) => 0,
        Err(_) => run::EXIT_REFUSED,
    }
}

struct Output;

impl Output {
    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
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
    fn row(&mut self, columns: &[(&[u8], usize)], last: &str) -> io::Result<()> {
        let mut line = Text::<LINE_MAX>::new();
        for (text, width) in columns {
            line.push(text);
            for _ in text.len()..*width {
                line.push(b" ");
            }
        }
        line.push(last.as_bytes());
        line.push(b"\n");
        self.write(line.as_bytes())
    }
}

fn version(output: &mut Output) -> io::Result<()> {
    output.write(concat!("config-reloader-sidecar ", env!("CARGO_PKG_VERSION"), "\n").as_bytes())
}

fn help(output: &mut Output) -> io::Result<()> {
    output.write(
        b"Signals an application when its mounted configuration changes.\n\nusage: config-reloader-sidecar [command]\n\ncommands:\n",
    )?;
    for (name, meaning) in &COMMANDS {
        output.row(&[(b"", 2), (name.as_bytes(), 10)], meaning)?;
    }
    output.write(b"\nenvironment:\n")?;
    for setting in SETTINGS.iter().filter(|setting| setting.works) {
        output.row(
            &[
                (b"", 2),
                (setting.name.as_bytes(), 22),
                (setting.default.as_bytes(), 11),
            ],
            setting.meaning,
        )?;
    }
    output.write(b"\nSIGTERM and SIGINT stop it, SIGUSR1 makes it signal now.\nexit: 0 asked to stop, 1 the operating system refused, 2 settings or usage wrong\n")
}

fn signals(output: &mut Output) -> io::Result<()> {
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
        output.row(
            &[(number.as_bytes(), 4), (signal.name().as_bytes(), 14)],
            action,
        )?;
    }
    Ok(())
}
