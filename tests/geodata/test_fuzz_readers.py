"""A thousand damaged files, in a process with little memory: read or refused, and nothing else."""

import re
import subprocess
import sys
from pathlib import Path

FUZZER = Path(__file__).parents[1].joinpath("fuzz_readers.py")


def test_a_thousand_damaged_files_are_read_or_refused():
    """A crash, a standstill or too much memory ends the other process, not this one."""
    command = [sys.executable, "-X", "faulthandler", str(FUZZER), "--cases", "1000", "--seed", "7"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=400, errors="replace")
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-1500:]}"
    outcome = re.search(r"1000 cases: \{'read': (\d+), 'refused': (\d+)\}, 0 failures", done.stdout)
    assert outcome, done.stdout
    assert min(map(int, outcome.groups())) > 75  # neither harmless nor hopeless


def test_the_fuzzer_finds_what_it_looks_for():
    """Another error and too much memory are failures."""
    code = """
import sys, time
sys.path.insert(0, sys.argv[1])
import fuzz_readers

kinds, calls = fuzz_readers.rasters, []
fuzz_readers.rasters = lambda folder: list(kinds(folder))[:1]
fuzz_readers.inventories = lambda folder: []
fuzz_readers.seeds_of_maps = lambda seeds: []

def read_scene(path):
    calls.append(path)
    if len(calls) == 2:  # the first call reads the file before it is damaged
        raise ValueError("raw")
    if len(calls) == 3:
        bytearray(2**30)

fuzz_readers.read_scene, fuzz_readers.SECONDS = read_scene, 1
print(len(fuzz_readers.main(3, 0)[1]))
"""
    command = [sys.executable, "-c", code, str(FUZZER.parent)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "2", done.stdout + done.stderr
