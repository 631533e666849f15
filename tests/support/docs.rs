//! The documentation, which tests compare with the program.

use std::fs;
use std::path::Path;

/// Returns README.md and the pages of docs/, each after an empty heading.
pub fn documentation() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = fs::read_dir(root.join("docs")).unwrap();
    let mut paths: Vec<_> = pages.map(|page| page.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.sort();
    let texts = [root.join("README.md")].into_iter().chain(paths);
    texts
        .map(|path| fs::read_to_string(path).unwrap() + "\n## \n")
        .collect()
}

/// Returns what stands below a heading, such as `## Logs`, up to the next of the second level.
#[track_caller]
pub fn section(heading: &str) -> String {
    let documentation = documentation();
    let (_, section) = documentation
        .split_once(&format!("\n{heading}\n"))
        .unwrap_or_else(|| panic!("no page has the heading {heading:?}"));
    section.split_once("\n## ").unwrap().0.to_owned()
}
