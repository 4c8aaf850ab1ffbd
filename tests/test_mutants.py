"""The list of mutants fits the sources and the tests, and the runner tells caught from survived.

The whole run, which takes minutes, is ``python tests/mutants.py``; docs/reference/mutants.md shows what it printed.
"""

import ast
import re

import pytest
from mutants import COPIED, MUTANTS, PAGE, ROOT, Mutant, main

# What the acceptance of the project names; each must stand for mutants here.
ROOMS = ("geodata/", "sampling/", "mapping/", "persistence/")


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
def test_a_mutant_is_one_change_to_a_file_that_there_is(mutant):
    mutant.applied((ROOT / "sklandslide" / mutant.file).read_text())


def test_names_and_changes_are_different():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
    assert len({(mutant.file, mutant.text, mutant.replacement) for mutant in MUTANTS}) == len(MUTANTS)
    assert all(re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", mutant.name) for mutant in MUTANTS)


def test_every_room_has_mutants():
    for room in ROOMS:
        assert sum(mutant.file.startswith(tuple(room.split())) for mutant in MUTANTS) >= 4, room


def test_the_tests_named_are_there():
    """By name; that parametrised ones exist the run itself tells."""
    known = {}
    for test in sorted({test for mutant in MUTANTS for test in mutant.selection}):
        file, *names = test.split("[")[0].split("::")
        if file not in known:
            tree = ast.parse((ROOT / file).read_text())
            known[file] = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
        assert set(names) <= known[file], test


def test_the_documented_table_is_of_these_mutants():
    rows = re.findall(r"^\| ([a-z0-9-]+) \| `([a-z_/]+\.py)` \| (.*?) \| [0-9.]+ \|$", PAGE.read_text(), re.M)
    assert [(name, file) for name, file, _ in rows] == [(mutant.name, mutant.file) for mutant in MUTANTS]
    assert not [name for name, _, caught in rows if not caught.startswith("`tests/")]


def test_the_runner_tells_caught_from_survived_and_leaves_the_sources_alone(capsys):
    before = {path: path.read_bytes() for path in (ROOT / COPIED[0]).glob("*.py")}
    some = {mutant.name: mutant for mutant in MUTANTS}
    tests = "geodata/test_terrain.py::test_slope_is_horns"
    seen, unseen = (some[name]._replace(tests=tests) for name in ("horns-weights", "dates-swapped"))
    assert main([], [seen, unseen]) == 1
    printed = capsys.readouterr().out
    assert "horns-weights | `geodata/terrain.py` | `tests/geodata/test_terrain.py::test_slope_is_horns" in printed
    assert "dates-swapped | `composites.py` | **SURVIVED** |" in printed
    assert "1 of 2 mutants are caught" in printed
    assert {path: path.read_bytes() for path in (ROOT / COPIED[0]).glob("*.py")} == before


def test_what_proves_nothing_is_an_error(capsys):
    mutant = Mutant("nothing", "geodata/terrain.py", "_horn(z.T).T", "_horn(z)", "geodata/test_terrain.py::test_none")
    assert main([], [mutant]) == 1
    assert "status 4" in capsys.readouterr().out
    with pytest.raises(ValueError, match="it must stand once"):
        main([], [mutant._replace(text="there is no such text")])
