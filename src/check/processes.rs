//! The processes: which match, and what is in the way of a signal to each.

use super::verdict::Verdict as Delivery;
use crate::base::encode::Bytes;
use crate::base::sys;
use crate::base::text::Text;
use crate::base::time::{Instant, Millis};
use crate::config::{Config, Select};
use crate::deliver;
use crate::mount;
use crate::process::{Proc, Process, Verdict, guard};
use crate::report::facts::obstacle::{HIDDEN, NO_PID_FILE, NOT_PERMITTED, NOT_SHARED};
use crate::report::line::{Format, Level, Line};
use crate::report::print::Printer;
use core::fmt::{self, Write};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};

/// How many processes are named if none matches, so that the right name can be found among them.
const OTHERS_MAX: u32 = 20;

/// What was found of one process.
enum Candidate {
    /// It would be signalled.
    Ready,
    /// It would be signalled, but for this.
    Held(&'static str),
    /// Another process would be signalled in its place.
    NotSelected,
}

/// Prints a line for each match. Returns the first reason why a signal would not be sent.
pub(super) fn print(
    config: &Config<'_>,
    proc: &Proc,
    printer: &mut Printer,
) -> Result<Delivery, fmt::Error> {
    writeln!(
        printer,
        "\nprocesses\n  PID     PARENT  UID     AGE    {:<11}SIGNALLED                         NAME",
        config.signal.name().as_str()
    )?;
    let now = sys::now();
    let (mut ready, mut held) = (0, None);
    let scanned = proc.select(
        &config.matcher,
        Select::All,
        &mut |process| match print_candidate(process, config, proc, now, printer) {
            Ok(Candidate::Ready) => ready += 1,
            Ok(Candidate::Held(why)) => held = held.or(Some(why)),
            Ok(Candidate::NotSelected) | Err(_) => {}
        },
    );
    let scanned = scanned.unwrap_or_default();
    if scanned.selected == 0 {
        print_others(config, proc, printer)?;
    }
    let namespace = print_namespace(proc, printer)?;
    Ok(match (ready, held) {
        _ if scanned.no_pid_file => Err(NO_PID_FILE),
        (_, Some(why)) => Err(why),
        (0, None) if namespace == Namespace::NotShared => {
            Err("the process namespace is not shared")
        }
        (0, None) => Err("no process matches"),
        (_, None) => Ok(()),
    })
}

fn print_candidate(
    process: &Process,
    config: &Config<'_>,
    proc: &Proc,
    now: Instant,
    printer: &mut Printer,
) -> Result<Candidate, fmt::Error> {
    let status = proc.status(process.pid).unwrap_or_default();
    let verdict = guard(process.pid, config.signal, &status, proc);
    let age = now.since(process.start);
    let candidate = judge(process, age, verdict, config, proc);
    if matches!(candidate, Candidate::Held(NO_PERMISSION)) {
        writeln!(printer, "! {NOT_PERMITTED}")?;
    }
    let number = |pid: Option<Pid>| pid.map_or(0, |pid| pid.as_raw_nonzero().get());
    let (pid, parent) = (number(Some(process.pid)), number(process.parent));
    let disposition = status.disposition(config.signal).name();
    write!(
        printer,
        "  {pid:<8}{parent:<8}{:<8}{:<7}{disposition:<11}",
        status.uid,
        Age(age),
    )?;
    match candidate {
        Candidate::Ready if verdict == Verdict::SendIgnored => printer.write_str("yes, in vain")?,
        Candidate::Ready => printer.write_str("yes")?,
        Candidate::Held(why) => write!(printer, "no: {why}")?,
        Candidate::NotSelected => printer.write_str("no: an ancestor matches")?,
    }
    writeln!(printer.column(78), "{}", Bytes(process.comm.as_bytes()))?;
    Ok(candidate)
}

const NO_PERMISSION: &str = "not permitted";

fn judge(
    process: &Process,
    age: Millis,
    verdict: Verdict,
    config: &Config<'_>,
    proc: &Proc,
) -> Candidate {
    // A process file names this one process, whatever its ancestors are.
    let is_selected = config.matcher.pid_file.is_some()
        || proc.is_selected(process, &config.matcher, config.select);
    if !is_selected {
        Candidate::NotSelected
    } else if test_kill_process(process.pid) == Err(Errno::PERM) {
        Candidate::Held(NO_PERMISSION)
    } else if age < config.min_age {
        Candidate::Held("younger than PROCESS_MIN_AGE")
    } else if config.guard && verdict == Verdict::Hold {
        Candidate::Held("the signal would end or stop it")
    } else {
        Candidate::Ready
    }
}

/// Prints what was looked for, and the names of processes that are there.
fn print_others(config: &Config<'_>, proc: &Proc, printer: &mut Printer) -> fmt::Result {
    let mut line = Line::new(Format::Plain, Level::Info, 0);
    line.write_str("  none matches")?;
    deliver::wanted(config).add_to(&mut line);
    printer.write_str(str::from_utf8(line.finish()).unwrap_or_default())?;
    printer.write_str("  there are:")?;
    let mut count = 0;
    let _ = proc.each(&mut |process| {
        count += 1;
        if count <= OTHERS_MAX {
            let _ = write!(printer, " {}", Bytes(process.comm.as_bytes()));
        }
    });
    printer.write_str(if count > OTHERS_MAX {
        " and more\n"
    } else {
        "\n"
    })
}

/// What can be seen of the other containers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Namespace {
    Shared,
    NotShared,
    /// `/proc` hides the processes of other users.
    Hidden,
}

fn print_namespace(proc: &Proc, printer: &mut Printer) -> Result<Namespace, fmt::Error> {
    let mut count = 0;
    let _ = proc.each(&mut |_| count += 1);
    let mut is_hidden = false;
    mount::each(&mut |mount| is_hidden |= mount.hides_processes());
    let is_shared = getpid() != Pid::INIT && count > 0;
    if is_shared {
        writeln!(
            printer,
            "  the namespace is shared: {count} other processes are seen"
        )?;
    } else if !is_hidden {
        writeln!(printer, "! {NOT_SHARED}")?;
    }
    if is_hidden {
        writeln!(printer, "! {HIDDEN}")?;
    }
    Ok(match (is_shared, is_hidden) {
        (true, _) => Namespace::Shared,
        (false, true) => Namespace::Hidden,
        (false, false) => Namespace::NotShared,
    })
}

/// An age in seconds, minutes or hours.
struct Age(Millis);

impl fmt::Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0.as_secs() {
            seconds @ 0..120 => (seconds, 's'),
            seconds @ 120..7200 => (seconds / 60, 'm'),
            seconds => (seconds / 3600, 'h'),
        };
        let mut text = Text::<24>::new();
        write!(text, "{number}{unit}")?;
        formatter.pad(text.as_str())
    }
}
