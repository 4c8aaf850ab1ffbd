#!/usr/bin/env bash
# The picture of QGIS in the documentation: the tutorial's files, in QGIS itself.
# Needs QGIS 3 and xvfb (Debian: apt-get install qgis python3-qgis xvfb) and Python with sklandslide.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
export SKLANDSLIDE_FOLDER=$(mktemp -d)
python "$here/../pages.py" --keep "$SKLANDSLIDE_FOLDER" "$here/../tutorial/first_map.md"
(
    cd "$SKLANDSLIDE_FOLDER"
    export LIBGL_ALWAYS_SOFTWARE=1
    # QGIS has a Python of its own, which another one on the path would mislead
    PATH=/usr/bin:/bin timeout 120 xvfb-run -a -s "-screen 0 1200x760x24" qgis --nologo --noversioncheck --noplugins \
        --profiles-path "$SKLANDSLIDE_FOLDER/profile" --code "$here/picture.py"
)
PYTHONPATH=$here/.. python -c "
from pages import IMAGES, save_picture
save_picture('$SKLANDSLIDE_FOLDER/qgis_map.png', IMAGES / 'qgis_map.png')"
rm -r "$SKLANDSLIDE_FOLDER"
