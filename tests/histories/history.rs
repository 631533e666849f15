//! What a history is made of, and how one is made up.
//!
//! Below one directory: `plain`, in which two writers work; the volumes `volume-1` and `volume-2`, one for each order of the
//! kubelet's steps; `current`, a link to one of several trees, as git-sync swaps it; `files/app.conf`. These five are watched.
//! `outside` is not, but links lead there.

use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct History {
    pub settings: Timing,
    /// What each writer does, one after the other; the writers all at once.
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
    /// SIGHUP, of which several may become one, or a real-time signal, which are queued.
    pub realtime: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Timed {
    /// The pause before it.
    pub delay_ms: u64,
    pub operation: Operation,
}

impl Timed {
    pub fn is_update(&self) -> bool {
        matches!(self.operation, Operation::Update(..))
    }
}

/// Paths are below the history's directory. Contents are numbered; see `plan::content`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operation {
    Write(&'static str, usize),
    WriteInPlace(&'static str, usize),
    Append(&'static str, usize),
    /// Opened, half of it written, the rest written, closed, with a pause before each.
    WriteSlowly(&'static str, usize, [u64; 3]),
    /// Written beside it or elsewhere, then renamed over it.
    Replace(&'static str, usize, Beside, u64),
    Remove(&'static str),
    MakeDirectory(&'static str),
    RemoveDirectory(&'static str),
    RemoveTree(&'static str),
    Rename(&'static str, &'static str),
    /// A link to this target in this place; renamed over what is there, or made after that is removed.
    Link(&'static str, &'static str, Beside, u64),
    HardLink(&'static str, &'static str),
    MakeFifo(&'static str),
    Chmod(&'static str),
    Touch(&'static str),
    /// Written over with what is there.
    SameBytes(&'static str),
    /// Another content and, after a pause, what was there before.
    Flip(&'static str, usize, u64),
    /// The same with the target killed and started again in between.
    FlipAroundRestart(&'static str, usize, [u64; 3]),
    /// The same again, and the sidecar sees nothing of it before it is over.
    FlipWhileStopped(&'static str, usize, [u64; 3]),
    /// A directory is made, the target killed and started again, and then a file made in the directory.
    FillAroundRestart(&'static str, usize, [u64; 3]),
    /// Many files at once, and away again after a pause.
    Burst(&'static str, usize, u64),
    /// Written to while its root is elsewhere.
    WriteAway(&'static str, usize),
    /// A root goes elsewhere and comes back.
    MoveAway(&'static str, u64),
    /// A root is removed and comes back with one file, as a volume with one key.
    Recreate(&'static str, usize, u64),
    /// The volume's keys and their contents, with a pause before each of the kubelet's steps.
    Update(&'static str, Vec<(&'static str, usize)>, Vec<u64>),
    /// The payload that is there already.
    Replay(&'static str),
    /// A tree is made, the link swapped, and the tree before it removed after a pause.
    Swap(usize, u64),
    /// Back to the tree before, if it is still there.
    SwapBack,
    /// The target is killed and, after a pause, started again.
    Restart(u64),
    /// SIGSTOP and, after a pause, SIGCONT.
    Stop(u64),
    /// SIGUSR1.
    Demand,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Beside {
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
const PLACES: [&str; 5] = ["plain/l", "plain/m", "plain/d/l", "plain/a", "outside/o"];
/// A slash at the beginning stands for the history's directory.
const LEADS: [&str; 10] = [
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

/// Between the steps of one operation.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![3 => Just(0), 5 => 1..=30_u64, 1 => 30..=200_u64]
}

fn beside() -> impl Strategy<Value = Beside> {
    select(&[Beside::Elsewhere, Beside::InTheTree][..])
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

fn in_files() -> impl Strategy<Value = Operation> {
    let file = || select(&FILES[..]);
    let directory = || select(&DIRECTORIES[..]);
    let anything = || prop_oneof![2 => file(), 1 => directory(), 1 => select(&PLACES[..])];
    let movable = || prop_oneof![2 => directory(), 1 => file()];
    prop_oneof![
        3 => (file(), content()).prop_map(|(path, content)| Operation::Write(path, content)),
        2 => (file(), content()).prop_map(|(path, content)| Operation::WriteInPlace(path, content)),
        2 => (file(), content()).prop_map(|(path, content)| Operation::Append(path, content)),
        2 => (file(), content(), [pause(), pause(), pause()])
            .prop_map(|(path, content, pauses)| Operation::WriteSlowly(path, content, pauses)),
        3 => (file(), content(), beside(), pause())
            .prop_map(|(path, content, beside, pause)| Operation::Replace(path, content, beside, pause)),
        2 => anything().prop_map(Operation::Remove),
        2 => directory().prop_map(Operation::MakeDirectory),
        1 => directory().prop_map(Operation::RemoveDirectory),
        1 => directory().prop_map(Operation::RemoveTree),
        3 => (movable(), movable()).prop_map(|(from, to)| Operation::Rename(from, to)),
        3 => (select(&LEADS[..]), select(&PLACES[..]), beside(), pause())
            .prop_map(|(target, path, beside, pause)| Operation::Link(target, path, beside, pause)),
        2 => (file(), file()).prop_map(|(from, to)| Operation::HardLink(from, to)),
        1 => file().prop_map(Operation::MakeFifo),
        1 => anything().prop_map(Operation::Chmod),
        2 => anything().prop_map(Operation::Touch),
        2 => file().prop_map(Operation::SameBytes),
        3 => (file(), content(), pause()).prop_map(|(path, content, pause)| Operation::Flip(path, content, pause)),
        1 => (directory(), 1..30_usize, pause()).prop_map(|(path, count, pause)| Operation::Burst(path, count, pause)),
        1 => (select(&["away/a", "away/d/a"][..]), content())
            .prop_map(|(path, content)| Operation::WriteAway(path, content)),
        1 => pause().prop_map(|pause| Operation::MoveAway("plain", pause)),
        1 => (content(), pause()).prop_map(|(content, pause)| Operation::Recreate("plain", content, pause)),
    ]
}

fn in_volume(volume: &'static str) -> impl Strategy<Value = Operation> {
    let payload = proptest::sample::subsequence(&KEYS[..], 1..=KEYS.len())
        .prop_flat_map(|keys| {
            let contents = proptest::collection::vec(content(), keys.len());
            (Just(keys), contents)
        })
        .prop_map(|(keys, contents)| keys.into_iter().zip(contents).collect());
    let pauses = proptest::collection::vec(pause(), 8);
    prop_oneof![
        8 => (payload, pauses).prop_map(move |(payload, pauses)| Operation::Update(volume, payload, pauses)),
        2 => Just(Operation::Replay(volume)),
        1 => pause().prop_map(move |pause| Operation::MoveAway(volume, pause)),
        1 => (content(), pause()).prop_map(move |(content, pause)| Operation::Recreate(volume, content, pause)),
    ]
}

fn of_trees() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => (content(), pause()).prop_map(|(content, pause)| Operation::Swap(content, pause)),
        1 => Just(Operation::SwapBack),
    ]
}

fn to_processes() -> impl Strategy<Value = Operation> {
    prop_oneof![
        3 => pause().prop_map(Operation::Restart),
        2 => (select(&FILES[..]), content(), [0..10_u64, 0..10_u64, 0..20_u64])
            .prop_map(|(path, content, pauses)| Operation::FlipAroundRestart(path, content, pauses)),
        1 => (select(&FILES[..]), content(), [0..10_u64, 0..10_u64, 0..20_u64])
            .prop_map(|(path, content, pauses)| Operation::FlipWhileStopped(path, content, pauses)),
        1 => (select(&["plain/n", "plain/d/n"][..]), content(), [0..10_u64, 0..10_u64, 0..20_u64])
            .prop_map(|(path, content, pauses)| Operation::FillAroundRestart(path, content, pauses)),
        3 => pause().prop_map(Operation::Stop),
        1 => Just(Operation::Demand),
    ]
}

fn some(
    operation: impl Strategy<Value = Operation>,
    most: usize,
) -> impl Strategy<Value = Vec<Timed>> {
    proptest::collection::vec(timed(operation), 0..=most)
}

pub fn history() -> impl Strategy<Value = History> {
    let writers = (
        some(in_files(), 8),
        some(in_files(), 8),
        some(in_volume(VOLUMES[0]), 5),
        some(in_volume(VOLUMES[1]), 5),
        some(of_trees(), 3),
        some(to_processes(), 4),
    );
    (timing(), writers).prop_map(|(settings, (a, b, c, d, e, f))| History {
        settings,
        writers: vec![a, b, c, d, e, f],
    })
}
