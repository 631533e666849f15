//! Shows a recorded history to a person: as a shell script that replays it, and as a timeline.

use crate::history::ROOTS;
use crate::judge::parse;
use crate::run::environment;
use crate::trace::{Step, Time, Trace};
use std::fmt::Write;

/// Returns a script of the steps with the pauses between them, for POSIX sh with the tools of GNU or busybox.
pub fn script(trace: &Trace) -> String {
    let mut text = String::from(
        "#!/bin/sh
# usage: SIDECAR=the program TARGET=target/debug/examples/target sh this
cd \"$(mktemp -d)\" || exit
mkdir -p plain/d/e outside/od files tree-0 scratch
for file in plain/a plain/b plain/d/a plain/d/e/a outside/o outside/od/a files/app.conf tree-0/conf; do printf a > $file; done
ln -s ../outside/od plain/l
ln -s ../outside/o plain/f
ln plain/b outside/h
ln -s tree-0 current
for volume in volume-1 volume-2; do
  mkdir -p $volume/..first/nested
  printf a > $volume/..first/app.conf
  printf a > $volume/..first/nested/x.conf
  ln -s ..first $volume/..data
  ln -s ..data/app.conf $volume/app.conf
  ln -s ..data/nested $volume/nested
done
ln -s \"$TARGET\" app-$$
",
    );
    let roots = ROOTS.map(|root| format!("$PWD/{root}")).join(",");
    let _ = writeln!(text, "roots=\"{roots}\"");
    text +=
        "start_target() { ./app-$$ \"$roots\" --tree 1 >> printed & target=$!; }\nstart_target\n";
    text += "until grep -q ready printed; do sleep 0.01; done\n";
    for (name, value) in environment(trace.timing, "$roots", "app-$$") {
        let _ = write!(text, "{name}=\"{value}\" ");
    }
    text += "\"$SIDECAR\" 2> log & sidecar=$!\nuntil grep -q watching log; do sleep 0.01; done\n\n";
    let first = trace.steps.first().map_or(trace.begun, |step| step.begun);
    let mut done = first;
    for step in &trace.steps {
        let pause_ms = (step.begun - done) / 1_000_000;
        if pause_ms > 0 {
            let _ = writeln!(text, "sleep {}.{:03}", pause_ms / 1000, pause_ms % 1000);
        }
        for line in &step.shell {
            let _ = writeln!(text, "{}", original_names(trace, line));
        }
        done = step.done;
    }
    text += "
sleep 2
kill $sidecar $target
cat log printed
echo 'The content now, which the target should have read last:'
timeout 1 ./app-$$ \"$roots\" --tree 1
";
    text
}

/// Replaces the name of a volume's first timestamped directory, which differs from run to run.
fn original_names(trace: &Trace, line: &str) -> String {
    let mut line = line.to_owned();
    for (volume, stamp) in &trace.first_stamps {
        line = line.replace(&format!("{volume}/{stamp}"), &format!("{volume}/..first"));
    }
    line
}

/// Returns everything that happened, in order of time.
pub fn timeline(trace: &Trace) -> String {
    let steps = trace.steps.iter().enumerate();
    let mut entries: Vec<_> = steps
        .map(|(at, step)| (step.begun, describe(at + 1, step)))
        .collect();
    for line in parse(trace).into_iter().flatten() {
        entries.push((line.at, format!("sidecar: {}", line.members)));
    }
    for life in &trace.lives {
        entries.push((life.spawned, format!("target {}: started", life.pid)));
        for line in &life.lines {
            let (at, event, digest) = printed(line);
            let step = trace.step_that_left(digest);
            let text = format!("target {}: {event}, read what {step} left", life.pid);
            entries.push((at.unwrap_or(life.spawned), text));
        }
    }
    entries.sort_by_key(|entry| entry.0);
    let mut text = String::new();
    for (at, entry) in entries {
        let ms = (at - trace.begun) as f64 / 1e6;
        let _ = writeln!(text, "{ms:10.3} ms  {entry}");
    }
    text
}

fn describe(number: usize, step: &Step) -> String {
    let effect = match (step.before == step.after, step.middle) {
        (true, false) => "changes nothing",
        (true, true) => "changes something for a moment",
        (false, _) => "changes something",
    };
    let took_us = (step.done - step.begun) / 1000;
    let shell = step.shell.join("\n              ");
    format!("step {number} ({effect}, {took_us} us)\n              {shell}")
}

/// Splits a target's line, `SIGHUP NANOSECONDS DIGEST` or `ready DIGEST`.
fn printed(line: &str) -> (Option<Time>, &str, &str) {
    let (event, digest) = line.rsplit_once(' ').unwrap_or((line, ""));
    match event.split_once(' ') {
        Some((signal, at)) => (at.parse().ok(), signal, digest),
        None => (None, event, digest),
    }
}
