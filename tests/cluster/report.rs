//! The figures that `make cluster` prints at the end.

use std::fs;
use std::path::Path;

/// Adds a row.
pub fn row(name: &str, figures: &str) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/cluster/table");
    fs::create_dir_all(&directory).unwrap();
    let file = directory.join(name.replace(' ', "-"));
    fs::write(file, format!("{name}|{figures}\n")).unwrap();
}
