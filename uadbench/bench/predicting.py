"""How many slices a second a method predicts."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from uadbench.probes import counting, fastest, make_scan, needed
from uadbench.protocols import Method, Scan, Silent

from .figures import Figure, limits, memory, missing
from .machine import Machine

SLICES = 32  # of a scan, where a method is fast enough
AT_LEAST = 2  # scans: a method may fill its batches from several
UNIT, PASSES = "slices/s", "slice-iterations/s"
TRACE = "trace"


def predicting(
    method: Method,
    single: Method,
    rates: Mapping[str, float],
    machine: Machine,
    seconds: float,
) -> list[Figure]:
    """Return how fast a method that has learned predicts made-up scans, in a stream.

    Args:
        method: predicts.
        single: predicts the same slice by slice, so that its operations can be counted.
        rates: FLOP/s of matrix products by precision.
        machine: predicts.
        seconds: how long scans are given; what was given is predicted to its end.
    """
    ctx = machine.context(Silent())
    one = make_scan("one", needed(method))

    def alone() -> None:
        list(single.predict([one], ctx))
        machine.wait()

    slices = int(np.clip(seconds / fastest(alone), 1, SLICES))
    scan = make_scan("warm-up", needed(method), slices)
    with counting() as count:
        before = count()
        list(single.predict([scan], ctx))
        flop = (count() - before) / slices
    list(method.predict([scan], ctx))
    machine.reset_memory()
    machine.wait()
    start = time.perf_counter()
    scans = _until(start + seconds, scan)
    traces: list[NDArray[np.bool_] | None] = []
    done = 0
    for prediction in method.predict(scans, ctx):
        done += 1
        # To count their passes takes time, and to keep them all takes memory.
        if len(traces) < AT_LEAST:
            traces.append(prediction.extras.get(TRACE))
    machine.wait()
    measured = slices * done / (time.perf_counter() - start)
    used = memory("prediction", machine.memory())
    return [
        Figure(
            f"prediction of scans of {slices}",
            UNIT,
            measured,
            limits(rates, flop),
            reason="" if flop else "no matrix product is in it",
        ),
        _refinement([t for t in traces if t is not None], measured, flop, rates),
        *used,
    ]


def iterations(trace: NDArray[np.bool_]) -> int:
    """Return the passes that the slices of a trace have taken together.

    A slice has taken one for each of its masks until the last one that is new; none if
    its first mask is empty.

    Args:
        trace: bool (K, X, Y, Z), the mask of every pass; a slice that has stopped
            repeats its last one.
    """
    new = (trace[1:] != trace[:-1]).any(axis=(1, 2))
    last = np.where(new, np.arange(1, len(trace))[:, None], 0).max(axis=0, initial=0)
    taken = np.where(trace[0].any(axis=(0, 1)), last + 1, 0)
    return int(taken.sum())


def _refinement(
    traces: Sequence[NDArray[np.bool_]],
    measured: float,
    flop: float,
    rates: Mapping[str, float],
) -> Figure:
    """Return the passes of slices in a second, from some traces and the slices."""
    if not traces:
        why = "its predictions carry no trace of masks"
        return missing("refinement", PASSES, why)
    slices = sum(trace.shape[-1] for trace in traces)
    each = sum(map(iterations, traces)) / slices
    if not each:
        return missing("refinement", PASSES, "its first masks are empty")
    name = f"refinement, {each:.1f} iterations a slice"
    return Figure(name, PASSES, each * measured, limits(rates, flop / each))


def _until(end: float, scan: Scan) -> Iterator[Scan]:
    """Yield a scan under other names until a time has come, but some times at least."""
    number = 0
    while number < AT_LEAST or time.perf_counter() < end:
        yield replace(scan, id=f"test{number}")
        number += 1
