"""The compiled part; all else is in setup.cfg. The package does without where it cannot be built (see shared.py)."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "sklandslide.mapping._sums",
            ["sklandslide/mapping/_sums.c"],
            extra_compile_args=["-O3"],
            py_limited_api=True,
            optional=True,
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
