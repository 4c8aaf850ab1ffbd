"""
What the repeated experiments share
===================================

``plot_nine_composites.py``, ``plot_patch_size.py``, ``plot_random_folds.py`` and ``plot_input_size.py`` each repeat one
experiment over several seeds. Each seed is another simulated scene with other landslides, samples and networks. This
file holds what they share: samples, the held-out region, scores with their spread, and files of results that a killed
run goes on from. It does nothing when run by itself.
"""

# sphinx_gallery_thumbnail_path = '_static/thumbnails/experiments.png'

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import warnings
from functools import lru_cache
from pathlib import Path

import geopandas
import joblib
import map_landslides
import numpy as np
from affine import Affine
from scipy import stats
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline

import sklandslide
from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    PatchSampler,
    Scene,
    SpatialBlockKFold,
    make_scene,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning

SIMULATED = (
    "The radar, the optical bands and the landslides are **simulated**. These figures compare ways of working on one "
    "simulator; they say nothing about accuracy on real landslides."
)


# --- settings ---------------------------------------------------------------------------------------------------------


def parse_settings(description, *, published, **defaults):
    """Settings of a run: quick ones by default, those of the published run with --published, any by its flag."""
    parser = argparse.ArgumentParser(description=description)
    for name, value in defaults.items():
        several = isinstance(value, list)
        kind = type(value[0] if several else value)
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=kind,
            nargs="+" if several else None,
            default=value,
            help=f"default {value}; published {published.get(name, value)}",
        )
    parser.add_argument("--jobs", type=int, default=min(2, joblib.cpu_count()), help="processes, of one thread each")
    parser.add_argument("--published", action="store_true", help="the settings of the table in the docs")
    parser.add_argument("--results", type=Path, metavar="FILE", help="keep each finished run there, and go on from it")
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the table as Markdown")
    if "--published" in sys.argv[1:]:
        parser.set_defaults(**published)
    options = parser.parse_args()
    if options.results is None and options.published:
        options.results = Path("out", Path(sys.argv[0]).stem + ".jsonl")
    options.settings = {name: getattr(options, name) for name in defaults}
    if "real" in defaults:  # a folder of real data: its place is this machine's
        options.real = Path(options.real) if options.real else None
        options.settings["real"] = "" if options.real is None else options.real.name
    return options


# --- samples ----------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def simulate(seed, side, n_before=1):
    """A scene and its polygons; the last ones are kept, as runs on one seed follow each other."""
    return make_scene(shape=(side, side), n_before=n_before, random_state=seed)


def sample(seed, side, patch_sizes, stride, max_per_polygon=None, n_before=1):
    """Samples that are valid at every patch size."""
    scene, polygons = simulate(seed, side, n_before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # polygons at the scene's edge
        return sample_polygons(
            scene, polygons, patch_size=patch_sizes, stride=stride, max_per_polygon=max_per_polygon, random_state=seed
        )


def pair_of_grounds(name, side, real):
    """Training scene and polygons, mapped scene and polygons: "simulated N", or the two halves of a real image."""
    if name.startswith("simulated"):
        number = 20 + 2 * int(name.split()[1])
        return (*simulate(number, side), *simulate(number + 1, side))
    scene = Scene.from_files({band: real / f"{band}_after.tif" for band in ("Red", "Green", "Blue")})
    polygons = geopandas.read_file(real / "polygons.gpkg").to_crs(scene.grid.crs.to_wkt())
    west, east = half(scene, polygons, 0), half(scene, polygons, 1)
    return (*west, *east) if name.endswith("west to east") else (*east, *west)


def half(scene, polygons, east):
    """The western or the eastern half of a scene, and the polygons that lie in it."""
    rows, cols = scene.grid.shape
    first, last = (cols // 2, cols) if east else (0, cols // 2)
    bands = {band: scene.read(band, ((0, rows), (first, last)))[..., 0] for band in scene.bands}
    corner = scene.grid.xy(0, first)
    transform = Affine(*scene.grid.transform[:2], corner[0], *scene.grid.transform[3:5], corner[1])
    part = Scene.from_arrays(bands, transform=transform, crs=scene.grid.crs)
    left, bottom, right, top = part.grid.bounds
    return part, polygons.cx[left:right, bottom:top]


def held_out_region(X, y, groups, patch_size, seed, share=0.3):
    """Rows west of a line for training, east of it for the test, a patch apart; as many of each class in each."""
    west, east, _ = map_landslides.held_out_region(X, groups, patch_size, share)
    return balanced(west, y, seed), balanced(east, y, seed)


def balanced(rows, y, seed):
    """As many rows of each class, drawn from the larger one."""
    random = np.random.RandomState(seed)
    parts = [rows[y[rows] == label] for label in (0, 1)]
    count = min(map(len, parts))
    return np.sort(np.concatenate([random.choice(part, count, replace=False) for part in parts]))


def spatial_folds(X, n_splits, patch_size, seed):
    """Blocks of a fifth of the area's width and height, with a buffer of one patch."""
    extent = np.ptp(np.asarray(X), axis=0)
    return SpatialBlockKFold(
        n_splits, block_size=tuple(extent / 5), buffer=X.patch_extent(patch_size), random_state=seed
    )


def pipeline(composite, *, patch_size=25, **cnn):
    """The paper's pipeline, patches resampled to 32 pixels unless told otherwise."""
    network = LandslideCNN(**{"input_size": 32, **cnn})
    return make_pipeline(BandStacker(composite), PatchSampler(patch_size), Augmenter(), network)


# --- scores -----------------------------------------------------------------------------------------------------------


def scores(y, predicted):
    """Accuracy, precision and recall in per cent, and the counts that they come from."""
    (tn, fp), (fn, tp) = confusion_matrix(y, predicted, labels=[0, 1]).tolist()
    return {
        "accuracy": 100 * (tp + tn) / len(y),
        "precision": 100 * tp / (tp + fp) if tp + fp else float("nan"),
        "recall": 100 * tp / (tp + fn),
        **{"tp": tp, "fp": fp, "fn": fn, "tn": tn},
    }


def spread(values, digits=1):
    """Mean and standard deviation over seeds, as text; without those where nothing was predicted (0 / 0)."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return "none"
    deviation = f" ± {values.std(ddof=1):.{digits}f}" if len(values) > 1 else ""
    return f"{values.mean():.{digits}f}{deviation}"


def interval(differences):
    """Mean of paired differences, one for each seed, and its 95 % confidence interval (Student's t)."""
    differences = np.asarray(differences, float)
    if len(differences) < 2:
        return differences.mean(), -np.inf, np.inf
    half = stats.t.ppf(0.975, len(differences) - 1) * stats.sem(differences)
    return differences.mean(), differences.mean() - half, differences.mean() + half


def verdict(differences, better, worse):
    """What the interval of differences shows, in words."""
    _, low, high = interval(differences)
    return better if low > 0 else worse if high < 0 else "no difference is shown"


def interval_text(differences, digits=1):
    mean, low, high = interval(differences)
    within = f" ({low:+.{digits}f} to {high:+.{digits}f})" if np.isfinite(low) else ""
    return f"{mean:+.{digits}f}{within}"


# --- runs that go on --------------------------------------------------------------------------------------------------


def fingerprint():
    """Tell simulators and versions apart: results of another one must not be mixed in."""
    scene, _ = make_scene(shape=(64, 64), random_state=0)
    pixels = np.ascontiguousarray(scene.read(scene.bands))
    return f"{sklandslide.__version__}, scene {hashlib.sha256(pixels.tobytes()).hexdigest()[:12]}"


class Results:
    """Records of finished runs by their key; on the disk, a line of JSON each, where there is a file."""

    def __init__(self, file, settings):
        self.file = None if file is None else Path(file)
        self.records = {}
        if self.file is None:
            return
        self.file.parent.mkdir(parents=True, exist_ok=True)
        # seeds and real data are in the keys
        settings = {name: value for name, value in settings.items() if name not in ("seeds", "real")}
        head = json.dumps({"settings": settings, "version": fingerprint()})
        text = self.file.read_text() if self.file.exists() else ""
        lines = text[: text.rfind("\n") + 1].splitlines()  # a line that was cut off is not one
        if lines and lines[0] != head:
            sys.exit(
                f"{self.file} holds results of other settings or of another version, {lines[0]}, not {head}. Remove "
                "it, or name another file with --results."
            )
        for record in map(json.loads, lines[1:]):
            self.records[tuple(record["key"])] = record
        self.file.write_text("".join(line + "\n" for line in lines or [head]))

    def add(self, record):
        self.records[tuple(record["key"])] = record
        if self.file is not None:
            with self.file.open("a") as stream:
                stream.write(json.dumps(record) + "\n")
                stream.flush()
                os.fsync(stream.fileno())

    def complete(self, run, keys, jobs):
        """Make the runs that are missing, in `jobs` processes, and return all in the order of the keys.

        ``run(*key, memory)`` returns a dictionary; fits in `memory` outlive a run that is killed.
        """
        missing = [key for key in keys if key not in self.records]
        if len(missing) < len(keys):
            print(f"{len(keys) - len(missing)} of {len(keys)} runs are in {self.file}.")
        folder = None if self.file is None else Path(f"{self.file}.fits")
        tasks = (joblib.delayed(timed)(run, key, folder, os.getpid()) for key in missing)
        for record in joblib.Parallel(n_jobs=jobs, return_as="generator_unordered")(tasks):
            self.add(record)
            print(f"{record['key']}: {record['seconds']:.0f} s", flush=True)
        return [self.records[key] for key in keys]


@lru_cache
def end_with(parent):
    """Let a worker end soon after the process that it works for, even if that is killed."""

    def watch():
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def timed(run, key, folder, parent):
    """One run: its record, its key and its seconds; the fits that it kept are removed when it is done."""
    if os.getpid() != parent:
        end_with(parent)
    start = time.perf_counter()
    memory = None if folder is None else folder / "-".join(map(str, key))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Persisting input arguments took")  # joblib's, on a busy disk
        record = run(*key, None if memory is None else str(memory))
    if memory is not None:
        shutil.rmtree(memory, ignore_errors=True)
    return {"key": list(key), **record, "seconds": time.perf_counter() - start}


# --- tables -----------------------------------------------------------------------------------------------------------


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def write_table(options, title, *parts, data=SIMULATED):
    """Write a page of results: the command first, then settings, what the data are, and the parts."""
    settings = ", ".join(
        f"{name.replace('_', ' ')} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in options.settings.items()
        if value != ""
    )
    arguments = sys.argv[1:]
    if "--results" in arguments:  # a file of this machine
        place = arguments.index("--results")
        del arguments[place : place + 2]
    if "--real" in arguments:
        place = arguments.index("--real") + 1
        arguments[place] = Path(arguments[place]).name
    command = " ".join(["python", f"examples/{Path(sys.argv[0]).name}", *arguments])
    text = "\n\n".join(
        [f"<!-- {command} -->", f"# {title}", f"`{command}` wrote this page. Settings: {settings}.", data, *parts]
    )
    options.table.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=options.table.parent, delete=False) as stream:
        stream.write(text + "\n")
    Path(stream.name).replace(options.table)
    print(f"Written: {options.table}")
