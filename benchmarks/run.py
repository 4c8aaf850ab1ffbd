"""Time sklandslide against the ways people do the same today, as ratios taken in pairs.

``python benchmarks/run.py`` prints a table and writes ``benchmarks/results.json``; ``--table results.json`` prints that
file as Markdown. docs/benchmarks.md explains what is compared with what. Needs the ``benchmarks`` extra.
"""

import argparse
import importlib
import json
import os
import tempfile
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import timing

GROUPS = ("sampling", "maps", "arithmetic", "training", "searching")
LARGE = ("scaling", "frame")  # only when asked for


def main():
    """Run the groups asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(GROUPS), help=f"groups, of {','.join((*GROUPS, *LARGE))}")
    parser.add_argument("--quick", action="store_true", help="small sizes and two pairs: to see that everything runs")
    parser.add_argument("--repeats", type=int, default=None, help="pairs of each row (5)")
    parser.add_argument("--side", type=int, default=None, help="pixels a side of the scene that is mapped (1600)")
    parser.add_argument("--sides", type=int, nargs="+", default=None, help="of scaling (2000 5000 10000 20000)")
    parser.add_argument("--frame", type=int, nargs=2, default=None, metavar=("ROWS", "COLUMNS"), help="17000 25000")
    parser.add_argument("--cluster-side", type=int, default=None, help="of the scene mapped on clusters (6000)")
    parser.add_argument(
        "--keep", type=Path, default=None, metavar="FILE", help="keep the frame's map there, to look at"
    )
    parser.add_argument("--jobs", type=int, default=None, help="n_jobs of the maps; left to its default if not given")
    parser.add_argument("--folder", type=Path, default=None, help="where to put temporary rasters")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_name("results.json"))
    parser.add_argument(
        "--table", type=Path, default=None, help="print the report in this file as Markdown, run nothing"
    )
    options = parser.parse_args()
    if options.table:
        print(timing.table(json.loads(options.table.read_text())))
        return
    options.repeats = options.repeats or (2 if options.quick else 5)
    options.side = options.side or (300 if options.quick else 1600)
    options.sides = options.sides or ([600, 1200] if options.quick else [2000, 5000, 10_000, 20_000])
    options.frame = options.frame or ([600, 900] if options.quick else [17_000, 25_000])
    options.cluster_side = options.cluster_side or (600 if options.quick else 6000)
    options.rows = 8 if options.quick else 24  # of windows that rivals are given
    report = {"machine": timing.machine(), "arguments": _told(options), "rows": []}
    for group in options.only.split(","):
        if group not in (*GROUPS, *LARGE):
            parser.error(f"--only {group}: choose from {', '.join((*GROUPS, *LARGE))}")
        with tempfile.TemporaryDirectory(dir=options.folder) as folder:
            for found in importlib.import_module(group).run(options, Path(folder)):
                report["rows"].append({"group": group, **found})
        options.out.write_text(json.dumps(report, indent=1) + "\n")


def _told(options):
    return {name: value for name, value in vars(options).items() if name not in ("out", "table", "folder", "keep")}


if __name__ == "__main__":
    main()
