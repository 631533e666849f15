//! A history: the operations that several writers carry out at once. Proptest generates it.
//!
//! All files are in one directory. Five roots are watched: `plain`, which two writers share; the volumes `volume-1` and
//! `volume-2`, one for each order of the kubelet's steps; `current`, a link that is swapped from tree to tree as git-sync does it;
//! and the file `files/app.conf`. `outside` is not watched, but links lead there.

use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    pub settings: Timing,
    /// Each writer's operations, in order. The writers run at once.
    pub writers: Vec<Vec<Timed>>,
}

impl History {
    pub fn operations(&self) -> usize {
        self.writers.iter().map(Vec::len).sum()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Timing {
    pub settle_ms: u64,
    pub settle_max_ms: u64,
    pub min_interval_ms: u64,
    pub poll_ms: Option<u64>,
    /// Signal with SIGRTMIN+3, which is queued, and not with SIGHUP, of which two may merge.
    pub realtime: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timed {
    /// The pause before the operation.
    pub delay_ms: u64,
    pub operation: Operation,
}

impl Timed {
    pub fn is_update(&self) -> bool {
        matches!(self.operation, Operation::Update(..))
    }
}

/// Paths are relative to the history's directory. Contents are given by number; see `plan::content`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Write(&'static str, usize),
    WriteInPlace(&'static str, usize),
    Append(&'static str, usize),
    /// Opens a file, writes one half, then the other, and closes it, with a pause before each.
    WriteSlowly(&'static str, usize, [u64; 3]),
    /// Writes a new file and, after a pause, renames it over the old one.
    Replace(&'static str, usize, Staging, u64),
    Remove(&'static str),
    MakeDirectory(&'static str),
    RemoveDirectory(&'static str),
    RemoveTree(&'static str),
    Rename(&'static str, &'static str),
    /// Makes a link to a target at a path: after removing what is there, or renamed over it.
    Link(&'static str, &'static str, Staging, u64),
    HardLink(&'static str, &'static str),
    MakeFifo(&'static str),
    Chmod(&'static str),
    Touch(&'static str),
    /// Writes a file's own content over it.
    SameBytes(&'static str),
    /// Writes other content and, after a pause, the old content again.
    Flip(&'static str, usize, u64),
    /// Restarts the target while the other content is there.
    FlipAroundRestart(&'static str, usize, [u64; 3]),
    /// The same, with the sidecar stopped meanwhile.
    FlipWhileStopped(&'static str, usize, [u64; 3]),
    /// Makes a directory, restarts the target, then makes a file in the directory.
    FillAroundRestart(&'static str, usize, [u64; 3]),
    /// Makes many files at once and, after a pause, removes them.
    Burst(&'static str, usize, u64),
    /// Renames a root and, after a pause, renames it back.
    MoveAway(&'static str, u64),
    /// Removes a root and, after a pause, makes it again with one file.
    Recreate(&'static str, usize, u64),
    /// Updates a volume to these keys and contents, with a pause before each of the kubelet's steps.
    Update(&'static str, Vec<(&'static str, usize)>, Vec<u64>),
    /// Makes a tree and swaps the link; may remove the old tree after a pause.
    Swap(usize, u64),
    /// Swaps the link back to the previous tree, if that still exists.
    SwapBack,
    /// Kills the target and, after a pause, starts it again.
    Restart(u64),
    /// Sends SIGSTOP to the sidecar and, after a pause, SIGCONT.
    Stop(u64),
    /// Sends SIGUSR1 to the sidecar.
    Request,
}

/// The place where a new file or link is made before it is renamed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Staging {
    InTheTree,
    Elsewhere,
}

pub const VOLUMES: [&str; 2] = ["volume-1", "volume-2"];
pub const ROOTS: [&str; 5] = ["plain", "volume-1", "volume-2", "current", "files/app.conf"];
pub const KEYS: [&str; 4] = ["app.conf", "extra.conf", "nested/x.conf", "nested/y.conf"];

const FILES: [&str; 11] = [
    "plain/a",
    "plain/b",
    "plain/d/a",
    "plain/d/e/a",
    "plain/l/a",
    "plain/f",
    "outside/o",
    "outside/h",
    "outside/od/a",
    "files/app.conf",
    "files/other",
];
const DIRECTORIES: [&str; 5] = ["plain/d", "plain/d/e", "plain/g", "outside/od", "plain/m"];
const LINKS: [&str; 5] = ["plain/l", "plain/m", "plain/d/l", "plain/a", "outside/o"];
/// A leading slash stands for the history's directory.
const TARGETS: [&str; 10] = [
    "a",
    "d",
    "../outside/o",
    "/outside/od",
    "../outside/od",
    "m",
    "l",
    "nowhere",
    ".",
    "../volume-1",
];

fn delay() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 4 => 1..=10_u64, 4 => 10..=30_u64, 2 => 30..=250_u64]
}

/// A pause within one operation.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 5 => 1..=30_u64, 1 => 30..=200_u64]
}

fn staging() -> impl Strategy<Value = Staging> {
    select(&[Staging::Elsewhere, Staging::InTheTree][..])
}

fn content() -> impl Strategy<Value = usize> {
    0..5_usize
}

fn timing() -> impl Strategy<Value = Timing> {
    let poll = prop_oneof![4 => Just(None), 1 => (40..=300_u64).prop_map(Some)];
    let interval = prop_oneof![1 => Just(0), 3 => 10..=100_u64];
    (10..=40_u64, 80..=200_u64, interval, poll, any::<bool>()).prop_map(
        |(settle_ms, settle_max_ms, min_interval_ms, poll_ms, realtime)| Timing {
            settle_ms,
            settle_max_ms,
            min_interval_ms,
            poll_ms,
            realtime,
        },
    )
}

fn timed(operation: impl Strategy<Value = Operation>) -> impl Strategy<Value = Timed> {
    (delay(), operation).prop_map(|(delay_ms, operation)| Timed {
        delay_ms,
        operation,
    })
}

fn file_operation() -> impl Strategy<Value = Operation> {
    let file = || select(&FILES[..]);
    let directory = || select(&DIRECTORIES[..]);
    let anything = || prop_oneof![2 => file(), 1 => directory(), 1 => select(&LINKS[..])];
    let movable = || prop_oneof![2 => directory(), 1 => file()];
    prop_oneof![
        3 => (file(), content()).prop_map(|(path, content)| Operation::Write(path, content)),
        2 => (file(), content()).prop_map(|(path, content)| Operation::WriteInPlace(path, content)),
        2 => (file(), content()).prop_map(|(path, content)| Operation::Append(path, content)),
        2 => (file(), content(), [pause(), pause(), pause()])
            .prop_map(|(path, content, pauses)| Operation::WriteSlowly(path, content, pauses)),
        3 => (file(), content(), staging(), pause())
            .prop_map(|(path, content, staging, pause)| Operation::Replace(path, content, staging, pause)),
        2 => anything().prop_map(Operation::Remove),
        2 => directory().prop_map(Operation::MakeDirectory),
        1 => directory().prop_map(Operation::RemoveDirectory),
        1 => directory().prop_map(Operation::RemoveTree),
        3 => (movable(), movable()).prop_map(|(from, to)| Operation::Rename(from, to)),
        3 => (select(&TARGETS[..]), select(&LINKS[..]), staging(), pause())
            .prop_map(|(target, path, staging, pause)| Operation::Link(target, path, staging, pause)),
        2 => (file(), file()).prop_map(|(from, to)| Operation::HardLink(from, to)),
        1 => file().prop_map(Operation::MakeFifo),
        1 => anything().prop_map(Operation::Chmod),
        2 => anything().prop_map(Operation::Touch),
        2 => file().prop_map(Operation::SameBytes),
        3 => (file(), content(), pause()).prop_map(|(path, content, pause)| Operation::Flip(path, content, pause)),
        1 => (directory(), 1..30_usize, pause()).prop_map(|(path, count, pause)| Operation::Burst(path, count, pause)),
        // Below a root that has been moved away, if it has.
        1 => (select(&["away/a", "away/d/a"][..]), content())
            .prop_map(|(path, content)| Operation::WriteInPlace(path, content)),
        1 => pause().prop_map(|pause| Operation::MoveAway("plain", pause)),
        1 => (content(), pause()).prop_map(|(content, pause)| Operation::Recreate("plain", content, pause)),
    ]
}

fn volume_operation(volume: &'static str) -> impl Strategy<Value = Operation> {
    let payload = proptest::sample::subsequence(&KEYS[..], 1..=KEYS.len())
        .prop_flat_map(|keys| {
            let contents = proptest::collection::vec(content(), keys.len());
            (Just(keys), contents)
        })
        .prop_map(|(keys, contents)| keys.into_iter().zip(contents).collect());
    let pauses = proptest::collection::vec(pause(), 8);
    prop_oneof![
        8 => (payload, pauses).prop_map(move |(payload, pauses)| Operation::Update(volume, payload, pauses)),
        1 => pause().prop_map(move |pause| Operation::MoveAway(volume, pause)),
        1 => (content(), pause()).prop_map(move |(content, pause)| Operation::Recreate(volume, content, pause)),
    ]
}

fn tree_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (content(), pause()).prop_map(|(content, pause)| Operation::Swap(content, pause)),
        1 => Just(Operation::SwapBack),
    ]
}

fn process_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => pause().prop_map(Operation::Restart),
        2 => (select(&FILES[..]), content(), [0..10_u64, 0..10_u64, 0..20_u64])
            .prop_map(|(path, content, pauses)| Operation::FlipAroundRestart(path, content, pauses)),
        1 => (select(&FILES[..]), content(), [0..10_u64, 0..10_u64, 0..20_u64])
            .prop_map(|(path, content, pauses)| Operation::FlipWhileStopped(path, content, pauses)),
        1 => (select(&["plain/n", "plain/d/n"][..]), content(), [0..10_u64, 0..10_u64, 0..20_u64])
            .prop_map(|(path, content, pauses)| Operation::FillAroundRestart(path, content, pauses)),
        3 => pause().prop_map(Operation::Stop),
        1 => Just(Operation::Request),
    ]
}

fn writer(
    operation: impl Strategy<Value = Operation>,
    max: usize,
) -> impl Strategy<Value = Vec<Timed>> {
    proptest::collection::vec(timed(operation), 0..=max)
}

pub fn history() -> impl Strategy<Value = History> {
    let writers = (
        writer(file_operation(), 8),
        writer(file_operation(), 8),
        writer(volume_operation(VOLUMES[0]), 5),
        writer(volume_operation(VOLUMES[1]), 5),
        writer(tree_operation(), 3),
        writer(process_operation(), 4),
    );
    (timing(), writers).prop_map(|(settings, (a, b, c, d, e, f))| History {
        settings,
        writers: vec![a, b, c, d, e, f],
    })
}
