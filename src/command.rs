//! The command line: one function for each command.

use crate::base::signal::{DefaultAction, Signal};
use crate::base::sys;
use crate::check;
use crate::config::{self, Config, LogFormat, LogStream, Parsed, SETTINGS};
use crate::deliver;
use crate::http;
use crate::report::Report;
use crate::report::facts::lifecycle::Lifecycle;
use crate::report::facts::settings::Mistake;
use crate::report::line::{Format, Level};
use crate::report::print::Printer;
use crate::run;
use core::fmt::{self, Write};
use rustix::fd::AsRawFd;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// The exit code if all is well.
const EXIT_WELL: i32 = 0;
/// The exit code if the operating system refused something, or not all is well.
const EXIT_NOT_WELL: i32 = 1;
/// The exit code if the settings or the usage are wrong.
const EXIT_WRONG: i32 = 2;
/// The exit code after a panic: 128 + SIGABRT, as a shell reports any program that aborts.
pub const EXIT_PANICKED: i32 = 134;

/// A command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Watch and signal.
    Run,
    /// Print what is seen and whether a change would be delivered.
    Check,
    /// Signal once.
    Signal,
    /// Ask the running sidecar whether it is ready.
    Health,
    /// Print every signal.
    Signals,
    /// Print the usage.
    Help,
    /// Print the version.
    Version,
}

/// A command as `help` lists it.
#[derive(Debug)]
pub struct Listed {
    command: Command,
    /// The argument that asks for it.
    pub name: &'static str,
    /// Its description in `help`.
    pub meaning: &'static str,
}

/// Every command.
pub static COMMANDS: [Listed; 7] = [
    Listed {
        command: Command::Run,
        name: "run",
        meaning: "watch and signal; the default",
    },
    Listed {
        command: Command::Check,
        name: "check",
        meaning: "print what is seen and whether a change would be delivered",
    },
    Listed {
        command: Command::Signal,
        name: "signal",
        meaning: "send the signal now, once, by the same rules",
    },
    Listed {
        command: Command::Health,
        name: "health",
        meaning: "ask the running sidecar at LISTEN_ADDR whether it is ready",
    },
    Listed {
        command: Command::Signals,
        name: "signals",
        meaning: "print every signal with its number and default action",
    },
    Listed {
        command: Command::Help,
        name: "help",
        meaning: "print this",
    },
    Listed {
        command: Command::Version,
        name: "version",
        meaning: "print the version",
    },
];

impl Command {
    fn parse(argument: &[u8]) -> Option<Self> {
        match argument {
            b"-h" | b"--help" => Some(Self::Help),
            b"-V" | b"--version" => Some(Self::Version),
            _ => COMMANDS
                .iter()
                .find(|listed| listed.name.as_bytes() == argument)
                .map(|listed| listed.command),
        }
    }
}

/// Runs the command named by the arguments, without the program's own name. Returns the exit code.
pub fn main(
    arguments: &mut dyn Iterator<Item = &'static [u8]>,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> i32 {
    fill_standard_descriptors();
    let mut report = Report::new();
    let command = match command(arguments) {
        Ok(command) => command,
        Err(mistake) => return reject(mistake, &mut report),
    };
    match command {
        Command::Help => print(help),
        Command::Version => print(version),
        Command::Signals => print(signals),
        Command::Run | Command::Check | Command::Signal | Command::Health => {
            match settings(environment, &mut report) {
                Some(config) => with_settings(command, &config, &mut report),
                None => EXIT_WRONG,
            }
        }
    }
}

fn command(
    arguments: &mut dyn Iterator<Item = &'static [u8]>,
) -> Result<Command, Mistake<'static>> {
    let argument = arguments.next().unwrap_or(b"run");
    if let Some(extra) = arguments.next() {
        return Err(Mistake::UnexpectedArgument(extra));
    }
    Command::parse(argument).ok_or(Mistake::UnknownCommand(argument))
}

/// Returns the settings; `None` with every mistake reported if any is wrong.
// Not inlined: keeps the values as they are set off the stack of the main loop.
#[inline(never)]
fn settings(
    environment: &mut dyn Iterator<Item = &'static [u8]>,
    report: &mut Report,
) -> Option<Config<'static>> {
    let parsed = Parsed::of(environment);
    set_report(report, parsed.config());
    let mut is_valid = true;
    for mistake in parsed.mistakes() {
        is_valid = false;
        report.record(&match mistake {
            config::Mistake::NoTarget => Mistake::NoTarget,
            config::Mistake::Value {
                name,
                value,
                ref problem,
            } => Mistake::Setting {
                name,
                value,
                advice: problem,
            },
        });
    }
    is_valid.then(|| parsed.config().clone())
}

/// Lets the report follow `LOG_FORMAT`, `LOG_STREAM` and `VERBOSE`.
fn set_report(report: &mut Report, config: &Config<'_>) {
    let format = match config.log_format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    let min_level = if config.verbose {
        Level::Debug
    } else {
        Level::Info
    };
    report.set(format, min_level);
    report.log.open(match config.log_stream {
        LogStream::Stderr => sys::stderr(),
        LogStream::Stdout => sys::stdout(),
    });
}

fn with_settings(command: Command, config: &Config<'_>, report: &mut Report) -> i32 {
    if command == Command::Run {
        return run::run(config, report);
    }
    if command == Command::Health && config.listen.is_none() {
        return reject(Mistake::NoHealthEndpoint, report);
    }
    // The output of the other commands is for the person who ran them.
    report.set(Format::Plain, Level::Info);
    let is_well = match config.listen {
        Some(listen) if command == Command::Health => http::health(&listen.address, report),
        _ => with_proc(command, config, report),
    };
    exit_code(is_well && report.log.is_intact())
}

/// Runs `check` or `signal`. Returns true if all is well.
// Not inlined: keeps their buffers off the stack of the main loop.
#[inline(never)]
fn with_proc(command: Command, config: &Config<'_>, report: &mut Report) -> bool {
    match run::open_proc() {
        Ok(proc) if command == Command::Signal => deliver::signal_now(config, &proc, report),
        Ok(proc) => check::check(config, &proc, report),
        Err((what, errno)) => {
            report.record(&Lifecycle::Refused { what, errno });
            false
        }
    }
}

fn reject(mistake: Mistake<'_>, report: &mut Report) -> i32 {
    report.record(&mistake);
    EXIT_WRONG
}

const fn exit_code(is_well: bool) -> i32 {
    if is_well { EXIT_WELL } else { EXIT_NOT_WELL }
}

/// Reports a panic, which is a bug.
pub fn panicked() {
    Report::new().record(&Lifecycle::Panicked);
}

/// Opens a placeholder for each of the first three descriptors that is closed, so that none of the program's own files gets its
/// number and has log lines written into it.
///
/// The placeholder is `/` opened with `O_PATH`, which exists in any image and refuses to be written (EBADF), so that lines to a
/// closed standard error count as dropped.
fn fill_standard_descriptors() {
    // The kernel gives the lowest free number: one above 2 means that the first three are taken.
    while let Ok(placeholder) = openat(CWD, c"/", OFlags::PATH, Mode::empty()) {
        if placeholder.as_raw_fd() > 2 {
            return;
        }
        core::mem::forget(placeholder);
    }
}

// Not inlined: keeps the printer off the stack of the main loop.
#[inline(never)]
fn print(command: fn(&mut Printer) -> fmt::Result) -> i32 {
    let mut printer = Printer::new();
    let outcome = command(&mut printer);
    exit_code(outcome.is_ok() && printer.is_intact())
}

fn help(printer: &mut Printer) -> fmt::Result {
    printer.write_str(
        "Signals an application when its mounted configuration changes.\n\nusage: config-reloader-sidecar [command]\n\ncommands:\n",
    )?;
    for Listed { name, meaning, .. } in &COMMANDS {
        writeln!(printer, "  {name:<10}{meaning}")?;
    }
    printer.write_str("\nenvironment:\n")?;
    for setting in &SETTINGS {
        let (name, default, meaning) = (setting.name, setting.default, setting.meaning);
        writeln!(printer, "  {name:<22}{default:<11}{meaning}")?;
    }
    printer.write_str(
        "\nSIGTERM and SIGINT stop it, SIGUSR1 makes it signal now.\nexit: 0 asked to stop or all well, 1 the operating system refused or not all well, 2 settings or usage wrong\n",
    )
}

fn version(printer: &mut Printer) -> fmt::Result {
    printer.write_str(concat!(
        "config-reloader-sidecar ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ))
}

fn signals(printer: &mut Printer) -> fmt::Result {
    for signal in Signal::all() {
        let action = match signal.default_action() {
            DefaultAction::Terminate => "ends the process",
            DefaultAction::Core => "ends the process with a core file",
            DefaultAction::Ignore => "does nothing",
            DefaultAction::Stop => "stops the process",
            DefaultAction::Continue => "continues the process",
        };
        write!(printer, "{:2}  {signal}", u64::from(signal.number()))?;
        printer.column(18);
        writeln!(printer, "{action}")?;
    }
    Ok(())
}
