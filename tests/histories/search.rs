//! Runs many histories at once, and shrinks one that fails.

use crate::history::{History, history};
use crate::judge::{Broken, Counts, judge};
use crate::run::run;
use crate::script::{script, timeline};
use crate::trace::Trace;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, RngSeed, TestRunner};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub struct Plan {
    /// The first history's; each further one adds 1.
    pub seed: u64,
    pub histories: u64,
    /// No history begins after this.
    pub time: Option<Duration>,
    /// The number of histories run at once.
    pub jobs: usize,
    /// Shrinking a failure takes no longer than this.
    pub shrinking: Duration,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    histories: usize,
    operations: usize,
    steps: usize,
    updates: usize,
    signals: usize,
    cautious: usize,
    late: usize,
    restarts: usize,
    stops: usize,
    busy_ms: f64,
    grown_kib: u64,
}

impl Sums {
    fn add(&mut self, trace: &Trace, counts: Counts) {
        self.histories += 1;
        self.operations += trace.operations;
        self.steps += trace
            .steps
            .iter()
            .map(|step| step.shell.len())
            .sum::<usize>();
        self.updates += trace.updates;
        self.signals += counts.signals;
        self.cautious += counts.cautious;
        self.late += counts.late;
        self.restarts += trace.lives.len() - 1;
        self.stops += trace.stops.len();
        self.busy_ms += trace.busy.last().map_or(0, |busy| busy.1) as f64 / 1e6;
        let [before, after] = trace.usage;
        let grown_kib = after.anonymous_kib.saturating_sub(before.anonymous_kib);
        self.grown_kib = self.grown_kib.max(grown_kib);
    }

    fn progress(&self, elapsed: Duration) -> String {
        format!(
            "{:6.0} s  {} histories, {} operations, {} signals, {} restarts, {} stops",
            elapsed.as_secs_f64(),
            self.histories,
            self.operations,
            self.signals,
            self.restarts,
            self.stops
        )
    }

    fn table(&self, seed: u64, took: Duration, failed: usize) -> String {
        let mut table = format!("\nseed {seed}, {:.0} s\n", took.as_secs_f64());
        for (count, what) in [
            (self.histories, "histories that kept every promise"),
            (failed, "histories that broke a promise, not counted below"),
            (self.operations, "operations"),
            (self.steps, "actions"),
            (self.updates, "volume updates"),
            (self.signals, "signals"),
            (
                self.cautious,
                "of them cautious, after events that changed nothing",
            ),
            (
                self.late,
                "targets that read some content that existed for a moment",
            ),
            (self.restarts, "restarts of the target"),
            (self.stops, "times that the sidecar was stopped"),
        ] {
            let _ = writeln!(table, "  {count:>9}  {what}");
        }
        let grown_kib = self.grown_kib;
        let _ = writeln!(table, "  {grown_kib:>9}  KiB of memory grown, at most");
        let each_ms = self.busy_ms / self.histories.max(1) as f64;
        let what = "ms that each sidecar ran, or waited for a processor";
        let _ = write!(table, "  {each_ms:>9.1}  {what}");
        table
    }
}

/// A history that failed.
struct Failure {
    seed: u64,
    reason: String,
    broken: Vec<Broken>,
    trace: Option<Box<Trace>>,
}

impl Failure {
    fn is_like(&self, other: &Self) -> bool {
        let promise = |failure: &Self| failure.broken.first().map(|broken| broken.0);
        promise(self) == promise(other)
    }
}

/// Runs all histories, or until one fails.
///
/// # Errors
/// The report about the failure.
pub fn search(plan: &Plan) -> Result<(), String> {
    println!("seed {}, {} at once", plan.seed, plan.jobs);
    let begun = Instant::now();
    let (sums, failures) = run_all(plan, begun);
    println!("{}", sums.table(plan.seed, begun.elapsed(), failures.len()));
    let Some(first) = failures.first() else {
        return Ok(());
    };
    let mut text = format!("a promise is broken after {} histories; ", sums.histories);
    text += &report(first, plan);
    let others = failures[1..].iter().map(|failure| failure.seed.to_string());
    let others: Vec<_> = others.collect();
    if !others.is_empty() {
        let _ = writeln!(
            text,
            "Seeds that failed at the same time: {}",
            others.join(", ")
        );
    }
    Err(text)
}

fn run_all(plan: &Plan, begun: Instant) -> (Sums, Vec<Failure>) {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let sums = Mutex::new(Sums::default());
    let failures = Mutex::new(Vec::new());
    let is_time_up = || plan.time.is_some_and(|time| begun.elapsed() > time);
    let work = || {
        while !stop.load(Ordering::Relaxed) && !is_time_up() {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= plan.histories {
                return;
            }
            let seed = plan.seed.wrapping_add(number);
            match attempt(seed, &tree(seed).current()) {
                Ok((trace, counts)) => sums.lock().unwrap().add(&trace, counts),
                Err(failure) => {
                    failures.lock().unwrap().push(failure);
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..plan.jobs).map(|_| scope.spawn(work)).collect();
        let mut printed = begun;
        while workers.iter().any(|worker| !worker.is_finished()) {
            thread::sleep(Duration::from_millis(100));
            if printed.elapsed() > Duration::from_mins(1) {
                printed = Instant::now();
                println!("{}", sums.lock().unwrap().progress(begun.elapsed()));
            }
        }
    });
    (sums.into_inner().unwrap(), failures.into_inner().unwrap())
}

fn tree(seed: u64) -> impl ValueTree<Value = History> {
    let config = Config {
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    history().new_tree(&mut TestRunner::new(config)).unwrap()
}

fn attempt(seed: u64, history: &History) -> Result<(Box<Trace>, Counts), Failure> {
    let failure = |reason, broken, trace| Failure {
        seed,
        reason,
        broken,
        trace,
    };
    // A failed assertion of the harness is a failure like any other.
    let trace = std::panic::catch_unwind(|| run(history))
        .unwrap_or_else(|_| Err("it panicked; see above".to_owned()));
    let trace = trace.map_err(|reason| failure(reason, Vec::new(), None))?;
    let trace = Box::new(trace);
    match judge(&trace) {
        Ok(counts) => Ok((trace, counts)),
        Err(broken) => {
            let texts: Vec<_> = broken.iter().map(ToString::to_string).collect();
            Err(failure(texts.join("\n"), broken, Some(trace)))
        }
    }
}

/// A history that was run several times.
struct Repeated {
    history: History,
    runs: usize,
    failed: usize,
    failure: Option<Failure>,
}

/// Runs a history several times at once, and counts the failures that are like the first.
fn repeat(history: History, runs: usize, first: &Failure) -> Repeated {
    let seed = first.seed;
    let mut failures: Vec<_> = thread::scope(|scope| {
        let attempt = || scope.spawn(|| attempt(seed, &history).err());
        let handles: Vec<_> = (0..runs).map(|_| attempt()).collect();
        let joined = handles.into_iter().filter_map(|run| run.join().unwrap());
        joined.filter(|failure| failure.is_like(first)).collect()
    });
    Repeated {
        failed: failures.len(),
        failure: failures.pop(),
        history,
        runs,
    }
}

/// Returns the smallest history that fails like the first, and how many were tried.
fn shrink(original: Repeated, first: &Failure, plan: &Plan) -> (Repeated, usize) {
    // A history that rarely fails must run often before it counts as passed. One that fails each time must not be replaced by one
    // that rarely does.
    let (failed, jobs) = (original.failed, plan.jobs);
    let runs = (jobs * 3 / (failed + 1)).clamp(4.min(jobs), jobs);
    let enough = (failed * runs).div_ceil(jobs * 3).max(1);
    let begun = Instant::now();
    let mut tree = tree(first.seed);
    let (mut smallest, mut tried) = (original, 0);
    let mut more = failed > 0 && tree.simplify();
    while more && begun.elapsed() < plan.shrinking {
        let mut fails = tree.current() == smallest.history;
        if !fails {
            tried += 1;
            let repeated = repeat(tree.current(), runs, first);
            fails = repeated.failed >= enough;
            if fails {
                smallest = repeated;
            }
        }
        more = if fails {
            tree.simplify()
        } else {
            tree.complicate() || tree.simplify()
        };
    }
    (smallest, tried)
}

/// Shrinks a failure and returns everything about it.
fn report(first: &Failure, plan: &Plan) -> String {
    let seed = first.seed;
    println!(
        "history with seed {seed} failed:\n{}\nshrinking it",
        first.reason
    );
    let original = repeat(tree(seed).current(), plan.jobs, first);
    let (operations, failed, runs) = (
        original.history.operations(),
        original.failed,
        original.runs,
    );
    let (smallest, tried) = shrink(original, first, plan);
    let mut text = format!(
        "seed {seed}\n  make histories SEED={seed} HISTORIES=1\n\
         It failed {failed} of {runs} more times. Shrunk in {tried} attempts from {operations} operations to {}, \
         which failed {} of {} times:\n{:?}\n",
        smallest.history.operations(),
        smallest.failed,
        smallest.runs,
        smallest.history.settings,
    );
    for (number, operations) in smallest.history.writers.iter().enumerate() {
        for timed in operations {
            let (delay_ms, operation) = (timed.delay_ms, &timed.operation);
            let _ = writeln!(text, "  writer {number}: after {delay_ms} ms {operation:?}");
        }
    }
    let failure = smallest.failure.as_ref().unwrap_or(first);
    let _ = writeln!(text, "\n{}", failure.reason);
    if let Some(trace) = &failure.trace {
        let (timeline, script) = (timeline(trace), script(trace));
        let _ = writeln!(
            text,
            "\nWhat happened:\n{timeline}\nTo replay it:\n\n{script}"
        );
    }
    text
}
