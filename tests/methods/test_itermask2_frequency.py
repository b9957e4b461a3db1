import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from uadbench.methods.itermask2 import high_frequency


def images(*shape: int) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(0))


def slow_twin(image: NDArray[np.float64], radius: float) -> NDArray[np.float64]:
    """The published steps, a coefficient at a time."""
    height, width = image.shape
    spectrum = np.fft.fftshift(np.fft.fft2(image))
    for row in range(height):
        for column in range(width):
            if np.hypot(row - height // 2, column - width // 2) < radius:
                spectrum[row, column] = np.exp(1j * np.angle(spectrum[row, column]))
    return np.fft.ifft2(np.fft.ifftshift(spectrum)).real


@pytest.mark.parametrize("shape", [(16, 16), (15, 18), (9, 9)])
def test_condition_equals_the_slow_twin(shape: tuple[int, int]) -> None:
    stack = images(3, 1, *shape)

    condition = high_frequency(stack, radius=4.0)

    for image, ours in zip(stack[:, 0], condition[:, 0], strict=True):
        twin = slow_twin(image.double().numpy(), 4.0)
        np.testing.assert_allclose(ours.numpy(), twin, atol=1e-5)


def test_a_disk_of_697_coefficients_is_set_at_the_published_size() -> None:
    # 697 pairs of integers have a sum of squares below 15^2 = 225.
    image = 100 * images(1, 1, 128, 128).double()

    before, after = (torch.fft.fft2(i) for i in (image, high_frequency(image)))

    assert int(((before - after).abs() > 1e-6).sum()) == 697
    assert int(((after.abs() - 1).abs() < 1e-6).sum()) == 697


def test_no_radius_returns_the_image() -> None:
    stack = images(2, 1, 16, 16)

    np.testing.assert_allclose(high_frequency(stack, 0.0), stack, atol=1e-6)


def test_brightness_of_low_frequencies_leaves_no_trace() -> None:
    texture = images(1, 1, 64, 64).double()
    smooth = low_part(texture, 8.0)
    sharp = texture - smooth

    dim, bright = (high_frequency(f * smooth + sharp, 8.0) for f in (1.0, 5.0))

    np.testing.assert_allclose(dim, bright, atol=1e-9)


def low_part(image: torch.Tensor, radius: float) -> torch.Tensor:
    frequency = torch.fft.fftfreq(image.shape[-1], 1 / image.shape[-1])
    low = (frequency[:, None] ** 2 + frequency[None] ** 2) < radius**2
    part: torch.Tensor = torch.fft.ifft2(torch.fft.fft2(image) * low).real
    return part


def test_an_image_does_not_depend_on_its_batch() -> None:
    stack = images(4, 1, 32, 32)

    together = high_frequency(stack, 5.0)

    for index in range(4):
        alone = high_frequency(stack[index : index + 1], 5.0)
        np.testing.assert_allclose(together[index : index + 1], alone, atol=1e-6)


def test_an_empty_image_gives_a_finite_condition() -> None:
    assert torch.isfinite(high_frequency(torch.zeros(1, 1, 8, 8), 3.0)).all()
