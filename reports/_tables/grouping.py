"""Groups of equal things, and titles that tell equal ones apart."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

Item = TypeVar("Item")


def grouped(
    items: Iterable[Item], key: Callable[[Item], object]
) -> list[tuple[Item, ...]]:
    """Return the items by equal key, in the order of first appearance."""
    groups: dict[object, list[Item]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return [tuple(group) for group in groups.values()]


def tell_apart(
    titles: Sequence[str], details: Sequence[Mapping[str, object]]
) -> list[str]:
    """Return titles in which equal ones name the details that differ, as few as do."""
    told = list(titles)
    for same in grouped(range(len(titles)), lambda i: titles[i]):
        used: list[str] = []
        names = dict.fromkeys(name for i in same for name in details[i])
        for name in names:
            if len({told[i] for i in same}) == len(same):
                break
            if len({repr(details[i].get(name)) for i in same}) > 1:
                used.append(name)
                for i in same:
                    shown = ", ".join(
                        f"{n}={in_words(details[i].get(n))}" for n in used
                    )
                    told[i] = f"{titles[i]} ({shown})"
    return told


def in_words(value: object) -> str:
    """Return a value as a user types it."""
    if isinstance(value, list | tuple):
        return ",".join(str(part) for part in value)
    return str(value)
