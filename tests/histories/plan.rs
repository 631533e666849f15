//! Turns operations into actions that fit the files that exist.

use crate::action::{Action, Paused, act, act_after, paused};
use crate::history::{Operation, Staging, VOLUMES};
use crate::support::act::{Act, How};
use crate::support::volume::{Order, Volume};
use std::fs;
use std::iter::{once, repeat};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// The parts of an operation.
pub struct Plan {
    pub actions: Vec<Paused>,
    /// Planned only once the actions are done.
    pub then: Option<Operation>,
}

/// Returns the content with this number.
pub fn content(number: usize) -> String {
    match number {
        0 => "a".to_owned(),
        1 => "b".to_owned(),
        2 => "cc".to_owned(),
        3 => String::new(),
        // Longer than the sidecar's buffer.
        _ => "x".repeat(9000),
    }
}

/// The state that planning needs beyond what is on disk.
pub struct World {
    pub base: PathBuf,
    volumes: [Volume; 2],
    /// The number of the newest tree behind `current`.
    trees: usize,
    /// The number of temporary names in use.
    temporary: usize,
}

impl World {
    /// Lays out the files that every history begins with.
    pub fn new(base: &Path) -> Self {
        for path in ["plain/d/e", "outside/od", "files", "tree-0", "scratch"] {
            fs::create_dir_all(base.join(path)).unwrap();
        }
        for path in [
            "plain/a",
            "plain/b",
            "plain/d/a",
            "plain/d/e/a",
            "outside/o",
            "outside/od/a",
            "files/app.conf",
            "tree-0/conf",
        ] {
            fs::write(base.join(path), content(0)).unwrap();
        }
        for (target, path) in [
            ("../outside/od", "plain/l"),
            ("../outside/o", "plain/f"),
            ("tree-0", "current"),
        ] {
            symlink(target, base.join(path)).unwrap();
        }
        fs::hard_link(base.join("plain/b"), base.join("outside/h")).unwrap();
        let payload = [("app.conf", "a"), ("nested/x.conf", "a")];
        let volume = |name, order| Volume::new(base.join(name), order, &payload);
        Self {
            base: base.to_owned(),
            volumes: [
                volume(VOLUMES[0], Order::LinksFirst),
                volume(VOLUMES[1], Order::SwapFirst),
            ],
            trees: 0,
            temporary: 0,
        }
    }

    /// Returns the volumes and their timestamped directories.
    pub fn first_stamps(&self) -> Vec<(&'static str, String)> {
        let stamp = |name| fs::read_link(self.at(name).join("..data")).unwrap();
        VOLUMES
            .map(|name| (name, stamp(name).display().to_string()))
            .into()
    }

    /// Plans an operation. One that the files do not allow has fewer actions, or none.
    pub fn plan(&mut self, operation: &Operation) -> Plan {
        use Operation as Op;
        let mut then = None;
        let actions = match operation.clone() {
            Op::Write(path, number) => vec![self.write(path, number, How::Anew)],
            Op::WriteInPlace(path, number) => vec![self.write(path, number, How::InPlace)],
            Op::Append(path, number) => vec![self.write(path, number, How::Append)],
            Op::WriteSlowly(path, number, pauses) => self.write_slowly(path, number, pauses),
            Op::Replace(path, number, at, pause) => self.replace(path, number, at, pause),
            Op::Remove(path) => vec![act(Act::Remove(self.at(path)))],
            Op::MakeDirectory(path) => vec![act(Act::MakeDirectory(self.at(path)))],
            Op::RemoveDirectory(path) => vec![act(Act::RemoveDirectory(self.at(path)))],
            Op::RemoveTree(path) => vec![act(Act::RemoveAll(self.at(path)))],
            Op::Rename(from, to) => vec![act(Act::Rename(self.at(from), self.at(to)))],
            Op::Link(target, path, at, pause) => self.link(target, path, at, pause),
            Op::HardLink(from, to) => self.hard_link(from, to),
            Op::MakeFifo(path) => vec![act(Act::MakeFifo(self.at(path)))],
            Op::Chmod(path) => self.chmod(path),
            Op::Touch(path) => vec![act(Act::Touch(self.at(path)))],
            Op::SameBytes(path) => self.same_bytes(path),
            Op::Flip(path, number, pause) => {
                let back = act_after(pause, self.back(path));
                vec![self.write(path, number, How::Anew), back]
            }
            Op::FlipAroundRestart(path, number, pauses) => self.flip(path, number, pauses),
            Op::FlipWhileStopped(path, number, pauses) => {
                self.flip_while_stopped(path, number, pauses)
            }
            Op::FillAroundRestart(path, number, pauses) => self.fill(path, number, pauses),
            Op::Burst(path, count, pause) => self.burst(path, count, pause),
            Op::MoveAway(root, pause) => self.move_away(root, pause),
            Op::Recreate(root, number, pause) => {
                then = Some(self.first_content(root, number));
                let root = self.at(root);
                let again = Act::MakeDirectory(root.clone());
                vec![act(Act::RemoveAll(root)), act_after(pause, again)]
            }
            Op::Update(volume, payload, pauses) => self.update(volume, &payload, &pauses),
            Op::Swap(number, pause) => self.new_tree(number, pause),
            Op::SwapBack => self.swap_back(),
            Op::Restart(pause) => vec![paused(0, Action::Kill), paused(pause, Action::Start)],
            Op::Stop(pause) => vec![paused(0, Action::Stop), paused(pause, Action::Continue)],
            Op::Request => vec![paused(0, Action::Request)],
        };
        Plan { actions, then }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Returns a new path from which to rename to `path`.
    fn temporary(&mut self, path: &str, staging: Staging) -> PathBuf {
        self.temporary += 1;
        match staging {
            Staging::InTheTree => self.at(&format!("{path}.{}", self.temporary)),
            Staging::Elsewhere => self.at(&format!("scratch/{}", self.temporary)),
        }
    }

    fn write(&self, path: &str, number: usize, how: How) -> Paused {
        act(Act::Write(self.at(path), content(number), how))
    }

    fn write_slowly(&self, path: &str, number: usize, pauses: [u64; 3]) -> Vec<Paused> {
        let content = content(number);
        let (first, second) = content.split_at(content.len() / 2);
        vec![
            paused(0, Action::Open(self.at(path))),
            paused(pauses[0], Action::Put(first.to_owned())),
            paused(pauses[1], Action::Put(second.to_owned())),
            paused(pauses[2], Action::Close),
        ]
    }

    fn replace(&mut self, path: &str, number: usize, at: Staging, pause: u64) -> Vec<Paused> {
        let new = self.temporary(path, at);
        vec![
            act(Act::Write(new.clone(), content(number), How::Anew)),
            act_after(pause, Act::Rename(new, self.at(path))),
        ]
    }

    fn link(&mut self, target: &str, path: &str, at: Staging, pause: u64) -> Vec<Paused> {
        let target = match target.strip_prefix('/') {
            Some(below) => self.at(below),
            None => PathBuf::from(target),
        };
        let link = self.at(path);
        match at {
            Staging::InTheTree => {
                let exists = link.symlink_metadata().is_ok();
                let removal = exists.then(|| act(Act::Remove(link.clone())));
                let link = act_after(pause, Act::Symlink(target, link));
                removal.into_iter().chain([link]).collect()
            }
            Staging::Elsewhere => {
                let new = self.temporary(path, at);
                let rename = Act::Rename(new.clone(), link);
                vec![act(Act::Symlink(target, new)), act_after(pause, rename)]
            }
        }
    }

    fn hard_link(&mut self, from: &str, to: &str) -> Vec<Paused> {
        let new = self.temporary(to, Staging::Elsewhere);
        vec![
            act(Act::HardLink(self.at(from), new.clone())),
            act(Act::Rename(new, self.at(to))),
        ]
    }

    fn chmod(&self, path: &str) -> Vec<Paused> {
        let path = self.at(path);
        let modes = if path.is_dir() {
            [0o700, 0o755]
        } else {
            [0o600, 0o644]
        };
        modes.map(|mode| act(Act::Chmod(path.clone(), mode))).into()
    }

    fn same_bytes(&self, path: &str) -> Vec<Paused> {
        let path = self.at(path);
        let same = read(&path).map(|same| act(Act::Write(path, same, How::InPlace)));
        same.into_iter().collect()
    }

    /// Restores what a file holds now.
    fn back(&self, path: &str) -> Act {
        let path = self.at(path);
        match read(&path) {
            Some(before) => Act::Write(path, before, How::Anew),
            None => Act::Remove(path),
        }
    }

    fn flip(&self, path: &str, number: usize, pauses: [u64; 3]) -> Vec<Paused> {
        vec![
            self.write(path, number, How::Anew),
            paused(pauses[0], Action::Kill),
            paused(pauses[1], Action::Start),
            act_after(pauses[2], self.back(path)),
        ]
    }

    fn flip_while_stopped(&self, path: &str, number: usize, pauses: [u64; 3]) -> Vec<Paused> {
        let write = self.write(path, number, How::Anew);
        vec![
            paused(0, Action::Stop),
            paused(pauses[0], write.action),
            paused(0, Action::Kill),
            paused(0, Action::Start),
            // The target reads before the content is back.
            act_after(pauses[1] + 10, self.back(path)),
            paused(pauses[2], Action::Continue),
        ]
    }

    fn fill(&self, path: &str, number: usize, pauses: [u64; 3]) -> Vec<Paused> {
        let directory = self.at(path);
        let file = directory.join("a");
        vec![
            act(Act::MakeDirectory(directory)),
            paused(pauses[0], Action::Kill),
            paused(pauses[1], Action::Start),
            act_after(pauses[2], Act::Write(file, content(number), How::Anew)),
        ]
    }

    fn burst(&self, path: &str, count: usize, pause: u64) -> Vec<Paused> {
        let path = |number| self.at(path).join(format!("burst-{number}"));
        let make = |number| act(Act::Write(path(number), content(0), How::Anew));
        let pauses = once(pause).chain(repeat(0));
        let removals = (0..count).map(|number| Act::Remove(path(number)));
        let removals = pauses.zip(removals).map(|(pause, it)| act_after(pause, it));
        (0..count).map(make).chain(removals).collect()
    }

    fn move_away(&self, root: &str, pause: u64) -> Vec<Paused> {
        let away = match root {
            "plain" => self.at("away"),
            volume => self.at(&format!("away-{volume}")),
        };
        vec![
            act(Act::Rename(self.at(root), away.clone())),
            act_after(pause, Act::Rename(away, self.at(root))),
        ]
    }

    /// Gives a root that has been made again one file.
    fn first_content(&mut self, root: &'static str, number: usize) -> Operation {
        if let Some(which) = VOLUMES.iter().position(|name| *name == root) {
            self.volumes[which].is_empty_now();
            Operation::Update(root, vec![("app.conf", number)], Vec::new())
        } else {
            Operation::Write("plain/a", number)
        }
    }

    fn update(&self, name: &str, payload: &[(&str, usize)], pauses: &[u64]) -> Vec<Paused> {
        let contents = payload.iter().map(|(key, number)| (*key, content(*number)));
        let contents: Vec<_> = contents.collect();
        let contents: Vec<_> = contents.iter().map(|(key, it)| (*key, &**it)).collect();
        let which = VOLUMES.iter().position(|volume| *volume == name);
        let steps = self.volumes[which.unwrap()].steps(&contents);
        let pauses = pauses.iter().copied().cycle().chain(repeat(0));
        let pauses = once(0).chain(pauses);
        let actions = pauses.zip(steps);
        actions
            .map(|(pause, step)| act_after(pause, step))
            .collect()
    }

    /// Half of the old trees stay, to be swapped back.
    fn new_tree(&mut self, number: usize, pause: u64) -> Vec<Paused> {
        self.trees += 1;
        let name = format!("tree-{}", self.trees);
        let tree = self.at(&name);
        let old = fs::read_link(self.at("current")).unwrap();
        let file = tree.join("conf");
        let mut actions = vec![
            act(Act::MakeDirectory(tree)),
            act(Act::Write(file, content(number), How::Anew)),
        ];
        actions.extend(self.swap(&name));
        if pause.is_multiple_of(2) {
            actions.push(act_after(pause, Act::RemoveAll(self.base.join(old))));
        }
        actions
    }

    fn swap_back(&self) -> Vec<Paused> {
        let old = format!("tree-{}", self.trees.saturating_sub(1));
        if self.at(&old).is_dir() {
            self.swap(&old).into()
        } else {
            Vec::new()
        }
    }

    /// As `ln -s TREE new; mv -T new current`.
    fn swap(&self, tree: &str) -> [Paused; 2] {
        let new = self.at("current-new");
        let link = Act::Symlink(tree.into(), new.clone());
        [link, Act::Rename(new, self.at("current"))].map(act)
    }
}

fn read(path: &Path) -> Option<String> {
    path.is_file().then(|| fs::read_to_string(path).ok())?
}
