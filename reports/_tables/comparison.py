"""Which runs may stand in one table, and the numbers of each row.

Runs are comparable if dataset, its options, its content and the protocol are the same;
the seeds of one method with the same options are one row. Raw results and those of
post-processed maps are two comparisons.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from uadbench.errors import UsageError
from uadbench.inference import Paired, compare_to
from uadbench.results import Run

from .entry import Entry
from .grouping import grouped, tell_apart

HEADLINE = "dice_fpr5"
BASELINE = "intensity"
# End of the columns that are read from post-processed maps.
PROCESSED = "_post"


@dataclass(frozen=True, eq=False)
class Comparison:
    """Rows that may be compared: one dataset under one protocol.

    Attributes:
        title: dataset and protocol.
        entries: in the order of the runs.
        reference: name of the method that the others are compared with.
        steps: post-processing of the maps that the numbers are read from; "" for none.
    """

    title: str
    entries: tuple[Entry, ...]
    reference: str = BASELINE
    steps: str = ""

    @property
    def dataset(self) -> str:
        """The dataset's title."""
        return str(self._record["dataset"]["title"])

    @property
    def dataset_name(self) -> str:
        """The dataset's registered name."""
        return str(self._record["dataset"]["name"])

    @property
    def source(self) -> str:
        """The dataset's name with its options; its content may still differ."""
        options = json.dumps(self._record["dataset"]["options"], sort_keys=True)
        return f"{self.dataset_name} {options}"

    @property
    def protocol(self) -> str:
        """The protocol's name."""
        return str(self._record["protocol"])

    @property
    def data_hash(self) -> str:
        """Hash of the dataset's content; "" if unknown."""
        return str(self._record.get("data_hash") or "")

    @property
    def sample(self) -> tuple[int, int]:
        """The number of subjects and of their scored cases, of the row with most."""
        counts = [r.summary["cases"] for e in self.entries for r in e.runs]
        return max((int(c["subjects"]), int(c["scored"])) for c in counts)

    @property
    def baseline(self) -> Entry | None:
        """The row of the reference method, the first if it has several."""
        return next((e for e in self.entries if e.method == self.reference), None)

    @property
    def against(self) -> str:
        """What a column calls the reference: as its row does, the intensity by name."""
        if self.baseline is None or self.reference == BASELINE:
            return self.reference
        return self.baseline.title

    def column(self, metric: str) -> str:
        """Return the column of a metric, or of a threshold's suffix, in these maps."""
        return metric + PROCESSED if self.steps else metric

    def processed(self) -> list["Comparison"]:
        """Return the comparisons of post-processed maps, one for each of the steps."""
        rows = [entry for entry in self.entries if entry.steps]
        return [
            replace(self, entries=same, steps=same[0].steps)
            for same in grouped(rows, lambda entry: entry.steps)
        ]

    @cached_property
    def ordered(self) -> tuple[Entry, ...]:
        """Ranked rows by falling headline, then those that are not ranked."""

        def key(entry: Entry) -> tuple[bool, float]:
            headline = entry.subject(self.column(HEADLINE))
            value = math.nan if headline is None else headline.value
            return bool(entry.unranked), math.inf if math.isnan(value) else -value

        return tuple(sorted(self.entries, key=key))

    @property
    def prevalence(self) -> float:
        """Fraction of lesion among the scored voxels: the AUPRC of chance."""
        first = next((e for e in self.entries if not e.unranked), self.entries[0])
        found = first.pooled("prevalence")
        return math.nan if found is None else found.value

    @cached_property
    def paired(self) -> dict[str, Paired]:
        """The headline of each row against the reference's, by the row's title.

        Over the subjects of whom both have the same scans, so that a row with failed
        cases is compared on what it has. Empty without the reference.
        """
        if self.baseline is None:
            return {}
        metric = self.column(HEADLINE)
        scans = _scans(self.baseline, metric)
        others = {
            entry.title: {
                subject: value
                for subject, value in entry.by_subject(metric).items()
                if own[subject] == scans.get(subject)
            }
            for entry in self.entries
            if entry is not self.baseline
            for own in [_scans(entry, metric)]
        }
        found = compare_to(self.baseline.by_subject(metric), others, higher=True)
        return {paired.name: paired for paired in found}

    @property
    def _record(self) -> Mapping[str, Any]:
        return self.entries[0].runs[0].record


def compare(runs: Sequence[Run], reference: str = BASELINE) -> list[Comparison]:
    """Return the tables that finished runs make, in the order of the runs.

    A run that repeats another is left out: it is no second seed.

    Args:
        runs: of any methods, datasets and protocols.
        reference: name of the method that the others are compared with.

    Raises:
        UsageError: no run is finished.
    """
    done = [first for first, *_ in grouped((r for r in runs if r.done), _identity)]
    if not done:
        states = ", ".join(f"{run.name} ({run.record['status']})" for run in runs)
        msg = (
            f"reports: expected a finished run, got {states or 'none'}. "
            "Repeat 'uadbench run' with the same options to finish it."
        )
        raise UsageError(msg)
    groups = [same for runs in grouped(done, _table_key) for same in _by_content(runs)]
    titles = tell_apart(
        [
            f"{r.record['dataset']['title']}, protocol {r.record['protocol']}"
            for r, *_ in groups
        ],
        [
            {**r.record["dataset"]["options"], "data": r.record.get("data_hash")}
            for r, *_ in groups
        ],
    )
    return [
        Comparison(title, _entries(group), reference)
        for title, group in zip(titles, groups, strict=True)
    ]


def left_out(runs: Iterable[Run]) -> list[str]:
    """Return a line for each run that no table shows."""
    first: dict[str, Run] = {}
    lines = []
    for run in runs:
        if not run.done:
            status = run.record["status"]
            lines.append(f"{run.name} is left out: its status is '{status}'.")
        elif (other := first.setdefault(_identity(run), run)) is not run:
            lines.append(f"{run.folder} is left out: it repeats {other.folder}.")
    return lines


def _entries(runs: Sequence[Run]) -> tuple[Entry, ...]:
    rows = grouped(runs, _row_key)
    titles = tell_apart(
        [run.title for run, *_ in rows],
        [
            {
                "method": run.method,
                "preset": run.record["method"].get("preset"),
                "limit": run.record.get("limit"),
                "postprocess": run.record.get("postprocess"),
                **_options(run),
            }
            for run, *_ in rows
        ],
    )
    return tuple(Entry(t, row) for t, row in zip(titles, rows, strict=True))


def _identity(run: Run) -> str:
    """Return what two runs share if one repeats the other, and is no second seed."""
    parts = _table_key(run), _row_key(run), run.record["seed"]
    return json.dumps((*parts, run.record.get("data_hash")))


def _table_key(run: Run) -> str:
    record = run.record
    dataset = record["dataset"]
    parts = dataset["name"], dataset["options"], record["protocol"]
    return json.dumps(parts, sort_keys=True)


def _by_content(runs: Sequence[Run]) -> list[list[Run]]:
    """Return the runs whose common cases hold the same voxels together.

    The hash in run.json covers the scored cases alone, so that a run with a failed case
    has another one, and would hide from the table in which it has to stand unranked.
    """
    groups: list[tuple[dict[str, str], list[Run]]] = []
    for run in runs:
        content = _content(run)
        for known, members in groups:
            common = known.keys() & content.keys()
            # Where every case failed nothing tells the data apart.
            alike = bool(common) or not (known and content)
            if alike and all(known[case] == content[case] for case in common):
                known |= content
                members.append(run)
                break
        else:
            groups.append((content, [run]))
    return [members for _, members in groups]


def _content(run: Run) -> dict[str, str]:
    """Return the hash of each scored case's voxels."""
    scored = run.cases[run.cases["status"] == "ok"].astype(str)
    if scored.empty:
        return {}
    return dict(zip(scored["case"], scored["content"], strict=True))


def _row_key(run: Run) -> str:
    further = run.record.get("limit"), run.record.get("postprocess") or ""
    built_on = run.record["method"].get("members")
    key = run.method, _options(run), built_on, *further
    return json.dumps(key, sort_keys=True)


def _options(run: Run) -> dict[str, object]:
    """Return the options of a run's method, and the names of the methods it builds on.

    Not the folders of these: they are others for each seed and dataset.
    """
    method = run.record["method"]
    if "members" not in method:
        return dict(method["options"])
    own = {name: value for name, value in method["options"].items() if name != "runs"}
    return {"members": "+".join(method["members"]), **own}


def _scans(entry: Entry, metric: str) -> dict[str, set[str]]:
    """Return the cases of each subject that define a metric."""
    scans: dict[str, set[str]] = {}
    for case in entry.by_case(metric):
        scans.setdefault(entry.subjects[case], set()).add(case)
    return scans
