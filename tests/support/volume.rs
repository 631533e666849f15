//! A ConfigMap or Secret volume, written in the steps of the kubelet's `AtomicWriter`
//! (`pkg/volume/util/atomic_writer.go`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// When the links of new keys are made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Before `..data` is swapped: the old releases.
    LinksFirst,
    /// After it: the current ones.
    SwapFirst,
}

pub type Payload<'p> = BTreeMap<&'p str, &'p str>;

/// One volume. A key may be a path: then its first component is what is visible.
pub struct Volume {
    pub path: PathBuf,
    pub order: Order,
    /// The permissions of the files.
    pub mode: u32,
    /// What was written last: the same is not written again.
    last: RefCell<BTreeMap<String, String>>,
}

impl Volume {
    /// A new volume at `path`, holding `payload`.
    pub fn new(path: impl Into<PathBuf>, order: Order, payload: &[(&str, &str)]) -> Self {
        let volume = Self {
            path: path.into(),
            order,
            mode: 0o644,
            last: RefCell::default(),
        };
        fs::create_dir_all(&volume.path).unwrap();
        volume.update(payload);
        volume
    }

    /// Replaces the payload.
    pub fn update(&self, payload: &[(&str, &str)]) {
        self.update_with(payload, |_| {});
    }

    /// Replaces the payload and calls `before_last` when only the last step is left: the removal of the previous directory.
    pub fn update_with(&self, payload: &[(&str, &str)], before_last: impl FnOnce(&Path)) {
        let payload: Payload = payload.iter().copied().collect();
        let old = fs::read_link(self.path.join("..data")).ok();
        if self.last.replace(to_owned(&payload)) == to_owned(&payload) {
            before_last(&self.path);
            return;
        }
        let stamp = self.write_payload(&payload);
        if self.order == Order::LinksFirst {
            self.link_keys(&payload);
        }
        symlink(&stamp, self.path.join("..data_tmp")).unwrap();
        fs::rename(self.path.join("..data_tmp"), self.path.join("..data")).unwrap();
        if self.order == Order::SwapFirst {
            self.link_keys(&payload);
        }
        self.unlink_stale_keys(&payload);
        before_last(&self.path);
        if let Some(old) = old {
            fs::remove_dir_all(self.path.join(old)).unwrap();
        }
    }

    fn write_payload(&self, payload: &Payload) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1_000_000_000);
        let stamp = format!(
            "..2026_11_23_12_00_00.{}",
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let directory = self.path.join(&stamp);
        fs::create_dir(&directory).unwrap();
        fs::set_permissions(&directory, Permissions::from_mode(0o755)).unwrap();
        for (key, value) in payload {
            let file = directory.join(key);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, value).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(self.mode)).unwrap();
        }
        stamp
    }

    fn link_keys(&self, payload: &Payload) {
        for key in payload.keys() {
            let visible = first_component(key);
            let link = self.path.join(visible);
            if link.symlink_metadata().is_err() {
                symlink(Path::new("..data").join(visible), link).unwrap();
            }
        }
    }

    fn unlink_stale_keys(&self, payload: &Payload) {
        for entry in fs::read_dir(&self.path).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with("..") && !payload.keys().any(|key| first_component(key) == name) {
                fs::remove_file(self.path.join(name)).unwrap();
            }
        }
    }
}

fn first_component(key: &str) -> &str {
    key.split('/').next().unwrap()
}

fn to_owned(payload: &Payload) -> BTreeMap<String, String> {
    payload
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
