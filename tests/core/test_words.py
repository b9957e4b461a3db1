import re

import pytest

from uadbench.errors import UsageError
from uadbench.words import advice, by_dataset, by_method, datasets_of, names, seeds_of


def test_options_go_to_the_method_before_the_dot() -> None:
    pairs = ("ae.latent=64", "ddpm.steps=0.5", "ae.size=32")

    assert by_method(pairs, ["ddpm", "ae"]) == {
        "ae": {"latent": "64", "size": "32"},
        "ddpm": {"steps": "0.5"},
    }


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (
            "size=3.5",
            "--set size=3.5: name the method: --set a.size=3.5 or --set b.siz",
        ),
        (
            ".size=3",
            "--set .size=3: name the method: --set a.size=3 or --set b.size=3.",
        ),
        ("aee.x=3", "--set aee.x: --methods: no 'aee'. There are: a, b."),
        ("B.x=3", "--set B.x: --methods: no 'B'. Did you mean 'b'? There are: a, b."),
    ],
)
def test_option_of_no_method_is_refused_with_what_is_right(
    pair: str, message: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        by_method((pair,), ["a", "b"])


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("Give --set runs=a,b.", "Give --set ae.runs=a,b."),
        ("Give --set-data root=DIR.", "Give --set-data own.root=DIR."),
        ("--set a=1 or --set-data b=2", "--set ae.a=1 or --set-data own.b=2"),
        ("--set-data own.root=DIR stays", "--set-data own.root=DIR stays"),
        ("a --set of words", "a --set of words"),
    ],
)
def test_advice_is_told_as_a_comparison_takes_it(message: str, told: str) -> None:
    assert advice(message, "ae", "own") == told


def test_names_are_distinct_and_in_order() -> None:
    assert names(" b, a,b,,") == ["b", "a"]


@pytest.mark.parametrize("words", ["", " , "])
def test_no_name_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="--methods: expected names"):
        names(words)


def test_seeds_are_distinct_numbers_in_order() -> None:
    assert seeds_of("2, 0,2") == [2, 0]


@pytest.mark.parametrize("words", ["", "0,", "a", "1.5", "0,-1"])
def test_seed_that_is_no_whole_number_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=f"--seeds: expected .* got '{words}'"):
        seeds_of(words)


def test_a_dataset_is_its_own_label_if_it_has_no_other() -> None:
    assert datasets_of(" phantom, flair = phantom,,own=bids") == {
        "phantom": "phantom",
        "flair": "phantom",
        "own": "bids",
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (",", "--datasets: expected names separated by commas, such as phantom,bids"),
        ("=phantom", "expected NAME or LABEL=NAME, .* got '=phantom'"),
        ("flair=", "expected NAME or LABEL=NAME, .* got 'flair='"),
        ("a/b=phantom", "the label of letters, digits, - and _, got 'a/b=phantom'"),
        ("a.b=phantom", "the label of letters"),
        ("phantom,phantom", "'phantom' comes twice.*phantom,other=phantom"),
        ("a=bids,a=phantom", "'a' comes twice.*a,other=phantom"),
    ],
)
def test_wrong_datasets_are_refused_with_what_is_right(
    words: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        datasets_of(words)


def test_options_go_to_the_dataset_before_the_dot() -> None:
    pairs = ("flair.modality=FLAIR", "own.root=./a.b=c", "flair.size=32")

    assert by_dataset(pairs, ("flair", "own")) == {
        "flair": {"modality": "FLAIR", "size": "32"},
        "own": {"root": "./a.b=c"},
    }


def test_a_single_dataset_need_not_be_named() -> None:
    pairs = ("root=./a.b", "own.modality=FLAIR")

    assert by_dataset(pairs, ("own",)) == {
        "own": {"root": "./a.b", "modality": "FLAIR"}
    }


@pytest.mark.parametrize(
    ("pair", "labels", "message"),
    [
        ("size=3", ("a", "b"), r"size=3: name the dataset: .* or --set-data b\.size=3"),
        ("c.size=3", ("a", "b"), "--set-data c.size: --datasets: no 'c'. There are: a"),
        ("b.size=3", ("a",), "--set-data b.size: --datasets: no 'b'"),
        ("size", ("a",), "expected NAME=VALUE"),
    ],
)
def test_option_of_no_dataset_is_refused(
    pair: str, labels: tuple[str, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        by_dataset((pair,), labels)


def test_an_option_with_two_values_is_refused_however_it_is_named() -> None:
    with pytest.raises(UsageError, match=r"'a\.size': given as 3 and 4"):
        by_dataset(("size=3", "a.size=4"), ("a",))
