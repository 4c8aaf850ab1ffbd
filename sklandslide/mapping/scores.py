"""What an inventory says of a map: scores at a threshold, curves over all of them, and which one to choose."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..exceptions import InventoryError
from ..geodata import beside, covered_pixels, ground_area, pixel_areas, polygon_areas, read_inventory
from ..metrics import (
    area_precision_recall,
    area_reliability,
    area_scores,
    f1_of,
    froc_curve,
    hits_by_size,
    map_scores,
    on_map_and_hit,
)
from . import vectors
from .probability import ProbabilityRaster

if TYPE_CHECKING:
    import pandas


class ScoredMap(ProbabilityRaster):
    """A raster of probabilities that can be compared with an inventory; `sklandslide.LandslideMap` is one."""

    def score(
        self,
        inventory: Any,
        *,
        threshold: float | None = None,
        layer: str | None = None,
        class_column: str | None = "class",
        positive: Any = "landslide",
    ) -> dict[str, float]:
        """Compare the map with an inventory of landslides.

        Parameters
        ----------
        inventory : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            Polygons of all landslides on the map.
        threshold : float, default=None
            As in `points`.
        layer : str or None, default=None
            Layer of a file that has several.
        class_column : str or None, default="class"
            Column that holds the class; None takes every polygon as a landslide, and so does the default where there is
            no such column.
        positive : object, default="landslide"
            The class that is landslide; other polygons count as ground without landslide.

        Returns
        -------
        dict of str to float
            By pixel: ``precision``, share of the red points that lie on a landslide, tp / (tp + fp); ``recall``, share
            of the landslides' pixels that are red, tp / (tp + fn); ``accuracy``, (tp + tn) / (tp + fp + tn + fn);
            ``f1``, 2 tp / (2 tp + fp + fn); the counts ``n_points`` (red points), ``tp``, ``fp``, ``fn`` and ``tn``.

            By landslide: ``hit_rate``, share of landslides with at least one red point, n_hit / n_landslides; the
            counts ``n_landslides`` (on the valid map), ``n_hit`` and ``n_outside`` (off it, counted nowhere else).

            By false alarm, a connected red area without a pixel on a landslide: ``false_alarms_per_km2``,
            n_false_alarms / valid_km2; ``n_false_alarms``; ``valid_km2``, area of the valid map.

            By area on the ground: ``area_precision``, share of the red area that lies on landslides, hit_km2 / red_km2;
            ``area_recall``, share of the landslides' area that is red, hit_km2 / landslide_km2; ``red_km2``, area of
            all red pixels; ``landslide_km2``, area of the landslides on valid pixels, ground on several landslides
            counted once; ``hit_km2``, area of the intersection of both.

            A share of nothing (0 / 0) is NaN.

        Raises
        ------
        InventoryError, SceneReadError
            If the inventory has no usable polygons, as in `sample_polygons`; if the map cannot be read.
        ValueError
            If the threshold is not a number from 0 to 1.

        Notes
        -----
        A pixel lies on a landslide if its centre does. A landslide too small to hold a centre is given the one pixel
        that holds its representative point, so that it can be found. Nodata pixels count nowhere. Areas do not go by
        centres: of each pixel the share within the polygons is exact, and a landslide counts with the part that lies on
        valid pixels.

        Where windows overlap, pixels are not independent, and a landslide seen at a window's edge makes red points off
        it: ``precision`` is lower than on a test set of patches as in the paper's Table 3.

        References
        ----------
        Nava et al. (2021), equations (4) to (6) for accuracy, precision and recall.
        """
        probability, red = self._red(threshold)
        valid = ~np.isnan(probability)
        geometries = self._landslides(inventory, layer, class_column, positive)
        pixels, owners = vectors.landslide_pixels(geometries, self.grid)
        on_map, _ = on_map_and_hit(pixels, owners, len(geometries), red, valid)
        covered, share = covered_pixels(geometries[on_map], self.grid)
        share = share * pixel_areas(self.grid, covered)
        valid_m2 = ground_area(self.grid, valid, 1)[1]
        areas = area_scores(
            red_m2=float(ground_area(self.grid, red, 1)[1]),
            landslide_m2=float(share[valid.ravel()[covered]].sum()),
            both_m2=float(share[red.ravel()[covered]].sum()),
        )
        by_count = map_scores(pixels, owners, len(geometries), predicted=red, valid=valid, valid_km2=valid_m2 / 1e6)
        return {**by_count, **areas}

    def hit_rates(
        self,
        inventory: Any,
        *,
        edges: Sequence[float] = (1_000, 10_000),
        threshold: float | None = None,
        layer: str | None = None,
        class_column: str | None = "class",
        positive: Any = "landslide",
    ) -> pandas.DataFrame:
        """Share of landslides hit, by their size.

        Parameters
        ----------
        inventory, threshold, layer, class_column, positive
            As in `score`.
        edges : sequence of float, default=(1000, 10000)
            Limits between the size classes in square metres on the ground, larger than 0 and increasing; below the
            first and above the last there is a class each. The area is that of the whole polygon, also where it reaches
            beyond the valid map.

        Returns
        -------
        pandas.DataFrame
            A row for each class, from small to large: ``area_from_m2`` and ``area_to_m2`` (the limits; a landslide of
            exactly a limit's area is in the class above it, and the last is infinite), ``n_landslides``, ``n_hit`` and
            ``hit_rate``, n_hit / n_landslides (NaN for a class without landslides). Landslides and hits are those of
            `score`, and add up to its counts: landslides off the valid map are in no class.

        Raises
        ------
        ValueError
            If the edges are not increasing numbers larger than 0, or as in `points`.
        InventoryError, SceneReadError
            As in `score`.
        """
        import pandas

        probability, red = self._red(threshold)
        geometries = self._landslides(inventory, layer, class_column, positive)
        pixels, owners = vectors.landslide_pixels(geometries, self.grid)
        on_map, hit = on_map_and_hit(pixels, owners, len(geometries), red, ~np.isnan(probability))
        areas = polygon_areas(geometries, self.grid)
        return pandas.DataFrame(hits_by_size(areas, on_map, hit, edges))

    def froc(self, inventory: Any, *, thresholds: Any = None, **options: Any) -> pandas.DataFrame:
        """Free-response ROC: landslides hit against false alarms per km2, by threshold.

        Parameters
        ----------
        inventory : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            As in `score`.
        thresholds : array-like of float, default=None
            By default about a hundred, such that the red area grows by the same factor from each to the next.
        **options
            ``layer``, ``class_column`` and ``positive`` of `score`.

        Returns
        -------
        pandas.DataFrame
            A row for each threshold, from high to low: ``threshold``, ``n_hit``, ``hit_rate``, ``n_false_alarms`` and
            ``false_alarms_per_km2``, those of `score` at this threshold. `FROCDisplay` draws them.

        Raises
        ------
        InventoryError
            As in `score`, and if no landslide lies on the valid map.
        SceneReadError
            As in `score`.

        Notes
        -----
        Low thresholds join false alarms with each other and with landslides: their number falls again.
        """
        import pandas

        probability = self.read()
        valid = ~np.isnan(probability)
        geometries, pixels, owners, _ = self._on_map(inventory, valid, options)
        valid_km2 = ground_area(self.grid, valid, 1)[1] / 1e6
        curve = froc_curve(probability, pixels, owners, len(geometries), valid_km2=valid_km2, thresholds=thresholds)
        return pandas.DataFrame(curve)

    def precision_recall(self, inventory: Any, **options: Any) -> pandas.DataFrame:
        """Precision and recall of ground area, by threshold.

        Parameters
        ----------
        inventory : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            As in `score`.
        **options
            ``layer``, ``class_column`` and ``positive`` of `score`.

        Returns
        -------
        pandas.DataFrame
            A row for each threshold, from low to high: ``threshold``, ``area_precision`` and ``area_recall``, those of
            `score` at this threshold, and ``area_f1``, their harmonic mean. The thresholds are all values of the map,
            but for those that leave the recall between their neighbours' as it is.
            `AreaPrecisionRecallDisplay` draws them.

        Raises
        ------
        InventoryError, SceneReadError
            As in `froc`.
        """
        import pandas

        precision, recall, threshold, _ = area_precision_recall(*self._by_area(inventory, options))
        names = ("threshold", "area_precision", "area_recall", "area_f1")
        return pandas.DataFrame(dict(zip(names, (threshold, precision, recall, f1_of(precision, recall)), strict=True)))

    def average_precision(self, inventory: Any, **options: Any) -> float:
        """Average precision of ground area: how well the map ranks ground, whatever the threshold.

        Parameters
        ----------
        inventory, **options
            As in `precision_recall`.

        Returns
        -------
        float
            Sum over all thresholds of precision times the gain in recall. The share of landslide on the ground is what
            a map that knows nothing gets; 1 is a map that draws the inventory's outlines in whole pixels.

        Raises
        ------
        InventoryError, SceneReadError
            As in `froc`.
        """
        return area_precision_recall(*self._by_area(inventory, options))[-1]

    def reliability(self, inventory: Any, *, n_bins: int = 10, **options: Any) -> pandas.DataFrame:
        """Compare probabilities with the share of ground that is landslide.

        Parameters
        ----------
        inventory : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            As in `score`.
        n_bins : int, default=10
            Bins of probability, of equal width.
        **options
            ``layer``, ``class_column`` and ``positive`` of `score`.

        Returns
        -------
        pandas.DataFrame
            A row for each bin: ``probability_from`` and ``probability_to``, ``mean_probability`` and
            ``landslide_share`` of its ground (NaN where there is none), and ``ground_km2``. Where probabilities mean
            what they say, the two are equal; scikit-learn's ``CalibrationDisplay(landslide_share, mean_probability,
            None)`` draws them. See also the parameter ``prevalence`` of `LandslideCNN`.

        Raises
        ------
        ValueError
            If `n_bins` is less than 1.
        InventoryError, SceneReadError
            As in `froc`.
        """
        import pandas

        if n_bins < 1:
            raise ValueError(f"n_bins={n_bins!r}: a reliability curve needs bins. Give 1 or more.")
        return pandas.DataFrame(area_reliability(*self._by_area(inventory, options), n_bins=n_bins))

    def choose_threshold(
        self,
        inventory: Any,
        *,
        max_false_alarms_per_km2: float | None = None,
        min_hit_rate: float | None = None,
        **options: Any,
    ) -> float:
        """Choose the threshold by a rule: best F1 by area, at most so many false alarms, or at least such a hit rate.

        Choose it on a map of ground that the model was not trained on, such as `cross_val_map` makes.

        Parameters
        ----------
        inventory : path, geopandas.GeoDataFrame or object with ``__geo_interface__``
            As in `score`.
        max_false_alarms_per_km2 : float, default=None
            The highest hit rate with at most so many false alarms per km2.
        min_hit_rate : float, default=None
            The fewest false alarms with at least such a hit rate, 0 to 1.
        **options
            ``layer``, ``class_column`` and ``positive`` of `score`.

        Returns
        -------
        float
            By default the threshold of the highest F1 by area. Of equals the highest.

        Raises
        ------
        ValueError
            If two rules are given, or no threshold fulfils the rule.
        InventoryError, SceneReadError
            As in `froc`.

        Notes
        -----
        Thresholds are tried from the highest down to the first that breaks the rule: further down red areas grow
        together to fewer, larger ones, and nobody wants a map that is red all over for its single false alarm.

        Keep the threshold with the model by scikit-learn's ``FixedThresholdClassifier(FrozenEstimator(model),
        threshold=threshold).fit(X, y)``. It is saved with it, stands in its card, and its maps take it by default.
        """
        if max_false_alarms_per_km2 is not None and min_hit_rate is not None:
            raise ValueError(
                f"max_false_alarms_per_km2={max_false_alarms_per_km2!r} and min_hit_rate={min_hit_rate!r} are two "
                "rules, and one threshold seldom fulfils both. Give one of them, or none for the best F1 by area."
            )
        if max_false_alarms_per_km2 is None and min_hit_rate is None:
            curve = self.precision_recall(inventory, **options)[::-1]
            return float(curve["threshold"][curve["area_f1"].idxmax()])
        return _by_rule(self.froc(inventory, **options), max_false_alarms_per_km2, min_hit_rate)

    def _landslides(
        self, inventory: Any, layer: str | None = None, class_column: str | None = "class", positive: Any = "landslide"
    ) -> np.ndarray:
        options = {"layer": layer, "class_column": class_column, "positive": positive}
        read = read_inventory(inventory, self.grid.crs, id_column=None, **options)
        return beside(read.geometries[read.labels == 1], self.grid)

    def _on_map(
        self, inventory: Any, valid: np.ndarray, options: dict[str, Any]
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Landslides, their pixels, and which are on the valid map; InventoryError if none is."""
        geometries = self._landslides(inventory, **options)
        pixels, owners = vectors.landslide_pixels(geometries, self.grid)
        on_map, _ = on_map_and_hit(pixels, owners, len(geometries), valid, valid)
        if not on_map.any():
            raise InventoryError(
                f"None of the {len(geometries)} landslides lies on the valid part of {self.path}, so there is nothing "
                "to compare it with. Give an inventory of this ground."
            )
        return geometries, pixels, owners, on_map

    def _by_area(self, inventory: Any, options: dict[str, Any]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each valid pixel the probability, the ground area, and how much of it is landslide."""
        probability = self.read().ravel()
        valid = ~np.isnan(probability)
        geometries, _, _, on_map = self._on_map(inventory, valid, options)
        covered, share = covered_pixels(geometries[on_map], self.grid)
        landslide = np.zeros(probability.size)
        landslide[covered] = share
        pixels = np.flatnonzero(valid)
        area = pixel_areas(self.grid, pixels)
        return probability[pixels], area, landslide[pixels] * area


def _by_rule(curve: pandas.DataFrame, most_alarms: float | None, least_hits: float | None) -> float:
    """The threshold that fulfils the one rule that is given."""
    if least_hits is not None:
        kept = curve[curve["hit_rate"] >= least_hits]
        rule, best = f"min_hit_rate={least_hits!r}", f"hits {curve['hit_rate'].max():.3g} of the landslides"
    else:
        kept = curve[(curve["false_alarms_per_km2"] <= most_alarms).cummin()]
        kept = kept[kept["hit_rate"] == kept["hit_rate"].max()]
        rule = f"max_false_alarms_per_km2={most_alarms!r}"
        best = f"has {curve['false_alarms_per_km2'][0]:.3g} false alarms per km2"
    if kept.empty:
        at = "lowest" if least_hits is not None else "highest"
        raise ValueError(f"No threshold fulfils {rule}: the {at} one of the map {best}. Ask for less.")
    return float(kept["threshold"].iloc[0])
