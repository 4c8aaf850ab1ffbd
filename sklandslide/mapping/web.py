"""A landslide map as a page for a browser: Leaflet, written by folium, and all of it in one file."""

from __future__ import annotations

import html
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import MissingPackageError
from ..geodata import Grid
from ..plots import probability_colours

if TYPE_CHECKING:
    import folium
    import geopandas
    import pandas

# Radius of the sphere that web maps are projected from, in metres.
_RADIUS = 6378137.0
# Pixels a side of the image of probability.
SIDE = 1500
_OBJECTS = {"color": "#e8000b", "weight": 1.5, "fillOpacity": 0.05}
_INVENTORY = {"color": "#ffe800", "weight": 2, "fillOpacity": 0.0}
# Facts of an object: what a column is called, and how its values are written.
_FACTS = {
    "rank": ("Rank", "{:,.0f}"),
    "id": ("Identifier", "{:.0f}"),
    "probability": ("Mean probability", "{:.2f}"),
    "probability_max": ("Highest probability", "{:.2f}"),
    "area_m2": ("Area (m2)", "{:,.0f}"),
    "length_m": ("Length (m)", "{:,.0f}"),
    "slope": ("Mean slope (degrees)", "{:.0f}"),
}
# Letters of an attribute that are shown.
_LONGEST = 200


def web_map(probability: np.ndarray, grid: Grid, threshold: float, tiles: str | None) -> folium.Map:
    """A map with an image of probability; Leaflet is in the page itself, and only the base map is elsewhere."""
    folium, leaflet = _folium(), _leaflet()
    page = folium.Map(tiles=tiles, control_scale=True, prefer_canvas=True)
    # Leaflet is all that is used of what folium links to.
    page.default_js, page.default_css = [], []
    page.get_root().header.add_child(leaflet, name="leaflet")
    values, bounds = _projected(probability, grid)
    image = folium.raster_layers.ImageOverlay(
        probability_colours(values, threshold), bounds, opacity=0.7, name=f"Probability (yellow {threshold:.2g}, red 1)"
    )
    image.add_to(page)
    page.fit_bounds(bounds)
    return page


def add_objects(page: folium.Map, objects: geopandas.GeoDataFrame, grid: Grid, most: int) -> None:
    """Add the objects to look at first, with what is known of each."""
    first = objects.sort_values("rank").head(most)
    facts = {_FACTS[name][0]: first[name].map(_FACTS[name][1].format) for name in _FACTS if name in first}
    total = "" if len(first) == len(objects) else f" of {len(objects):,}"
    _add_layer(page, f"Objects ({len(first):,}{total})", first.geometry, grid, facts, _OBJECTS)


def add_inventory(page: folium.Map, geometries: np.ndarray, attributes: pandas.DataFrame, grid: Grid) -> None:
    """Add landslides with whatever is said of each: texts of strangers, which stay texts."""
    import geopandas

    facts = {str(name): attributes[name].map(lambda value: str(value)[:_LONGEST]) for name in attributes}
    shapes = geopandas.GeoSeries(list(geometries), crs=grid.crs)
    _add_layer(page, f"Inventory ({len(shapes):,})", shapes, grid, facts, _INVENTORY)


def finish(page: folium.Map) -> folium.Map:
    """Add what switches layers on and off."""
    _folium().LayerControl(collapsed=False).add_to(page)
    return page


def _add_layer(
    page: folium.Map, name: str, shapes: geopandas.GeoSeries, grid: Grid, facts: dict[str, Any], style: dict[str, Any]
) -> None:
    import geopandas
    import shapely

    folium = _folium()
    if not len(shapes):
        return
    placed = shapely.transform(np.asarray(shapes.to_crs(_mercator(grid)).array), lambda xy: _degrees(xy, grid))
    # Names of columns are nobody's business in the page's program, and values are text in its tables.
    columns = {f"fact{i}": [html.escape(text) for text in values] for i, values in enumerate(facts.values())}
    frame = geopandas.GeoDataFrame(columns, geometry=list(placed), crs=4326)
    popup = None
    if columns:
        popup = folium.GeoJsonPopup(list(columns), [html.escape(title) for title in facts])
    folium.GeoJson(frame, name=name, style_function=lambda _: style, popup=popup).add_to(page)


def _folium() -> Any:
    try:
        import folium
        import xstatic.pkg.leaflet  # noqa: F401
    except ImportError as error:
        raise MissingPackageError(
            f"A page for a browser needs {error.name}, which is not installed. Install it with: pip install "
            '"sklandslide[explore]"'
        ) from error
    return folium


def _leaflet() -> Any:
    """Leaflet's script and style, as an element of a page's head."""
    from xstatic.pkg import leaflet

    script, style = (Path(leaflet.BASE_DIR, f"leaflet.{kind}").read_text("utf-8") for kind in ("js", "css"))
    return _folium().Element(f"{{% raw %}}<style>{style}</style><script>{script}</script>{{% endraw %}}")


def _projected(probability: np.ndarray, grid: Grid) -> tuple[np.ndarray, list[list[float]]]:
    """Probability on the grid of a web map, and the corners of that: south-west and north-east, latitude first."""
    from affine import Affine
    from rasterio.warp import reproject, transform

    crs = _mercator(grid)
    # the outline of a grid is bent on a web map
    side = np.linspace(0, 1, 21)
    row, col = np.concatenate([[0 * side, side], [0 * side + 1, side], [side, 0 * side], [side, 0 * side + 1]], axis=1)
    xy = np.transpose(transform(grid.crs, crs, *grid.xy(row * grid.shape[0], col * grid.shape[1]).T))
    (west, south), (east, north) = xy.min(axis=0), xy.max(axis=0)
    pixel = max(east - west, north - south) / max(grid.shape)
    width, height = (max(1, round(length / pixel)) for length in (east - west, north - south))
    place = Affine((east - west) / width, 0, west, 0, (south - north) / height, north)
    out = np.full((height, width), np.nan, np.float32)
    reproject(
        probability, out, src_transform=grid.transform, src_crs=grid.crs, src_nodata=np.nan, dst_transform=place,
        dst_crs=crs, dst_nodata=np.nan,
    )  # fmt: skip
    return out, _degrees(np.array([[west, south], [east, north]]), grid)[:, ::-1].tolist()


def _middle(grid: Grid) -> float:
    """Longitude of the grid's middle."""
    from rasterio.warp import transform

    x, y = grid.xy(grid.shape[0] / 2, grid.shape[1] / 2)
    return float(transform(grid.crs, "EPSG:4326", [x], [y])[0][0])


def _mercator(grid: Grid) -> str:
    """The projection of web maps, counted from the grid's middle: so that no grid is torn at 180 degrees."""
    return f"+proj=merc +a={_RADIUS} +b={_RADIUS} +lon_0={_middle(grid)} +units=m +nadgrids=@null +no_defs"


def _degrees(xy: np.ndarray, grid: Grid) -> np.ndarray:
    """Longitude, counted on beyond 180, and latitude of places in `_mercator`."""
    longitude = _middle(grid) + np.degrees(xy[:, 0] / _RADIUS)
    return np.stack([longitude, np.degrees(np.arctan(np.sinh(xy[:, 1] / _RADIUS)))], axis=1)
