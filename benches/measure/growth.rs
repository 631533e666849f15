//! The growth of the times for arming and reading with the number of files.

use super::{READ, READ_AND_HASH, Tree, arming, settings, shell, timed};
use crate::report::Table;
use crate::rig::now;
use crate::sample::{Sample, in_turn};
use crate::support::process::Target;
use std::fs;
use std::io::Read;
use std::iter::successors;
use std::path::Path;

/// The largest size that is read in full.
const LARGE: usize = 8 << 20;
const LARGE_FILES: usize = 32;
/// The size of the sidecar's reads.
const PIECE: usize = 4096;

/// Returns the milliseconds from the close of a changed file to the handler, less the time for which the sidecar waits for quiet.
fn change(tree: &Tree, rounds: usize) -> Sample {
    // The default of RELOAD_SETTLE.
    const SETTLE_MS: f64 = 100.0;
    let mut target = Target::start(&tree.file);
    let settings = settings(tree.root(), &target.name).set("RELOAD_MIN_INTERVAL", "0");
    let mut sidecar = settings.start();
    let times = (0..=rounds).map(|round| {
        sidecar.wait_until_idle();
        fs::write(&tree.file, format!("{round}\n")).unwrap();
        let closed = now();
        let (_, handled, content) = target.signalled_at();
        assert_eq!(content, round.to_string(), "the newest content");
        (handled - closed) as f64 / 1e6 - SETTLE_MS
    });
    // The first only warms up.
    Sample::of(times.skip(1).collect())
}

/// Measures trees of 10 to `most` files and directories.
pub fn of_trees(rounds: usize, most: usize) -> Table {
    let mut table = Table::new(
        "growth",
        "from the start until everything is armed and read, and from a change to the handler without the settle time, ms",
        "so many files, 10 in a directory | so many directories, a file in each | one of the files changed, to the handler | find, cat, sha256sum of the files",
    );
    for size in successors(Some(10), |size| Some(size * 10)).take_while(|size| *size <= most) {
        let mut trees = [Tree::new(size / 10, 10), Tree::new(size, 1)];
        let arming = in_turn(rounds, &mut trees, |tree| arming(tree.root()));
        let [files, directories] = <[Sample; 2]>::try_from(arming).ok().unwrap();
        let tree = &trees[0];
        let change = change(tree, rounds);
        // The largest would take too long.
        let shell = (size <= 10_000).then(|| {
            let times = (0..rounds).map(|_| shell(READ_AND_HASH, tree.root()));
            Sample::of(times.collect())
        });
        let cells = [
            files.into(),
            directories.into(),
            change.into(),
            shell.into(),
        ];
        table.add(&size.to_string(), cells);
    }
    table.add_exponents();
    table
}

/// Reads all files with the sidecar's reads, and does nothing with the content.
fn read_in_pieces(root: &Path) {
    let mut piece = [0; PIECE];
    for entry in fs::read_dir(root).unwrap() {
        let mut file = fs::File::open(entry.unwrap().path()).unwrap();
        while file.read(&mut piece).unwrap() > 0 {}
    }
}

/// Measures the rate at which large files are read.
pub fn of_content(rounds: usize) -> Table {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for file in 0..LARGE_FILES {
        let content: Vec<u8> = (0..LARGE).map(|at| (at * (file + 3) / 7) as u8).collect();
        fs::write(root.join(format!("{file}.bin")), content).unwrap();
    }
    let gigabytes = (LARGE * LARGE_FILES) as f64 / 1e9;
    let mut ways: [(&str, &dyn Fn() -> f64); 4] = [
        ("sidecar", &|| arming(root)),
        ("the same reads without a hash", &|| {
            timed(|| read_in_pieces(root))
        }),
        ("find, cat", &|| shell(READ, root)),
        ("find, cat, sha256sum", &|| shell(READ_AND_HASH, root)),
    ];
    let samples = in_turn(rounds, &mut ways, |(_, way)| gigabytes / (way() / 1e3));
    let title = "32 files of 8 MiB from the page cache";
    let mut table = Table::new("content", title, "GB/s");
    for ((name, _), sample) in ways.iter().zip(samples) {
        table.add(name, [sample.into()]);
    }
    table
}
