"""A promise that can be checked, and what came of it."""

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from uadbench.errors import UadbenchError


@dataclass(frozen=True, eq=False)
class Check:
    """One promise of a plugin.

    Attributes:
        title: what the plugin does if it keeps the promise, such as "fits ...".
        promise: raises if it is broken; a ContractError says what to do.
        vital: whether the checks after it make no sense where it fails.
    """

    title: str
    promise: Callable[[], None]
    vital: bool = False

    def __call__(self) -> None:
        """Raise whatever shows that the promise is broken."""
        self.promise()

    def __str__(self) -> str:
        return self.title


@dataclass(frozen=True)
class Finding:
    """What came of a check; the message says why it failed or was skipped."""

    title: str
    status: Literal["ok", "FAILED", "skipped"]
    message: str = ""


def examine(checks: Iterable[Check], source: Path) -> Iterator[Finding]:
    """Yield what comes of each check, as soon as it is known.

    Args:
        checks: in order.
        source: the plugin's file, by which its place in a traceback is found.
    """
    missing = ""
    for check in checks:
        if missing:
            yield Finding(check.title, "skipped", f"for want of '{missing}'")
            continue
        try:
            check()
        except Exception as error:  # any plugin's own
            yield Finding(check.title, "FAILED", explain(error, source))
            missing = check.title if check.vital else ""
        else:
            yield Finding(check.title, "ok")


def explain(error: Exception, source: Path) -> str:
    """Return an error as one line, with its place in the plugin where it is a bug.

    The place is the last frame in the folder of `source`, if there is one.
    """
    words = " ".join(str(error).split())
    if isinstance(error, UadbenchError):
        return words
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).parent == source.parent]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {words}{place}"
