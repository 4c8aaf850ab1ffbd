"""The simulated scene as a whole: its ground, its event and its bands, for any window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import SceneError
from ..geodata import Grid, SlopeBand, Window
from .landslides import Footprint, draw_landslides, metric_grid
from .noise import Seeds, grow
from .optical import BANDS as OPTICAL
from .optical import Optics
from .other_ground import draw_boxes
from .radar import MARGIN, Orbit
from .real_ground import RealGround
from .terrain import SimulatedGround

if TYPE_CHECKING:
    from ..geodata import Scene

_POLARISATIONS = ("VV", "VH")


@dataclass(frozen=True)
class Look:
    """The options of what is seen of a site."""

    orbit: str
    incidence: float
    backscatter: str
    n_dates: int
    event: int
    n_before: int = 1

    @property
    def dates(self) -> tuple[str, ...]:
        """Names of the dates: those of the paper first, then the further ones before the event."""
        further = (f"before{number}" for number in range(2, self.n_before + 1))
        return (*("before", "after", "after2")[: self.n_dates], *further)

    @property
    def orbits(self) -> dict[str, str]:
        """Orbits and the suffix of their bands."""
        if self.orbit == "both":
            return {"ascending": "", "descending": "_descending"}
        return {self.orbit: ""}


class Site:
    """Bands and polygons of a scene, on real ground (a scene) or simulated; computed when asked for."""

    def __init__(self, seed: int, grid: Grid, look: Look, scene: Scene | None) -> None:
        self.grid, self._look, self._scene = grid, look, scene
        self._ground_seeds = Seeds(seed) / "ground"
        self._event_seeds = Seeds(seed) / "event" / look.event
        self.ground: Any = (
            SimulatedGround(self._ground_seeds, grid) if scene is None else RealGround(self._ground_seeds, scene)
        )
        self._metric = metric_grid(self.ground)
        self._optics = Optics(self._event_seeds / "optics", self.ground.pixel) if scene is None else None
        flattened = look.backscatter == "gamma0"
        self._orbits = {
            suffix: Orbit(
                name, look.incidence, flattened, grid.shape, self.ground.pixel,
                self._ground_seeds / "cover", self._event_seeds,
            )
            for name, suffix in look.orbits.items()
        }  # fmt: skip

    @property
    def simulated(self) -> bool:
        """Whether the ground, and with it the optical bands, are simulated."""
        return self._scene is None

    @property
    def radar(self) -> list[str]:
        """Names of the radar bands."""
        return [
            f"{pol}_{date}{suffix}" for suffix in self._orbits for date in self._look.dates for pol in _POLARISATIONS
        ]

    @property
    def names(self) -> list[str]:
        """Names of all bands."""
        return [*self.radar, *(("DEM", *OPTICAL) if self._scene is None else _kept_bands(self._scene))]

    def polygons(self, density: float, landslides: list[Any] | None, boxes: list[Any] | None) -> Any:
        """The GeoDataFrame of polygons: those given (shapely, in map coordinates), drawn where None.

        `density` is landslides per km2. What the bands need of the landslides is kept.
        """
        import geopandas

        if landslides is None:
            drawn = draw_landslides(self._event_seeds, self.ground, self._metric, density)
            landslides = _moved(drawn, self._metric, self.grid)
        else:
            drawn = _moved(landslides, self.grid, self._metric)
        if boxes is None:
            boxes = _moved(draw_boxes(self._event_seeds, self.ground, self._metric, drawn), self._metric, self.grid)
        self._footprint = Footprint(self._event_seeds, drawn, self._metric)
        return geopandas.GeoDataFrame(
            {
                "class": ["landslide"] * len(landslides) + ["non-landslide"] * len(boxes),
                "id": np.arange(1, len(landslides) + len(boxes) + 1),
            },
            geometry=[*landslides, *boxes],
            crs=self.grid.crs.to_wkt(),
        )

    def bands(self, window: Window) -> dict[str, np.ndarray]:
        """Bands of a window, float32, radar in dB, NaN for nodata; `polygons` comes first."""
        wide, inner = grow(window, MARGIN), np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
        terrain, debris = self.ground.terrain(wide), self._footprint(wide)
        out: dict[str, np.ndarray] = {}
        for suffix, orbit in self._orbits.items():
            for name, band in orbit.bands(terrain, debris, self._look.dates).items():
                out[name + suffix] = np.where(terrain.known, band, np.float32(np.nan))[inner]
        if self._optics is not None:
            out["DEM"] = terrain.dem[inner]
            out |= {name: band[inner] for name, band in self._optics.bands(terrain, debris).items()}
        elif self._scene is not None and (kept := _kept_bands(self._scene)):
            pixels = self._scene.read(kept, window)
            out |= {name: pixels[..., i] for i, name in enumerate(kept)}
        return out


def _moved(outlines: list[Any], source: Grid, target: Grid) -> list[Any]:
    """Outlines from the coordinates of a grid to those of another one that has the same pixels."""
    import shapely

    def place(xy: np.ndarray) -> np.ndarray:
        rowcol = source.rowcol(xy)
        return target.xy(rowcol[:, 0], rowcol[:, 1])

    return [shapely.transform(outline, place) for outline in outlines]


def _kept_bands(scene: Scene) -> list[str]:
    """Bands of a real scene that the simulated one keeps: all but radar, and slope where it is derived."""
    return [
        name
        for name, source in scene._sources
        if not name.startswith(_POLARISATIONS) and not isinstance(source, SlopeBand)
    ]


def inventory_of(polygons: Any, grid: Grid, class_column: str | None, positive: Any) -> tuple[list[Any], list[Any]]:
    """Landslides and other polygons of a real inventory that lie on the grid, in its CRS."""
    import shapely

    from ..geodata import read_inventory

    inventory = read_inventory(polygons, grid.crs, class_column=class_column, positive=positive, id_column=None)
    rows, cols = grid.shape
    edge = shapely.Polygon(grid.xy([0, 0, rows, rows], [0, cols, cols, 0]))
    there = shapely.intersects(inventory.geometries, edge)
    landslides = inventory.geometries[there & (inventory.labels == 1)].tolist()
    if not landslides:
        raise SceneError(
            f"None of the {int((inventory.labels == 1).sum())} landslides of polygons= lies on the ground of dem=, "
            f"whose bounds are {tuple(round(b, 4) for b in grid.bounds)}. Give a DEM and polygons of the same place."
        )
    return landslides, inventory.geometries[there & (inventory.labels == 0)].tolist()
