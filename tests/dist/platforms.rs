//! The programs, the images and the OCI layout of every platform.

use crate::support::docs;
use crate::{command, dist, read, shell, succeed};
use object::{Architecture, Object};
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

struct Platform {
    name: &'static str,
    triple: &'static str,
    /// Its name in an image's configuration.
    architecture: &'static str,
    variant: Option<&'static str>,
    machine: Architecture,
}

const PLATFORMS: [Platform; 6] = [
    platform("amd64", "x86_64-unknown-linux-musl", Architecture::X86_64),
    platform("arm64", "aarch64-unknown-linux-musl", Architecture::Aarch64),
    Platform {
        architecture: "arm",
        variant: Some("v7"),
        ..platform(
            "arm/v7",
            "armv7-unknown-linux-musleabihf",
            Architecture::Arm,
        )
    },
    platform(
        "riscv64",
        "riscv64gc-unknown-linux-musl",
        Architecture::Riscv64,
    ),
    platform(
        "ppc64le",
        "powerpc64le-unknown-linux-musl",
        Architecture::PowerPc64,
    ),
    platform("s390x", "s390x-unknown-linux-musl", Architecture::S390x),
];

const fn platform(name: &'static str, triple: &'static str, machine: Architecture) -> Platform {
    Platform {
        name,
        triple,
        architecture: name,
        variant: None,
        machine,
    }
}

impl Platform {
    fn file(&self, extension: &str) -> std::path::PathBuf {
        let name = env!("CARGO_PKG_NAME");
        let version = env!("CARGO_PKG_VERSION");
        let platform = self.name.replace('/', "-");
        dist().join(format!("{name}-{version}-linux-{platform}{extension}"))
    }
}

#[test]
fn the_checksums_cover_every_file() {
    succeed(&mut shell(&command("sha256sum "), &dist()));
    let listed = read(dist().join("SHA256SUMS"));
    let mut listed: Vec<&str> = listed
        .lines()
        .map(|line| line.split_once("  ").unwrap().1)
        .collect();
    let found = succeed(&mut shell(
        "find * -type f ! -name SHA256SUMS | LC_ALL=C sort",
        &dist(),
    ));
    listed.sort_unstable();
    assert_eq!(listed, found.lines().collect::<Vec<_>>());
}

#[test]
fn every_program_is_static_and_of_its_platform() {
    use object::read::elf::ProgramHeader;
    for platform in PLATFORMS {
        let bytes = fs::read(platform.file("")).unwrap();
        let file = object::File::parse(&*bytes).unwrap();
        assert_eq!(file.architecture(), platform.machine, "{}", platform.name);
        let interpreter = match &file {
            object::File::Elf32(file) => file
                .elf_program_headers()
                .iter()
                .any(|it| it.p_type(file.endian()) == object::elf::PT_INTERP),
            object::File::Elf64(file) => file
                .elf_program_headers()
                .iter()
                .any(|it| it.p_type(file.endian()) == object::elf::PT_INTERP),
            _ => panic!("not ELF"),
        };
        assert!(!interpreter, "{}", platform.name);
    }
}

#[test]
fn every_image_contains_only_the_program_of_its_platform() {
    for platform in PLATFORMS {
        let directory = tempfile::tempdir().unwrap();
        tar(
            directory.path(),
            &["-xf", platform.file(".tar").to_str().unwrap()],
        );
        let manifest = &json(&directory.path().join("manifest.json"))[0];
        assert_eq!(
            manifest["RepoTags"],
            json!([concat!(
                "docker.io/library/",
                env!("CARGO_PKG_NAME"),
                ":",
                env!("CARGO_PKG_VERSION")
            )])
        );
        let layers = manifest["Layers"].as_array().unwrap();
        let layers = layers.iter().map(|layer| layer.as_str().unwrap());
        assert_image(
            &platform,
            directory.path(),
            manifest["Config"].as_str().unwrap(),
            layers,
        );
    }
}

#[test]
fn the_layout_contains_the_images_of_all_platforms() {
    let layout = dist().join("oci");
    let index = json(&layout.join("index.json"));
    let [tagged] = &index["manifests"].as_array().unwrap()[..] else {
        panic!("{index}")
    };
    assert_eq!(
        tagged["annotations"]["org.opencontainers.image.ref.name"],
        env!("CARGO_PKG_VERSION")
    );
    let blob = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap();
        format!("blobs/{}", digest.replace(':', "/"))
    };
    let list = json(&layout.join(blob(tagged)));
    let images = list["manifests"].as_array().unwrap();
    assert_eq!(images.len(), PLATFORMS.len());
    for (platform, image) in PLATFORMS.iter().zip(images) {
        assert_eq!(image["platform"]["architecture"], platform.architecture);
        assert_eq!(image["platform"]["variant"].as_str(), platform.variant);
        let manifest = json(&layout.join(blob(image)));
        let layers = manifest["layers"].as_array().unwrap().iter().map(blob);
        assert_image(platform, &layout, &blob(&manifest["config"]), layers);
    }
}

fn assert_image(
    platform: &Platform,
    directory: &Path,
    description: &str,
    layers: impl Iterator<Item = impl AsRef<str>>,
) {
    let description = json(&directory.join(description));
    assert_eq!(description["os"], "linux");
    assert_eq!(description["architecture"], platform.architecture);
    assert_eq!(description["variant"].as_str(), platform.variant);
    assert_eq!(description["config"].get("User"), None);
    assert_eq!(
        description["config"]["Entrypoint"],
        json!(["/config-reloader-sidecar"])
    );
    let mut files = String::new();
    let unpacked = tempfile::tempdir().unwrap();
    for layer in layers {
        let layer = directory.join(layer.as_ref());
        let layer = layer.to_str().unwrap();
        files += &tar(unpacked.path(), &["-tvf", layer, "--numeric-owner"]);
        tar(unpacked.path(), &["-xf", layer]);
    }
    let words: Vec<&str> = files.split_whitespace().collect();
    assert_eq!(
        (words.len(), words[0], words[1], words[5]),
        (6, "-rwxr-xr-x", "0/0", "config-reloader-sidecar"),
        "{files}"
    );
    assert!(
        fs::read(unpacked.path().join("config-reloader-sidecar")).unwrap()
            == fs::read(platform.file("")).unwrap(),
        "the program is not {}'s",
        platform.name
    );
}

#[test]
fn the_sizes_in_the_docs_are_right() {
    let section = docs::section("## Platforms");
    let rows: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    let size = |path| fs::metadata(path).unwrap().len();
    let expected: Vec<String> = PLATFORMS
        .iter()
        .map(|platform| {
            let bytes = [platform.file(""), platform.file(".tar")].map(size);
            let [program, image] = bytes.map(|bytes| bytes.div_ceil(1024));
            format!(
                "| linux/{} | `{}` | {program} KiB | {image} KiB |",
                platform.name, platform.triple,
            )
        })
        .collect();
    assert_eq!(rows, expected);
}

fn tar(directory: &Path, arguments: &[&str]) -> String {
    succeed(Command::new("tar").args(arguments).current_dir(directory))
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}
