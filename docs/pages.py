"""Run the code of the documentation's pages, and renew the outputs and pictures that they show.

From the root of the repository::

    python docs/pages.py                              # runs the code of all pages; fails where one fails
    python docs/pages.py --write                      # and renews their outputs and pictures
    python docs/pages.py --write docs/tutorial/*.md   # of these pages
    python docs/pages.py --keep FOLDER docs/how_to/qgis.md  # keeps the files that the code makes

A page's ``python`` and ``bash`` blocks run in order, in a folder of the page's own that holds what `page_files`
makes for it. A ``text`` block that follows directly on one is what it prints. A picture of the page is renewed when the
code leaves a file of the same name in its folder.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DOCS = Path(__file__).resolve().parent
ROOT = DOCS.parent
IMAGES = DOCS / "images"

_FENCE = re.compile(r"^```(?P<language>[a-z]+)(?P<note>[^\n`{]*)\n(?P<code>.*?)^```$", re.M | re.S)
_PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
_RESULT = re.compile(r"^<!-- show: (\S+)(?: (.+))? -->$", re.M)
_HEADING = re.compile(r"^(#+) ", re.M)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page, and the ``text`` block that follows on it, if one does."""

    language: str
    note: str
    code: str
    line: int
    shown: re.Match | None = None


def code_pages() -> list[Path]:
    """The pages that have code of their own to run."""
    written = [
        page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts and "results" not in page.parts
    ]
    return [page for page in written if any(runs(page, block) for block in blocks_of(page.read_text()))]


def blocks_of(text: str) -> list[Block]:
    """Every fenced block; ``text`` blocks that are an output belong to the block before."""
    fences = list(_FENCE.finditer(text))
    blocks, taken = [], set()
    for i, fence in enumerate(fences):
        if i in taken:
            continue
        shown = None
        if fence["language"] in ("python", "bash") and i + 1 < len(fences):
            after = fences[i + 1]
            if after["language"] == "text" and not text[fence.end() : after.start()].strip():
                shown = after
                taken.add(i + 1)
        line = text.count("\n", 0, fence.start()) + 2
        blocks.append(Block(fence["language"], fence["note"].strip(), fence["code"], line, shown))
    return blocks


def runs(page: Path, block: Block) -> bool:
    """Whether a block is code that can run here."""
    from page_files import not_run

    return block.language in ("python", "bash") and "notest" not in block.note and not_run(page, block.code) is None


def run_page(page: Path, folder: Path) -> dict[int, str]:
    """Run a page's code in a folder.

    Returns
    -------
    dict of int to str
        What each block printed, by the block's line.
    """
    from page_files import prepare

    names: dict = {"__name__": f"page_{page.stem}"}
    printed = {}
    with _tidy(folder):
        prepare(page, folder)
        for block in blocks_of(page.read_text()):
            if runs(page, block):
                run = _run_python if block.language == "python" else _run_bash
                printed[block.line] = run(block, page, names)
    return printed


def _run_python(block: Block, page: Path, names: dict) -> str:
    out = io.StringIO()
    code = "\n" * (block.line - 1) + block.code  # so that a traceback names the page's line
    with contextlib.redirect_stdout(out):
        exec(compile(code, str(page), "exec"), names)
    return out.getvalue()


def _run_bash(block: Block, page: Path, names: dict) -> str:
    place = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": place, "TF_CPP_MIN_LOG_LEVEL": "3", "MPLBACKEND": "Agg"}
    command = ["bash", "-euc", block.code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{page}, line {block.line}: {block.code}\n{done.stdout}{done.stderr}")
    return done.stdout


@contextlib.contextmanager
def _tidy(folder: Path) -> Iterator[None]:
    """In a folder; and what the code leaves open or changes for the whole process is taken back."""
    before, root = Path.cwd(), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)
        root.handlers[:] = handlers
        root.setLevel(level)
        if "matplotlib.pyplot" in sys.modules:
            sys.modules["matplotlib.pyplot"].close("all")


def masked(text: str) -> str:
    """A printed text without what may differ between machines and runs: numbers, and the room that they take."""
    text = re.sub(r"\d+(?:[.,]\d+)*(?:e[+-]?\d+)?", "0", text)
    text = re.sub(r"(?<![\w.])-0", "0", text)
    return "\n".join(" ".join(line.split()) for line in text.strip().splitlines() if set(line.strip()) - {"-", " "})


def renew(page: Path, folder: Path, printed: dict[int, str]) -> None:
    """Write what the code printed, and the pictures that it made, into the page."""
    text = page.read_text()
    for block in reversed(blocks_of(text)):
        if block.shown is not None and block.line in printed:
            start, end = block.shown.span("code")
            lines = printed[block.line].rstrip().splitlines()
            text = text[:start] + "".join(line.rstrip() + "\n" for line in lines) + text[end:]
    page.write_text(text)
    for link in _PICTURE.findall(text):
        made = folder / Path(link).name
        if made.exists():
            save_picture(made, (page.parent / link).resolve())


def save_picture(made: Path, place: Path) -> None:
    """Keep a picture small: a palette of 256 colours, at most 1,400 pixels wide."""
    from PIL import Image

    with Image.open(made) as picture:
        small = picture.convert("RGB")
        if small.width > 1400:
            small = small.resize((1400, round(small.height * 1400 / small.width)), Image.LANCZOS)
        small = small.quantize(256, dither=Image.Dither.NONE if small.width < 200 else Image.Dither.FLOYDSTEINBERG)
        small.save(place, optimize=True)


def with_results(text: str, folder: Path) -> str:
    """Put the results that there are in place of their marks; see ``_with_results`` in ``conf.py``."""
    there = sorted(path.name for path in folder.glob("*.md"))

    def put(mark: re.Match) -> str:
        name, words = mark.groups()
        if name == "list":
            lines = "\n".join(f"/results/{Path(result).stem}" for result in there)
            return f"```{{toctree}}\n:maxdepth: 1\n\n{lines}\n```" if there else "None has been run in this copy."
        if name.endswith(".png"):
            return f"![{words}](/images/{name})\n\n*{words}*" if (folder.parent / "images" / name).exists() else ""
        return _lowered(titled((folder / name).read_text(), name)) if name in there else ""

    return _RESULT.sub(put, text)


def titled(text: str, name: str) -> str:
    """A result with a heading: its own, or the name of its file and the command that wrote it."""
    if _HEADING.search(text):
        return text
    first, _, rest = text.partition("\n")
    command = first.removeprefix("<!--").removesuffix("-->").strip()
    return f"{first}\n\n# {Path(name).stem.replace('_', ' ').capitalize()}\n\nWritten by `{command}`.\n{rest}"


def _lowered(text: str) -> str:
    """A text with its headings a level lower, as a part of another page."""
    highest = min((len(mark[1]) for mark in _HEADING.finditer(text)), default=2)
    return _HEADING.sub(lambda mark: "#" * (len(mark[1]) - highest + 2) + " ", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pages", nargs="*", type=Path, help="all by default")
    parser.add_argument("--write", action="store_true", help="renew outputs and pictures")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="run the page in this folder, and leave it")
    options = parser.parse_args()
    if options.keep is not None and len(options.pages) != 1:
        parser.error("--keep FOLDER goes with one page")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["MPLBACKEND"] = "Agg"
    for page in [page.resolve() for page in options.pages] or code_pages():
        start = time.perf_counter()
        folder = options.keep.resolve() if options.keep else Path(tempfile.mkdtemp(prefix="page-"))
        folder.mkdir(exist_ok=True)
        try:
            printed = run_page(page, folder)
            if options.write:
                renew(page, folder, printed)
        finally:
            if not options.keep:
                shutil.rmtree(folder)
        print(f"{page.relative_to(ROOT)}: {len(printed)} blocks ran in {time.perf_counter() - start:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
