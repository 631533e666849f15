//! `/proc/PID/cmdline` and names: matching piece by piece gives what matching the whole gives.
#![no_main]

use config_reloader_sidecar::config::{CommaList, MAX_CMDLINE};
use config_reloader_sidecar::process::Matcher;
use config_reloader_sidecar_fuzz::{Fixture, process};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use std::cell::LazyCell;

thread_local! {
    static FIXTURE: LazyCell<Fixture> = LazyCell::new(|| Fixture::new("cmdline"));
}

#[derive(Arbitrary, Debug)]
struct Input {
    names: Option<Vec<u8>>,
    text: Option<Vec<u8>>,
    comm: [u8; 15],
    /// So many of the name's bytes.
    comm_length: u8,
    arguments: Vec<(Padding, Vec<u8>)>,
}

/// So many bytes before an argument, to get it across the end of a piece.
#[derive(Arbitrary, Debug)]
struct Padding(u16);

/// What `setproctitle` left of it before `: `, else the last component of its path.
fn argument_name(argument: &[u8]) -> Vec<u8> {
    let title = (0..argument.len()).find(|at| {
        let rest = &argument[*at..];
        rest == b":" || rest.starts_with(b": ")
    });
    let path = &argument[..title.unwrap_or(argument.len())];
    let from = (0..path.len()).filter(|at| path[*at] == b'/').max();
    path[from.map_or(0, |slash| slash + 1)..].to_vec()
}

/// By the whole command line at once.
fn matches(matcher: &Matcher, comm: &[u8], cmdline: &[u8]) -> bool {
    let argument = cmdline.split(|byte| *byte == 0).next().unwrap_or_default();
    let in_argument = argument_name(argument);
    let goes_by = |name: &[u8]| {
        let is_comm = name == comm;
        let is_cut_to_comm = name.len() > 15 && name.starts_with(comm) && comm.len() == 15;
        is_comm || name == in_argument && (name.len() <= 15 || is_cut_to_comm)
    };
    let joined: Vec<u8> = cmdline
        .iter()
        .map(|byte| (*byte).max(b' ' * u8::from(*byte == 0)))
        .collect();
    matcher.names.is_none_or(|names| names.iter().any(goes_by))
        && matcher
            .cmdline
            .is_none_or(|text| joined.windows(text.len()).any(|window| window == text))
}

fuzz_target!(|input: Input| {
    // As the settings let them through.
    let text = input
        .text
        .as_deref()
        .map(|text| &text[..text.len().min(MAX_CMDLINE)]);
    let text = text.map(<[u8]>::trim_ascii).filter(|text| !text.is_empty());
    let names = input.names.as_deref().map(CommaList::new).filter(|names| {
        names
            .iter()
            .all(|name| !name.is_empty() && !name.contains(&b'/'))
    });
    let matcher = Matcher {
        names,
        cmdline: text,
        pid_file: None,
    };
    if matcher == Matcher::default() {
        return;
    }
    let comm = &input.comm[..usize::from(input.comm_length).min(input.comm.len())];
    let process = process(comm);
    let mut cmdline = Vec::new();
    for (padding, argument) in &input.arguments {
        cmdline.resize(cmdline.len() + usize::from(padding.0 % 3000), b'x');
        cmdline.extend_from_slice(argument);
        cmdline.push(0);
    }
    FIXTURE.with(|fixture| {
        fixture.write(&cmdline);
        // A process of the sidecar's own name is another sidecar.
        let expected = comm != b"sidecar" && matches(&matcher, comm, &cmdline);
        assert_eq!(
            fixture.proc.matches(&process, &matcher),
            expected,
            "{}",
            cmdline.escape_ascii()
        );
    });
});
