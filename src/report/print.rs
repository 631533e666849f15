//! Standard output, for commands.

use super::log::write_all;
use crate::base::text::Paragraph;
use core::fmt::{self, Write};

/// Standard output, written line by line. Remembers whether anything could not be written.
#[derive(Debug)]
pub struct Printer {
    line: Paragraph,
    is_intact: bool,
}

impl Printer {
    /// Returns a printer that has printed nothing.
    pub const fn new() -> Self {
        Self {
            line: Paragraph::new(),
            is_intact: true,
        }
    }

    /// Returns true if everything was written.
    pub const fn is_intact(&self) -> bool {
        self.is_intact
    }

    /// Adds blanks, at least one, up to this column of the line.
    pub fn column(&mut self, column: usize) -> &mut Self {
        self.line.pad(column);
        self
    }

    fn push(&mut self, text: &[u8]) {
        self.line.push(text);
        if self.line.is_cut() {
            // A long path, perhaps: then the line is written in parts.
            self.flush();
            self.is_intact &= write_all(text);
        }
    }

    fn flush(&mut self) {
        self.is_intact &= write_all(self.line.as_bytes());
        self.line.clear(0);
    }
}

/// Never fails: see [`Printer::is_intact`].
impl Write for Printer {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for piece in text.as_bytes().split_inclusive(|byte| *byte == b'\n') {
            self.push(piece);
            if piece.ends_with(b"\n") {
                self.flush();
            }
        }
        Ok(())
    }
}

impl Default for Printer {
    fn default() -> Self {
        Self::new()
    }
}
