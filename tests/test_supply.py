"""What the package is built on: versions, licences, imports, and no network."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "docs"))
import dependencies  # noqa: E402

NETWORK = {"urllib", "urllib3", "requests", "http", "socket", "socketserver", "ssl", "ftplib", "smtplib", "xmlrpc"}
NETWORK |= {"asyncio", "fsspec", "httpx", "aiohttp", "pooch", "webbrowser"}


def pins(name):
    """Versions of a constraints file, by package."""
    lines = (ROOT / "requirements" / name).read_text().splitlines()
    found = [Requirement(line) for line in lines if not line.startswith("#")]
    assert len({one.name for one in found}) == len(found)
    exact = {canonicalize_name(one.name): [(s.operator, Version(s.version)) for s in one.specifier] for one in found}
    assert {operator for ((operator, _),) in exact.values()} == {"=="}
    return {package: version for package, ((_, version),) in exact.items()}


def used():
    """The direct dependencies that users install, extras included, by package."""
    asked = [one for extra in dependencies.USED for one in dependencies.direct(extra)]
    return {canonicalize_name(one.name): one for one in asked}


def imports(*folders):
    """Modules from elsewhere that the files of folders import, anywhere in a file."""
    own = {path.stem for folder in ("tests", "docs", "examples", "benchmarks") for path in (ROOT / folder).glob("*.py")}
    found = set()
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {module for module in found if module.split(".")[0] not in {*own, "sklandslide"}}


def distributions(modules):
    """The packages that provide modules."""
    providers = metadata.packages_distributions()
    found = set()
    for module in modules:
        top = module.split(".")[0]
        if top in sys.stdlib_module_names:
            continue
        several = {canonicalize_name(name) for name in providers[top]}
        one = "-".join(module.split(".")[:2])  # odc is a name for several packages, and pystac for one and its parts
        found |= several if len(several) == 1 else {one if one in several else top}
    return found


def test_oldest_versions_are_the_lower_bounds():
    asked = used()
    assert pins("oldest.txt") == {name: Version(dependencies.lowest(one)) for name, one in asked.items()}


def test_newest_versions_are_admitted():
    newest, oldest = pins("newest.txt"), pins("oldest.txt")
    for extra in dependencies.EXTRAS:
        for one in dependencies.direct(extra):
            assert one.specifier.contains(newest[canonicalize_name(one.name)]), one
    assert all(newest[name] >= version for name, version in oldest.items())


def test_what_the_package_imports_is_declared():
    """And nothing else is, but for what joblib loads by its name."""
    assert distributions(imports("sklandslide")) == set(used()) - {"distributed"}


def test_what_the_tests_import_is_declared():
    declared = {canonicalize_name(one.name) for one in dependencies.direct("tests")} | set(used())
    assert distributions(imports("tests")) <= declared


def test_page_lists_the_installed_packages():
    """If not: ``python docs/dependencies.py --write``, and look at the licences of what is new."""
    if sys.version_info[:2] != (3, 11):
        pytest.skip("the page is made on Python 3.11; what others need differs")
    page = dependencies.listed(dependencies.PAGE.read_text())
    assert list(page) == [*dependencies.EXTRAS, "libraries"]
    compared = []
    for extra in dependencies.EXTRAS:
        try:
            installed = list(dependencies.added(extra))
        except dependencies.NotInstalled:
            continue
        assert page[extra] == installed
        compared.append(extra)
    assert {*dependencies.USED, "tests"} <= set(compared)
    assert set(pins("newest.txt")) == {name for extra in dependencies.EXTRAS for name in page[extra]}


def test_page_speaks_of_each_licence_that_is_not_permissive():
    text = dependencies.PAGE.read_text()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if line[:3] == "| `"]
    licences = {row[0]: row[3] for row in rows if len(row) == 4}
    words = re.search(r"^## Not only permissive\n(.*?)\nBinary wheels", text, re.M | re.S)[1]
    others = {name for name in licences if not dependencies.is_permissive(licences[name])}
    assert others == set(re.findall(r"`([^`]+)`", words))
    assert others >= {"certifi", "tqdm"}


@pytest.mark.parametrize(
    ("stated", "permissive"),
    [
        ("BSD-3-Clause AND 0BSD AND MIT AND Zlib AND CC0-1.0", True),
        ("3-Clause BSD License", True),
        ("Apache License, Version 2.0", True),
        ("Apache-2.0 OR BSD-2-Clause", True),
        ("MPL-2.0 AND MIT", False),
        ("GNU Lesser General Public License v2.1", False),
        ("BSD License, GNU General Public License (GPL)", False),
        ("LicenseRef-Proprietary", False),
        ("Apache-2.0 WITH LLVM-exception", False),
        ("not stated", False),
        ("", False),
    ],
)
def test_permissive_licences_are_told_from_others(stated, permissive):
    assert dependencies.is_permissive(stated) == permissive


def test_no_module_imports_a_network_library():
    asked = imports("sklandslide") - {"urllib.parse", "urllib.parse.quote"}  # of text, not of the network
    assert {module for module in asked if module.split(".")[0] in NETWORK} == set() != asked


def can_be_without_interfaces():
    command = ["unshare", "--map-root-user", "--net", "true"]
    return shutil.which("unshare") and not subprocess.run(command, capture_output=True, check=False).returncode


@pytest.mark.slow
@pytest.mark.parametrize("how", ["refused", "no interface"])
def test_the_network_is_left_alone(tmp_path, how):
    program = [sys.executable, Path(__file__).parent / "no_network.py", tmp_path]
    if how == "refused":
        program.append("refuse")
    elif can_be_without_interfaces():
        program = ["unshare", "--map-root-user", "--net", *program]
    else:
        pytest.skip("this system does not let a process be put into a namespace without network interfaces")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(program, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found == {
        "during": [],
        "reached outside": False,
        "refused": ["192.0.2.1"] if how == "refused" else [],  # the program's own try, which shows that refusing works
    }
    assert {path.name for path in tmp_path.iterdir()} >= {"map.tif", "map.png", "model.skops", "landslides.gpkg"}
