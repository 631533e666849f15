//! Arming and reading, against how much there is.

use super::{HASH_SUM, READ, arming, many_files, shell};
use crate::report::{Cell, Report};
use crate::sample::{Sample, growth, in_turn};
use std::fs;
use std::io::Read;
use std::path::Path;

/// The largest file that is read in full.
const LARGE: usize = 8 << 20;
const LARGE_FILES: usize = 32;
/// What the sidecar reads at once.
const PIECE: usize = 4096;

/// From 10 to `most` files and directories.
pub fn of_trees(report: &mut Report, rounds: usize, most: usize) {
    let mut rows = Vec::new();
    let mut points = [Vec::new(), Vec::new()];
    let sizes = std::iter::successors(Some(10), |size| Some(size * 10));
    for size in sizes.take_while(|size| *size <= most) {
        let tree = |directories, files_each| {
            let tree = tempfile::tempdir().unwrap();
            many_files(tree.path(), directories, files_each);
            tree
        };
        let mut trees = [tree(size / 10, 10), tree(size, 1)];
        let samples = in_turn(rounds, &mut trees, |tree| arming(tree.path()));
        for (points, sample) in points.iter_mut().zip(&samples) {
            points.push((size as f64, sample.median()));
        }
        let mut cells: Vec<Cell> = samples.into_iter().map(Cell::from).collect();
        let beside = (size <= 10_000).then(|| {
            Sample::of(
                (0..rounds)
                    .map(|_| shell(HASH_SUM, trees[0].path()))
                    .collect(),
            )
        });
        cells.push(beside.into());
        rows.push((format!("{size}"), cells));
    }
    let exponents = points.iter().map(|points| Cell::from(growth(points)));
    rows.push((
        "growth exponent from 1,000".to_owned(),
        exponents.chain([Cell::None]).collect(),
    ));
    let columns = [
        "so many files, 10 in a directory",
        "so many directories, a file in each",
        "find, cat, sha256sum of the files",
    ];
    report.table(
        "growth",
        "from the start until everything is armed and read, ms",
        &columns,
        rows,
    );
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
