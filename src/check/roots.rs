//! The roots: what each is, how its changes are noticed, and what that takes.

use crate::base::encode::Printable;
use crate::base::file;
use crate::base::sys;
use crate::base::text::parse_number;
use crate::config::{CommaList, Config, PollInterval};
use crate::confirm::OpenWatches;
use crate::fingerprint::Secret;
use crate::mount::{self, FileSystem};
use crate::report::Report;
use crate::report::facts::watching::Watching;
use crate::report::print::Printer;
use crate::watch::{Changes, ScanContext, Watch};
use core::ffi::CStr;
use core::fmt::{self, Display, Write};
use rustix::fs::{self, CWD, FileType, Mode, OFlags};

/// Prints a line for each root, then the limits of inotify. Returns the first reason why a change would go unnoticed.
pub(super) fn print(
    config: &Config<'_>,
    report: &mut Report,
    printer: &mut Printer,
) -> Result<Option<&'static str>, fmt::Error> {
    printer.write_str(
        "\nroots\n  KIND        FILE SYSTEM  FILES   DIRECTORIES  NOTICED BY    PATH\n",
    )?;
    let mut obstacle = None;
    let mut watches = 0;
    for path in config.roots.iter() {
        let root = Root::scan(path, config.poll, report);
        writeln!(printer, "{root}")?;
        watches += root.watches;
        obstacle = obstacle.or(root.obstacle);
    }
    for path in config.roots.iter() {
        mount::each_stale(path, &mut |mount| {
            report.record(&Watching::Stale {
                path: mount.point,
                is_sub_path: mount.is_sub_path(),
            });
            obstacle = obstacle.or(Some("a mount never changes"));
        });
    }
    print_limits(watches, printer)?;
    Ok(obstacle)
}

/// Prints how many watches are needed and, if the kernel says so, how many there may be; inotify(7), `/proc` interfaces.
fn print_limits(watches: u64, printer: &mut Printer) -> fmt::Result {
    write!(
        printer,
        "  inotify: {watches} watches and 2 instances are needed"
    )?;
    if let Some(limit) = number_in(c"/proc/sys/fs/inotify/max_user_watches") {
        write!(printer, "; a user may have {limit}")?;
    }
    if let Some(limit) = number_in(c"/proc/sys/fs/inotify/max_user_instances") {
        write!(printer, " and {limit}")?;
    }
    printer.write_str("\n")
}

fn number_in(path: &CStr) -> Option<u64> {
    let file = fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 32];
    let length = rustix::io::read(&file, &mut buffer).ok()?;
    parse_number(buffer[..length].trim_ascii(), 10)
}

/// A root as the sidecar sees it.
struct Root<'r> {
    path: &'r [u8],
    kind: &'static str,
    file_system: &'static str,
    files: u32,
    directories: u32,
    watches: u64,
    noticed_by: &'static str,
    /// Why a change would go unnoticed.
    obstacle: Option<&'static str>,
}

impl<'r> Root<'r> {
    // Not inlined: keeps the watch's tables off the stack of what checks the processes.
    #[inline(never)]
    fn scan(path: &'r [u8], poll: PollInterval, report: &mut Report) -> Self {
        let mut watch = Watch::new();
        let _ = watch.scan(ScanContext {
            roots: CommaList::new(path),
            // Nothing sees this fingerprint.
            secret: Secret::new([0; 16]),
            now: sys::now(),
            openings: &mut OpenWatches::disabled(),
            changes: &mut Changes::new(),
            report,
            meanwhile: &mut |_| false,
        });
        let (kind, file_system) = kind(path);
        let (noticed_by, obstacle) = noticed_by(&watch, poll);
        let found = watch.last();
        Self {
            path,
            kind,
            file_system,
            files: found.files,
            directories: found.directories,
            watches: watch.watches() as u64,
            noticed_by,
            obstacle,
        }
    }
}

impl Display for Root<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "  {:<12}{:<13}{:<8}{:<13}{:<14}{}",
            self.kind,
            self.file_system,
            u64::from(self.files),
            u64::from(self.directories),
            self.noticed_by,
            Printable(self.path)
        )
    }
}

/// Returns how changes to a root are noticed, and why some would not be.
fn noticed_by(watch: &Watch, poll: PollInterval) -> (&'static str, Option<&'static str>) {
    let compares = match poll {
        PollInterval::Never => false,
        PollInterval::Automatic => watch.is_blind(),
        PollInterval::Every(_) => true,
    };
    if watch.missing() > 0 {
        return ("nothing yet", Some("a root is missing or cannot be read"));
    }
    let obstacle = watch.obstacle(compares);
    let name = match (watch.is_refused(), compares) {
        (true, false) => "nothing",
        _ if obstacle.is_some() => "in part",
        (false, false) => "inotify",
        (false, true) => "both",
        (true, true) => "comparing",
    };
    (name, obstacle)
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
