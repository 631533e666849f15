//! The section of measurements in docs/benchmarks.md, generated from the kept results.

use serde_json::Value;

/// The page that has the section.
pub const PAGE: &str = "docs/benchmarks.md";
pub const RESULTS: &str = "benches/results.json";
const BEGIN: &str = "<!-- from benches/results.json: make bench bench-keep -->\n";
const END: &str = "<!-- end -->\n";

/// The columns of the table of contestants: a table and a column of the results, and the heading.
const COLUMNS: [[&str; 3]; 7] = [
    ["size", "the least image", "least image, bytes"],
    ["rest", "resident, KiB", "resident, KiB"],
    ["start", "one file", "start to armed, ms"],
    [
        "start",
        "10,000 files in 1,000 directories",
        "the same, 10,000 files",
    ],
    ["latency", "p50", "last step to handler, ms"],
    [
        "signals",
        "signals when a key goes and one comes",
        "signals per update",
    ],
    ["signals", "too early of these", "too early"],
];

/// The rows of the table of latencies: a table of the results, and the name of the row.
const LATENCIES: [[&str; 2]; 4] = [
    [
        "latency",
        "a volume in memory, as Secrets are, last step to handler",
    ],
    [
        "latency_of_the_last_step",
        "the same, written with a pause before the last step",
    ],
    [
        "latency_on_disk",
        "a volume on disk, as ConfigMaps are, last step to handler",
    ],
    [
        "latency_on_disk_of_the_last_step",
        "the same, written with a pause before the last step",
    ],
];

/// Finds the item of a list that has this name.
fn named<'v>(list: &'v Value, name: &str) -> Option<&'v Value> {
    list.as_array()?.iter().find(|item| item["name"] == name)
}

/// Returns one figure of the results: the median where there is a spread.
fn figure(results: &Value, table: &str, row: &str, column: &str) -> Option<f64> {
    let table = named(&results["tables"], table)?;
    let columns = table["columns"].as_array()?;
    let at = columns.iter().position(|name| name == column)?;
    let cell = &named(&table["rows"], row)?["cells"][at];
    cell.as_f64().or_else(|| cell[0].as_f64())
}

/// Returns the names of the contestants.
fn contestants(results: &Value) -> Vec<&str> {
    let rows = named(&results["tables"], "size").and_then(|table| table["rows"].as_array());
    let names = rows.into_iter().flatten().map(|row| row["name"].as_str());
    names.collect::<Option<_>>().unwrap_or_default()
}

/// Formats a number with three significant digits, and commas between thousands.
pub fn show(number: f64) -> String {
    let decimals = match number.abs() {
        size if size >= 100.0 || size.fract() == 0.0 => 0,
        size if size >= 10.0 => 1,
        size if size >= 1.0 => 2,
        _ => 3,
    };
    let text = format!("{number:.decimals$}");
    let (whole, fraction) = text.split_at(text.find('.').unwrap_or(text.len()));
    let groups = whole.as_bytes().rchunks(3).rev();
    let groups: Vec<&str> = groups.map(|it| str::from_utf8(it).unwrap()).collect();
    groups.join(",") + fraction
}

/// Formats a Markdown table. The first column has no heading; `align` is repeated for the others.
pub fn markdown<'r>(
    headings: &[&str],
    align: &str,
    rows: impl Iterator<Item = (&'r str, Vec<String>)>,
) -> String {
    let align = align.repeat(headings.len());
    let rows = rows.map(|(name, cells)| format!("| {name} | {} |\n", cells.join(" | ")));
    let rows: String = rows.collect();
    format!("| | {} |\n|---|{align}\n{rows}", headings.join(" | "))
}

fn table<'r>(headings: &[&str], rows: impl Iterator<Item = (&'r str, Vec<Option<f64>>)>) -> String {
    let show = |figure: Option<f64>| figure.map(show).unwrap_or_default();
    let rows = rows.map(|(name, figures)| (name, figures.into_iter().map(show).collect()));
    markdown(headings, "---:|", rows)
}

/// Generates the section, with its markers.
fn section(results: &Value) -> String {
    let rows = contestants(results).into_iter().map(|name| {
        let figures = COLUMNS.map(|[table, column, _]| figure(results, table, name, column));
        (name, figures.to_vec())
    });
    let contestants = table(&COLUMNS.map(|[_, _, heading]| heading), rows);
    let rows = LATENCIES.into_iter().map(|[table, name]| {
        let figure = |row, column| figure(results, table, row, column);
        let [floor, sidecar] = ["floor", "sidecar"].map(|row| figure(row, "p50"));
        let ratio = figure("sidecar", "p50 / floor's");
        (name, vec![floor, sidecar, ratio])
    });
    let latencies = table(&["floor, ms", "sidecar, ms", "ratio"], rows);
    let machine = results["machine"].as_str().unwrap_or_default();
    format!("{BEGIN}{contestants}\n{latencies}\nMedians, measured on {machine}.\n{END}")
}

/// Returns the figures of the chart, as benches/chart.py writes them into its description.
#[allow(dead_code, reason = "only the policy test looks at the chart")]
pub fn drawn(results: &str) -> String {
    let results = serde_json::from_str(results).expect("results");
    let columns = [
        ("size", "the least image"),
        ("rest", "resident, KiB"),
        ("signals", "signals when a key goes and one comes"),
        ("latency", "p50"),
    ];
    let figures = columns.iter().flat_map(|(table, column)| {
        let names = contestants(&results).into_iter();
        names.filter_map(|name| figure(&results, table, name, column))
    });
    let figures: Vec<String> = figures.map(|figure| format!("{figure:?}")).collect();
    figures.join(" ")
}

/// Returns the page with its section replaced.
pub fn with(page: &str, results: &str) -> String {
    let results = serde_json::from_str(results).expect("results");
    let (before, section_and_after) = page.split_once(BEGIN).expect("the section's beginning");
    let (_, after) = section_and_after
        .split_once(END)
        .expect("the section's end");
    format!("{before}{}{after}", section(&results))
}
