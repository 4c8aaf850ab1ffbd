"""Shared computation: the same map as window by window, over the grid of cases where it claims to be exact."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fitting import ALL_BANDS, fitted, pipeline
from scenes import random_scene
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from sklandslide import BandStacker, LandslideCNN, Locations, PatchSampler, SlidingWindowPredictor, build_cnn
from sklandslide.exceptions import SklandslideError
from sklandslide.mapping import shared
from sklandslide.mapping.states import axis_plan
from sklandslide.network.state import packed

SIZES, STEPS = (15, 17, 25, 32, 33, 40), (1, 2, 3, 4, 5)


@pytest.fixture(params=["shared", "shared-graph"])
def engine(request, monkeypatch):
    """The name of either way to share, which maps are made by meanwhile."""
    use(request.param, monkeypatch)
    return request.param


def use(name, patch):
    """Let maps be made by one of the two ways to share."""
    if name == "shared":
        pytest.importorskip("sklandslide.mapping._sums", reason="installed without a compiler")
    patch.setattr(shared, "find_spec", lambda *_: None if name == "shared-graph" else True)


def both(pipe, scene, step, folder, engine):
    maps = []
    for method, name in (("shared", engine), ("window", "window")):
        predictor = SlidingWindowPredictor(pipe, step=step, method=method)
        maps.append(predictor.predict_map(scene, folder / f"{method}.tif").probability)
        assert predictor.engine_ == name
    return maps


def assert_same(shared, window):
    assert np.isnan(shared).tolist() == np.isnan(window).tolist()
    assert np.nanmax(np.abs(shared - window)) <= 1e-5
    assert 0.02 < np.nanstd(window) < 0.45  # neither constant nor saturated, or the test proves nothing


# Each size with three of the steps, with depth, padding and bands running through their values beside them.
CASES = [
    (size, step, 1 + (i + j) % 4, ("same", "valid")[(i + j // 2) % 2], 1 + (i + 2 * j) % 4)
    for i, size in enumerate(SIZES)
    for j, step in enumerate(STEPS)
    if (i + 2 * j) % 5 < 3
]


@pytest.mark.slow
@pytest.mark.parametrize(("size", "step", "blocks", "padding", "bands"), CASES)
def test_shared_equals_window_by_window(tmp_path, monkeypatch, size, step, blocks, padding, bands):
    # more blocks leave nothing of the patch
    most = {"valid": 2 if size < 25 else 3, "same": 3 if size < 16 else 4}[padding]
    blocks = min(blocks, most)
    pipe = pipeline(size, blocks=blocks, padding=padding, bands=bands)
    scene = random_scene((size + 21, size + 38), ALL_BANDS[:bands], seed=3, holes=1)
    use("shared", monkeypatch)
    kernel, window = both(pipe, scene, step, tmp_path, "shared")
    assert_same(kernel, window)
    use("shared-graph", monkeypatch)
    graph = SlidingWindowPredictor(pipe, step=step, method="shared").predict_map(scene, tmp_path / "graph.tif")
    assert_same(graph.probability, window)


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 3])
def test_many_squares_and_tiles_with_remainders(tmp_path, monkeypatch, engine, step):
    from sklandslide.mapping import tiles

    pipe = pipeline(17)
    scene = random_scene((143, 211), ALL_BANDS[:3], seed=4, holes=9)
    monkeypatch.setattr(shared, "_LIVE_BYTES", 1 << 20)  # small squares, several at once
    whole, window = both(pipe, scene, step, tmp_path, engine)
    assert_same(whole, window)
    monkeypatch.setattr(tiles, "_LARGEST", 32)
    tiled = SlidingWindowPredictor(pipe, step=step, method="shared").predict_map(scene, tmp_path / "tiled.tif")
    np.testing.assert_array_equal(tiled.probability, whole)  # to the bit
    monkeypatch.setattr(shared, "_LIVE_BYTES", 1 << 17)  # smaller ones sum in another order
    small = SlidingWindowPredictor(pipe, step=step, method="shared").predict_map(scene, tmp_path / "small.tif")
    np.testing.assert_allclose(small.probability, whole, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("size", "step"), [(15, 7), (15, 15), (17, 40)])
def test_windows_far_apart(tmp_path, engine, size, step):
    pipe = pipeline(size, padding="same")
    scene = random_scene((size + 6 * step + 3, size + 9 * step), ALL_BANDS[:3], seed=8, holes=1)
    assert_same(*both(pipe, scene, step, tmp_path, engine))


def test_paper_network_on_patches_as_they_are(tmp_path, engine):
    train = random_scene((60, 60))
    X = Locations(train, train.grid.xy(np.full(8, 30.0), np.full(8, 30.0)))
    pipe = make_pipeline(BandStacker("RGB"), PatchSampler(), LandslideCNN(input_size=None, epochs=1, random_state=0))
    pipe.fit(X, np.arange(8) % 2)
    pipe[-1].model_.set_weights([w * 3 for w in pipe[-1].model_.get_weights()])
    scene = random_scene((60, 70), seed=5)
    predictor = SlidingWindowPredictor(pipe)
    m = predictor.predict_map(scene, tmp_path / "auto.tif")
    assert (predictor.engine_, predictor.engine_reason_) == (engine, None)
    window = SlidingWindowPredictor(pipe, method="window").predict_map(scene, tmp_path / "window.tif")
    assert np.abs(m.probability - window.probability).max() <= 1e-5


def test_where_it_is_not_exact_auto_goes_window_by_window_and_says_why(tmp_path):
    resampled = LandslideCNN(filters=(2,), dense_units=2, input_size=16, epochs=1, random_state=0)
    plain = pipeline(15, blocks=1)
    cases = {
        "resampled to the network's input size": fitted(random_scene(), 9, resampled, bands="RGB"),
        "Pipeline has other steps than BandStacker": make_pipeline(*plain[:2], FunctionTransformer(), plain[-1]),
    }
    for reason, estimator in cases.items():
        scene = random_scene((40, 40), estimator[0].bands_)
        with pytest.raises(SklandslideError, match=f"method='shared' would not be exact: .*{reason}"):
            SlidingWindowPredictor(estimator, method="shared").predict_map(scene, tmp_path / "map.tif", overwrite=True)
        predictor = SlidingWindowPredictor(estimator, step=8)
        predictor.predict_map(scene, tmp_path / "map.tif", overwrite=True)
        assert predictor.engine_ == "window"
        assert reason in predictor.engine_reason_


THREADS = """
import sys
import numpy as np
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(int(sys.argv[1]))
tf.config.threading.set_inter_op_parallelism_threads(int(sys.argv[1]))
sys.path.insert(0, sys.argv[2])
from fitting import pipeline, values_of
from sklandslide.mapping import shared
shared.find_spec = lambda *_: None if sys.argv[4] == "shared-graph" else True
values_of(pipeline(25), 2, (90, 120)).tofile(sys.argv[3])
"""


@pytest.mark.slow
def test_bits_do_not_depend_on_the_number_of_threads(tmp_path, engine):
    for threads in ("1", "2", "3"):
        command = [sys.executable, "-c", THREADS, threads, str(Path(__file__).parents[1]), str(tmp_path / threads)]
        command.append(engine)
        subprocess.run(command, check=True)
    one, two, three = ((tmp_path / threads).read_bytes() for threads in ("1", "2", "3"))
    assert np.frombuffer(one, np.float32).std() > 0.02
    assert one == two == three


@pytest.mark.slow
def test_bits_do_not_depend_on_the_place_of_a_square(monkeypatch, engine):
    from sklandslide.mapping.tiles import MapTask

    monkeypatch.setattr(shared, "_cheapest", lambda *_: (8, 5))
    pipe = pipeline(15)
    made = shared.shared_engine()(MapTask(pipe, [pipe[0]], 15, 2, 1))
    square = np.random.RandomState(0).normal(size=(made.plan.length, made.plan.length, 3)).astype("float32")
    found = made._compute(np.stack([square] * 5))
    assert (found == found[0]).all()
    assert found.std() > 0.02


def square_values(size, padding, filters, side, step):
    """Probabilities of a square of windows by the kernel, and of each by itself in float64."""
    kernel_module = pytest.importorskip("sklandslide.mapping.shared_kernel", reason="installed without a compiler")
    random, depth, left = np.random.default_rng(0), 2, size
    convolutions = []
    for n in filters:
        kernel = random.normal(size=(3, 3, depth, n), scale=(9 * depth) ** -0.5)
        convolutions.append((kernel.astype("float32"), random.normal(size=n, scale=0.3).astype("float32")))
        depth, left = n, (left if padding == "same" else left - 2) // 2
    dense, units = [], depth * left**2
    for n in (37, 3):
        kernel = random.normal(size=(units, n), scale=units**-0.5)
        dense.append((kernel.astype("float32"), random.normal(size=n, scale=0.3).astype("float32")))
        units = n
    plan = axis_plan(size, step, [padding, "pool"] * len(filters), side)
    image = random.normal(size=((side - 1) * step + size,) * 2 + (2,)).astype("float32")
    kernel = kernel_module.Kernel(None, convolutions, dense, plan, side, step)
    found, hidden = kernel(image[None, : plan.length, : plan.length], hidden=True)
    windows = np.lib.stride_tricks.sliding_window_view(image, (size, size), (0, 1))[::step, ::step]
    at = np.moveaxis(windows, 2, -1).reshape(-1, size, size, 2).astype("float64")
    for kernel, bias in convolutions:
        margin = 1 if padding == "same" else 0
        at = np.pad(at, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
        n = (at.shape[1] - 2) // 2 * 2
        at = sum(at[:, a : a + n, b : b + n] @ kernel[a, b] for a in range(3) for b in range(3)) + bias
        at = np.maximum(at.reshape(len(at), n // 2, 2, n // 2, 2, -1).max(axis=(2, 4)), 0)
    last = np.maximum(at.reshape(len(at), -1) @ dense[0][0] + dense[0][1], 0)
    powers = np.exp(last @ dense[1][0] + dense[1][1])
    np.testing.assert_allclose(hidden[0].reshape(last.shape), last, rtol=0, atol=1e-5)
    return found[0], (powers / powers.sum(axis=1, keepdims=True)).reshape(found[0].shape)


# All of the kernel's ways to keep channels, more channels than a plane holds, parts of maps, and a single window.
SQUARES = [
    (25, "same", (16, 32, 64), 8, 2),
    (25, "same", (5, 48), 4, 3),
    (17, "valid", (17, 20), 11, 1),
    (33, "same", (3, 4, 5, 6), 2, 5),
    (40, "valid", (4, 4), 3, 4),
    (15, "same", (4, 4), 1, 7),
]


@pytest.mark.parametrize("square", SQUARES)
def test_the_kernel_equals_each_window_by_itself_on_all_processors(monkeypatch, square):
    sums = pytest.importorskip("sklandslide.mapping._sums", reason="installed without a compiler")
    found = []
    for kind in range(sums.kind, -1, -1):
        with monkeypatch.context() as patch:
            patch.setattr(sums, "kind", kind)
            values, expected = square_values(*square)
        np.testing.assert_allclose(values, expected, rtol=0, atol=2e-6)
        found.append(values)
    assert expected.std() > 0.02
    if sums.kind == 2:
        np.testing.assert_array_equal(found[0], found[1])  # AVX-512 and AVX2, to the bit


def test_without_a_compiler_the_package_is_installed_and_the_graph_stands_in(tmp_path, monkeypatch):
    pytest.importorskip("setuptools")
    root = Path(shared.__file__).parents[2]
    command = [sys.executable, "setup.py", "-q", "build_ext", "--build-lib", tmp_path / "lib", "--build-temp", tmp_path]
    environment = {**os.environ, "CC": str(tmp_path / "no-compiler"), "LDSHARED": str(tmp_path / "no-compiler")}
    subprocess.run(command, cwd=root, env=environment, check=True, capture_output=True)
    assert list(tmp_path.rglob("*.so")) == []
    monkeypatch.setattr(shared, "find_spec", lambda *_: None)
    assert shared.shared_engine() is shared.SharedGraphEngine


def test_a_map_by_one_engine_is_not_finished_by_the_other(monkeypatch):
    from sklandslide.mapping.tiles import MapTask

    keys = []
    for name in ("shared", "shared-graph"):
        use(name, monkeypatch)
        predictor = SlidingWindowPredictor(pipe := pipeline(15, blocks=1), method="shared")
        made = predictor._choose_engine(MapTask(pipe, [pipe[0]], 15, 2, 1))
        keys.append(predictor._key(random_scene((40, 40), ALL_BANDS[:3]), made, "1")["method"])
    assert keys[0] != keys[1]
    assert [name for name, _ in keys] == ["shared", "shared-graph"]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size", [25, 40])
@pytest.mark.parametrize("products", [True, False])
def test_memory_is_bounded_for_any_step(size, padding, products):
    network = build_cnn(patch_shape=(size, size, 3), n_classes=2, padding=padding, input_size=None)
    chain = shared._take_apart(packed(network))
    for step in (1, 2, 3, 5, 10, 24, 25, 26, 40, 50, 1000):
        side, batch = shared._cheapest(size, step, chain, products)
        operations, live = shared._expense(axis_plan(size, step, chain.kinds, side), side, chain, products)
        assert side & (side - 1) == 0
        assert live * batch <= shared._LIVE_BYTES
        # never more work than for the window by itself
        assert operations / side**2 <= shared._expense(axis_plan(size, step, chain.kinds), 1, chain)[0]


def test_maps_are_kept_where_windows_need_them():
    plan = axis_plan(32, 2, ["same", "pool"] * 3, side=64)
    assert [[lattice.stride for lattice in step.outputs] for step in plan.steps[:2]] == [[2, 1, 2], [2, 2, 2]]
    assert [lattice.count for lattice in plan.steps[-1].outputs] == [64, 68, 64]
    assert plan.length == 63 * 2 + 32
    assert axis_plan(25, 2, ["same", "pool"], side=64).length == 63 * 2 + 25
    assert axis_plan(25, 25, ["valid", "pool"] * 2, side=1).length == 22  # what pooling drops is not read
    # three convolutions and poolings: the numbers of states that the design gives
    assert [len(s.recipes) for s in axis_plan(32, 2, ["same", "pool"] * 3).steps] == [3, 3, 5, 3, 5, 3]
    assert [len(s.recipes) for s in axis_plan(40, 2, ["valid", "pool"] * 3).steps] == [1] * 6


def test_states_by_brute_force():
    """Two features share a state exactly if they depend in the same way on what lies about them."""
    for size in (15, 25, 32):
        for kinds in (["same", "pool"] * 3, ["valid", "pool"] * 2, ["same", "same", "pool", "valid"]):
            span = [(frozenset([i]), i) for i in range(size)]  # what a feature sees, and where it lies
            distance = 1
            for kind in kinds:
                n = len(span)
                if kind == "same":
                    near = [range(max(i - 1, 0), min(i + 2, n)) for i in range(n)]
                    # remember the missing tap: zero padding is seen too
                    lost = [
                        frozenset({-(10**6)} if i == 0 else ()) | ({10**6} if i == n - 1 else frozenset())
                        for i in range(n)
                    ]
                elif kind == "valid":
                    near, lost = [range(i, i + 3) for i in range(n - 2)], [frozenset()] * n
                else:
                    near, lost = [range(2 * i, 2 * i + 2) for i in range(n // 2)], [frozenset()] * n
                    distance *= 2
                span = [
                    (frozenset().union(*(span[k][0] for k in ks)) | lost[i], span[ks[0] if kind != "same" else i][1])
                    for i, ks in enumerate(near)
                ]
            relative = [frozenset(p - at if abs(p) < 10**5 else p for p in seen) for seen, at in span]
            plan = axis_plan(size, 2, kinds)
            same_by_hand = [[a == b for b in relative] for a in relative]
            same_by_plan = [[a == b for b in plan.states] for a in plan.states]
            for i, row in enumerate(same_by_plan):
                for j, equal in enumerate(row):
                    assert not equal or same_by_hand[i][j]  # equal states are equal functions
            assert len(set(plan.states)) <= len(set(relative)) + 2
