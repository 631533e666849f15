//! Finds processes that a name nearly matches. Pure.

use super::cmdline::{argument_name, title_word};
use crate::base::text::pieces;

/// The setting that would match a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NearMiss<'p> {
    /// `PROCESS_NAME`, with this name.
    Name(&'p [u8]),
    /// `PROCESS_CMDLINE`, with this argument.
    Argument(&'p [u8]),
}

/// Returns how a process that does not have a name nearly has it: as a part of its own, in other letters, or in an argument.
pub(super) fn near_miss<'p>(
    name: &[u8],
    comm: &'p [u8],
    cmdline: &'p [u8],
) -> Option<NearMiss<'p>> {
    let is_near = |text: &[u8]| {
        let is_same = |part: &[u8]| part.eq_ignore_ascii_case(name);
        !name.is_empty() && text.windows(name.len()).any(is_same)
    };
    let mut arguments = pieces(cmdline, 0);
    let first = arguments.next().unwrap_or_default();
    let mut names = [comm, argument_name(first), title_word(first)].into_iter();
    if let Some(near) = names.find(|text| is_near(text)) {
        return Some(NearMiss::Name(near));
    }
    arguments
        .find(|argument| is_near(argument))
        .map(NearMiss::Argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d1_a_part_of_a_name_other_letters_and_arguments_are_near_misses() {
        for (comm, cmdline, expected) in [
            (
                "nginx-debug",
                "nginx-debug\0",
                Some(NearMiss::Name(&b"nginx-debug"[..])),
            ),
            ("NGINX", "", Some(NearMiss::Name(b"NGINX"))),
            (
                "main",
                "/usr/sbin/nginx-1.28\0-g\0",
                Some(NearMiss::Name(b"nginx-1.28")),
            ),
            (
                "sh",
                "/bin/sh\0/opt/nginx.sh\0",
                Some(NearMiss::Argument(b"/opt/nginx.sh")),
            ),
            ("envoy", "envoy\0-c\0envoy.yaml\0", None),
            ("", "", None),
        ] {
            let found = near_miss(b"nginx", comm.as_bytes(), cmdline.as_bytes());
            assert_eq!(found, expected, "{comm} {cmdline:?}");
        }
    }
}
