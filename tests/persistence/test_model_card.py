"""model_card: what it tells, and that nothing in a model's names becomes markup."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from kept_models import STORED, samples, table_pipeline
from scenes import random_scene
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import FunctionTransformer

from sklandslide import BandStacker, LandslideCNN, load_model, model_card, save_model
from sklandslide.exceptions import ModelFileError


@pytest.fixture(scope="module")
def data():
    return samples(random_scene())


class Seen(HTMLParser):
    """Tags, attributes and text of a piece of HTML."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text, self.open = set(), set(), "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_card_of_a_stored_network():
    card = model_card(STORED)
    text = card.to_markdown().replace("\\", "")
    for words in (
        "BandStacker → PatchSampler → Augmenter → LandslideCNN",
        "Red [undeclared], Green [undeclared], Blue [undeclared]",
        "composite | RGB",
        "9 x 9 pixels",
        "classes [0, 1]",
        "epochs | 3",
        "last loss",
        "last accuracy",
        "samples of each class | 0: ",
        "pixels | 10 x 10 m on the ground; at most 15% smaller or larger",
        "values of Red | -",
        "(5 to 95 %), median",
        "landslidecnn__filters | [3]",
        "bandstacker__pixel_size_tolerance",
        "## Written with",
        "keras | 3.",
        "does not replace an expert",
        "Nothing in this card says how well the model does",
    ):
        assert words in text, words
    assert model_card(str(STORED)).to_html() == card.to_html()
    seen = Seen(card.to_html())
    assert not seen.open
    for name, value in [("epochs", "3"), ("patch size", "9 x 9 pixels")]:
        assert f"{name}{value}" in seen.text
    loaded = model_card(load_model(STORED)).to_markdown()
    assert (
        loaded.replace("Described with", "Written with").split("Written with")[0]
        == card.to_markdown().split("Written with")[0]
    )


def test_card_of_tables_and_searches(tmp_path, data):
    X, y = data
    search = GridSearchCV(table_pipeline(), {"patchsampler__patch_size": [5, 9]}, cv=2).fit(X, y)
    text = model_card(search).to_markdown().replace("\\", "")
    assert "GridSearchCV, 2 candidates on 2 folds" in text
    assert f"patchsampler__patch_size: {search.best_params_['patchsampler__patch_size']}" in text
    assert "functiontransformer__func | std" in text
    assert "0x" not in text
    path = save_model(search, tmp_path / "model.skops")
    assert "GridSearchCV, 2 candidates on 2 folds" in model_card(path).to_markdown()
    for again in (model_card(load_model(path)), model_card(LogisticRegression().fit([[0.0], [1.0]], [0, 1]))):
        assert "## Parameters" in again.to_markdown()


def test_the_samples_of_each_class_are_counted():
    random = np.random.RandomState(0)
    y = np.repeat(["forest", "landslide", "lake"], [9, 12, 7])
    cnn = LandslideCNN(filters=(2,), dense_units=2, input_size=None, epochs=1, random_state=0)
    cnn.fit(random.normal(size=(28, 4, 4, 1)), y)
    assert cnn.class_count_.tolist() == [9, 7, 12]  # in the order of classes_
    assert "forest: 9, lake: 7, landslide: 12" in model_card(cnn).to_markdown()


NASTY = [
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onmouseover='x", "a|b", "a\nb\r\n# c", "-->",
    "`code` **b** _i_", "[x](javascript:alert(1))", "![x](http://example.org/x.png)", "&lt;b&gt;", "\u202egnp.exe",
    "https://example.org www.example.org a@b.example", "\x00\x1b[31m", "<!-- x -->", "~~~\n", "$x$", "\\", "\\|",
    "{{ x }}", "]]>",
]  # fmt: skip


@pytest.mark.parametrize("name", NASTY)
def test_nothing_in_a_name_becomes_markup(tmp_path, data, name):
    X, y = data
    model = table_pipeline().fit(X, np.array([name, "~other"], object)[y])
    model[0].set_params(composite=[name])
    path = save_model(model, tmp_path / "model.skops")
    plain = Seen(model_card(table_pipeline().fit(X, y)).to_html())
    for card in (model_card(model), model_card(path)):
        html, text = card._repr_html_(), card._repr_markdown_()
        seen = Seen(html)
        assert seen.tags == plain.tags
        assert seen.attributes == {"class", "scope"}
        assert not seen.open
        assert "script" not in seen.tags | seen.attributes
        for line in text.splitlines():
            cells = re.findall(r"(?<!\\)(?:\\\\)*\|", line)
            assert len(cells) in (0, 3), line
            assert not re.search(r"(?<!\\)(?:\\\\)*[<>`\[\]*!$~&]", line), line
        assert "://" not in text
        assert all(c.isprintable() or c == "\n" for c in text)
        shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
        assert shown in seen.text  # it is all there, as text


def test_markdown_means_what_it_says(data):
    """Read by a parser of Markdown: tables and sentences, no links, no images, no HTML."""
    parser = pytest.importorskip("markdown_it", reason="comes with the documentation's packages").MarkdownIt(
        "gfm-like", {"linkify": False}
    )
    X, y = data
    for name in NASTY:
        card = model_card(table_pipeline().fit(X, np.array([name, "~other"], object)[y]))
        html = parser.render(card.to_markdown())
        assert Seen(html).tags <= {"h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td"}, name


def test_what_has_no_card():
    with pytest.raises(NotFittedError):
        model_card(table_pipeline())
    with pytest.raises(NotFittedError):
        model_card(BandStacker())
    with pytest.raises(ModelFileError, match="No such file"):
        model_card("none.skops")


def test_a_function_has_a_name(data):
    model = table_pipeline(FunctionTransformer(lambda p: p[:, 0, 0]), LogisticRegression()).fit(*data)
    assert "lambda" in model_card(model).to_markdown()  # cannot be saved, can be described
