//! What the README says of the measurements: made from what was kept of them, so that nothing is in it that was not measured.

use serde_json::Value;

pub const RESULTS: &str = "benches/results.json";
const BEGIN: &str = "<!-- from benches/results.json: make bench bench-keep -->\n";
const END: &str = "<!-- end -->\n";

/// One figure of a table; the median where there is a spread.
fn figure(results: &Value, table: &str, row: &str, column: &str) -> Option<f64> {
    let tables = results["tables"].as_array()?;
    let table = tables.iter().find(|it| it["name"] == table)?;
    let at = table["columns"]
        .as_array()?
        .iter()
        .position(|it| it == column)?;
    let row = table["rows"]
        .as_array()?
        .iter()
        .find(|it| it["name"] == row)?;
    let cell = &row["cells"][at];
    cell.as_f64().or_else(|| cell[0].as_f64())
}

fn rows(results: &Value) -> Vec<&str> {
    let table = results["tables"]
        .as_array()
        .into_iter()
        .flatten()
        .find(|it| it["name"] == "size");
    let rows = table.and_then(|table| table["rows"].as_array());
    rows.into_iter()
        .flatten()
        .filter_map(|row| row["name"].as_str())
        .collect()
}

/// Three digits that count, and commas between thousands.
fn show(number: f64) -> String {
    let decimals = match number {
        size if size >= 100.0 || size.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    let (whole, rest) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups: Vec<&str> = whole
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| str::from_utf8(group).unwrap())
        .collect();
    groups.join(",") + rest
}

/// The table, between its marks.
fn block(results: &Value) -> String {
    let columns = [
        ("size", "the least image", "least image, bytes"),
        ("rest", "resident, KiB", "resident, KiB"),
        ("start", "one file", "start to armed, ms"),
        (
            "start",
            "10,000 files in 1,000 directories",
            "the same, 10,000 files",
        ),
        ("latency", "p50", "last step to handler, ms"),
        (
            "signals",
            "signals when a key goes and one comes",
            "signals per update",
        ),
        ("signals", "too early of these", "too early"),
    ];
    let heads: Vec<&str> = columns.iter().map(|column| column.2).collect();
    let line = |cells: &[&str]| format!("| {} |\n", cells.join(" | "));
    let mut lines = vec![format!("| {}", line(&heads))];
    lines.push(format!("|---|{}\n", "---:|".repeat(columns.len())));
    for row in rows(results) {
        let figures = columns.map(|(table, column, _)| {
            figure(results, table, row, column).map_or_else(String::new, show)
        });
        let figures = figures.iter().map(String::as_str);
        lines.push(line(&[row].into_iter().chain(figures).collect::<Vec<_>>()));
    }
    lines.push(format!(
        "\n| {}",
        line(&["floor, ms", "sidecar, ms", "ratio"])
    ));
    lines.push("|---|---:|---:|---:|\n".to_owned());
    let ways = [
        (
            "latency",
            "a volume in memory, as Secrets are, last step to handler",
        ),
        (
            "latency_of_the_last_step",
            "the same, written with a pause before the last step",
        ),
        (
            "latency_on_disk",
            "a volume on disk, as ConfigMaps are, last step to handler",
        ),
        (
            "latency_on_disk_of_the_last_step",
            "the same, written with a pause before the last step",
        ),
    ];
    for (table, name) in ways {
        let figures = [
            ("floor", "p50"),
            ("sidecar", "p50"),
            ("sidecar", "p50 / floor's"),
        ];
        let figures = figures.map(|(row, column)| {
            figure(results, table, row, column).map_or_else(String::new, show)
        });
        let [floor, sidecar, ratio] = figures.each_ref().map(String::as_str);
        lines.push(line(&[name, floor, sidecar, ratio]));
    }
    let machine = results["machine"].as_str().unwrap_or_default();
    let table = lines.concat();
    format!("{BEGIN}{table}\nMedians, measured on {machine}.\n{END}")
}

/// The figures that stand in the chart as its description: see benches/chart.py.
#[allow(dead_code, reason = "the benchmark does not look at the chart")]
pub fn drawn(results: &str) -> String {
    let results = serde_json::from_str(results).expect("results");
    let columns = [
        ("size", "the least image"),
        ("rest", "resident, KiB"),
        ("signals", "signals when a key goes and one comes"),
        ("latency", "p50"),
    ];
    let mut drawn = Vec::new();
    for (table, column) in columns {
        let figures = rows(&results).into_iter();
        let figures = figures.filter_map(|row| figure(&results, table, row, column));
        drawn.extend(figures.map(|figure| format!("{figure:?}")));
    }
    drawn.join(" ")
}

/// The README with the results in their place.
pub fn with(readme: &str, results: &str) -> String {
    let results = serde_json::from_str(results).expect("results");
    let (before, rest) = readme.split_once(BEGIN).expect("a place for the results");
    let (_, after) = rest.split_once(END).expect("its end");
    format!("{before}{}{after}", block(&results))
}
