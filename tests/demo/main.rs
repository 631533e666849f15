//! `make demo`: two volume updates reload a stand-in application, shown as one timeline.
//!
//! Exit code 0 only if the application ended on the newest configuration and got exactly one signal per update.

#[path = "../support/mod.rs"]
mod support;

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use std::io::{IsTerminal, stdout};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;
use support::process::{Settings, Talker, Target};
use support::volume::{Order, Volume};

/// The pause between updates, longer than the minimum interval between signals.
const PAUSE: Duration = Duration::from_millis(1100);

struct Timeline {
    start: i64,
}

impl Timeline {
    fn show(&self, nanoseconds: i64, who: &str, what: &str) {
        let after = (nanoseconds - self.start) as f64 / 1e9;
        let colour = match who {
            "kubelet" => CYAN,
            "sidecar" => YELLOW,
            _ => GREEN,
        };
        let who = paint(colour, &format!("{who:<8}"));
        println!("{after:8.4} s  {who} {what}");
    }
}

/// Select Graphic Rendition, console_codes(4).
const BOLD: u8 = 1;
const GREEN: u8 = 32;
const YELLOW: u8 = 33;
const CYAN: u8 = 36;

/// Styles a text if standard output is a terminal.
fn paint(style: u8, text: &str) -> String {
    if stdout().is_terminal() {
        format!("\x1b[{style}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

fn main() -> ExitCode {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let timeline = Timeline { start: now() };
    let program = support::program();
    let bytes = std::fs::metadata(&program).map_or(0, |file| file.len());
    let program = program.file_name().unwrap_or_default().display();
    println!(
        "{}\n",
        paint(BOLD, &format!("One file, {bytes} bytes: {program}"))
    );

    let volume = Volume::new(
        directory.path().join("volume"),
        Order::SwapFirst,
        &[("app.conf", &config("blue"))],
    );
    timeline.show(
        now(),
        "kubelet",
        "mounts the ConfigMap: app.conf is \"colour = blue\"",
    );
    // Unique on this machine, so that two demos can run at once.
    let name = format!("app-{}", std::process::id());
    let mut app = Target::start_as(&name, &volume.path.join("app.conf"), &[]);
    timeline.show(now(), "app", "starts, runs \"colour = blue\"");
    let mut sidecar = Settings::new(&volume.path, &app.name)
        .set("VERBOSE", "false")
        .set("RELOAD_CONFIRM", "warn")
        .start();
    timeline.show(now(), "sidecar", "watches");

    let mut is_right = true;
    for colour in ["green", "red"] {
        sleep(PAUSE);
        println!();
        is_right &= update(&timeline, &volume, &mut app, &mut sidecar, colour);
    }
    // Once idle, the sidecar sends no second signal for the same update.
    sidecar.wait_until_idle();
    sidecar.signal(Signal::TERM);
    let (status, _) = sidecar.finish();
    let signals = app.count();
    let code = status.code().unwrap_or(-1);
    println!(
        "\n{}",
        paint(
            BOLD,
            &format!("2 updates, {signals} signals, sidecar exit code {code}")
        )
    );
    if is_right && signals == 2 && status.success() {
        ExitCode::SUCCESS
    } else {
        println!(
            "failed: each update must give exactly one signal, with the new configuration in place"
        );
        ExitCode::FAILURE
    }
}

/// Updates the volume and shows what happens. Returns true if the application ran the new configuration.
fn update(
    timeline: &Timeline,
    volume: &Volume,
    app: &mut Target,
    sidecar: &mut Talker,
    colour: &str,
) -> bool {
    let config = config(colour);
    let line = config.trim_end();
    let updates = format!("updates the volume to \"{line}\"");
    timeline.show(now(), "kubelet", &updates);
    let mut last_step = 0;
    volume.update_with(&[("app.conf", &config)], |_| last_step = now());
    let (signal, handled, seen) = app.signalled_at();
    let removes = "takes the last step: it removes the previous directory";
    timeline.show(last_step, "kubelet", removes);
    timeline.show(handled, "sidecar", &logged(sidecar, "signal sent"));
    let after_ms = (handled - last_step) as f64 / 1e6;
    let reloads = format!("gets {signal} {after_ms:.2} ms after the last step, runs \"{seen}\"");
    timeline.show(handled, "app", &reloads);
    let confirmed = logged(sidecar, "reload confirmed");
    timeline.show(now(), "sidecar", &confirmed);
    seen == line
}

fn config(colour: &str) -> String {
    format!("colour = {colour}\n")
}

/// Waits for a log line that contains `part`. Returns its message.
fn logged(sidecar: &mut Talker, part: &str) -> String {
    let line = sidecar.expect(part);
    let (_, message) = line.split_once(" info  ").unwrap_or_default();
    message.to_owned()
}

fn now() -> i64 {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}
