"""From a date and a box to a scene: a catalogue is searched, dates are chosen, pixels come when they are read.

The only room that asks a network, and only the catalogue that it is given and the addresses that this names.
"""

from .find import find_sentinel1
from .products import PRODUCTS, Product
from .sentinel1 import Sentinel1Choice

__all__ = ["PRODUCTS", "Product", "Sentinel1Choice", "find_sentinel1"]
