//! The diagnosis: what the sidecar sees, whom it would signal, and whether a change would be delivered now. Sends nothing.

use crate::base::file;
use crate::base::sys;
use crate::base::text::parse_number;
use crate::base::time::Instant;
use crate::base::words::Words;
use crate::config::{CommaList, Config, PollInterval};
use crate::confirm::OpenWatches;
use crate::mount;
use crate::process::{Proc, Process, Select, Verdict, guard};
use crate::report::Report;
use crate::report::old_log::{Level, Log};
use crate::watch::{Changes, Watch};
use crate::words;
use rustix::fs::{self, CWD, FileType, Mode, OFlags};
use rustix::io::Errno;
use rustix::process::{Pid, geteuid, getpid, test_kill_process};

const HIDDEN: Words = words!("/proc hides the processes of other users (hidepid)");
const NO_PID_FILE: Words =
    words!("PROCESS_PID_FILE has no process id in its first line, or cannot be read");
const NOT_PERMITTED: Words = words!(
    "run the sidecar with the process's uid (runAsUser), or as uid 0 with the capability KILL"
);
const NOT_SHARED: Words = words!(
    "other containers' processes cannot be seen from here; set shareProcessNamespace: true in the Pod"
);

fn name_matcher(line: &mut Log, config: &Config<'_>) {
    let matcher = &config.matcher;
    let mut name = |key: &str, value: Option<&[u8]>| {
        if let Some(value) = value {
            line.key(key, value);
        }
    };
    name("process_name", matcher.names.map(CommaList::as_bytes));
    name("process_cmdline", matcher.cmdline);
    name("process_pid_file", matcher.pid_file);
}

/// So many processes are named where none matches.
const OTHERS_MAX: u32 = 20;

/// Prints everything. Whether a change would be delivered now.
#[inline(never)]
pub fn check(config: &Config<'_>, proc: &Proc, report: &mut Report) -> bool {
    let line = plain(report).say(words!(
        "config-reloader-sidecar ",
        env!("CARGO_PKG_VERSION"),
        " as uid "
    ));
    line.number(geteuid().as_raw().into()).send();
    let roots = roots(config, report);
    let result = roots.and(processes(config, proc, report));
    match result {
        Ok(()) => report
            .old
            .print(words!("\nA change would be delivered now.\n")),
        Err(why) => {
            report
                .old
                .print(words!("\nA change would NOT be delivered now: "));
            plain(report).say(why).say(words!(".")).send();
        }
    }
    result.is_ok()
}

fn plain(report: &mut Report) -> &mut Log {
    report.old.line(Level::Info)
}

// Roots.

fn roots(config: &Config<'_>, report: &mut Report) -> Result<(), Words> {
    report.old.print(words!(
        "\nroots\n  KIND        FILE SYSTEM  FILES   DIRECTORIES  NOTICED BY    PATH\n"
    ));
    let mut result = Ok(());
    let mut watches = 0;
    for root in config.roots.iter() {
        let mut watch = Watch::new();
        watch.look(
            CommaList::new(root),
            sys::now(),
            &mut OpenWatches::disabled(),
            &mut Changes::new(),
            report,
            &|| false,
        );
        watches += watch.watches();
        result = result.and(row(config, root, &watch, report));
    }
    if mount::report_sub_paths(config.roots, report) {
        result = result.and(Err(words!("a subPath mount never changes")));
    }
    let line = plain(report).say(words!("  inotify: "));
    line.number(watches as u64)
        .say(words!(" watches and 2 instances are needed"));
    for (limit, words) in [
        (
            c"/proc/sys/fs/inotify/max_user_watches",
            words!("; a user may have "),
        ),
        (c"/proc/sys/fs/inotify/max_user_instances", words!(" and ")),
    ] {
        if let Some(number) = number_in(limit) {
            line.say(words).number(number);
        }
    }
    line.send();
    result
}

#[inline(never)]
fn row(config: &Config<'_>, root: &[u8], watch: &Watch, report: &mut Report) -> Result<(), Words> {
    let look = watch.last();
    let (kind, file_system) = kind(root);
    let polls = match config.poll {
        PollInterval::Never => false,
        PollInterval::Automatic => watch.is_blind(),
        PollInterval::Every(_) => true,
    };
    let (noticed, result) = match (look.missing > 0, watch.is_refused(), polls) {
        (true, ..) => (
            words!("nothing yet"),
            Err(words!("a root is missing or cannot be read")),
        ),
        (_, false, false) => (words!("inotify"), Ok(())),
        (_, false, true) => (words!("both"), Ok(())),
        (_, true, true) => (words!("comparing"), Ok(())),
        (_, true, false) => (
            words!("nothing"),
            Err(words!("inotify is refused, and CONFIG_POLL_INTERVAL is 0")),
        ),
    };
    let line = plain(report)
        .say(words!("  "))
        .say(kind)
        .column(14)
        .value(file_system);
    line.column(27).number(look.files.into());
    line.column(35).number(look.directories.into());
    line.column(48).say(noticed).column(62).value(root).send();
    result
}

/// What a root is, and on what file system.
fn kind(root: &[u8]) -> (Words, &'static [u8]) {
    let Ok(located) = file::open_path(root, OFlags::PATH) else {
        return (words!("missing"), b"-");
    };
    let file_system =
        fs::fstatfs(&located).map_or(&b"?"[..], |stat| mount::file_system(stat.f_type as u64).0);
    let is_directory = fs::fstat(&located)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory);
    // What the kubelet's AtomicWriter makes in every volume.
    let kind = match fs::readlinkat_raw(&located, c"..data", &mut [0; 1]) {
        Ok(_) => words!("Kubernetes"),
        _ if is_directory => words!("directory"),
        _ => words!("file"),
    };
    (kind, file_system)
}

#[inline(never)]
fn number_in(path: &core::ffi::CStr) -> Option<u64> {
    let file = fs::openat(CWD, path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).ok()?;
    let mut buffer = [0; 32];
    let length = rustix::io::read(&file, &mut buffer).ok()?;
    parse_number(buffer[..length].trim_ascii(), 10)
}

// Processes.

#[inline(never)]
fn processes(config: &Config<'_>, proc: &Proc, report: &mut Report) -> Result<(), Words> {
    report.old.print(words!("\nprocesses\n"));
    let line = plain(report).say(words!("  PID     PARENT  UID     AGE    "));
    line.value(config.signal.name().as_bytes());
    line.column(44)
        .say(words!("SIGNALLED                         NAME"))
        .send();
    let now = sys::now();
    let mut obstacle = None;
    let mut ready = 0;
    let scanned = proc.select(
        &config.matcher,
        Select::All,
        &mut |process| match candidate(process, config, proc, now, report) {
            Some(Ok(())) => ready += 1,
            Some(Err(why)) => obstacle = obstacle.or(Some(why)),
            None => {}
        },
    );
    let scanned = scanned.unwrap_or_default();
    if scanned.selected == 0 {
        name_matcher(plain(report).say(words!("  none matches")), config);
        report.old.send();
        plain(report).say(words!("  there are:"));
    }
    // So that it can be seen what the right name is.
    let mut count = 0;
    let _ = proc.each(&mut |process| {
        count += 1;
        if scanned.selected == 0 && count <= OTHERS_MAX {
            report.old.say(words!(" ")).value(process.comm.as_bytes());
        }
    });
    if scanned.selected == 0 {
        report
            .old
            .say(if count > OTHERS_MAX {
                words!(" and more")
            } else {
                Words::NONE
            })
            .send();
    }
    let mut is_hidden = false;
    mount::each(&mut |mount| is_hidden |= mount.hides_processes());
    let is_shared = getpid() != Pid::INIT && count > 0;
    if is_shared {
        let line = plain(report).say(words!("  the namespace is shared: "));
        line.number(count.into())
            .say(words!(" other processes are seen"))
            .send();
    } else if !is_hidden {
        report.old.line(Level::Warn).say(NOT_SHARED).send();
    }
    if is_hidden {
        report.old.line(Level::Warn).say(HIDDEN).send();
    }
    match (ready, obstacle) {
        _ if scanned.no_pid_file => Err(NO_PID_FILE),
        (_, Some(why)) => Err(why),
        (0, None) if !is_shared && !is_hidden => Err(words!("the process namespace is not shared")),
        (0, None) => Err(words!("no process matches")),
        (_, None) => Ok(()),
    }
}

/// One line. What is in the way of a signal to it; `None` where it would get none for another reason.
fn candidate(
    process: &Process,
    config: &Config<'_>,
    proc: &Proc,
    now: Instant,
    report: &mut Report,
) -> Option<Result<(), Words>> {
    let status = proc.status(process.pid).unwrap_or_default();
    let verdict = guard(process.pid, config.signal, &status, proc);
    let age_ms = now.since(process.start);
    // A process file names this one process, whoever its ancestors are.
    let is_selected = config.matcher.pid_file.is_some()
        || proc.is_selected(process, &config.matcher, config.select);
    let obstacle = if !is_selected {
        Some(words!("an ancestor matches"))
    } else if test_kill_process(process.pid) == Err(Errno::PERM) {
        report.old.line(Level::Warn).say(NOT_PERMITTED).send();
        Some(words!("not permitted"))
    } else if age_ms < config.min_age {
        Some(words!("younger than PROCESS_MIN_AGE"))
    } else if config.guard && verdict == Verdict::Hold {
        Some(words!("the signal would end or stop it"))
    } else {
        None
    };
    let pid = |pid: Option<Pid>| pid.map_or(0, |pid| pid.as_raw_nonzero().get() as u64);
    let line = plain(report)
        .say(words!("  "))
        .number(pid(Some(process.pid)));
    line.column(10).number(pid(process.parent));
    line.column(18).number(status.uid.into());
    // In seconds, minutes or hours.
    let mut age = age_ms.as_secs();
    let mut unit: &[u8] = b"smh";
    while let [_, larger @ ..] = unit
        && !larger.is_empty()
        && age >= 120
    {
        age /= 60;
        unit = larger;
    }
    line.column(26).number(age).value(&unit[..1]);
    line.column(33)
        .value(status.disposition(config.signal).name().as_bytes());
    line.column(44);
    match obstacle {
        Some(why) => line.say(words!("no: ")).say(why),
        None if verdict == Verdict::SendIgnored => line.say(words!("yes, in vain")),
        None => line.say(words!("yes")),
    };
    line.column(78).value(process.comm.as_bytes()).send();
    is_selected.then_some(obstacle.map_or(Ok(()), Err))
}
