//! Roles in made-up forests of processes, where the one that is meant is known.

use super::*;
use crate::base::comm::Comm;
use crate::base::time::Instant;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, TestRunner};
use std::collections::BTreeMap;
use std::vec::Vec;

/// A process, and what is known of it.
#[derive(Debug)]
struct Node {
    parent: i32,
    is_match: bool,
    /// Its parent is its launcher.
    is_launched: bool,
    elsewhere: Option<Role>,
    /// Its role, if it is a match.
    expected: Role,
}

/// All processes, by their ids.
#[derive(Debug, Default)]
struct Forest {
    nodes: BTreeMap<i32, Node>,
    is_by_cmdline: bool,
    is_machine: bool,
}

impl Forest {
    fn node(&self, process: &Process) -> &Node {
        &self.nodes[&process.pid.as_raw_nonzero().get()]
    }
}

impl Source for Forest {
    fn each(&self, visit: &mut dyn FnMut(&Process) -> io::Result<()>) -> io::Result<()> {
        self.nodes
            .keys()
            .try_for_each(|pid| visit(&self.find(Pid::from_raw(*pid).unwrap()).unwrap()))
    }

    fn find(&self, pid: Pid) -> Option<Process> {
        let node = self.nodes.get(&pid.as_raw_nonzero().get())?;
        Some(Process {
            pid,
            parent: Pid::from_raw(node.parent),
            comm: Comm::new(b""),
            start: Instant::BOOT,
            is_alive: true,
        })
    }

    fn matches(&self, process: &Process) -> bool {
        self.node(process).is_match
    }

    fn knows_launchers(&self) -> bool {
        self.is_by_cmdline
    }

    fn launches(&self, parent: &Process, child: &Process) -> bool {
        let child = self.node(child);
        child.is_launched && child.parent == parent.pid.as_raw_nonzero().get()
    }

    fn elsewhere(&self, process: &Process) -> io::Result<Option<Role>> {
        Ok(self.node(process).elsewhere)
    }

    fn has_adopter(&self) -> bool {
        !self.is_machine
    }
}

/// The processes of one container, or of one service of the machine.
#[derive(Clone, Debug)]
struct Group {
    elsewhere: Option<Role>,
    /// Shells and supervisors above the program, from the outermost.
    launchers: usize,
    /// Processes between it and its parent that do not match, such as a script.
    wrappers: usize,
    /// The program runs. What it has left behind may be all that there is.
    has_program: bool,
    /// Chains of this many workers, each below a helper that does not match.
    workers: Vec<usize>,
    /// Chains of this many processes that an earlier program has left behind to process 1.
    orphans: Vec<usize>,
}

fn groups() -> impl Strategy<Value = Vec<Group>> {
    let elsewhere = select(&[
        None,
        None,
        None,
        Some(Role::OtherContainer),
        Some(Role::OtherPod),
    ]);
    let chains = || prop::collection::vec(1..4_usize, 0..4);
    let group = (
        elsewhere,
        0..4_usize,
        0..3_usize,
        any::<bool>(),
        chains(),
        chains(),
    )
        .prop_map(
            |(elsewhere, launchers, wrappers, has_program, workers, orphans)| Group {
                elsewhere,
                launchers,
                wrappers,
                has_program,
                workers,
                orphans,
            },
        );
    prop::collection::vec(group, 0..5)
}

/// Builds the forest of some groups. Ids are spread by `seed`, so that they come in any order.
struct Builder {
    forest: Forest,
    seed: usize,
}

impl Builder {
    /// Adds a process and returns its id.
    fn add(&mut self, node: Node) -> i32 {
        const PRIME: usize = 32_749;
        let at = self.forest.nodes.len();
        let pid = 2 + ((at + 1) * (1 + self.seed) % PRIME) as i32;
        assert!(self.forest.nodes.insert(pid, node).is_none());
        pid
    }

    fn add_match(&mut self, parent: i32, group: &Group, expected: Role, is_launched: bool) -> i32 {
        self.add(Node {
            parent,
            is_match: true,
            is_launched,
            elsewhere: group.elsewhere,
            expected: group.elsewhere.unwrap_or(expected),
        })
    }

    fn add_other(&mut self, parent: i32) -> i32 {
        self.add(Node {
            parent,
            is_match: false,
            is_launched: false,
            elsewhere: None,
            expected: Role::Main,
        })
    }

    fn add_workers(&mut self, group: &Group, chains: &[usize], master: i32) {
        for length in chains {
            let mut parent = self.add_other(master);
            for _ in 0..*length {
                parent = self.add_match(parent, group, Role::Worker, false);
            }
        }
    }

    fn add_group(&mut self, group: &Group, orphan: Role) {
        let top = i32::from(self.forest.is_machine);
        if group.has_program {
            let mut parent = top;
            for _ in 0..group.wrappers {
                parent = self.add_other(parent);
            }
            // By name, a launcher does not match.
            let launchers = if self.forest.is_by_cmdline {
                group.launchers
            } else {
                0
            };
            for at in 0..launchers {
                parent = self.add_match(parent, group, Role::Launcher, at > 0);
            }
            let program = self.add_match(parent, group, Role::Main, launchers > 0);
            self.add_workers(group, &group.workers, program);
        }
        for length in &group.orphans {
            let orphan = self.add_match(1, group, orphan, false);
            self.add_workers(group, &[*length], orphan);
        }
    }
}

fn forest(groups: &[Group], is_by_cmdline: bool, is_machine: bool, seed: usize) -> Forest {
    let mut builder = Builder {
        forest: Forest {
            is_by_cmdline,
            is_machine,
            ..Forest::default()
        },
        seed,
    };
    let is_own_program = |group: &Group| group.has_program && group.elsewhere.is_none();
    let orphan = if !is_machine && groups.iter().any(is_own_program) {
        Role::Adopted
    } else {
        Role::Main
    };
    builder.forest.nodes.insert(
        1,
        Node {
            parent: 0,
            is_match: false,
            is_launched: false,
            elsewhere: None,
            expected: Role::Main,
        },
    );
    for group in groups {
        builder.add_group(group, orphan);
    }
    builder.forest
}

#[test]
fn p10_p11_p14_the_meant_process_is_found_in_100_000_forests() {
    let config = Config {
        cases: 100_000,
        failure_persistence: None,
        ..Config::default()
    };
    let input = (groups(), any::<bool>(), any::<bool>(), 0..30_000_usize);
    let outcome =
        TestRunner::new(config).run(&input, |(groups, is_by_cmdline, is_machine, seed)| {
            let forest = forest(&groups, is_by_cmdline, is_machine, seed);
            let mut roles = Roles::new(&forest).unwrap();
            forest
                .each(&mut |process| {
                    if forest.matches(process) {
                        let role = roles.of(process).unwrap();
                        assert_eq!(role, forest.node(process).expected, "{process:?}");
                    }
                    Ok(())
                })
                .unwrap();
            Ok(())
        });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn nine_hundred_matches_below_300_ancestors_each_take_few_reads() {
    use core::cell::Cell;
    /// Counts the processes that are read.
    struct Counted<'f>(&'f Forest, Cell<u32>);
    impl Source for Counted<'_> {
        fn each(&self, visit: &mut dyn FnMut(&Process) -> io::Result<()>) -> io::Result<()> {
            self.0.each(visit)
        }
        fn find(&self, pid: Pid) -> Option<Process> {
            self.1.set(self.1.get() + 1);
            self.0.find(pid)
        }
        fn matches(&self, process: &Process) -> bool {
            self.0.matches(process)
        }
        fn knows_launchers(&self) -> bool {
            false
        }
        fn launches(&self, _: &Process, _: &Process) -> bool {
            false
        }
        fn elsewhere(&self, _: &Process) -> io::Result<Option<Role>> {
            Ok(None)
        }
        fn has_adopter(&self) -> bool {
            true
        }
    }
    let mut builder = Builder {
        forest: Forest::default(),
        seed: 0,
    };
    let mut parent = 0;
    for _ in 0..300 {
        parent = builder.add_other(parent);
    }
    let group = Group {
        elsewhere: None,
        launchers: 0,
        wrappers: 0,
        has_program: true,
        workers: Vec::new(),
        orphans: Vec::new(),
    };
    for _ in 0..900 {
        let wrapper = builder.add_other(parent);
        builder.add_match(wrapper, &group, Role::Main, false);
    }
    let source = Counted(&builder.forest, Cell::new(0));
    let mut roles = Roles::new(&source).unwrap();
    let visit = &mut |process: &Process| {
        if source.matches(process) {
            assert_eq!(roles.of(process).unwrap(), Role::Main);
        }
        Ok(())
    };
    source.each(visit).unwrap();
    assert!(source.1.get() < 10_000, "{} reads", source.1.get());
}
