"""Ratios of two ways to do the same, taken in pairs; and what they were taken on."""

import os
import platform
import statistics
import time
from importlib.metadata import PackageNotFoundError, version

PACKAGES = ("sklandslide", "numpy", "tensorflow", "keras", "onnxruntime", "scikit-learn", "scikeras", "rasterio")

# What each ratio should be at least (or at most), beside the ratio in the table; rows without a target have none.
TARGETS: dict[str, str] = {
    "map, shared computation, 25 px, same: the loop that users write": ">= 15",
    "map, shared computation, 25 px, same: model.predict": ">= 8",
    "map, shared computation, 25 px, same: ONNX Runtime": ">= 5, aim 8",
    "map, shared computation, 32 px, same: ONNX Runtime": ">= 5, aim 8",
    "map, shared computation, 32 px, valid: ONNX Runtime": ">= 10, aim 15",
    "map, window engine, 25 px resampled to 32: ONNX Runtime": ">= 0.85",
    "LandslideCNN.fit, batch 32": ">= 0.8",
    "LandslideCNN.fit with Augmenter": ">= 0.8",
    "sampling from memory": ">= 100,000 patches/s",
    "sampling from tiled GeoTIFF": ">= 0.33",
    "sampling from striped GeoTIFF": ">= 0.33",
    "GridSearchCV": ">= 2.5",
    "resident memory": "under 2 MB a fit",
    "time a map pixel": "0.85 to 1.15; under 2 GB",
}


def target(what, rival):
    """The target of a row, by how its names begin."""
    name = f"{what}: {rival}"
    return next((text for start, text in TARGETS.items() if name.startswith(start)), "")


def cores():
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()


def machine():
    """Versions, processor, cores and date, so that figures are never read without them."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = None
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "processor": _processor(),
        "cores": cores(),
        "python": platform.python_version(),
        "versions": found,
    }


def _processor():
    try:
        with open("/proc/cpuinfo") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def seconds(function):
    """How long a call takes, and what it gives."""
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


def compare(what, rival, ours, theirs, *, repeats, units=(1, 1), detail="", check=None):
    """How many times as fast as a rival we are, pair by pair, after one run of each that does not count.

    Parameters
    ----------
    what, rival : str
        For the table.
    ours, theirs : callable
    repeats : int
        Number of pairs.
    units : pair of float
        What a call of ours, and one of the rival, get done: windows, patches, fits.
    detail : str
        Put behind the row; ``{rate}`` is replaced by what we do in a second.
    check : callable, default=None
        Takes both results; gives a text, or raises.

    Returns
    -------
    dict
    """
    ours(), theirs()
    ratios, spent = [], []
    for _ in range(repeats):
        mine, result = seconds(ours)
        other, expected = seconds(theirs)
        ratios.append((other / units[1]) / (mine / units[0]))
        spent.append(mine)
    rate = units[0] / statistics.median(spent)
    told = [detail.format(rate=rate), check(result, expected) if check else ""]
    return row(what, rival, ratios, "; ".join(t for t in told if t))


def row(what, rival, ratios, detail="", unit="x"):
    """One line of the table, from the values of the pairs."""
    made = {
        "what": what,
        "rival": rival,
        "value": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "unit": unit,
        "target": target(what, rival),
        "detail": detail,
    }
    print(line(made), flush=True)
    return made


def line(made):
    """One line for the terminal."""
    spread = f"({made['low']:.3g} to {made['high']:.3g})" if made["high"] > made["low"] else ""
    value = f"{made['value']:.3g} {made['unit']}"
    return f"{made['what'] + ': ' + made['rival']:<100} {value:>11} {spread:<18} {made['target']:<20} {made['detail']}"


def table(report):
    """The rows of a report as a Markdown table."""
    info = report["machine"]
    versions = ", ".join(f"{name} {v}" for name, v in info["versions"].items() if v)
    lines = [
        f"{info['processor']}, {info['cores']} cores, {info['date']}; Python {info['python']}, {versions}.",
        "",
        "| what | against | median | range | target | |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for r in report["rows"]:
        spread = f"{r['low']:.3g} to {r['high']:.3g}" if r["high"] > r["low"] else ""
        value = f"**{r['value']:.3g} {r['unit']}**"
        lines.append(f"| {r['what']} | {r['rival']} | {value} | {spread} | {r['target']} | {r['detail']} |")
    return "\n".join(lines)
