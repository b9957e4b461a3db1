"""One case in one process: its row, and what it adds to the voxels of all cases."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from uadbench.errors import DataError
from uadbench.evaluation import (
    Row,
    content_hash,
    failed_case,
    score_case,
    scored_voxels,
)
from uadbench.oracle import Counts
from uadbench.summary import Grid, Pool, oracle_counts
from uadbench.variants import Reading, Variant, read, variants

from .pairs import Pair
from .reading import Loaded, Settings, load

Grids = Mapping[Variant, Grid]


@dataclass(frozen=True)
class Outcome:
    """What a case gave.

    Attributes:
        row: of cases.csv.
        pools: its voxels by the suffix of the variant; {} if it is not scored.
        resampled: whether a file of it lay on another grid than its reference.
        like_labels: whether scores look like labels.
        outside_ml: volume of lesion outside the brain, which no metric counts.
    """

    row: Row
    pools: Mapping[str, Pool] = field(default_factory=dict)
    resampled: bool = False
    like_labels: bool = False
    outside_ml: float = 0.0


def score(pair: Pair, settings: Settings) -> Outcome:
    """Return the outcome of a case; whatever its files are, it costs no other case."""
    if pair.prediction is None:
        missing = f"no prediction for {pair.reference.name}"
        row = failed_case(pair.case, pair.subject, DataError(missing))
        return Outcome(row | {"status": "missing"})
    try:
        loaded = load(pair, pair.prediction, settings)
        return _outcome(pair, loaded, settings)
    except Exception as error:  # whatever a reader of third-party files raises
        return Outcome(failed_case(pair.case, pair.subject, error))


def count(
    pair: Pair, settings: Settings, content: object, grids: Grids
) -> dict[Variant, Counts]:
    """Return what falling thresholds find in a case, for each variant.

    Args:
        pair: that was scored, with a prediction.
        settings: that it was scored with.
        content: hash of what was scored.
        grids: thresholds of each variant.

    Raises:
        DataError: a file is not the one that was scored.
    """
    try:
        loaded = load(pair, pair.prediction or Path(), settings)
        changed = content_hash(loaded.case) != content
    except DataError:
        changed = True
    if changed:
        msg = (
            f"{pair.case}: a file of it changed while cases were scored. Wait until "
            "nothing writes to the folders, then repeat the command."
        )
        raise DataError(msg)
    readings = _readings(loaded, replace(settings, thresholds=()))
    return oracle_counts(loaded.case, readings, grids)


def _outcome(pair: Pair, loaded: Loaded, settings: Settings) -> Outcome:
    case = loaded.case
    readings = _readings(loaded, settings)
    inside = scored_voxels(case)
    pools = {}
    for reading in readings:
        pool = Pool()
        pool.add(reading, inside, case.lesion[inside])
        pools[reading.variant.suffix] = pool
    voxel = float(np.prod(case.scan.spacing)) / 1000
    return Outcome(
        row=score_case(case, pair.subject, readings, {}),
        pools=pools,
        resampled=loaded.resampled,
        like_labels=loaded.like_labels,
        outside_ml=float((case.lesion & ~case.scan.brain).sum()) * voxel,
    )


def _readings(loaded: Loaded, settings: Settings) -> list[Reading]:
    """Return the raw prediction and, perhaps, the processed one."""
    cuts = dict(settings.thresholds)
    readings = [
        read(loaded.case.scan, loaded.prediction, variant, cuts)
        for variant in variants(settings.pipeline)
    ]
    if settings.kind == "mask":
        return [replace(reading, ranked=False) for reading in readings]
    return readings
