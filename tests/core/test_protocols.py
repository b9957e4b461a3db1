from types import ModuleType

import numpy as np
import pytest

from uadbench.protocols import (
    Context,
    Dataset,
    Forgetful,
    Lazy,
    Method,
    Report,
    Silent,
)


def test_toy_plugins_keep_their_contracts(toy: ModuleType) -> None:
    assert isinstance(toy.ToyMethod(), Method)
    assert isinstance(toy.ToyDataset(), Dataset)
    assert isinstance(toy.ToyReport(), Report)


def test_scored_voxels_are_brain_in_the_slices_that_count(toy: ModuleType) -> None:
    scan = toy.make_scan("sub-1")

    scored = scan.scored

    assert scored.dtype == np.bool_
    for z in range(scan.brain.shape[2]):
        expected = scan.brain[..., z] & (z in scan.slices)
        np.testing.assert_array_equal(scored[..., z], expected)


def test_lazy_loads_what_is_indexed_and_nothing_else() -> None:
    loaded = []

    def load(name: str) -> str:
        loaded.append(name)
        return name.upper()

    items = Lazy(iter("abcd"), load)

    assert (len(items), items.ids, items.subjects) == (4, tuple("abcd"), tuple("abcd"))
    assert loaded == []
    assert items[1] == "B"
    assert items[-1] == "D"
    assert loaded == ["b", "d"]


def test_slice_of_lazy_is_lazy_and_keeps_subjects() -> None:
    items = Lazy("abcd", str.upper, "1122")

    part = items[1:3]

    assert isinstance(part, Lazy)
    assert (part.ids, part.subjects) == (("b", "c"), ("1", "2"))
    assert list(part) == ["B", "C"]


def test_fingerprint_is_that_of_the_item_in_a_part_too() -> None:
    items = Lazy("abcd", str.upper, fingerprint=lambda name: f"hash of {name}")

    assert items.fingerprint("b") == items[1:3].fingerprint("b") == "hash of b"
    assert Lazy("abcd", str.upper).fingerprint("b") == ""


def test_index_past_the_end_is_an_error() -> None:
    with pytest.raises(IndexError):
        Lazy("ab", str.upper)[2]


def test_loader_that_raises_does_not_end_an_iteration_in_silence() -> None:
    def load(name: str) -> str:
        return name[5]

    with pytest.raises(IndexError):
        list(Lazy("ab", load))


def test_repr_of_lazy_shows_the_first_ids() -> None:
    assert repr(Lazy("abcd", str.upper)) == "Lazy(4 items: a, b, c, ...)"
    assert repr(Lazy("abc", str.upper)) == "Lazy(3 items: a, b, c)"


def test_child_seed_depends_on_seed_and_name_alone() -> None:
    first = Context(3).child("fit").child("sub-1")

    assert first.seed == Context(3, device="cuda:0").child("fit").child("sub-1").seed
    others = [
        Context(4).child("fit").child("sub-1"),
        Context(3).child("fit").child("sub-2"),
        Context(3).child("predict").child("sub-1"),
        Context(3).child("sub-1"),
    ]
    assert len({first.seed, *(other.seed for other in others)}) == 5


def test_child_seed_is_the_same_on_every_machine() -> None:
    # The first 8 bytes of sha256(b"0/fit"), big-endian, without the last bit:
    # python -c "import hashlib; d = hashlib.sha256(b'0/fit').digest();
    #            print(int.from_bytes(d[:8], 'big') >> 1)"
    assert Context(0).child("fit").seed == 4141849402216713790


def test_rng_starts_from_the_seed_each_time() -> None:
    ctx = Context(5)

    assert ctx.rng().random() == ctx.rng().random()
    assert ctx.rng().random() != ctx.child("a").rng().random()


def test_forgetful_checkpoint_keeps_nothing() -> None:
    checkpoint = Forgetful()

    checkpoint.save({"step": np.array(1)})

    assert checkpoint.load() is None
    assert checkpoint.child("part").load() is None


def test_silent_monitor_yields_the_steps(capsys: pytest.CaptureFixture[str]) -> None:
    silent = Silent()

    assert list(silent.track("ab", "fit", 2)) == ["a", "b"]
    silent.log("loss", 1.0, 0)
    silent.say("hello")
    assert capsys.readouterr() == ("", "")
