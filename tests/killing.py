"""A script that makes maps in child processes and kills them, for test_restart.py: folder, number of kills, n_jobs."""

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import numpy as np
from scenes import WeightedSum, random_scene
from sklearn.pipeline import make_pipeline

from sklandslide import BandStacker, Locations, PatchSampler, SlidingWindowPredictor


def make(path, n_jobs):
    scene = random_scene((1000, 1094), holes=20)
    centres = Locations(scene, scene.grid.xy(np.arange(20.0) * 9 + 99, np.arange(20.0) * 9 + 99))
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(patch_size=6), WeightedSum())
    pipe.fit(centres, np.arange(20) % 2)
    SlidingWindowPredictor(pipe, step=2, n_jobs=n_jobs).predict_map(scene, path, overwrite=True)


def child(path, n_jobs):
    """Start a process that makes the map."""
    number = os.fork()
    if number == 0:
        code = 1
        try:
            make(path, n_jobs)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return number


def main(folder, kills, n_jobs):
    from sklandslide.mapping import tiles

    tiles._LARGEST = 64  # some seventy tiles
    path, whole = Path(folder) / "map.tif", Path(folder) / "whole.tif"
    os.waitpid(child(whole, n_jobs), 0)
    expected = whole.read_bytes()
    random, resumed = np.random.default_rng(0), 0
    journal = Path(folder) / ".map.tif.journal"
    for kill in range(kills):
        number = child(path, n_jobs)
        # at a random moment: when some share of the tiles is finished (or none, or the map whole), and a bit later
        share = random.uniform(-0.1, 1.1) * 545 * 498 * 4
        while not path.exists() and (journal.stat().st_size if journal.exists() else 0) < share:
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.02))
        os.kill(number, signal.SIGKILL)
        os.waitpid(number, 0)
        found = set(os.listdir(folder))
        if "map.tif" in found:
            assert path.read_bytes() == expected, f"kill {kill}: a wrong map under its name"
        before = journal.stat().st_size if journal.exists() else 0
        resumed += before > 64 * 64 * 4
        _, status = os.waitpid(child(path, n_jobs), 0)
        assert status == 0, f"kill {kill}: could not go on (status {status}), found {found}"
        assert path.read_bytes() == expected, f"kill {kill}: other bytes"
        assert set(os.listdir(folder)) == {"map.tif", "whole.tif"}, os.listdir(folder)
        path.unlink()
    print(f"{kills} kills, {resumed} of them with finished tiles to go on from, every map byte-identical")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
