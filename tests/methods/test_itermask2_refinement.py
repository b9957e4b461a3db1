from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from uadbench.errors import UsageError
from uadbench.methods._nn.streams import Streams
from uadbench.methods.itermask2 import (
    Refinement,
    Refiner,
    Stack,
    first_mask,
    high_frequency,
    masked_error_threshold,
    one_pass,
    refine,
)
from uadbench.methods.itermask2.inputs import no_condition

Network = Callable[[Tensor], Tensor]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def everywhere(images: Tensor) -> Tensor:
    return torch.ones_like(images, dtype=torch.bool)


def zeros(inputs: Tensor) -> Tensor:
    """A network that returns a black image."""
    return torch.zeros_like(inputs[:, :1])


def phases(images: Tensor) -> Tensor:
    return high_frequency(images, 2.0)


def run(
    images: Tensor,
    brain: Tensor | None = None,
    first_step: Network = zeros,
    reconstructor: Network = zeros,
    threshold: float = 0.5,
    keep: float = 0.6,
    stop_ratio: float = 0.01,
    seed: int = 0,
    condition: Network = phases,
    group: int = 0,
) -> Refinement:
    stack = Stack(
        images,
        everywhere(images) if brain is None else brain,
        condition(images),
        Streams.of_slices(seed, range(len(images)), images.device),
    )
    refiner = Refiner(first_step, reconstructor, threshold, keep, stop_ratio)
    (refinement,) = refine([stack], refiner, len(images), group or len(images))
    return refinement


def line(*values: float) -> Tensor:
    """One image of one row."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, -1)


class Script:
    """A reconstructor that gets the first `kept[i]` pixels of a row wrong in pass i."""

    def __init__(self, *kept: int) -> None:
        self.kept = list(kept)
        self.passes = 0

    def __call__(self, inputs: Tensor) -> Tensor:
        kept = self.kept[self.passes]
        self.passes += 1
        output = torch.full_like(inputs[:, :1], 10.0)
        output[..., :kept] = -float(self.passes)
        return output


# An image of tens, of which the first step gets only the first 100 pixels wrong.
TENS = torch.full((1, 1, 1, 200), 10.0)


def first_hundred(condition: Tensor) -> Tensor:
    output = torch.full_like(condition, 10.0)
    output[..., :100] = 0.0
    return output


def test_threshold_leaves_a_fifth_of_the_masked_mass_above() -> None:
    # 20 masked pixels with errors 1 ... 20 among 30: k = 30 - 0.2 * 20 = 26, and the
    # 26th smallest of ten zeros and 1 ... 20 is 16. Above lie 17, 18, 19, 20.
    errors = torch.cat([torch.arange(1.0, 21.0), torch.full((10,), 99.0)])
    masks = torch.cat([torch.ones(20), torch.zeros(10)])

    threshold = masked_error_threshold(
        errors.view(3, 1, 2, 5), masks.view(3, 1, 2, 5), 0.8
    )

    assert threshold == 16.0


def test_threshold_takes_masks_of_bool() -> None:
    errors = torch.arange(10.0).view(1, 1, 2, 5)

    # k = 10 - 0.5 * 10 = 5: the fifth smallest of 0 ... 9.
    assert masked_error_threshold(errors, errors >= 0, 0.5) == 4.0


def test_threshold_of_nothing_masked_is_zero() -> None:
    errors = torch.ones(2, 1, 3, 3)

    assert masked_error_threshold(errors, torch.zeros_like(errors)) == 0.0


def test_first_mask_keeps_the_part_of_the_brain_with_the_largest_errors() -> None:
    # Ten brain pixels of twelve; k = 12 - 0.6 * 10 = 6 leaves the six largest.
    images = line(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99, 99)
    brain = images < 99

    refinement = run(images, brain, threshold=0.0)

    assert torch.equal(refinement.trace[0], (images > 4) & brain)


def test_first_mask_depends_on_the_image_alone() -> None:
    images = torch.cat([line(*range(1, 11)), 100 * line(*range(1, 11))])

    refinement = run(images)

    assert refinement.trace[0].sum((1, 2, 3)).tolist() == [6, 6]


def test_all_of_an_image_that_is_all_brain_can_be_kept() -> None:
    assert run(line(1, 2, 3), keep=1.0).trace[0].all()


def test_first_step_sees_the_condition() -> None:
    images = torch.rand(2, 1, 8, 8, generator=seeded())
    seen: list[Tensor] = []

    def first_step(condition: Tensor) -> Tensor:
        seen.append(condition)
        return condition

    run(images, first_step=first_step)

    assert torch.equal(seen[0], high_frequency(images, 2.0))


def test_without_a_condition_first_step_sees_noise_in_the_whole_brain() -> None:
    images = torch.rand(2, 1, 8, 8, generator=seeded()) + 10
    brain = everywhere(images)
    brain[..., 0] = False
    seen: list[Tensor] = []

    def network(inputs: Tensor) -> Tensor:
        seen.append(inputs)
        return zeros(inputs)

    run(images, brain, network, network, condition=no_condition)

    first, second = seen[:2]
    assert first.shape == second.shape == images.shape
    assert torch.equal(first[~brain], images[~brain])
    assert (first[brain].abs() < 7).all()
    assert (second[brain] > 7).any()


def test_reconstructor_sees_noise_in_the_mask_and_the_image_around_it() -> None:
    images = torch.rand(1, 1, 8, 8, generator=seeded()) + 10
    seen: list[Tensor] = []

    def reconstructor(inputs: Tensor) -> Tensor:
        seen.append(inputs)
        return zeros(inputs)

    refinement = run(images, reconstructor=reconstructor)

    masked, condition = seen[0][:, :1], seen[0][:, 1:]
    mask = refinement.trace[0]
    assert torch.equal(masked[~mask], images[~mask])
    assert (masked[mask].abs() < 7).all()
    assert torch.equal(condition, high_frequency(images, 2.0))


def test_noise_is_fresh_in_every_pass_and_comes_from_the_stream() -> None:
    def noises(seed: int) -> list[float]:
        seen: list[float] = []
        script = Script(50, 25, 25)

        def reconstructor(inputs: Tensor) -> Tensor:
            seen.append(float(inputs[0, 0, 0, 0]))
            return script(inputs)

        run(TENS, first_step=first_hundred, reconstructor=reconstructor, seed=seed)
        return seen

    first = noises(seed=0)

    assert len(set(first)) == 3
    assert noises(seed=0) == first
    assert noises(seed=1) != first


def test_mask_shrinks_onto_what_is_not_reconstructed() -> None:
    healthy = torch.full((1, 1, 10, 10), 1.0)
    images = healthy.clone()
    images[..., 3:5, 3:6] = 4.0

    # The first step errs nowhere but in the lesion and, a little, in the first rows.
    refinement = run(
        images,
        first_step=lambda c: healthy - torch.arange(10.0).flip(0)[:, None] / 20,
        reconstructor=lambda inputs: healthy,
        threshold=1.0,
    )

    assert torch.equal(refinement.mask, images > 1)
    assert torch.equal(refinement.reconstruction, healthy)
    # One pass shrinks the mask to the lesion, the second changes nothing.
    assert refinement.iterations.tolist() == [2]
    assert refinement.trace.shape == (2, 1, 1, 10, 10)


def test_a_shrink_below_one_percent_stops_and_is_not_taken() -> None:
    script = Script(50, 50)

    refinement = run(TENS, first_step=first_hundred, reconstructor=script, keep=0.6)

    assert refinement.mask.sum() == 50
    assert script.passes == int(refinement.iterations) == 2
    # The raw reconstruction of the last pass, made from the mask that is returned.
    assert (refinement.reconstruction[..., :50] == -2.0).all()


def test_a_shrink_of_exactly_one_percent_goes_on() -> None:
    # 100 pixels to 99 is 1 %, which is not below 1 %; 99 to 99 stops.
    script = Script(99, 99)

    refinement = run(TENS, first_step=first_hundred, reconstructor=script)

    assert refinement.mask.sum() == 99
    assert script.passes == 2


def test_an_image_that_stops_at_once_has_its_mask_and_reconstruction() -> None:
    refinement = run(TENS, first_step=first_hundred, reconstructor=Script(100))

    assert refinement.iterations.tolist() == [1]
    assert refinement.mask.sum() == 100
    assert (refinement.reconstruction[..., :100] == -1.0).all()


def test_a_mask_that_vanishes_ends_empty_with_a_reconstruction() -> None:
    refinement = run(TENS, first_step=first_hundred, reconstructor=Script(0, 0))

    assert refinement.iterations.tolist() == [2]
    assert not refinement.mask.any()
    assert (refinement.reconstruction == 10.0).all()


def test_an_image_without_brain_gives_an_empty_mask_and_a_zero_reconstruction() -> None:
    images = torch.full((2, 1, 4, 4), 3.0)
    brain = everywhere(images)
    brain[1] = False

    refinement = run(images, brain, reconstructor=lambda x: torch.ones_like(x[:, :1]))

    assert not refinement.mask[1].any()
    assert not refinement.reconstruction[1].any()
    assert refinement.iterations.tolist() == [1, 0]


def test_a_batch_without_any_brain_ends() -> None:
    images = torch.ones(2, 1, 4, 4)

    refinement = run(images, ~everywhere(images))

    assert refinement.iterations.tolist() == [0, 0]
    assert refinement.trace.shape == (1, 2, 1, 4, 4)
    assert not refinement.trace.any()


def varied(count: int, seed: int) -> tuple[Tensor, Tensor]:
    images = torch.rand(count, 1, 12, 12, generator=seeded(seed))
    brain = torch.rand(count, 1, 12, 12, generator=seeded(seed + 1)) > 0.3
    return images, brain


def wavering(inputs: Tensor) -> Tensor:
    """A reconstructor whose error inside the mask varies from pass to pass."""
    return inputs[:, :1] * 0.6


def test_an_image_that_has_stopped_is_frozen_while_others_go_on() -> None:
    images, brain = varied(6, 0)

    refinement = run(images, brain, reconstructor=wavering, threshold=0.05)

    passes = refinement.iterations
    assert passes.min() < passes.max() == len(refinement.trace)
    for index, count in enumerate(passes.tolist()):
        own = refinement.trace[count - 1 :, index]
        assert torch.equal(own, refinement.mask[index].expand_as(own))


def test_only_images_that_go_on_pass_through_the_reconstructor() -> None:
    images, brain = varied(6, 0)
    sizes: list[int] = []

    def reconstructor(inputs: Tensor) -> Tensor:
        sizes.append(len(inputs))
        return wavering(inputs)

    refinement = run(
        images, brain, reconstructor=reconstructor, threshold=0.05, group=1
    )

    assert sum(sizes) == int(refinement.iterations.sum())


def test_noise_of_an_image_does_not_depend_on_when_others_stop() -> None:
    images, brain = varied(2, 3)
    empty = brain.clone()
    empty[0] = False

    both, second = (
        run(images, b, reconstructor=wavering, threshold=0.05) for b in (brain, empty)
    )

    assert both.iterations[0] > 0
    assert torch.equal(both.mask[1], second.mask[1])
    assert torch.equal(both.reconstruction[1], second.reconstruction[1])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 10**6),
    st.floats(0.0, 0.5),
    st.floats(0.05, 1.0),
    st.sampled_from([0.001, 0.01, 0.2, 1.0]),
)
def test_masks_only_shrink_within_the_brain_and_end_in_the_trace(
    seed: int, threshold: float, keep: float, stop_ratio: float
) -> None:
    images, brain = varied(3, seed)

    refinement = run(
        images,
        brain,
        reconstructor=wavering,
        threshold=threshold,
        keep=keep,
        stop_ratio=stop_ratio,
        seed=seed,
    )

    trace = refinement.trace
    assert not (trace[1:] & ~trace[:-1]).any()
    assert not (trace[0] & ~brain).any()
    assert torch.equal(trace[-1], refinement.mask)
    assert len(trace) == refinement.iterations.max()
    first, area = trace[0].sum((1, 2, 3)), brain.sum((1, 2, 3))
    assert torch.equal(first, 144 - (144 - keep * area.double()).long())


def test_a_refinement_that_might_never_end_is_refused() -> None:
    with pytest.raises(UsageError, match="stop_ratio must be above 0, got 0"):
        Refiner(zeros, zeros, 0.5, stop_ratio=0.0)


def test_no_value_decides_what_is_computed() -> None:
    # Tensors on "meta" have no values: whoever asks for one raises.
    images = torch.empty(2, 1, 8, 8, device="meta")
    refiner = Refiner(zeros, zeros, 0.5)
    noise = Streams(torch.empty(2, dtype=torch.long, device="meta")).normal(
        1, (1, 8, 8)
    )

    mask = first_mask(images, everywhere(images), 0.6)
    restored, shrunk, goes_on = one_pass(images, mask, images, noise, refiner)

    assert restored.shape == shrunk.shape == images.shape
    assert goes_on.shape == (2,)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_refines_as_the_cpu_does_with_the_same_noise() -> None:
    images, brain = varied(6, 0)

    here = run(images, brain, reconstructor=wavering, threshold=0.05)
    there = run(images.cuda(), brain.cuda(), reconstructor=wavering, threshold=0.05)

    assert torch.equal(here.mask, there.mask.cpu())
    assert torch.equal(here.iterations, there.iterations.cpu())
    torch.testing.assert_close(here.reconstruction, there.reconstruction.cpu())
