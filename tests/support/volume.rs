//! A ConfigMap or Secret volume, written in the steps of the kubelet's `AtomicWriter`
//! (`pkg/volume/util/atomic_writer.go`).

use super::act::{Act, How};
use super::process::eventually;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

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
    /// The payload last written: the same is not written again.
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
        let steps = self.steps(payload);
        let is_last = |step: &&Act| matches!(step, Act::RemoveAll(_));
        for step in steps.iter().filter(|step| !is_last(step)) {
            step.run().unwrap();
        }
        before_last(&self.path);
        for step in steps.iter().filter(is_last) {
            step.run().unwrap();
        }
    }

    /// The steps that replace the payload, from how the volume is now, which count as done: none for the same payload again.
    pub fn steps(&self, payload: &[(&str, &str)]) -> Vec<Act> {
        let payload: Payload = payload.iter().copied().collect();
        if self.last.replace(to_owned(&payload)) == to_owned(&payload) {
            return Vec::new();
        }
        let mut steps = Vec::new();
        let stamp = self.write_payload(&payload, &mut steps);
        if self.order == Order::LinksFirst {
            self.link_keys(&payload, &mut steps);
        }
        let swapped = self.path.join("..data_tmp");
        steps.push(Act::Symlink(stamp.into(), swapped.clone()));
        steps.push(Act::Rename(swapped, self.path.join("..data")));
        if self.order == Order::SwapFirst {
            self.link_keys(&payload, &mut steps);
        }
        self.unlink_stale_keys(&payload, &mut steps);
        if let Ok(old) = fs::canonicalize(self.path.join("..data")) {
            steps.push(Act::RemoveAll(old));
        }
        steps
    }

    /// Returns the payload last written.
    pub fn payload(&self) -> BTreeMap<String, String> {
        self.last.borrow().clone()
    }

    /// The same path has become an empty directory.
    pub fn is_empty_now(&self) {
        self.last.take();
    }

    fn write_payload(&self, payload: &Payload, steps: &mut Vec<Act>) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(1_000_000_000);
        let stamp = format!(
            "..2026_11_23_12_00_00.{}",
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let directory = self.path.join(&stamp);
        steps.push(Act::MakeDirectory(directory.clone()));
        steps.push(Act::Chmod(directory.clone(), 0o755));
        let mut made = BTreeSet::from([directory.clone()]);
        for (key, value) in payload {
            let file = directory.join(key);
            let parents = file.ancestors().skip(1);
            let missing: Vec<_> = parents
                .take_while(|parent| !made.contains(*parent))
                .collect();
            for parent in missing
                .into_iter()
                .rev()
                .map(Path::to_owned)
                .collect::<Vec<_>>()
            {
                steps.push(Act::MakeDirectory(parent.clone()));
                made.insert(parent);
            }
            steps.push(Act::Write(file.clone(), (*value).to_owned(), How::Anew));
            steps.push(Act::Chmod(file, self.mode));
        }
        stamp
    }

    fn link_keys(&self, payload: &Payload, steps: &mut Vec<Act>) {
        let visible: BTreeSet<_> = payload.keys().map(|key| first_component(key)).collect();
        for visible in visible {
            let link = self.path.join(visible);
            if link.symlink_metadata().is_err() {
                steps.push(Act::Symlink(Path::new("..data").join(visible), link));
            }
        }
    }

    fn unlink_stale_keys(&self, payload: &Payload, steps: &mut Vec<Act>) {
        for entry in fs::read_dir(&self.path).into_iter().flatten() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if !name.starts_with("..") && !payload.keys().any(|key| first_component(key) == name) {
                steps.push(Act::Remove(self.path.join(name)));
            }
        }
    }
}

/// Waits until whatever starts from now on counts as started after the last update of this volume: the kernel tells start times in
/// clock ticks of 10 ms, and what starts within the next may have read what was there before (P8).
pub fn let_age(volume: &Path) {
    eventually("three clock ticks old", || {
        // The last steps of an update make and remove links in it.
        let written = fs::metadata(volume).unwrap();
        let age = SystemTime::now().duration_since(written.modified().unwrap());
        age.is_ok_and(|age| age.as_millis() > 30)
    });
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
