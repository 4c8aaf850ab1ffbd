"""The repeated experiments: what they share, and each example with tiny settings."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sklandslide import COMPOSITES, sample_polygons

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
TINY = ["--side", 200, "--epochs", 1, "--folds", 2, "--max-per-polygon", 3]


@pytest.fixture(scope="module")
def experiments():
    sys.path.insert(0, str(EXAMPLES))
    try:
        import experiments

        yield experiments
    finally:
        sys.path.remove(str(EXAMPLES))


@pytest.mark.filterwarnings("ignore::sklandslide.exceptions.SamplingWarning")  # of polygons at the scene's edge
def test_held_out_region_is_apart(experiments, simulated):
    X, y, groups = sample_polygons(*simulated, patch_size=15, stride=3, random_state=0)
    train, test = experiments.held_out_region(X, y, groups, 15, seed=0)
    assert np.abs(X.xy[train][:, None] - X.xy[test]).max(axis=-1).min() >= 150
    assert not set(groups[train]) & set(groups[test])
    for rows in (train, test):
        assert len(set(rows)) == len(rows) > 50
        assert y[rows].mean() == 0.5
    assert X.xy[train, 0].max() < X.xy[test, 0].min()


def test_scores(experiments):
    found = experiments.scores(np.array([1, 1, 1, 0, 0]), np.array([1, 1, 0, 1, 0]))
    assert found == {
        "accuracy": 60, "precision": pytest.approx(200 / 3), "recall": pytest.approx(200 / 3),
        "tp": 2, "fp": 1, "fn": 1, "tn": 1,
    }  # fmt: skip
    assert np.isnan(experiments.scores(np.array([1, 0]), np.array([0, 0]))["precision"])


def test_interval_is_students(experiments):
    mean, low, high = experiments.interval([1, 2, 3, 4])
    assert mean == 2.5
    half = 3.182446 * np.std([1, 2, 3, 4], ddof=1) / 2  # t of 3 degrees of freedom
    assert (low, high) == pytest.approx((2.5 - half, 2.5 + half))
    assert experiments.interval([5.0]) == (5.0, -np.inf, np.inf)  # one seed decides nothing
    assert experiments.interval_text([5.0]) == "+5.0"
    assert experiments.interval_text([1, 2, 3, 4]) == "+2.5 (+0.4 to +4.6)"
    assert experiments.spread([90, 92]) == "91.0 ± 1.4"
    assert experiments.spread([90, np.nan]) == "90.0"
    assert experiments.spread([np.nan]) == "none"


def test_results_go_on(experiments, tmp_path, capsys):
    file, calls = tmp_path / "sub" / "results.jsonl", []

    def run(name, seed, memory):
        assert memory == str(tmp_path / "sub" / f"results.jsonl.fits/{name}-{seed}")
        Path(memory).mkdir(parents=True)
        calls.append((name, seed))
        return {"value": 10 * seed}

    settings = {"epochs": 3, "seeds": [0, 1]}
    keys = [("a", 0), ("b", 0), ("a", 1)]
    first = experiments.Results(file, settings).complete(run, keys[:2], jobs=1)
    with file.open("a") as stream:  # a line that a kill cut off
        stream.write('{"key": ["a", 1], "val')
    again = experiments.Results(file, settings | {"seeds": [0, 1, 2]}).complete(run, keys, jobs=1)
    assert calls == keys
    assert again[:2] == first
    assert [r["value"] for r in again] == [0, 0, 10]
    assert "2 of 3 runs are in" in capsys.readouterr().out
    assert [json.loads(line)["key"] for line in file.read_text().splitlines()[1:]] == [list(key) for key in keys]
    assert list((tmp_path / "sub" / "results.jsonl.fits").iterdir()) == []
    with pytest.raises(SystemExit, match="results of other settings or of another version"):
        experiments.Results(file, settings | {"epochs": 4})


def run(script, *arguments, table=None, strict=True):
    """Run an example as a user would, with warnings as errors; those that pytest.ini lets pass are let pass."""
    warn = ["-W", "error", "-W", "ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"]
    where = ["--table", table] if table else []
    done = subprocess.run(
        [sys.executable, *(warn if strict else []), EXAMPLES / script, *map(str, [*arguments, *where])],
        capture_output=True, text=True, timeout=900, check=False,
        env={**os.environ, "MPLBACKEND": "agg", "DISPLAY": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def page(path, script):
    """The page's text, once it says what every page of results has to say."""
    text = path.read_text()
    first, _, title = text.splitlines()[:3]
    assert first.startswith(f"<!-- python examples/{script} --")
    assert first.endswith(f"--table {path} -->")
    assert title.startswith("# ")
    assert "**simulated**" in text
    assert "say nothing about accuracy on real landslides" in text
    assert "Settings: seeds 0 1" in text
    assert "nan" not in text
    return text


def rows_of(text, first_cell):
    """Cells of the table rows that begin with a text."""
    lines = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("|")]
    return [cells for cells in lines if cells[0] == first_cell]


@pytest.mark.slow
def test_nine_composites(tmp_path):
    table, results = tmp_path / "t.md", tmp_path / "r.jsonl"
    tiny = [*TINY, "--seeds", 0, 1, "--patch-sizes", 8, 9, "--results", results]
    run("plot_nine_composites.py", *tiny, "--jobs", 1, table=table)
    text = page(table, "plot_nine_composites.py")
    assert str(results) not in text
    records = [json.loads(line) for line in results.read_text().splitlines()[1:]]
    for name in COMPOSITES:
        scores, counts = rows_of(text, name)[:2]
        mine = [r for r in records if r["key"][0] == name]
        assert len(mine) == 2
        assert scores[2].startswith(f"{np.mean([r['accuracy'] for r in mine]):.1f} ± ")
        assert [int(c) for c in counts[1:5]] == [sum(r[c] for r in mine) for c in ("tp", "fp", "fn", "tn")]
        assert mine[0]["tp"] + mine[0]["fn"] == mine[0]["fp"] + mine[0]["tn"]
    assert rows_of(text, "BAA")[0][3::2] == ["94.17", "97.32", "90.83"]
    assert rows_of(text, "BAA")[1][5:9] == ["218", "6", "22", "234"]
    for name in ("log-ratio", "energy", "energy 7 x 7", "stack", "stack, before only"):
        (baseline,) = rows_of(text, name)
        difference = [
            next(r["accuracy"] for r in records if r["key"] == [name, seed])
            - next(r["accuracy"] for r in records if r["key"] == ["BAA", seed])
            for seed in (0, 1)
        ]
        assert baseline[6].startswith(f"{np.mean(difference):+.1f} (")
    (vv_ahead,) = rows_of(text, "VV ahead of VH")
    assert vv_ahead[2] == "+12.30"
    assert vv_ahead[4] in ("agrees", "disagrees", "not decided by these seeds")
    # the same again takes everything from the file, in another number of processes
    printed = run("plot_nine_composites.py", *tiny, "--jobs", 2, strict=False)
    assert "28 of 28 runs are in" in printed
    assert rows_of(printed, "BAA") == rows_of(text, "BAA")


@pytest.mark.slow
def test_random_folds(tmp_path):
    tiny = ["--side", 300, "--epochs", 1, "--folds", 2, "--stride", 5, "--patch-size", 15, "--seeds", 0, 1]
    run("plot_random_folds.py", *tiny, "--jobs", 1, table=tmp_path / "t.md")
    text = page(tmp_path / "t.md", "plot_random_folds.py")
    overlap = {cells[1]: int(cells[4]) for cells in rows_of(text, "BAH")}
    assert overlap["random folds"] > 80
    assert overlap["spatial folds"] == overlap["region held out"] == 0


@pytest.mark.slow
def test_input_size(tmp_path):
    tiny = [*TINY, "--patch-size", 9, "--map-side", 100, "--pairs", 2, "--seeds", 0, 1]
    printed = run("plot_input_size.py", *tiny, "--jobs", 1, table=tmp_path / "t.md")
    assert "engine shared" in printed
    assert "engine window (patches are resampled" in printed
    text = page(tmp_path / "t.md", "plot_input_size.py")
    assert re.search(r"Patches as they are map [\d.]+ times as fast \(median of 2 pairs", text)
    assert [cells[1] for cells in rows_of(text, "BAA")] == ["as they are", "resampled to 32"]


@pytest.mark.slow
def test_patch_size(tmp_path):
    tiny = [*TINY, "--patch-sizes", 7, 11, 15, "--seeds", 0, 1]
    run("plot_patch_size.py", *tiny, "--jobs", 2, table=tmp_path / "t.md", strict=False)
    text = page(tmp_path / "t.md", "plot_patch_size.py")
    assert rows_of(text, "accuracy (%)") == [["accuracy (%)", "7 pixels", "11 pixels", "15 pixels"]]
    assert len(rows_of(text, "BAA")[0]) == 4
    assert re.search(r"- BAA: highest mean at (7|11|15) pixels", text)
