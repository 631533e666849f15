//! From an operation to its steps, as far as the files that are there allow.

use crate::history::{Beside, Operation, Timed, VOLUMES};
use crate::support::act::{Act, How, print, quote};
use crate::support::volume::{Order, Volume};
use std::fs;
use std::path::{Path, PathBuf};

/// One step: with a file, with a file that stays open, or with a process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Deed {
    File(Act),
    Open(PathBuf),
    Put(String),
    Close,
    Kill,
    Start,
    Stop,
    Continue,
    Demand,
}

impl Deed {
    /// For the writer with this number, below `base`.
    pub fn shell(&self, writer: usize, base: &Path) -> String {
        let base = base.display();
        // The shell's 0 to 2 are taken.
        let number = writer + 3;
        let text = match self {
            Self::File(act) => act.shell(),
            Self::Open(path) => format!("exec {number}> {}", quote(&path.display().to_string())),
            Self::Put(content) => print(content, ">&", &number.to_string()),
            Self::Close => format!("exec {number}>&-"),
            Self::Kill => "kill -KILL $target; wait $target".to_owned(),
            Self::Start => "start_target".to_owned(),
            Self::Stop => "kill -STOP $sidecar".to_owned(),
            Self::Continue => "kill -CONT $sidecar".to_owned(),
            Self::Demand => "kill -USR1 $sidecar".to_owned(),
        };
        text.replace(&format!("ln -s {base}/"), "ln -s \"$PWD\"/")
            .replace(&format!("{base}/"), "")
    }
}

pub fn content(number: usize) -> String {
    match number {
        0 => "a".to_owned(),
        1 => "b".to_owned(),
        2 => "cc".to_owned(),
        3 => String::new(),
        // More than is read at once.
        _ => "x".repeat(9000),
    }
}

/// What there is, beside the files themselves.
pub struct World {
    pub base: PathBuf,
    volumes: [Volume; 2],
    /// Trees are numbered, as git-sync's are by their commits.
    trees: usize,
    scratch: usize,
}

type Steps = Vec<(u64, Deed)>;

impl World {
    /// Makes everything that histories begin with.
    pub fn new(base: &Path) -> Self {
        let make = |path: &str| fs::create_dir_all(base.join(path)).unwrap();
        for path in ["plain/d/e", "outside/od", "files", "tree-0", "scratch"] {
            make(path);
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
        let link = |target: &str, path: &str| {
            std::os::unix::fs::symlink(target, base.join(path)).unwrap();
        };
        link("../outside/od", "plain/l");
        link("../outside/o", "plain/f");
        fs::hard_link(base.join("plain/b"), base.join("outside/h")).unwrap();
        link("tree-0", "current");
        let payload = [("app.conf", "a"), ("nested/x.conf", "a")];
        let volume = |name, order| Volume::new(base.join(name), order, &payload);
        Self {
            base: base.to_owned(),
            volumes: [
                volume(VOLUMES[0], Order::LinksFirst),
                volume(VOLUMES[1], Order::SwapFirst),
            ],
            trees: 0,
            scratch: 0,
        }
    }

    /// The timestamped directory of each volume, as it was made first.
    pub fn first_stamps(&self) -> Vec<(&'static str, String)> {
        let stamp = |name| {
            (
                name,
                fs::read_link(self.base.join(name).join("..data"))
                    .unwrap()
                    .display()
                    .to_string(),
            )
        };
        VOLUMES.map(stamp).into()
    }

    /// The steps, each with the pause before it, and what follows when they are done.
    // One arm for each operation: nothing that had better be read elsewhere.
    #[allow(clippy::too_many_lines)]
    pub fn plan(&mut self, operation: &Operation) -> (Steps, Option<Timed>) {
        let at = |path: &str| self.base.join(path);
        let file = |act| (0, Deed::File(act));
        let later = |pause: u64, act| (pause, Deed::File(act));
        let write = |path, number, how| file(Act::Write(at(path), content(number), how));
        let back = |path| match read(&at(path)) {
            Some(before) => Act::Write(at(path), before, How::Anew),
            None => Act::Remove(at(path)),
        };
        let mut next = None;
        let steps = match operation {
            Operation::Write(path, number) => vec![write(path, *number, How::Anew)],
            Operation::WriteInPlace(path, number) | Operation::WriteAway(path, number) => {
                vec![write(path, *number, How::InPlace)]
            }
            Operation::Append(path, number) => vec![write(path, *number, How::Append)],
            Operation::WriteSlowly(path, number, pauses) => {
                let content = content(*number);
                let (half, rest) = content.split_at(content.len() / 2);
                vec![
                    (0, Deed::Open(at(path))),
                    (pauses[0], Deed::Put(half.to_owned())),
                    (pauses[1], Deed::Put(rest.to_owned())),
                    (pauses[2], Deed::Close),
                ]
            }
            Operation::Replace(path, number, beside, pause) => {
                let new = Self::beside(&mut self.scratch, &self.base, path, *beside);
                let path = self.base.join(path);
                vec![
                    file(Act::Write(new.clone(), content(*number), How::Anew)),
                    later(*pause, Act::Rename(new, path)),
                ]
            }
            Operation::Link(target, path, beside, pause) => {
                let target = match target.strip_prefix('/') {
                    Some(below) => at(below),
                    None => PathBuf::from(target),
                };
                let path = at(path);
                if *beside == Beside::InTheTree {
                    let removal = path
                        .symlink_metadata()
                        .is_ok()
                        .then(|| file(Act::Remove(path.clone())));
                    let link = later(*pause, Act::Symlink(target, path));
                    removal.into_iter().chain([link]).collect()
                } else {
                    let name = path.strip_prefix(&self.base).unwrap().display().to_string();
                    let new = Self::beside(&mut self.scratch, &self.base, &name, *beside);
                    vec![
                        file(Act::Symlink(target, new.clone())),
                        later(*pause, Act::Rename(new, path)),
                    ]
                }
            }
            Operation::Remove(path) => vec![file(Act::Remove(at(path)))],
            Operation::MakeDirectory(path) => vec![file(Act::MakeDirectory(at(path)))],
            Operation::RemoveDirectory(path) => vec![file(Act::RemoveDirectory(at(path)))],
            Operation::RemoveTree(path) => vec![file(Act::RemoveAll(at(path)))],
            Operation::Rename(from, to) => vec![file(Act::Rename(at(from), at(to)))],
            Operation::HardLink(from, to) => {
                let (from, to) = (at(from), at(to));
                let new = Self::beside(&mut self.scratch, &self.base, "", Beside::Elsewhere);
                vec![
                    file(Act::HardLink(from, new.clone())),
                    file(Act::Rename(new, to)),
                ]
            }
            Operation::MakeFifo(path) => vec![file(Act::MakeFifo(at(path)))],
            Operation::Touch(path) => vec![file(Act::Touch(at(path)))],
            Operation::Chmod(path) => {
                let is_directory = at(path).is_dir();
                let modes = if is_directory {
                    [0o700, 0o755]
                } else {
                    [0o600, 0o644]
                };
                modes.map(|mode| file(Act::Chmod(at(path), mode))).into()
            }
            Operation::SameBytes(path) => {
                let same =
                    read(&at(path)).map(|same| file(Act::Write(at(path), same, How::InPlace)));
                same.into_iter().collect()
            }
            Operation::Flip(path, number, pause) => {
                vec![write(path, *number, How::Anew), later(*pause, back(path))]
            }
            Operation::FlipAroundRestart(path, number, pauses) => vec![
                write(path, *number, How::Anew),
                (pauses[0], Deed::Kill),
                (pauses[1], Deed::Start),
                later(pauses[2], back(path)),
            ],
            Operation::FlipWhileStopped(path, number, pauses) => vec![
                (0, Deed::Stop),
                (pauses[0], write(path, *number, How::Anew).1),
                (0, Deed::Kill),
                (0, Deed::Start),
                later(pauses[1] + 10, back(path)),
                (pauses[2], Deed::Continue),
            ],
            Operation::FillAroundRestart(path, number, pauses) => vec![
                file(Act::MakeDirectory(at(path))),
                (pauses[0], Deed::Kill),
                (pauses[1], Deed::Start),
                later(
                    pauses[2],
                    Act::Write(at(path).join("a"), content(*number), How::Anew),
                ),
            ],
            Operation::Burst(path, count, pause) => {
                let path = |number| at(path).join(format!("burst-{number}"));
                let make = |number| file(Act::Write(path(number), content(0), How::Anew));
                let remove = |number| {
                    (
                        if number == 0 { *pause } else { 0 },
                        Deed::File(Act::Remove(path(number))),
                    )
                };
                (0..*count)
                    .map(make)
                    .chain((0..*count).map(remove))
                    .collect()
            }
            Operation::MoveAway(root, pause) => {
                let away = at(if *root == "plain" {
                    "away"
                } else {
                    "away-volume"
                });
                let away = if *root == VOLUMES[1] {
                    at("away-volume-2")
                } else {
                    away
                };
                vec![
                    file(Act::Rename(at(root), away.clone())),
                    later(*pause, Act::Rename(away, at(root))),
                ]
            }
            Operation::Recreate(root, number, pause) => {
                let operation = match VOLUMES.iter().position(|name| name == root) {
                    Some(which) => {
                        self.volumes[which].is_empty_now();
                        Operation::Update(root, vec![("app.conf", *number)], Vec::new())
                    }
                    None => Operation::Write("plain/a", *number),
                };
                next = Some(Timed {
                    delay_ms: 0,
                    operation,
                });
                vec![
                    file(Act::RemoveAll(at(root))),
                    later(*pause, Act::MakeDirectory(at(root))),
                ]
            }
            Operation::Update(volume, payload, pauses) => {
                let contents: Vec<_> = payload
                    .iter()
                    .map(|(key, number)| (*key, content(*number)))
                    .collect();
                let payload: Vec<_> = contents
                    .iter()
                    .map(|(key, content)| (*key, &**content))
                    .collect();
                let steps = self.volume(volume).steps(&payload);
                let pauses = std::iter::once(0).chain(pauses.iter().copied().cycle());
                let pauses = pauses.chain(std::iter::repeat(0));
                pauses.zip(steps.into_iter().map(Deed::File)).collect()
            }
            Operation::Replay(volume) => {
                let volume = self.volume(volume);
                let last = volume.payload();
                let last: Vec<_> = last.iter().map(|(key, value)| (&**key, &**value)).collect();
                assert_eq!(
                    volume.steps(&last),
                    [],
                    "the kubelet does not write the same again"
                );
                Vec::new()
            }
            Operation::Swap(number, pause) => {
                self.trees += 1;
                let tree = format!("tree-{}", self.trees);
                let steps = self.swap(&tree);
                let before = fs::read_link(self.base.join("current")).unwrap();
                let directory = self.base.join(&tree);
                let made = [
                    file(Act::MakeDirectory(directory.clone())),
                    file(Act::Write(
                        directory.join("conf"),
                        content(*number),
                        How::Anew,
                    )),
                ];
                let removal = later(*pause, Act::RemoveAll(self.base.join(before)));
                made.into_iter()
                    .chain(steps)
                    .chain((*pause % 2 == 0).then_some(removal))
                    .collect()
            }
            Operation::SwapBack => {
                let before = format!("tree-{}", self.trees.saturating_sub(1));
                if at(&before).is_dir() {
                    self.swap(&before)
                } else {
                    Vec::new()
                }
            }
            Operation::Restart(pause) => vec![(0, Deed::Kill), (*pause, Deed::Start)],
            Operation::Stop(pause) => vec![(0, Deed::Stop), (*pause, Deed::Continue)],
            Operation::Demand => vec![(0, Deed::Demand)],
        };
        (steps, next)
    }

    fn volume(&self, name: &str) -> &Volume {
        let which = VOLUMES.iter().position(|volume| *volume == name);
        &self.volumes[which.unwrap()]
    }

    /// As `ln -s TREE tmp; mv -T tmp current`.
    fn swap(&self, tree: &str) -> Steps {
        let new = self.base.join("current-new");
        let link = Act::Symlink(tree.into(), new.clone());
        let swap = Act::Rename(new, self.base.join("current"));
        [link, swap].map(|act| (0, Deed::File(act))).into()
    }

    /// A new path from which to rename to `path`.
    fn beside(scratch: &mut usize, base: &Path, path: &str, beside: Beside) -> PathBuf {
        *scratch += 1;
        match beside {
            Beside::InTheTree => base.join(format!("{path}.{scratch}")),
            Beside::Elsewhere => base.join(format!("scratch/{scratch}")),
        }
    }
}

fn read(path: &Path) -> Option<String> {
    path.is_file().then(|| fs::read_to_string(path).ok())?
}
