"""Your own brains: a raw BIDS folder with masks in its derivatives."""

from .dataset import Bids as Bids
