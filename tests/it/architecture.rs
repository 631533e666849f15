//! The shape of the source tree: which module may use which, and how long things may be.
//!
//! Reads the sources with syn, so that a new edge fails here with the place where it stands.

use proc_macro2::LineColumn;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::spanned::Spanned;
use syn::visit::{self, Visit};

/// Every room of the house from the top floor down, and the rooms that it may use: only those below it.
const ROOMS: &[(&str, &[&str])] = &[
    (
        "command",
        &[
            "run", "check", "deliver", "http", "process", "config", "report", "base",
        ],
    ),
    (
        "run",
        &[
            "watch",
            "deliver",
            "confirm",
            "http",
            "sandbox",
            "process",
            "mount",
            "reload",
            "fingerprint",
            "config",
            "report",
            "base",
        ],
    ),
    (
        "check",
        &[
            "watch",
            "deliver",
            "confirm",
            "process",
            "mount",
            "fingerprint",
            "config",
            "report",
            "base",
        ],
    ),
    (
        "watch",
        &[
            "confirm",
            "tree",
            "mount",
            "reload",
            "fingerprint",
            "config",
            "report",
            "base",
        ],
    ),
    (
        "deliver",
        &[
            "confirm",
            "process",
            "reload",
            "fingerprint",
            "config",
            "report",
            "base",
        ],
    ),
    (
        "confirm",
        &["reload", "fingerprint", "config", "report", "base"],
    ),
    ("http", &["report", "base"]),
    ("sandbox", &["mount", "report", "base"]),
    ("tree", &["fingerprint", "base"]),
    ("process", &["config", "base"]),
    ("mount", &["base"]),
    ("reload", &["fingerprint", "base"]),
    ("config", &["base"]),
    ("fingerprint", &["base"]),
    ("report", &["base"]),
    ("base", &[]),
];

/// The longest function, in lines.
const FUNCTION_MAX: usize = 60;
/// The longest file, in lines, without its tests.
const FILE_MAX: usize = 330;

/// One source file.
struct Source {
    path: PathBuf,
    /// The module's path below the crate, such as `["base", "time"]`.
    module: Vec<String>,
    uses: Vec<(Vec<String>, LineColumn)>,
    functions: Vec<(String, usize)>,
    /// Lines before the tests.
    lines: usize,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources() -> Vec<Source> {
    let mut sources = Vec::new();
    let mut directories = vec![root()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") && !is_test(&path) {
                sources.push(read(path));
            }
        }
    }
    assert!(sources.len() > 30, "the sources are found");
    sources
}

fn is_test(path: &Path) -> bool {
    path.components().any(|it| {
        it.as_os_str()
            .to_string_lossy()
            .trim_end_matches(".rs")
            .ends_with("tests")
    })
}

fn read(path: PathBuf) -> Source {
    let text = fs::read_to_string(&path).unwrap();
    let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let relative = path.strip_prefix(root()).unwrap().with_extension("");
    let module: Vec<String> = relative
        .iter()
        .map(|name| name.to_str().unwrap().to_owned())
        .filter(|name| name != "lib")
        .collect();
    let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
    let mut reader = Reader {
        module: module.clone(),
        uses: Vec::new(),
        functions: Vec::new(),
    };
    reader.visit_file(&file);
    Source {
        path,
        module,
        uses: reader.uses,
        functions: reader.functions,
        lines: text[..tests].lines().count(),
    }
}

struct Reader {
    module: Vec<String>,
    uses: Vec<(Vec<String>, LineColumn)>,
    functions: Vec<(String, usize)>,
}

impl Reader {
    /// Resolves a path to one that begins at the crate's root, if it is one of the crate's own.
    fn take(&mut self, path: &[String], at: LineColumn) {
        let mut absolute = match path.first().map(String::as_str) {
            Some("crate" | "config_reloader_sidecar") => Vec::new(),
            Some("self") => self.module.clone(),
            Some("super") => self.module[..self.module.len().saturating_sub(1)].to_vec(),
            // A child, if there is one of this name.
            Some(_) => {
                let mut child = self.module.clone();
                child.extend(path.iter().cloned());
                self.uses.push((child, at));
                return;
            }
            None => return,
        };
        for name in &path[1..] {
            if name == "super" {
                absolute.pop();
            } else {
                absolute.push(name.clone());
            }
        }
        self.uses.push((absolute, at));
    }

    fn take_tree(&mut self, before: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                before.push(path.ident.to_string());
                self.take_tree(before, &path.tree);
                before.pop();
            }
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_tree(before, tree);
                }
            }
            syn::UseTree::Name(name) => self.take_name(before, &name.ident),
            syn::UseTree::Rename(name) => self.take_name(before, &name.ident),
            syn::UseTree::Glob(glob) => {
                let path = before.clone();
                self.take(&path, glob.span().start());
            }
        }
    }

    fn take_name(&mut self, before: &[String], name: &syn::Ident) {
        let mut path = before.to_vec();
        if name != "self" {
            path.push(name.to_string());
        }
        self.take(&path, name.span().start());
    }

    fn measure(&mut self, name: &syn::Ident, block: &syn::Block) {
        let span = block.span();
        let lines = span.end().line - span.start().line + 1;
        self.functions.push((name.to_string(), lines));
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute
                .parse_args::<syn::Ident>()
                .is_ok_and(|it| it == "test" || it == "fuzzing")
    })
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_for_tests(&item.attrs) {
            self.take_tree(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.segments.len() > 1 {
            let names: Vec<String> = path
                .segments
                .iter()
                .map(|it| it.ident.to_string())
                .collect();
            self.take(&names, path.span().start());
        }
        visit::visit_path(self, path);
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        if !is_for_tests(&item.attrs) {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        self.measure(&item.sig.ident, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast syn::ImplItemFn) {
        self.measure(&item.sig.ident, &item.block);
        visit::visit_impl_item_fn(self, item);
    }
}

/// Returns the file that a path leads into: the longest beginning of it that is a module.
fn target<'m>(modules: &'m BTreeSet<Vec<String>>, path: &[String]) -> Option<&'m Vec<String>> {
    (1..=path.len())
        .rev()
        .find_map(|length| modules.get(&path[..length]))
}

#[test]
fn every_use_points_to_a_room_below() {
    let mut wrong = Vec::new();
    for source in sources() {
        let Some(room) = source.module.first().filter(|room| *room != "main") else {
            continue;
        };
        let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| name == room) else {
            panic!(
                "{room} is a new room: give it a floor in tests/it/architecture.rs and in CONTRIBUTING.md"
            );
        };
        for (path, at) in &source.uses {
            let Some(used) = path.first().filter(|used| *used != room) else {
                continue;
            };
            if ROOMS.iter().any(|(name, _)| name == used) && !allowed.contains(&used.as_str()) {
                wrong.push(format!(
                    "{}:{}: `{room}` uses `{}`, but may use only {allowed:?}",
                    source.path.display(),
                    at.line,
                    path.join("::"),
                ));
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{}\nWhat two rooms share belongs to a room below both; what one decides and another carries out is handed over by \
         their common caller. CONTRIBUTING.md shows the floors.",
        wrong.join("\n")
    );
}

#[test]
fn each_room_stands_above_all_that_it_may_use() {
    for (floor, (room, allowed)) in ROOMS.iter().enumerate() {
        for used in *allowed {
            let below = ROOMS.iter().position(|(name, _)| name == used).unwrap();
            assert!(
                below > floor,
                "`{room}` may not use `{used}`, which stands above it"
            );
        }
    }
}

#[test]
fn no_files_use_each_other_in_a_ring() {
    let sources = sources();
    let modules: BTreeSet<Vec<String>> = sources.iter().map(|it| it.module.clone()).collect();
    let mut graph: BTreeMap<&Vec<String>, BTreeSet<&Vec<String>>> = BTreeMap::new();
    for source in &sources {
        let from = modules.get(&source.module).unwrap();
        let used = source
            .uses
            .iter()
            .filter_map(|(path, _)| target(&modules, path));
        graph
            .entry(from)
            .or_default()
            .extend(used.filter(|used| *used != from));
    }
    // A file whose uses were all removed is in no ring.
    while let Some(leaf) = graph
        .iter()
        .find(|(_, used)| used.is_empty())
        .map(|(from, _)| *from)
    {
        graph.remove(leaf);
        for used in graph.values_mut() {
            used.remove(leaf);
        }
    }
    let ring: Vec<String> = graph
        .iter()
        .map(|(from, used)| {
            let used: Vec<String> = used.iter().map(|it| it.join("::")).collect();
            format!("{} uses {}", from.join("::"), used.join(", "))
        })
        .collect();
    assert!(
        ring.is_empty(),
        "these files are in a ring, or use one:\n{}\nMove what they share into a file below them.",
        ring.join("\n")
    );
}

#[test]
fn functions_and_files_are_short() {
    let mut long = Vec::new();
    for source in sources() {
        let path = source.path.display();
        if source.lines > FILE_MAX {
            long.push(format!(
                "{path} has {} lines of at most {FILE_MAX}: split it",
                source.lines
            ));
        }
        for (name, lines) in source
            .functions
            .iter()
            .filter(|(_, lines)| *lines > FUNCTION_MAX)
        {
            long.push(format!(
                "{path}: `{name}` has {lines} lines of at most {FUNCTION_MAX}"
            ));
        }
    }
    assert!(long.is_empty(), "{}", long.join("\n"));
}
