//! The project's promises about itself: size, memory, one place for `unsafe`, true documentation.

use crate::support::docs::{documentation, section};
use crate::support::process::{Settings, Target, example};
use crate::support::recipes::{RECIPES, Recipe};
use crate::support::{is_emulated, program};
use config_reloader_sidecar::config::SETTINGS;
use object::{Object, ObjectSymbol};
use rustix::process::{Pid, Signal};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The target for which the program under test was built, if it is the release for musl.
fn musl_target() -> Option<String> {
    let program = program();
    let triple = program.ancestors().nth(2)?.file_name()?.to_str()?;
    triple.ends_with("-musl").then(|| triple.to_owned())
}

#[test]
fn the_program_has_no_allocator() {
    let Some(triple) = musl_target() else {
        eprintln!("only the static program carries all its symbols; see make test");
        return;
    };
    // The same program with its symbols.
    let directory = repository().join("target/symbols");
    let status = Command::new(env!("CARGO"))
        .args([
            "build",
            "--quiet",
            "--release",
            "--target",
            &triple,
            "--target-dir",
        ])
        .arg(&directory)
        .env("CARGO_PROFILE_RELEASE_STRIP", "none")
        .current_dir(repository())
        .status()
        .unwrap();
    assert!(status.success());
    let bytes = fs::read(
        directory
            .join(triple)
            .join("release/config-reloader-sidecar"),
    )
    .unwrap();
    let file = object::File::parse(&*bytes).unwrap();
    let names: Vec<_> = file
        .symbols()
        .filter_map(|symbol| symbol.name().ok().map(str::to_owned))
        .collect();
    assert!(names.iter().any(|name| name == "main"), "symbols are there");
    for allocator in [
        "malloc",
        "calloc",
        "realloc",
        "free",
        "brk",
        "__rust_alloc",
        "mmap",
    ] {
        assert!(
            !names.iter().any(|name| name.contains(allocator)),
            "{allocator} is in the program"
        );
    }
}

#[test]
fn the_program_is_one_static_file_with_its_protections() {
    if musl_target().is_none() {
        eprintln!("only the release for musl is static; see make test");
        return;
    }
    use object::read::elf::{FileHeader, ProgramHeader};
    let bytes = fs::read(program()).unwrap();
    let header = object::elf::FileHeader64::<object::Endianness>::parse(&*bytes).unwrap();
    let endian = header.endian().unwrap();
    // Rust's other musl targets do not link static programs that are position-independent.
    if header.e_machine(endian) == object::elf::EM_X86_64 {
        assert_eq!(
            header.e_type(endian),
            object::elf::ET_DYN,
            "position-independent"
        );
    }
    let segments = header.program_headers(endian, &*bytes).unwrap();
    let find = |kind| {
        segments
            .iter()
            .find(|segment| segment.p_type(endian) == kind)
    };
    assert!(find(object::elf::PT_INTERP).is_none(), "static");
    assert!(
        find(object::elf::PT_GNU_RELRO).is_some(),
        "read-only after relocation"
    );
    let stack = find(object::elf::PT_GNU_STACK).expect("a stack segment");
    assert_eq!(
        stack.p_flags(endian) & object::elf::PF_X,
        0,
        "no executable stack"
    );
    for segment in segments {
        let both = object::elf::PF_W | object::elf::PF_X;
        assert_ne!(
            segment.p_flags(endian) & both,
            both,
            "nothing is writable and executable"
        );
    }
}

#[test]
fn relocated_data_is_read_only() {
    if musl_target().is_none() || is_emulated() {
        eprintln!("only the release for musl, run by the kernel itself, does that; see make test");
        return;
    }
    let config = tempfile::tempdir().unwrap();
    let sidecar = Settings::new(config.path(), "nobody").start();
    let process = format!("/proc/{}", sidecar.pid().as_raw_nonzero());
    let maps = fs::read_to_string(format!("{process}/maps")).unwrap();
    let own = maps.lines().filter(|line| line.contains("sidecar"));
    let permissions: Vec<_> = own
        .map(|line| line.split(' ').nth(1).unwrap().to_owned())
        .collect();
    // Constants; code; what was relocated; variables.
    assert_eq!(permissions, ["r--p", "r-xp", "r--p", "rw-p"], "{maps}");
}

/// The most KiB that may be resident, as the README states.
const RESIDENT_KIB: u64 = 176;

#[test]
fn l4_with_every_option_on_and_everything_done_once_memory_is_within_the_budget() {
    if musl_target().is_none() || is_emulated() {
        eprintln!(
            "only the release for musl, run by the kernel itself, is this small; see make test"
        );
        return;
    }
    let tree = tempfile::tempdir().unwrap();
    let deep = deep_and_wide(tree.path());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let mut target = Target::start(&deep);
    let roots = format!("{},/nonexistent/{}", tree.path().display(), target.name);
    let mut sidecar = Settings::new(roots, &target.name)
        .set("PROCESS_CMDLINE", &target.name)
        .set("RELOAD_CONFIRM", "retry")
        .set("RELOAD_MIN_INTERVAL", "0")
        .set("CONFIG_HASH_KEY", "a key of the test")
        .set("LISTEN_ADDR", &address)
        .set("LOG_FORMAT", "json")
        .start();
    let ask = |page: &str| {
        let mut stream = TcpStream::connect(&address).unwrap();
        let request = format!("GET {page} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
    };
    for content in ["one", "two"] {
        fs::write(&deep, content).unwrap();
        assert_eq!(target.signalled().1, content);
        sidecar.expect("reload confirmed");
        for page in ["/metrics", "/readyz", "/healthz", "/none"] {
            ask(page);
        }
    }
    sidecar.signal(Signal::USR1);
    target.signalled();
    drop(target);
    fs::write(&deep, "pending").unwrap();
    sidecar.expect("reload pending");
    for page in ["/metrics", "/readyz"] {
        ask(page);
    }
    let resident = resident_kib(sidecar.pid());
    println!("{resident} KiB are resident");
    assert!(
        resident > 0 && resident <= RESIDENT_KIB,
        "{resident} KiB are resident"
    );
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains(&format!("holds at most {RESIDENT_KIB} KiB of memory")));
}

/// Makes 16 levels of directories, a chain of links on each, and ten thousand files. Returns a file at the lowest level.
fn deep_and_wide(root: &Path) -> PathBuf {
    let mut level = root.to_owned();
    for _ in 1..16 {
        for link in 0..30 {
            let target = if link == 0 {
                ".".to_owned()
            } else {
                format!("link{}", link - 1)
            };
            std::os::unix::fs::symlink(target, level.join(format!("link{link}"))).unwrap();
        }
        level.push("a".repeat(100));
        fs::create_dir(&level).unwrap();
    }
    for directory in 0..100 {
        let directory = root.join(directory.to_string());
        fs::create_dir(&directory).unwrap();
        for file in 0..100 {
            fs::write(directory.join(file.to_string()), "content").unwrap();
        }
    }
    let file = level.join("app.conf");
    fs::write(&file, "start").unwrap();
    file
}

/// The memory of a process that is resident. The kernel's quick count in `status` may be off by many pages; this one is exact.
fn resident_kib(process: Pid) -> u64 {
    let path = format!("/proc/{}/smaps_rollup", process.as_raw_nonzero());
    let maps = fs::read_to_string(path).unwrap();
    let line = maps.lines().find(|line| line.starts_with("Rss:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn sources(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

#[test]
fn unsafe_stands_in_one_module_and_the_entry_point_with_a_reason_each() {
    for path in sources(&repository().join("src")) {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let allowed = path.ends_with("src/base/sys.rs") || path.ends_with("src/main.rs");
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap();
            let is_unsafe = code.contains("unsafe {")
                || code.contains("unsafe(")
                || code.contains("unsafe extern");
            if !is_unsafe {
                continue;
            }
            let place = format!("{}:{}", path.display(), at + 1);
            assert!(allowed, "{place}: unsafe belongs into src/base/sys.rs");
            let reason = lines[..at]
                .iter()
                .rev()
                .take(6)
                .any(|line| line.contains("SAFETY:") || line.contains("# Safety"));
            assert!(
                reason || code.contains("unsafe extern"),
                "{place}: no SAFETY comment"
            );
        }
    }
}

#[test]
fn the_docs_list_every_setting() {
    let documentation = documentation();
    for setting in &SETTINGS {
        let beginning = format!("| `{}` |", setting.name);
        let rows = documentation
            .lines()
            .filter(|line| line.starts_with(&beginning));
        let mut defaults = rows.map(|row| row.split('|').nth(2).unwrap().trim().trim_matches('`'));
        assert!(defaults.clone().next().is_some(), "{}", setting.name);
        assert!(
            defaults.all(|default| default == setting.default),
            "{}",
            setting.name
        );
    }
}

#[test]
fn the_docs_show_every_recipe_that_is_tested() {
    let section = section("## Recipes");
    let shown: Vec<&str> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .collect();
    let tested: Vec<String> = RECIPES.iter().map(Recipe::row).collect();
    assert_eq!(shown, tested);
}

/// The most KiB that the program may have, as stated in the README.
const SIZE_KIB: u64 = 112;

#[test]
fn the_program_is_within_its_size() {
    let Some(target) = musl_target() else {
        eprintln!("the limit is for the release for musl; see make test");
        return;
    };
    if !target.starts_with("x86_64") {
        eprintln!("the limit is for x86_64, not for {target}");
        return;
    }
    let bytes = fs::metadata(program()).unwrap().len();
    assert!(bytes <= SIZE_KIB << 10, "{bytes} bytes");
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains(&format!("one static file under {SIZE_KIB} KiB")));
}

#[test]
fn the_docs_explain_every_alert() {
    let rules =
        fs::read_to_string(repository().join("deploy/monitoring/prometheusrule.yaml")).unwrap();
    let alerts = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "));
    let alerts: Vec<&str> = alerts.collect();
    let section = section("## Alerts and a dashboard");
    let explained: Vec<&str> = section
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .collect();
    assert_eq!(explained, alerts);
    let runbooks = rules
        .lines()
        .filter_map(|line| line.trim().strip_prefix("runbook_url: "));
    let runbooks: Vec<&str> = runbooks.collect();
    let anchors = alerts
        .iter()
        .map(|alert| format!("docs/observability.md#{}", alert.to_lowercase()));
    assert_eq!(runbooks, anchors.collect::<Vec<_>>());
}

#[test]
fn the_picture_in_the_readme_shows_the_demo() {
    let output = Command::new(example("demo"))
        .env("SIDECAR", program())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}");
    let demo = printed.lines().filter(|line| !line.is_empty());
    let demo: Vec<String> = demo.map(without_numbers).collect();
    let picture = fs::read_to_string(repository().join("tests/demo/demo.svg")).unwrap();
    // Each line stands in it once, as it first appears; those with nothing but the cursor are blank.
    let shown = picture.split("<g id=\"").skip(1).map(|group| {
        let (group, _) = group.split_once("</g>").unwrap();
        let pieces = group.split("<text ").skip(1).map(|piece| {
            let (_, text) = piece.split_once('>').unwrap();
            text.split_once("</text>").unwrap().0
        });
        without_numbers(&pieces.collect::<String>())
    });
    let shown: Vec<String> = shown.filter(|line| !line.is_empty()).collect();
    assert_eq!(shown[0], "$ make demo");
    assert_eq!(shown[1..], demo, "make picture records it anew");
    let readme = fs::read_to_string(repository().join("README.md")).unwrap();
    assert!(readme.contains("](tests/demo/demo.svg)"));
}

/// Strips the parts that differ between runs.
fn without_numbers(line: &str) -> String {
    let mut kept = String::new();
    for character in line.trim().chars() {
        let is_digit = character.is_ascii_digit();
        if !(is_digit && kept.ends_with('0')) {
            kept.push(if is_digit { '0' } else { character });
        }
    }
    kept
}

/// A setting that the program knows and the admission policy does not would be refused, and the component would not pass it on.
#[test]
fn policy_and_component_know_every_setting() {
    let read = |path: &str| fs::read_to_string(repository().join("deploy").join(path)).unwrap();
    let (policy, component) = (
        read("policy/validation.yaml"),
        read("component/sidecar.yaml"),
    );
    for setting in &SETTINGS {
        let annotation = setting.name.to_lowercase().replace('_', "-");
        assert!(
            policy.contains(&format!("  '{annotation}': ['")),
            "{annotation}"
        );
        assert!(
            component.contains(&format!("- name: {}\n", setting.name)),
            "{}",
            setting.name
        );
    }
}
