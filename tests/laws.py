"""What laws that are looked for by Hypothesis share: how many examples, and strategies of several test files.

The examples are the same each time. With SKLANDSLIDE_EXAMPLES=20 twenty times as many are tried, drawn anew.
"""

import os

from affine import Affine
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from rasters import rotated

MORE = int(os.environ.get("SKLANDSLIDE_EXAMPLES", "1"))

sizes = st.integers(1, 12)
shapes = st.tuples(st.integers(1, 40), st.integers(1, 40))
# What a user may give by mistake.
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=2),
    lambda inner: (
        st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
    ),
    max_leaves=6,
)


def law(examples):
    """So many examples, always the same ones unless more were asked for."""
    return settings(
        max_examples=examples * MORE,
        deadline=None,
        derandomize=MORE == 1,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )


@st.composite
def transforms(draw):
    """Any invertible transform: turned, sheared, mirrored, of fine and of coarse, oblong pixels, near and far."""
    length = 10.0 ** draw(st.floats(-4, 4))
    oblong, shear = draw(st.floats(0.2, 5)), draw(st.floats(-0.8, 0.8))
    turned = rotated(0, 0, draw(st.sampled_from([0, 90, 180]) | st.floats(-180, 180)), length)
    mirror = draw(st.sampled_from([-1, 1]))
    a, d = turned.a, turned.d
    b, e = mirror * oblong * turned.b + shear * a, mirror * oblong * turned.e + shear * d
    x, y = (length * draw(st.integers(-(10**6), 10**6) | st.floats(-1e6, 1e6)) for _ in "xy")
    return Affine(a, b, x, d, e, y)
