//! The command line: what is asked for, and the commands that only print.

use crate::base::signal::{DefaultAction, Signal};
use crate::base::text::pieces;
use crate::base::words::Words;
use crate::check;
use crate::config::{Config, Setting, Values};
use crate::deliver;
use crate::http;
use crate::process::Proc;
use crate::report::Report;
use crate::report::line;
use crate::report::old_log::{Format, Level, Log};
use crate::run;
use crate::words;
use rustix::fd::AsRawFd;
use rustix::fs::{CWD, Mode, OFlags, openat};

/// Settings or usage wrong.
const EXIT_WRONG: i32 = 2;

/// A panic: what a shell makes of SIGABRT, so that it looks like any other program's.
pub const EXIT_PANICKED: i32 = 134;

/// What can be asked for: the commands by their places, then other spellings of the last two in turn.
const NAMES: &[u8] = b"run|check|signal|health|signals|help|version|--help|--version|-h|-V";
const RUN: usize = 0;
const SIGNAL: usize = 2;
const HEALTH: usize = 3;
const SIGNALS: usize = 4;
const VERSION: usize = 6;

/// What `help` says of each.
#[rustfmt::skip]
static MEANINGS: [Words; VERSION + 1] = [
    words!("watch and signal; what is done without a command"),
    words!("print what is seen and whether a change would be delivered"),
    words!("send the signal now, once, by the same rules"),
    words!("ask the running sidecar by LISTEN_ADDR whether it is ready"),
    words!("print every signal with its number and default"),
    words!("print this"),
    words!("print the version"),
];

/// The commands with what `help` says of them.
pub fn all() -> impl Iterator<Item = (&'static [u8], Words)> {
    pieces(NAMES, b'|').zip(MEANINGS.iter().copied())
}

/// Does what the arguments, those after the program's name, ask for. Returns the exit code.
pub fn main(
    arguments: &mut dyn Iterator<Item = &'static [u8]>,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> i32 {
    fill_standard_descriptors();
    let mut report = Report::new();
    let command = arguments.next().unwrap_or(b"run");
    if let Some(extra) = arguments.next() {
        return usage_error(&mut report, words!("unexpected argument "), extra);
    }
    let Some(mut asked) = pieces(NAMES, b'|').position(|name| name == command) else {
        return usage_error(&mut report, words!("unknown command "), command);
    };
    while asked > VERSION {
        asked -= 2;
    }
    let is_well = if asked < SIGNALS {
        let Some(config) = settings(&mut report, environment) else {
            return EXIT_WRONG;
        };
        if asked == RUN {
            return run::run(&config, &mut report);
        }
        if asked == HEALTH {
            let Some(listen) = config.listen else {
                let problem = words!("LISTEN_ADDR is not set: nobody answers ");
                return usage_error(&mut report, problem, command);
            };
            report.old.set(Format::Plain, false);
            http::health(&listen.address, &mut report)
        } else {
            report.old.set(Format::Plain, false);
            report.set(line::Format::Plain, line::Level::Info);
            with_proc(&config, asked == SIGNAL, &mut report)
        }
    } else {
        report.old.set(Format::Plain, false);
        match asked {
            SIGNALS => signals(&mut report),
            VERSION => version(&mut report),
            _ => help(&mut report),
        }
    };
    if is_well && report.old.is_intact() {
        run::EXIT_STOPPED
    } else {
        run::EXIT_REFUSED
    }
}

/// Checks what would be signalled, or signals it.
#[inline(never)]
fn with_proc(config: &Config<'_>, signals: bool, report: &mut Report) -> bool {
    match Proc::own() {
        Ok(proc) if signals => deliver::signal_now(config, &proc, report),
        Ok(proc) => check::check(config, &proc, report),
        Err(errno) => {
            run::report_refusal(report, run::OWN_ENTRY, errno);
            false
        }
    }
}

/// The settings; where they are wrong, all errors are reported.
// Not inlined: the room for all values is given back before the program begins to wait.
#[inline(never)]
fn settings(
    report: &mut Report,
    environment: &mut dyn Iterator<Item = &'static [u8]>,
) -> Option<Config<'static>> {
    let values = Values::of(environment);
    report.old.set(values.log_format(), values.verbose());
    report.set(
        match values.log_format() {
            Format::Json => line::Format::Json,
            Format::Text | Format::Plain => line::Format::Text,
        },
        if values.verbose() {
            line::Level::Debug
        } else {
            line::Level::Info
        },
    );
    if values.report(report) {
        None
    } else {
        Some(values.config())
    }
}

fn usage_error(report: &mut Report, problem: Words, argument: &[u8]) -> i32 {
    report
        .old
        .line(Level::Error)
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
fn line(report: &mut Report) -> &mut Log {
    report.old.line(Level::Info)
}

#[inline(never)]
fn help(report: &mut Report) -> bool {
    report.old.print(words!("Signals an application when its mounted configuration changes.\n\nusage: config-reloader-sidecar [command]\n\ncommands:\n"));
    for (name, meaning) in all() {
        let line = line(report).say(words!("  ")).value(name).column(12);
        line.say(meaning).send();
    }
    report.old.print(words!("\nenvironment:\n"));
    for setting in Setting::all() {
        let line = line(report)
            .say(words!("  "))
            .value(setting.name())
            .column(24);
        line.value(setting.default())
            .column(35)
            .say(setting.meaning())
            .send();
    }
    report.old.print(words!("\nSIGTERM and SIGINT stop it, SIGUSR1 makes it signal now.\nexit: 0 asked to stop or all well, 1 the operating system refused or not all well, 2 settings or usage wrong\n"));
    true
}

fn version(report: &mut Report) -> bool {
    report.old.print(words!(
        "config-reloader-sidecar ",
        env!("CARGO_PKG_VERSION"),
        "\n"
    ));
    true
}

#[inline(never)]
fn signals(report: &mut Report) -> bool {
    for signal in Signal::all() {
        let action = match signal.default_action() {
            DefaultAction::Terminate => words!("ends the process"),
            DefaultAction::Core => words!("ends the process with a core file"),
            DefaultAction::Ignore => words!("does nothing"),
            DefaultAction::Stop => words!("stops the process"),
            DefaultAction::Continue => words!("continues the process"),
        };
        let blank: &[u8] = if signal.number() < 10 { b" " } else { b"" };
        let line = line(report).value(blank).number(signal.number().into());
        line.column(4).value(signal.name().as_bytes());
        line.column(18).say(action).send();
    }
    true
}
