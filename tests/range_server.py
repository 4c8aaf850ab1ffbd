"""A server of files that answers range requests, counts what it gives, and fails as it is told.

``python range_server.py FOLDER STATE PORT``: STATE is a folder with ``log``, what was given, and ``faults.json``,
what to do: ``busy`` and ``cut`` say every how many answers, ``gone`` and ``refused`` of which files, ``slow`` how many
seconds. It is a process of its own: GDAL may wait for an answer and let no thread of Python's go on.
"""

import http.server
import itertools
import json
import re
import subprocess
import sys
import time
from pathlib import Path

_NUMBERS = itertools.count(1)


class Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    folder = state = Path()

    def do_GET(self):
        name = self.path.split("?")[0].strip("/")
        faults = json.loads((self.state / "faults.json").read_text())
        time.sleep(faults.get("slow", 0))
        file, number = self.folder / name, next(_NUMBERS)
        if "busy" in faults and number % faults["busy"] == 0:
            self.answer(503, b"")
        elif name in faults.get("refused", ()):
            self.answer(403, b"")
        elif name in faults.get("gone", ()) or not file.is_file():
            self.answer(404, b"")
        else:
            self.give(file, cut="cut" in faults and number % faults["cut"] == 0)

    do_HEAD = do_GET

    def give(self, file, cut):
        size = file.stat().st_size
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = (int(asked[1]), min(int(asked[2] or size), size - 1)) if asked else (0, size - 1)
        with open(file, "rb") as pixels:
            pixels.seek(first)
            content = pixels.read(last + 1 - first)
        where = {"Content-Range": f"bytes {first}-{last}/{size}"} if asked else {}
        self.answer(206 if asked else 200, content, where, cut)

    def answer(self, status, content, headers=(), cut=False):
        with open(self.state / "log", "a") as log:
            log.write(f"{status} {0 if self.command == 'HEAD' else len(content)} {self.path}\n")
        self.send_response(status)
        for key, value in {"Content-Length": len(content), "Accept-Ranges": "bytes", **dict(headers)}.items():
            self.send_header(key, str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = self.close_connection or cut

    def log_message(self, *_):
        pass


class RangeServer:
    """The server of a folder; it can be killed, and started again at the same address."""

    def __init__(self, folder, state):
        self.folder, self._state, self._process, self._port = folder, state, None, 0
        self.faults()
        self.forget()
        self.start()

    def start(self):
        """Start it, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        command = [sys.executable, __file__, self.folder, self._state, str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self._port = int(self._process.stdout.readline())

    @property
    def address(self):
        return f"http://127.0.0.1:{self._port}"

    def kill(self):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()

    def faults(self, **faults):
        (self._state / "new.json").write_text(json.dumps(faults))
        (self._state / "new.json").replace(self._state / "faults.json")

    def forget(self):
        (self._state / "log").write_text("")

    @property
    def log(self):
        """Status, bytes and path of each answer so far."""
        lines = (self._state / "log").read_text().splitlines()
        return [(int(status), int(size), path) for status, size, path in (line.split(" ", 2) for line in lines)]

    @property
    def fetched(self):
        return sum(size for _, size, _ in self.log)


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """Who asked has gone away."""


if __name__ == "__main__":
    Answers.folder, Answers.state = Path(sys.argv[1]), Path(sys.argv[2])
    web = Server(("127.0.0.1", int(sys.argv[3])), Answers)
    print(web.server_port, flush=True)
    web.serve_forever()
