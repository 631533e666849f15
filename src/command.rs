//! The command line: one function a command.

use crate::base::signal::{DefaultAction, Signal};
use crate::base::sys;
use crate::check;
use crate::config::{self, Config, LogFormat, SETTINGS, Values};
use crate::deliver;
use crate::http;
use crate::process::Proc;
use crate::report::Report;
use crate::report::facts::lifecycle::Lifecycle;
use crate::report::facts::settings::Mistake;
use crate::report::line::{Format, Level};
use crate::report::print::Printer;
use crate::run;
use core::fmt::{self, Write};

/// Asked to stop, or all is well.
const EXIT_WELL: i32 = 0;
/// The operating system refused something, or not all is well.
const EXIT_NOT_WELL: i32 = 1;
/// Settings or usage are wrong.
const EXIT_WRONG: i32 = 2;
/// A panic: what a shell makes of SIGABRT, so that it looks like any other program's.
pub const EXIT_PANICKED: i32 = 134;

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Command {
    Run,
    Check,
    Signal,
    Health,
    Signals,
    Help,
    Version,
}

/// The commands by their names, with what `help` says of them.
pub static COMMANDS: [CommandName; 7] = [
    CommandName::new("run", "watch and signal; the default", Command::Run),
    CommandName::new(
        "check",
        "print what is seen and whether a change would be delivered",
        Command::Check,
    ),
    CommandName::new(
        "signal",
        "send the signal now, once, by the same rules",
        Command::Signal,
    ),
    CommandName::new(
        "health",
        "ask the running sidecar by LISTEN_ADDR whether it is ready",
        Command::Health,
    ),
    CommandName::new(
        "signals",
        "print every signal with its number and default",
        Command::Signals,
    ),
    CommandName::new("help", "print this", Command::Help),
    CommandName::new("version", "print the version", Command::Version),
];

/// One row of [`COMMANDS`].
#[derive(Clone, Copy, Debug)]
pub struct CommandName {
    /// What is typed.
    pub name: &'static str,
    /// What it does.
    pub meaning: &'static str,
    command: Command,
}

impl CommandName {
    const fn new(name: &'static str, meaning: &'static str, command: Command) -> Self {
        Self {
            name,
            meaning,
            command,
        }
    }
}

/// Does what the arguments, those after the program's name, ask for. Returns the exit code.
pub fn main(
    arguments: &mut dyn Iterator<Item = &'static [u8]>,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> i32 {
    sys::fill_standard_descriptors();
    let mut report = Report::new();
    let name = arguments.next().unwrap_or(b"run");
    if let Some(extra) = arguments.next() {
        return wrong(&mut report, Mistake::UnexpectedArgument(extra));
    }
    let Some(command) = command_named(name) else {
        return wrong(&mut report, Mistake::UnknownCommand(name));
    };
    match command {
        Command::Signals => print(signals),
        Command::Help => print(help),
        Command::Version => print(version),
        Command::Run | Command::Check | Command::Signal | Command::Health => {
            match settings(&mut report, environment) {
                Some(config) => with_settings(command, &config, &mut report),
                None => EXIT_WRONG,
            }
        }
    }
}

fn command_named(name: &[u8]) -> Option<Command> {
    match name {
        b"--help" | b"-h" => Some(Command::Help),
        b"--version" | b"-V" => Some(Command::Version),
        _ => COMMANDS
            .iter()
            .find(|it| it.name.as_bytes() == name)
            .map(|it| it.command),
    }
}

fn wrong(report: &mut Report, mistake: Mistake<'_>) -> i32 {
    report.tell(&mistake);
    EXIT_WRONG
}

/// Returns the settings; if any are wrong, reports every mistake.
// Not inlined: keeps the values off the stack of the program's whole life.
#[inline(never)]
fn settings(
    report: &mut Report,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> Option<Config<'static>> {
    let values = Values::of(environment);
    let (format, verbose) = values.for_mistakes();
    let format = match format {
        LogFormat::Text => Format::Text,
        LogFormat::Json => Format::Json,
    };
    report.set(format, if verbose { Level::Debug } else { Level::Info });
    values.config(&mut |mistake| match mistake {
        config::Mistake::NoTarget => report.tell(&Mistake::NoTarget),
        config::Mistake::Value(setting, value, problem) => report.tell(&Mistake::Setting {
            name: setting.name,
            value,
            advice: &problem,
        }),
    })
}

fn with_settings(command: Command, config: &Config<'_>, report: &mut Report) -> i32 {
    if command == Command::Run {
        return run::run(config, report);
    }
    if command == Command::Health && config.listen.is_none() {
        return wrong(report, Mistake::NoHealthEndpoint);
    }
    // What these print is for whoever ran them.
    report.set(Format::Plain, Level::Info);
    let is_well = match (command, config.listen) {
        (Command::Health, Some(listen)) => http::health(&listen.address, report),
        (Command::Check, _) => with_proc(report, |proc, report| check::check(config, proc, report)),
        _ => with_proc(report, |proc, report| {
            deliver::signal_now(config, proc, report)
        }),
    };
    exit_code(is_well && report.log.is_intact())
}

/// Returns false, with the error reported, if `/proc` cannot be opened.
fn with_proc(report: &mut Report, command: impl FnOnce(&Proc, &mut Report) -> bool) -> bool {
    match run::open_proc() {
        Ok(proc) => command(&proc, report),
        Err((what, errno)) => {
            report.tell(&Lifecycle::Refused { what, errno });
            false
        }
    }
}

fn exit_code(is_well: bool) -> i32 {
    if is_well { EXIT_WELL } else { EXIT_NOT_WELL }
}

fn print(command: fn(&mut Printer) -> fmt::Result) -> i32 {
    let mut printer = Printer::new();
    let printed = command(&mut printer);
    exit_code(printed.is_ok() && printer.is_intact())
}

fn help(printer: &mut Printer) -> fmt::Result {
    printer.write_str(
        "Signals an application when its mounted configuration changes.\n\nusage: config-reloader-sidecar [command]\n\ncommands:\n",
    )?;
    for CommandName { name, meaning, .. } in COMMANDS {
        writeln!(printer, "  {name:<10}{meaning}")?;
    }
    printer.write_str("\nenvironment:\n")?;
    for setting in &SETTINGS {
        let (name, default, meaning) = (setting.name, setting.default.text(), setting.meaning);
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
        write!(printer, "{:>2}  {signal}", signal.number())?;
        writeln!(printer.column(18), "{action}")?;
    }
    Ok(())
}

/// Reports a panic, which is a bug.
pub fn panicked() {
    Report::new().tell(&Lifecycle::Panicked);
}
