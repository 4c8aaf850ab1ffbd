"""Files that are written beside their place and moved to it."""

import pytest

from sklandslide.exceptions import OutputExistsError
from sklandslide.geodata import written_beside


def test_a_file_is_there_when_it_is_whole(tmp_path):
    path = tmp_path / "out.csv"
    with written_beside(path, overwrite=False) as part, open(part, "w") as file:
        file.write("whole")
        assert not path.exists()
    assert [p.read_text() for p in tmp_path.iterdir()] == ["whole"]


@pytest.mark.parametrize("there", ["out.tif", "out.tif.msk"])
def test_what_appears_meanwhile_is_kept(tmp_path, there):
    with pytest.raises(OutputExistsError, match=f"{there} exists"), written_beside(tmp_path / "out.tif", False) as part:
        for name in (part, tmp_path / there):
            with open(name, "w") as file:
                file.write(str(name))
    assert [p.read_text() for p in tmp_path.iterdir()] == [str(tmp_path / there)]


def test_with_overwrite_it_is_replaced_with_what_belongs_to_it(tmp_path):
    for name in ("out.tif", "out.tif.msk"):
        (tmp_path / name).write_text("old")
    with written_beside(tmp_path / "out.tif", True, ".tif") as part, open(part, "w") as file:
        assert part.endswith(".tif")
        file.write("new")
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [("out.tif", "new")]


def test_a_fault_leaves_what_was_there(tmp_path):
    (tmp_path / "out.csv").write_text("old")
    with pytest.raises(KeyboardInterrupt), written_beside(tmp_path / "out.csv", True) as part:
        open(part, "w").close()
        raise KeyboardInterrupt
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"]
