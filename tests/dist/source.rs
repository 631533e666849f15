//! The packed sources build without a network, into the same bytes.

use crate::load::Podman;
use crate::{command, dist, repository, shell, succeed};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Unpacked outside of the repository, where nothing of it is found.
struct Sources {
    directory: tempfile::TempDir,
}

impl Sources {
    fn unpack() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let archive = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), "-vendored.tar.gz");
        fs::copy(repository().join("target").join(archive), directory.path().join(archive)).unwrap();
        succeed(&mut shell(&command("tar "), directory.path()));
        Self { directory }
    }

    /// With a home of cargo's in which there is nothing yet.
    fn command(&self, command: Command) -> Command {
        let mut command = command;
        command
            .current_dir(self.directory.path())
            .env("CARGO_HOME", self.directory.path().join("cargo"))
            .env_remove("SIDECAR")
            .env_remove("CARGO_MANIFEST_DIR");
        command
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn assert_distributed(program: &Path) {
    let name = concat!(env!("CARGO_PKG_NAME"), "-", env!("CARGO_PKG_VERSION"), "-linux-amd64");
    assert!(
        fs::read(program).unwrap() == fs::read(dist().join(name)).unwrap(),
        "{} is another program than the distributed one",
        program.display()
    );
}

#[test]
fn the_packed_sources_build_the_same_program() {
    let sources = Sources::unpack();
    let line = command("make --directory config-reloader-sidecar-0.1.0 build");
    succeed(&mut sources.command(shell(&line, sources.path())));
    assert_distributed(&sources.path().join("config-reloader-sidecar-0.1.0/target/x86_64-unknown-linux-musl/release/config-reloader-sidecar"));
}
