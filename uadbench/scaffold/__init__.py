"""A new package with a method: what `uadbench new method` writes.

The files ending in `.in` are the templates. They show a method that learns something,
so that its author changes what works instead of filling gaps.
"""

import keyword
import re
import shutil
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from uadbench.errors import UsageError
from uadbench.files import saving
from uadbench.registry import listings

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
LONGEST = 30  # letters, so that no line of the templates grows too long
BUILDERS = ("setup", "conftest", "tests")  # what pip and pytest take for their own
# Template, and where it goes; both names hold the module's.
FILES = {
    "pyproject.toml.in": "pyproject.toml",
    "README.md.in": "README.md",
    "module.py.in": "$module.py",
    "test_module.py.in": "tests/test_$module.py",
}


def write_method(name: str, folder: Path) -> None:
    """Write a package with a method of a name into a new folder.

    Raises:
        UsageError: the name is unfit or taken, or the folder exists.
        OutputError: the folder cannot be written.
    """
    check_name(name)
    if folder.exists():
        msg = f"{folder}: exists already, and nothing is overwritten. Give --output."
        raise UsageError(msg)
    try:
        for path, text in render(name).items():
            with saving(folder):
                (folder / path).parent.mkdir(parents=True, exist_ok=True)
                (folder / path).write_text(text, encoding="utf-8")
    except BaseException:
        # Half a package would be in the way of the next attempt.
        shutil.rmtree(folder, ignore_errors=True)
        raise


def render(name: str) -> dict[str, str]:
    """Return the files of a package with a method: {path: text}."""
    words = {
        "name": name,
        "module": module_of(name),
        "Class": class_of(name),
        "title": name.replace("-", " ").capitalize(),
    }
    templates = files(__name__)
    return {
        Template(path).substitute(words): Template(
            (templates / source).read_text(encoding="utf-8")
        ).substitute(words)
        for source, path in FILES.items()
    }


def module_of(name: str) -> str:
    """Return the name of the Python module of a method."""
    return name.replace("-", "_")


def class_of(name: str) -> str:
    """Return the name of the class of a method."""
    # With this ending it is neither a keyword nor a name that the templates import.
    words = name.removesuffix("-method").split("-")
    return "".join(word.capitalize() for word in [*words, "method"])


def check_name(name: str) -> None:
    """Raise a UsageError unless a new method can have this name."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        near = "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:LONGEST].strip("-")
        hint = f" Such as '{near}'." if NAME.fullmatch(near) else ""
        msg = (
            f"new: no method can be called '{name}'. Expected at most {LONGEST} small "
            f"letters, digits and single dashes, a letter first.{hint}"
        )
        raise UsageError(msg)
    owners = {listing.name: listing.package for listing in listings("methods")}
    if name in owners:
        msg = (
            f"new: package '{owners[name]}' has a method '{name}'. Choose another name."
        )
        raise UsageError(msg)
    module = module_of(name)
    taken = keyword.iskeyword(module) or find_spec(module) is not None
    if taken or module in BUILDERS:
        msg = f"new: Python knows another '{module}' already. Choose another name."
        raise UsageError(msg)
