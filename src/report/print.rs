//! Standard output, for commands.

use super::log::write_all;
use crate::base::text::Text;
use core::fmt::{self, Write};

/// Standard output, written line by line. Remembers whether anything could not be written.
#[derive(Debug)]
pub struct Printer {
    line: Text<1024>,
    is_intact: bool,
}

impl Printer {
    /// Returns a printer that has printed nothing.
    pub const fn new() -> Self {
        Self {
            line: Text::new(),
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

    fn push(&mut self, text: &str) {
        self.line.push(text.as_bytes());
        if self.line.is_cut() {
            // A long path, perhaps: then the line is written in parts.
            self.flush();
            self.is_intact &= write_all(text.as_bytes());
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
        for piece in text.split_inclusive('\n') {
            self.push(piece);
            if piece.ends_with('\n') {
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
