//! The roots: what each is, how its changes are noticed, and what that takes.

use super::verdict::Verdict;
use crate::base::encode::Bytes;
use crate::base::file;
use crate::base::sys;
use crate::base::text::parse_number;
use crate::config::{CommaList, Config, PollInterval};
use crate::confirm::OpenWatches;
use crate::mount::{self, FileSystem};
use crate::report::Report;
use crate::report::facts::watching::Watching;
use crate::report::print::Printer;
use crate::watch::{Changes, ScanContext, Watch};
use core::ffi::CStr;
use core::fmt::{self, Write};
use rustix::fs::{self, CWD, FileType, Mode, OFlags};

/// Prints a line for each root, then the limits of inotify. Returns the first reason why a change would go unnoticed.
pub(super) fn print(
    config: &Config<'_>,
    report: &mut Report,
    printer: &mut Printer,
) -> Result<Verdict, fmt::Error> {
    printer.write_str(
        "\nroots\n  KIND        FILE SYSTEM  FILES   DIRECTORIES  NOTICED BY    PATH\n",
    )?;
    let mut verdict = Ok(());
    let mut watches = 0;
    for root in config.roots.iter() {
        let watch = scan(root, report);
        watches += watch.watches();
        verdict = verdict.and(print_root(config, root, &watch, printer)?);
    }
    for root in config.roots.iter() {
        mount::each_sub_path(root, &mut |mount| {
            report.tell(&Watching::SubPath { path: mount.point });
            verdict = verdict.and(Err("a subPath mount never changes"));
        });
    }
    write!(
        printer,
        "  inotify: {watches} watches and 2 instances are needed"
    )?;
    for (limit, before) in [
        (
            c"/proc/sys/fs/inotify/max_user_watches",
            "; a user may have ",
        ),
        (c"/proc/sys/fs/inotify/max_user_instances", " and "),
    ] {
        if let Some(number) = number_in(limit) {
            write!(printer, "{before}{number}")?;
        }
    }
    printer.write_str("\n")?;
    Ok(verdict)
}

fn scan(root: &[u8], report: &mut Report) -> Watch {
    let mut watch = Watch::new();
    let _ = watch.scan(ScanContext {
        roots: CommaList::new(root),
        now: sys::now(),
        openings: &mut OpenWatches::disabled(),
        changes: &mut Changes::new(),
        report,
        is_interrupted: &|| false,
    });
    watch
}

fn print_root(
    config: &Config<'_>,
    root: &[u8],
    watch: &Watch,
    printer: &mut Printer,
) -> Result<Verdict, fmt::Error> {
    let found = watch.last();
    let polls = match config.poll {
        PollInterval::Never => false,
        PollInterval::Automatic => watch.is_blind(),
        PollInterval::Every(_) => true,
    };
    let is_missing = found.problems.missing_roots > 0;
    let (noticed_by, verdict) = match (is_missing, watch.is_refused(), polls) {
        (true, ..) => ("nothing yet", Err("a root is missing or cannot be read")),
        (_, false, false) => ("inotify", Ok(())),
        (_, false, true) => ("both", Ok(())),
        (_, true, true) => ("comparing", Ok(())),
        (_, true, false) => (
            "nothing",
            Err("inotify is refused, and CONFIG_POLL_INTERVAL is 0"),
        ),
    };
    let (kind, file_system) = kind(root);
    let (files, directories, root) = (found.files, found.directories, Bytes(root));
    writeln!(
        printer,
        "  {kind:<12}{file_system:<13}{files:<8}{directories:<13}{noticed_by:<14}{root}"
    )?;
    Ok(verdict)
}

/// Returns what a root is, and the name of its file system.
fn kind(root: &[u8]) -> (&'static str, &'static str) {
    let Ok(located) = file::open_path(root, OFlags::PATH) else {
        return ("missing", "-");
    };
    let file_system =
        fs::fstatfs(&located).map_or("?", |stat| FileSystem::from_magic(stat.f_type as u64).name);
    let is_directory = fs::fstat(&located)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    // The kubelet's AtomicWriter makes this link in every volume.
    let kind = match fs::readlinkat_raw(&located, c"..data", &mut [0; 1]) {
        Ok(_) => "Kubernetes",
        Err(_) if is_directory => "directory",
        Err(_) => "file",
    };
    (kind, file_system)
}

fn number_in(path: &CStr) -> Option<u64> {
    let file = fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 32];
    let length = rustix::io::read(&file, &mut buffer).ok()?;
    parse_number(buffer[..length].trim_ascii(), 10)
}
