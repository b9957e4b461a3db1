import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from skimage.metrics import structural_similarity as of_skimage
from torch import Tensor, nn

from uadbench.errors import UsageError
from uadbench.methods._nn import perceptual
from uadbench.methods._nn.perceptual import distance, require, structural_similarity


def pair() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.rand((2, 1, 48, 48), generator=generator)
    noise = torch.rand(images.shape, generator=generator)
    return images, 0.7 * images + 0.3 * noise


@pytest.mark.parametrize("width", [0.75, 1.5, 3.0])
def test_structural_similarity_is_that_of_scikit_image(width: float) -> None:
    images, others = (images.double() for images in pair())

    ours = structural_similarity(images, others, width)

    margin = 12  # px: the borders are padded in another way
    for image, other, map_ in zip(images, others, ours, strict=True):
        _, theirs = of_skimage(  # type: ignore[no-untyped-call]  # not annotated
            image[0].numpy(),
            other[0].numpy(),
            gaussian_weights=True,
            sigma=width,
            use_sample_covariance=False,
            data_range=1.0,
            full=True,
        )
        inner = (slice(margin, -margin),) * 2
        np.testing.assert_allclose(map_[0][inner], theirs[inner], rtol=0, atol=1e-9)


def test_distance_has_the_shape_of_the_images_and_lies_between_0_and_1() -> None:
    images, others = pair()

    distances = distance("ssim", images, 1 - others)

    assert distances.shape == images.shape
    assert float(distances.min()) >= 0
    assert float(distances.max()) <= 1


def test_equal_images_have_distance_0_and_inverted_ones_more_than_half() -> None:
    images, _ = pair()

    assert float(distance("ssim", images, images).abs().max()) < 1e-6
    assert float(distance("ssim", images, 1 - images).mean()) > 0.5


def test_windows_scale_with_the_image() -> None:
    images, others = pair()
    larger = [torch.nn.functional.interpolate(p, scale_factor=2) for p in pair()]

    small, large = distance("ssim", images, others), distance("ssim", *larger)

    assert float(large.mean()) == pytest.approx(float(small.mean()), rel=0.03)


class Squares(nn.Module):
    """Stands for LPIPS: the mean square over the three channels."""

    def __init__(self, net: str, spatial: bool, verbose: bool) -> None:
        super().__init__()
        assert (net, spatial) == ("squeeze", True)

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        assert one.shape[1] == 3
        return (one - other).square().mean(dim=1, keepdim=True)


def test_lpips_without_its_weights_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))

    with pytest.raises(UsageError, match="autoddpm: perceptual=lpips needs"):
        require("lpips", "autoddpm")
    require("ssim", "autoddpm")


def test_lpips_of_the_user_is_given_three_channels_from_minus_1_to_1(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = ModuleType("lpips")
    package.LPIPS = Squares  # type: ignore[attr-defined]  # made here
    package.__spec__ = perceptual.__spec__
    monkeypatch.setitem(sys.modules, "lpips", package)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "squeezenet1_1-b8a52dc0.pth").touch()
    perceptual._lpips.cache_clear()
    images, others = pair()

    require("lpips", "autoddpm")
    distances = distance("lpips", images, others)

    perceptual._lpips.cache_clear()
    torch.testing.assert_close(distances, 4 * (images - others).square())
