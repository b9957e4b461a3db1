"""The mistakes that a user can mend, each with the exit status of the command line.

UadbenchError           1  the outcome is not whole; run and compare save what is done
├── UsageError          2  an unknown name, option or value; a folder that is taken
├── DataError           3  a file or a dataset that is missing or unfit
├── ContractError       4  a plugin that breaks its contract
└── OutputError         1  a result that could not be written

Anything else that is raised is a bug, and keeps its traceback.
"""

import difflib
from collections.abc import Iterable

# The status of a command that Ctrl-C or SLURM ended.
INTERRUPTED = 130


class UadbenchError(Exception):
    """A problem whose message says what was expected, what came and what to do."""

    status = 1


class UsageError(UadbenchError):
    """The command or an option is wrong, not the data."""

    status = 2


class DataError(UadbenchError):
    """A file or a dataset is missing or unfit, not the command."""

    status = 3


class ContractError(UadbenchError):
    """A plugin breaks its contract; its author has to mend it, not its user."""

    status = 4


class OutputError(UadbenchError):
    """A result could not be written: a full disk, a folder without permission."""


def check_known(what: str, name: str, known: Iterable[str]) -> None:
    """Raise a UsageError unless `name` is known; it has the nearest name that is.

    Example: ``methods: no 'itermsk2'. Did you mean 'itermask2'? There are: ...``
    """
    names = sorted(known)
    if name in names:
        return
    folded = {right.casefold(): right for right in names}
    near = difflib.get_close_matches(name.casefold(), folded, n=1)
    hint = f" Did you mean '{folded[near[0]]}'?" if near else ""
    listing = ", ".join(names) if names else "none"
    msg = f"{what}: no '{name}'.{hint} There are: {listing}."
    raise UsageError(msg)
