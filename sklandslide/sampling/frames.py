"""Locations as a GeoDataFrame of points, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exceptions import SceneError


def frame_of(X: Any, columns: dict[str, Any]) -> Any:
    """Points in the scenes' coordinate system, with these columns and what X knows of each row."""
    import geopandas

    systems = list(dict.fromkeys(scene.grid.crs for scene in X.scenes))
    if len(systems) > 1:
        names = ", ".join("none" if crs is None else crs.to_string()[:80] for crs in systems)
        raise SceneError(
            f"X lies on scenes with different coordinate systems ({names}), and a GeoDataFrame has one. Give the rows "
            "of one scene: X[X.scene_index == 0]."
        )
    known = {"area": X.area, "scene": X.scene_index if len(X.scenes) > 1 else None}
    filled = {name: np.asarray(values) for name, values in {**known, **columns}.items() if values is not None}
    for name, values in filled.items():
        if values.shape != (len(X),):
            raise ValueError(
                f"Column {name!r} has shape {values.shape}; give a value for each of the {len(X)} rows of X."
            )
    points = geopandas.points_from_xy(*X.xy.T)
    crs = None if systems[0] is None else systems[0].to_wkt()
    return geopandas.GeoDataFrame(filled, geometry=points, crs=crs)


def points_of(frame: Any, crs: Any) -> np.ndarray:
    """Coordinates of a GeoDataFrame's points in a coordinate system, shape (n, 2)."""
    import geopandas
    import shapely

    if not isinstance(frame, geopandas.GeoDataFrame | geopandas.GeoSeries):
        raise SceneError(f"{type(frame).__name__} is no GeoDataFrame. Use Locations(scene, xy) for coordinates.")
    if frame.crs is not None and crs is None:
        raise SceneError(
            f"The points have a coordinate system ({frame.crs.to_string()[:200]}) and the scene has none, so they "
            "cannot be placed on it. Give the scene its CRS."
        )
    points = frame.geometry if frame.crs is None else frame.geometry.to_crs(crs.to_wkt())
    kinds = set(points.geom_type.fillna("missing geometry"))
    if kinds - {"Point"} or points.is_empty.any():
        raise SceneError(
            f"The rows are {', '.join(sorted(kinds)) or 'empty'}; locations are points. Of polygons sample_polygons "
            "makes samples."
        )
    return shapely.get_coordinates(points.to_numpy())
