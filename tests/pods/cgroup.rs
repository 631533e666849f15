//! Control groups.

use std::fs;
use std::path::{Path, PathBuf};

/// A control group, version 1.
pub struct Cgroup(PathBuf);

impl Cgroup {
    pub fn of(pid: u32, controller: &str) -> Self {
        let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
        let group = groups.lines().find_map(|line| {
            let mut fields = line.splitn(3, ':').skip(1);
            let is_it = fields.next()?.split(',').any(|name| name == controller);
            is_it.then(|| fields.next()).flatten()
        });
        let group = group.expect("control groups version 1");
        Self(
            Path::new("/sys/fs/cgroup")
                .join(controller)
                .join(&group[1..]),
        )
    }

    pub fn set(&self, file: &str, value: u64) {
        fs::write(self.0.join(file), value.to_string()).unwrap();
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.0.join(file)).unwrap()
    }

    pub fn number(&self, file: &str) -> u64 {
        self.read(file).trim().parse().unwrap()
    }
}
