"""What several test files share."""

import signal
from pathlib import Path

import matplotlib
import pytest
from hostile import Web

matplotlib.use("Agg")

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def simulated():
    """A small simulated scene and its polygons."""
    from sklandslide import make_scene

    return make_scene(shape=(300, 300), random_state=1)


@pytest.fixture(scope="session")
def iburi():
    """The folder of the real Iburi data, where the machine has it."""
    folder = SHARED / "data" / "iburi"
    if not folder.is_dir():
        pytest.skip(f"the real Iburi data are not in {folder}")
    return folder


@pytest.fixture(scope="session")
def one_archive(tmp_path_factory):
    """The local archive: its files on a server of their own."""
    from local_archive import LocalArchive
    from range_server import RangeServer

    files, state = tmp_path_factory.mktemp("files"), tmp_path_factory.mktemp("state")
    web = RangeServer(files, state)
    try:
        archive = LocalArchive(files, web.address)
        archive.web = web
        yield archive
    finally:
        web.kill()


@pytest.fixture
def archive(one_archive):
    """The archive, without faults and not asked yet."""
    one_archive.web.start()
    one_archive.web.faults()
    one_archive.web.forget()
    return one_archive


@pytest.fixture(autouse=True)
def _fresh_workers():
    """End joblib's workers after each test.

    One that loads TensorFlow after a first task without it is taken to leak memory, and replaced with a warning; our
    filter makes that an error in joblib's own thread, which then stands still.
    """
    yield
    from joblib.externals.loky import reusable_executor

    if reusable_executor._executor is not None:
        reusable_executor._executor.shutdown(wait=True, kill_workers=True)


@pytest.fixture
def in_time():
    """What waits for ever is a failure, not a standstill."""

    def late(*_):
        raise AssertionError("it took more than 60 seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def one_web(tmp_path_factory):
    """A server that a test file must not be made to ask."""
    web = Web(tmp_path_factory.mktemp("web"))
    yield web
    web.close()


@pytest.fixture
def web(one_web):
    """The server, not asked yet."""
    one_web.forget()
    return one_web
