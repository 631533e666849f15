//! Interactive programs.

use crate::support::process::eventually;
use std::io::{Read, Write};
use std::process::{Child, ChildStdin};
use std::sync::{Arc, Mutex};
use std::thread;

/// A program on a terminal, with which the test interacts.
pub struct Terminal {
    child: Child,
    keys: ChildStdin,
    screen: Arc<Mutex<String>>,
}

impl Terminal {
    pub fn new(mut child: Child) -> Self {
        let keys = child.stdin.take().unwrap();
        let mut output = child.stdout.take().unwrap();
        let screen = Arc::new(Mutex::new(String::new()));
        let written = Arc::clone(&screen);
        thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                written
                    .lock()
                    .unwrap()
                    .push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Self {
            child,
            keys,
            screen,
        }
    }

    /// Waits until the program has shown `text`.
    #[track_caller]
    pub fn shows(&self, text: &str) {
        eventually(&format!("shown {text:?}"), || {
            self.screen.lock().unwrap().contains(text)
        });
    }

    /// Types `keys`.
    pub fn keys(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
        self.keys.flush().unwrap();
    }

    /// Waits for the program to exit.
    #[track_caller]
    pub fn ends(mut self) {
        eventually("ended", || self.child.try_wait().unwrap().is_some());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
