from dataclasses import replace

import pytest

from uadbench.errors import UsageError
from uadbench.inference import Origin, check_comparable

BRATS = Origin("volume", "healthy-val", "12ab", "brats")


def refusal(origins: dict[str, Origin]) -> str:
    with pytest.raises(UsageError) as caught:
        check_comparable(origins)
    return str(caught.value)


def test_results_of_one_origin_are_comparable() -> None:
    check_comparable({"ae": BRATS, "itermask2": BRATS})


def test_datasets_may_differ() -> None:
    atlas = replace(BRATS, dataset="atlas", data_hash="34cd")

    check_comparable({"ae on brats": BRATS, "ae on atlas": atlas})


def test_one_result_and_none_are_comparable() -> None:
    check_comparable({"ae": BRATS})
    check_comparable({})


def test_mixed_protocols_are_refused() -> None:
    slices = replace(BRATS, protocol="itermask2-2d")

    assert refusal({"ae": BRATS, "itermask2": slices, "ddpm": BRATS}) == (
        "ranks: expected one protocol, got volume (ae, ddpm), itermask2-2d "
        "(itermask2). Give each protocol a table of its own."
    )


def test_protocols_are_not_mixed_across_datasets_either() -> None:
    other = Origin("itermask2-2d", "healthy-val", "34cd", "atlas")

    assert "expected one protocol" in refusal({"a": BRATS, "b": other})


def test_mixed_supervision_is_refused() -> None:
    labels = replace(BRATS, supervision="lesion-val")

    assert refusal({"ae": BRATS, "ddpm": labels}) == (
        "ranks: expected one supervision level, got healthy-val (ae), lesion-val "
        "(ddpm). Rank only methods whose thresholds have seen the same."
    )


def test_an_upper_bound_is_never_ranked() -> None:
    oracle = replace(BRATS, supervision="test-oracle")

    text = refusal({"ae": oracle, "ddpm": oracle})

    assert "level 'test-oracle', chosen on the test labels themselves" in text
    assert "Take a metric at a threshold of healthy validation scans." in text


def test_other_data_under_the_same_name_are_refused() -> None:
    # embeddings-benchmark/mteb#5228: rows from before and after a new upload.
    changed = replace(BRATS, data_hash="99ff")

    assert refusal({"ae": BRATS, "ddpm": changed}) == (
        "ranks: expected one data hash of 'brats', got 12ab (ae), 99ff (ddpm). The "
        "scored cases are not the same: repeat 'uadbench run' with the same options "
        "to finish a run with failed cases, or anew if the data changed."
    )


def test_unknown_data_are_not_the_same_as_known_data() -> None:
    unknown = replace(BRATS, data_hash="")

    assert refusal({"ae": BRATS, "ddpm": unknown}) == (
        "ranks: expected one data hash of 'brats', but none is recorded for ddpm: "
        "can't tell whether the scored cases are the same. Repeat 'uadbench run' anew."
    )


def test_two_unknown_data_are_not_the_same_either() -> None:
    unknown = replace(BRATS, data_hash="")

    assert "recorded for ae, ddpm" in refusal({"ae": unknown, "ddpm": unknown})


def test_the_only_run_of_a_dataset_needs_no_hash() -> None:
    check_comparable({"ae": replace(BRATS, data_hash="")})
