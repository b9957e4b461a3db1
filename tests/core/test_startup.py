"""What a command imports: what it does not need would only keep the user waiting."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import uadbench

HEAVY = (
    "jinja2",
    "matplotlib",
    "monai",
    "nibabel",
    "nilearn",
    "numpy",
    "pandas",
    "pydantic",
    "scipy",
    "skimage",
    "sklearn",
    "torch",
)
# Calls the program as its script does, then prints what it has imported.
CALL = """
import sys
from uadbench.__main__ import main
sys.argv = ["uadbench", *sys.argv[1:]]
try:
    main()
finally:
    print(*(name for name in sys.modules if "." not in name), file=sys.stderr)
"""


def imported_by(*words: str) -> set[str]:
    """Return the top-level modules that a command line has imported."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, *words], capture_output=True, text=True, check=True
    )
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words", [("--help",), ("--version",), ("list",), ("list", "--json")]
)
def test_help_and_list_import_nothing_heavy(words: tuple[str, ...]) -> None:
    found = imported_by(*words)

    assert "rich_click" in found
    assert not found & set(HEAVY)


@pytest.mark.parametrize("command", ["run", "compare", "evaluate", "report", "info"])
def test_help_of_a_command_imports_nothing_heavy(command: str) -> None:
    assert not imported_by(command, "--help") & set(HEAVY)


def test_the_package_knows_its_version_and_nothing_else() -> None:
    assert uadbench.__version__ == version("uadbench")
    assert not hasattr(uadbench, "__author__")
