"""uadbench: unsupervised anomaly detection on brain MRI, trained and judged alike."""

from importlib.metadata import version

__version__ = version("uadbench")
