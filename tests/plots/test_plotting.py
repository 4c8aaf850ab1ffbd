"""Figure 2 in print: legible at both widths, north where it is, colours that everybody tells apart."""

import itertools

import matplotlib
import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from matplotlib import pyplot as plt
from matplotlib.text import Text
from matplotlib_scalebar.scalebar import ScaleBar
from rasters import rotated
from scipy import ndimage

from sklandslide.exceptions import BandError
from sklandslide.geodata.grid import Grid
from sklandslide.geodata.scene import Scene
from sklandslide.plots.figure import PALETTES, plot_map
from sklandslide.plots.furniture import true_north

UTM = Affine(20, 0, 500_000, 0, -20, 4_700_000)
ROTATED = rotated(500_000, 4_700_000, 25, 20)
SOUTH_UP = Affine(20, 0, 500_000, 0, 20, 4_700_000)
GEOGRAPHIC = Affine(1e-4, 0, 141.9, 0, -2e-4, 42.77)
PLACES = [(UTM, 32654), (ROTATED, 32654), (SOUTH_UP, 32654), (GEOGRAPHIC, 4326), (UTM, None)]
WIDTHS = [3.4, 7.0]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def grid_of(transform, epsg, shape=(60, 70)):
    return Grid(epsg and rasterio.CRS.from_epsg(epsg), transform, shape)


def figure_2(grid, *, seed=0, **options):
    """A map with red areas, an inventory, nodata, and a hillshade beneath unless told otherwise."""
    rng = np.random.default_rng(seed)
    probability = ndimage.gaussian_filter(rng.random(grid.shape), 2)
    probability = (probability - probability.min()) / np.ptp(probability)
    probability[:4, :9] = np.nan
    heights = 300 * ndimage.gaussian_filter(rng.random(grid.shape), 3)
    scene = Scene.from_arrays({"DEM": heights, "VV_after": probability}, transform=grid.transform, crs=grid.crs)
    rows, cols = rng.integers(2, grid.shape, (12, 2)).T
    outlines = [shapely.Polygon(grid.xy([r, r, r - 2], [c, c - 2, c])) for r, c in zip(rows, cols, strict=True)]
    options = {"background": (scene, "hillshade"), "outlines": outlines, "threshold": 0.5, **options}
    return plot_map(grid, probability, probability >= 0.5, **options)


def drawn_texts(figure, monkeypatch):
    """Every text that drawing the figure puts on paper, with its box."""
    drawn = []
    draw = Text.draw

    def remember(text, renderer, *args, **kwargs):
        if text.get_visible() and text.get_text().strip():
            drawn.append((text, text.get_window_extent(renderer)))
        return draw(text, renderer, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(Text, "draw", remember)
        figure.canvas.draw()
    return drawn


def assert_legible(figure, monkeypatch):
    drawn = drawn_texts(figure, monkeypatch)
    assert len(drawn) >= 5
    width, height = figure.bbox.size
    for text, box in drawn:
        assert text.get_fontsize() >= 6, text
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for (one, a), (other, b) in itertools.combinations(drawn, 2):
        apart = a.x1 <= b.x0 or b.x1 <= a.x0 or a.y1 <= b.y0 or b.y1 <= a.y0
        assert apart, f"{one} and {other} overlap"
    return drawn


class TestPrint:
    @pytest.mark.parametrize("width", WIDTHS)
    @pytest.mark.parametrize("place", PLACES, ids=["utm", "rotated", "south up", "geographic", "no crs"])
    def test_legible_at_the_widths_of_journals(self, place, width, monkeypatch):
        ax = figure_2(grid_of(*place), width=width)
        texts = {text.get_text() for text, _ in assert_legible(ax.figure, monkeypatch)}
        assert ax.figure.get_figwidth() == width
        assert place == PLACES[3] or ax.get_position().width * width > width - 0.7  # a high map is narrower
        assert {"Landslide inventory", ax.get_xlabel(), ax.get_ylabel()} <= texts
        assert ("N" in texts) == (place[1] is not None)

    @pytest.mark.parametrize("shape", [(10, 60), (60, 10), (400, 20), (20, 400)])
    def test_legible_whatever_the_shape(self, shape, monkeypatch):
        ax = figure_2(grid_of(UTM, 32654, shape), width=3.4, background=None)
        assert_legible(ax.figure, monkeypatch)

    def test_a_map_of_one_pixel(self, monkeypatch):
        assert_legible(plot_map(grid_of(UTM, 32654, (1, 1)), [[0.7]], [[True]]).figure, monkeypatch)

    def test_room_for_a_title(self, monkeypatch):
        ax = figure_2(grid_of(UTM, 32654), width=3.4)
        ax.set_title("Simulated radar, BAA", fontsize=9)
        assert_legible(ax.figure, monkeypatch)

    @pytest.mark.parametrize(("epsg", "place"), [(2193, (172, -42)), (2263, (-74, 40.7))])
    def test_long_names_of_coordinate_systems(self, epsg, place, monkeypatch):
        x, y = pyproj.Transformer.from_crs(4326, epsg, always_xy=True).transform(*place)
        ax = figure_2(grid_of(Affine(20, 0, x, 0, -20, y), epsg), width=3.4)
        assert_legible(ax.figure, monkeypatch)

    def test_the_size_of_a_figure_that_is_given_stays(self, monkeypatch):
        figure, ax = plt.subplots(figsize=(3.4, 4.2), layout=None)
        ax.set_position((0.15, 0.25, 0.8, 0.7))
        assert figure_2(grid_of(UTM, 32654), ax=ax) is ax
        assert figure.get_size_inches().tolist() == [3.4, 4.2]
        assert_legible(figure, monkeypatch)

    @pytest.mark.parametrize("style", [{"figure.constrained_layout.use": True}, {"font.size": 16}])
    def test_legible_in_any_style(self, style, monkeypatch):
        with plt.style.context(style):
            assert_legible(figure_2(grid_of(UTM, 32654), width=3.4).figure, monkeypatch)

    @pytest.mark.parametrize(("rows", "cols"), [(slice(20), slice(20)), (slice(-20, None), slice(-20, None))])
    def test_bar_and_arrow_keep_off_the_landslides(self, rows, cols):
        grid = grid_of(UTM, 32654, (60, 60))
        red = np.zeros(grid.shape, bool)
        red[rows, cols] = True
        ax = plot_map(grid, np.where(red, 0.9, 0.1), red)
        ax.figure.canvas.draw()
        for box in (furniture(ax)[0].info.window_extent, furniture(ax)[1].get_window_extent()):
            (x0, y0), (x1, y1) = ax.transData.inverted().transform([box.min, box.max])
            on_map = grid.rowcol([[x0, y1], [x1, y0]]).astype(int)
            assert not red[on_map[0, 0] : on_map[1, 0] + 1, on_map[0, 1] : on_map[1, 1] + 1].any()

    @pytest.mark.parametrize("epsg, x, y", [(2263, 1e6, 2e5), (4326, 10.0, 60.0), (3857, 1e6, 8.4e6)])
    def test_the_bar_is_as_long_as_it_says(self, epsg, x, y):
        """Against geodesics, at the middle of the map."""
        size = 1e-4 if epsg == 4326 else 20
        ax = figure_2(grid_of(Affine(size, 0, x - 35 * size, 0, -size, y + 30 * size), epsg), width=3.4)
        ax.figure.canvas.draw()
        info = furniture(ax)[0].info
        metres = {"m": 1, "km": 1000}[info.units] * info.value
        to = pyproj.Transformer.from_crs(epsg, 4326, always_xy=True)
        (west, east), (south, north) = to.transform([x - info.length_px / 2, x + info.length_px / 2], [y, y])
        assert metres == pytest.approx(pyproj.Geod(ellps="WGS84").inv(west, south, east, north)[2], rel=2e-3)

    def test_switched_off(self):
        ax = figure_2(grid_of(UTM, 32654), scale_bar=False, north_arrow=False)
        assert furniture(ax) == [None, None]
        assert furniture(figure_2(grid_of(UTM, None))) == [None, None]


def furniture(ax):
    """The scale bar and the north arrow, or None."""
    bars = [artist for artist in ax.artists if isinstance(artist, ScaleBar)]
    arrows = [artist for artist in ax.artists if artist.get_label() == "north arrow"]
    return [next(iter(bars), None), next(iter(arrows), None)]


def arrow_on_paper(ax):
    """Direction of the arrow drawn, from foot to tip, length 1."""
    (needle,) = furniture(ax)[1].findobj(matplotlib.patches.Polygon)
    tip, right, notch, left, *_ = needle.get_xy()
    assert np.dot(right - left, tip - notch) == pytest.approx(0, abs=1e-9)  # upright on its foot, however it is turned
    return (tip - notch) / np.hypot(*(tip - notch))


class TestNorth:
    @pytest.mark.parametrize("x, y, epsg", [(780_000, 7e6, 32654), (220_000, 4e6, 32754)])
    def test_convergence_of_utm(self, x, y, epsg):
        grid = grid_of(rotated(x, y, 25, 20), epsg)
        at = grid.xy(*np.divide(grid.shape, 2))
        longitude, latitude = pyproj.Proj(epsg)(*at, inverse=True)
        # Meridian convergence of the transverse Mercator projection, zone 54's middle being 141 degrees east.
        convergence = np.arctan(np.tan(np.radians(longitude - 141)) * np.sin(np.radians(latitude)))
        assert 0.02 < abs(convergence) < 0.1
        north = [-np.sin(convergence), np.cos(convergence)]
        np.testing.assert_allclose(true_north(grid), north, atol=1e-4)
        np.testing.assert_allclose(arrow_on_paper(figure_2(grid)), north, atol=1e-4)

    def test_up_on_south_up_and_geographic_maps(self):
        for place in ((UTM, 32654), (SOUTH_UP, 32654), (GEOGRAPHIC, 4326)):
            np.testing.assert_allclose(arrow_on_paper(figure_2(grid_of(*place))), [0, 1], atol=1e-3)

    def test_axes_that_count_west_and_south(self):
        # South Africa's grids count from the equator to the south and from the meridian to the west.
        to = pyproj.Transformer.from_crs(4326, 2053, always_xy=True)
        x, y = to.transform(29, -30)
        ax = figure_2(grid_of(Affine(20, 0, x, 0, -20, y), 2053))
        np.testing.assert_allclose(arrow_on_paper(ax), [0, -1], atol=1e-3)
        assert (ax.get_xlabel().split(" (")[0], ax.get_ylabel()) == ("Westing", "Southing (m)")

    def test_polar_maps(self):
        # In Antarctica's grid 0 degrees lies up and 90 degrees east to the right; north is outward everywhere.
        for x, y in ((2e6, 0), (0, 2e6), (-1e6, -1e6)):
            transform = Affine(20, 0, x - 700, 0, -20, y + 600)
            ax = figure_2(grid_of(transform, 3031))
            np.testing.assert_allclose(arrow_on_paper(ax), np.array([x, y]) / np.hypot(x, y), atol=1e-4)
            assert ax.get_xlabel().startswith("x (m)")
        assert true_north(grid_of(Affine(20, 0, -700, 0, -20, 600), 3031)) is None
        assert furniture(figure_2(grid_of(Affine(20, 0, -700, 0, -20, 600), 3031)))[1] is None

    def test_no_arrow_where_north_is_not_known(self):
        local = rasterio.CRS.from_wkt('LOCAL_CS["mine",UNIT["metre",1],AXIS["x",EAST],AXIS["y",NORTH]]')
        for crs in (None, local):
            assert true_north(Grid(crs, UTM, (4, 5))) is None
            assert furniture(figure_2(Grid(crs, UTM, (40, 50))))[1] is None


class TestAxes:
    @pytest.mark.parametrize(
        "place, x, y",
        [
            ((UTM, 32654), "Easting (m), WGS 84 / UTM zone 54N", "Northing (m)"),
            ((UTM, 2263), "Easting (US survey foot), NAD83 / New York Long Island (ftUS)", "Northing (US survey foot)"),
            ((GEOGRAPHIC, 4326), "Longitude (degrees), WGS 84", "Latitude (degrees)"),
            ((UTM, None), "x", "y"),
        ],
    )
    def test_labels_say_what_the_numbers_are(self, place, x, y):
        ax = figure_2(grid_of(*place))
        assert (ax.get_xlabel(), ax.get_ylabel()) == (x, y)


class TestHillshade:
    def image(self, bands, background):
        scene = Scene.from_arrays(bands, transform=UTM, crs="EPSG:32654")
        ax = plot_map(scene.grid, np.zeros(scene.grid.shape), np.zeros(scene.grid.shape), background=background(scene))
        return ax.images[0].get_array()

    def test_asked_for_by_name(self):
        rng = np.random.default_rng(0)
        names = ("Red", "Green", "Blue", "DEM", "hillshade")
        bands = {name: 50 * ndimage.gaussian_filter(rng.random((30, 40)), 2) for name in names}
        only_heights = self.image({"DEM": bands["DEM"]}, lambda s: s)
        own = bands.pop("hillshade")
        np.testing.assert_array_equal(self.image(bands, lambda s: (s, "hillshade")), only_heights)
        assert self.image(bands, lambda s: s).ndim == 3
        # A band of that name is what its owner means.
        drawn = self.image({**bands, "hillshade": own}, lambda s: (s, "hillshade"))
        assert np.corrcoef(drawn.ravel(), own.ravel())[0, 1] > 0.99

    def test_needs_heights(self):
        with pytest.raises(BandError, match=r"no DEM to shade; it has the bands VV_after.*Give a scene"):
            self.image({"VV_after": np.ones((3, 4))}, lambda s: (s, "hillshade"))


# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision deficiency", IEEE
# Transactions on Visualization and Computer Graphics 15 (6), 2009: linear sRGB as seen without one kind of cone.
DICHROMATS = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
VISIONS = [*DICHROMATS, "grey print"]
# IEC 61966-2-1 (sRGB), to XYZ under D65.
TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)


def seen(colour, vision):
    """L*, a*, b* of a colour as seen."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    if vision != "grey print":
        linear = np.clip(DICHROMATS[vision] @ linear, 0, 1)
    relative = TO_XYZ @ linear / TO_XYZ.sum(axis=1)
    f = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    lab = np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])
    return lab * [1, 0, 0] if vision == "grey print" else lab


def difference(one, other, vision):
    """CIE 1976 colour difference; about 2.3 is just noticeable on large fields side by side."""
    return np.linalg.norm(seen(one, vision) - seen(other, vision))


GREYS = [str(level) for level in np.linspace(0, 1, 21)]
# Forest, meadow, bare soil, water, as true-colour images show them.
GROUNDS = {"forest": "#2f4a2c", "meadow": "#4a8a3c", "soil": "#a08060", "water": "#00262c"}


class TestPalettes:
    def test_lab_of_known_colours(self):
        for colour, lab in (("white", [100, 0, 0]), ("red", [53.24, 80.09, 67.20]), ("blue", [32.30, 79.19, -107.86])):
            np.testing.assert_allclose(seen(colour, "normal"), lab, atol=0.05)

    @pytest.mark.parametrize("vision", VISIONS)
    def test_points_and_outlines_are_told_apart(self, vision):
        palette = PALETTES["colorblind"]
        assert difference(palette.points, palette.outlines, vision) > 45

    @pytest.mark.parametrize("vision", VISIONS)
    @pytest.mark.parametrize("mark", ["points", "outlines"])
    def test_marks_stand_out_from_every_ground(self, mark, vision):
        palette = PALETTES["colorblind"]
        core, rim = getattr(palette, mark), getattr(palette, f"{mark}_rim")
        for ground in (*GREYS, *GROUNDS.values()):
            assert max(difference(core, ground, vision), difference(rim, ground, vision)) > 30, ground

    @pytest.mark.parametrize("name", PALETTES)
    def test_drawn_in_its_colours(self, name):
        ax = figure_2(grid_of(UTM, 32654), palette=name)
        colours = {c.get_label(): c for c in ax.collections}
        palette = PALETTES[name]
        to_rgb = matplotlib.colors.to_rgb
        assert tuple(colours["predicted landslide"].get_facecolor()[0][:3]) == to_rgb(palette.points)
        assert tuple(colours["inventory"].get_edgecolor()[0][:3]) == to_rgb(palette.outlines)
        assert ("_rim" in colours) == (palette.points_rim is not None)
        points, outlines, *_ = ax.get_legend().legend_handles
        assert to_rgb(points.get_markerfacecolor()) == to_rgb(palette.points)
        assert to_rgb(outlines.get_color()) == to_rgb(palette.outlines)

    def test_rims_are_seen_about_groups_only(self):
        ax = figure_2(grid_of(UTM, 32654), palette="colorblind")
        rim, points = (next(c for c in ax.collections if c.get_label() == n) for n in ("_rim", "predicted landslide"))
        assert rim.get_zorder() < points.get_zorder()
        assert rim.get_sizes()[0] > points.get_sizes()[0]
        np.testing.assert_array_equal(rim.get_offsets(), points.get_offsets())

    def test_palettes_that_are_none(self):
        with pytest.raises(ValueError, match=r"palette='colourblind' is none of 'paper', 'colorblind'\. Choose"):
            figure_2(grid_of(UTM, 32654), palette="colourblind")
