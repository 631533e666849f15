//! What is mounted where, as far as it decides whether a change can be noticed.

use crate::base::file::{Lines, descriptor_path, open_path};
use crate::base::text::{parse_number, pieces};
use crate::config::CommaList;
use crate::report::Report;
use crate::report::old_log::{Level, Log};

use crate::words;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, CWD, Mode, OFlags};
use rustix::io;

/// One line of `/proc/self/mountinfo`; proc_pid_mountinfo(5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mount<'l> {
    /// Which directory or file of the file system is mounted.
    pub root: &'l [u8],
    /// Where.
    pub point: &'l [u8],
    /// The rest of the line, from the blank on: options, the file system and its own options.
    pub rest: &'l [u8],
}

impl<'l> Mount<'l> {
    /// Parses a line, in which the escapes are replaced.
    pub fn parse(line: &'l mut [u8]) -> Option<Self> {
        // Blanks, line ends and backslashes stand as a backslash with three octal digits.
        let (mut from, mut to, mut field) = (0, 0, 0);
        let mut ends = [0; 5];
        while let Some(byte) = line.get(from) {
            let mut byte = *byte;
            from += 1;
            if let Some(end) = ends.get_mut(field).filter(|_| byte == b' ') {
                *end = to;
                field += 1;
            } else if byte == b'\\'
                && let Some(code) = line.get(from..from + 3)
                && let Some(code) = parse_number(code, 8)
            {
                byte = code as u8;
                from += 3;
            }
            *line.get_mut(to)? = byte;
            to += 1;
        }
        if field < ends.len() {
            return None;
        }
        let line = line.get(..to)?;
        let [.., before, root, point] = ends;
        Some(Self {
            root: line.get(before + 1..root)?,
            point: line.get(root + 1..point)?,
            rest: line.get(point..)?,
        })
    }

    /// Whether what is mounted is what a volume held at one time, as by a `subPath`: the kubelet binds the file or directory that
    /// the volume's links lead to then, below `volume-subpaths` on the way, and never again.
    pub fn is_sub_path(&self) -> bool {
        pieces(self.root, b'/')
            .any(|name| matches!(name, b"volume-subpaths" | [b'.', b'.', b'0'..=b'9', ..]))
    }

    /// Whether this is a `/proc` that hides the processes of other users; proc(5), `hidepid`. The first option is `rw` or `ro`.
    pub fn hides_processes(&self) -> bool {
        self.point == b"/proc"
            && pieces(self.rest, b',').any(|option| {
                let value = option.strip_prefix(b"hidepid=");
                value.is_some_and(|value| value != b"0" && value != b"off")
            })
    }

    /// Whether one of the two lies in the other, or both are the same.
    fn touches(&self, path: &[u8]) -> bool {
        let mut above = self.point;
        let mut below = path;
        if above.len() > below.len() {
            core::mem::swap(&mut above, &mut below);
        }
        match below.strip_prefix(above) {
            Some([] | [b'/', ..]) => true,
            Some(_) => above == b"/",
            None => false,
        }
    }
}

/// Opens the mount table of this program's namespace; a poll(2) for `POLLPRI` tells when it changes.
///
/// # Errors
/// `/proc` is not there, or cannot be read.
pub fn table() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    fs::openat(CWD, c"/proc/self/mountinfo", flags, Mode::empty())
}

/// As much of a path is looked at: the buffers for it are touched at the start only, and pages stay.
const PATH_SIZE: usize = 1024;

/// Calls `take` for each mount. A table that cannot be read has none.
pub fn each(take: &mut dyn FnMut(&Mount<'_>)) {
    let Ok(table) = table() else { return };
    // Room for two paths: what comes after them in a line is seldom needed.
    let mut buffer = [0; 2 * PATH_SIZE];
    let mut lines = Lines::new(table.as_fd(), &mut buffer);
    // What was read up to an error counts.
    while let Some(line) = lines.next_line() {
        if let Some(mount) = Mount::parse(line) {
            take(&mount);
        }
    }
}

/// Warns of each `subPath` among the roots, in them, or around them. A root that is not there is passed over. Whether there was
/// any.
// Not inlined: its buffers are for the start only.
#[inline(never)]
pub fn report_sub_paths(roots: CommaList<'_>, report: &mut Report) -> bool {
    let mut found = false;
    for root in roots.iter() {
        let mut path = [0; PATH_SIZE];
        let Some(path) = real_path(root, &mut path) else {
            continue;
        };
        each(&mut |mount| {
            if mount.is_sub_path() && mount.touches(path) {
                found = true;
                let line = report.old.line(Level::Warn).value(mount.point);
                line.say(words!(" is a subPath mount, which Kubernetes never updates; mount the whole volume instead")).send();
            }
        });
    }
    found
}

/// Where a path leads to through all links.
fn real_path<'b>(path: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let located = open_path(path, OFlags::PATH).ok()?;
    let mut link = descriptor_path(located.as_fd());
    let length = fs::readlinkat_raw(CWD, link.as_c_str(), &mut *buffer).ok()?;
    buffer.get(..length)
}

/// The names of file systems by their numbers in statfs(2), and whether others can change files there without this kernel
/// knowing; a fixed width saves a pointer each.
static FILE_SYSTEMS: [(u32, [u8; 7], bool); 14] = [
    (0x6969, *b"nfs    ", true),
    (0xff53_4d42, *b"cifs   ", true),
    (0xfe53_4d42, *b"smb2   ", true),
    (0x6573_5546, *b"fuse   ", true),
    (0x0102_1997, *b"9p     ", true),
    (0x00c3_6400, *b"ceph   ", true),
    (0x6b41_4653, *b"afs    ", true),
    (0x0bd0_0bd0, *b"lustre ", true),
    (0x4750_4653, *b"gpfs   ", true),
    (0xef53, *b"ext4   ", false),
    (0x0102_1994, *b"tmpfs  ", false),
    (0x5846_5342, *b"xfs    ", false),
    (0x9123_683e, *b"btrfs  ", false),
    (0x794c_7630, *b"overlay", false),
];

/// The name of the file system with this number, and whether others can change what is on it; `?` for one that is not known.
pub fn file_system(number: u64) -> (&'static [u8], bool) {
    // Some architectures have it with a sign.
    let known = FILE_SYSTEMS
        .iter()
        .find(|(known, ..)| *known == number as u32);
    known.map_or((b"?", false), |(_, name, is_remote)| {
        (name.trim_ascii_end(), *is_remote)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    fn parsed(line: &str) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut line = line.as_bytes().to_vec();
        Mount::parse(&mut line).map(|mount| (mount.root.to_vec(), mount.point.to_vec()))
    }

    fn mount<'l>(root: &'l str, point: &'l str) -> Mount<'l> {
        Mount {
            root: root.as_bytes(),
            point: point.as_bytes(),
            rest: b"",
        }
    }

    #[test]
    fn a_line_gives_root_and_mount_point() {
        let line = "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        assert_eq!(parsed(line), Some((b"/mnt1".to_vec(), b"/mnt2".to_vec())));
        for line in ["", "36", "36 35 98:0", "36 35 98:0 /root"] {
            assert_eq!(parsed(line), None, "{line}");
        }
    }

    #[test]
    fn escapes_stand_for_what_a_line_cannot_hold() {
        let line = r"1 2 0:3 /with\040blank\134\011 /line\012end\04 rw - tmpfs x rw";
        let expected = (b"/with blank\\\t".to_vec(), b"/line\nend\\04".to_vec());
        assert_eq!(parsed(line), Some(expected));
    }

    #[test]
    fn w9_a_sub_path_is_told_by_the_way_it_was_bound() {
        let volume = "/var/lib/kubelet/pods/1234/volumes/kubernetes.io~configmap/config";
        for root in [
            &format!("{volume}/..2026_11_23_12_00_00.123456789/app.conf"),
            &format!("{volume}/..2026_11_23_12_00_00.123456789/app.conf//deleted"),
            "/..2026_11_23_12_00_00.123456789/key",
            "/var/lib/kubelet/pods/1234/volume-subpaths/config/app/0",
        ] {
            assert!(mount(root, "/etc/app").is_sub_path(), "{root}");
        }
        for root in [volume, "/", "/volume-subpaths-of-mine", "/..", "/a/..b/c"] {
            assert!(!mount(root, "/etc/app").is_sub_path(), "{root}");
        }
    }

    #[test]
    fn a_mount_concerns_the_roots_around_it_and_in_it() {
        let mount = mount("/", "/etc/app");
        for path in ["/etc/app", "/etc/app/conf.d", "/etc", "/"] {
            assert!(mount.touches(path.as_bytes()), "{path}");
        }
        for path in ["/etc/application", "/etc/ap", "/etc/other", "/e"] {
            assert!(!mount.touches(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_proc_that_hides_processes_is_known_by_its_options() {
        let hides = |line: &str| {
            let mut line = line.as_bytes().to_vec();
            Mount::parse(&mut line).unwrap().hides_processes()
        };
        assert!(hides(
            "22 1 0:5 / /proc rw,nosuid - proc proc rw,hidepid=invisible"
        ));
        assert!(hides("22 1 0:5 / /proc rw - proc proc rw,hidepid=2,gid=1"));
        for line in [
            "22 1 0:5 / /proc rw,nosuid - proc proc rw",
            "22 1 0:5 / /proc rw - proc proc rw,hidepid=off",
            "22 1 0:5 / /proc rw - proc proc rw,hidepid=0",
            "22 1 0:5 / /elsewhere rw - proc proc rw,hidepid=2",
        ] {
            assert!(!hides(line), "{line}");
        }
    }

    #[test]
    fn w8_network_and_fuse_file_systems_are_known_by_their_numbers() {
        assert_eq!(file_system(0x6969), (&b"nfs"[..], true));
        assert_eq!(file_system(0x6573_5546), (&b"fuse"[..], true));
        // As it comes where the number has a sign.
        let signed = i64::from(0xff53_4d42_u32 as i32) as u64;
        assert_eq!(file_system(signed), (&b"cifs"[..], true));
        assert_eq!(file_system(0x0102_1994), (&b"tmpfs"[..], false));
        assert_eq!(file_system(1), (&b"?"[..], false));
    }
}
