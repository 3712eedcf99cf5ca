"""Writes a gnuplot program that draws the pool's benchmarks as SVG: what a pair costs against the
number of threads, and how unfair an exhausted pool is. Usage: picture.py IN.json... | gnuplot
"""

import itertools
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "cmake"))
import bench_table  # pylint: disable=wrong-import-position

# Ours stands out; the others can be told apart, also by those who do not see red and green well.
OURS = "#d1242f"
RIVALS = ["#1f4e9c", "#4fa3d9", "#7a5195", "#93a82a", "#2a7f62", "#8c8c8c", "#c66a9b", "#5b4636",
          "#d98e04"]

HEAD = """set terminal svg size 1120,470 font "Helvetica,Arial,sans-serif,13" background "#ffffff"
set multiplot
set border 3 lc rgb "#888888"
set tics nomirror out scale 0.6 textcolor rgb "#333333"
set grid ytics lc rgb "#e4e4e4" lt 1 lw 0.8
"""
PAIR = """set lmargin at screen 0.08
set rmargin at screen 0.43
set bmargin at screen 0.13
set tmargin at screen 0.88
set title "acquire + release, pool of 8, nothing held" font ",15" offset 0,0.3
set xlabel "threads"
set ylabel "wall time a pair, ns, all threads together" offset 1,0
set logscale xy
set xrange [0.9:72]
set xtics ({threads})
set key at screen 0.445,0.86 left top Left reverse samplen 2.2 spacing 1.15 textcolor rgb "#333333"
plot {lines}
"""
WAIT = """unset logscale
unset key
unset ylabel
unset grid
set grid xtics lc rgb "#e4e4e4" lt 1 lw 0.8
set lmargin at screen 0.68
set rmargin at screen 0.965
set title "longest wait, 64 threads on 4 slots" font ",15" offset 0,0.3
set xlabel "multiples of the fair share (1 is perfect)"
set logscale x
set xrange [1:{most}]
set xtics autofreq
set yrange [{rows}-0.4:-0.6]
set ytics ({names}) scale 0
set style fill solid noborder
plot $wait using (1):0:(1):1:($0-0.32):($0+0.32):2 with boxxyerror lc rgb variable, \\
     $wait using 1:0:3 with labels left offset 0.6,0 textcolor rgb "#333333"
"""


def picture(cases):
    pairs = cases["pool/acquire_release"]
    waits = cases["pool/exhausted"][""]["wait_max"]
    names = list(dict.fromkeys([name for row in pairs.values() for name in row["time"]]))
    names = sorted(names, key=lambda name: name == "vouch")  # ours is drawn last, above the others
    colors = dict(zip(names, itertools.cycle(RIVALS))) | {"vouch": OURS}
    text = HEAD + "".join(line_data(name, pairs) for name in names) + wait_data(waits, colors)
    lines = ", \\\n     ".join(
        f"${name} using 1:2 with linespoints pt 7 ps {0.6 if name == 'vouch' else 0.4}"
        f" lw {3.2 if name == 'vouch' else 1.6} lc rgb \"{colors[name]}\" title \"{label(name)}\""
        for name in names)
    threads = ", ".join(variant.removeprefix("threads:") for variant in pairs)
    ticks = ", ".join(f'"{label(name)}" {row}' for row, name in enumerate(ordered(waits)))
    return (text + PAIR.format(threads=threads, lines=lines) +
            WAIT.format(most=3 * max(waits.values()), rows=len(waits), names=ticks))


def line_data(name, pairs):
    points = [f"{variant.removeprefix('threads:')} {row['time'][name]}"
              for variant, row in pairs.items() if name in row["time"]]
    return "\n".join([f"${name} << END", *points, "END", ""])


def wait_data(waits, colors):
    points = [f"{waits[name]} {int(colors[name][1:], 16)} {waits[name]:.3g}×"
              for name in ordered(waits)]
    return "\n".join(["$wait << END", *points, "END", ""])


def ordered(waits):
    return sorted(waits, key=waits.get)


def label(name):
    return name.replace("_", " ")


def main():
    values, _ = bench_table.collect(bench_table.read(sys.argv[1:])["benchmarks"])
    sys.stdout.reconfigure(encoding="utf-8")
    sys.stdout.write(picture(bench_table.medians(values)))


if __name__ == "__main__":
    main()
