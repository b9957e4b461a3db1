"""Fixtures that several folders of tests share."""

import importlib
import importlib.metadata
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import settings

from uadbench import cli, fingerprints

# A busy machine must not fail a law, and the same examples are tried everywhere.
settings.register_profile("uadbench", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("uadbench")

ASSETS = Path(__file__).parent / "assets"


@dataclass
class Outcome:
    """What a command left in the terminal."""

    status: int
    out: str
    err: str


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Outcome]:
    """Run the command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(signal, "signal", lambda *_: None)

    def uadbench(*words: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["uadbench", *words])
        with pytest.raises(SystemExit) as stop:
            cli.main()
        captured = capsys.readouterr()
        return Outcome(int(stop.value.code or 0), captured.out, captured.err)

    return uadbench


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
def published_masks(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """IterMask2's random masks as published, the slow twin of ours."""
    monkeypatch.syspath_prepend(ASSETS)
    return importlib.import_module("published_masks")


@pytest.fixture
def realdata() -> Path:
    """A BIDS folder of real patients, which is not part of this repository."""
    folder = os.environ.get("UADBENCH_REALDATA")
    if not folder:
        pytest.skip("set UADBENCH_REALDATA to a BIDS folder with FLAIR and masks")
    return Path(folder)


@pytest.fixture
def saved_after_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make trainings keep a checkpoint of every step."""
    monkeypatch.setattr("uadbench.methods._nn.training.SAVE_EVERY", 0.0)
    monkeypatch.setattr("uadbench.methods._nn.training.SAVING", float("inf"))


@pytest.fixture
def edit(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Let a module, or the version of a package, be another for all fingerprints."""
    content, version = fingerprints.of_files, importlib.metadata.version

    def change(name: str) -> None:
        path = Path(str(importlib.import_module(name).__file__))

        def edited(paths: Iterable[Path]) -> str:
            return content([Path(__file__) if one == path else one for one in paths])

        def upgraded(package: str) -> str:
            return version(package) + ("+new" if package == name else "")

        monkeypatch.setattr(fingerprints, "of_files", edited)
        monkeypatch.setattr(importlib.metadata, "version", upgraded)
        fingerprints.of_code.cache_clear()

    yield change
    fingerprints.of_code.cache_clear()
