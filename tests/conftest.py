"""Fixtures that several folders of tests share."""

import importlib
import os
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

# A busy machine must not fail a law, and the same examples are tried everywhere.
settings.register_profile("uadbench", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("uadbench")

ASSETS = Path(__file__).parent / "assets"


@pytest.fixture
def toy(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A third party's package with a plugin of each kind, as if it were installed."""
    monkeypatch.syspath_prepend(ASSETS / "toy")
    return importlib.import_module("uadbench_toy")


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose plugins break one promise each, as if it were installed."""
    monkeypatch.syspath_prepend(ASSETS / "faulty")


@pytest.fixture
def realdata() -> Path:
    """A BIDS folder of real patients, which is not part of this repository."""
    folder = os.environ.get("UADBENCH_REALDATA")
    if not folder:
        pytest.skip("set UADBENCH_REALDATA to a BIDS folder with FLAIR and masks")
    return Path(folder)
