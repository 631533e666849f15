//! Small operations on files, each as a system call or two and as a line of shell.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::PathBuf;

/// The way in which the bytes get into the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// It is emptied first, or made.
    Anew,
    /// Over what is there.
    InPlace,
    /// After what is there.
    Append,
}

/// One step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    Write(PathBuf, String, How),
    Remove(PathBuf),
    RemoveAll(PathBuf),
    MakeDirectory(PathBuf),
    RemoveDirectory(PathBuf),
    MakeFifo(PathBuf),
    Rename(PathBuf, PathBuf),
    /// Target, and the link's own path.
    Symlink(PathBuf, PathBuf),
    HardLink(PathBuf, PathBuf),
    Chmod(PathBuf, u32),
    Touch(PathBuf),
}

impl Act {
    pub fn run(&self) -> io::Result<()> {
        match self {
            Self::Write(path, content, how) => open(path, *how)?.write_all(content.as_bytes()),
            Self::Remove(path) => fs::remove_file(path),
            Self::RemoveAll(path) => fs::remove_dir_all(path),
            Self::MakeDirectory(path) => fs::create_dir(path),
            Self::RemoveDirectory(path) => fs::remove_dir(path),
            Self::MakeFifo(path) => {
                let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
                let kind = rustix::fs::FileType::Fifo;
                Ok(rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0)?)
            }
            Self::Rename(from, to) => fs::rename(from, to),
            Self::Symlink(target, path) => symlink(target, path),
            Self::HardLink(from, to) => fs::hard_link(from, to),
            Self::Chmod(path, mode) => fs::set_permissions(path, Permissions::from_mode(*mode)),
            Self::Touch(path) => {
                let now = rustix::fs::Timespec {
                    tv_sec: 0,
                    tv_nsec: rustix::fs::UTIME_NOW,
                };
                let times = rustix::fs::Timestamps {
                    last_access: now,
                    last_modification: now,
                };
                let flags = rustix::fs::AtFlags::empty();
                Ok(rustix::fs::utimensat(rustix::fs::CWD, path, &times, flags)?)
            }
        }
    }

    /// Returns true if this cannot change the content.
    pub fn is_harmless(&self) -> bool {
        matches!(self, Self::Chmod(..) | Self::Touch(_))
    }

    /// Returns true if a reader may see a state that exists neither before nor after, such as a truncated file. Call it before
    /// the operation.
    pub fn has_intermediate_state(&self) -> bool {
        matches!(self, Self::Write(path, _, How::Anew) if path.exists())
    }

    pub fn shell(&self) -> String {
        let show = |path: &PathBuf| quote(&path.display().to_string());
        let pair = |from, to| format!("{} {}", show(from), show(to));
        match self {
            Self::Write(path, content, How::Anew) => print(content, ">", &show(path)),
            Self::Write(path, content, How::InPlace) => print(content, "1<>", &show(path)),
            Self::Write(path, content, How::Append) => print(content, ">>", &show(path)),
            Self::Remove(path) => format!("rm {}", show(path)),
            Self::RemoveAll(path) => format!("rm -r {}", show(path)),
            Self::MakeDirectory(path) => format!("mkdir {}", show(path)),
            Self::RemoveDirectory(path) => format!("rmdir {}", show(path)),
            Self::MakeFifo(path) => format!("mkfifo {}", show(path)),
            Self::Rename(from, to) => format!("mv -T {}", pair(from, to)),
            Self::Symlink(target, path) => format!("ln -s {}", pair(target, path)),
            Self::HardLink(from, to) => format!("ln {}", pair(from, to)),
            Self::Chmod(path, mode) => format!("chmod {mode:o} {}", show(path)),
            Self::Touch(path) => format!("touch -c {}", show(path)),
        }
    }
}

/// A FIFO without a reader is refused instead of waited for.
pub fn open(path: &PathBuf, how: How) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .append(how == How::Append)
        .create(how != How::InPlace)
        .truncate(how == How::Anew)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
}

/// The shell's `printf` to somewhere; a long run of one character is made by `head`.
pub fn print(content: &str, to: &str, place: &str) -> String {
    match content.chars().next() {
        Some(first) if content.len() > 64 && content.chars().all(|char| char == first) => {
            let length = content.len();
            format!("head -c {length} /dev/zero | tr '\\0' {first} {to} {place}")
        }
        _ => format!("printf %s {} {to} {place}", quote(content)),
    }
}

pub fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-@".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}
