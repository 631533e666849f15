//! The command line: what is asked for, and the commands that only print.

use crate::check;
use crate::config::{self, Config, SETTINGS};
use crate::deliver;
use crate::http;
use crate::log::{Format, Level, Log};
use crate::process::Proc;
use crate::run;
use crate::signal::{DefaultAction, Signal};
use crate::words;
use crate::words::Words;
use rustix::fd::AsRawFd;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Settings or usage wrong.
const EXIT_WRONG: i32 = 2;

/// A panic: what a shell makes of SIGABRT, so that it looks like any other program's.
pub const EXIT_PANICKED: i32 = 134;

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Command {
    /// Watch and signal.
    Run,
    /// Say what would happen.
    Check,
    /// Signal once.
    Signal,
    /// Ask the running sidecar whether it is well.
    Health,
    /// Print the table of signals.
    Signals,
    /// Print what there is to be asked for and to be set.
    Help,
    /// Print name and version.
    Version,
}

/// The commands with their names and what `help` says of them.
#[rustfmt::skip]
pub static COMMANDS: [(Command, &str, Words); 7] = [
    (Command::Run, "run", words!("watch and signal; what is done without a command")),
    (Command::Check, "check", words!("print what is seen and whether a change would be delivered")),
    (Command::Signal, "signal", words!("send the signal now, once, by the same rules")),
    (Command::Health, "health", words!("ask the running sidecar by LISTEN_ADDR whether it is ready")),
    (Command::Signals, "signals", words!("print every signal with its number and default")),
    (Command::Help, "help", words!("print this")),
    (Command::Version, "version", words!("print the version")),
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
        return usage_error(&mut log, words!("unexpected argument "), extra);
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
    let Some((asked, ..)) = COMMANDS.iter().find(|(_, name, _)| spelled(name)) else {
        return usage_error(&mut log, words!("unknown command "), command);
    };
    let is_printed_only = matches!(asked, Command::Signals | Command::Help | Command::Version);
    let config = if is_printed_only {
        None
    } else {
        match settings(&mut log, environment) {
            Some(config) if *asked == Command::Run => return run::run(&config, &mut log),
            Some(config) if *asked == Command::Health && config.listen.is_none() => {
                let problem = words!("LISTEN_ADDR is not set: nobody answers ");
                return usage_error(&mut log, problem, command);
            }
            None => return EXIT_WRONG,
            config => config,
        }
    };
    log.set(Format::Plain, false);
    let is_well = match (asked, &config) {
        (Command::Check, Some(config)) => with_proc(config, check::check, &mut log),
        (Command::Signal, Some(config)) => with_proc(config, deliver::signal_now, &mut log),
        (Command::Health, Some(config)) => config
            .listen
            .is_some_and(|listen| http::health(&listen.address, &mut log)),
        (Command::Signals, _) => signals(&mut log),
        (Command::Version, _) => version(&mut log),
        (Command::Run | Command::Check | Command::Signal | Command::Health | Command::Help, _) => {
            help(&mut log)
        }
    };
    if is_well && log.is_intact() {
        run::EXIT_STOPPED
    } else {
        run::EXIT_REFUSED
    }
}

type WithProc = fn(&Config<'_>, &Proc, &mut Log) -> bool;

fn with_proc(config: &Config<'_>, command: WithProc, log: &mut Log) -> bool {
    match Proc::own() {
        Ok(proc) => command(config, &proc, log),
        Err(errno) => {
            run::report_refusal(log, run::OWN_ENTRY, errno);
            false
        }
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

fn usage_error(log: &mut Log, problem: Words, argument: &[u8]) -> i32 {
    log.line(Level::Error)
        .say(problem)
        .quoted(&argument[..argument.len().min(200)])
        .say(words!("; see config-reloader-sidecar help"))
        .send();
    EXIT_WRONG
}

/// Reports a panic, which is a bug.
pub fn panicked() {
    Log::new()
        .line(Level::Error)
        .say(words!(
            "internal error; please report it with the lines before"
        ))
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

/// A line for whoever has given the command.
fn line(log: &mut Log) -> &mut Log {
    log.line(Level::Info)
}

fn help(log: &mut Log) -> bool {
    log.print(words!("Signals an application when its mounted configuration changes.\n\nusage: config-reloader-sidecar [command]\n\ncommands:\n"));
    for (_, name, meaning) in &COMMANDS {
        line(log)
            .say(words!("  "))
            .value(name.as_bytes())
            .column(12)
            .say(*meaning)
            .send();
    }
    log.print(words!("\nenvironment:\n"));
    for setting in &SETTINGS {
        let line = line(log).say(words!("  ")).value(setting.name()).column(24);
        line.value(setting.default())
            .column(35)
            .say(setting.meaning)
            .send();
    }
    log.print(words!("\nSIGTERM and SIGINT stop it, SIGUSR1 makes it signal now.\nexit: 0 asked to stop or all well, 1 the operating system refused or not all well, 2 settings or usage wrong\n"));
    true
}

fn version(log: &mut Log) -> bool {
    log.print(words!(
        "config-reloader-sidecar ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ));
    true
}

fn signals(log: &mut Log) -> bool {
    for signal in Signal::all() {
        let action = match signal.default_action() {
            DefaultAction::Terminate => words!("ends the process"),
            DefaultAction::Core => words!("ends the process with a core file"),
            DefaultAction::Ignore => words!("does nothing"),
            DefaultAction::Stop => words!("stops the process"),
            DefaultAction::Continue => words!("continues the process"),
        };
        let blank: &[u8] = if signal.number() < 10 { b" " } else { b"" };
        let line = line(log).value(blank).number(signal.number().into());
        line.column(4).value(signal.name().as_bytes());
        line.column(18).say(action).send();
    }
    true
}
