"""List the dependencies, the versions tested and their licences, for docs/reference/dependencies.md.

From the root of the repository, in an environment that holds every extra (``pip install -e ".[dev,benchmarks]"``)::

    python docs/dependencies.py           # fails where the page lists other packages than are installed
    python docs/dependencies.py --write   # renews the page's tables and requirements/newest.txt

What depends on what is asked of the installed packages, beginning with what setup.cfg names; licences and libraries are
those that the packages state and hold.
"""

from __future__ import annotations

import argparse
import configparser
import re
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
PAGE = DOCS / "reference" / "dependencies.md"
OLDEST = ROOT / "requirements" / "oldest.txt"
NEWEST = ROOT / "requirements" / "newest.txt"

# Installed by everyone or by those who use the part; then by those who work on the package.
USED = ("base", "plot", "dask", "xarray", "archives", "onnx")
EXTRAS = (*USED, "tests", "docs", "dev", "benchmarks")

_MADE = re.compile(r"(?P<begin><!-- made: (?P<name>\w+) -->\n).*?(?P<end><!-- end -->)", re.S)
_ROW = re.compile(r"^\| `([^`]+)` \|", re.M)
_LIBRARY = re.compile(r"(?:lib)?(\w+?)[-.]")
# Licences that ask for no more than keeping their text, in the words of those who state them.
_PERMISSIVE = re.compile(
    r"(?:new |0|[23]-clause )?bsd(?:[ -][23]-clause)?|apache(?: software)?|mit(?:-cmu)?|psf-2\.0"
    r"|python software foundation|cc0-1\.0|zlib|public domain",
    re.I,
)
_CONNECTING = re.compile(r"\b(?:and|or|license|version)\b|2\.0|[\s,()-]", re.I)


class NotInstalled(LookupError):
    """A dependency that this environment lacks."""


def direct(extra: str = "base") -> list[Requirement]:
    """What setup.cfg asks for: the base install, or what an extra adds to it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    base = extra == "base"
    lines = config["options"]["install_requires"] if base else config["options.extras_require"][extra]
    return [Requirement(line) for line in lines.splitlines() if line.strip() and not line.startswith("#")]


def lowest(requirement: Requirement) -> str:
    """The lowest version that a requirement admits."""
    return next(one.version for one in requirement.specifier if one.operator == ">=")


def closure(extra: str = "base") -> dict[str, metadata.Distribution]:
    """The installed packages that the base install or an extra asks for, directly or not, by their names."""
    asked = [(one, extra) for one in direct(extra)]
    found: dict[str, metadata.Distribution] = {}
    seen = set()
    while asked:
        requirement, wanted = asked.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": wanted}):
            continue
        name = canonicalize_name(requirement.name)
        for part in ("", *requirement.extras):
            if (name, part) not in seen:
                seen.add((name, part))
                found[name] = _distribution(name)
                asked += [(Requirement(line), part) for line in found[name].requires or ()]
    return dict(sorted(found.items()))


def added(extra: str) -> dict[str, metadata.Distribution]:
    """The packages of an extra that none before it in `EXTRAS` has: what its table lists."""
    before = {name for other in EXTRAS[: EXTRAS.index(extra)] for name in closure(other)}
    return {name: package for name, package in closure(extra).items() if name not in before}


def _distribution(name: str) -> metadata.Distribution:
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        raise NotInstalled(f"{name} is missing. Install every extra: pip install -e '.[dev,benchmarks]'") from None


def licence(package: metadata.Distribution) -> str:
    """The licence as the package states it: an expression, a few words, its classifiers, or the name in its file."""
    about = package.metadata
    stated = about.get("License-Expression") or about.get("License") or ""
    if stated and "\n" not in stated and len(stated) < 60:
        return stated
    classified = (line.split(" :: ") for line in about.get_all("Classifier") or ())
    classes = [words[-1] for words in classified if words[0] == "License" and words[-1] != "OSI Approved"]
    if classes:
        return ", ".join(classes)
    return _licence_of_file(package)


def _licence_of_file(package: metadata.Distribution) -> str:
    for file in package.files or ():
        if re.match(r"licen[cs]e|copying", file.name, re.I):
            named = re.search(r"Apache License, Version 2\.0|MIT License|BSD [23]-Clause License", file.read_text())
            if named:
                return named[0]
    return "not stated"


def is_permissive(stated: str) -> bool:
    """Whether a stated licence names nothing but licences that ask for no more than keeping their text."""
    return bool(stated) and not _CONNECTING.sub("", _PERMISSIVE.sub("", stated))


def libraries(package: metadata.Distribution) -> list[str]:
    """The shared libraries that the package's wheel brings along, by their names without version."""
    files = [file.name for file in package.files or () if file.parent.name.endswith(".libs")]
    return sorted({match[1] for name in files if (match := _LIBRARY.match(name))})


def packages_table(extra: str) -> str:
    """A table of the packages of the base install, or of those that an extra adds."""
    bounds = {canonicalize_name(one.name): lowest(one) for name in EXTRAS for one in direct(name)}
    lines = ["| package | lowest version | version tested | licence |", "| --- | --- | --- | --- |"]
    for name, package in added(extra).items():
        lines.append(f"| `{name}` | {bounds.get(name, '')} | {package.version} | {licence(package)} |")
    return "\n".join(lines)


def libraries_table() -> str:
    """A table of the libraries inside the wheels of the packages that are used."""
    lines = ["| package | libraries in its wheel |", "| --- | --- |"]
    for name, package in sorted({name: p for extra in USED for name, p in closure(extra).items()}.items()):
        if inside := libraries(package):
            lines.append(f"| `{name}` | {', '.join(inside)} |")
    return "\n".join(lines)


def listed(text: str) -> dict[str, list[str]]:
    """The packages that the page lists, by the name of the table."""
    return {table["name"]: _ROW.findall(table[0]) for table in _MADE.finditer(text)}


def renewed(text: str) -> str:
    """The page's text with its tables made anew."""

    def put(table: re.Match) -> str:
        made = libraries_table() if table["name"] == "libraries" else packages_table(table["name"])
        return f"{table['begin']}\n{made}\n\n{table['end']}"

    return _MADE.sub(put, text)


def pins(extras: Iterable[str]) -> str:
    """A constraints file of the versions that are installed."""
    found = {name: package for extra in extras for name, package in closure(extra).items()}
    lines = [f"{name}=={Version(package.version).public}" for name, package in sorted(found.items())]
    head = "# Versions that were tested together, on Python {}.{}. Written by docs/dependencies.py --write."
    return "\n".join([head.format(*sys.version_info), *lines]) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="renew the page and requirements/newest.txt")
    options = parser.parse_args()
    text = PAGE.read_text()
    new = renewed(text)
    if options.write:
        PAGE.write_text(new)
        NEWEST.write_text(pins(EXTRAS))
    elif listed(text) != listed(new):
        print(f"{PAGE.relative_to(ROOT)} lists other packages than are installed: python docs/dependencies.py --write")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
