"""What the tests of hostile files share: a server that must not be asked, and files that lie."""

import struct
import subprocess
import sys

import numpy as np

GEOTRANSFORM = "<GeoTransform>600000, 10, 0, 4740000, 0, -10</GeoTransform>"


_ANSWERS = """
import http.server, sys

class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[1], "a") as file:
            file.write(self.path + "\\n")
        self.send_error(404)

    do_HEAD = do_POST = do_GET

    def log_message(self, *_):
        pass

web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
print(web.server_port, flush=True)
web.serve_forever()
"""


class Web:
    """A web server of this machine that must not be asked.

    In a process of its own: GDAL may wait for an answer and let no thread of Python's go on.
    """

    def __init__(self, folder):
        self._asked = folder / "asked"
        self._asked.touch()
        command = [sys.executable, "-I", "-c", _ANSWERS, str(self._asked)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.address = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    @property
    def asked(self):
        """What it was asked for so far."""
        return self._asked.read_text().split()

    def forget(self):
        self._asked.write_text("")

    def close(self):
        self._process.terminate()
        self._process.communicate()


def vrt(source, *, shape=(20, 30), relative=0, more="", dst=None, band="", kind="SimpleSource"):
    """A VRT of one band that takes its pixels from a source, as gdalbuildvrt writes it."""
    rows, cols = shape
    width, height = dst or (cols, rows)
    return (
        f'<VRTDataset rasterXSize="{cols}" rasterYSize="{rows}"><SRS>EPSG:32654</SRS>{GEOTRANSFORM}{more}'
        f'<VRTRasterBand dataType="Float32" band="1"{band}><{kind}>'
        f'<SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>1</SourceBand>'
        f'<SrcRect xOff="0" yOff="0" xSize="{cols}" ySize="{rows}"/>'
        f'<DstRect xOff="0" yOff="0" xSize="{width}" ySize="{height}"/></{kind}></VRTRasterBand></VRTDataset>'
    )


def wms(address):
    """The description of a map server, which GDAL takes for a raster."""
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}.png</ServerUrl></Service><DataWindow>'
        "<UpperLeftX>600000</UpperLeftX><UpperLeftY>4740000</UpperLeftY><LowerRightX>600300</LowerRightX>"
        "<LowerRightY>4739800</LowerRightY><SizeX>30</SizeX><SizeY>20</SizeY></DataWindow>"
        "<BandsCount>1</BandsCount></GDAL_WMS>"
    )


def tiff(width, height, *, bits=32, sample_format=3, samples=1, rows_per_strip=None, offsets=(8,), counts=(4,),
         compression=1, scale=(10.0, 10.0, 0.0), tie=(0, 0, 0, 600_000.0, 4_740_000.0, 0), body=b""):  # fmt: skip
    """A little-endian classic TIFF made by hand, with any header: its tags need not fit each other."""
    rows_per_strip = height if rows_per_strip is None else rows_per_strip
    tags = [
        (256, "I", (width,)), (257, "I", (height,)), (258, "H", (bits,) * min(samples, 100)),
        (259, "H", (compression,)), (262, "H", (1,)), (273, "I", offsets), (277, "H", (samples,)),
        (278, "I", (rows_per_strip,)), (279, "I", counts), (339, "H", (sample_format,) * min(samples, 100)),
        (33550, "d", scale), (33922, "d", tie),
        (34735, "H", (1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32654)),
    ]  # fmt: skip
    kinds = {"H": 3, "I": 4, "d": 12}
    start = 8 + len(body)
    after = start + 2 + 12 * len(tags) + 4
    directory, values = struct.pack("<H", len(tags)), b""
    for number, code, data in tags:
        place = struct.pack(f"<{len(data)}{code}", *data).ljust(4, b"\0")
        if len(place) > 4:
            values, place = values + place, struct.pack("<I", after + len(values))
        directory += struct.pack("<HHI", number, kinds[code], len(data)) + place
    return b"II*\0" + struct.pack("<I", start) + body + directory + b"\0\0\0\0" + values


def envi(folder, name, pixels):
    """An ENVI raster of float32, as SNAP writes it: NAME.img and NAME.hdr."""
    pixels = np.asarray(pixels, "<f4")
    (folder / f"{name}.img").write_bytes(pixels.tobytes())
    (folder / f"{name}.hdr").write_text(
        f"ENVI\nsamples = {pixels.shape[1]}\nlines = {pixels.shape[0]}\nbands = 1\nheader offset = 0\n"
        "file type = ENVI Standard\ndata type = 4\ninterleave = bsq\nbyte order = 0\n"
        f"map info = {{UTM, 1, 1, 600000, 4740000, 10, 10, 54, North, WGS-84}}\n"
    )
    return folder / f"{name}.img"
