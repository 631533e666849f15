//! Many writes to one file.

use super::{many_files, settings};
use crate::contestants::launch;
use crate::report::Report;
use crate::support::process::{Target, eventually};
use crate::watcher::Watcher;
use std::fs;
use std::io::Write;
use std::time::Instant;

pub fn of_writes(report: &mut Report, writes: usize) {
    let mut rows = Vec::new();
    for directories in [1, 1_000] {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let file = &many_files(root, directories, 10);
        fs::write(file, "").unwrap();
        let mut target = Target::start(file);
        let mut sidecar = Watcher(launch(settings(root, &target.name)));
        sidecar.0.expect("watching");
        sidecar.0.wait_at_rest();
        let before = sidecar.account();
        let start = Instant::now();
        for count in 1..=writes {
            // Without truncation, which some file systems answer with waiting for the disk.
            let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
            writeln!(file, "{count:06}").unwrap();
        }
        let writing = start.elapsed().as_secs_f64();
        sidecar.0.wait_at_rest();
        let wall = start.elapsed().as_secs_f64();
        let used = sidecar.account().seconds_since(&before);
        eventually("read to the end", || {
            target.last() == Some(&format!("{writes:06}"))
        });
        let cells = vec![
            used.into(),
            writing.into(),
            wall.into(),
            (target.count() as u64).into(),
        ];
        rows.push((format!("{}", directories * 10), cells));
    }
    let columns = [
        "processor time of the sidecar, s",
        "writing, s",
        "until all is at rest, s",
        "signals",
    ];
    report.table(
        "storm",
        &format!("{writes} writes to one of so many files"),
        &columns,
        rows,
    );
}
