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
pub struct Report(Vec<Value>);

impl Report {
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Prints a table and keeps it under a short name.
    pub fn table(
        &mut self,
        name: &str,
        title: &str,
        columns: &[&str],
        rows: Vec<(String, Vec<Cell>)>,
    ) {
        println!("\n**{title}**\n");
        println!("| | {} |", columns.join(" | "));
        println!("|---|{}", "---|".repeat(columns.len()));
        for (row, cells) in &rows {
            let cells: Vec<String> = cells.iter().map(Cell::show).collect();
            println!("| {row} | {} |", cells.join(" | "));
        }
        let keep = |(row, cells): (String, Vec<Cell>)| {
            let cells: Vec<Value> = cells.iter().map(Cell::keep).collect();
            json!({"name": row, "cells": cells})
        };
        self.0.push(json!({
            "name": name,
            "title": title,
            "columns": columns,
            "rows": rows.into_iter().map(keep).collect::<Vec<_>>(),
        }));
    }

    pub fn write(self, file: &Path, machine: &str) {
        let all = json!({"machine": machine, "tables": self.0});
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, format!("{all:#}\n")).unwrap();
    }
}
