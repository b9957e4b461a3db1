"""Predictions as a stream in which one bad case costs one case."""

import traceback
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import dataclass

from uadbench.ahead import ahead
from uadbench.checks import check_prediction, check_scan
from uadbench.errors import ContractError
from uadbench.protocols import Case, Context, Lazy, Method, Prediction, Scan


@dataclass(frozen=True, eq=False)
class Success:
    """A case and what the method said of its scan."""

    case: Case
    prediction: Prediction

    @property
    def id(self) -> str:
        """The scan's."""
        return self.case.scan.id


@dataclass(frozen=True, eq=False)
class Failure:
    """A case that could not be loaded or predicted."""

    id: str
    error: Exception

    @property
    def trace(self) -> str:
        """The traceback, for a log."""
        return "".join(traceback.format_exception(self.error))


class _Source:
    """Feeds scans to a method and keeps their cases back; the next ones are loading."""

    def __init__(self, cases: Lazy[Case]) -> None:
        self._ids = deque(cases.ids)
        self._loading = ahead(cases, _sound)
        self.waiting: deque[Case] = deque()
        self.failures: deque[Failure] = deque()

    def __bool__(self) -> bool:
        return bool(self._ids)

    def close(self) -> None:
        """End the loading."""
        self._loading.close()

    def scans(self) -> Iterator[Scan]:
        """Yield the scans that were not yielded before, past those that do not load."""
        while self:
            name, load = self._ids.popleft(), next(self._loading)
            try:
                case = load()
            except Exception as error:  # whatever a reader of third-party files raises
                self.failures.append(Failure(name, error))
                continue
            self.waiting.append(case)
            yield case.scan


def _sound(case: Case) -> Case:
    check_scan(case.scan)
    return case


def predict_cases(
    method: Method, label: str, cases: Lazy[Case], ctx: Context
) -> Iterator[Success | Failure]:
    """Yield the outcome of every case, each as soon as it is known.

    A method may read ahead to batch across scans. If it raises, each scan that it had
    read is predicted alone, so that only the one at fault fails; then the stream goes
    on. If it raises before it reads, the next scan is predicted alone.

    Raises:
        ContractError: the method yields the wrong number, type or shape.
    """
    with closing(_Source(cases)) as source:
        yield from _predicted(method, label, source, ctx)


def _predicted(
    method: Method, label: str, source: _Source, ctx: Context
) -> Iterator[Success | Failure]:
    while source:
        sound = yield from _together(method, label, source, ctx)
        # The error is gone by now, and with it what the method held in memory.
        if not sound:
            if not source.waiting:
                next(source.scans(), None)
            while source.waiting:
                yield _alone(method, label, source.waiting.popleft(), ctx)
        elif source.waiting or source:
            msg = f"{label}: predict yields fewer predictions than scans."
            raise ContractError(msg)
        yield from _drain(source.failures)


def _together(
    method: Method, label: str, source: _Source, ctx: Context
) -> Generator[Success | Failure, None, bool]:
    """Yield outcomes to the end of the scans; return False if the method raises."""
    try:
        for prediction in method.predict(source.scans(), ctx):
            if not source.waiting:
                msg = f"{label}: predict yields more predictions than scans."
                raise ContractError(msg)
            yield _checked(source.waiting.popleft(), prediction, label)
            yield from _drain(source.failures)
    except ContractError:
        raise
    except Exception:
        return False
    return True


def _alone(method: Method, label: str, case: Case, ctx: Context) -> Success | Failure:
    try:
        predictions = list(method.predict([case.scan], ctx))
    except ContractError:
        raise
    except Exception as error:  # the method's own, of any kind
        return Failure(case.scan.id, error)
    if len(predictions) != 1:
        msg = f"{label}: predict yields {len(predictions)} predictions for one scan."
        raise ContractError(msg)
    return _checked(case, predictions[0], label)


def _checked(case: Case, prediction: Prediction, label: str) -> Success | Failure:
    try:
        check_prediction(prediction, case.scan, label)
    except ContractError:
        raise
    except Exception as error:  # scores that are not finite
        return Failure(case.scan.id, error)
    return Success(case, prediction)


def _drain(failures: deque[Failure]) -> Iterator[Failure]:
    while failures:
        yield failures.popleft()
