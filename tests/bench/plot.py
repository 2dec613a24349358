# pyright: basic, reportMissingImports=false
"""Draws how cost grows: `python plot.py RESULTS.json PLOT.svg`, in the environment of the bench."""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt  # after the choice of what it draws with

# Who is drawn, in colours that the colour-blind can tell apart (Okabe and Ito).
COLOURS = {"mintari": "#0072b2", "yoga": "#d55e00", "documented": "#009e73", "C send()": "#777777"}
LABELS = {"documented": "Strawberry as documented"}


def main() -> None:
    results, target = map(Path, sys.argv[1:])
    samples = json.loads(results.read_text())
    mpl.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.size": 9})
    figure, axes = plt.subplots(2, 2, figsize=(9, 6.4), layout="constrained", sharey=True)
    panels = [
        ("fanout", "one", "subscribers, all of one job (4 events in flight)", "case"),
        ("fanout", "own", "subscribers, each of a job of its own", "case"),
        ("growth", "jobs", "jobs that 1,000 subscribers watch together", "case"),
        ("growth", "bytes", "bytes of a message, a job for each of 1,000 subscribers", "bytes"),
    ]
    for panel, (part, kind, label, across) in zip(axes.flat, panels, strict=True):
        draw(panel, [s for s in samples if s["part"] == part], kind, across)
        panel.set_xlabel(label)
    for panel in axes[:, 0]:
        panel.set_ylabel("server CPU, µs a message")
    lines, names = axes.flat[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside upper center", ncols=4, frameon=False)
    figure.savefig(target, metadata={"Date": None})


def draw(panel, samples: list, kind: str, across: str) -> None:
    for who, colour in COLOURS.items():
        found: dict[float, list[float]] = {}
        for sample in samples:
            name, _, at = sample["case"].rpartition(" ")
            if name == kind and sample["who"] == who:
                figures = sample["figures"]
                x = float(at) if across == "case" else figures["message_bytes"]
                found.setdefault(x, []).append(1e6 / figures["per_cpu_s"])
        if found:
            xs = sorted(found)
            ys = [statistics.median(found[x]) for x in xs]
            panel.plot(xs, ys, "o-", color=colour, label=LABELS.get(who, who), markersize=4)
    panel.set_xscale("log")
    panel.set_yscale("log")
    marks = sorted({x for line in panel.get_lines() for x in line.get_xdata()})
    panel.set_xticks(marks if across == "case" else (500, 1000, 2000, 4000))
    panel.xaxis.set_major_formatter("{x:,.0f}")
    panel.xaxis.set_minor_formatter("")
    panel.yaxis.set_major_formatter("{x:g}")
    panel.yaxis.set_minor_formatter("")
    panel.grid(visible=True, which="major", alpha=0.25)
    panel.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()
