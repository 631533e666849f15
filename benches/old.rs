//! `make bench`: speed and memory of the release program that `SIDECAR` names, as one table. Nothing here fails for being slow:
//! what is compared is measured in the same run, turn and turn about, and figures are medians with their quartiles.

#[path = "../tests/support/mod.rs"]
mod support;

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use std::fmt;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::process::{Settings, Talker, Target, eventually};
use support::{program, unique_name};

/// Odd, so that the median is one of the measured values.
const ROUNDS: usize = 15;
const DIRECTORIES: usize = 1_000;
const FILES_EACH: usize = 10;
/// What a configuration file may have.
const FILE_SIZE: usize = 1_000;
/// The largest file that is read in full.
const LARGE: usize = 8 << 20;
const LARGE_FILES: usize = 32;
/// What the sidecar reads at once.
const PIECE: usize = 4096;
const WRITES: usize = 100_000;
/// Resident memory at 10,000 files is within this of that at 10.
const GROWTH_KIB: u64 = 16;
/// The sidecar's own default.
const SETTLE: Duration = Duration::from_millis(100);
/// The kernel tears the watches of an ended sidecar down in the background; the next round is not to pay for it.
const PAUSE: Duration = Duration::from_millis(50);

/// Values in ascending order.
struct Sample(Vec<f64>);

impl Sample {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        Self(values)
    }

    fn at(&self, share: f64) -> f64 {
        self.0[((self.0.len() - 1) as f64 * share).round() as usize]
    }

    fn median(&self) -> f64 {
        self.at(0.5)
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.at(0.25), self.at(0.75));
        write!(f, "{:.2} ({low:.2} to {high:.2})", self.median())
    }
}

/// One of `ROUNDS` measurements of each, in turn, after one of each that does not count.
fn in_turn<const N: usize>(mut measure: [&mut dyn FnMut() -> f64; N]) -> [Sample; N] {
    let mut values = [const { Vec::new() }; N];
    for round in 0..=ROUNDS {
        for (measure, values) in measure.iter_mut().zip(&mut values) {
            let value = measure();
            if round > 0 {
                values.push(value);
            }
        }
    }
    values.map(Sample::of)
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// A row of the table: what was measured, the sidecar's figure, what stands beside it, how they compare.
fn row(what: &str, sidecar: &str, beside: &str, ratio: &str) {
    println!("| {what} | {sidecar} | {beside} | {ratio} |");
}

fn times(sidecar: &Sample, other: &Sample) -> String {
    format!("{:.2}", sidecar.median() / other.median())
}

/// Small files in many directories, no two alike.
fn many_files(root: &Path, directories: usize) -> PathBuf {
    for directory in 0..directories {
        let path = root.join(format!("d{directory:04}"));
        fs::create_dir(&path).unwrap();
        for file in 0..FILES_EACH {
            let line = format!("setting-{directory}-{file} = value\n");
            let content = line.repeat(FILE_SIZE / line.len());
            fs::write(path.join(format!("app-{file}.conf")), content).unwrap();
        }
    }
    root.join("d0000/app-0.conf")
}

/// A sidecar with its defaults, but that it asks no process for its age.
fn settings(root: &Path, name: &str) -> Settings {
    Settings::new(root, name).set("VERBOSE", "false")
}

/// From the start of the program until it watches, in milliseconds.
fn arming(root: &Path) -> f64 {
    let start = Instant::now();
    let sidecar = settings(root, &unique_name()).start();
    let elapsed = ms(start.elapsed());
    let (_, log) = sidecar.end();
    let log = log.join("\n");
    assert!(
        !log.contains("inotify is refused"),
        "raise the limit: {log}"
    );
    sleep(PAUSE);
    elapsed
}

/// The time that a shell takes for `script`, in which `$0` is the directory, in milliseconds.
fn shell(script: &str, root: &Path) -> f64 {
    let start = Instant::now();
    let status = Command::new("sh")
        .args(["-c", script])
        .arg(root)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success(), "{script}");
    ms(start.elapsed())
}

const HASH_SUM: &str = r#"find "$0" -type f -exec cat {} + | sha256sum"#;
const READ: &str = r#"find "$0" -type f -exec cat {} + > /dev/null"#;

fn arming_beside_a_hash_sum(root: &Path) {
    let [sidecar, other] = in_turn([&mut || arming(root), &mut || shell(HASH_SUM, root)]);
    row(
        "arm and read 10,000 files in 1,000 directories, ms",
        &sidecar.to_string(),
        &format!("find, cat, sha256sum: {other}"),
        &times(&sidecar, &other),
    );
}

fn nanoseconds() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn one_file_among_many(root: &Path, file: &Path) {
    let mut target = Target::start(file);
    let mut sidecar = settings(root, &target.name)
        .set("RELOAD_MIN_INTERVAL", "0")
        .start();
    let mut count = 0;
    let mut change = || {
        count += 1;
        sidecar.wait_at_rest();
        fs::write(file, format!("{count}\n")).unwrap();
        let closed = nanoseconds();
        let (_, handled, content) = target.signalled_at();
        assert_eq!(content, count.to_string(), "the newest content");
        (handled - closed) as f64 / 1e6 - ms(SETTLE)
    };
    let [sidecar, other] = in_turn([&mut change, &mut || shell(HASH_SUM, root)]);
    row(
        "one of 10,000 files changed: close to handler, less the settle time, ms",
        &sidecar.to_string(),
        &format!("find, cat, sha256sum: {other}"),
        &times(&sidecar, &other),
    );
}

/// The processor time of a process that is asleep, in seconds; Documentation/scheduler/sched-stats.rst.
fn processor_time(process: &Talker) -> f64 {
    let pid = process.pid().as_raw_nonzero();
    let stat = fs::read_to_string(format!("/proc/{pid}/schedstat")).unwrap();
    let nanoseconds: f64 = stat.split(' ').next().unwrap().parse().unwrap();
    nanoseconds / 1e9
}

fn storm(what: &str, root: &Path, file: &Path) {
    fs::write(file, "").unwrap();
    let mut target = Target::start(file);
    let mut sidecar = settings(root, &target.name).start();
    sidecar.wait_at_rest();
    let before = processor_time(&sidecar);
    let start = Instant::now();
    for count in 1..=WRITES {
        // Without truncation, which some file systems answer with waiting for the disk.
        let mut file = fs::OpenOptions::new().write(true).open(file).unwrap();
        writeln!(file, "{count:06}").unwrap();
    }
    let writing = start.elapsed();
    sidecar.wait_at_rest();
    let wall = start.elapsed();
    let used = processor_time(&sidecar) - before;
    eventually("read to the end", || {
        target.last() == Some(&WRITES.to_string())
    });
    row(
        &format!("100,000 writes to one of {what} files: processor time, s"),
        &format!("{used:.3}, signals: {}", target.count()),
        &format!(
            "wall: {:.3}, writing {:.3} of it",
            wall.as_secs_f64(),
            writing.as_secs_f64()
        ),
        &format!("{:.3}", used / wall.as_secs_f64()),
    );
}

/// Kilobytes of `smaps_rollup`, which is exact: resident, the process's share of it, and its own.
fn memory(process: &Talker) -> [u64; 3] {
    let maps = fs::read_to_string(format!(
        "/proc/{}/smaps_rollup",
        process.pid().as_raw_nonzero()
    ))
    .unwrap();
    ["Rss:", "Pss:", "Anonymous:"].map(|name| {
        let line = maps.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    })
}

/// Idle, after one look and after a signal.
fn memory_of(root: &Path, file: &Path) -> [[u64; 3]; 2] {
    let mut target = Target::start(file);
    let mut sidecar = settings(root, &target.name).start();
    sidecar.wait_at_rest();
    let armed = memory(&sidecar);
    sidecar.signal(Signal::USR1);
    target.signalled();
    sidecar.expect("signal sent");
    sidecar.wait_at_rest();
    [armed, memory(&sidecar)]
}

fn memory_at(few: (&Path, &Path), many: (&Path, &Path)) {
    let show =
        |[resident, share, own]: [u64; 3]| format!("Rss {resident}, Pss {share}, Anonymous {own}");
    let (few, many) = (memory_of(few.0, few.1), memory_of(many.0, many.1));
    for (at, when) in ["armed", "after a signal"].into_iter().enumerate() {
        row(
            &format!("resident memory, idle, {when}: 10,000 files, KiB"),
            &show(many[at]),
            &format!("10 files: {}", show(few[at])),
            &format!("{:+} KiB", many[at][0] as i64 - few[at][0] as i64),
        );
    }
    for (few, many) in few.iter().zip(&many) {
        assert!(
            many[0] <= few[0] + GROWTH_KIB,
            "memory grows with the files: {many:?} after {few:?}"
        );
    }
}

/// The reads that the sidecar makes of a file, and nothing with what they give.
fn read_in_pieces(root: &Path) -> f64 {
    let start = Instant::now();
    let mut piece = [0; PIECE];
    for entry in fs::read_dir(root).unwrap() {
        let mut file = fs::File::open(entry.unwrap().path()).unwrap();
        while file.read(&mut piece).unwrap() > 0 {}
    }
    ms(start.elapsed())
}

fn hashing(root: &Path) {
    for file in 0..LARGE_FILES {
        let content: Vec<u8> = (0..LARGE).map(|at| (at * (file + 3) / 7) as u8).collect();
        fs::write(root.join(format!("{file}.bin")), content).unwrap();
    }
    let gigabytes = (LARGE * LARGE_FILES) as f64 / 1e9;
    let speed = |ms: f64| gigabytes / (ms / 1e3);
    let [sidecar, pieces, read, hash_sum] = in_turn([
        &mut || speed(arming(root)),
        &mut || speed(read_in_pieces(root)),
        &mut || speed(shell(READ, root)),
        &mut || speed(shell(HASH_SUM, root)),
    ]);
    let what = "start and read 32 files of 8 MiB from the page cache, GB/s";
    let beside = |what_else: &str, other: &Sample| {
        let ratio = times(&sidecar, other);
        row(
            what,
            &sidecar.to_string(),
            &format!("{what_else}: {other}"),
            &ratio,
        );
    };
    beside("find, cat", &read);
    beside("find, cat, sha256sum", &hash_sum);
    beside("the same reads without a hash", &pieces);
    // What the hash adds to the reads.
    let hash = 1.0 / (1.0 / sidecar.median() - 1.0 / pieces.median());
    row(
        "XXH64 alone, from the two of them, GB/s",
        &format!("{hash:.2}"),
        "",
        "",
    );
}

/// Instructions outside of the kernel, from what callgrind prints; the same every time, whatever else the machine does.
fn instructions(log: &str) -> u64 {
    let counted = log.rsplit_once("Collected : ").map(|(_, rest)| rest);
    let number = counted.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("no count in: {log}"))
}

const COUNTED: [&str; 3] = [
    "valgrind",
    "--tool=callgrind",
    "--callgrind-out-file=/dev/null",
];

/// Whether a program is to be had whose figures stand beside the sidecar's.
fn is_there(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// From `act` to the target's handler, in milliseconds.
fn until_handled(target: &mut Target, act: impl FnOnce()) -> f64 {
    let start = nanoseconds();
    act();
    let (_, handled, _) = target.signalled_at();
    (handled - start) as f64 / 1e6
}

fn pkill(name: &str) -> Command {
    let mut command = Command::new("pkill");
    command.args(["-HUP", "-x", name]);
    command
}

/// The targets have the highest numbers: all the others are looked at before them.
fn delivery_beside(count: usize) {
    let config = |content: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("app.conf");
        fs::write(&file, content).unwrap();
        (directory, file)
    };
    // What is delivered is one write of a small file, without any pause.
    let at_once = |root: &Path, name: &str| {
        let settings = settings(root, name).set("RELOAD_SETTLE", "0");
        settings.set("RELOAD_MIN_INTERVAL", "0").start()
    };
    let (root, file) = &config("0");
    let root = root.path();
    let crowd = ["--crowd", &count.to_string()];
    let _crowd = Target::start_as(&unique_name(), file, &crowd);
    let mut target = Target::start(file);
    let mut sidecar = at_once(root, &target.name);
    let mut writes = 0;
    let mut known = || {
        writes += 1;
        sidecar.wait_at_rest();
        until_handled(&mut target, || fs::write(file, writes.to_string()).unwrap())
    };
    let mut new = || {
        let (root, file) = config("0");
        let name = unique_name();
        let mut sidecar = at_once(root.path(), &name);
        let mut target = Target::start_as(&name, &file, &[]);
        sidecar.wait_at_rest();
        until_handled(&mut target, || fs::write(&file, "1").unwrap())
    };
    let mut asked = Target::start(file);
    let mut command = || {
        let settings = settings(root, &asked.name).arguments(&["signal"]);
        until_handled(&mut asked, || assert!(settings.status().success()))
    };
    let mut beside = Target::start(file);
    let mut pkill_it = || {
        let mut pkill = pkill(&beside.name);
        until_handled(&mut beside, || assert!(pkill.status().unwrap().success()))
    };
    let figures = in_turn([&mut known, &mut new, &mut command, &mut pkill_it]);
    let [sidecars @ .., pkill_itself] = &figures;
    for (what, figure) in [
        "write to handler, a process seen before",
        "write to handler, a process never seen before",
        "`signal`, start to handler",
    ]
    .into_iter()
    .zip(sidecars)
    {
        row(
            &format!("beside {count} more processes: {what}, ms"),
            &figure.to_string(),
            &format!("pkill -x, start to handler: {pkill_itself}"),
            &times(figure, pkill_itself),
        );
    }
    if !is_there("valgrind") {
        return row("instructions", "valgrind is missing", "", "");
    }
    let settings = settings(root, &asked.name).arguments(&["signal"]);
    let (_, _, log) = settings.through(&COUNTED).output();
    let own = instructions(&log);
    let pkill = pkill(&beside.name);
    let mut counted = Command::new(COUNTED[0]);
    counted
        .args(&COUNTED[1..])
        .arg("pkill")
        .args(pkill.get_args());
    let others = instructions(&String::from_utf8_lossy(&counted.output().unwrap().stderr));
    row(
        &format!("beside {count} more processes: `signal`, instructions outside of the kernel"),
        &own.to_string(),
        &format!("pkill -x: {others}"),
        &format!("{:.2}", own as f64 / others as f64),
    );
}

fn delivery() {
    if !is_there("pkill") {
        return row(
            "delivery beside many processes",
            "",
            "pkill, of procps, is missing",
            "",
        );
    }
    for count in [10, 1_000, 5_000] {
        delivery_beside(count);
    }
}

fn main() {
    let bytes = fs::metadata(program()).map_or(0, |file| file.len());
    println!(
        "{}, {bytes} bytes; {ROUNDS} rounds, medians (quartiles)\n",
        program().display()
    );
    row("measured", "sidecar", "beside it", "ratio");
    row("---", "---", "---", "---");
    let directory = || tempfile::tempdir().expect("a temporary directory");
    let (few, many, large) = (directory(), directory(), directory());
    let file_of_few = many_files(few.path(), 1);
    let file_of_many = many_files(many.path(), DIRECTORIES);
    arming_beside_a_hash_sum(many.path());
    one_file_among_many(many.path(), &file_of_many);
    storm("10", few.path(), &file_of_few);
    storm("10,000", many.path(), &file_of_many);
    memory_at((few.path(), &file_of_few), (many.path(), &file_of_many));
    hashing(large.path());
    delivery();
}
