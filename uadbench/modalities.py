"""Which of several modalities a method scores."""

from collections.abc import Mapping, Sequence

OPTIONS = ("modality", "source")


def scored_modality(options: Mapping[str, object], modalities: Sequence[str]) -> str:
    """Return the name of the modality that a method scores.

    Args:
        options: the method's. Those that choose one modality of several name it by
            `modality`, or `source` if they need a second one; "" is the first.
        modalities: names of a scan's channels.
    """
    named = [str(options[option]) for option in OPTIONS if options.get(option)]
    return next((name for name in named if name in modalities), modalities[0])
