"""Names for content: equal where the content is, so that what was made of it is found.

The code that makes something is part of its name; nobody has to count versions.
"""

import hashlib
import importlib.metadata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from types import ModuleType


def fingerprint(*parts: object) -> str:
    """Return 32 hexadecimal digits that tell parts, by their repr, from others."""
    return hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()


def of_files(paths: Iterable[Path]) -> str:
    """Return the fingerprint of what some files hold, as it lies on disk.

    Raises:
        OSError: a file cannot be read.
    """
    digests = []
    for path in paths:
        with path.open("rb") as file:
            digests.append(hashlib.file_digest(file, "blake2b").hexdigest())
    return fingerprint(*digests)


@cache
def of_code(*modules: ModuleType, packages: tuple[str, ...] = ("numpy",)) -> str:
    """Return the fingerprint of modules and of the versions of packages they use.

    Of a package, every module in its folder counts.
    """
    versions = [importlib.metadata.version(name) for name in packages]
    files = [Path(str(module.__file__)) for module in modules]
    sources = [
        source
        for file in files
        for source in (
            sorted(file.parent.glob("*.py")) if file.stem == "__init__" else [file]
        )
    ]
    return fingerprint(of_files(sources), versions)
