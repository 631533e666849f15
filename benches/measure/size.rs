//! Bytes on disk.

use crate::contestants::Contestant;
use crate::report::Table;
use std::fs;
use std::path::PathBuf;

pub fn measure(contestants: &[&Contestant]) -> Table {
    let mut table = Table::new(
        "size",
        "bytes: programs, and with the libraries and modules that they load",
        "its programs | the least image | files in it",
    );
    let bytes = |file: &PathBuf| fs::metadata(file).map_or(0, |metadata| metadata.len());
    for contestant in contestants {
        let files = contestant.files();
        let programs: u64 = contestant.paths().iter().map(bytes).sum();
        let image: u64 = files.iter().map(bytes).sum();
        let cells = [programs.into(), image.into(), files.len().into()];
        table.add(contestant.name, cells);
    }
    table
}
