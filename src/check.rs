//! The diagnosis: what the sidecar sees, what it would signal, and whether a change would be delivered now. It sends nothing.

mod processes;
mod roots;

use crate::config::Config;
use crate::process::Proc;
use crate::report::Report;
use crate::report::print::Printer;
use core::fmt::{self, Write};
use rustix::process::geteuid;

/// Prints everything. Returns true if a change would be delivered now.
pub fn check(config: &Config<'_>, proc: &Proc, report: &mut Report) -> bool {
    let mut printer = Printer::new();
    let obstacle = print(config, proc, report, &mut printer);
    obstacle == Ok(None) && printer.is_intact()
}

/// Prints everything. Returns the first reason why a change would not be delivered now.
fn print(
    config: &Config<'_>,
    proc: &Proc,
    report: &mut Report,
    printer: &mut Printer,
) -> Result<Option<&'static str>, fmt::Error> {
    let (version, uid) = (env!("CARGO_PKG_VERSION"), u64::from(geteuid().as_raw()));
    writeln!(printer, "config-reloader-sidecar {version} as uid {uid}")?;
    let roots = roots::print(config, report, printer)?;
    let processes = processes::print(config, proc, printer)?;
    let obstacle = roots.or(processes);
    match obstacle {
        None => writeln!(printer, "\nA change would be delivered now.")?,
        Some(obstacle) => writeln!(
            printer,
            "\nA change would NOT be delivered now: {obstacle}."
        )?,
    }
    Ok(obstacle)
}
