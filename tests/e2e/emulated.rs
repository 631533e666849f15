//! A program of another architecture under qemu-user. The emulator has handlers of its own, and the kernel knows no others.

use crate::app::{App, Application, volume};
use crate::pod::{Pod, catches_hangups};
use crate::support::process::{Settings, eventually};
use crate::support::volume::Order;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// A program for aarch64 that waits for ever, without a handler for any signal.
struct Waiting;

/// `ppoll(NULL, 0, NULL, NULL)`, again and again.
const CODE: [u32; 7] = [
    0xd280_0000, // mov x0, #0
    0xd280_0001, // mov x1, #0
    0xd280_0002, // mov x2, #0
    0xd280_0003, // mov x3, #0
    0xd280_0928, // mov x8, #73
    0xd400_0001, // svc #0
    0x17ff_fffa, // b to the first
];

/// Returns an ELF file with this code and nothing else; elf(5).
fn executable() -> Vec<u8> {
    const HEADERS: usize = 64 + 56;
    const BASE: u64 = 0x40_0000;
    let code = CODE.map(u32::to_le_bytes).concat();
    let size = (HEADERS + code.len()) as u64;
    let mut file = b"\x7fELF\x02\x01\x01".to_vec();
    file.resize(16, 0);
    // ET_EXEC, EM_AARCH64, version.
    file.extend([2_u16, 183].map(u16::to_le_bytes).concat());
    file.extend(1_u32.to_le_bytes());
    // The entry, and where the program headers and the section headers are.
    file.extend(
        [BASE + HEADERS as u64, 64, 0]
            .map(u64::to_le_bytes)
            .concat(),
    );
    file.extend(0_u32.to_le_bytes());
    // The sizes of the headers, and one program header.
    file.extend([64_u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    // PT_LOAD, readable and executable: the whole file.
    file.extend([1_u32, 5].map(u32::to_le_bytes).concat());
    let segment = [0, BASE, BASE, size, size, 0x1000];
    file.extend(segment.map(u64::to_le_bytes).concat());
    file.extend(code);
    file
}

impl Application for Waiting {
    const NAME: &str = "waiting";

    fn command(&self, pod: &Pod) -> Command {
        let program = pod.write("waiting", executable());
        fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).unwrap();
        let mut command = Command::new("qemu-aarch64-static");
        command.arg(program);
        command
    }

    fn payload(&self, _: &Pod, text: &str) -> Vec<(String, String)> {
        vec![("answer".to_owned(), text.to_owned())]
    }

    /// It says nothing.
    fn answer(&self, _: &Pod) -> Option<String> {
        None
    }
}

/// As docs/targets.md says: to the guard, each program under qemu-user has a handler.
#[test]
fn the_guard_sees_the_handlers_of_qemu_and_not_of_the_program() {
    let pod = Pod::new();
    let volume = volume(&Waiting, &pod, Order::SwapFirst);
    let mut app = App::launch(Waiting, pod, volume);
    eventually("in the emulator", || catches_hangups(app.main.id()));
    let settings = Settings::bare()
        .set("CONFIG_DIR", &app.volume.path)
        .set("PROCESS_CMDLINE", "/waiting")
        .set("RELOAD_CATCH_UP", "false");
    let mut sidecar = app.sidecar(settings);
    app.replace("two");
    sidecar.expect("signal sent");
    let status = app.main.wait().unwrap();
    println!("aarch64 under qemu-user, without a handler: {status}");
    sidecar.expect("the process ended after the signal");
}
