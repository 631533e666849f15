//! The diagnosis: what the sidecar sees, whom it would signal, and whether a change would be delivered now. Sends nothing.

mod processes;
mod roots;
mod verdict;

use crate::config::Config;
use crate::process::Proc;
use crate::report::Report;
use crate::report::print::Printer;
use core::fmt::{self, Write};
use rustix::process::geteuid;
use verdict::Verdict;

/// Prints everything. Returns true if a change would be delivered now.
#[inline(never)]
pub fn check(config: &Config<'_>, proc: &Proc, report: &mut Report) -> bool {
    let mut printer = Printer::new();
    // Writing to a printer cannot fail: it remembers what standard output did not take.
    let verdict = print(config, proc, report, &mut printer).unwrap_or(Ok(()));
    verdict.is_ok() && printer.is_intact()
}

fn print(
    config: &Config<'_>,
    proc: &Proc,
    report: &mut Report,
    printer: &mut Printer,
) -> Result<Verdict, fmt::Error> {
    let (version, uid) = (env!("CARGO_PKG_VERSION"), geteuid().as_raw());
    writeln!(printer, "config-reloader-sidecar {version} as uid {uid}")?;
    let roots = roots::print(config, report, printer)?;
    let processes = processes::print(config, proc, printer)?;
    let verdict = roots.and(processes);
    match verdict {
        Ok(()) => writeln!(printer, "\nA change would be delivered now.")?,
        Err(why) => writeln!(printer, "\nA change would NOT be delivered now: {why}.")?,
    }
    Ok(verdict)
}
