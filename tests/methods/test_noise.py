from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from uadbench.methods._nn.noise import (
    GRADIENTS,
    Kind,
    Noise,
    Shared,
    draw_lattices,
    octave_noise,
    simplex,
    simplex_deviation,
)

KINDS: tuple[Kind, ...] = ("gaussian", "simplex")


def shared(count: int, seed: int = 0) -> Shared:
    return Shared(torch.Generator().manual_seed(seed), count)


def draw(noise: Noise, count: int, size: int = 64, seed: int = 0) -> Tensor:
    return noise.drawn(size, shared(count, seed))


def octave(cell: float, count: int = 150, size: int = 64) -> Tensor:
    """Return fields of one octave."""
    return octave_noise(draw_lattices(1, shared(count)), size, cell, 1.0)


def spectrum(fields: Tensor) -> tuple[Tensor, Tensor]:
    """Return frequencies in cycles per px and the mean power at each: (S, S)."""
    size = fields.shape[-1]
    line = torch.fft.fftfreq(size)
    # The images don't repeat: without a window their borders would be an edge.
    window = torch.hann_window(size)[:, None] * torch.hann_window(size)
    power = torch.fft.fft2(fields * window).abs().square().mean((0, 1))
    return (line[:, None].square() + line.square()).sqrt(), power


@pytest.mark.parametrize("kind", KINDS)
def test_mean_is_0_and_variance_1(kind: Kind) -> None:
    fields = draw(Noise(kind), 300)

    # The slowest octave has some 4 x 4 independent cells in an image.
    assert float(fields.mean()) == pytest.approx(0, abs=0.02)
    assert float(fields.var()) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("cell", [16.0, 8.0, 4.0, 2.0])
def test_each_octave_has_the_variance_of_the_closed_form(cell: float) -> None:
    assert float(octave(cell).var()) == pytest.approx(1, abs=0.03)


def test_closed_form_is_the_integral_over_one_lattice_point() -> None:
    radius = np.linspace(0, np.sqrt(0.5), 10_001)
    # Two points in a unit of volume; (g.d)^2 is 2 r^2 / 3 on average over directions.
    shell = 4 * np.pi * radius**2 * (0.5 - radius**2) ** 8 * 2 * radius**2 / 3

    variance = 2 * np.trapezoid(shell, radius)

    assert simplex_deviation() ** 2 == pytest.approx(variance, rel=1e-6)


def test_simplex_noise_near_a_lattice_point_is_its_ramp() -> None:
    table = torch.arange(256)[None, None]
    # Lattice point (0, 0, 0) hashes to gradient (1, 1, 0); all others are out of reach.
    points = tuple(torch.tensor([[[value]]]) for value in (0.03, 0.02, 0.01))

    (value,) = simplex((points[0], points[1], points[2]), table).flatten()

    others = 0.0
    for corner in ((1, 0, 0), (1, 1, 0), (1, 1, 1)):
        offset = np.array([0.03, 0.02, 0.01]) - np.array(corner) + sum(corner) / 6
        gradient = GRADIENTS[sum(corner) % 12]
        others += max(0, 0.5 - offset @ offset) ** 4 * float(gradient @ offset)
    own = (0.5 - 0.0014) ** 4 * 0.05
    assert float(value) == pytest.approx(own + others, rel=1e-5)


def test_simplex_noise_is_continuous_across_cells() -> None:
    line = torch.linspace(0.1, 1.9, 40_001)[None, None]
    lattices = draw_lattices(1, shared(1))

    values = simplex((line, 0.7 * line + 1, 0.3 * line + 2), lattices.tables)

    # A reach of 0.6 in place of 0.5 would jump by some 0.004 standard deviations.
    steps = values.diff().abs() / simplex_deviation()
    assert 1e-5 < float(steps.max()) < 1e-3


def test_power_falls_from_octave_to_octave() -> None:
    frequency, power = spectrum(draw(Noise(), 200))

    bands = [0, 1 / 16, 1 / 8, 1 / 4, 1 / 2]
    powers = [
        float(power[(frequency >= low) & (frequency < high)].mean())
        for low, high in pairwise(bands)
    ]
    assert powers == sorted(powers, reverse=True)
    assert powers[0] > 20 * powers[-1]


def test_mean_frequency_is_that_of_opensimplex() -> None:
    # opensimplex 0.3, noise3d with one unit for 8 px: 40 fields of 48 px, each of a
    # seed and a place of its own, in the same window.
    theirs = 0.0607  # cycles per px

    frequency, power = spectrum(octave(8.0, 300, 48))

    assert float((frequency * power).sum() / power.sum()) == pytest.approx(
        theirs, rel=0.03
    )


def test_octaves_have_independent_lattices() -> None:
    tables = draw_lattices(3, shared(4)).tables

    for one, other in ((0, 1), (0, 2), (1, 2)):
        same = (tables[:, one] == tables[:, other]).float().mean()
        assert float(same) < 0.05


def test_frequencies_double_from_octave_to_octave() -> None:
    means = []
    for cell in (16.0, 8.0, 4.0):
        frequency, power = spectrum(octave(cell))
        means.append(float((frequency * power).sum() / power.sum()))

    assert means[1] / means[0] == pytest.approx(2, rel=0.05)
    assert means[2] / means[1] == pytest.approx(2, rel=0.05)


def test_deviation_is_a_factor() -> None:
    unit, scaled = draw(Noise(), 2), draw(Noise(deviation=0.49), 2)

    torch.testing.assert_close(scaled, 0.49 * unit)


def test_less_persistence_leaves_smoother_noise() -> None:
    rough, smooth = (
        draw(Noise(persistence=p), 50).diff(dim=-1).square().mean() for p in (0.8, 0.4)
    )

    assert float(smooth) < 0.5 * float(rough)


@pytest.mark.parametrize("kind", KINDS)
def test_images_have_independent_noise(kind: Kind) -> None:
    fields = draw(Noise(kind, cell=1 / 8), 60).flatten(1)

    correlations = torch.corrcoef(fields)[*torch.triu_indices(60, 60, 1)]

    assert float(correlations.mean()) == pytest.approx(0, abs=0.01)
    assert float(correlations.abs().max()) < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_same_seed_gives_the_same_noise_and_another_seed_another(kind: Kind) -> None:
    first, again, other = (draw(Noise(kind), 2, seed=seed) for seed in (1, 1, 2))

    assert torch.equal(first, again)
    assert not torch.allclose(first, other)


def test_the_field_of_an_image_does_not_depend_on_the_batch() -> None:
    lattices = draw_lattices(3, shared(5))

    together = octave_noise(lattices, 32, 8.0, 0.8)
    second = type(lattices)(lattices.tables[1:2], lattices.offsets[1:2])
    alone = octave_noise(second, 32, 8.0, 0.8)

    assert torch.equal(alone, together[1:2])


def test_octaves_that_pixels_cannot_show_are_left_out() -> None:
    # A quarter of 64 px halves four times to 1 px.
    five, six = (draw(Noise(octaves=octaves), 2) for octaves in (5, 6))

    assert torch.equal(five, six)
    assert not torch.equal(five, draw(Noise(octaves=4), 2))
