//! Parses `/proc/PID/status`; proc_pid_status(5). Pure.

use super::stat::is_alive;
use crate::base::comm::Comm;
use crate::base::text::{parse_number, pieces};
use core::array;
use core::ops::ControlFlow;

/// A process's owner and its handling of signals. In the masks signal 1 is the lowest bit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Status {
    /// Its name, with line feeds and backslashes escaped by the kernel.
    pub comm: Comm,
    /// True for a zombie.
    pub is_dead: bool,
    /// Its effective user id.
    pub uid: u32,
    /// The masks below are known. Some kernels, gVisor's for one, leave them out.
    pub shows_signals: bool,
    /// The number of PID namespaces that it is in, from the one that `/proc` shows downwards; 0 before Linux 4.1.
    pub namespaces: u32,
    /// The signals that this thread blocks.
    pub blocked: u64,
    /// The signals that the process ignores.
    pub ignored: u64,
    /// The signals that the process has a handler for.
    pub caught: u64,
}

impl Status {
    /// Takes in one line of the file. Breaks after the last line that matters.
    pub(super) fn parse_line(&mut self, line: &[u8]) -> ControlFlow<()> {
        let mut fields = pieces(line, b'\t');
        let [key, value, second] = array::from_fn(|_| fields.next().unwrap_or_default());
        let mask = || parse_number(value, 16).unwrap_or(0);
        match key {
            // The name may contain a tab, so take the whole line.
            b"Name:" => self.comm = Comm::new(line.get(key.len() + 1..).unwrap_or_default()),
            b"State:" => self.is_dead = !is_alive(value),
            b"Uid:" => {
                // The real uid comes first, then the effective one.
                self.uid = parse_number(second, 10).unwrap_or(0) as u32;
            }
            b"NSpid:" => {
                let ids = [value, second].into_iter().chain(fields);
                self.namespaces = ids.filter(|id| !id.is_empty()).count() as u32;
            }
            b"SigBlk:" => self.blocked = mask(),
            b"SigIgn:" => self.ignored = mask(),
            b"SigCgt:" => {
                let caught = parse_number(value, 16);
                self.shows_signals = caught.is_some();
                self.caught = caught.unwrap_or(0);
                return ControlFlow::Break(());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}
