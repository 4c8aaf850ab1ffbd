"""Laws of writing model files: bytes before names, nothing of others replaced, each byte covered by a checksum."""

import os

import pytest
from sklearn.linear_model import LogisticRegression

from sklandslide import load_model, save_model
from sklandslide.exceptions import ModelFileError, OutputExistsError


@pytest.fixture
def done(monkeypatch):
    """What reached the disk, and what got its name, in order."""
    done, fsync, named = [], os.fsync, {name: getattr(os, name) for name in ("replace", "link")}

    def synced(file):
        done.append(os.path.basename(os.readlink(f"/proc/self/fd/{file}")))
        fsync(file)

    def naming(name):
        def function(source, target):
            named[name](source, target)
            done.append((os.path.basename(source), os.path.basename(target)))

        return function

    monkeypatch.setattr(os, "fsync", synced)
    for name in named:
        monkeypatch.setattr(os, name, naming(name))
    return done


def assert_bytes_before_name(done, name, folder):
    """In this order, or a power cut leaves a file of zeros or none under the name."""
    ((part, _),) = (pair for pair in done if pair[1:] == (name,))
    assert done == [part, (part, name), folder]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_model_has_its_name_when_its_bytes_are_on_the_disk(tmp_path, done, overwrite):
    save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "model.zip", overwrite=overwrite)
    assert_bytes_before_name(done, "model.zip", tmp_path.name)


def test_a_model_that_appears_meanwhile_is_kept(tmp_path, monkeypatch):
    path, fsync = tmp_path / "model.zip", os.fsync

    def meanwhile(file):
        path.write_text("precious")
        fsync(file)

    monkeypatch.setattr(os, "fsync", meanwhile)
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), path)
    assert path.read_text() == "precious"
    assert os.listdir(tmp_path) == ["model.zip"]


def test_a_byte_that_changed_is_called_damage(tmp_path):
    """All of them are covered, and who has a damaged file is not told that it was written wrongly."""
    path = save_model(LogisticRegression().fit([[0.0], [1.0]], [0, 1]), tmp_path / "model.zip")
    with open(path, "rb") as file:
        whole = file.read()
    end = whole.rindex(b"sklandslide model, format")
    for place in [*range(0, end, 7), *range(len(whole) - 64, len(whole))]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        with open(path, "wb") as file:
            file.write(damaged)
        with pytest.raises(ModelFileError, match="damaged"):
            load_model(path)
