"""A script that makes maps in child processes and ends them, for test_restart.py: folder, number of ends, n_jobs.

A third of the ends come when some share of the tiles is finished, a third around the moments at which the map is put
together and gets its name, a third at any time at all. Most are SIGKILL; some, as from a keyboard or a system that
shuts down, SIGINT and SIGTERM.
"""

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
from sklandslide.mapping import tiles, unfinished, writer

SIGNALS = [signal.SIGKILL, signal.SIGKILL, signal.SIGKILL, signal.SIGINT, signal.SIGTERM]
# Seconds to wait for a moment: a process that has failed never comes to it, and its error is printed.
LONGEST = 120
TILES = 72


def make(path, n_jobs):
    scene = random_scene((500, 547), seed=1, holes=20)
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
            signal.signal(signal.SIGINT, signal.default_int_handler)
            make(path, n_jobs)
            code = 0
        except KeyboardInterrupt:
            code = 2
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(code)
    return number


def finished(folder):
    """How many tiles are finished."""
    try:
        return sum(name.endswith(".tile") for name in os.listdir(folder / ".map.tif.tiles"))
    except FileNotFoundError:
        return 0


def moment(kill, random, folder, started, takes):
    """Wait for the moment of a kill."""
    path = folder / "map.tif"

    def wait(reached, longest=LONGEST):
        while not path.exists() and not reached() and time.monotonic() < started + longest:
            time.sleep(0.0005)

    if kill % 3 == 0:  # when some share of the tiles is finished (or none, or the map whole), and a bit later
        share = random.uniform(-0.1, 1.1) * TILES
        wait(lambda: finished(folder) >= share)
        time.sleep(random.uniform(0, 0.02))
    elif kill % 3 == 1:  # from when all tiles are finished until they are removed
        wait(lambda: finished(folder) == TILES)
        if kill % 2:
            time.sleep(random.uniform(0, 0.06))
        else:  # just when the map gets its name
            wait(lambda: False, longest=takes + 10)
    else:
        time.sleep(max(0.0, started + random.uniform(0, 1.1) * takes - time.monotonic()))


def check_left(folder, expected, kill):
    """What an ended process left: no map or the whole one."""
    found = set(os.listdir(folder)) - {"whole.qml", "whole.tif"}
    assert found <= {"map.qml", "map.tif", ".map.tif.tiles"}, found
    if "map.tif" in found:
        assert (folder / "map.tif").read_bytes() == expected, f"kill {kill}: a wrong map under its name"
    unfinished_map = any(path.suffix == ".part" for path in folder.glob(".map.tif.tiles/*"))
    return sorted(found) + ["a file half written"] * unfinished_map


def main(folder, kills, n_jobs):
    tiles._LARGEST, writer.BLOCK, unfinished.BLOCK = 32, 64, 64
    folder = Path(folder)
    path, whole = folder / "map.tif", folder / "whole.tif"
    started = time.monotonic()
    os.waitpid(child(whole, n_jobs), 0)
    takes, expected = time.monotonic() - started, whole.read_bytes()
    random, resumed, lefts = np.random.default_rng(0), 0, []
    for kill in range(kills):
        started, number = time.monotonic(), child(path, n_jobs)
        how = SIGNALS[kill % len(SIGNALS)]
        moment(kill, random, folder, started, takes)
        os.kill(number, how)
        os.waitpid(number, 0)
        left = check_left(folder, expected, kill)
        lefts.append(", ".join(left) or "nothing")
        resumed += finished(folder) > 0
        _, status = os.waitpid(child(path, n_jobs), 0)
        assert status == 0, f"kill {kill}: could not go on (status {status}), found {left}"
        assert path.read_bytes() == expected, f"kill {kill}: other bytes"
        assert set(os.listdir(folder)) == {"map.qml", "map.tif", "whole.qml", "whole.tif"}, os.listdir(folder)
        path.unlink()
        path.with_suffix(".qml").unlink()
    print(f"{kills} kills, {resumed} of them with finished tiles to go on from, every map byte-identical")
    for left in sorted(set(lefts)):
        print(f"left behind {lefts.count(left)} times: {left}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
