//! `/proc/PID/cmdline` and names: matching in pieces gives the same as matching the whole.
#![no_main]

use config_reloader_sidecar::config::{CommaList, MAX_CMDLINE, Matcher, Scope};
use config_reloader_sidecar_fuzz::{Fixture, process};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static FIXTURE: LazyCell<Fixture> = LazyCell::new(|| Fixture::new("cmdline"));
}

#[derive(Arbitrary, Debug)]
struct Input {
    names: Option<Text>,
    text: Option<Text>,
    comm: [u8; 15],
    /// The number of bytes of `comm` used.
    comm_length: u8,
    arguments: Vec<(Padding, Vec<u8>)>,
}

#[derive(Arbitrary, Debug)]
enum Text {
    Any(Vec<u8>),
    /// A piece of the command line: offset and length.
    Piece(u16, u16),
    /// A piece with its last byte changed, so that it probably does not match.
    Changed(u16, u16),
    /// A piece around the end of a buffer: which end, and the lengths before and after it.
    Around(u8, u8, u8),
}

impl Text {
    /// Returns the text as the settings pass it on, trimmed.
    fn bytes(&self, cmdline: &[u8]) -> Vec<u8> {
        let piece = |from: u16, length: u16| {
            let from = usize::from(from).min(cmdline.len());
            let length = usize::from(length).min(cmdline.len() - from);
            cmdline[from..from + length].to_vec()
        };
        let mut taken = match self {
            Self::Any(bytes) => bytes.clone(),
            Self::Around(at, before, after) => {
                let from = (u16::from(at % 8) * 1024).saturating_sub(u16::from(*before));
                piece(from, u16::from(*before) + u16::from(*after))
            }
            Self::Piece(from, length) | Self::Changed(from, length) => piece(*from, *length),
        };
        taken.truncate(MAX_CMDLINE);
        if let (Self::Changed(..), Some(last)) = (self, taken.last_mut()) {
            *last ^= 1;
        }
        taken.trim_ascii().to_vec()
    }
}

/// Precedes an argument, so that it crosses the end of a buffer. It is some half buffers long, less some bytes.
#[derive(Arbitrary, Debug)]
struct Padding {
    halves: u8,
    less: u8,
    is_path: bool,
}

impl Padding {
    fn bytes(&self) -> Vec<u8> {
        let length = usize::from(self.halves % 4) * 1024;
        let byte = if self.is_path { b'/' } else { b'x' };
        vec![byte; length.saturating_sub(self.less.into())]
    }
}

/// Returns the last path component of what precedes a colon, which `setproctitle` writes behind the name.
fn argument_name(argument: &[u8]) -> Vec<u8> {
    let title = (0..argument.len()).find(|at| {
        let rest = &argument[*at..];
        rest == b":" || rest.starts_with(b": ")
    });
    let path = &argument[..title.unwrap_or(argument.len())];
    let from = (0..path.len()).filter(|at| path[*at] == b'/').max();
    path[from.map_or(0, |slash| slash + 1)..].to_vec()
}

/// An argument is not a name if it does not end within this many bytes of the command line.
const ARGUMENTS: usize = 2048;

fn joined(cmdline: &[u8]) -> Vec<u8> {
    let blank = |byte: &u8| if *byte == 0 { b' ' } else { *byte };
    cmdline.iter().map(blank).collect()
}

/// Matches the whole command line at once.
fn matches(matcher: &Matcher, comm: &[u8], cmdline: &[u8]) -> bool {
    let whole = if cmdline.len() < ARGUMENTS {
        cmdline
    } else {
        let end = cmdline[..ARGUMENTS].iter().rposition(|byte| *byte == 0);
        &cmdline[..end.unwrap_or(0)]
    };
    let arguments: Vec<_> = whole.split(|byte| *byte == 0).map(argument_name).collect();
    let first = whole.split(|byte| *byte == 0 || *byte == b' ').next();
    let title = first.filter(|word| !word.contains(&b'/'));
    let goes_by = |name: &[u8]| {
        let is_comm = name == comm;
        let is_cut_to_comm = name.len() > 15 && name.starts_with(comm) && comm.len() == 15;
        let is_script = is_cut_to_comm && arguments.iter().take(3).any(|it| it == name);
        is_comm || is_script || arguments[0] == name || title == Some(name)
    };
    let joined = joined(cmdline);
    matcher.names.is_none_or(|names| names.iter().any(goes_by))
        && matcher
            .cmdline
            .is_none_or(|text| joined.windows(text.len()).any(|window| window == text))
}

fuzz_target!(|input: Input| {
    let mut cmdline = Vec::new();
    // Three arguments are enough to cross every end of a buffer.
    for (padding, argument) in input.arguments.iter().take(3) {
        cmdline.extend(padding.bytes());
        cmdline.extend_from_slice(argument);
        cmdline.push(0);
    }
    let text = |text: &Option<Text>| {
        let taken = text.as_ref()?.bytes(&joined(&cmdline));
        // The environment cannot contain NUL.
        Some(taken).filter(|taken| !taken.is_empty() && !taken.contains(&0))
    };
    let (names, text) = (text(&input.names), text(&input.text));
    // Names contain no slash.
    let names = names.map(|names| {
        names
            .rsplit(|byte| *byte == b'/')
            .next()
            .unwrap_or_default()
            .to_vec()
    });
    let is_name = |name: &[u8]| !name.is_empty();
    let names = names.as_deref().map(CommaList::new);
    let matcher = Matcher {
        names: names.filter(|names| names.iter().all(is_name)),
        cmdline: text.as_deref(),
        pid_file: None,
        scope: Scope::Pod,
    };
    if matcher == Matcher::default() {
        return;
    }
    let comm = &input.comm[..usize::from(input.comm_length).min(input.comm.len())];
    let process = process(comm);
    FIXTURE.with(|fixture| {
        fixture.write(&cmdline);
        // A process with the sidecar's name is another sidecar.
        let expected = comm != b"sidecar" && matches(&matcher, comm, &cmdline);
        let matches = fixture.proc.matches(&process, &matcher);
        assert_eq!(matches, expected, "{}", cmdline.escape_ascii());
    });
});
