//! A history as a script that a person can replay, and as a diary.

use crate::history::ROOTS;
use crate::judge::parse;
use crate::run::{Story, environment};
use std::fmt::Write;

/// The steps that were done, with the pauses that there were between them, for POSIX sh and GNU's or busybox's tools.
pub fn script(story: &Story) -> String {
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
    text += "start_target() { ./app-$$ \"$roots\" --tree 1 >> told & target=$!; }\nstart_target\n";
    text += "until grep -q ready told; do sleep 0.01; done\n";
    for (name, value) in environment(story.timing, "$roots", "app-$$") {
        let _ = write!(text, "{name}=\"{value}\" ");
    }
    text += "\"$SIDECAR\" 2> log & sidecar=$!\nuntil grep -q watching log; do sleep 0.01; done\n\n";
    let first = story.steps.first().map_or(story.begun, |step| step.begun);
    let mut done = first;
    for step in &story.steps {
        let pause_ms = (step.begun - done) / 1_000_000;
        if pause_ms > 0 {
            let _ = writeln!(text, "sleep {}.{:03}", pause_ms / 1000, pause_ms % 1000);
        }
        for line in &step.shell {
            let _ = writeln!(text, "{}", old_names(story, line));
        }
        done = step.done;
    }
    text += "
sleep 2
kill $sidecar $target
cat log told
echo 'What is there now, as it should have been read last:'
timeout 1 ./app-$$ \"$roots\" --tree 1
";
    text
}

/// The first timestamped directory of a volume has another name each time.
fn old_names(story: &Story, line: &str) -> String {
    let mut line = line.to_owned();
    for (volume, stamp) in &story.first_stamps {
        line = line.replace(&format!("{volume}/{stamp}"), &format!("{volume}/..first"));
    }
    line
}

/// What happened when, as far as anybody has told of it.
pub fn diary(story: &Story) -> String {
    let mut entries: Vec<(i64, String)> = Vec::new();
    for (at, step) in story.steps.iter().enumerate() {
        let kind = match (step.before == step.after, step.middle) {
            (true, false) => "changes nothing",
            (true, true) => "changes something for a moment",
            (false, _) => "changes something",
        };
        let took = (step.done - step.begun) / 1000;
        entries.push((
            step.begun,
            format!(
                "step {} ({kind}, {took} us)\n{:14}{}",
                at + 1,
                "",
                step.shell.join(&format!("\n{:14}", ""))
            ),
        ));
    }
    for line in parse(story).into_iter().flatten() {
        entries.push((line.at, format!("sidecar: {}", line.rest)));
    }
    for life in &story.lives {
        entries.push((life.spawned, format!("target {}: started", life.pid)));
        for line in &life.lines {
            let words: Vec<_> = line.split(' ').collect();
            let at = words
                .get(1)
                .filter(|_| words.len() == 3)
                .and_then(|at| at.parse().ok());
            let name = if at.is_some() { words[0] } else { line };
            let read = words.last().unwrap_or(&"");
            let step = story
                .steps
                .iter()
                .rposition(|step| format!("{:016x}", step.after) == **read);
            let step = step.map_or("none of the steps".to_owned(), |step| {
                format!("step {}", step + 1)
            });
            entries.push((
                at.unwrap_or(life.spawned),
                format!(
                    "target {}: {name}, reads what is there after {step}",
                    life.pid
                ),
            ));
        }
    }
    entries.sort_by_key(|entry| entry.0);
    let mut text = String::new();
    for (at, entry) in entries {
        let us = (at - story.begun) / 1000;
        let _ = writeln!(text, "{:6}.{:03} ms  {entry}", us / 1000, (us % 1000).abs());
    }
    text
}
