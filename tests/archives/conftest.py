"""The local archive: its files on a server of their own."""

import pytest
from local_archive import LocalArchive
from range_server import RangeServer


@pytest.fixture(scope="session")
def one_archive(tmp_path_factory):
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
