"""The page of input faults: each row names a test that exists, once."""

import re
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
PAGE = (REFERENCE / "input_faults.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("|") and not line.startswith(("| fault", "| ---"))
]


@cache
def names_in(path):
    """Names of the test functions of a file, those of classes as Class::name."""
    found, group = set(), ""
    for indent, kind, name in re.findall(r"^(    )?(class|def) (\w+)", (ROOT / path).read_text(), re.M):
        if kind == "class":
            group = name
        elif name.startswith("test_"):
            found.add(f"{group}::{name}" if indent else name)
    return found


def test_each_row_names_a_test_that_exists():
    for row in ROWS:
        assert len(row) == 3, row
        named = re.fullmatch(r"`(tests/(?:\w+/)?test_\w+\.py)::([\w:]+)`", row[2])
        assert named, row
        assert (ROOT / named[1]).is_file(), row
        assert named[2] in names_in(named[1]), row
        assert row[0] and row[1], row


def test_each_fault_is_listed_once_and_there_are_many():
    faults = [row[0] for row in ROWS]
    assert len(set(faults)) == len(faults) >= 60


def test_each_section_has_faults():
    for section in PAGE.split("\n## ")[1:]:
        assert section.count("`tests/") >= 5, section.splitlines()[0]


def test_the_page_is_in_the_reference():
    index = (REFERENCE / "index.md").read_text()
    assert "(input_faults.md)" in index
    assert re.search(r"^input_faults$", index, re.M)
