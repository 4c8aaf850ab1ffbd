"""Small faults put into the package on purpose, one at a time: each must be caught by the tests.

``python tests/mutants.py`` copies the repository to a temporary folder, makes one change there at a time, and runs the
tests named beside it. It prints a table, and ends with status 1 where a mutant survives. The working tree is never
changed. Left out, because no caller can tell them from the original:

- `view.py`, decibels of the magnitude of power below zero: scenes deliver NaN for it (see power-below-zero-kept).
- `model_selection.py`, ``<= 1.0`` for ``< 1.0``: the tree is asked for distances below 1 and says infinity else.
- `vectors.py`, ``connectivity=8`` for ``4``: the areas were numbered by their edges before.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import SimpleQueue
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "mutants.md"
# What the tests need of the repository.
COPIED = ("sklandslide", "tests", "setup.cfg", "setup.py", "pyproject.toml")
# A mutant may make a test stand still. In seconds; the slowest selection takes about a tenth of it.
PATIENCE = 180


class Mutant(NamedTuple):
    """One change, and the tests that must fail with it.

    Parameters
    ----------
    name : str
    file : str
        In ``sklandslide/``.
    text, replacement : str
        `text` stands in the file exactly once.
    tests : str
        Files of ``tests/``, or tests in them, separated by blanks: what pytest takes.
    """

    name: str
    file: str
    text: str
    replacement: str
    tests: str

    @property
    def selection(self) -> list[str]:
        """What pytest is given."""
        return [f"tests/{test}" for test in self.tests.split()]

    def applied(self, source: str) -> str:
        """The file's text with the change; ValueError where it is no single change to a file that still compiles."""
        if (count := source.count(self.text)) != 1 or self.text == self.replacement:
            raise ValueError(f"{self.name}: {self.text!r} stands {count} times in {self.file}; it must stand once.")
        changed = source.replace(self.text, self.replacement)
        try:
            compile(changed, self.file, "exec")
        except SyntaxError as error:
            raise ValueError(f"{self.name}: {error}") from error
        return changed


MAP = "mapping/test_mapping.py::"
RESTART = "mapping/test_restart.py::"
SHARED = "mapping/test_shared.py::"
LAW = f"{MAP}test_map_is_every_window_that_fits_once"
STATES = f"{SHARED}test_states_by_brute_force {SHARED}test_maps_are_kept_where_windows_need_them"
# Two convolutions with padding, three bands, nodata.
KERNEL = f"{SHARED}test_the_kernel_equals_each_window_by_itself_on_all_processors"
EQUAL = f"{SHARED}test_shared_equals_window_by_window[15-2-2-same-3]"
KEPT = f"{RESTART}test_only_tiles_that_are_whole_count_and_the_others_are_computed_again"
PLACE = f"{RESTART}test_a_tile_counts_in_its_own_place_of_its_own_map"
OTHERWISE = f"{RESTART}test_with_anything_else_it_starts_over_and_says_so"
SCENE = "geodata/test_scene.py::"
CONTRACT = "features/test_contract.py::"
NEGATIVES = "sampling/test_negatives.py::"
OBJECTS = "mapping/test_objects.py::"
CHOICE = "archives/test_choice.py::"
ARCHIVE = "archives/test_archive_scene.py::"
LOOKING = "plots/test_looking.py::"
MODELS = "persistence/test_model_file_faults.py::"

MUTANTS = [
    # ---- the grid: pixels, map coordinates, windows
    Mutant("xy-row-for-column", "geodata/grid.py", "t.a * col + t.b * row", "t.a * row + t.b * col", "geodata/test_grid.py"),
    Mutant("rowcol-swapped", "geodata/grid.py", "[(t.a * y - t.d * x) / det, (t.e * x - t.b * y) / det]",
           "[(t.e * x - t.b * y) / det, (t.a * y - t.d * x) / det]", "geodata/test_grid.py"),
    Mutant("patch-half-a-pixel-off", "geodata/grid.py", "(0.5 + _TIE)", "_TIE", "geodata/test_grid.py"),
    Mutant("tie-left-to-rounding", "geodata/grid.py", "(0.5 + _TIE)", "0.5", "geodata/test_grid.py"),
    Mutant("map-half-a-window-off", "geodata/grid.py", "first = (patch_size - step) / 2", "first = patch_size / 2",
           "geodata/test_grid.py"),
    Mutant("last-window-lost", "geodata/grid.py", "length - patch_size + 1", "length - patch_size", "geodata/test_grid.py"),
    Mutant("tile-rows-for-columns", "geodata/grid.py", "min(size, shape[1] - col)", "min(size, shape[0] - col)",
           "geodata/test_grid.py"),
    # ---- rasters and scenes
    Mutant("nodata-tag-ignored", "geodata/raster.py", "[] if tag is None else [differ(values, tag)]", "[]",
           f"{SCENE}test_a_tag_is_nodata_to_the_last_places_that_gdal_looks_at"),
    Mutant("mask-ignored", "geodata/raster.py", "not in _NO_MASK:", "in ():", f"{SCENE}test_mask_tag_and_declared_values_count_together"),
    Mutant("declared-nodata-ignored", "geodata/raster.py", "(*masks, *(values != value for value in nodata))", "masks",
           f"{SCENE}test_zeros_are_nodata_only_where_declared"),
    Mutant("raster-window-transposed", "geodata/raster.py", "RasterioWindow(window.col_off, window.row_off,",
           "RasterioWindow(window.row_off, window.col_off,",
           f"{SCENE}test_windows_of_a_mixed_scene_equal_the_whole_bit_for_bit"),
    Mutant("always-the-first-band", "geodata/raster.py", "dataset.read(self.index,", "dataset.read(1,",
           f"{SCENE}test_a_file_can_hold_several_bands"),
    Mutant("tag-of-the-first-band", "geodata/raster.py", "dataset.nodatavals[self.index - 1]", "dataset.nodatavals[0]",
           "geodata/test_nodata.py::test_each_band_of_a_file_has_its_own_nodata"),
    Mutant("changed-file-read", "geodata/raster.py", "if stamp_of(self.files) != self.stamp:", "if False:",
           f"{SCENE}test_a_file_that_was_rewritten_is_another_scene_and_the_old_one_says_so"),
    Mutant("sources-of-a-vrt-not-looked-at", "geodata/opening.py", "in _sources(path):", "in []:",
           "geodata/test_hostile_rasters.py::test_an_address_is_no_path_and_no_source_of_a_vrt"),
    Mutant("first-layer-taken", "geodata/polygon_files.py", "[name for name in layers if name == layer]", "layers[:1]",
           "geodata/test_hostile_polygons.py::test_layers_are_not_chosen_in_silence"),
    Mutant("scale-of-a-band-ignored", "geodata/raster.py", "if scale == (1, 0) else", "if True else",
           "geodata/test_hostile_rasters.py::test_scale_and_offset_are_applied_before_a_band_is_warped"),
    Mutant("border-of-zeros-kept", "geodata/nodata.py", "pixels[pixels == 0] = np.nan", "pass",
           "geodata/test_nodata.py::test_the_border_of_a_radar_scene_has_no_influence_on_its_neighbours"),
    Mutant("power-below-zero-kept", "geodata/nodata.py", "pixels[~(pixels > 0)] = np.nan", "pixels[pixels == 0] = np.nan",
           "geodata/test_nodata.py::test_the_border_of_a_radar_scene_has_no_influence_on_its_neighbours"),
    Mutant("border-resampled-with-the-rest", "geodata/warping.py", "pixels = clean(band.read(source))",
           "pixels = band.read(source)",
           "geodata/test_nodata.py::test_the_border_of_a_radar_scene_has_no_influence_on_its_neighbours"),
    Mutant("longitudes-beyond-180-lost", "geodata/warping.py", "(0.0, whole, -whole)", "(0.0,)",
           "geodata/test_geometry.py::test_a_band_in_degrees_serves_a_scene_that_crosses_180"),
    Mutant("slope-edges-swapped", "geodata/raster.py", "(1 - left, 1 - right)", "(1 - right, 1 - left)", "geodata/test_terrain.py"),
    Mutant("fingerprint-without-units", "geodata/scene.py", "self.grid.shape, self._units,", "self.grid.shape,",
           f"{SCENE}test_equal_scenes_are_equal_and_any_difference_tells"),
    Mutant("crop-stays-in-place", "geodata/scene.py", "grid = self.grid.crop(where)",
           "grid = Grid(self.grid.crs, self.grid.transform, (where.height, where.width))",
           f"{SCENE}test_a_crop_is_what_is_read"),
    Mutant("masked-array-unmasked", "geodata/options.py", "if isinstance(array, np.ma.MaskedArray)", "if False",
           f"{SCENE}test_a_masked_arrays_mask_is_nodata"),
    Mutant("given-slope-replaced", "geodata/making.py", 'if "DEM" in sources and "Slope" not in sources:',
           'if "DEM" in sources:', "geodata/test_terrain.py"),
    # ---- bands on other grids
    Mutant("shift-with-the-wrong-sign", "geodata/warping.py", "window.row_off + offset[0]", "window.row_off - offset[0]",
           f"{SCENE}test_bands_shifted_by_whole_pixels_are_copied"),
    Mutant("half-a-pixel-taken-for-aligned", "geodata/warping.py", "_ALIGNED = 1e-3", "_ALIGNED = 0.6",
           "geodata/test_values_as_read.py::test_a_band_that_lies_off_by_a_part_of_a_pixel_is_resampled"),
    Mutant("nodata-warped-as-a-value", "geodata/warping.py", "src_nodata=np.nan,", "src_nodata=None,",
           "geodata/test_values_as_read.py::test_a_hole_grows_by_no_pixel_when_it_is_resampled"),
    Mutant("warped-from-the-window", "geodata/warping.py", "row0 * _WARP_BLOCK, window.row_off",
           "window.row_off, window.row_off", f"{SCENE}test_windows_of_a_mixed_scene_equal_the_whole_bit_for_bit"),
    Mutant("no-margin-for-the-kernel", "geodata/warping.py", "np.floor(first - 4 * shrink)", "np.floor(first)",
           f"{SCENE}test_a_ramp_is_resampled_to_the_same_ramp"),
    Mutant("overlap-by-the-lower-edge-only", "geodata/warping.py", "(low < source.shape).all() and (high > 0).all()",
           "(low < source.shape).all()", f"{SCENE}test_bands_that_share_no_ground_are_refused"),
    # ---- slope
    Mutant("horns-weights", "geodata/terrain.py", "+ 2 * change[:, 1:-1]", "+ change[:, 1:-1]", "geodata/test_terrain.py"),
    Mutant("degrees-as-long-everywhere", "geodata/terrain.py", " * np.abs(np.cos(latitude))", "", "geodata/test_terrain.py"),
    Mutant("hole-in-the-middle-filled", "geodata/terrain.py", "slope[np.isnan(z[1:-1, 1:-1])] = np.nan", "pass",
           "geodata/test_terrain.py"),
    Mutant("slope-by-rows-only", "geodata/terrain.py", "_horn(z.T).T, grid", "_horn(z), grid", "geodata/test_terrain.py"),
    Mutant("projection-scale-inverted", "geodata/terrain.py", "grid.crs.linear_units_factor[1] ** -2.0",
           "grid.crs.linear_units_factor[1] ** 2.0",
           "geodata/test_geometry.py::test_a_hillside_has_its_slope_in_every_coordinate_system"),
    Mutant("heights-that-no-land-has", "geodata/terrain.py", "if wrong.any():", "if False:",
           "geodata/test_nodata.py::test_voids_of_a_dem_that_are_not_declared_are_refused"),
    # ---- composites
    Mutant("dates-swapped", "composites.py", '"BAD": ("VV_before", "VV_after",', '"BAD": ("VV_after", "VV_before",',
           "test_composites.py"),
    Mutant("second-date-never-used", "composites.py", "if band in _SECOND_DATE and band not in available",
           "if band in _SECOND_DATE", "test_composites.py"),
    Mutant("difference-with-the-wrong-sign", "composites.py", "plus - minus[0]",
           "minus[0] - plus", "features/test_bands_and_patches.py"),
    Mutant("decibels-of-amplitude", "features/view.py", "out *= 10", "out *= 20", "features/test_bands_and_patches.py"),
    Mutant("linear-power-not-converted", "features/view.py", '== "linear":', '== "power":', "features/test_bands_and_patches.py"),
    Mutant("dates-of-another-orbit-taken", "composites.py", 'if re.fullmatch("[0-9]*", number)]', "]", "test_composites.py"),
    Mutant("spread-of-all-dates", "composites.py", "spread = base[0].std(axis=0, ddof=1)",
           "spread = np.concatenate([first, base[0]]).std(axis=0, ddof=1)", "features/test_bands_and_patches.py"),
    Mutant("no-spread-divides", "composites.py", "np.where(spread > 0, spread, np.nan)", "np.maximum(spread, 1e-3)",
           "features/test_bands_and_patches.py"),
    Mutant("change-of-the-corner", "features/local_change.py", "(side - self.size) // 2", "0", "features/test_local_change.py"),
    Mutant("other-units-taken", "features/bands.py", "if expected != found:", "if False:", "features/test_bands_and_patches.py"),
    # ---- locations and patches
    Mutant("last-patch-refused", "sampling/locations.py", "(first <= last)", "(first < last)",
           "features/test_bands_and_patches.py sampling/test_locations.py"),
    Mutant("last-row-of-a-window-unchecked", "sampling/locations.py", "p = patch_size\n", "p = patch_size - 1\n",
           "sampling/test_locations.py"),
    Mutant("nodata-in-one-band-accepted", "sampling/locations.py", ".any(axis=-1), patch_size)", ".all(axis=-1), patch_size)",
           "sampling/test_locations.py"),
    Mutant("patches-transposed", "sampling/locations.py", "(line, pixel, line, value)", "(pixel, line, line, value)",
           "sampling/test_locations.py"),
    Mutant("rows-on-the-first-scene", "sampling/locations.py", "np.array(place, np.int64)[part.scene_index]", "part.scene_index",
           "sampling/test_locations.py"),
    Mutant("rows-kept-above-dropped", "sampling/regions.py", "buffer[: p - 1] = buffer[height:]", "pass", "sampling/test_locations.py"),
    Mutant("cut-off-the-blocks", "sampling/regions.py", "(start // step + 1) * step", "start + step",
           "sampling/test_locations.py::test_what_is_read_at_once_begins_and_ends_between_blocks"),
    Mutant("nodata-in-a-training-patch", "features/patches.py", "if not holes.any():", "if True:", "features/test_bands_and_patches.py"),
    # ---- a scene that a model was not made for
    Mutant("pixels-of-another-size-taken", "features/bands.py",
           "if tolerance is None or sizes_agree(self.pixel_size_, size, tolerance):", "if True:",
           f"{CONTRACT}test_pixels_of_another_size_are_refused_or_allowed"),
    Mutant("values-of-another-kind-taken", "features/contract.py", "if sampler.check_values and sampler.value_quantiles_ is not None:", "if False:",
           f"{CONTRACT}test_power_declared_as_decibels_is_refused"),
    Mutant("bands-in-another-order-taken", "features/contract.py", "if (tuple(scene.bands), units_of(scene)) == (bands, units):",
           "if sorted(scene.bands) == sorted(bands):",
           f"{CONTRACT}test_a_pipeline_without_a_stacker_knows_its_bands_by_order_and_units"),
    Mutant("patch-size-changed-after-fitting", "features/patches.py", "if size != fitted:", "if False:",
           f"{CONTRACT}test_a_patch_size_that_was_changed_after_fitting_is_refused"),
    # ---- from a catalogue, and looking
    Mutant("later-dates-after-the-event", "archives/choice.py", "if rules.after(one)][:2]", "if rules.after(one)][-2:]",
           f"{CHOICE}test_last_date_before_and_first_two_after_of_each_track"),
    Mutant("first-date-before-the-event", "archives/choice.py", "if rules.before(one)][-1:]", "if rules.before(one)][:1]",
           f"{CHOICE}test_last_date_before_and_first_two_after_of_each_track"),
    Mutant("half-covered-dates-chosen", "archives/choice.py", "if one.coverage < self.min_coverage:", "if False:",
           f"{CHOICE}test_last_date_before_and_first_two_after_of_each_track"),
    Mutant("day-of-the-event-taken-for-after", "archives/choice.py", "return one.begin >= self.event.last",
           "return one.begin >= self.event.first", f"{CHOICE}TestEvent"),
    Mutant("older-copy-read", "archives/passes.py", "key=_newest_first, reverse=True", "key=_newest_first",
           f"{CHOICE}test_what_is_left_out_says_why"),
    Mutant("neighbouring-frames-are-doubles", "archives/passes.py", "> _SAME_GROUND * max(", "> 0 * max(",
           f"{CHOICE}test_neighbouring_frames_are_no_doubles"),
    Mutant("signatures-are-other-pixels", "archives/reading.py", "(item.id, bare(asset.href),", "(item.id, asset.href,",
           f"{ARCHIVE}test_it_is_the_same_scene_whatever_the_addresses_are_signed_with"),
    Mutant("offset-of-reflectance-forgotten", "archives/reading.py", "np.float32(layer.offset)", "np.float32(0)",
           f"{ARCHIVE}test_optical_bands_and_heights_lie_on_the_same_grid"),
    Mutant("broken-connection-not-tried-anew", "archives/reading.py", "_TRIES = 3", "_TRIES = 1",
           "archives/test_fetching.py::test_connections_that_break_off_are_tried_anew"),
    Mutant("dates-drawn-over-ranges-of-their-own", "plots/imagery.py", "if polarisation else band\n", "if False else band\n",
           f"{LOOKING}TestScene::test_dates_of_a_polarisation_share_a_range_and_one_bar"),
    Mutant("best-first-on-the-sheet", "plots/patches.py", "np.argsort(-np.abs(y_true - y_score)", "np.argsort(np.abs(y_true - y_score)",
           f"{LOOKING}TestPatches::test_the_worst_come_first_as_they_are_read"),
    Mutant("values-looked-at-in-one-corner", "features/contract.py", "(np.arange(used) + 0.5) * of / used", "(np.arange(used) + 0.5) * 0",
           f"{CONTRACT}test_few_values_of_few_blocks_are_read_all_over_the_scene"),
    # ---- samples
    Mutant("lattice-on-pixel-corners", "sampling/from_polygons.py", "rows[:, None] + 0.5, cols[None, :] + 0.5",
           "rows[:, None], cols[None, :]", "sampling/test_sampling.py::test_samples_are_all_the_lattice_points_in_the_polygons"),
    Mutant("sampling-seed-ignored", "sampling/from_polygons.py", "check_random_state(random_state)", "check_random_state(0)",
           "sampling/test_sampling.py::test_balance_and_limit_are_random_subsets_by_seed"),
    Mutant("candidates-with-nodata-sampled", "sampling/from_polygons.py", "_limited(np.flatnonzero(valid)", "_limited(np.flatnonzero(fits)",
           "sampling/test_sampling.py::test_samples_fit_the_scene_and_are_valid_at_the_largest_size"),
    Mutant("one-more-per-polygon", "sampling/from_polygons.py", "rank < max_per_polygon", "rank <= max_per_polygon",
           "sampling/test_sampling.py::test_balance_and_limit_are_random_subsets_by_seed"),
    Mutant("groups-by-position", "sampling/from_polygons.py", "[inventory.ids[samples.polygon]]", "[samples.polygon]",
           "sampling/test_sampling.py::test_samples_are_all_the_lattice_points_in_the_polygons"),
    Mutant("edges-nearer-than-asked", "sampling/negatives.py", "(apart >= low) & ", "",
           f"{NEGATIVES}test_edges_and_background_keep_their_distance_on_the_ground"),
    Mutant("background-next-to-landslides", "sampling/negatives.py", "near = np.isfinite(", "near = np.isnan(",
           f"{NEGATIVES}test_edges_and_background_keep_their_distance_on_the_ground"),
    Mutant("places-between-landslides-drawn-twice", "sampling/negatives.py", "(part == box)", "(part >= 0)",
           f"{NEGATIVES}test_all_places_within_the_limits_are_drawn_alike"),
    Mutant("distances-in-map-units", "sampling/outlines.py", "np.linalg.cholesky(np.linalg.inv(self._metric))",
           "np.broadcast_to(np.eye(2), self._metric.shape)",
           f"{NEGATIVES}test_edges_and_background_keep_their_distance_on_the_ground"),
    Mutant("extent-ignored", "sampling/outlines.py", "else ~within(self.extent, xy)", "else none",
           f"{NEGATIVES}test_negatives_are_valid_and_of_the_number_asked_for"),
    Mutant("edges-of-another-landslide", "sampling/from_polygons.py", "inventory.ids[inventory.labels == 1][some.landslide]",
           "inventory.ids[some.landslide]", f"{NEGATIVES}test_negatives_are_valid_and_of_the_number_asked_for"),
    Mutant("parts-of-the-ground-counted-twice", "sampling/areas.py", "before = total", "before = 0.0",
           f"{NEGATIVES}test_areas_are_those_of_the_parts_of_the_ground"),
    Mutant("inventory-labels-inverted", "geodata/inventory.py", "(column == positive)", "(column != positive)",
           "geodata/test_inventory.py"),
    Mutant("polygons-not-brought-to-the-scene", "geodata/inventory.py", "return frame.to_crs(crs.to_wkt())", "return frame",
           "geodata/test_inventory.py"),
    Mutant("bow-tie-not-repaired", "geodata/inventory.py", "shapely.make_valid(geometries[broken])", "geometries[broken]",
           "geodata/test_inventory.py"),
    Mutant("identifiers-twice", "geodata/inventory.py", " or not column.is_unique", "", "geodata/test_hostile_polygons.py"),
    # ---- folds
    Mutant("buffer-halved", "model_selection.py", 'buffer = _pair(self.buffer, "buffer", zero_allowed=True)',
           'buffer = _pair(self.buffer, "buffer", zero_allowed=True) / 2', "test_model_selection.py::test_no_training_patch_shares_a_pixel_with_a_test_patch"),
    Mutant("round-buffer", "model_selection.py", "p=np.inf,", "p=2,",
           "test_model_selection.py::test_no_training_patch_shares_a_pixel_with_a_test_patch"),
    Mutant("polygons-cut-by-folds", "model_selection.py", "if groups is not None:", "if False:",
           "test_model_selection.py::test_folds_part_the_samples_and_share_no_pixel"),
    Mutant("fold-seed-ignored", "model_selection.py", "check_random_state(self.random_state)", "check_random_state(0)",
           "test_model_selection.py::test_same_seed_same_folds_and_splitting_changes_nothing"),
    Mutant("systems-share-blocks", "model_selection.py", "np.column_stack([area, cell])", "np.column_stack([cell])",
           "test_model_selection.py::test_each_coordinate_system_has_blocks_of_its_own"),
    # ---- augmentation
    Mutant("prediction-augmented", "features/augmentation.py", "        return X\n", "        return self.fit_transform(X)\n",
           "features/test_augmentation.py::test_transform_gives_its_input_itself"),
    Mutant("levels-left-out", "network/programs.py", " + levels[rows]", "",
           "features/test_augmentation.py::test_ranges_reach_the_training_though_its_graph_is_shared"),
    Mutant("levels-alike-in-all-bands", "features/variants.py", "(shape[0], 1, 1, shape[3])", "(shape[0], 1, 1, 1)",
           "features/test_augmentation.py::test_brightness_shifts_each_band_of_each_patch_by_itself_in_its_own_units"),
    Mutant("augmentation-seed-ignored", "features/augmentation.py", "*changes), seed)", "*changes), None)",
           "features/test_augmentation.py::test_seeded_variants_repeat_and_unseeded_ones_are_fresh"),
    # ---- tiles and windows of a map
    Mutant("source-of-a-tile-too-large", "mapping/tiles.py", "(window.height - 1) * step + p",
           "window.height * step + p", f"{LAW} mapping/test_source.py"),
    Mutant("nodata-in-windows-ignored", "mapping/tiles.py", "missing |= np.isnan(band)", "missing &= np.isnan(band)",
           LAW),
    Mutant("last-tile-row-forgotten", "mapping/tiles.py", "(-(-last // self.side))", "(last // self.side)",
           f"{KEPT} {LAW}"),
    Mutant("probability-of-the-other-class", "mapping/windows.py", "(X)[:, task.column]", "(X)[:, 1 - task.column]",
           LAW),
    Mutant("windows-transposed", "mapping/windows.py", "rows * task.step + half, cols * task.step + half",
           "cols * task.step + half, rows * task.step + half", LAW),
    Mutant("asked-half-a-pixel-off", "mapping/windows.py", "self.task.patch_size / 2\n",
           "(self.task.patch_size - 1) / 2\n",
           "mapping/test_laws.py::test_an_estimator_is_asked_about_the_places_where_the_map_shows_its_answers"),
    Mutant("area-with-the-scene-as-it-is", "mapping/applicability.py", "(patches - state[\"mean\"])", "(patches)",
           "mapping/test_applicability.py::test_statistics_of_a_patch_by_hand"),
    Mutant("nearest-of-the-own-fold", "mapping/applicability.py", "np.isin(rows, train)", "np.isin(rows, test)",
           "mapping/test_applicability.py::test_the_index_is_the_distance_to_the_nearest_reference_over_the_mean_one"),
    Mutant("outliers-in-the-threshold", "mapping/applicability.py", "values <= high + 1.5 * (high - low)", "values <= high * 99",
           "mapping/test_applicability.py::test_the_whisker_leaves_out_what_lies_far_above_the_box"),
    Mutant("area-of-another-network", "mapping/predictor.py", "if not theirs <= ours:", "if not theirs:",
           "mapping/test_applicability.py::test_what_cannot_be_compared_is_refused"),
    Mutant("shared-texture-of-rows-alone", "mapping/shared_graph.py", "mean(right**2, patch_size, patch_size - 1)",
           "mean(down**2, patch_size - 1, patch_size)",
           "mapping/test_applicability.py::test_pixels_that_the_network_leaves_out_count_for_the_statistics"),
    Mutant("second-band-is-the-first", "mapping/unfinished.py", "self._read(number)[band,", "self._read(number)[0,",
           "mapping/test_applicability.py::test_every_way_to_map_gives_the_index_of_each_window"),
    Mutant("step-forgotten-in-the-network", "mapping/windows.py", "windows[rows * step, cols * step]",
           "windows[rows, cols]", f"{MAP}test_network_map_equals_predict_proba[16]"),
    # ---- shared computation
    Mutant("border-state-one-off", "mapping/states.py", "if 0 <= k < size else", "if 0 < k < size else", STATES),
    Mutant("pooling-not-counted", "mapping/states.py", "distance *= 2", "distance *= 1", STATES),
    Mutant("shared-nodata-ignored", "mapping/shared.py", "np.where(inside, found", "np.where(True, found", EQUAL),
    Mutant("shared-step-forgotten", "mapping/shared.py", "pixels[row * step : row * step + length",
           "pixels[row : row + length", "mapping/test_laws.py::test_both_classes_of_one_network_are_mapped_by_shared_computation"),
    Mutant("graph-of-the-other-class-reused", "mapping/shared.py", "side, batch, task.column", "side, batch",
           "mapping/test_laws.py::test_both_classes_of_one_network_are_mapped_by_shared_computation"),
    Mutant("other-patch-size-shared", "mapping/shared.py", "if sampler.patch_size != patch_size:", "if False:",
           "mapping/test_laws.py::test_windows_larger_than_the_networks_patches_are_not_shared"),
    Mutant("bias-left-out", "mapping/shared_graph.py", "values + layer.bias", "values",
           EQUAL),
    Mutant("kernel-transposed", "mapping/shared_graph.py", "_product(maps[row, col], kernel[a, b])",
           "_product(maps[row, col], kernel[b, a])", EQUAL),
    Mutant("features-flattened-by-columns", "mapping/shared_graph.py",
           "for row, rows in places for col, cols in places]", "for col, cols in places for row, rows in places]",
           EQUAL),
    Mutant("sums-begun-anew", "mapping/shared_kernel.py", "0 if slot in begun else _STORE", "_STORE", KERNEL),
    Mutant("bias-before-the-largest", "mapping/shared_kernel.py", "(uses[out][-1] == (number, shifts))", "True", KERNEL),
    Mutant("part-of-a-map-one-off", "mapping/shared_kernel.py", "remainder + step.offsets[tap], distance",
           "remainder + step.offsets[tap] + 1, distance", KERNEL),
    # ---- reading for a map
    Mutant("units-lost-on-the-way", "mapping/source.py", "units=units,", "units=None,", "mapping/test_source.py"),
    Mutant("tile-not-in-its-place", "mapping/source.py", "grid = self._scene.grid.crop(window)",
           "grid = self._scene.grid", "mapping/test_source.py"),
    Mutant("blocks-read-twice", "mapping/source.py", "-(-bottom // self._block) * self._block", "bottom",
           "mapping/test_source.py"),
    # ---- the kept tiles and the file
    Mutant("damaged-tile-used", "mapping/unfinished.py", "if checksum != self._checksum(number, data):", "if False:", KEPT),
    Mutant("tile-of-another-place-used", "mapping/unfinished.py", "json.dumps([number, self._key])",
           "json.dumps([0, self._key])", PLACE),
    Mutant("another-maps-tiles-used", "mapping/unfinished.py", "json.dumps([number, self._key])",
           "json.dumps([number])", OTHERWISE),
    Mutant("starting-over-not-told", "mapping/unfinished.py", "        if differing:\n", "        if False:\n", OTHERWISE),
    Mutant("lock-ignored", "mapping/unfinished.py", "self._lock.acquire()", "pass",
           f"{RESTART}test_one_process_at_a_time"),
    Mutant("first-tile-forgotten", "mapping/unfinished.py", "return [number for number in range(len(",
           "return [number for number in range(1, len(", LAW),
    Mutant("tile-rows-one-on-the-other", "mapping/unfinished.py", "out[low - first : high - first,", "out[: high - low,",
           KEPT),
    Mutant("map-of-nothing-written", "mapping/unfinished.py", "            if any_valid:\n", "            if True:\n",
           f"{MAP}test_all_nodata_writes_no_file"),
    Mutant("tiles-lost-with-a-fault", "mapping/unfinished.py", "        if not self._finished:\n", "        if True:\n",
           f"{RESTART}test_goes_on_where_it_stopped_with_the_same_bytes"),
    Mutant("existing-map-noticed-late", "geodata/output.py", "    _require_free(path, overwrite)\n    return path",
           "    return path", "mapping/test_laws.py::test_a_file_that_is_there_is_kept_and_nothing_is_computed_in_vain"),
    Mutant("map-of-someone-else-replaced", "geodata/output.py",
           "    _require_free(path, overwrite)  # another process may have made it since it was asked for\n", "",
           "mapping/test_laws.py::test_a_file_that_appears_while_the_map_is_made_is_kept"),
    Mutant("scene-under-another-name-overwritten", "geodata/output.py", "if os.path.realpath(path) in {",
           "if path in {", "mapping/test_laws.py::test_a_scene_is_not_overwritten_under_any_name_of_its_file"),
    Mutant("map-not-checked-before-its-name", "mapping/writer.py", "if found != checksums:", "if found is None:",
           "mapping/test_map_faults.py::test_a_file_that_is_not_what_was_written_gets_no_name"),
    Mutant("name-before-the-bytes", "geodata/output.py", "        os.fsync(file.fileno())\n", "        pass\n",
           "mapping/test_laws.py::test_a_map_has_its_name_when_its_bytes_are_on_the_disk"),
    Mutant("map-blocks-transposed", "mapping/writer.py", "RasterioWindow(col, number * BLOCK,",
           "RasterioWindow(number * BLOCK, col,", "mapping/test_laws.py::test_a_map_of_several_blocks_is_written_as_it_is"),
    Mutant("overviews-of-single-pixels", "mapping/writer.py", '"resampling": "average"', '"resampling": "nearest"',
           "mapping/test_laws.py::test_overviews_average_the_valid_pixels_and_stand_before_the_map"),
    # ---- the predictor
    Mutant("first-class-mapped", "mapping/predictor.py", "return classes.index(label), label", "return 0, label",
           f"{MAP}test_the_landslide_class_is_mapped"),
    Mutant("unfinished-map-of-another-scene", "mapping/predictor.py", '"scene": scene.fingerprint,', '"scene": "",',
           OTHERWISE),
    Mutant("smallest-window-of-several", "mapping/predictor.py", "return max(sizes)", "return min(sizes)",
           f"{MAP}test_meta_estimators_are_mapped"),
    Mutant("engine-of-another-model-kept", "mapping/workers.py", "if self._key != (digest, kind):",
           "if self._key is None:", "mapping/test_laws.py::test_a_worker_takes_the_model_that_it_is_sent"),
    # ---- the map, and what people do with it
    Mutant("threshold-itself-left-out", "mapping/probability.py", "probability >= limit",
           "probability > limit", "mapping/test_landslide_map.py::TestLaws"),
    Mutant("percent-taken-for-probabilities", "mapping/probability.py", "if low < 0 or high > 1 + _ROUNDING:",
           "if low < 0:", "mapping/test_landslide_map.py::TestOpen"),
    Mutant("scored-against-other-ground", "mapping/scores.py", "read.labels == 1", "read.labels == 0",
           "mapping/test_landslide_map.py::TestScore"),
    Mutant("nodata-scored-as-valid", "mapping/scores.py",
           "self._red(threshold)\n        valid = ~np.isnan(probability)",
           "self._red(threshold)\n        valid = np.ones(probability.shape, bool)",
           "mapping/test_landslide_map.py::TestScore mapping/test_landslide_map.py::TestAreaScores"),
    Mutant("holes-counted-as-landslide", "geodata/ground.py", "np.where(outer, -1, 1)", "np.where(outer, -1, -1)",
           "mapping/test_landslide_map.py::TestCoverage mapping/test_landslide_map.py::TestAreaScores"),
    Mutant("areas-of-map-units", "geodata/ground.py", "_map_area(grid) * square_metres_per_unit(grid, block)",
           "_map_area(grid) * square_metres_per_unit(grid, block) ** 0", "mapping/test_landslide_map.py::TestArea"),
    Mutant("points-on-pixel-corners", "mapping/vectors.py", "np.argwhere(red).T + 0.5", "np.argwhere(red).T",
           "mapping/test_landslide_map.py::TestLaws"),
    Mutant("small-landslide-never-found", "mapping/vectors.py", "if not len(rows):", "if False:",
           "mapping/test_landslide_map.py::TestScore"),
    Mutant("geopackage-replaced", "mapping/vectors.py", "    check_output(path, overwrite)",
           "    check_output(path, True)", "mapping/test_landslide_map.py::TestGeoPackage"),
    # ---- curves, thresholds, ground held out
    Mutant("whole-pixels-beside-landslides", "metrics.py", "np.maximum(ground - slides, 0)", "ground",
           "mapping/test_map_curves.py::test_half_a_pixel_counts_half"),
    Mutant("red-all-over-chosen", "mapping/scores.py", "<= most_alarms).cummin()]", "<= most_alarms)]",
           "mapping/test_map_curves.py::TestThreshold"),
    Mutant("the-maps-threshold-ignored", "mapping/probability.py",
           "return 0.5 if self.threshold is None else self.threshold", "return 0.5",
           "mapping/test_map_curves.py::TestThreshold"),
    Mutant("threshold-of-the-other-class", "mapping/estimators.py", " or positive != label", "",
           "mapping/test_threshold.py::test_wherever_a_threshold_stands"),
    Mutant("training-ground-held-out", "mapping/cross_val.py", "distance_upper_bound=size)", "distance_upper_bound=size - 1)",
           "mapping/test_cross_val.py::test_by_brute_force"),
    Mutant("samples-of-equal-ground", "model_selection.py", "average_precision_score(truth, probability, sample_weight=area)",
           "average_precision_score(truth, probability)", "test_map_scorer.py::test_by_hand"),
    Mutant("weights-no-part-of-the-share", "network/targets.py", "np.average(landslide[codes], weights=weights)",
           "np.average(landslide[codes])",
           "network/test_prevalence.py::test_odds_are_multiplied_by_the_ratio_of_both_shares"),
    Mutant("geopackage-of-someone-else-replaced", "mapping/vectors.py", "written_beside(path, overwrite, \".gpkg\")",
           "written_beside(path, True, \".gpkg\")", "mapping/test_landslide_map.py::TestGeoPackage"),
    Mutant("longitudes-beyond-180", "mapping/vectors.py", "(places.x + 180) % 360 - 180", "places.x",
           f"{OBJECTS}TestTable"),
    Mutant("joined-by-the-pixels-middles", "mapping/objects.py", "y, x = max(by_row - 1, 0),", "y, x = by_row,",
           f"{OBJECTS}test_areas_closer_than_the_distance_are_one_object_and_no_others"),
    Mutant("ranked-by-size-alone", "mapping/objects.py", "np.argsort(-expected,", "np.argsort(-columns[\"area_m2\"],",
           f"{OBJECTS}test_rank_is_by_expected_landslide_area"),
    Mutant("small-objects-kept", "mapping/objects.py", "square_metres >= min_area_m2", "square_metres > 0",
           f"{OBJECTS}test_small_objects_are_left_out_after_joining_and_the_others_stay_as_they_are"),
    Mutant("width-for-length", "mapping/objects.py", "2, 0)).max(axis=1)", "2, 0)).min(axis=1)",
           f"{OBJECTS}test_length_is_the_longer_side_of_the_smallest_rectangle_on_the_ground"),
    Mutant("slopes-of-other-rows", "mapping/objects.py", "rows + part.row_off + 0.5", "rows + 0.5",
           f"{OBJECTS}test_slope_is_the_mean_at_the_pixels_and_nan_where_none_is_known"),
    # ---- models as files
    Mutant("compressed-members-unpacked", "persistence/saving.py",
           "if any(member.compress_type != zipfile.ZIP_STORED for member in members):", "if False:",
           f"{MODELS}test_a_gigabyte_of_zeros_is_not_unfolded"),
    Mutant("members-share-their-bytes", "persistence/saving.py",
           "if sum(member.file_size for member in members) > len(data):", "if False:",
           f"{MODELS}test_members_do_not_share_their_bytes"),
    Mutant("other-members-read", "persistence/saving.py",
           r'elif not content.startswith(b"\x93NUMPY"):', "elif False:",
           f"{MODELS}test_pickles_and_archives_in_the_place_of_arrays_are_not_read"),
    Mutant("foreign-content-taken", "persistence/saving.py", "set(content) != _KEYS", "False",
           f"{MODELS}test_other_files_are_refused"),
    Mutant("unchecked-code-trusted", "persistence/trusted.py",
           "(room not in _TAKEN or kind.__module__ in _NOT_TAKEN)", "False",
           "persistence/test_persistence.py::test_what_a_file_cannot_hold_is_refused_with_the_reason"),
    Mutant("tree-leads-nowhere", "persistence/trusted.py", "(following >= len(inner)).any()", "False",
           f"{MODELS}test_the_nodes_of_a_forest_lead_somewhere"),
    Mutant("tree-asks-for-other-features", "persistence/trusted.py", "(features >= owner.n_features_in_).any()",
           "False", f"{MODELS}test_the_nodes_of_boosting_lead_somewhere"),
    Mutant("memory-saved", "persistence/saving.py", "            part.memory = None\n",
           "            pass\n", "persistence/test_persistence.py::test_places_on_this_machine_are_not_saved"),
    Mutant("shapes-of-weights-unchecked", "network/state.py", "if found != shapes:", "if False:",
           f"{MODELS}test_the_network_is_of_the_numbers_that_build_cnn_takes"),
    Mutant("infinite-weights-taken", "network/state.py", "np.isfinite(w).all()", "True",
           f"{MODELS}test_weights_are_finite_float32"),
    Mutant("keras-configuration-in-a-state", "network/state.py", "set(state) != {*_SIZES, *_OTHERS}", "False",
           f"{MODELS}test_the_network_is_of_the_numbers_that_build_cnn_takes"),
    Mutant("loaded-model-begins-its-map-anew", "mapping/workers.py", "            obj = obj.copy()\n", "            pass\n",
           "persistence/test_persistence.py::test_what_is_loaded_is_what_was_saved"),
    Mutant("file-in-the-way-told-as-a-full-disk", "persistence/saving.py",
           "    except OutputExistsError:\n        raise\n", "",
           "persistence/test_persistence.py::test_a_file_that_appears_while_the_model_is_written_is_kept"),

]  # fmt: skip


def main(arguments: Sequence[str] | None = None, mutants: Iterable[Mutant] = MUTANTS) -> int:
    """Run the mutants; the status to end with."""
    parser = argparse.ArgumentParser(description="Run each mutant against the tests that must catch it.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="mutants to run; all by default")
    parser.add_argument("--jobs", type=int, default=1, help="mutants at a time")
    parser.add_argument("--write", action="store_true", help="put the result on the page, where all are caught")
    options = parser.parse_args(arguments)
    if options.write and options.only:
        parser.error("the page holds the result of all: --write without --only")
    mutants = [mutant for mutant in mutants if not options.only or mutant.name in options.only]
    if unknown := sorted(set(options.only or ()) - {mutant.name for mutant in mutants}):
        parser.error(f"there is no mutant {', '.join(unknown)}")
    for mutant in mutants:
        mutant.applied((ROOT / "sklandslide" / mutant.file).read_text())
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder, ThreadPoolExecutor(options.jobs) as pool:
        bench = Bench(Path(folder), options.jobs)
        wrong = [outcome for outcome in pool.map(bench.run, by_file(mutants)) if outcome.status != 0]
        for outcome in wrong:  # a selection that fails anyway proves nothing
            print(f"Without a mutant: {outcome.told}\n{outcome.output[-3000:]}")
        if wrong:
            return 1
        print(f"Without a mutant all tests pass ({time.monotonic() - start:.0f} s).\n", flush=True)
        lines = ["| mutant | file | caught by | seconds |", "| --- | --- | --- | --- |"]
        print(*lines, sep="\n", flush=True)
        caught = 0
        for mutant, outcome in zip(mutants, pool.map(bench.run_mutant, mutants), strict=True):
            caught += bool(outcome.first)
            lines.append(f"| {mutant.name} | `{mutant.file}` | {outcome.told} | {outcome.seconds:.1f} |")
            print(lines[-1], flush=True)
    lines.append(f"\n{caught} of {len(mutants)} mutants are caught ({time.monotonic() - start:.0f} s).")
    print(lines[-1])
    if caught < len(mutants):
        return 1
    if options.write:
        above, mark, below = PAGE.read_text().partition("<!-- result -->\n")
        end = below.index("<!-- end of result -->")
        PAGE.write_text(above + mark + "\n".join(lines) + "\n\n" + below[end:])
    return 0


def by_file(mutants: Iterable[Mutant]) -> list[list[str]]:
    """All that is selected, a list for each file of tests."""
    selected: dict[str, dict[str, None]] = defaultdict(dict)
    for mutant in mutants:
        for test in mutant.selection:
            selected[test.split("::")[0]][test] = None
    return [[file] if file in tests else list(tests) for file, tests in selected.items()]


class Outcome(NamedTuple):
    """What came of a run of tests: pytest's status (None where it had no end), seconds, what was printed."""

    status: int | None
    seconds: float
    output: str

    @property
    def first(self) -> str:
        """The first test that failed, if any ran."""
        found = re.search(r"^(?:FAILED|ERROR) (\S+::[^\s[]+)", self.output, re.M)
        return found[1] if found and self.status == 1 else ""

    @property
    def told(self) -> str:
        """In words."""
        if self.first:
            return f"`{self.first}`"
        words = {0: "SURVIVED", None: "NO END"}
        return f"**{words.get(self.status, f'NO TEST RAN (status {self.status})')}**"


class Bench:
    """Copies of the repository, each for one mutant at a time."""

    def __init__(self, folder: Path, jobs: int) -> None:
        self.copies = SimpleQueue[Path]()
        for number in range(jobs):
            copy = folder / str(number)
            copy.mkdir()
            for name in COPIED:
                _copy(ROOT / name, copy / name)
            self.copies.put(copy)

    def run(self, tests: Sequence[str]) -> Outcome:
        """Run tests on the package as it is."""
        copy = self.copies.get()
        try:
            return _pytest(copy, tests)
        finally:
            self.copies.put(copy)

    def run_mutant(self, mutant: Mutant) -> Outcome:
        """Run the tests of a mutant on the package with this change."""
        copy = self.copies.get()
        path = copy / "sklandslide" / mutant.file
        original = path.read_text()
        path.write_text(mutant.applied(original))
        try:
            return _pytest(copy, mutant.selection)
        finally:
            path.write_text(original)
            self.copies.put(copy)


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", ".hypothesis"))
    else:
        shutil.copy2(source, target)


# The package that the tests import must be the copy's, not one that is installed.
_START = """
import os, sys, pytest, sklandslide
assert sklandslide.__file__.startswith(os.getcwd() + os.sep), f"The tests ran on {sklandslide.__file__}"
sys.exit(pytest.main(sys.argv[1:]))
"""


def _pytest(copy: Path, tests: Sequence[str]) -> Outcome:
    start = time.monotonic()
    # One thread, as the tests of one mutant run beside those of another; and bytecode that a change cannot hide behind.
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTHONDONTWRITEBYTECODE": "1", "MPLBACKEND": "Agg",
                   "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # fmt: skip
    # On CI pytest explains a failed comparison in full, which for two long lists can take minutes.
    options = ["-x", "-q", "-rfE", "--tb=short", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:randomly",
               "--hypothesis-seed=0"]  # fmt: skip
    with (copy / "output.txt").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, *options, *tests],
            cwd=copy, env=environment, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
        status = None
        with suppress(subprocess.TimeoutExpired):
            status = process.wait(PATIENCE)
        with suppress(ProcessLookupError):  # and whatever processes a failed test left behind
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return Outcome(status, time.monotonic() - start, (copy / "output.txt").read_text(errors="replace"))


if __name__ == "__main__":
    sys.exit(main())
