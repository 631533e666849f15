//! docs/contract.md and the tests that prove it stay together.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

const CONTRACT: &str = "docs/contract.md";

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
        .unwrap_or_else(|error| panic!("{path}: {error}; correct its name in {CONTRACT}"))
}

fn is_rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == "rs")
}

/// Returns the contract's promises by code, each with the test files that it names.
fn promises() -> BTreeMap<String, Vec<String>> {
    let contract = read(CONTRACT);
    let items = contract.split("\n- **").skip(1);
    let promises = items.map(|item| {
        let (code, text) = item.split_once("** ").unwrap();
        let text = text.split("\n\n").next().unwrap();
        let quoted = text.split('`').skip(1).step_by(2);
        let files = quoted.filter(|text| is_rust(text));
        (code.to_owned(), files.map(str::to_owned).collect())
    });
    let promises: Vec<_> = promises.collect();
    let count = promises.len();
    let promises: BTreeMap<_, _> = promises.into_iter().collect();
    assert_eq!(
        promises.len(),
        count,
        "two promises have the same code; give one of them the next free number in {CONTRACT}"
    );
    promises
}

/// Returns the codes in front of the names of a file's tests: W2 and W4 for `fn w2_w4_an_update…`.
fn codes(source: &str) -> BTreeSet<String> {
    let functions = source
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("fn "));
    let is_code = |word: &&str| {
        let number = word.strip_prefix(|letter: char| letter.is_ascii_lowercase());
        number.is_some_and(|it| !it.is_empty() && it.chars().all(|digit| digit.is_ascii_digit()))
    };
    functions
        .filter(|function| function.contains('_'))
        .flat_map(|function| function.split('_').take_while(is_code))
        .map(str::to_uppercase)
        .collect()
}

/// Calls a function for each Rust file below a directory of the repository, with its path in it and its text.
fn each_source(directory: &str, visit: &mut impl FnMut(&str, &str)) {
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(directory)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{directory}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            each_source(&path, visit);
        } else if is_rust(&path) {
            visit(&path, &read(&path));
        }
    }
}

#[test]
fn every_code_in_a_tests_name_is_in_the_contract() {
    let promises = promises();
    for directory in ["src", "tests"] {
        each_source(directory, &mut |path, text| {
            for code in codes(text) {
                assert!(
                    promises.contains_key(&code),
                    "{path} has a test of {code}, which is not in {CONTRACT}; add the promise there or correct the test's name"
                );
            }
        });
    }
}

#[test]
fn every_promise_is_proved_in_the_files_that_it_names() {
    let promises = promises();
    assert!(promises.len() > 20, "{promises:?}");
    for (code, files) in promises {
        assert!(
            !files.is_empty(),
            "{code} in {CONTRACT} names no test; write one and name its file there"
        );
        for file in files {
            assert!(
                codes(&read(&file)).contains(&code),
                "{file} has no test of {code}; name another file in {CONTRACT}, or let a test's name begin with {}_",
                code.to_lowercase()
            );
        }
    }
}

#[test]
fn a_tests_name_begins_with_the_codes_that_it_proves() {
    let source = "fn w2_w10_an_update() {\n    fn p1() {}\n// fn l1_x\nfn helper_w3_() {}";
    assert_eq!(codes(source), ["W10", "W2"].map(str::to_owned).into());
}
