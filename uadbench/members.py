"""Finished runs that another method builds on, such as an ensemble.

A method that builds on others says so by an option `runs`, the folders of their runs,
and by `fewest`, if it has that attribute, how many it needs at least. Runs have to be
of the dataset, split and protocol that it is run on itself: what one of them learned
from may be what another is judged on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from uadbench import options, registry
from uadbench.checkpoints import load_arrays
from uadbench.errors import UsageError
from uadbench.protocols import Arrays, Method
from uadbench.results import Run, differences
from uadbench.views import View

OPTION = "runs"


@dataclass(frozen=True, eq=False)
class Member:
    """A method as a run left it.

    Attributes:
        name: the method's registered name.
        options: all of them, as JSON values.
        state: what it learned.
    """

    name: str
    options: Mapping[str, Any]
    state: Arrays

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the method of a finished run.

        Raises:
            UsageError: there is no run, or it is not finished.
        """
        run = _finished(folder)
        return cls(
            name=run.method,
            options=run.record["method"]["options"],
            state=load_arrays(run.folder / "model.safetensors"),
        )

    def method(self) -> Method:
        """Return the method, ready to predict.

        Raises:
            UsageError, ContractError: it is not installed, or not as it was.
        """
        plugin = registry.load("methods", self.name)
        method: Method = options.build(plugin, self.name, self.options)
        method.restore(self.state)
        return method


def has_members(plugin: object) -> bool:
    """Return whether a method, or its class, builds on finished runs."""
    return OPTION in options.names(plugin)


def check_enough(method: Any, name: str, awaited: int = 0) -> None:
    """Raise unless a method that builds on runs has as many as it needs.

    Args:
        method: any, built; one that builds on nothing needs none.
        name: its own, for the message.
        awaited: runs that it will be given besides those it has.

    Raises:
        UsageError: it has fewer.
    """
    if not has_members(method):
        return
    count, fewest = len(method.runs) + awaited, getattr(method, "fewest", 0)
    if count < fewest:
        msg = (
            f"{name}: expected at least {fewest} finished runs, got {count}. "
            f"Give their folders by --set runs=runs/a,runs/b, or compare it "
            "with more methods."
        )
        raise UsageError(msg)


def describe(folders: Iterable[Path]) -> dict[str, Any]:
    """Return the options of each run's method by its name; a second "ae" is "ae-2".

    Raises:
        UsageError: there is no run in a folder, or it is not finished.
    """
    found: dict[str, Any] = {}
    seen: Counter[str] = Counter()
    for run in map(_finished, folders):
        seen[run.method] += 1
        number = seen[run.method]
        label = run.method if number == 1 else f"{run.method}-{number}"
        found[label] = run.record["method"]["options"]
    return found


def check(folders: Sequence[Path], config: Mapping[str, Any], view: View) -> None:
    """Raise unless runs may be the members of one that is described by `config`.

    Args:
        folders: of the runs.
        config: see `plans.describe`.
        view: what the dataset of `config` gives under its protocol.

    Raises:
        UsageError: a run comes twice, is not finished, or is of another dataset, split
            or protocol.
    """
    subjects = {"train": list(view.train.ids), "val": list(view.val.ids)}
    known: set[Path] = set()
    for folder in folders:
        record = _finished(folder).record
        place = folder.expanduser().resolve()
        if place in known:
            msg = f"{folder}: comes twice among the runs. Give each once."
            raise UsageError(msg)
        known.add(place)
        for name, there, here in differences(_setting(record), _setting(config)):
            msg = (
                f"{folder}: was run with {name} {there}, here it is {here}. Give "
                "runs of the same dataset, with the same options and protocol."
            )
            raise UsageError(msg)
        for part, ids in subjects.items():
            if record["subjects"][part] != ids:
                msg = (
                    f"{folder}: had other subjects in '{part}': the data changed since "
                    "it was run. Run it again."
                )
                raise UsageError(msg)


def _setting(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what members have in common: dataset, protocol, the dataset's options."""
    dataset, protocol = record["dataset"], record["protocol"]
    return {"dataset": dataset["name"], "protocol": protocol, **dataset["options"]}


def _finished(folder: Path) -> Run:
    run = Run.load(folder.expanduser())
    if not run.done:
        msg = (
            f"{folder}: is not finished, its status is '{run.record['status']}'. "
            "Repeat its command first."
        )
        raise UsageError(msg)
    return run
