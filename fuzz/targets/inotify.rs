//! Any inotify events, framed as the kernel frames them, have the meaning that inotify(7) gives them.
//!
//! Other frames are not tried: rustix relies on the kernel for them.
#![no_main]

use config_reloader_sidecar::report::line::Format;
use config_reloader_sidecar::reload::Change;
use config_reloader_sidecar::watch::Watch;
use config_reloader_sidecar_fuzz::{logged, text};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use rustix::io::write;
use rustix::pipe::{PipeFlags, pipe_with};

#[derive(Arbitrary, Debug)]
struct Input {
    events: Vec<Event>,
    /// An event whose number has none of these bits starts a new batch. A batch is read at once.
    batch: u8,
    /// Afterwards reading fails.
    fails: bool,
}

#[derive(Arbitrary, Debug)]
struct Event {
    watch: u8,
    bits: Bits,
    cookie: u32,
    name: Vec<u8>,
}

#[derive(Arbitrary, Debug)]
enum Bits {
    Any(u32),
    One(u8),
    Two(u8, u8),
    /// The last step of an update of a volume.
    DirectoryGone,
}

impl Bits {
    fn mask(&self) -> u32 {
        let bit = |number: &u8| 1 << (number % 32);
        match self {
            Self::Any(mask) => *mask,
            Self::One(number) => bit(number),
            Self::Two(one, other) => bit(one) | bit(other),
            Self::DirectoryGone => libc::IN_DELETE | libc::IN_ISDIR,
        }
    }
}

impl Event {
    /// The kernel counts from 1; few, so that more than one event comes from the same.
    fn watch(&self) -> i32 {
        i32::from(self.watch % 20) + 1
    }

    /// Names hold no NUL and no slash, and have at most 255 bytes.
    fn name(&self) -> Vec<u8> {
        let allowed = self
            .name
            .iter()
            .copied()
            .filter(|byte| !b"\0/".contains(byte));
        allowed.take(255).collect()
    }

    /// As inotify(7) has it: the name is padded with NUL to a multiple of the event's size.
    fn frame(&self) -> Vec<u8> {
        const SIZE: usize = size_of::<libc::inotify_event>();
        let mut name = self.name();
        if !name.is_empty() {
            name.resize((name.len() + 1).next_multiple_of(SIZE), 0);
        }
        let mut frame = Vec::new();
        frame.extend_from_slice(&self.watch().to_ne_bytes());
        frame.extend_from_slice(&self.bits.mask().to_ne_bytes());
        frame.extend_from_slice(&self.cookie.to_ne_bytes());
        frame.extend_from_slice(&u32::try_from(name.len()).unwrap().to_ne_bytes());
        frame.extend_from_slice(&name);
        frame
    }

    /// Returns the change that the event stands for, and true if it makes watches stale.
    fn meaning(&self) -> (Option<Change>, bool) {
        let mask = self.bits.mask();
        let has = |bits: u32| mask & bits == bits;
        let change = if has(libc::IN_IGNORED) {
            None
        } else if has(libc::IN_DELETE | libc::IN_ISDIR) && self.name().starts_with(b"..") {
            Some(Change::Complete)
        } else if has(libc::IN_DELETE_SELF) {
            Some(Change::Gone)
        } else if has(libc::IN_MODIFY) {
            Some(Change::Writing)
        } else {
            Some(Change::Finished)
        };
        let lost = [libc::IN_Q_OVERFLOW, libc::IN_UNMOUNT, libc::IN_MOVE_SELF];
        let stale = has(libc::IN_MOVED_FROM | libc::IN_ISDIR) || lost.into_iter().any(has);
        (change, stale)
    }

    /// Updates the files that are open for writing.
    fn happens_to(&self, files: &mut Vec<(i32, Vec<u8>)>) {
        let mask = self.bits.mask();
        let file = (self.watch(), self.name());
        if mask & libc::IN_MODIFY != 0 {
            if !files.contains(&file) && files.len() < WRITTEN {
                files.push(file);
            }
        } else if mask & libc::IN_IGNORED != 0 {
            files.retain(|(watch, _)| *watch != file.0);
        } else if mask & (libc::IN_CLOSE_WRITE | libc::IN_DELETE | libc::IN_MOVED_FROM) != 0 {
            files.retain(|other| *other != file);
        }
    }
}

/// How many files that are open for writing are tracked.
const WRITTEN: usize = 16;

/// How many packets a pipe takes, and of how many bytes; the reader's buffer may lose a few bytes to its alignment.
const BATCHES: usize = 16;
const BATCH_SIZE: usize = 2032;

fuzz_target!(|input: Input| {
    // A packet is read at once, as the kernel's whole events are.
    let flags = PipeFlags::DIRECT | PipeFlags::NONBLOCK | PipeFlags::CLOEXEC;
    let (reader, writer) = pipe_with(flags).unwrap();
    let mut batches = vec![Vec::new()];
    let mut events = Vec::new();
    for (at, event) in input.events.iter().enumerate() {
        let frame = event.frame();
        let batch = batches.last_mut().unwrap();
        let is_full = batch.len() + frame.len() > BATCH_SIZE;
        if is_full || at & usize::from(input.batch) == 0 && !batch.is_empty() {
            if batches.len() == BATCHES {
                break;
            }
            batches.push(frame);
        } else {
            batch.extend(frame);
        }
        events.push(event);
    }
    for batch in batches.iter().filter(|batch| !batch.is_empty()) {
        assert_eq!(write(&writer, batch), Ok(batch.len()));
    }
    let writer = (!input.fails).then_some(writer);

    let mut expected = events
        .iter()
        .fold((None, false), |(strongest, stale), event| {
            let (change, makes_stale) = event.meaning();
            (strongest.max(change), stale | makes_stale)
        });
    let mut files = Vec::new();
    for event in &events {
        event.happens_to(&mut files);
    }
    let is_settled = matches!(expected.0, Some(Change::Gone | Change::Finished));
    if is_settled && !files.is_empty() && !input.fails {
        expected.0 = Some(Change::Writing);
    }
    if input.fails {
        expected = (expected.0.max(Some(Change::Finished)), true);
    }
    let mut drained = (None, false);
    let lines = logged(Format::Text, true, |report| {
        drained = Watch::drain_from(reader, report);
    });
    drop(writer);
    assert_eq!(drained, expected);

    let said = |what: &str| {
        lines
            .iter()
            .filter(|line| text(line).starts_with(what))
            .count()
    };
    let is_overflow = |event: &&Event| event.bits.mask() & libc::IN_Q_OVERFLOW != 0;
    assert_eq!(said("event watch="), events.len());
    assert_eq!(
        said("the inotify queue overflowed"),
        // Once a minute.
        usize::from(events.iter().any(is_overflow))
    );
    assert_eq!(said("cannot read inotify events"), usize::from(input.fails));
});
