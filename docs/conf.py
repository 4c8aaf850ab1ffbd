"""How Sphinx builds the documentation.

From the root of the repository: ``python -m sphinx -W --keep-going -b html docs docs/_build/html``. Nothing is fetched,
neither when the pages are built nor when they are read.
"""

import os
import sys
from importlib import import_module, metadata
from pathlib import Path
from types import FunctionType

from docutils import nodes
from sphinx import addnodes

DOCS = Path(__file__).resolve().parent
sys.path.insert(0, str(DOCS))  # for `pages`, below
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # of the gallery's scripts


project = "sklandslide"
author = "the sklandslide developers"
copyright = author
release = version = metadata.version("sklandslide")

extensions = [
    "myst_parser",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:class", r".*"),  # base classes of others; types in docstrings are words, not links
    ("py:obj", r"[a-z_]+"),  # what numpydoc makes of attributes that are properties
]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
# Results are written by commands, each with headings as it likes.
suppress_warnings = ["myst.header"]

autosummary_generate = True
autodoc_typehints = "none"
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False
numpydoc_xref_param_type = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/plot_",  # these are run; the others are shown
    "backreferences_dir": "gallery/backreferences",
    "doc_module": ("sklandslide",),
    "reference_url": {"sklandslide": None},
    "inspect_global_variables": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "within_subsection_order": "gallery_order.Key",
    "plot_gallery": "True",
    "download_all_examples": False,
    "write_computation_times": False,
    "default_thumb_file": str(DOCS / "_static" / "program.png"),
    "image_scrapers": ("matplotlib",),
}

html_theme = "pydata_sphinx_theme"
html_title = "sklandslide"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/favicon.png"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "sklandslide"},
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "show_prev_next": True,
    "header_links_before_dropdown": 6,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_context = {"default_mode": "auto"}
html_math_renderer = "mathml"  # by the browser itself: no script, no fonts from elsewhere
html_sidebars = {"index": [], "changelog": []}
copybutton_exclude = ".linenos, .gp, .go"


def _own_methods(thing):
    """Names of a class's methods that this package defines, in the order of the source."""
    own = (c for c in reversed(thing.__mro__) if c.__module__.startswith("sklandslide"))
    kinds = (FunctionType, classmethod, staticmethod)
    found = [m for c in own for m, value in vars(c).items() if isinstance(value, kinds) and not m.startswith("_")]
    return list(dict.fromkeys(found))


autosummary_context = {
    "own_methods": {
        f"{module}.{name}": _own_methods(thing)
        for module in ("sklandslide", "sklandslide.sampling", "sklandslide.geodata")
        for name in import_module(module).__all__
        if isinstance(thing := getattr(import_module(module), name), type)
    }
}
PUBLIC = {
    name: f"{module}.{name}"
    for module in ("sklandslide.exceptions", "sklandslide.metrics", "sklandslide.plots", "sklandslide")
    for name in import_module(module).__all__
    if not name.startswith("_")
}


def _single_backticks(name, rawtext, text, lineno, inliner, options=None, content=None):
    """`Scene` in a docstring is a link where it is a public name, and code where it is a parameter or a value."""
    parent, _, member = text.removesuffix("()").partition(".")
    target = PUBLIC.get(parent)
    if target:
        reference = addnodes.pending_xref(
            rawtext,
            nodes.literal(text, text, classes=["xref", "py"]),
            refdomain="py",
            reftype="obj",
            reftarget=f"{target}.{member}" if member else target,
            refwarn=False,
        )
        return [reference], []
    return [nodes.literal(rawtext, text)], []


def _with_results(app, docname, source):
    """Put the results of long runs into the pages that show them; what was not run yet leaves no hole.

    A line ``<!-- show: NAME.md -->`` becomes the text of ``docs/results/NAME.md``, ``<!-- show: list -->`` the list of
    all of them, and ``<!-- show: NAME.png WORDS -->`` the picture in ``docs/images``.
    """
    import pages

    if docname.startswith("results/"):
        source[0] = pages.titled(source[0], docname)
    source[0] = pages.with_results(source[0], DOCS / "results")


def _without_private_constructor(app, what, name, thing, options, signature, returns):
    """Scenes and maps are made by their class methods."""
    return ("", None) if name in ("sklandslide.Scene", "sklandslide.LandslideMap") else None


def _inline_math(writer, node):
    _mathml(writer, node, as_block=False)


def _block_math(writer, node):
    _mathml(writer, node, as_block=True)


def _mathml(writer, node, as_block):
    from docutils.utils.math.latex2mathml import tex2mathml

    writer.body.append(tex2mathml(node.astext(), as_block=as_block))
    raise nodes.SkipNode


def setup(app):
    """Connect what is above."""
    from docutils.parsers.rst import roles

    app.add_html_math_renderer("mathml", inline_renderers=(_inline_math, None), block_renderers=(_block_math, None))
    roles.register_local_role("sklandslide", _single_backticks)
    app.connect("source-read", _with_results)
    app.connect("autodoc-process-signature", _without_private_constructor)


default_role = "sklandslide"
