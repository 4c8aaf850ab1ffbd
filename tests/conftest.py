"""What several test files share."""

from pathlib import Path

import matplotlib
import pytest

matplotlib.use("Agg")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def simulated():
    """A small simulated scene and its polygons."""
    from sklandslide import make_scene

    return make_scene(shape=(300, 300), random_state=0)


@pytest.fixture(scope="session")
def iburi():
    """The folder of the real Iburi data, where the machine has it."""
    folder = SHARED / "data" / "iburi"
    if not folder.is_dir():
        pytest.skip(f"the real Iburi data are not in {folder}")
    return folder
