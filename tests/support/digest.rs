//! Everything that can be read below some roots, as one number: read in another way than the program under test reads it, so
//! that they do not share their mistakes.
//!
//! It covers relative names, types, and contents through links (W4). The entries of a volume that begin with two dots belong to
//! its writer.

use std::fs::{self, Metadata, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Of roots separated by commas, as in `CONFIG_DIR`.
pub fn digest(roots: &str) -> u64 {
    let mut all = Vec::new();
    for root in roots.split(',') {
        entry(Path::new(root), root.to_owned(), &mut Vec::new(), &mut all);
    }
    all.sort();
    let mut hasher = DefaultHasher::new();
    all.hash(&mut hasher);
    hasher.finish()
}

/// Adds what `path` leads to, under `name`, and everything below it. `above` are the directories that were entered on the way.
fn entry(path: &Path, name: String, above: &mut Vec<(u64, u64)>, all: &mut Vec<(String, Vec<u8>)>) {
    let what = match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => {
            let id = (metadata.dev(), metadata.ino());
            if above.contains(&id) {
                "a directory above".into()
            } else {
                above.push(id);
                for child in children(path) {
                    let name = format!("{name}/{}", child.display());
                    entry(&path.join(&child), name, above, all);
                }
                above.pop();
                "a directory".into()
            }
        }
        Ok(metadata) if metadata.is_file() => match content(path, &metadata) {
            Ok(content) => [b"a file: ", &*content].concat(),
            Err(_) => "unreadable".into(),
        },
        Ok(_) => "neither file nor directory".into(),
        Err(_) if path.symlink_metadata().is_ok() => "a link to nothing".into(),
        // Gone since its name was read, or a root that is not there.
        Err(_) => "nothing".into(),
    };
    all.push((name, what));
}

/// The names in a directory that count.
fn children(directory: &Path) -> Vec<PathBuf> {
    let is_volume = directory
        .join("..data")
        .symlink_metadata()
        .is_ok_and(|data| data.is_symlink());
    let names = fs::read_dir(directory).into_iter().flatten().flatten();
    names
        .map(|entry| PathBuf::from(entry.file_name()))
        .filter(|name| !(is_volume && name.as_os_str().as_bytes().starts_with(b"..")))
        .collect()
}

fn content(path: &Path, before: &Metadata) -> io::Result<Vec<u8>> {
    // A FIFO that took the file's place must not keep the reader waiting.
    let mut file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)?;
    let mut content = Vec::with_capacity(before.len() as usize);
    if file.metadata()?.is_file() {
        file.read_to_end(&mut content)?;
    }
    Ok(content)
}
