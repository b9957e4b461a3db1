import pytest

from uadbench.errors import (
    ContractError,
    DataError,
    OutputError,
    UadbenchError,
    UsageError,
    check_known,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UadbenchError, 1),
        (OutputError, 1),
        (UsageError, 2),
        (DataError, 3),
        (ContractError, 4),
    ],
)
def test_each_kind_of_mistake_has_its_exit_status(
    error: type[UadbenchError], status: int
) -> None:
    assert error.status == status
    assert issubclass(error, UadbenchError)


def test_known_name_passes() -> None:
    check_known("methods", "ae", ["itermask2", "ae"])


def test_unknown_name_gets_the_nearest_and_all() -> None:
    with pytest.raises(UsageError) as caught:
        check_known("methods", "itermask", ["itermask2", "ae"])

    assert str(caught.value) == (
        "methods: no 'itermask'. Did you mean 'itermask2'? There are: ae, itermask2."
    )


def test_case_of_letters_does_not_hide_the_nearest_name() -> None:
    with pytest.raises(UsageError, match="Did you mean 'IterMask2'"):
        check_known("methods", "ITERMASK2", ["IterMask2"])


def test_a_name_unlike_all_others_gets_no_hint() -> None:
    with pytest.raises(UsageError) as caught:
        check_known("presets", "quick", ["paper"])

    assert str(caught.value) == "presets: no 'quick'. There are: paper."


def test_where_nothing_is_known_the_message_says_so() -> None:
    with pytest.raises(UsageError, match=r"There are: none\."):
        check_known("presets", "demo", [])
