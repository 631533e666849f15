//! Bytes on disk.

use crate::contestants::{Contestant, FLOOR, SIDECAR};
use crate::report::Report;
use std::fs;
use std::path::Path;

pub fn of_all(report: &mut Report, others: &[&Contestant]) {
    let rows = [&FLOOR, &SIDECAR]
        .into_iter()
        .chain(others.iter().copied())
        .map(|contestant| {
            let bytes = |file: &Path| fs::metadata(file).map_or(0, |metadata| metadata.len());
            let files = contestant.files();
            let programs: u64 = contestant.paths().iter().map(|path| bytes(path)).sum();
            let all: u64 = files.iter().map(|file| bytes(file)).sum();
            let cells = vec![programs.into(), all.into(), (files.len() as u64).into()];
            (contestant.name.to_owned(), cells)
        });
    let columns = ["its programs", "the least image", "files in it"];
    report.table(
        "size",
        "bytes: programs, and with the libraries and modules that they load",
        &columns,
        rows.collect(),
    );
}
