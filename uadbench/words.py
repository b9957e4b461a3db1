"""Words of the command line: names, labels and numbers, and options by their owner."""

import re
from collections.abc import Iterable, Sequence

from uadbench import options
from uadbench.errors import UsageError, check_known

# A label names folders and stands before a dot.
LABEL = re.compile(r"[\w-]+")
# How messages of plugins tell to give an option.
ADVICE = re.compile(r"(--set(?:-data)?) (?=\w+=)")


def by_method(
    pairs: tuple[str, ...], methods: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Return {method: {option: value}} of words such as "ae.latent=64".

    Raises:
        UsageError: a word names none of the methods, or has no value.
    """
    return _by_owner("--set", pairs, "method", methods)


def by_dataset(
    pairs: tuple[str, ...], labels: tuple[str, ...]
) -> dict[str, dict[str, object]]:
    """Return {label: {option: value}} of words such as "flair.modality=FLAIR".

    A single dataset need not be named.

    Raises:
        UsageError: a word names none of the labels, or has no value.
    """
    first, *others = labels
    whole = [
        pair if others or "." in pair.partition("=")[0] else f"{first}.{pair}"
        for pair in pairs
    ]
    return _by_owner("--set-data", whole, "dataset", labels)


def advice(message: str, method: str, label: str) -> str:
    """Return a message whose advice, as `run` takes it, is one that `compare` takes.

    Example: "Give --set size=64" becomes "Give --set ae.size=64".
    """
    owners = {"--set": method, "--set-data": label}
    return ADVICE.sub(lambda found: f"{found[1]} {owners[found[1]]}.", message)


def _by_owner(
    flag: str, pairs: Iterable[str], kind: str, owners: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Return {owner: {option: value}} of words "OWNER.OPTION=VALUE"."""
    chosen: dict[str, dict[str, object]] = {}
    for name, value in options.parse(pairs).items():
        owner, _, option = name.partition(".")
        if not (owner and option):
            pair = f"{option or owner}={value}"
            written = " or ".join(f"{flag} {known}.{pair}" for known in owners)
            msg = f"{flag} {name}={value}: name the {kind}: {written}."
            raise UsageError(msg)
        check_known(f"{flag} {name}: --{kind}s", owner, owners)
        chosen.setdefault(owner, {})[option] = value
    return chosen


def names(words: str) -> list[str]:
    """Return the distinct names of "a,b".

    Raises:
        UsageError: there is none.
    """
    return list(dict.fromkeys(_split("--methods", words, "ae,itermask2")))


def datasets_of(words: str) -> dict[str, str]:
    """Return {label: name} of "phantom,flair=phantom"; a name is its own label.

    Raises:
        UsageError: there is none, a label comes twice, or it cannot name a folder.
    """
    found: dict[str, str] = {}
    for word in _split("--datasets", words, "phantom,bids"):
        label, equals, name = (part.strip() for part in word.partition("="))
        if not LABEL.fullmatch(label) or bool(equals) != bool(name):
            msg = (
                "--datasets: expected NAME or LABEL=NAME, the label of letters, "
                f"digits, - and _, got '{word}'."
            )
            raise UsageError(msg)
        if label in found:
            msg = (
                f"--datasets: '{label}' comes twice. To have it with other options "
                f"too, give it a label: {label},other={name or label}, and --set-data "
                "other.NAME=VALUE."
            )
            raise UsageError(msg)
        found[label] = name or label
    return found


def _split(flag: str, words: str, example: str) -> list[str]:
    found = [word.strip() for word in words.split(",") if word.strip()]
    if not found:
        msg = f"{flag}: expected names separated by commas, such as {example}."
        raise UsageError(msg)
    return found


def seeds_of(words: str) -> list[int]:
    """Return the distinct numbers of "0,1".

    Raises:
        UsageError: a word is no whole number.
    """
    try:
        found = list(dict.fromkeys(int(word) for word in words.split(",")))
    except ValueError:
        found = []
    if not found or min(found) < 0:
        msg = f"--seeds: expected numbers of at least 0, such as 0,1,2, got '{words}'."
        raise UsageError(msg)
    return found
