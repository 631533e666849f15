#!/usr/bin/env python3
"""Draws the chart of the results: chart.py RESULTS.json CHART.svg"""

import json
import sys

import matplotlib

matplotlib.use("svg")
# Keep text as text, and make the file depend on the figures only.
matplotlib.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "chart", "font.family": "sans-serif", "font.size": 9})
import matplotlib.pyplot as plt

# A table and a column of the results, the title, and the divisor for its unit.
PANELS = [
    ("size", "the least image", "the least image, KiB", 1024),
    ("rest", "resident, KiB", "resident memory, KiB", 1),
    ("signals", "signals when a key goes and one comes", "signals for one update", 1),
    ("latency", "p50", "last step to handler, ms", 1),
]
EARLY = "too early of these"
INK, OURS, OTHERS, TOO_EARLY = "#24292f", "#0a6cbd", "#b9c0c8", "#d1495b"


def main(source, destination):
    with open(source) as file:
        tables = {table["name"]: table for table in json.load(file)["tables"]}
    names = [row["name"] for row in tables["size"]["rows"]]

    def cells(table, column):
        at = tables[table]["columns"].index(column)
        rows = {row["name"]: row["cells"][at] for row in tables[table]["rows"]}
        return [rows[name][0] if isinstance(rows[name], list) else rows[name] for name in names]

    drawn = [repr(float(value)) for table, column, _, _ in PANELS for value in cells(table, column)]
    figure, panels = plt.subplots(1, len(PANELS), figsize=(10, 0.33 * len(names) + 0.9), sharey=True)
    for axes, (table, column, title, unit) in zip(panels, PANELS):
        values = [value / unit for value in cells(table, column)]
        colours = [OURS if name == "sidecar" else OTHERS for name in names]
        is_log = table != "signals"
        axes.barh(names, values, color=colours, height=0.68)
        if not is_log:
            early = cells(table, EARLY)
            axes.barh(names, early, color=TOO_EARLY, height=0.68)
            axes.text(1, -0.02, "red: too early", color=TOO_EARLY, fontsize=7, ha="right", va="top", transform=axes.transAxes)
        else:
            axes.set_xscale("log")
        least, most = min(values), max(values)
        axes.set_xlim(least / 3 if is_log else 0, most * (12 if is_log else 1.25))
        for at, value in enumerate(values):
            shown = f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
            axes.text(value * 1.15 if is_log else value + most * 0.03, at, shown, va="center", color=INK, fontsize=8)
        axes.set_title(title + (" (log)" if is_log else ""), fontsize=9, color=INK, loc="left")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0, labelcolor=INK)
        axes.tick_params(axis="x", which="both", length=0, labelbottom=False)
    panels[0].invert_yaxis()
    for label in panels[0].get_yticklabels():
        label.set_fontweight("bold" if label.get_text() == "sidecar" else "normal")
    figure.tight_layout(w_pad=0.6)
    figure.savefig(destination, metadata={"Date": None, "Description": " ".join(drawn)}, facecolor="white")


main(*sys.argv[1:])
