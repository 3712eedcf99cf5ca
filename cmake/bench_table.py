"""Turns Google Benchmark's JSON into a Markdown table. Usage: bench_table.py IN.json > OUT.md

Benchmarks are named layer/case/contestant[/argument...][/threads:N], and the contestant `vouch` is
ours. Every other contestant's median is followed by its ratio to vouch's in the same run.
Exits 1 after the table when a benchmark reported an error.
"""

import json
import re
import statistics
import sys

# What is written above the table, in this order; the rest of the context is dropped.
CONTEXT = ["date", "cpu", "num_cpus", "kernel", "filesystem", "compiler", "build", "vouch",
           "abseil", "sqlite", "openssl", "settings"]
# Parts of a name that say how time was taken, not what was measured.
HOW_MEASURED = re.compile(r"real_time|process_time|manual_time|(iterations|repeats|min_time|"
                          r"min_warmup_time):.*")
# Numbers of a run that are not user counters.
NOT_COUNTERS = {"family_index", "per_family_instance_index", "repetitions", "repetition_index",
                "threads", "iterations", "real_time", "cpu_time"}
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def table(report):
    """Returns the report's Markdown and its errors, each a line of text."""
    cases, errors = medians(report["benchmarks"])
    lines = ["| | |", "|---|---|"]
    for key in CONTEXT:
        if key in report["context"]:
            lines.append(f"| {key} | {report['context'][key]} |")
    lines += ["",
              "Medians; in brackets the ratio to vouch's in the same run: above 1 is more time,",
              "or more of whatever the row counts."]
    for case, rows in cases.items():
        contestants = sorted({name for row in rows.values() for name in row},
                             key=lambda name: (name != "vouch", name))
        lines += ["", f"## {case}", "", f"| | {' | '.join(contestants)} |",
                  f"|---|{'---:|' * len(contestants)}"]
        for label, row in rows.items():
            cells = [cell(label, row, contestant) for contestant in contestants]
            lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += [""] + [f"**{error}**" for error in errors]
    return "\n".join(lines).rstrip() + "\n", errors


def medians(runs):
    """Returns {case: {row label: {contestant: median}}} in order of appearance, and the errors."""
    values, errors = {}, []
    for run in runs:
        if run.get("run_type") == "aggregate":
            continue
        if run.get("error_occurred"):
            errors.append(f"{run['name']}: {run.get('error_message', 'failed')}")
            continue
        parts = [part for part in run["name"].split("/") if not HOW_MEASURED.fullmatch(part)]
        case, contestant, variant = "/".join(parts[:2]), "/".join(parts[2:3]), "/".join(parts[3:])
        measures = {"time": run["real_time"] * NANOSECONDS[run["time_unit"]]}
        measures.update({key: value for key, value in run.items()
                         if isinstance(value, (int, float)) and key not in NOT_COUNTERS})
        for measure, value in measures.items():
            row = values.setdefault(case, {}).setdefault(f"{variant} {measure}".strip(), {})
            row.setdefault(contestant, []).append(value)
    return {case: {label: {name: statistics.median(found) for name, found in row.items()}
                   for label, row in rows.items()} for case, rows in values.items()}, errors


def cell(label, row, contestant):
    if contestant not in row:
        return "–"
    value = row[contestant]
    text = nanoseconds(value) if label.endswith("time") else f"{value:,.4g}"
    if contestant == "vouch" or not row.get("vouch"):
        return text
    return f"{text} ({value / row['vouch']:.2f}×)"


def nanoseconds(value):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} ns"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        text, errors = table(json.load(file))
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
