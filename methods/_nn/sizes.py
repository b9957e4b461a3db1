"""Whether a network that halves an image several times fits the size of the image."""

from collections.abc import Sequence

from uadbench.errors import UsageError


def check_stride(
    method: str, size: int, stride: int, otherwise: str = "fewer multipliers"
) -> None:
    """Raise a UsageError, naming the method, if an image cannot be halved to the end.

    Args:
        method: its name.
        size: side of the image, px.
        stride: what it must be a multiple of, px.
        otherwise: what may be set instead of another size.
    """
    if size % stride:
        nearest = max(1, round(size / stride)) * stride
        msg = (
            f"{method}: size {size} is no multiple of {stride}, by which this network "
            f"shrinks the image. Set size={nearest} or {otherwise}."
        )
        raise UsageError(msg)


def check_attention(
    method: str, attention: Sequence[int], sides: Sequence[int]
) -> None:
    """Raise a UsageError, naming the method, if no feature map has a side asked for.

    Args:
        method: its name.
        attention: sides that shall have self-attention, px.
        sides: those of the feature maps that can have it, px.
    """
    for side in attention:
        if side not in sides:
            there = ", ".join(map(str, sides)) or "none that could have it"
            msg = (
                f"{method}: attention at {side} px, but the feature maps of this "
                f"network are {there}. Set attention to some of these, or attention= "
                "for none."
            )
            raise UsageError(msg)
