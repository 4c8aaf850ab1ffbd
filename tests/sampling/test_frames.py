"""Locations as points of a GeoDataFrame, and back."""

import geopandas
import numpy as np
import pytest
from affine import Affine
from scenes import random_scene
from shapely.geometry import Point, box

from sklandslide import Locations
from sklandslide.exceptions import SceneError

ZONE_55 = {"crs": "EPSG:32655", "seed": 1}


def some(n=5, area=True, **scene):
    scene = random_scene((60, 70), **scene)
    xy = scene.grid.xy(np.arange(n) + 10.5, np.arange(n) + 20.5)
    return Locations(scene, xy, area=np.arange(n) * 100.0 if area else None)


def test_there_and_back():
    X = some()
    frame = X.to_geodataframe(y=[0, 1, 0, 1, 1], groups=list("abcab"), probability=np.linspace(0, 1, 5))
    assert list(frame.columns) == ["area", "y", "groups", "probability", "geometry"]
    assert frame.crs == "EPSG:32654"
    back = Locations.from_geodataframe(X.scenes[0], frame)
    np.testing.assert_array_equal(back.xy, X.xy)
    np.testing.assert_array_equal(back.area, X.area)
    assert back.scenes == X.scenes


def test_what_is_not_known_is_no_column():
    frame = some(area=False).to_geodataframe()
    assert list(frame.columns) == ["geometry"]
    assert Locations.from_geodataframe(some().scenes[0], frame).area is None


def test_points_are_brought_into_the_scenes_system():
    X = some()
    degrees = X.to_geodataframe().to_crs("EPSG:4326")
    np.testing.assert_allclose(Locations.from_geodataframe(X.scenes[0], degrees).xy, X.xy, atol=1e-3)
    bare = geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(*X.xy.T))
    np.testing.assert_array_equal(Locations.from_geodataframe(X.scenes[0], bare).xy, X.xy)
    np.testing.assert_array_equal(Locations.from_geodataframe(X.scenes[0], bare.geometry).xy, X.xy)


def test_rows_of_several_scenes_say_which():
    both = Locations.concatenate([some(2), some(3, seed=1)])
    frame = both.to_geodataframe()
    assert frame["scene"].tolist() == [0, 0, 1, 1, 1]
    with pytest.raises(
        SceneError, match=r"different coordinate systems \(EPSG:32654, EPSG:32655\).*X\.scene_index == 0"
    ):
        Locations.concatenate([some(2), some(3, **ZONE_55)]).to_geodataframe()


@pytest.mark.parametrize("values", [[0, 1], 3, [[0]] * 5])
def test_a_column_has_a_value_for_each_row(values):
    with pytest.raises(ValueError, match=r"Column 'probability' has shape .*each of the 5 rows"):
        some().to_geodataframe(probability=values)


@pytest.mark.parametrize(
    ("rows", "said"),
    [([box(0, 0, 1, 1)], "Polygon"), ([Point(0, 0), None], "missing geometry"), ([Point()], "locations are points")],
)
def test_rows_that_are_no_points_are_refused(rows, said):
    with pytest.raises(SceneError, match=rf"{said}.*sample_polygons"):
        Locations.from_geodataframe(some().scenes[0], geopandas.GeoDataFrame(geometry=rows, crs="EPSG:32654"))


def test_what_cannot_be_placed_is_refused():
    nowhere = random_scene(crs=None, transform=Affine(1, 0, 0, 0, -1, 60))
    with pytest.raises(SceneError, match=r"The points have a coordinate system \(EPSG:32654\) and the scene has none"):
        Locations.from_geodataframe(nowhere, some().to_geodataframe())
    with pytest.raises(SceneError, match="ndarray is no GeoDataFrame"):
        Locations.from_geodataframe(some().scenes[0], some().xy)
