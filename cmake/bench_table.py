"""Turns Google Benchmark's JSON into Markdown tables. Usage: bench_table.py IN.json... > OUT.md

Benchmarks are named layer/case/contestant[/argument...][/threads:N], and the contestant `vouch` is
ours. Every other contestant's median is followed by its ratio to vouch's in the same run. Several
files are one run: rounds of the same program, and programs that ran beside it.
Exits 1 after the tables when a benchmark reported an error.
"""

import json
import re
import statistics
import sys

# What is written above the tables, in this order. Of the rest of the context only what
# bench/support/remarks.h puts there is used.
CONTEXT = ["date", "command", "cpu", "num_cpus", "load_avg", "clock", "kernel", "filesystem",
           "compiler", "build", "vouch", "abseil", "sqlite", "openssl", "boost", "soci", "poco",
           "libzdb", "sqlitecpp", "hikaricp", "java", "settings"]
# Parts of a name that say how time was taken, not what was measured.
HOW_MEASURED = re.compile(r"real_time|process_time|manual_time|(iterations|repeats|min_time|"
                          r"min_warmup_time):.*")
# Numbers of a run that are not user counters.
NOT_COUNTERS = {"family_index", "per_family_instance_index", "repetitions", "repetition_index",
                "threads", "iterations", "real_time", "cpu_time"}
NANOSECONDS = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}


def merge(reports):
    """One report of several: what the first says of the machine holds for all."""
    context = {}
    for report in reports:
        context = report["context"] | context
    return {"context": context, "benchmarks": [run for report in reports
                                               for run in report["benchmarks"]]}


def table(report):
    """Returns the report's Markdown and its errors, each a line of text."""
    context = report["context"]
    values, errors = collect(report["benchmarks"])
    lines = ["| | |", "|---|---|"]
    for key in CONTEXT:
        if key in context:
            lines.append(f"| {key.replace('_', ' ')} | {context_text(context[key])} |")
    lines += ["",
              "Medians; in brackets the ratio to vouch's in the same run: above 1 is more time,",
              "or more of whatever the column counts." + spread(values)]
    for case, variants in medians(values).items():
        lines += ["", f"## {case}", ""]
        if f"case {case}" in context:
            lines += [context[f"case {case}"], ""]
        lines += case_tables(variants, context.get(f"time {case}", "time"))
    remarks = [f"- {name}: {text}." for name, text in about("remark", context)]
    remarks += [f"- not measured: {name} ({text})."
                for name, text in about("not measured", context)]
    if remarks:
        lines += ["", "## Remarks", ""] + remarks
    lines += [""] + [f"**{error}**" for error in errors]
    return "\n".join(lines).rstrip() + "\n", errors


def context_text(value):
    return ", ".join(f"{part:.2f}" for part in value) if isinstance(value, list) else value


def about(kind, context):
    """What the context says under keys of a kind: pairs of a name and a text."""
    return [(key.removeprefix(kind + " "), text) for key, text in context.items()
            if key.startswith(kind + " ")]


def collect(runs):
    """Returns {case: {variant: {measure: {contestant: [value...]}}}} in order of appearance, and
    the errors. A variant is what follows the contestant in a name."""
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
            found = values.setdefault(case, {}).setdefault(variant, {}).setdefault(measure, {})
            found.setdefault(contestant, []).append(value)
    return values, errors


def medians(values):
    """Puts the median in the place of each list of values."""
    if isinstance(values, list):
        return statistics.median(values)
    return {key: medians(inner) for key, inner in values.items()}


def spread(values):
    """A sentence on how far repetitions lay apart; none if nothing was repeated."""
    spreads = [(max(times) - min(times)) / statistics.median(times)
               for variants in values.values() for measures in variants.values()
               for times in measures["time"].values() if len(times) > 1 and min(times) > 0]
    if not spreads:
        return ""
    return (f" Between repetitions half of the times\nvaried by more than "
            f"{statistics.median(spreads):.0%} (largest less smallest, over the median).")


def case_tables(variants, time):
    """A row a contestant. Columns are the variants, if only time was measured, or the measures, if
    there is one variant; else there is a table for each measure."""
    measures = list(dict.fromkeys(measure for row in variants.values() for measure in row))
    # Google Benchmark puts counters in the order of the alphabet, in which max is before p50.
    measures.sort(key=lambda measure: (measure != "time", measure.replace("_max", "_~max")))
    if len(variants) == 1:
        (row,) = variants.values()
        return rows({heading(measure, time): (measure, row[measure]) for measure in measures})
    lines = []
    for measure in measures:
        if len(measures) > 1:
            lines += [""] * bool(lines) + [f"**{heading(measure, time)}**", ""]
        lines += rows({variant: (measure, row[measure]) for variant, row in variants.items()
                       if measure in row})
    return lines


def heading(measure, time):
    return time if measure == "time" else measure.removesuffix("_ns").replace("_", " ")


def rows(columns):
    """Markdown of {heading: (measure, {contestant: median})}."""
    contestants = dict.fromkeys(name for _, column in columns.values() for name in column)
    lines = [f"| | {' | '.join(columns)} |", f"|---|{'---:|' * len(columns)}"]
    for contestant in sorted(contestants, key=lambda name: name != "vouch"):
        cells = [cell(measure, column, contestant) for measure, column in columns.values()]
        lines.append(f"| {contestant} | {' | '.join(cells)} |")
    return lines


def cell(measure, column, contestant):
    if contestant not in column:
        return "–"
    value = column[contestant]
    is_time = measure == "time" or measure.endswith("_ns")
    text = nanoseconds(value) if is_time else number(value)
    if contestant == "vouch" or not column.get("vouch"):
        return text
    return f"{text} ({ratio(value / column['vouch'])}×)"


def ratio(value):
    if value < 0.001:
        return "<0.001"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.2g}"


def number(value):
    """Three significant digits or more, without an exponent."""
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 0.001 or value == 0 else "<0.001"


def nanoseconds(value):
    for unit, size in (("s", 1e9), ("ms", 1e6), ("µs", 1e3)):
        if value >= size:
            return f"{value / size:.3g} {unit}"
    return f"{value:.3g} ns"


def read(paths):
    reports = []
    for path in paths:
        with open(path, encoding="utf-8") as file:
            reports.append(json.load(file))
    return merge(reports)


def main():
    text, errors = table(read(sys.argv[1:]))
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(text)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
