import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest

from uadbench.errors import ContractError, DataError
from uadbench.prediction import Failure, Success, predict_cases
from uadbench.protocols import (
    Arrays,
    Card,
    Case,
    Context,
    Lazy,
    Method,
    Prediction,
    Scan,
)

Outcomes = list[Success | Failure]
IDS = [f"sub-test{i}" for i in range(5)]


class Scripted:
    """A method that does what a function says."""

    card: ClassVar[Card] = Card("Scripted")

    def __init__(self, script: Callable[[Iterable[Scan]], Iterator[Any]]) -> None:
        self._script = script

    def fit(self, train: Lazy[Scan], val: Lazy[Scan], ctx: Context) -> None:
        """Learn nothing."""

    def predict(self, scans: Iterable[Scan], ctx: Context) -> Iterator[Prediction]:
        return self._script(scans)

    def state(self) -> Arrays:
        return {}

    def restore(self, state: Arrays) -> None:
        """Take nothing."""


def said(scan: Scan) -> Prediction:
    """A prediction that shows whose it is."""
    return Prediction(scan.image[0])


def fit(toy: ModuleType, **options: Any) -> Method:
    dataset = toy.ToyDataset()
    method: Method = toy.ToyMethod(**options)
    method.fit(dataset.train(), dataset.val(), Context())
    return method


def outcomes(method: Method, cases: Lazy[Case]) -> Outcomes:
    return list(predict_cases(method, "toy", cases, Context(1)))


def ids(found: Outcomes) -> tuple[list[str], list[str]]:
    """Return the ids of successes and of failures."""
    return (
        [o.case.scan.id for o in found if isinstance(o, Success)],
        [o.id for o in found if isinstance(o, Failure)],
    )


@pytest.fixture
def cases(toy: ModuleType) -> Lazy[Case]:
    test: Lazy[Case] = toy.ToyDataset(cases=5).test()
    return test


@pytest.mark.parametrize("batch", [1, 2, 3, 7])
def test_each_case_gets_its_own_prediction_at_any_batch_size(
    toy: ModuleType, cases: Lazy[Case], batch: int
) -> None:
    method = fit(toy, batch=batch)

    found = outcomes(method, cases)

    assert ids(found) == (IDS, [])
    for outcome, case in zip(found, cases, strict=True):
        assert isinstance(outcome, Success)
        (alone,) = method.predict([case.scan], Context(1))
        np.testing.assert_array_equal(outcome.case.lesion, case.lesion)
        np.testing.assert_array_equal(outcome.prediction.score, alone.score)


def test_no_case_gives_no_outcome(toy: ModuleType) -> None:
    assert outcomes(fit(toy), Lazy([], toy.make_case)) == []


def test_results_come_while_the_method_still_reads(cases: Lazy[Case]) -> None:
    read = []

    def one_by_one(scans: Iterable[Scan]) -> Iterator[Prediction]:
        for scan in scans:
            read.append(scan.id)
            yield said(scan)

    stream = predict_cases(Scripted(one_by_one), "toy", cases, Context())
    next(stream)

    assert read == IDS[:1]


def test_a_method_never_sees_a_label(toy: ModuleType, cases: Lazy[Case]) -> None:
    seen: list[object] = []

    def look(scans: Iterable[Scan]) -> Iterator[Prediction]:
        for scan in scans:
            seen.append(scan)
            yield said(scan)

    outcomes(Scripted(look), cases)

    assert {type(scan) for scan in seen} == {Scan}


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("fault", ["raise", "nan"])
@pytest.mark.parametrize("faulty", [IDS[0], IDS[2], IDS[4]])
def test_one_bad_case_costs_one_case(
    toy: ModuleType, cases: Lazy[Case], batch: int, fault: str, faulty: str
) -> None:
    sound = {
        o.case.scan.id: o.prediction.score
        for o in outcomes(fit(toy), cases)
        if isinstance(o, Success)
    }

    found = outcomes(fit(toy, batch=batch, fault=fault, faulty=faulty), cases)

    good, bad = ids(found)
    assert bad == [faulty]
    assert sorted(good) == sorted(set(IDS) - {faulty})
    for outcome in found:
        if isinstance(outcome, Success):
            expected = sound[outcome.case.scan.id]
            np.testing.assert_array_equal(outcome.prediction.score, expected)


def test_failure_keeps_the_error_and_its_traceback(
    toy: ModuleType, cases: Lazy[Case]
) -> None:
    found = outcomes(fit(toy, fault="raise"), cases)

    (failure,) = [outcome for outcome in found if isinstance(outcome, Failure)]
    assert str(failure.error) == "cannot stand sub-test1"
    assert failure.trace.startswith("Traceback")
    assert "uadbench_toy.py" in failure.trace


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("shape", r"score must be float32 of shape \(12, 10, 5\)"),
        ("extra", r"extra 'flat' has shape \(2, 2\)"),
        ("fewer", "predict yields fewer predictions than scans"),
        ("more", "predict yields more predictions than scans"),
    ],
)
def test_broken_contract_ends_the_stream(
    toy: ModuleType, cases: Lazy[Case], fault: str, words: str
) -> None:
    with pytest.raises(ContractError, match=f"toy: .*{words}"):
        outcomes(fit(toy, fault=fault), cases)


def test_method_without_a_mask_of_its_own_is_fine(
    toy: ModuleType, cases: Lazy[Case]
) -> None:
    found = outcomes(fit(toy, fault="no-mask"), cases)

    masks = [o.prediction.mask is None for o in found if isinstance(o, Success)]
    assert masks == [False, True, False, False, False]


@pytest.mark.parametrize("batch", [1, 2, 7])
@pytest.mark.parametrize("unreadable", [IDS[0], IDS[3], IDS[4]])
def test_case_that_cannot_be_read_is_a_failure_of_its_own(
    toy: ModuleType, batch: int, unreadable: str
) -> None:
    cases = toy.ToyDataset(cases=5, unreadable=unreadable).test()

    found = outcomes(fit(toy, batch=batch), cases)

    good, bad = ids(found)
    assert bad == [unreadable]
    assert good == [name for name in IDS if name != unreadable]
    (failure,) = [outcome for outcome in found if isinstance(outcome, Failure)]
    assert isinstance(failure.error, DataError)


def test_failure_is_told_before_the_stream_ends(toy: ModuleType) -> None:
    cases = toy.ToyDataset(cases=5, unreadable=IDS[0]).test()
    stream = predict_cases(fit(toy, batch=1), "toy", cases, Context())

    first_two = [next(stream), next(stream)]

    assert ids(first_two) == ([IDS[1]], [IDS[0]])


def test_where_no_case_can_be_read_all_fail(toy: ModuleType) -> None:
    def load(name: str) -> Case:
        raise KeyError(name)

    assert ids(outcomes(fit(toy), Lazy(IDS, load))) == ([], IDS)


def test_bad_case_and_unreadable_case_together(toy: ModuleType) -> None:
    cases = toy.ToyDataset(cases=5, unreadable=IDS[2]).test()

    found = outcomes(fit(toy, batch=3, fault="raise"), cases)

    good, bad = ids(found)
    assert sorted(bad) == [IDS[1], IDS[2]]
    assert sorted(good) == [IDS[0], IDS[3], IDS[4]]


def test_memory_of_a_failed_call_is_free_when_its_scans_are_predicted_alone(
    cases: Lazy[Case],
) -> None:
    held: list[weakref.ref[Scan]] = []
    alive: list[bool] = []

    def too_large(scans: Iterable[Scan]) -> Iterator[Prediction]:
        first, *more = scans
        if more:
            batch = replace(first)
            held.append(weakref.ref(batch))
            raise MemoryError
        alive.append(held[0]() is not None)
        yield said(first)

    assert ids(outcomes(Scripted(too_large), cases)) == (IDS, [])
    assert alive == [False] * len(IDS)


def test_loading_ends_with_a_stream_that_is_left_early(cases: Lazy[Case]) -> None:
    sources: list[Iterable[Scan]] = []

    def keep(scans: Iterable[Scan]) -> Iterator[Prediction]:
        # A reference to it, so that no collector ends the threads.
        sources.append(scans)
        yield from map(said, scans)

    stream: Any = predict_cases(Scripted(keep), "toy", cases, Context())
    next(stream)
    stream.close()

    assert not [t for t in threading.enumerate() if t.name.startswith("ahead")]
    assert len(sources) == 1


def test_method_that_raises_before_it_reads_fails_on_each_case(
    cases: Lazy[Case],
) -> None:
    def refuse(scans: Iterable[Scan]) -> Iterator[Prediction]:
        msg = "not fitted"
        raise RuntimeError(msg)

    assert ids(outcomes(Scripted(refuse), cases)) == ([], IDS)


def test_method_that_raises_at_the_end_has_lost_nothing(cases: Lazy[Case]) -> None:
    def stumble(scans: Iterable[Scan]) -> Iterator[Prediction]:
        yield from map(said, scans)
        msg = "while closing"
        raise RuntimeError(msg)

    assert ids(outcomes(Scripted(stumble), cases)) == (IDS, [])


@pytest.mark.parametrize("count", [0, 3])
def test_method_that_stops_early_breaks_its_contract(
    cases: Lazy[Case], count: int
) -> None:
    def stop(scans: Iterable[Scan]) -> Iterator[Prediction]:
        for _, scan in zip(range(count), scans, strict=False):
            yield said(scan)

    with pytest.raises(ContractError, match="fewer predictions than scans"):
        outcomes(Scripted(stop), cases)


def test_wrong_number_for_a_scan_alone_breaks_the_contract(cases: Lazy[Case]) -> None:
    def only_in_crowds(scans: Iterable[Scan]) -> Iterator[Prediction]:
        if len(list(scans)) > 1:
            msg = "out of memory"
            raise MemoryError(msg)
        yield from ()

    with pytest.raises(ContractError, match="yields 0 predictions for one scan"):
        outcomes(Scripted(only_in_crowds), cases)


@pytest.mark.parametrize("reads", [1, 2])
def test_contract_error_of_a_method_is_passed_on(cases: Lazy[Case], reads: int) -> None:
    def refuse(scans: Iterable[Scan]) -> Iterator[Prediction]:
        error = ContractError("one modality only")
        if reads == 2 and len(list(scans)) > 1:
            raise ValueError
        raise error
        yield

    with pytest.raises(ContractError, match="one modality only"):
        outcomes(Scripted(refuse), cases)


def test_anything_but_a_prediction_breaks_the_contract(cases: Lazy[Case]) -> None:
    def scores_alone(scans: Iterable[Scan]) -> Iterator[Any]:
        for scan in scans:
            yield scan.image[0]

    with pytest.raises(ContractError, match="must yield Prediction, got ndarray"):
        outcomes(Scripted(scores_alone), cases)
