"""
False alarms on real radar
==========================

Pipelines are trained on **simulated** radar and mapped over real pairs of dates between which no landslide happened:
every red point is a false alarm. What is printed is the number of connected red areas for each square kilometre and the
red share of the ground, by window and by the time between the dates, and the same for simulated ground without any
change. A rate of false alarms means nothing alone (a classifier that never says "landslide" has none), so the share of
landslides hit, and the false alarms beside them, on another simulated scene stand next to it.

Real pairs are GeoTIFFs named ``<window>_<date>_<polarisation>.tif`` (``Hills_20211119_VV.tif``) in one folder: gamma0
in linear power, NaN for nodata, 30 m, such as OPERA RTC-S1::

    python examples/false_alarms.py --pairs rtc_s1 --table docs/results/false_alarms.md

Without ``--pairs`` only the simulated ground is mapped. The thresholds are given beforehand and the patch size comes
from spatial folds on simulated samples: nothing is chosen by the false alarms.

A patch of 25 pixels would be 750 m at 30 m, larger than nearly every landslide. The paper's 25 pixels at 10 m are 250
m, which is 8 to 9 pixels here; sizes from 9 to 16 (270 to 480 m) are searched.

Beside the networks stand two rules that learn nothing but a threshold: on the log-ratio of VV (``log-ratio``) and on
the local energy of the differences of VV and VH (``energy``), each in a window whose size is searched.
"""

# sphinx_gallery_thumbnail_path = '_static/thumbnails/false_alarms.png'

import argparse
import sys
import tempfile
import time
import warnings
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from sklandslide import (
    Augmenter,
    BandStacker,
    LandslideCNN,
    LocalChange,
    PatchSampler,
    Scene,
    SlidingWindowPredictor,
    SpatialBlockKFold,
    make_scene,
    sample_polygons,
)
from sklandslide.exceptions import SamplingWarning, SklandslideError

POLARISATIONS = ("VV", "VH")
# What the simulated scenes share with OPERA RTC-S1.
PRODUCT = {"pixel_size": 30.0, "backscatter": "gamma0", "units": "linear"}
# Days between the dates, up to and including.
GAPS = {"up to 3 months": 100, "about 1 year": 550, "about 2 years": np.inf}
SIMULATED = "simulated"
VV, VH = "VV_after - VV_before", "VH_after - VH_before"
RULES = {"log-ratio": ([VV], "log_ratio"), "energy": ([VV, VH], "energy")}
WINDOWS = [1, 3, 5, 7, 9]  # pixels a side


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=Path, metavar="DIR", help="folder of <window>_<date>_<polarisation>.tif")
    parser.add_argument("--composites", nargs="+", default=["BAA", "BAH", "BAC", *RULES])
    parser.add_argument("--thresholds", type=float, nargs="+", default=[0.5, 0.8, 0.95, 0.99])
    parser.add_argument("--patch-sizes", type=int, nargs="+", default=[9, 12, 16], metavar="PIXELS")
    parser.add_argument("--side", type=int, default=400, help="of the simulated training scene, in pixels of 30 m")
    parser.add_argument("--grounds", type=int, default=3, help="simulated windows without any change")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--step", type=int, default=2, help="of the sliding window in pixels")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--table", type=Path, metavar="FILE", help="write the tables as Markdown")
    options = parser.parse_args(arguments)
    if options.pairs and not options.pairs.is_dir():
        parser.error(f"--pairs {options.pairs} is no folder; give one of <window>_<date>_<polarisation>.tif")
    return options


def real_dates(folder):
    """Files by window, date and polarisation."""
    found = {}
    for path in sorted(folder.glob("*.tif")):
        window, date, polarisation = [*path.stem.rsplit("_", 2), "", ""][:3]
        if polarisation in POLARISATIONS and len(date) == 8 and date.isdecimal():
            found.setdefault(window, {}).setdefault(date, {})[polarisation] = path
    whole = {
        window: {date: files for date, files in dates.items() if len(files) == len(POLARISATIONS)}
        for window, dates in found.items()
    }
    if not any(len(dates) >= 3 for dates in whole.values()):
        raise SystemExit(
            f"{folder} holds no window with VV and VH of three dates. Files are named "
            "<window>_<date>_<polarisation>.tif, for example Hills_20211119_VV.tif."
        )
    return whole


def sequences(dates):
    """Pairs of dates, before and after, that a third date follows: every composite is mapped over the same pairs."""
    dates = sorted(dates)
    return [(a, b, dates[dates.index(b) + 1]) for a, b in combinations(dates[:-1], 2)]


def real_pairs(folder):
    """Scenes of two dates and the next, with their window and the class of the time between the first two."""
    for window, dates in real_dates(folder).items():
        for before, after, after2 in sequences(dates):
            when = {"before": before, "after": after, "after2": after2}
            files = {f"{pol}_{name}": dates[date][pol] for name, date in when.items() for pol in POLARISATIONS}
            days = (pd.Timestamp(after) - pd.Timestamp(before)).days
            gap = next(name for name, limit in GAPS.items() if days <= limit)
            yield window, gap, Scene.from_files(files, units=dict.fromkeys(files, "linear"))


def simulated_pairs(n_grounds, seed, side=100, n_dates=4):
    """Simulated ground on dates before several events: the weather differs, no landslide has happened yet."""
    for ground in range(n_grounds):
        scenes = [
            make_scene(shape=(side, side), event=event, n_dates=2, random_state=seed + 100 + ground, **PRODUCT)[0]
            for event in range(n_dates)
        ]
        grid = scenes[0].grid
        for events in sequences(range(n_dates)):
            when = dict(zip(("before", "after", "after2"), events, strict=True))
            bands = {
                f"{pol}_{name}": scenes[event].read(f"{pol}_before")[..., 0]
                for name, event in when.items()
                for pol in POLARISATIONS
            }
            units = dict.fromkeys(bands, PRODUCT["units"])
            yield SIMULATED, "", Scene.from_arrays(bands, transform=grid.transform, crs=grid.crs, units=units)


def rule(name, patch_size, **change):
    """A threshold on one number, fitted by a logistic regression of one feature."""
    bands, statistic = RULES[name]
    change = LocalChange(statistic=statistic, **change)
    return make_pipeline(BandStacker(bands), PatchSampler(patch_size), change, LogisticRegression(C=100))


def trained(composite, scene, polygons, options):
    """A pipeline whose patch size was searched with spatial folds, the chosen size and the number of samples."""
    bands, _ = RULES.get(composite, (composite, None))
    largest = max(options.patch_sizes)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SamplingWarning)  # polygons at the edge of the scene give no sample
        X, y, groups = sample_polygons(
            scene,
            polygons,
            patch_size=largest,
            stride=2,
            bands=bands,
            max_per_polygon=4,
            balance=True,
            random_state=options.seed,
        )
    if composite in RULES:
        pipeline = rule(composite, max(WINDOWS))
        grid = {"localchange__size": WINDOWS}
    else:
        cnn = LandslideCNN(input_size=None, epochs=options.epochs, random_state=options.seed)
        pipeline = make_pipeline(BandStacker(bands), PatchSampler(), Augmenter(), cnn)
        grid = {"patchsampler__patch_size": options.patch_sizes}
    block = max(np.ptp(np.asarray(X), axis=0)) / 6
    folds = SpatialBlockKFold(3, block_size=block, buffer=X.patch_extent(largest), random_state=options.seed)
    search = GridSearchCV(pipeline, grid, cv=folds).fit(X, y, groups=groups)
    return search, search.best_params_[next(iter(grid))], len(X)


def mapped(model, scene, step):
    """The map of a scene; its file is gone with the folder, so everything is asked of it at once."""
    folder = tempfile.TemporaryDirectory()
    return folder, SlidingWindowPredictor(model, step=step).predict_map(scene, Path(folder.name) / "map.tif")


def red_areas(landslide_map, threshold):
    """Number of connected red areas, and their size in km2."""
    areas = landslide_map.polygons(threshold)["area_m2"]
    return len(areas), areas.sum() / 1e6


def levels(pairs):
    """Median of VV before, in dB, by window: how far the ground is from that of training."""
    values = {}
    for window, _, scene in pairs:
        power = scene.read("VV_before")
        values.setdefault(window, []).append(10 * np.log10(np.median(power[power > 0])))
    return ", ".join(f"{window} {np.median(level):.1f} dB" for window, level in values.items())


def change_of_vv(scene):
    """Median of VV after against before, in dB."""
    before, after = np.moveaxis(scene.read(["VV_before", "VV_after"]), -1, 0)
    known = (before > 0) & (after > 0)
    return float(10 * np.median(np.log10(after[known] / before[known])))


def false_alarms(model, pairs, thresholds, step):
    """One record for each pair and threshold. Nothing happened in them, so all that is red is a false alarm."""
    records = []
    for window, gap, scene in pairs:
        change = change_of_vv(scene)
        folder, landslide_map = mapped(model, scene, step)
        with folder:
            km2 = red_areas(landslide_map, 0.0)[1]  # everything but nodata
            for threshold in thresholds:
                n_areas, red_km2 = red_areas(landslide_map, threshold)
                records.append(
                    {
                        "ground": window,
                        "gap": gap,
                        "vv_change": change,
                        "threshold": threshold,
                        "areas": n_areas,
                        "red_km2": red_km2,
                        "km2": km2,
                    }
                )
    return records


def landslides_hit(model, scene, polygons, thresholds, step):
    """Scores of a map of simulated ground with landslides, by threshold."""
    folder, landslide_map = mapped(model, scene, step)
    with folder:
        return {threshold: landslide_map.score(polygons, threshold=threshold) for threshold in thresholds}


def rates(records, keys):
    """False alarms per km2 and the red share, summed over the pairs of each group, a column for each threshold."""
    groups = records.groupby([*keys, "threshold"], observed=True)
    total = groups[["areas", "red_km2", "km2"]].sum()
    out = pd.DataFrame(
        {
            "pairs": groups.size(),
            "text": [
                f"{areas / km2:.2f} ({100 * red / km2:.1f} %)"
                for areas, red, km2 in total.itertuples(index=False, name=None)
            ],
        }
    ).reset_index()
    pairs = out.groupby(keys, observed=True)["pairs"].first()
    wide = out.pivot(index=keys, columns="threshold", values="text").loc[pairs.index]
    wide.insert(0, "pairs", pairs)
    return wide.reset_index()


def as_markdown(frame):
    lines = [[str(column) for column in frame.columns], ["---"] * frame.shape[1]]
    lines += [[str(value) for value in row] for row in frame.itertuples(index=False)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def in_order(records):
    """Columns of classes whose order is not that of the alphabet."""
    limits = [0, 0.5, 1.0, 2.0, np.inf]
    names = ["up to 0.5 dB", "0.5 to 1 dB", "1 to 2 dB", "over 2 dB"]
    return records.assign(
        composite=pd.Categorical(records["composite"], pd.unique(records["composite"])),
        gap=pd.Categorical(records["gap"], [*GAPS, ""]),
        **{"change of VV": pd.cut(records["vv_change"].abs(), limits, labels=names, include_lowest=True)},
    )


def sections(records, hits, notes, options):
    """The report as Markdown: title, what was done, tables."""
    command = f"python examples/false_alarms.py{f' --pairs {options.pairs.name}' if options.pairs else ''}"
    if options.table:
        command += f" --table {options.table.as_posix()}"
    real = records[records["ground"] != SIMULATED]
    everything = records.assign(ground=np.where(records["ground"] == SIMULATED, "simulated, no change", "real pairs"))
    found = pd.DataFrame(
        [
            {
                "composite": composite,
                **{t: f"{s['hit_rate']:.2f} / {s['false_alarms_per_km2']:.2f}" for t, s in by.items()},
            }
            for composite, by in hits.items()
        ]
    )
    parts = [
        f"<!-- {command} -->",
        "# False alarms on real radar",
        f"`{command}` wrote this page.",
        "Trained on simulated radar. " + " ".join(notes),
        "Red windows that touch count as one area, so where much of the ground is red the number falls: read it with "
        "the red share. All were trained on as many landslide as other samples, which is far from the shares of the "
        "ground: at 0.5 much more is red than is landslide. A low rate on real ground is no proof of skill: where "
        "backscatter differs from that of training the network extrapolates, and pairs without a landslide cannot tell "
        "whether it would find one. Pairs of one window share dates: they are by far not as many independent ones. The "
        "networks come first, then the two rules that learn nothing but a threshold: the log-ratio of VV, and the "
        "energy of the differences of VV and VH.",
        "**Pairs without a landslide**: connected red areas per km2 (red share of the ground), by threshold.",
        as_markdown(rates(everything, ["composite", "ground"])),
        "**Another simulated scene, with landslides**: share of landslides hit / false alarms per km2, by threshold.",
        as_markdown(found),
    ]
    if len(real):
        parts += [
            "**Real pairs, by window and time between the dates**",
            as_markdown(rates(real, ["composite", "ground", "gap"])),
            "**Real pairs, by the change of the window's median VV** between the dates, up or down (rain, season)",
            as_markdown(rates(real, ["composite", "change of VV"])),
        ]
    return "\n\n".join(parts) + "\n"


def main(arguments=None):
    options = parse_arguments(arguments)
    start = time.perf_counter()
    side = (options.side, options.side)
    scene, polygons = make_scene(shape=side, random_state=options.seed, **PRODUCT)
    other, other_polygons = make_scene(shape=side, random_state=options.seed + 1, **PRODUCT)
    pairs = list(simulated_pairs(options.grounds, options.seed))
    pairs += list(real_pairs(options.pairs)) if options.pairs else []
    km2 = options.side**2 * 0.03**2
    notes, records, hits = [f"Training scene: {km2:.0f} km2, gamma0, 30 m, seed {options.seed}."], [], {}
    notes.append(f"Median VV before: {levels([('training', '', scene), *pairs])}.")
    for composite in options.composites:
        search, size, n_samples = trained(composite, scene, polygons, options)
        accuracy = search.best_score_
        notes.append(
            f"{composite}: {n_samples} samples, window of {size} pixels ({30 * size} m), accuracy over spatial folds "
            f"{accuracy:.3f}."
        )
        print(f"{notes[-1]}  [{time.perf_counter() - start:.0f} s]", flush=True)
        model = search.best_estimator_
        alarms = false_alarms(model, pairs, options.thresholds, options.step)
        records += [{"composite": composite, **record} for record in alarms]
        hits[composite] = landslides_hit(model, other, other_polygons, options.thresholds, options.step)
    records = pd.DataFrame(records)
    text = sections(in_order(records), hits, notes, options)
    print("\n" + text)
    if options.table:
        options.table.write_text(text)
    print(f"Done in {time.perf_counter() - start:.0f} s.")


if __name__ == "__main__":
    try:
        main()
    except SklandslideError as error:
        sys.exit(f"{type(error).__name__}: {error}")
