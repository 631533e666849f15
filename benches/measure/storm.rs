//! Many writes to one file.

use super::{Tree, settings};
use crate::contestants::launch;
use crate::report::Table;
use crate::support::process::{Target, eventually};
use crate::watcher::Watcher;
use std::fs;
use std::io::Write;
use std::time::Instant;

pub fn measure(writes: usize) -> Table {
    let mut table = Table::new(
        "storm",
        format!("{writes} writes to one of this many files"),
        "processor time of the sidecar, s | writing, s | until all is at rest, s | signals",
    );
    for directories in [1, 1_000] {
        let tree = Tree::new(directories, 10);
        fs::write(&tree.file, "").unwrap();
        let mut target = Target::start(&tree.file);
        let mut sidecar = Watcher(launch(settings(tree.root(), &target.name)));
        sidecar.0.expect("watching");
        sidecar.0.wait_until_idle();
        let before = sidecar.usage();
        let start = Instant::now();
        for count in 1..=writes {
            // Not truncated: some file systems wait for the disk then.
            let mut file = fs::OpenOptions::new().write(true).open(&tree.file).unwrap();
            writeln!(file, "{count:06}").unwrap();
        }
        let writing = start.elapsed().as_secs_f64();
        sidecar.0.wait_until_idle();
        let until_idle = start.elapsed().as_secs_f64();
        let used = sidecar.usage().seconds_since(&before);
        let last = format!("{writes:06}");
        eventually("read to the end", || target.last() == Some(&last));
        let cells = [
            used.into(),
            writing.into(),
            until_idle.into(),
            target.count().into(),
        ];
        table.add(&(directories * 10).to_string(), cells);
    }
    table
}
