"""The package's whole way in one process, for tests/test_supply.py: python no_network.py FOLDER [refuse].

With ``refuse`` each connection that Python asks for is refused and counted, whether or not the asker passes over it. A
map, a figure and a model are in the folder at the end, and the addresses asked for are printed.
"""

import json
import socket
import sys
from pathlib import Path

ASKED = []
OUTSIDE = ("192.0.2.1", 80)  # an address for documentation, RFC 5737
EVENTS = {f"socket.{call}" for call in ("connect", "bind", "sendto", "sendmsg", "getaddrinfo", "gethostbyname")}


def refuse(event, args):
    """What Python calls before each of these, from whichever module: names and addresses outside are refused."""
    if event not in EVENTS:
        return
    address = args[0] if event.startswith("socket.get") else args[-1]
    host = address[0] if isinstance(address, tuple) else address
    local = isinstance(address, tuple) and str(host) in ("127.0.0.1", "::1", "localhost")
    in_a_file = getattr(args[0], "family", None) == socket.AF_UNIX
    if not (local or in_a_file or host in (None, "localhost")):
        ASKED.append(str(host))
        raise PermissionError(f"{event}: {address}")


def main(folder):
    import matplotlib

    matplotlib.use("Agg")
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline

    import sklandslide as s

    scene, polygons = s.make_scene(shape=(120, 120), random_state=1)
    X, y, groups = s.sample_polygons(scene, polygons, patch_size=12, max_per_polygon=2, random_state=0)
    cnn = s.LandslideCNN(filters=(2,), dense_units=4, epochs=1, input_size=None, random_state=0)
    pipe = make_pipeline(s.BandStacker("BAA"), s.PatchSampler(patch_size=12), s.Augmenter(), cnn)
    folds = s.SpatialBlockKFold(n_splits=2, block_size=300, random_state=0)
    search = GridSearchCV(pipe, {"landslidecnn__learning_rate": [1e-3]}, cv=folds).fit(X, y, groups=groups)
    model = s.load_model(s.save_model(search.best_estimator_, folder / "model.skops"))
    landslides = s.SlidingWindowPredictor(model, step=8).predict_map(scene, folder / "map.tif")
    landslides.points(0.5)
    landslides.score(polygons)
    landslides.plot(background=scene, inventory=polygons).figure.savefig(folder / "map.png")
    landslides.to_gpkg(folder / "landslides.gpkg")


if __name__ == "__main__":
    if "refuse" in sys.argv:
        sys.addaudithook(refuse)
    main(Path(sys.argv[1]))
    during = list(ASKED)
    try:
        socket.create_connection(OUTSIDE, timeout=20)
        reached = True
    except OSError:
        reached = False
    print(json.dumps({"during": during, "reached outside": reached, "refused": ASKED[len(during) :]}))
