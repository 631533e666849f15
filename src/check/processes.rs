//! The processes: which match, and what is in the way of a signal to each.

use crate::base::encode::{Name, Printable};
use crate::base::sys;
use crate::base::text::{Word, valid_utf8};
use crate::base::time::{Instant, Millis};
use crate::config::Config;
use crate::deliver::{self, Candidate as Judged};
use crate::mount;
use crate::process::{NearMiss, Proc, Process, Role, Status, Verdict};
use crate::report::facts::obstacle::{
    HIDDEN, NO_PID_FILE, NOT_PERMITTED, NOT_SHARED, Obstacle, STRANGER,
};
use crate::report::line::Line;
use crate::report::print::Printer;
use core::fmt::{self, Display, Write};
use rustix::io::Errno;
use rustix::process::{Pid, getpid, test_kill_process};

/// The most processes named if none matches, so that the right name can be found among them.
const OTHERS_MAX: u32 = 20;
/// The most of those that are named with a setting.
const NEAR_MISSES_MAX: u32 = 5;

/// Prints a line for each match, then what can be seen of other containers. Returns the first reason why a signal would not be
/// sent.
pub(super) fn print(
    config: &Config<'_>,
    proc: &Proc,
    printer: &mut Printer,
) -> Result<Option<&'static str>, fmt::Error> {
    writeln!(
        printer,
        "\nprocesses\n  PID     PARENT  UID     AGE    {:<11}SIGNALLED                         NAME",
        config.signal.name().as_str()
    )?;
    let now = sys::now();
    let (mut signalled, mut elsewhere, mut obstacle) = (0, 0, None);
    let scanned = proc.select(&config.matcher, config.select, &mut |process, role| {
        let candidate = Candidate::read(process, role, config, proc, now);
        // Printing to a printer does not fail.
        let _ = candidate.print(printer);
        signalled += u32::from(candidate.outcome.is_signalled());
        elsewhere += u32::from(matches!(role, Role::OtherContainer | Role::OtherPod));
        obstacle = obstacle.or(candidate.outcome.obstacle());
    });
    let scanned = match scanned {
        Ok(scanned) => scanned,
        Err(errno) => {
            writeln!(printer, "! cannot read /proc: {}", Name(errno))?;
            return Ok(Some("/proc cannot be read"));
        }
    };
    if scanned.selected == 0 && elsewhere > 0 {
        printer
            .write_str("  all that match run elsewhere; PROCESS_SCOPE=node would include them\n")?;
    } else if scanned.selected == 0 {
        print_others(config, proc, printer)?;
    }
    let namespace = Namespace::read(proc);
    namespace.print(printer)?;
    Ok(if scanned.no_pid_file {
        Some(NO_PID_FILE)
    } else if scanned.stranger.is_some() {
        Some(STRANGER)
    } else if obstacle.is_none() && signalled == 0 {
        Some(namespace.obstacle())
    } else {
        obstacle
    })
}

/// Prints the settings that no process matches, and the names of processes that exist.
fn print_others(config: &Config<'_>, proc: &Proc, printer: &mut Printer) -> fmt::Result {
    let mut line = Line::plain();
    line.write_str("  none matches")?;
    deliver::wanted(config).add_to(&mut line);
    printer.write_str(valid_utf8(line.finish()))?;
    printer.write_str("  there are:")?;
    let mut count = 0;
    let _ = proc.each(&mut |process| {
        count += 1;
        if count <= OTHERS_MAX {
            let _ = write!(printer, " {}", Printable(process.comm.as_bytes()));
        }
        Ok(())
    });
    printer.write_str(if count > OTHERS_MAX {
        " and more\n"
    } else {
        "\n"
    })?;
    print_near_misses(config, proc, printer);
    Ok(())
}

/// Prints the processes whose name or arguments are nearly those of `PROCESS_NAME`, and the setting that would match each.
fn print_near_misses(config: &Config<'_>, proc: &Proc, printer: &mut Printer) {
    let Some(names) = config.matcher.names else {
        return;
    };
    let mut count = 0;
    let _ = proc.each(&mut |process| {
        proc.near_miss(process, names, &mut |near| {
            count += 1;
            let (setting, value) = match near {
                NearMiss::Name(name) => ("PROCESS_NAME", name),
                NearMiss::Argument(argument) => ("PROCESS_CMDLINE", argument),
            };
            if count <= NEAR_MISSES_MAX {
                let pid = number(Some(process.pid));
                let _ = writeln!(
                    printer,
                    "  process {pid} nearly matches; {setting}={} would match it",
                    Printable(value)
                );
            }
        });
        Ok(())
    });
}

/// A process that matches.
struct Candidate<'p> {
    process: &'p Process,
    uid: u32,
    age: Millis,
    /// The signal's disposition in it.
    disposition: &'static str,
    outcome: Outcome,
}

impl<'p> Candidate<'p> {
    fn read(
        process: &'p Process,
        role: Role,
        config: &Config<'_>,
        proc: &Proc,
        now: Instant,
    ) -> Self {
        let status = proc.status(process.pid).unwrap_or_default();
        let age = now.since(process.start);
        Self {
            process,
            uid: status.uid,
            age,
            disposition: status.disposition(config.signal).name(),
            outcome: Outcome::of(process, role, &status, config, proc),
        }
    }

    fn print(&self, printer: &mut Printer) -> fmt::Result {
        if self.outcome == Outcome::NotPermitted {
            writeln!(printer, "! {NOT_PERMITTED}")?;
        }
        write!(
            printer,
            "  {:<8}{:<8}{:<8}{:<7}{:<11}{}",
            number(Some(self.process.pid)),
            number(self.process.parent),
            u64::from(self.uid),
            Age(self.age),
            self.disposition,
            self.outcome
        )?;
        let comm = Printable(self.process.comm.as_bytes());
        writeln!(printer.column(78), "{comm}")
    }
}

/// Returns a process id as it is shown: 0 stands for a process in another namespace.
fn number(pid: Option<Pid>) -> u64 {
    pid.map_or(0, |pid| pid.as_raw_nonzero().get() as u64)
}

/// The outcome of a change for one process.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Signalled,
    /// It is signalled, but ignores the signal.
    Ignored,
    /// Another process is meant.
    NotMeant(Role),
    NotPermitted,
    TooYoung,
    /// It ignores the signal, perhaps only while it starts.
    Starting,
    Guarded,
}

impl Outcome {
    fn of(
        process: &Process,
        role: Role,
        status: &Status,
        config: &Config<'_>,
        proc: &Proc,
    ) -> Self {
        if role != Role::Main {
            return Self::NotMeant(role);
        }
        if test_kill_process(process.pid) == Err(Errno::PERM) {
            return Self::NotPermitted;
        }
        let candidate = Judged {
            process,
            status,
            unready: process.start,
            changed_at: Instant::BOOT,
        };
        match deliver::judge(candidate, config, proc) {
            Ok(Verdict::SendIgnored) => Self::Ignored,
            Ok(_) => Self::Signalled,
            Err(Obstacle::TooYoung(_)) => Self::TooYoung,
            Err(Obstacle::Ignored(..)) => Self::Starting,
            Err(_) => Self::Guarded,
        }
    }

    const fn is_signalled(self) -> bool {
        matches!(self, Self::Signalled | Self::Ignored)
    }

    /// Returns why the signal that the process should get would not be sent.
    const fn obstacle(self) -> Option<&'static str> {
        match self {
            Self::Signalled | Self::Ignored | Self::NotMeant(_) => None,
            Self::NotPermitted => Some("not permitted"),
            Self::TooYoung => Some("younger than PROCESS_MIN_AGE"),
            Self::Starting => Some("ignores the signal, perhaps until it is ready"),
            Self::Guarded => Some("the signal would end or stop it"),
        }
    }
}

impl Display for Outcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.obstacle()) {
            (_, Some(obstacle)) => write!(formatter, "no: {obstacle}"),
            (Self::NotMeant(role), None) => write!(formatter, "no: {}", reason(*role)),
            (Self::Ignored, None) => formatter.write_str("yes, in vain"),
            (_, None) => formatter.write_str("yes"),
        }
    }
}

/// Returns why a process with this role is not meant.
const fn reason(role: Role) -> &'static str {
    match role {
        Role::Main => "",
        Role::Worker => "an ancestor matches",
        Role::Launcher => "it launched another match",
        Role::Adopted => "adopted by process 1",
        Role::OtherContainer => "in another container",
        Role::OtherPod => "in another Pod",
    }
}

/// The view that `/proc` gives of other containers.
struct Namespace {
    is_shared: bool,
    /// `/proc` hides the processes of other users.
    is_hidden: bool,
    /// The number of processes other than the sidecar's own.
    others: u32,
}

impl Namespace {
    fn read(proc: &Proc) -> Self {
        let mut others = 0;
        let _ = proc.each(&mut |_| {
            others += 1;
            Ok(())
        });
        let mut is_hidden = false;
        mount::each(&mut |mount| is_hidden |= mount.hides_processes());
        Self {
            is_shared: getpid() != Pid::INIT && others > 0,
            is_hidden,
            others,
        }
    }

    fn print(&self, printer: &mut Printer) -> fmt::Result {
        if self.is_shared {
            let others = self.others;
            writeln!(
                printer,
                "  the namespace is shared: {others} other processes are seen"
            )?;
        } else if !self.is_hidden {
            writeln!(printer, "! {NOT_SHARED}")?;
        }
        if self.is_hidden {
            writeln!(printer, "! {HIDDEN}")?;
        }
        Ok(())
    }

    /// Returns why no process was found.
    const fn obstacle(&self) -> &'static str {
        if self.is_shared || self.is_hidden {
            "no process matches"
        } else {
            "the process namespace is not shared"
        }
    }
}

/// An age in seconds, minutes or hours.
struct Age(Millis);

impl Display for Age {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (number, unit) = match self.0.as_secs() {
            seconds @ 0..120 => (seconds, "s"),
            seconds @ 120..7200 => (seconds / 60, "m"),
            seconds => (seconds / 3600, "h"),
        };
        let mut text = Word::new();
        write!(text, "{number}{unit}")?;
        formatter.pad(text.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn ages_are_in_the_largest_unit_with_two_of_it() {
        for (seconds, expected) in [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (7199, "119m"),
            (7200, "2h"),
            (360_000, "100h"),
        ] {
            let age = Age(Millis::from_secs(seconds));
            assert_eq!(format!("{age:<6}|"), format!("{expected:<6}|"));
        }
    }
}
