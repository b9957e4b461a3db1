import threading
import time
from collections.abc import Sequence

import pytest

from uadbench.ahead import ahead, behind, cores, loaded
from uadbench.protocols import Lazy


def named(prefix: str) -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith(prefix)]


def same(item: str) -> str:
    return item


class Gate:
    """Loads of which each waits for a permit and is counted."""

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.open = threading.Event()

    def __call__(self, name: str) -> str:
        self.begun.append(name)
        assert self.open.wait(10)
        return name


@pytest.mark.parametrize("workers", [0, 1, 2, 3, 9])
@pytest.mark.parametrize("items", ["", "a", "abcdefg"])
def test_items_come_in_order_however_long_each_takes(items: str, workers: int) -> None:
    def slow(item: str) -> str:
        # The first takes longest.
        time.sleep(0.02 * (len(items) - items.index(item)) / 7)
        return item.upper()

    assert "".join(loaded(items, slow, workers)) == items.upper()


def test_next_items_load_while_the_first_is_waited_for() -> None:
    both = threading.Barrier(2, timeout=10)

    def meet(item: str) -> str:
        both.wait()
        return item

    assert list(loaded("abcd", meet, 2)) == list("abcd")


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_no_more_items_are_loaded_than_there_are_workers(workers: int) -> None:
    begun: list[str] = []
    results = ahead("abcdef", lambda item: begun.append(item), workers)

    for count in range(1, 4):
        next(results)()
        time.sleep(0.02)
        assert len(begun) <= count + workers - 1

    results.close()


def test_an_error_is_raised_at_its_item_and_the_others_are_loaded() -> None:
    def load(name: str) -> str:
        if name == "b":
            raise KeyError(name)
        return name

    results = list(ahead(Lazy("abcd", load), same, 2))

    assert [results[i]() for i in (0, 2, 3)] == ["a", "c", "d"]
    with pytest.raises(KeyError, match="b"):
        results[1]()


def test_the_first_error_ends_a_stream_of_items() -> None:
    seen: list[str] = []

    def load(name: str) -> str:
        if name == "b":
            raise KeyError(name)
        return name

    stream = map(seen.append, loaded(Lazy("abcd", load), same, 2))
    with pytest.raises(KeyError, match="b"):
        list(stream)

    assert seen == ["a"]
    assert named("ahead") == []


def test_a_closed_stream_leaves_no_thread_and_begins_no_further_load() -> None:
    begun: list[str] = []
    stream = ahead("abcdefg", begun.append, 2)
    next(stream)()

    stream.close()

    assert named("ahead") == []
    assert len(begun) <= 3


def test_interrupt_in_the_work_ends_the_threads() -> None:
    def work(items: Sequence[str]) -> None:
        for item in loaded(items, same, 2):
            if item == "b":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work("abcdefg")

    assert named("ahead") == []


def test_handed_items_are_worked_on_in_order_and_done_at_the_end() -> None:
    done: list[str] = []

    def slow(item: str) -> None:
        time.sleep(0.005)
        done.append(item)

    with behind(slow) as hand_over:
        for item in "abcde":
            hand_over(item)

    assert done == list("abcde")
    assert named("behind") == []


def test_handing_over_waits_for_work_that_is_late() -> None:
    gate = Gate()
    handed: list[str] = []

    def hand(items: str) -> None:
        with behind(gate) as hand_over:
            for item in items:
                hand_over(item)
                handed.append(item)

    thread = threading.Thread(target=hand, args=("abcde",))
    thread.start()
    time.sleep(0.05)
    late = list(handed), list(gate.begun)
    gate.open.set()
    thread.join(10)

    assert late == (["a"], ["a"])
    assert gate.begun == list("abcde")


def test_error_of_the_work_surfaces_and_later_items_are_dropped() -> None:
    done: list[str] = []

    def work(item: str) -> None:
        if item == "b":
            raise OSError(item)
        done.append(item)

    def hand() -> None:
        with behind(work) as hand_over:
            for item in "abcdef":
                hand_over(item)

    with pytest.raises(OSError, match="b"):
        hand()

    assert done == ["a"]


def test_error_of_the_last_item_surfaces_at_the_end() -> None:
    def work(item: str) -> None:
        raise OSError(item)

    with pytest.raises(OSError, match="a"), behind(work) as hand_over:
        hand_over("a")


def test_what_was_handed_over_is_done_although_the_body_fails() -> None:
    done: list[str] = []

    def slow(item: str) -> None:
        time.sleep(0.01)
        done.append(item)

    def fail() -> None:
        with behind(slow) as hand_over:
            hand_over("a")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()

    assert done == ["a"]


def test_cores_are_those_that_the_process_may_use() -> None:
    assert cores() >= 1
