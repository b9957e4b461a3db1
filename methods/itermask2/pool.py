"""Continuous batching: where slices converge, slices of the next scans take over.

One slice needs a few passes, another many. Each has its own noise (see `Streams`), and
the networks see groups of one shape, so that a slice's company changes nothing.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial

from .._nn.tensors import in_groups
from .inputs import first_input
from .refinement import Refinement, Refiner, first_mask, one_pass
from .travel import Journey, Queue, Stack, Travellers, joined, picked

# Slices read and not yet given away, over the slots. A scan waits for its slowest
# slice; meanwhile, what has ended behind it must not fill the memory.
AHEAD = 8


def refine(
    stacks: Iterable[Stack], refiner: Refiner, slots: int, group: int
) -> Iterator[Refinement]:
    """Yield how the refinement of each scan ends, in order, as soon as it is known.

    The host waits for the device once in a pass, to learn which slices have ended.

    Args:
        stacks: the slices of each scan. The next is read when a slot is free. If that
            raises, so does this, after the scans before.
        refiner: what is done to a slice.
        slots: slices that are refined at a time.
        group: slices that a network sees at a time. Where there are fewer, black ones
            fill it up.
    """
    pool = _Pool(stacks, refiner, slots, group)
    while pool:
        pool.advance()
        yield from pool.whole()
    if pool.error:
        raise pool.error


class _Pool:
    """Scans on their way.

    Attributes:
        error: what reading raised.
    """

    def __init__(
        self, stacks: Iterable[Stack], refiner: Refiner, slots: int, group: int
    ) -> None:
        self.error: Exception | None = None
        self._stacks: Iterator[Stack] | None = iter(stacks)
        self._slots, self._group = slots, group
        self._refiner = replace(
            refiner,
            first_step=partial(in_groups, refiner.first_step, group=group),
            reconstructor=partial(in_groups, refiner.reconstructor, group=group),
        )
        self._journeys: deque[Journey] = deque()
        self._unmasked, self._masked = Queue(), Queue()

    def __bool__(self) -> bool:
        """Whether a scan is on its way or may still come."""
        return self._stacks is not None or bool(self._journeys)

    def whole(self) -> Iterator[Refinement]:
        """Give away the first scans, as far as all their slices have ended."""
        while self._journeys and self._journeys[0].whole:
            yield self._journeys.popleft().refinement()

    def advance(self) -> None:
        """Fill free slots, then do one pass."""
        while len(self._masked) < self._slots and (unmasked := self._newcomers()):
            self._masked.put(self._first_step(unmasked))
        if active := self._masked.take(self._slots):
            self._pass(joined(active))

    def _newcomers(self) -> Travellers | None:
        """Return slices for one call of the first step, if there are any."""
        while len(self._unmasked) < self._group and self._read():
            pass
        parts = self._unmasked.take(self._group)
        return joined(parts) if parts else None

    def _read(self) -> bool:
        """Read a scan, unless there is none or too much is held; return whether."""
        held = sum(max(1, len(journey.rows)) for journey in self._journeys)
        if self._stacks is None or held >= AHEAD * self._slots:
            return False
        try:
            stack = next(self._stacks, None)
        except Exception as error:  # whatever a reader raises
            stack, self.error = None, error
        if stack is None:
            self._stacks = None
            return False
        journey = Journey(stack)
        self._journeys.append(journey)
        if journey.rows:
            self._unmasked.put(journey.start())
        return True

    def _first_step(self, slices: Travellers) -> Travellers:
        """Return slices with their first masks."""
        state, refiner = slices.state, self._refiner
        images, brain = state.images, state.mask
        inputs = first_input(images, brain, state.condition, lambda _: state.noise())
        errors = (images - refiner.first_step(inputs)) ** 2
        mask = first_mask(errors, brain, refiner.keep)
        return replace(slices, state=state._replace(mask=mask, draw=state.draw + 1))

    def _pass(self, slices: Travellers) -> None:
        """Let slices end, or wait for the next pass before the newcomers."""
        state, mask = slices.state, slices.state.mask
        restored, shrunk, goes_on = one_pass(
            state.images, mask, state.condition, state.noise(), self._refiner
        )
        age = state.age + mask
        # The one place where the host waits.
        flags = list(enumerate(goes_on.tolist()))
        if ended := [row for row, goes in flags if not goes]:
            outcomes = picked((mask, restored, state.draw, age), ended)
            for row, outcome in zip(ended, zip(*outcomes, strict=True), strict=True):
                journey, place = slices.places[row]
                journey.end(place, outcome)
        if going := [row for row, goes in flags if goes]:
            after = state._replace(mask=shrunk, age=age, draw=state.draw + 1)
            self._masked.put_back(replace(slices, state=after).at(going))
