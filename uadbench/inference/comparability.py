"""Which results may be ranked together."""

from collections.abc import Mapping
from dataclasses import dataclass

from uadbench.errors import UsageError

UPPER_BOUND = "test-oracle"


@dataclass(frozen=True)
class Origin:
    """What a result was computed with and on.

    Attributes:
        protocol: such as "volume".
        supervision: what the threshold behind it has seen: "none", "healthy-val",
            "lesion-val" or "test-oracle".
        data_hash: of the content of the scored cases; "" if it is unknown.
        dataset: name of the dataset.
    """

    protocol: str
    supervision: str
    data_hash: str
    dataset: str


def check_comparable(origins: Mapping[str, Origin]) -> None:
    """Raise unless results, by the name of their run, may be ranked together.

    They may if protocol and supervision are the same for all, none of them was chosen
    on test labels, and each dataset is known to hold the same data for all of its runs.
    Datasets may differ: over them ranks are averaged.

    Raises:
        UsageError: with what differs, in which runs, and what to do.
    """
    _check_same(
        "protocol",
        {run: origin.protocol for run, origin in origins.items()},
        "Give each protocol a table of its own.",
    )
    _check_same(
        "supervision level",
        {run: origin.supervision for run, origin in origins.items()},
        "Rank only methods whose thresholds have seen the same.",
    )
    if any(origin.supervision == UPPER_BOUND for origin in origins.values()):
        msg = (
            f"ranks: the thresholds are of level '{UPPER_BOUND}', chosen on the test "
            "labels themselves: an upper bound, never ranked. Take a metric at a "
            "threshold of healthy validation scans."
        )
        raise UsageError(msg)
    for dataset in dict.fromkeys(origin.dataset for origin in origins.values()):
        hashes = {
            run: origin.data_hash
            for run, origin in origins.items()
            if origin.dataset == dataset
        }
        unknown = [run for run, data_hash in hashes.items() if not data_hash]
        if unknown and len(hashes) > 1:
            msg = (
                f"ranks: expected one data hash of '{dataset}', but none is recorded "
                f"for {', '.join(unknown)}: can't tell whether the scored cases are "
                "the same. Repeat 'uadbench run' anew."
            )
            raise UsageError(msg)
        _check_same(
            f"data hash of '{dataset}'",
            hashes,
            "The scored cases are not the same: repeat 'uadbench run' with the same "
            "options to finish a run with failed cases, or anew if the data changed.",
        )


def _check_same(what: str, values: Mapping[str, str], remedy: str) -> None:
    """Raise a UsageError with the runs of each value if there is more than one."""
    found: dict[str, list[str]] = {}
    for run, value in values.items():
        found.setdefault(value, []).append(run)
    if len(found) > 1:
        listing = ", ".join(f"{v} ({', '.join(runs)})" for v, runs in found.items())
        msg = f"ranks: expected one {what}, got {listing}. {remedy}"
        raise UsageError(msg)
