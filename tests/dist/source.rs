//! The source archive builds the same bytes without a network.

use crate::runtimes::Podman;
use crate::{command, dist, repository, shell, succeed};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The archive, unpacked outside the repository, so that the build cannot use its files.
struct Sources {
    directory: tempfile::TempDir,
}

impl Sources {
    fn unpack() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let archive = concat!(
            env!("CARGO_PKG_NAME"),
            "-",
            env!("CARGO_PKG_VERSION"),
            "-vendored.tar.gz"
        );
        fs::copy(
            repository().join("target").join(archive),
            directory.path().join(archive),
        )
        .unwrap();
        succeed(&mut shell(&command("tar "), directory.path()));
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }
}

fn assert_distributed(program: &Path) {
    let name = concat!(
        env!("CARGO_PKG_NAME"),
        "-",
        env!("CARGO_PKG_VERSION"),
        "-linux-amd64"
    );
    assert!(
        fs::read(program).unwrap() == fs::read(dist().join(name)).unwrap(),
        "{} differs from the distributed program",
        program.display()
    );
}

#[test]
fn the_source_archive_builds_the_same_program() {
    let sources = Sources::unpack();
    let line = command("make --directory config-reloader-sidecar-0.1.0 build");
    // With an empty cargo home.
    let home = sources.path().join("cargo");
    succeed(shell(&line, sources.path()).env("CARGO_HOME", home));
    assert_distributed(&sources.path().join(
        "config-reloader-sidecar-0.1.0/target/x86_64-unknown-linux-musl/release/config-reloader-sidecar",
    ));
}

/// The image with Rust and a C toolchain only contains links to this machine's own, which are mounted.
#[test]
fn the_source_archive_builds_the_same_image() {
    let sources = Sources::unpack();
    let path = |command: &str| succeed(&mut shell(command, sources.path()));
    let cargo = path("dirname \"$(rustup which cargo)\"");
    let cargo = Path::new(cargo.trim());
    let rustup = path("rustup show home");
    let proxies = path("dirname \"$(command -v rustup)\"");
    let podman = Podman::with_volumes(&[
        ("/usr", "/usr"),
        ("/etc/alternatives", "/etc/alternatives"),
        (proxies.trim(), "/cargo/bin"),
        (rustup.trim(), "/rustup"),
    ]);
    assert!(cargo.starts_with(rustup.trim()), "cargo is rustup's");
    let root = sources.path().join("root");
    for directory in ["usr", "tmp", "cargo/bin", "rustup"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for name in ["bin", "lib", "lib64"] {
        symlink(format!("usr/{name}"), root.join(name)).unwrap();
    }
    let import = "tar --directory root --create . | podman import --quiet --change 'ENV PATH=/cargo/bin:/usr/bin' \
        --change 'ENV CARGO_HOME=/cargo' --change 'ENV RUSTUP_HOME=/rustup' - localhost/rust";
    succeed(&mut podman.command(import, sources.path()));

    let line = command("make --directory config-reloader-sidecar-0.1.0 image-from-source");
    let line = format!("{line} IMAGE_TOOL=podman IMAGE=built");
    // Without isolation, which may not work on this machine and is not needed.
    let mut make = podman.command(&line, sources.path());
    succeed(make.env("BUILDAH_ISOLATION", "chroot"));
    let save = "podman push --quiet built dir:image && cat image/manifest.json";
    let manifest = succeed(&mut podman.command(save, sources.path()));
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let [layer] = &manifest["layers"].as_array().unwrap()[..] else {
        panic!("{manifest}")
    };
    let layer = layer["digest"]
        .as_str()
        .unwrap()
        .trim_start_matches("sha256:");
    path(&format!("tar --extract --file image/{layer}"));
    assert_distributed(&sources.path().join("config-reloader-sidecar"));
}
