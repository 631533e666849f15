//! The mount table, as far as it decides whether changes can be noticed.

use crate::base::file::{Lines, descriptor_path, open_path};
use crate::base::text::{parse_number, pieces};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{self, CWD, Mode, OFlags};
use rustix::io;

/// The longest part of a path that is read, in bytes: more would cost memory that is only used at startup.
const PATH_SIZE: usize = 1024;

/// One line of `/proc/self/mountinfo`; proc_pid_mountinfo(5).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mount<'l> {
    /// The directory or file of the file system that is mounted.
    pub root: &'l [u8],
    /// The mount point.
    pub point: &'l [u8],
    /// The rest of the line from the blank on: options, the file system and its own options.
    pub rest: &'l [u8],
}

impl<'l> Mount<'l> {
    /// Parses a line, replacing its escapes in place.
    pub fn parse(line: &'l mut [u8]) -> Option<Self> {
        let (mut from, mut to, mut field) = (0, 0, 0);
        let mut ends = [0; 5];
        while let Some(byte) = line.get(from) {
            let mut byte = *byte;
            from += 1;
            if let Some(end) = ends.get_mut(field).filter(|_| byte == b' ') {
                *end = to;
                field += 1;
            } else if byte == b'\\'
                // Blanks, line feeds and backslashes are written as a backslash and three octal digits.
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

    /// Returns true for a `subPath` mount: the kubelet binds what the volume's links lead to at that time, by way of a directory
    /// `volume-subpaths`, and never updates it.
    pub fn is_sub_path(&self) -> bool {
        pieces(self.root, b'/')
            .any(|name| matches!(name, b"volume-subpaths" | [b'.', b'.', b'0'..=b'9', ..]))
    }

    /// Returns true for a file or directory that was replaced or removed where it was mounted from. The mount keeps the old one.
    pub fn is_replaced(&self) -> bool {
        self.root.ends_with(b"//deleted")
    }

    /// Returns true for a `/proc` that hides other users' processes; proc(5), `hidepid`.
    pub fn hides_processes(&self) -> bool {
        self.point == b"/proc"
            // The first option is always `rw` or `ro`.
            && pieces(self.rest, b',').any(|option| {
                let value = option.strip_prefix(b"hidepid=");
                value.is_some_and(|value| value != b"0" && value != b"off")
            })
    }

    /// Returns true if the mount point is at, above or below `path`.
    fn overlaps(&self, path: &[u8]) -> bool {
        let (mut above, mut below) = (self.point, path);
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

/// Opens the mount table of this program's namespace. poll(2) for `POLLPRI` tells when it changes.
///
/// # Errors
/// `/proc` is missing or cannot be read.
pub fn table() -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    fs::openat(CWD, c"/proc/self/mountinfo", flags, Mode::empty())
}

/// Calls `take` for each mount. A table that cannot be read counts as empty.
pub fn each(take: &mut dyn FnMut(&Mount<'_>)) {
    let Ok(table) = table() else { return };
    // Room for two paths; what follows them in a line is seldom needed.
    let mut buffer = [0; 2 * PATH_SIZE];
    let mut lines = Lines::new(table.as_fd(), &mut buffer);
    while let Some(line) = lines.next_line() {
        if let Some(mount) = Mount::parse(line) {
            take(&mount);
        }
    }
}

/// Calls `take` for each mount at, above or below a path whose content never changes: of a `subPath`, or of a file that was replaced. A path that leads nowhere has none.
// Not inlined: keeps the path's buffer off the stack of the loop.
#[inline(never)]
pub fn each_stale(path: &[u8], take: &mut dyn FnMut(&Mount<'_>)) {
    let mut buffer = [0; PATH_SIZE];
    let Some(path) = real_path(path, &mut buffer) else {
        return;
    };
    each(&mut |mount| {
        if (mount.is_sub_path() || mount.is_replaced()) && mount.overlaps(path) {
            take(mount);
        }
    });
}

/// Returns where a path leads, with all links followed.
fn real_path<'b>(path: &[u8], buffer: &'b mut [u8]) -> Option<&'b [u8]> {
    let located = open_path(path, OFlags::PATH).ok()?;
    let mut link = descriptor_path(located.as_fd());
    let length = fs::readlinkat_raw(CWD, link.as_c_str(), &mut *buffer).ok()?;
    let path = buffer.get(..length)?;
    // So the kernel ends the path of a mounted file that was replaced.
    Some(path.strip_suffix(b" (deleted)").unwrap_or(path))
}

/// A kind of file system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileSystem {
    /// The type in statfs(2).
    magic: u32,
    /// Its name; `?` for one that is not in the table.
    pub name: &'static str,
    /// Other machines or processes can change files without this kernel noticing.
    pub is_remote: bool,
    /// It holds no files: the kernel makes up what is read.
    pub is_virtual: bool,
}

impl FileSystem {
    const UNKNOWN: Self = Self::local(0, "?");

    /// Returns the file system with this type in statfs(2).
    pub fn from_magic(magic: u64) -> Self {
        // Some architectures extend its sign.
        let magic = magic as u32;
        let mut all = FILE_SYSTEMS.iter();
        Self {
            is_virtual: VIRTUAL.contains(&magic),
            ..*all.find(|it| it.magic == magic).unwrap_or(&Self::UNKNOWN)
        }
    }

    const fn remote(magic: u32, name: &'static str) -> Self {
        Self {
            magic,
            name,
            is_remote: true,
            is_virtual: false,
        }
    }

    const fn local(magic: u32, name: &'static str) -> Self {
        Self {
            magic,
            name,
            is_remote: false,
            is_virtual: false,
        }
    }
}

static FILE_SYSTEMS: [FileSystem; 14] = [
    FileSystem::remote(0x6969, "nfs"),
    FileSystem::remote(0xff53_4d42, "cifs"),
    FileSystem::remote(0xfe53_4d42, "smb2"),
    FileSystem::remote(0x6573_5546, "fuse"),
    FileSystem::remote(0x0102_1997, "9p"),
    FileSystem::remote(0x00c3_6400, "ceph"),
    FileSystem::remote(0x6b41_4653, "afs"),
    FileSystem::remote(0x0bd0_0bd0, "lustre"),
    FileSystem::remote(0x4750_4653, "gpfs"),
    FileSystem::local(0xef53, "ext4"),
    FileSystem::local(0x0102_1994, "tmpfs"),
    FileSystem::local(0x5846_5342, "xfs"),
    FileSystem::local(0x9123_683e, "btrfs"),
    FileSystem::local(0x794c_7630, "overlay"),
];

/// The types of the file systems that hold no files; linux/magic.h.
static VIRTUAL: [u32; 18] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x7472_6163, // tracefs
    0x6462_6720, // debugfs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x6265_6570, // configfs
    0x6165_676c, // pstore
    0xde5e_81e4, // efivarfs
    0x4249_4e4d, // binfmt_misc
    0xcafe_4a11, // bpf
    0x1980_0202, // mqueue
    0x1cd1,      // devpts
    0x0187,      // autofs
    0x6573_5543, // fusectl
    0x6e73_6673, // nsfs
];

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
    fn escapes_are_replaced() {
        let line = r"1 2 0:3 /with\040blank\134\011 /line\012end\04 rw - tmpfs x rw";
        let expected = (b"/with blank\\\t".to_vec(), b"/line\nend\\04".to_vec());
        assert_eq!(parsed(line), Some(expected));
    }

    #[test]
    fn w9_a_sub_path_mount_is_recognised_by_what_is_mounted() {
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
    fn a_mount_overlaps_paths_at_above_and_below_it() {
        let mount = mount("/", "/etc/app");
        for path in ["/etc/app", "/etc/app/conf.d", "/etc", "/"] {
            assert!(mount.overlaps(path.as_bytes()), "{path}");
        }
        for path in ["/etc/application", "/etc/ap", "/etc/other", "/e"] {
            assert!(!mount.overlaps(path.as_bytes()), "{path}");
        }
    }

    #[test]
    fn a_proc_that_hides_processes_is_recognised_by_its_options() {
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
    fn w12_file_systems_without_files_are_recognised_by_their_type() {
        for (path, is_virtual) in [
            ("/proc", true),
            ("/sys", true),
            ("/", false),
            ("/dev/shm", false),
        ] {
            let magic = fs::statfs(path).unwrap().f_type as u64;
            assert_eq!(
                FileSystem::from_magic(magic).is_virtual,
                is_virtual,
                "{path}"
            );
        }
    }

    #[test]
    fn w8_network_and_fuse_file_systems_are_recognised_by_their_type() {
        let named = |magic| {
            let file_system = FileSystem::from_magic(magic);
            (file_system.name, file_system.is_remote)
        };
        assert_eq!(named(0x6969), ("nfs", true));
        assert_eq!(named(0x6573_5546), ("fuse", true));
        let with_sign = i64::from(0xff53_4d42_u32 as i32) as u64;
        assert_eq!(named(with_sign), ("cifs", true));
        assert_eq!(named(0x0102_1994), ("tmpfs", false));
        assert_eq!(named(1), ("?", false));
    }
}
