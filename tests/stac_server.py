"""A real STAC API on this machine: stac-fastapi-pgstac on PostgreSQL with PostGIS, on free ports of loopback only."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def postgres_folder():
    """Where PostgreSQL's programs are; the test skips where PostgreSQL or PostGIS is not installed."""
    for folder in sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))[::-1]:
        if (Path("/usr/share/postgresql") / folder.parent.name / "extension" / "postgis.control").is_file():
            return folder
    pytest.skip("no PostgreSQL with PostGIS: apt-get install postgresql postgresql-postgis")


def server_python():
    """The Python that has the server's packages; the test skips where there is none."""
    for python in (os.environ.get("SKLANDSLIDE_STAC_PYTHON"), ROOT / ".venv-stac/bin/python", sys.executable):
        if python and Path(python).is_file():
            command = [python, "-c", "import stac_fastapi.pgstac, pypgstac, psycopg, uvicorn"]
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                return Path(python)
    pytest.skip("no stac-fastapi-pgstac: pip install -r requirements/stac_server.txt, in .venv-stac or here")


class StacServer:
    """A catalogue of collections and items, until it is closed."""

    def __init__(self):
        self._bin, self._python = postgres_folder(), server_python()
        self._folder = Path(tempfile.mkdtemp(prefix="stac-", dir="/tmp"))  # PostgreSQL's sockets want short names
        self._user = "postgres" if os.geteuid() == 0 else None  # who is root may not run it
        if self._user:
            shutil.chown(self._folder, self._user, self._user)
        self._port = free_port()
        self._database = self._api = None
        try:
            self._start()
        except BaseException:
            self.close()
            raise

    def _start(self):
        data = self._folder / "data"
        self._as_postgres(self._bin / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync")
        options = [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "fsync=off",
            "-c",
            f"port={self._port}",
            "-k",
            self._folder,
        ]
        with open(self._folder / "log", "w") as log:
            command = [self._bin / "postgres", "-D", data, *options]
            self._database = subprocess.Popen(command, stdout=log, stderr=log, user=self._user, group=self._user)
        self._until(lambda: self._psql("postgres", "select 1"))
        self._psql("postgres", "create database stac")
        self._psql("stac", "create extension postgis; create extension btree_gist")
        where = {"PGHOST": "127.0.0.1", "PGPORT": str(self._port), "PGUSER": "postgres", "PGDATABASE": "stac"}
        self._environment = {**os.environ, **where, "PGPASSWORD": "x"}
        self._pypgstac("migrate")
        self.start()

    def start(self):
        port = free_port()
        command = [
            self._python,
            "-m",
            "uvicorn",
            "--factory",
            "stac_fastapi.pgstac.app:create_app",
            "--port",
            str(port),
        ]
        with open(self._folder / "api.log", "a") as log:
            self._api = subprocess.Popen(
                [*command, "--log-level", "warning"], stdout=log, stderr=log, env=self._environment
            )
        self.address = f"http://127.0.0.1:{port}"
        self._until(lambda: urllib.request.urlopen(self.address, timeout=5).close())

    def stop(self):
        self._api.terminate()
        self._api.wait(30)

    def load(self, collection, items):
        """Put a collection (a name and its first day) and items in."""
        name, begin = collection
        extent = {"spatial": {"bbox": [[-180, -90, 180, 90]]}, "temporal": {"interval": [[begin, None]]}}
        said = {
            "type": "Collection",
            "stac_version": "1.0.0",
            "id": name,
            "description": name,
            "license": "proprietary",
        }
        self._load("collections", [{**said, "extent": extent, "links": []}])
        self._load("items", [{**item.to_dict(include_self_link=False), "links": []} for item in items])

    def _load(self, what, things):
        file = self._folder / f"{what}.ndjson"
        file.write_text("".join(json.dumps(thing) + "\n" for thing in things))
        self._pypgstac("load", what, file, "--method", "upsert")

    def _pypgstac(self, *words):
        command = [self._python, "-m", "pypgstac.pypgstac", *words]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=self._environment)
        assert done.returncode == 0, done.stderr

    def _psql(self, database, code):
        where = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", "-d", database]
        self._as_postgres(self._bin / "psql", *where, "-qc", code)

    def _as_postgres(self, *command):
        more = {"user": self._user, "group": self._user} if self._user else {}
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self._folder, **more)
        if done.returncode:
            raise OSError(done.stderr)

    def _until(self, answers, seconds=60):
        end = time.monotonic() + seconds
        while True:
            try:
                return answers()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)

    def close(self):
        for process in (self._api, self._database):
            if process is not None:
                process.terminate()
                process.wait(30)
        shutil.rmtree(self._folder, ignore_errors=True)
