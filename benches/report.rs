//! Tables of results: printed for people, and kept as JSON.

use crate::published::{markdown, show};
use crate::sample::exponent;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;

/// A cell is a number, a [`Sample`](crate::sample::Sample), a text, or null where there is nothing to measure.
pub struct Table {
    name: &'static str,
    title: String,
    columns: Vec<&'static str>,
    rows: Vec<(String, Vec<Value>)>,
}

impl Table {
    /// Columns are separated by ` | `.
    pub fn new(name: &'static str, title: impl Into<String>, columns: &'static str) -> Self {
        Self {
            name,
            title: title.into(),
            columns: columns.split(" | ").collect(),
            rows: Vec::new(),
        }
    }

    pub fn add(&mut self, row: &str, cells: impl Into<Vec<Value>>) {
        self.rows.push((row.to_owned(), cells.into()));
    }

    /// Adds a row with the exponent of each column's growth. The other rows are named by their sizes; small sizes, whose time is
    /// mostly constant, are left out, and so are columns with an empty cell.
    pub fn add_exponents(&mut self) {
        let exponents = (0..self.columns.len()).map(|column| {
            let points = self.rows.iter().map(|(size, cells)| {
                let size: f64 = size.parse().expect("a size");
                Some((size, number(&cells[column])?))
            });
            let points: Vec<(f64, f64)> = points.collect::<Option<_>>()?;
            Some(exponent(points.into_iter().filter(|it| it.0 >= 1_000.0)))
        });
        let exponents: Vec<Value> = exponents.map(Value::from).collect();
        self.add("growth exponent from 1,000", exponents);
    }

    fn markdown(&self) -> String {
        let rows = self.rows.iter();
        let rows = rows.map(|(name, cells)| (name.as_str(), cells.iter().map(show_cell).collect()));
        let table = markdown(&self.columns, "---|", rows);
        format!("\n**{}**\n\n{}", self.title, table.trim_end())
    }

    fn json(&self) -> Value {
        let rows = self.rows.iter();
        let rows: Vec<Value> = rows
            .map(|it| json!({"name": it.0, "cells": it.1}))
            .collect();
        json!({"name": self.name, "title": self.title, "columns": self.columns, "rows": rows})
    }
}

/// Returns the number in a cell, or the median.
fn number(cell: &Value) -> Option<f64> {
    cell.as_f64().or_else(|| cell[0].as_f64())
}

fn show_cell(cell: &Value) -> String {
    let part = |at: usize| cell[at].as_f64().map(show).unwrap_or_default();
    match cell {
        Value::Array(_) => format!("{} ({} to {})", part(0), part(1), part(2)),
        Value::String(text) => text.clone(),
        _ => cell.as_f64().map(show).unwrap_or_default(),
    }
}

/// The tables of one run.
#[derive(Default)]
pub struct Report {
    tables: Vec<Value>,
    text: String,
}

impl Report {
    pub fn say(&mut self, text: &str) {
        println!("{text}");
        self.text += text;
        self.text.push('\n');
    }

    pub fn add(&mut self, table: &Table) {
        self.say(&table.markdown());
        self.tables.push(table.json());
    }

    /// Writes `results.json` and `results.md`. Results are whole if nothing was left out.
    pub fn write(self, directory: &Path, machine: &str, is_whole: bool) {
        let all = json!({"machine": machine, "is_whole": is_whole, "tables": self.tables});
        fs::create_dir_all(directory).unwrap();
        fs::write(directory.join("results.json"), format!("{all:#}\n")).unwrap();
        fs::write(directory.join("results.md"), self.text).unwrap();
    }
}
