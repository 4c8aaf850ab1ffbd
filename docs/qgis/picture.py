"""Run inside QGIS by picture.sh: open the files, which bring their styles along, and keep a picture of the window."""

import os
from pathlib import Path

from qgis.core import QgsProject, QgsRasterLayer, QgsVectorLayer
from qgis.PyQt.QtCore import QTimer
from qgis.PyQt.QtWidgets import QDockWidget
from qgis.utils import iface

FOLDER = Path(os.environ["SKLANDSLIDE_FOLDER"])


def added(layer):
    if not layer.isValid():
        raise SystemExit(f"{layer.source()} does not open")
    QgsProject.instance().addMapLayer(layer)
    return layer


def vector(name):
    return QgsVectorLayer(f"{FOLDER / 'landslides.gpkg'}|layername={name}", name)


def keep_picture():
    iface.mainWindow().grab().save(str(FOLDER / "qgis_map.png"))
    os._exit(0)  # QGIS asks whether to save the project


def show():
    iface.mainWindow().resize(1200, 760)
    iface.mainWindow().findChild(QDockWidget, "Browser").hide()
    extent = background.extent()
    extent.scale(0.6)
    iface.mapCanvas().setExtent(extent)
    iface.mapCanvas().refresh()
    QTimer.singleShot(12000, keep_picture)


background = added(QgsRasterLayer(str(FOLDER / "scene" / "VV_after.tif"), "VV_after"))
added(QgsRasterLayer(str(FOLDER / "map.tif"), "map"))
areas = added(vector("polygons"))
added(vector("points"))
added(vector("inventory"))
# one of them is enough in a small picture
QgsProject.instance().layerTreeRoot().findLayer(areas.id()).setItemVisibilityChecked(False)
QTimer.singleShot(6000, show)
