"""One wheel from four folders, and the traps of that layout."""

import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
# Where each folder of the repository goes in the wheel.
PLACES = {
    "uadbench": "uadbench",
    "methods": "uadbench/methods",
    "datasets": "uadbench/datasets",
    "reports": "uadbench/reports",
}

# What tools leave in a folder they work in.
CACHE = re.compile(r"__pycache__|/\.")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The names in a wheel that is built from a copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    skipped = shutil.ignore_patterns("__pycache__", ".*")
    for folder in PLACES:
        shutil.copytree(ROOT / folder, source / folder, ignore=skipped)
    for name in ("pyproject.toml", "LICENSE", "README.md"):
        shutil.copy(ROOT / name, source)
    subprocess.run(
        [
            *(sys.executable, "-m", "pip", "wheel", "--quiet"),
            *("--no-deps", "--no-build-isolation", "--wheel-dir", "dist", "."),
        ],
        cwd=source,
        check=True,
    )
    (built,) = (source / "dist").glob("*.whl")
    return set(zipfile.ZipFile(built).namelist())


@pytest.mark.parametrize("folder", PLACES)
def test_wheel_holds_every_file_of_the_folder(wheel: set[str], folder: str) -> None:
    # A sub-folder that is missing from pyproject's list works in an editable install
    # and is silently absent from the wheel.
    expected = {
        f"{PLACES[folder]}/{path.relative_to(ROOT / folder)}"
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and not CACHE.search(str(path.relative_to(ROOT)))
    }

    assert expected - wheel == set()


def test_wheel_installs_nothing_beside_one_package(wheel: set[str]) -> None:
    # A top-level "datasets" would overwrite that of Hugging Face.
    tops = {name.split("/")[0] for name in wheel}

    assert tops == {"uadbench", f"uadbench-{PROJECT['project']['version']}.dist-info"}


@pytest.mark.parametrize("kind", ["methods", "datasets", "reports"])
def test_installed_entry_points_are_those_of_pyproject(kind: str) -> None:
    group = f"uadbench.{kind}"
    ours = {
        entry.name: entry.value
        for entry in entry_points(group=group)
        if entry.dist is not None and entry.dist.name == "uadbench"
    }

    # If not: a new entry point needs "pip install -e ." once more.
    assert ours == PROJECT["project"]["entry-points"][group]


def test_tests_see_the_installed_package_and_not_the_checkout() -> None:
    # With tests/__init__.py or another import mode the checkout's uadbench/, which has
    # no plugins in it, would shadow the installed one.
    assert not list((ROOT / "tests").rglob("__init__.py"))
    assert (
        "--import-mode=importlib" in PROJECT["tool"]["pytest"]["ini_options"]["addopts"]
    )


def test_readme_and_ci_run_the_same_test_command() -> None:
    command = "pip install -c constraints.txt tox && tox"

    assert command in (ROOT / "README.md").read_text()
    assert command in (ROOT / ".ci" / "run").read_text()
