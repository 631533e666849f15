//! What was measured: tables, to be read and to be kept.

use crate::sample::Sample;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// One figure.
#[derive(Clone)]
pub enum Cell {
    Number(f64),
    /// With its quartiles.
    Spread(Sample),
    Text(String),
    /// Nothing to be measured.
    None,
}

impl From<f64> for Cell {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self::Number(number as f64)
    }
}

impl From<Sample> for Cell {
    fn from(sample: Sample) -> Self {
        Self::Spread(sample)
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(cell: Option<T>) -> Self {
        cell.map_or(Self::None, Into::into)
    }
}

/// Three digits that count.
pub fn show(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 100.0 || number.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    format!("{number:.decimals$}")
}

impl Cell {
    fn show(&self) -> String {
        match self {
            Self::Number(number) => show(*number),
            Self::Spread(sample) => {
                let [low, high] = [0.25, 0.75].map(|share| show(sample.at(share)));
                format!("{} ({low} to {high})", show(sample.median()))
            }
            Self::Text(text) => text.clone(),
            Self::None => String::new(),
        }
    }

    /// Where it is one, or the median.
    pub fn number(&self) -> f64 {
        match self {
            Self::Number(number) => *number,
            Self::Spread(sample) => sample.median(),
            Self::Text(_) | Self::None => f64::NAN,
        }
    }

    fn keep(&self) -> Value {
        match self {
            Self::Number(number) => json!(number),
            Self::Spread(sample) => json!([sample.median(), sample.at(0.25), sample.at(0.75)]),
            Self::Text(text) => json!(text),
            Self::None => Value::Null,
        }
    }
}

/// All tables of one run.
pub struct Report {
    kept: Vec<Value>,
    shown: String,
}

impl Report {
    pub const fn new() -> Self {
        Self {
            kept: Vec::new(),
            shown: String::new(),
        }
    }

    /// Prints a line or more, for a person.
    pub fn say(&mut self, text: &str) {
        println!("{text}");
        self.shown.push_str(text);
        self.shown.push('\n');
    }

    /// Prints a table and keeps it under a short name.
    pub fn table(
        &mut self,
        name: &str,
        title: &str,
        columns: &[&str],
        rows: Vec<(String, Vec<Cell>)>,
    ) {
        let mut lines = vec![
            format!("\n**{title}**\n"),
            format!("| | {} |", columns.join(" | ")),
            format!("|---|{}", "---|".repeat(columns.len())),
        ];
        for (row, cells) in &rows {
            let cells: Vec<String> = cells.iter().map(Cell::show).collect();
            lines.push(format!("| {row} | {} |", cells.join(" | ")));
        }
        self.say(&lines.join("\n"));
        let keep = |(row, cells): (String, Vec<Cell>)| {
            let cells: Vec<Value> = cells.iter().map(Cell::keep).collect();
            json!({"name": row, "cells": cells})
        };
        self.kept.push(json!({
            "name": name,
            "title": title,
            "columns": columns,
            "rows": rows.into_iter().map(keep).collect::<Vec<_>>(),
        }));
    }

    /// Writes everything into a directory, as `results.json` and `results.md`.
    pub fn write(self, directory: &Path, machine: &str, is_whole: bool) {
        let all = json!({"machine": machine, "is_whole": is_whole, "tables": self.kept});
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("results.json"), format!("{all:#}\n")).unwrap();
        fs::write(directory.join("results.md"), self.shown).unwrap();
    }
}
