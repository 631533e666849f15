//! The watched tree: what a scan finds, what it cannot read, and what inotify reports.

use super::Optional;
use crate::base::encode::{Bytes, Name};
use crate::report::Fact;
use crate::report::line::{Level, Line};
use crate::report::metrics::Metrics;
use core::fmt::{self, Display, Write};
use rustix::io::Errno;

/// Events of the tree and its watches.
#[derive(Clone, Copy)]
pub enum Watching<'f> {
    /// inotify reported an event.
    Event {
        /// The watch descriptor; -1 for an overflow.
        watch: i32,
        /// The entry's name; empty for the watched directory or file itself.
        name: &'f [u8],
        /// The names of the event's bits, as in inotify(7), separated by commas.
        events: &'f dyn Display,
    },
    /// The sum of the events read at once.
    Batch(&'static str),
    /// A scan begins.
    Scanning,
    /// The mount table has changed.
    MountsChanged,
    /// An inotify system call was refused. Only counted.
    CallRefused,
    /// inotify is refused, altogether or for part of the tree. Logged once for all refused calls.
    Refused(Errno),
    /// inotify works again.
    Works,
    /// The event queue overflowed.
    Overflowed {
        /// True if this was logged less than a minute ago.
        is_repeated: bool,
    },
    /// Events cannot be read.
    Unreadable(Errno),
    /// The number of roots. Only counted.
    Roots {
        /// Paths in CONFIG_DIR.
        count: u64,
        /// Those that are missing or cannot be read.
        missing: u64,
        /// Those that exceed a bound.
        exceeding: u64,
    },
    /// A root cannot be read.
    RootMissing {
        /// Its path, as in the settings.
        root: &'f [u8],
        /// Why.
        errno: Errno,
    },
    /// A root can be read again.
    RootBack {
        /// Its path, as in the settings.
        root: &'f [u8],
    },
    /// Every entry can be read again.
    AllReadable,
    /// A root is, contains or is inside a mount that never changes.
    Stale {
        /// The mount point.
        path: &'f [u8],
        /// It is a subPath mount; else it is a mount of a file that was replaced.
        is_sub_path: bool,
    },
}

/// A part of the tree in which changes may be missed.
#[derive(Clone, Copy)]
pub enum Gap<'f> {
    /// An entry cannot be read.
    Unreadable {
        /// Its path.
        path: &'f dyn Display,
        /// Why.
        errno: Errno,
        /// True if file descriptors or memory ran short, which passes.
        is_shortage: bool,
    },
    /// A directory may not be listed.
    Unlisted {
        /// Its path.
        path: &'f dyn Display,
    },
    /// A directory is too deep.
    TooDeep {
        /// Its path.
        path: &'f dyn Display,
        /// The number of levels watched.
        levels: u64,
    },
    /// A root exceeds a bound.
    Exceeded {
        /// The entry at which it was reached.
        path: &'f dyn Display,
        /// The bound.
        bound: Exceeded,
        /// Its amount.
        limit: u64,
    },
    /// Part of the tree is on a file system that other machines can change.
    Remote {
        /// Where.
        path: &'f dyn Display,
        /// The file system's name.
        file_system: &'static str,
    },
}

/// A bound of what is read below one root.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Exceeded {
    /// Entries listed.
    Entries,
    /// Names resolved, and entries below links.
    Links,
    /// Bytes read.
    Bytes,
    /// Processor time.
    Time,
}

/// Returns advice on an error, to continue the sentence; inotify(7), `/proc` interfaces.
fn advice(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::MFILE => Some(". Raise the limit of open files"),
        Errno::NFILE => Some(". Raise fs.file-max on the node"),
        Errno::NOSPC => Some(". Raise fs.inotify.max_user_watches on the node"),
        Errno::NOSYS => Some(". This kernel has no inotify"),
        Errno::ACCESS => Some(". Run the sidecar as a user who may read the directories"),
        _ => None,
    }
}

/// Returns advice for when inotify itself is refused.
fn inotify_advice(errno: Errno) -> Option<&'static str> {
    if errno == Errno::MFILE {
        Some(". Raise fs.inotify.max_user_instances on the node, or the limit of open files")
    } else {
        advice(errno)
    }
}

impl Fact for Watching<'_> {
    fn level(&self) -> Option<Level> {
        match self {
            Self::CallRefused | Self::Roots { .. } | Self::Overflowed { is_repeated: true } => None,
            Self::Event { .. } | Self::Batch(_) | Self::Scanning | Self::MountsChanged => {
                Some(Level::Debug)
            }
            Self::Works | Self::RootBack { .. } | Self::AllReadable => Some(Level::Info),
            Self::Refused(_)
            | Self::Overflowed { is_repeated: false }
            | Self::RootMissing { .. }
            | Self::Stale { .. } => Some(Level::Warn),
            Self::Unreadable(_) => Some(Level::Error),
        }
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Event {
                watch,
                name,
                events,
            } => {
                line.write_str("event")?;
                line.key_number("watch", watch as u64)
                    .key("name", name)
                    .key_display("events", events);
                Ok(())
            }
            Self::Batch(meaning) => line.write_str(meaning),
            Self::Scanning => line.write_str("reading everything"),
            Self::MountsChanged => line.write_str("the mount table has changed"),
            Self::Refused(errno) => write!(
                line,
                "inotify is refused: {}; comparing the content at intervals instead{}",
                Name(errno),
                Optional(inotify_advice(errno))
            ),
            Self::Works => line.write_str("inotify works again"),
            Self::Overflowed { .. } => line.write_str(
                "the inotify queue overflowed and events were lost; reading everything again. If this goes on, raise fs.inotify.max_queued_events on the node",
            ),
            Self::Unreadable(errno) => write!(
                line,
                "cannot read inotify events: {}; setting all watches again",
                Name(errno)
            ),
            Self::RootMissing { root, errno } => describe_missing(line, &Bytes(root), errno),
            Self::RootBack { root } => write!(line, "{} is there again", Bytes(root)),
            Self::AllReadable => line.write_str("every file can be read again"),
            Self::Stale { path, is_sub_path } => {
                let why = if is_sub_path {
                    "is a subPath mount, which Kubernetes never updates; mount the whole volume instead"
                } else {
                    "is a mount of what was replaced since, and keeps the old content; mount its directory instead"
                };
                write!(line, "{} {why}", Bytes(path))
            }
            Self::CallRefused | Self::Roots { .. } => Ok(()),
        }
    }

    fn count(&self, metrics: &mut Metrics) {
        match *self {
            Self::Event { .. } => metrics.watch_events_total += 1,
            Self::CallRefused | Self::Unreadable(_) => metrics.watch_errors_total += 1,
            Self::Overflowed { .. } => metrics.queue_overflows_total += 1,
            Self::Roots {
                count,
                missing,
                exceeding,
            } => {
                (metrics.roots, metrics.roots_missing) = (count, missing);
                metrics.roots_exceeding = exceeding;
            }
            Self::Batch(_)
            | Self::Scanning
            | Self::MountsChanged
            | Self::Refused(_)
            | Self::Works
            | Self::RootMissing { .. }
            | Self::RootBack { .. }
            | Self::AllReadable
            | Self::Stale { .. } => {}
        }
    }
}

impl Fact for Gap<'_> {
    fn level(&self) -> Option<Level> {
        Some(Level::Warn)
    }

    fn describe(&self, line: &mut Line) -> fmt::Result {
        match *self {
            Self::Unreadable {
                path,
                errno,
                is_shortage: true,
            } => write!(
                line,
                "cannot read {path}: {}; trying again at intervals{}",
                Name(errno),
                Optional(advice(errno))
            ),
            Self::Unreadable { path, errno, .. } => write!(
                line,
                "cannot read {path}: {}; using its size and time instead. Other unreadable files are not reported",
                Name(errno)
            ),
            Self::Unlisted { path } => write!(
                line,
                "cannot list {path}: EACCES; changes below it go unnoticed. Run the sidecar as the application's user, or with DAC_READ_SEARCH. Other such directories are not reported"
            ),
            Self::TooDeep { path, levels } => write!(
                line,
                "{path} is more than {levels} levels deep and is not watched. Other such directories are not reported"
            ),
            Self::Exceeded { path, bound, limit } => {
                let consequence = match bound {
                    Exceeded::Entries | Exceeded::Time => "watched",
                    Exceeded::Links => "followed",
                    Exceeded::Bytes => "read in full",
                };
                let amount = match bound {
                    Exceeded::Entries => "entries",
                    Exceeded::Links => "steps through links",
                    Exceeded::Bytes => "bytes",
                    Exceeded::Time => "seconds of processor time",
                };
                write!(
                    line,
                    "{path} and what follows it is not {consequence}: its root takes more than {limit} {amount}"
                )
            }
            Self::Remote { path, file_system } => write!(
                line,
                "{path} is on {file_system}, where inotify misses changes made elsewhere; comparing the content at intervals as well (CONFIG_POLL_INTERVAL)"
            ),
        }
    }
}

fn describe_missing(line: &mut Line, root: &dyn Display, errno: Errno) -> fmt::Result {
    if errno == Errno::NOENT {
        return write!(
            line,
            "cannot read {root}: ENOENT; is the volume mounted? Waiting for it"
        );
    }
    let (errno, advice) = (Name(errno), Optional(advice(errno)));
    write!(
        line,
        "cannot read {root}: {errno}; trying again at intervals{advice}"
    )
}
