"""The documentation's code runs as it stands, prints what it says, and its links lead somewhere."""

import importlib
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from urllib.parse import urldefrag

import pytest

import sklandslide

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
import page_files  # noqa: E402
import pages  # noqa: E402

BUILT = {"_build", "gallery", "generated"}
PAGES = [path for path in sorted(DOCS.rglob("*.md")) if not BUILT & set(path.parts)]
WRITTEN = [*PAGES, ROOT / "README.md", ROOT / "CHANGELOG.md"]
RESULTS = [path for path in PAGES if path.parent.name == "results"]
# What stands in blocks of other languages, and why no test runs it.
SHOWN_ONLY = {"javascript": "needs an account of Google Earth Engine", "xml": "needs ESA SNAP; parsed below"}


def relative(path):
    return path.relative_to(ROOT).as_posix()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sklandslide.exceptions.SamplingWarning")  # of polygons at a scene's edge
@pytest.mark.filterwarnings("ignore:Use `@` matmul:PendingDeprecationWarning")  # rasterio.merge with affine 3
@pytest.mark.parametrize("page", pages.code_pages(), ids=relative)
def test_code_runs_and_prints_what_the_page_says(page, tmp_path):
    """Numbers may differ between machines; everything else is compared.

    If a page is to print something else: ``python docs/pages.py --write docs/PAGE.md``.
    """
    printed = pages.run_page(page, tmp_path)
    blocks = [block for block in pages.blocks_of(page.read_text()) if block.line in printed]
    assert blocks
    for block in blocks:
        shown = block.shown["code"] if block.shown else ""
        if block.language == "python" or block.shown:
            assert pages.masked(printed[block.line]) == pages.masked(shown), f"{relative(page)}, line {block.line}"
    shown = {Path(link).name for link in pages._PICTURE.findall(page.read_text())}
    assert {picture.name for picture in tmp_path.glob("*.png")} <= shown, "the page does not show what its code draws"


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=relative)
def test_each_block_is_run_or_has_a_reason(page):
    for block in pages.blocks_of(page.read_text()):
        if block.language in ("python", "bash"):
            covered = page.name == "README.md" or pages.runs(page, block)  # tests/test_examples.py runs the README's
            assert covered or page_files.not_run(page, block.code), f"line {block.line}"
        else:
            assert block.language in {"text", *SHOWN_ONLY}, f"line {block.line}: {block.language}"
        if block.language == "xml":
            ElementTree.fromstring(block.code)


@pytest.mark.parametrize("page", WRITTEN, ids=relative)
def test_links_and_pictures_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    links = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)", text) + re.findall(r"\{download\}`[^<`]*<([^>]+)>`", text)
    for example in re.findall(r"\{doc\}`[^`]*/gallery/(\w+)>?`", text):
        assert (ROOT / "examples" / f"{example}.py").is_file(), example
    for link in links:
        target, anchor = urldefrag(link)
        if target.startswith(("http://", "https://")) or target == "../gallery/index.rst":  # the gallery is built
            continue
        place = (page.parent / target).resolve() if target else page
        assert place.exists(), link
        if anchor:
            headings = re.findall(r"^#+ (.+)$", place.read_text(), re.M)
            assert anchor in {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in headings}, link


def test_every_picture_is_shown():
    shown = {Path(link).name for page in WRITTEN for link in pages._PICTURE.findall(page.read_text())}
    shown |= {name for page in WRITTEN for name, _ in pages._RESULT.findall(page.read_text())}
    assert {path.name for path in (DOCS / "images").iterdir()} <= shown


def test_each_program_that_the_gallery_does_not_run_has_a_picture_of_its_own():
    """Made by ``python docs/make_thumbnails.py``, or shown by a page."""
    programs = [path for path in (ROOT / "examples").glob("*.py") if not path.name.startswith("plot_")]
    named = [re.findall(r"^# sphinx_gallery_thumbnail_path = '(.+)'$", path.read_text(), re.M) for path in programs]
    pictures = [DOCS / name for (name,) in named]
    assert len(set(pictures)) == len(programs)
    assert [path for path in pictures if not path.is_file()] == []


@pytest.mark.parametrize("page", RESULTS or [None], ids=lambda page: relative(page) if page else "none")
def test_results_name_the_command_that_wrote_them(page):
    if page is None:
        pytest.skip("docs/results holds no page")
    first = page.read_text().splitlines()[0]
    command = re.search(r"python ((?:examples|benchmarks|docs)/\w+\.py)", first)
    assert command, f"{first!r} names no command"
    assert (ROOT / command[1]).is_file()


def test_pages_that_show_results_name_files_that_commands_write():
    """A mark in a page with a name that nothing writes would never show anything."""
    names = {name for page in PAGES for name, _ in pages._RESULT.findall(page.read_text()) if name.endswith(".md")}
    sources = "".join(
        path.read_text() for folder in ("examples", "benchmarks") for path in (ROOT / folder).glob("*.py")
    )
    assert [name for name in sorted(names) if f"docs/results/{name}" not in sources] == []


def test_results_are_put_into_pages(tmp_path):
    text = "# Page\n\n<!-- show: one.md -->\n\n<!-- show: two.md -->\n\n<!-- show: list -->\n"
    (tmp_path / "one.md").write_text("<!-- python examples/a.py -->\n\n# One\n\n## Part\n")
    put = pages.with_results(text, tmp_path)
    assert "## One" in put
    assert "### Part" in put
    assert "show:" not in put
    assert "/results/one" in put
    (tmp_path / "one.md").write_text("<!-- python examples/a.py -->\n\n| a |\n| - |\n")
    assert "## One" in pages.with_results(text, tmp_path)


def test_api_page_has_every_public_name():
    page = (DOCS / "reference" / "api.rst").read_text()
    listed = set(re.findall(r"^ {3}([\w.]+)$", page, re.M)) | set(re.findall(r"^\.\. py:data:: ([\w.]+)$", page, re.M))
    wanted = {name for name in sklandslide.__all__ if not name.startswith("__")}
    for module in ("metrics", "datasets", "exceptions"):
        names = importlib.import_module(f"sklandslide.{module}").__all__
        wanted |= {f"{module}.{name}" for name in names if not hasattr(sklandslide, name)}
    assert wanted - listed == set()


def test_numbers_are_masked_and_words_are_not():
    assert pages.masked("AUC 0.91, 12,345 windows\n 3 left") == pages.masked("AUC 0.7, 6 windows\n   10 left")
    assert pages.masked("shared - None") != pages.masked("window - None")
