"""The order of the gallery: what is run and has pictures first, in the order of the paper; programs to read last."""

FIRST = (
    "plot_event_to_map.py",
    "plot_looking.py",
    "plot_nine_composites.py",
    "plot_patch_size.py",
    "plot_random_folds.py",
    "plot_input_size.py",
    "plot_calibrated_threshold.py",
    "plot_event_left_out.py",
)


class Key:
    """Sort key of a file name, as sphinx-gallery wants it."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, name):
        """Where a file stands."""
        rank = FIRST.index(name) if name in FIRST else len(FIRST) + (not name.startswith("plot_"))
        return rank, name
