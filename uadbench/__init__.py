"""uadbench: unsupervised anomaly detection on brain MRI, trained and judged alike."""

from typing import TYPE_CHECKING

__version__: str

if not TYPE_CHECKING:  # pragma: no branch

    def __getattr__(name: str) -> str:
        """Return the version, when it is asked for: to look it up takes a while."""
        if name != "__version__":
            msg = f"module '{__name__}' has no attribute '{name}'"
            raise AttributeError(msg)
        from importlib.metadata import version

        return version("uadbench")
