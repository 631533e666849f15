//! A directory, an application that reads a file in it, and the sidecar between them.

use super::process::{Settings, Talker, Target, eventually};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A directory with `app.conf`, a target that reads it, and a sidecar on `root` below the directory.
pub struct Scene {
    pub directory: tempfile::TempDir,
    pub target: Target,
    pub sidecar: Talker,
}

impl Scene {
    pub fn new(prepare: impl FnOnce(&Path) -> PathBuf) -> Self {
        Self::with(prepare, |settings| settings)
    }

    pub fn with(
        prepare: impl FnOnce(&Path) -> PathBuf,
        adapt: impl FnOnce(Settings) -> Settings,
    ) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("app.conf"), "start").unwrap();
        let root = prepare(directory.path());
        let target = Target::start(&directory.path().join("app.conf"));
        let settings = Settings::new(root, &target.name)
            .set("RELOAD_SETTLE", "20ms")
            .set("RELOAD_MIN_INTERVAL", "0");
        let sidecar = adapt(settings).start();
        Self {
            directory,
            target,
            sidecar,
        }
    }

    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Asserts that `action` is one change: the target is signalled, and reads `content` in `app.conf`.
    #[track_caller]
    pub fn changes(&mut self, what: &str, content: &str, action: impl FnOnce(&Self)) {
        let before = self.target.count();
        action(self);
        assert_eq!(
            self.target.signalled(),
            ("SIGHUP".to_owned(), content.to_owned()),
            "{what}"
        );
        assert_eq!(self.target.count(), before + 1, "{what}: one signal");
    }

    /// Asserts that `action` causes events but no change.
    #[track_caller]
    pub fn changes_nothing(&mut self, what: &str, action: impl FnOnce(&Self)) {
        let before = self.target.count();
        action(self);
        self.sidecar.expect("the content is the same");
        assert_eq!(self.target.count(), before, "{what}");
    }

    /// The sidecar has said `part` up to now.
    #[track_caller]
    pub fn says(&mut self, part: &str) {
        let seen = self.sidecar.seen();
        assert!(seen.iter().any(|line| line.contains(part)), "{seen:#?}");
    }

    /// Ends the sidecar as soon as it is at rest. Everything that it was to do it has done by then, so that its log, which is
    /// returned, holds every signal that it ever sent.
    #[track_caller]
    pub fn finish(mut self) -> Ending {
        self.sidecar.wait_until_idle();
        self.stop()
    }

    /// Ends a sidecar that never rests, because it compares at intervals.
    #[track_caller]
    pub fn stop(self) -> Ending {
        let (status, log) = self.sidecar.end();
        assert_eq!(status.code(), Some(0), "{log:#?}");
        Ending {
            target: self.target,
            log,
            _directory: self.directory,
        }
    }
}

/// The remains of a scene after its sidecar has ended.
pub struct Ending {
    pub target: Target,
    pub log: Vec<String>,
    _directory: tempfile::TempDir,
}

impl Ending {
    /// Returns the number of log lines that contain `part`.
    pub fn count(&self, part: &str) -> usize {
        self.log.iter().filter(|line| line.contains(part)).count()
    }

    /// The shortest pause between two lines of the log that hold `part`, to the millisecond.
    pub fn shortest_pause(&self, part: &str) -> Duration {
        const DAY_MS: u64 = 24 * 60 * 60 * 1000;
        // 2026-11-23T12:00:41.371Z
        let time_ms = |line: &str| {
            let number = |from: usize, to: usize| line[from..to].parse::<u64>().unwrap();
            ((number(11, 13) * 60 + number(14, 16)) * 60 + number(17, 19)) * 1000 + number(20, 23)
        };
        let lines = self.log.iter().filter(|line| line.contains(part));
        let times: Vec<u64> = lines.map(|line| time_ms(line)).collect();
        let pause = |pair: &[u64]| Duration::from_millis((DAY_MS + pair[1] - pair[0]) % DAY_MS);
        times.windows(2).map(pause).min().expect("two such lines")
    }

    /// Returns the number of signals sent, and asserts that the target saw `content` at the last one.
    #[track_caller]
    pub fn signals(&mut self, content: &str) -> usize {
        let log = self.log.join("\n");
        eventually(&format!("read {content:?}; the log:\n{log}"), || {
            self.target.last() == Some(content)
        });
        self.count("signal sent")
    }
}

/// The whole directory as the root.
pub fn whole(directory: &Path) -> PathBuf {
    directory.to_owned()
}

/// A directory with one file of configuration, for tests with targets of their own.
pub struct Config {
    pub directory: tempfile::TempDir,
    writes: u32,
}

impl Config {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("app.conf"), "start").unwrap();
        Self {
            directory,
            writes: 0,
        }
    }

    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub fn file(&self) -> PathBuf {
        self.directory.path().join("app.conf")
    }

    /// A sidecar on the directory that signals at once, as often as there is a change.
    pub fn settings(&self, name: &str) -> Settings {
        Settings::new(self.directory.path(), name)
            .set("RELOAD_SETTLE", "20ms")
            .set("RELOAD_MIN_INTERVAL", "0")
    }

    /// Writes new content and returns it.
    pub fn change(&mut self) -> String {
        self.writes += 1;
        let content = format!("write {}", self.writes);
        fs::write(self.file(), &content).unwrap();
        content
    }
}
