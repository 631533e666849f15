//! Looks for names and text in a command line, whose arguments each end with a NUL; proc_pid_cmdline(5). Pure.

use crate::base::comm::COMM_MAX;
use crate::base::text::pieces;
use crate::config::MAX_CMDLINE;

/// Returns the program's name in a first argument: the last component of its path. A title such as `nginx: master process`
/// ends at the colon.
pub(super) fn argument_name(argument: &[u8]) -> &[u8] {
    let mut name = argument;
    let mut rest = argument;
    while let [byte, after @ ..] = rest {
        match (byte, after) {
            (b':', [] | [b' ', ..]) => {
                return name.get(..name.len() - rest.len()).unwrap_or_default();
            }
            (b'/', _) => name = after,
            _ => {}
        }
        rest = after;
    }
    name
}

/// Returns the first word of a title such as `puma 6.4 (tcp://0.0.0.0:9292) [app]`. A path is no title.
pub(super) fn title_word(argument: &[u8]) -> &[u8] {
    let word = pieces(argument, b' ').next().unwrap_or_default();
    if word.contains(&b'/') { b"" } else { word }
}

/// Returns true if a process has this name, either as its `comm` or in its command line.
///
/// The kernel cuts `comm` to 15 bytes. A longer name that begins like `comm` may also be the second or third argument: in a
/// script's command line the interpreter and an option come before it.
pub(super) fn has_name(name: &[u8], comm: &[u8], cmdline: &[u8]) -> bool {
    let is_cut = comm.len() == COMM_MAX && name.len() > COMM_MAX && name.starts_with(comm);
    let mut arguments = pieces(cmdline, 0).take(if is_cut { 3 } else { 1 });
    comm == name
        || title_word(pieces(cmdline, 0).next().unwrap_or_default()) == name
        || arguments.any(|argument| argument_name(argument) == name)
}

/// The longest command line of a program that may have a launcher.
pub(super) const PROGRAM_MAX: usize = 1024;
/// The longest one of a launcher.
pub(super) const LAUNCHER_MAX: usize = 2 * PROGRAM_MAX;

/// Replaces a command line by its words, with one blank between and after them. What a shell sees between words, such as a
/// semicolon, counts as a blank, and quotes are left out. `None` if the buffer is full, so that the end may be missing.
pub(super) fn words(buffer: &mut [u8], length: usize) -> Option<&[u8]> {
    if length == buffer.len() {
        return None;
    }
    let mut kept = 0;
    for at in 0..=length {
        let byte = match buffer.get(at)? {
            _ if at == length => b' ',
            b'\'' | b'"' | b'\\' => continue,
            0 | b';' | b'|' | b'&' | b'(' | b')' | b'<' | b'>' => b' ',
            byte => *byte,
        };
        let is_repeated = byte == b' ' && kept > 0 && buffer.get(kept - 1) == Some(&b' ');
        if !is_repeated {
            *buffer.get_mut(kept)? = byte;
            kept += 1;
        }
    }
    buffer.get(..kept)
}

/// Returns true if all of the child's [`words`] stand in its parent's, behind the first one: the child is the parent's program.
pub(super) fn is_launched_by(child: &[u8], parent: &[u8]) -> bool {
    let follows_blank = |at: usize| parent.get(at) == Some(&b' ');
    let mut places = parent.windows(child.len().max(1)).enumerate().skip(1);
    child != b" " && places.any(|(at, place)| place == child && follows_blank(at - 1))
}

/// Looks for a text in arguments joined by blanks, which come in parts. Its time is linear in both, whatever they hold: the algorithm of
/// Knuth, Morris and Pratt.
pub(super) struct Search<'t> {
    text: &'t [u8],
    /// For each beginning of the text, without its first byte: how many bytes at its end are a beginning of the text as well.
    borders: [u16; MAX_CMDLINE],
    /// The number of bytes of the text that the parts so far end with.
    matched: usize,
}

impl<'t> Search<'t> {
    /// Returns the search for a text of at most [`MAX_CMDLINE`] bytes.
    pub(super) fn new(text: &'t [u8]) -> Self {
        let mut search = Self {
            text,
            borders: [0; MAX_CMDLINE],
            matched: 0,
        };
        for (at, byte) in text.iter().enumerate().skip(1) {
            search.step(*byte);
            search.borders[at] = search.matched as u16;
        }
        search.matched = 0;
        search
    }

    /// Takes the next part. Returns true if the text ends in it.
    pub(super) fn finds(&mut self, part: &[u8]) -> bool {
        part.iter().any(|byte| {
            self.step(if *byte == 0 { b' ' } else { *byte });
            self.matched == self.text.len()
        })
    }

    fn step(&mut self, byte: u8) {
        while self.text.get(self.matched) != Some(&byte) {
            match self.matched.checked_sub(1) {
                Some(last) => self.matched = self.borders[last].into(),
                None => return,
            }
        }
        self.matched += 1;
    }
}

/// Returns the arguments that end within the first read of a command line, which filled `length` bytes of `buffer`.
pub(super) fn whole_arguments(buffer: &[u8], length: usize) -> &[u8] {
    if length < buffer.len() {
        return buffer.get(..length).unwrap_or_default();
    }
    // A truncated argument could match a different, shorter name, so leave it out.
    let end = buffer.iter().rposition(|byte| *byte == 0);
    buffer.get(..end.unwrap_or(0)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn p1_the_name_in_an_argument_is_the_last_path_component_before_a_title() {
        for (argument, name) in [
            ("nginx", "nginx"),
            ("/usr/sbin/nginx", "nginx"),
            ("./run", "run"),
            ("/opt/with space/app", "app"),
            ("nginx: master process /usr/sbin/nginx -g x;", "nginx"),
            ("sshd: /usr/sbin/sshd -D [listener] 0 of 10-100", "sshd"),
            ("postgres: checkpointer ", "postgres"),
            ("/usr/lib/postgresql/15/bin/postgres: x", "postgres"),
            ("php-fpm: master process (/etc/php-fpm.conf)", "php-fpm"),
            ("app:", "app"),
            ("a:b", "a:b"),
            ("-bash", "-bash"),
            ("/", ""),
            (":", ""),
            (": ", ""),
            ("", ""),
        ] {
            let found = argument_name(argument.as_bytes());
            assert_eq!(found, name.as_bytes(), "{argument}");
        }
    }

    fn is_found(text: &str, parts: &[&str]) -> bool {
        let mut search = Search::new(text.as_bytes());
        parts.iter().any(|part| search.finds(part.as_bytes()))
    }

    #[test]
    fn a_text_is_found_across_arguments_and_parts() {
        for (text, parts, expected) in [
            ("app --x", &["/opt/app\0--x\0"][..], true),
            ("app --x", &["/opt/a", "pp\0", "--", "x"], true),
            ("app --x ", &["app\0--x"], false),
            ("aab", &["aaa", "ab"], true),
            ("abcabd", &["abcabcabd"], true),
            ("a", &["", "b", "a"], true),
            ("ab", &["a", "a", "cb"], false),
        ] {
            assert_eq!(is_found(text, parts), expected, "{text:?} in {parts:?}");
        }
    }

    #[test]
    fn the_costliest_command_line_is_searched_in_linear_time() {
        let text = std::format!("{}b", "a".repeat(MAX_CMDLINE - 1));
        let started = std::time::Instant::now();
        assert!(!is_found(&text, &["a".repeat(4 << 20).as_str()]));
        // Byte by byte from each place, it is four thousand million comparisons.
        assert!(started.elapsed().as_secs() < 5);
    }

    proptest::proptest! {
        #[test]
        fn a_text_is_found_exactly_if_it_is_there(text in "[ab ]{1,6}", cmdline in "[ab\0]{0,40}", cut in 0..40_usize) {
            let (first, second) = cmdline.split_at(cut.min(cmdline.len()));
            let expected = cmdline.replace('\0', " ").contains(&text);
            proptest::prop_assert_eq!(is_found(&text, &[first, second]), expected);
        }
    }

    #[test]
    fn p1_a_process_has_the_name_of_its_comm_or_of_its_first_argument() {
        for (name, comm, argument, expected) in [
            ("nginx", "nginx", "nginx: master process", true),
            ("gunicorn", "python3", "gunicorn: master [app]", true),
            (
                "puma",
                "ruby",
                "puma 7.2.1 (tcp://0.0.0.0:9292) [app]",
                true,
            ),
            ("with", "x", "/opt/with space/app", false),
            ("space", "x", "/opt/with space/app", false),
            ("gunicorn", "gunicorn", "/usr/bin/python3", true),
            ("gunicorn", "python3", "/usr/bin/python3", false),
            ("sshd", "sshd", "sshd: /usr/sbin/sshd -D", true),
            // Never a part of it.
            ("ngin", "nginx", "nginx", false),
            ("nginx", "nginx-prometheu", "/nginx-prometheus", false),
            ("master", "nginx", "nginx: master process", false),
            ("sbin", "nginx", "/usr/sbin/nginx", false),
            ("nginx", "tail", "/var/log/nginx/access.log", false),
            ("NGINX", "nginx", "nginx", false),
            ("script.sh", "sh", "/bin/sh\0/opt/script.sh", false),
            ("123456789012345", "123456789012345", "", true),
        ] {
            let (name, comm, argument) = (name.as_bytes(), comm.as_bytes(), argument.as_bytes());
            assert_eq!(
                has_name(name, comm, argument),
                expected,
                "{} for {}, {}",
                name.escape_ascii(),
                comm.escape_ascii(),
                argument.escape_ascii()
            );
        }
    }

    #[test]
    fn p1_a_name_longer_than_comm_is_the_first_argument_or_begins_like_comm_and_is_the_second_or_third()
     {
        let comm = b"reload-everythi";
        for (comm, cmdline, expected) in [
            (&comm[..], "/opt/reload-everything.sh", true),
            (comm, "/bin/sh\0-e\0/opt/reload-everything.sh\0x", true),
            (comm, "/bin/sh\0-e\0-x\0/opt/reload-everything.sh", false),
            (comm, "/opt/reload-everything-else.sh", false),
            (comm, "", false),
            (b"sh", "/opt/reload-everything.sh", true),
            (b"sh", "/bin/sh\0/opt/reload-everything.sh", false),
        ] {
            let found = has_name(b"reload-everything.sh", comm, cmdline.as_bytes());
            assert_eq!(found, expected, "{} {cmdline:?}", comm.escape_ascii());
        }
    }

    fn is_launched(child: &str, parent: &str) -> bool {
        let (mut own, mut launcher) = ([0; PROGRAM_MAX], [0; LAUNCHER_MAX]);
        own[..child.len()].copy_from_slice(child.as_bytes());
        launcher[..parent.len()].copy_from_slice(parent.as_bytes());
        let own = words(&mut own, child.len());
        let both = own.zip(words(&mut launcher, parent.len()));
        both.is_some_and(|(child, parent)| is_launched_by(child, parent))
    }

    #[test]
    fn p10_a_launchers_command_line_holds_all_of_the_programs_behind_its_first_word() {
        for (parent, child, expected) in [
            ("sh\0-c\0app --x; :\0", "app\0--x\0", true),
            (
                "sh\0-c\0exec app --name='x y' >/dev/null\0",
                "app\0--name=x y\0",
                true,
            ),
            (
                "sh\0-c\0exec app --name 'x  y' >/dev/null\0",
                "app\0--name\0x  y\0",
                true,
            ),
            ("bash\0-c\0app --x|cat\0", "app\0--x\0", true),
            ("/init\0app\0--x\0", "app\0--x\0", true),
            // A master and its worker.
            ("app\0--x\0", "app\0", false),
            ("app\0app.conf\0", "app\0", false),
            ("app\0--x\0", "app\0--x\0", false),
            // Only a part of a word.
            ("sh\0-c\0app-server --x\0", "app\0", false),
            ("sh\0-c\0/opt/app --x\0", "app\0--x\0", false),
            ("sh\0/opt/start\0", "app\0--x\0", false),
            ("sh\0-c\0app\0", "\0", false),
            ("", "app\0", false),
        ] {
            assert_eq!(is_launched(child, parent), expected, "{parent:?} {child:?}");
        }
        let long = "x".repeat(PROGRAM_MAX);
        assert!(
            !is_launched(&long, &format!("sh {long}")),
            "the end may be missing"
        );
    }
}
