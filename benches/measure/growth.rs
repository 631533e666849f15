//! Arming and reading, against how much there is.

use super::{HASH_SUM, READ, arming, many_files, settings, shell};
use crate::report::{Cell, Report};
use crate::rig::now;
use crate::sample::{Sample, growth, in_turn};
use crate::support::process::Target;
use std::fs;
use std::io::Read;
use std::path::Path;

/// The largest file that is read in full.
const LARGE: usize = 8 << 20;
const LARGE_FILES: usize = 32;
/// What the sidecar reads at once.
const PIECE: usize = 4096;

/// From the close of a changed file to the handler, without the time for which the sidecar waits for quiet, in milliseconds.
fn change(root: &Path, file: &Path, rounds: usize) -> Sample {
    // The sidecar's own default.
    const SETTLE_MS: f64 = 100.0;
    let mut target = Target::start(file);
    let settings = settings(root, &target.name).set("RELOAD_MIN_INTERVAL", "0");
    let mut sidecar = settings.start();
    let mut changes = [0];
    let samples = in_turn(rounds, &mut changes, |count| {
        *count += 1;
        sidecar.wait_at_rest();
        fs::write(file, format!("{count}\n")).unwrap();
        let closed = now();
        let (_, handled, content) = target.signalled_at();
        assert_eq!(content, count.to_string(), "the newest content");
        (handled - closed) as f64 / 1e6 - SETTLE_MS
    });
    samples.into_iter().next().unwrap()
}

/// From 10 to `most` files and directories.
pub fn of_trees(report: &mut Report, rounds: usize, most: usize) {
    let mut rows = Vec::new();
    let sizes = std::iter::successors(Some(10), |size| Some(size * 10));
    let sizes: Vec<usize> = sizes.take_while(|size| *size <= most).collect();
    for size in &sizes {
        let tree = |directories, files_each| {
            let tree = tempfile::tempdir().unwrap();
            let file = many_files(tree.path(), directories, files_each);
            (tree, file)
        };
        let mut trees = [tree(size / 10, 10), tree(*size, 1)];
        let arming = in_turn(rounds, &mut trees, |(tree, _)| arming(tree.path()));
        let (tree, file) = &trees[0];
        let beside =
            (*size <= 10_000).then(|| (0..rounds).map(|_| shell(HASH_SUM, tree.path())).collect());
        let cells = arming.into_iter().map(Cell::from);
        let cells = cells.chain([
            change(tree.path(), file, rounds).into(),
            beside.map(Sample::of).into(),
        ]);
        rows.push((size.to_string(), cells.collect::<Vec<_>>()));
    }
    let exponent = |column: usize| {
        let points = sizes
            .iter()
            .zip(&rows)
            .map(|(size, (_, cells))| (*size as f64, cells[column].number()));
        Cell::from(growth(&points.collect::<Vec<_>>()))
    };
    let exponents = (0..3).map(exponent).chain([Cell::None]).collect();
    rows.push(("growth exponent from 1,000".to_owned(), exponents));
    let columns = [
        "so many files, 10 in a directory",
        "so many directories, a file in each",
        "one of the files changed, to the handler",
        "find, cat, sha256sum of the files",
    ];
    let title = "from the start until everything is armed and read, ms; and when it is done again, without the time to settle";
    report.table("growth", title, &columns, rows);
}

/// The reads that the sidecar makes of a file, and nothing with what they give.
fn read_in_pieces(root: &Path) -> f64 {
    let start = std::time::Instant::now();
    let mut piece = [0; PIECE];
    for entry in fs::read_dir(root).unwrap() {
        let mut file = fs::File::open(entry.unwrap().path()).unwrap();
        while file.read(&mut piece).unwrap() > 0 {}
    }
    super::ms(start.elapsed())
}

pub fn of_content(report: &mut Report, rounds: usize) {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for file in 0..LARGE_FILES {
        let content: Vec<u8> = (0..LARGE).map(|at| (at * (file + 3) / 7) as u8).collect();
        fs::write(root.join(format!("{file}.bin")), content).unwrap();
    }
    let gigabytes = (LARGE * LARGE_FILES) as f64 / 1e9;
    let mut ways: [(&str, &dyn Fn() -> f64); 4] = [
        ("sidecar", &|| arming(root)),
        ("the same reads without a hash", &|| read_in_pieces(root)),
        ("find, cat", &|| shell(READ, root)),
        ("find, cat, sha256sum", &|| shell(HASH_SUM, root)),
    ];
    let samples = in_turn(rounds, &mut ways, |(_, way)| gigabytes / (way() / 1e3));
    let rows = ways
        .iter()
        .zip(samples)
        .map(|((name, _), sample)| ((*name).to_owned(), vec![sample.into()]));
    report.table(
        "content",
        "32 files of 8 MiB from the page cache",
        &["GB/s"],
        rows.collect(),
    );
}
