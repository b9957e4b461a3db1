"""The rows of table.csv and of significance.csv: every number, unrounded."""

from collections.abc import Iterator
from dataclasses import asdict

from uadbench.metrics.catalogue import find_metric

from .comparison import HEADLINE, PROCESSED, Comparison
from .entry import Entry
from .image_level import SCORES
from .seeds import Estimate

Row = dict[str, object]
BETTER = {True: "higher", False: "lower", None: ""}
ENDS = ("low", "high")
COUNTS = ("n", "undefined", "subjects")
# A file without any test has its header still.
SIGNIFICANCE = (
    "table",
    "dataset",
    "protocol",
    "data_hash",
    "postprocess",
    "metric",
    "reference",
    "method",
    "title",
    "difference",
    "low",
    "high",
    "effect",
    "p",
    "p_holm",
    "n",
    "dropped",
    "no_test_because",
)


def number_rows(comparison: Comparison) -> Iterator[Row]:
    """Yield the rows of table.csv for one dataset and protocol."""
    for entry in comparison.ordered:
        for run in entry.runs:
            single = Entry(entry.title, (run,))
            names: Row = {"kind": "run", "run": run.name, "seed": run.record["seed"]}
            yield from _of_entry(comparison, single, names)
        names = {"kind": "mean", "run": "", "seed": ""}
        yield from _of_entry(comparison, entry, names)


def significance_rows(comparison: Comparison) -> Iterator[Row]:
    """Yield a row for each method that is compared with the reference."""
    for entry in comparison.ordered:
        paired = comparison.paired.get(entry.title)
        if paired is None or comparison.baseline is None:
            continue
        yield _of_comparison(comparison) | {
            "postprocess": comparison.steps,
            "metric": comparison.column(HEADLINE),
            "reference": comparison.baseline.title,
            "method": entry.method,
            "title": entry.title,
            "difference": paired.difference.mean,
            "low": paired.difference.low,
            "high": paired.difference.high,
            "effect": paired.effect,
            "p": paired.p,
            "p_holm": paired.p_holm,
            "n": paired.n,
            "dropped": paired.dropped,
            "no_test_because": paired.reason,
        }


def _of_entry(comparison: Comparison, entry: Entry, names: Row) -> Iterator[Row]:
    shared = _of_comparison(comparison) | {
        "method": entry.method,
        "title": entry.title,
        "seeds": len(entry.seeds),
        "ranked": not entry.unranked,
        "not_ranked_because": entry.unranked,
    }
    yield from (shared | names | row for row in _numbers(entry))


def _of_comparison(comparison: Comparison) -> Row:
    return {
        "table": comparison.title,
        "dataset": comparison.dataset,
        "protocol": comparison.protocol,
        "data_hash": comparison.data_hash,
    }


def _numbers(entry: Entry) -> Iterator[Row]:
    """Yield every number of an entry, the headline first."""
    subject = dict.fromkeys([HEADLINE, *entry.metrics])
    pooled = dict.fromkeys(m for run in entry.runs for m in run.summary["pooled"])
    found: list[tuple[str, str, Estimate | None]] = [
        *(("subject", metric, entry.subject(metric)) for metric in subject),
        *(("pooled", metric, entry.pooled(metric)) for metric in pooled),
        *(("image", score, Estimate(entry.image(score))) for score in SCORES),
        ("run", "seconds_per_case", entry.seconds),
        ("run", "parameters", entry.parameters),
    ]
    for scope, metric, estimate in found:
        if estimate is None:
            continue
        row: Row = {"scope": scope, "metric": metric, **asdict(estimate)}
        row["supervision"] = _supervision(entry, metric)
        row |= _reading(scope, metric)
        if scope != "subject":
            row |= dict.fromkeys((*ENDS, *COUNTS), "")
        # What another training would have given is told of the headline alone.
        ends = (
            entry.retrained(metric)
            if (scope, metric) == ("subject", HEADLINE)
            else None
        )
        row |= {
            f"{end}_retrained": "" if ends is None else getattr(ends, end)
            for end in ENDS
        }
        yield row


def _reading(scope: str, metric: str) -> Row:
    """Return unit and better side; image-level numbers are all AUROC."""
    known = find_metric("auroc" if scope == "image" else metric)
    return {
        "unit": "" if known is None else known.unit,
        "better": "" if known is None else BETTER[known.higher],
    }


def _supervision(entry: Entry, metric: str) -> str:
    """Return what the threshold behind a metric has seen."""
    if "oracle" in metric:
        return "test-oracle"
    stem = metric.removesuffix(PROCESSED)
    suffix = stem.rpartition("_")[2] + metric[len(stem) :]
    return entry.supervision(suffix) or "none"
