//! inotify events of any kind, framed as by the kernel, are interpreted as inotify(7) says.
//!
//! rustix relies on the kernel for the frames, so malformed ones are not tried.
#![no_main]

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
    /// A new batch, to be read at once, begins with each event whose number has none of these bits.
    batch: u8,
    /// Reading fails after the last event.
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
    /// The last step of a volume update.
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
    /// Watch descriptors begin at 1. There are few, so that several events share one.
    fn watch(&self) -> i32 {
        i32::from(self.watch % 20) + 1
    }

    /// Names contain neither NUL nor slash, and have at most 255 bytes.
    fn name(&self) -> Vec<u8> {
        let allowed = self
            .name
            .iter()
            .copied()
            .filter(|byte| !b"\0/".contains(byte));
        allowed.take(255).collect()
    }

    /// Encodes the event; inotify(7). NULs pad the name to a multiple of the event's size.
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

    /// Returns the change that the event stands for, and whether watches may be stale after it.
    fn change(&self) -> (Option<Change>, bool) {
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

    /// Updates the list of files that are open for writing.
    fn track(&self, files: &mut Vec<(i32, Vec<u8>)>) {
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

/// The most files that are tracked while they are open for writing.
const WRITTEN: usize = 16;

/// A pipe holds this many packets.
const BATCHES: usize = 16;
/// A packet must fit the reader's buffer, since a pipe discards the rest of one, while inotify keeps it. Alignment may
/// cost the buffer some bytes.
const BATCH_SIZE: usize = Watch::EVENTS_SIZE - 16;

/// Returns the events that fit the pipe, and their frames in batches.
fn batches(input: &Input) -> (Vec<&Event>, Vec<Vec<u8>>) {
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
    batches.retain(|batch| !batch.is_empty());
    (events, batches)
}

/// Returns the strongest change of all events, and whether watches may be stale.
fn expected(events: &[&Event], fails: bool) -> (Option<Change>, bool) {
    let mut strongest = None;
    let mut stale = fails;
    let mut files = Vec::new();
    for event in events {
        let (change, makes_stale) = event.change();
        strongest = strongest.max(change);
        stale |= makes_stale;
        event.track(&mut files);
    }
    let is_settled = matches!(strongest, Some(Change::Gone | Change::Finished));
    if fails {
        strongest = strongest.max(Some(Change::Finished));
    } else if is_settled && !files.is_empty() {
        strongest = Some(Change::Writing);
    }
    (strongest, stale)
}

fuzz_target!(|input: Input| {
    let (events, batches) = batches(&input);
    // A packet pipe preserves the batches, as inotify preserves whole events.
    let flags = PipeFlags::DIRECT | PipeFlags::NONBLOCK | PipeFlags::CLOEXEC;
    let (reader, writer) = pipe_with(flags).unwrap();
    for batch in batches {
        assert_eq!(write(&writer, &batch), Ok(batch.len()));
    }
    // Without a writer, reading the empty pipe is an error to the reader.
    let writer = (!input.fails).then_some(writer);
    let mut drained = (None, false);
    let lines = logged(|report| drained = Watch::drain_from(reader, report));
    drop(writer);
    assert_eq!(drained, expected(&events, input.fails));

    let count = |message: &str| {
        let lines = lines.iter().map(|line| text(line));
        lines.filter(|line| line.starts_with(message)).count()
    };
    let is_overflow = |event: &&Event| event.bits.mask() & libc::IN_Q_OVERFLOW != 0;
    // Logged once a minute.
    let overflows = usize::from(events.iter().any(is_overflow));
    assert_eq!(count("event watch="), events.len());
    assert_eq!(count("the inotify queue overflowed"), overflows);
    assert_eq!(
        count("cannot read inotify events"),
        usize::from(input.fails)
    );
});
