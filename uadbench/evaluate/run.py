"""From two folders to rows and a summary: match, look, score, then all together."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from uadbench.evaluation import Row
from uadbench.oracle import Counts
from uadbench.protocols import Monitor
from uadbench.summary import Pool, add_oracles, oracle_grids
from uadbench.thresholds import Threshold
from uadbench.variants import Variant, variants

from .pairs import Pair, Pairs, match
from .reading import Kind, Settings, is_mask
from .request import Request
from .scoring import Grids, Outcome, count, score
from .workers import Workers


@dataclass
class Evaluation:
    """What was found.

    Attributes:
        pairs: of files.
        kind: what predictions are.
        rows: of cases.csv, one for each pair.
        pools: the voxels of all scored cases.
        thresholds: of score maps, by suffix.
        resampled: cases with a file on another grid than their reference.
        like_labels: cases whose scores look like labels.
        outside_ml: volume of lesion outside the brains, which no metric counts.
    """

    pairs: Pairs
    kind: Kind
    pools: dict[Variant, Pool]
    thresholds: dict[str, Threshold] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    resampled: list[str] = field(default_factory=list)
    like_labels: list[str] = field(default_factory=list)
    outside_ml: float = 0.0

    @property
    def scored(self) -> list[Row]:
        """The rows with metrics."""
        return [row for row in self.rows if row["status"] == "ok"]

    def add(self, outcome: Outcome) -> None:
        """Take the outcome of the next pair."""
        self.rows.append(outcome.row)
        for variant in self.pools:
            if variant.suffix in outcome.pools:
                self.pools[variant] += outcome.pools[variant.suffix]
        case = [str(outcome.row["case"])]
        self.resampled += case * outcome.resampled
        self.like_labels += case * outcome.like_labels
        self.outside_ml += outcome.outside_ml


def evaluate(request: Request, monitor: Monitor) -> Evaluation:
    """Return what is found of every reference, whatever the number of processes.

    Raises:
        UsageError: an option does not fit the predictions.
        DataError: files do not match (see `pairs.match`), or change meanwhile.
        UadbenchError: a process was killed.
    """
    pairs = match(request.predictions, request.references, request.brains)
    with Workers(request.jobs) as workers:
        kind = _kind(request, pairs.pairs, workers, monitor)
        settings = request.settings(kind)
        found = Evaluation(pairs, kind, {v: Pool() for v in variants(request.pipeline)})
        outcomes = workers.each(partial(score, settings=settings), pairs.pairs)
        for outcome in monitor.track(outcomes, "score", len(pairs.pairs)):
            found.add(outcome)
            row = outcome.row
            if row["status"] != "ok":
                monitor.warn(f"{row['case']} {row['status']}: {row['error']}")
        if kind == "score":
            found.thresholds = dict(settings.thresholds)
            _add_oracles(found, settings, workers, monitor)
    return found


def _kind(
    request: Request, pairs: Sequence[Pair], workers: Workers, monitor: Monitor
) -> Kind:
    """Return what predictions are: masks if every one that is readable is binary."""
    if request.prediction_labels:
        return "mask"
    if request.kind != "auto":
        return request.kind
    paths = [pair.prediction for pair in pairs if pair.prediction]
    # Mostly the first file shows a score map, before any process has to start.
    if is_mask(paths[0]) is False:
        return "score"
    rest = workers.each(is_mask, paths[1:])
    looked = monitor.track(rest, "look", len(paths) - 1)
    return "score" if False in list(looked) else "mask"


def _add_oracles(
    found: Evaluation, settings: Settings, workers: Workers, monitor: Monitor
) -> None:
    """Add to the rows what the threshold of the best mean Dice finds."""
    grids = oracle_grids(found.pools, dict(settings.thresholds))
    todo = [
        (pair, row["content"])
        for pair, row in zip(found.pairs.pairs, found.rows, strict=True)
        if row["status"] == "ok"
    ]
    counting = workers.each(partial(_count, settings=settings, grids=grids), todo)
    counts = list(monitor.track(counting, "find the best threshold", len(todo)))
    found.thresholds |= add_oracles(found.scored, counts, grids)


def _count(
    scored: tuple[Pair, object], settings: Settings, grids: Grids
) -> Mapping[Variant, Counts]:
    pair, content = scored
    return count(pair, settings, content, grids)
