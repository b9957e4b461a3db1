"""The cells of a comparison: each method on each dataset with each seed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from uadbench import registry
from uadbench.errors import UsageError
from uadbench.members import OPTION, has_members
from uadbench.plans import Plan, describe

BASELINE = "intensity"


@dataclass(frozen=True)
class Cell:
    """One run of a comparison.

    Attributes:
        plan: what is run.
        folder: where.
        members: folders of the cells that it builds on, as far as they are finished.
        label: what `--set-data` calls its dataset; "" outside of a comparison.
    """

    plan: Plan
    folder: Path
    members: tuple[Path, ...] = ()
    label: str = ""


def grid(
    plans: Mapping[str, Plan],
    methods: Sequence[str],
    seeds: Sequence[int],
    options: Mapping[str, Mapping[str, object]],
    folder: Path,
) -> list[Cell]:
    """Return the cells of a comparison, every option checked; reads no data.

    The baseline is added once if it is not among the methods. A method that builds on
    runs comes after all others and, if it is given none, gets theirs.

    Args:
        plans: what all cells of a dataset share, by the dataset's label.
        methods: names.
        seeds: one run of each method on each dataset for each.
        options: by method, each one of `methods`.
        folder: of the comparison; each cell gets a folder in it.

    Raises:
        UsageError: an unknown name, option or value; two datasets that are the same.
    """
    singles = [m for m in methods if not has_members(registry.load("methods", m))]
    builders = [m for m in methods if m not in singles]

    def place(method: str, label: str, seed: int) -> Path:
        return folder / f"{method}-{label}-seed{seed}"

    def make(method: str, label: str, seed: int) -> Cell:
        shared, given = plans[label], options.get(method, {})
        # Nobody asked for the baseline: a preset that it does not know must not stop
        # it, and it is no member of anything.
        preset = shared.preset if method in methods else None
        plan = replace(shared, method=method, preset=preset, seed=seed, options=given)
        alone = method not in builders or OPTION in given
        members = () if alone else tuple(place(m, label, seed) for m in singles)
        return Cell(plan, place(method, label, seed), members, label)

    cells = [
        make(method, label, seed)
        for label in plans
        for method in dict.fromkeys([*singles, BASELINE, *builders])
        for seed in seeds
    ]
    for cell in cells:
        describe(cell.plan)
    _check_distinct(plans)
    return cells


def _check_distinct(plans: Mapping[str, Plan]) -> None:
    """Raise a UsageError if two datasets are the same: one would repeat the other."""
    known: dict[str, str] = {}
    for label, plan in plans.items():
        dataset = describe(plan)["dataset"]
        first = known.setdefault(json.dumps(dataset, sort_keys=True), label)
        if first != label:
            msg = (
                f"--datasets: '{first}' and '{label}' are {plan.dataset} with the same "
                f"options. Give one of them others by --set-data {label}.NAME=VALUE."
            )
            raise UsageError(msg)
