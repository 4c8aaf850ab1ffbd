"""
Look before, while and after training
=====================================

A wrong date, samples in the wrong place, folds that touch, a network that only remembers: each shows in a picture
before it shows in a score. Here are the pictures of each step, on a simulated scene and with a network so small that
all of it takes a few seconds.

Each is drawn on axes of its own, or on those given as ``ax=``; ``Scene.plot`` and ``Locations.plot`` return the axes,
displays have them as ``ax_``.
"""

# sphinx_gallery_thumbnail_number = 2

import warnings

import matplotlib.pyplot as plt
from sklearn.pipeline import make_pipeline

from sklandslide import (
    BandStacker,
    FoldsDisplay,
    HistoryDisplay,
    LandslideCNN,
    PatchesDisplay,
    PatchSampler,
    SpatialBlockKFold,
    make_scene,
    sample_polygons,
)

PATCH = 15

warnings.simplefilter("ignore")  # polygons at the edge of the scene give no sample
scene, polygons = make_scene(shape=(300, 360), random_state=0)
X, y, groups = sample_polygons(
    scene, polygons, patch_size=PATCH, stride=5, max_per_polygon=12, balance=True, random_state=0
)

# %%
# The scene
# ---------
# A panel for each band, composite or list of three bands. Dates of a polarisation are drawn over one range, so that a
# change between panels is one on the ground. In a notebook, ``scene`` alone shows a thumbnail and the facts.

panels = scene.plot("VV_before", "VV_after", "VV_after2", "BAA", "RGB", "hillshade")

# %%
# The samples
# -----------
# By class, with the outlines of the patches that a network gets: do they lie on landslides, and on the ground between?

ax = X.plot(y, bands="RGB", patch_size=PATCH)

# %%
# The folds
# ---------
# Which fold tests a sample, and what the samples are to one fold. Left out are those whose patch could share a pixel
# with a test patch.

cv = SpatialBlockKFold(3, block_size=800, buffer=X.patch_extent(PATCH), random_state=0)
figure, axes = plt.subplots(1, 2, figsize=(11, 5.2))
folds = FoldsDisplay.from_cv(cv, X, y, groups, ax=axes[0])
folds = folds.plot(ax=axes[1], fold=0, bands="hillshade")

# %%
# The training
# ------------
# The loss on the samples that the network learns from goes on falling; that on samples set aside tells when it has
# begun to learn them by heart. ``early_stopping`` keeps the weights of the lowest.

train, test = next(cv.split(X, y, groups))
network = LandslideCNN(
    filters=(8, 16), dense_units=16, input_size=None, epochs=40, early_stopping=True, n_iter_no_change=8, random_state=0
)
pipeline = make_pipeline(BandStacker("RGB"), PatchSampler(PATCH), network).fit(X[train], y[train])
history = HistoryDisplay.from_estimator(pipeline)

# %%
# The worst errors
# ----------------
# Patches of the test fold whose probability is farthest from their class, with their row of ``X``. What is missed, and
# what is taken for a landslide, often has one cause that can be seen: a field, a river bank, a polygon that is shifted.

errors = PatchesDisplay.from_estimator(pipeline, X[test], y[test], n_patches=16)

plt.show()
