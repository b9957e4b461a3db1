import pytest
import torch

from uadbench.methods._nn.residuals import RANGES, Residual, residual

IMAGES = 2 * torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
SIZE = IMAGES.shape


@pytest.mark.parametrize("how", ["l1", "l2", "ssim"])
def test_a_perfect_reconstruction_has_no_residual(how: Residual) -> None:
    found = residual(how, IMAGES, IMAGES.clone(), "median")

    torch.testing.assert_close(found, torch.zeros(SIZE), atol=1e-6, rtol=0)


def test_l1_is_the_absolute_and_l2_the_squared_difference() -> None:
    restored = IMAGES - torch.tensor([0.5, -2.0, 0.0])[:, None, None, None]

    absolute, squared = (
        residual(how, IMAGES, restored, "median") for how in ("l1", "l2")
    )

    expected = torch.tensor([0.5, 2.0, 0.0])[:, None, None, None].expand(SIZE)
    torch.testing.assert_close(absolute, expected, atol=1e-6, rtol=0)
    torch.testing.assert_close(squared, expected**2, atol=1e-5, rtol=0)


def test_ssim_is_that_of_an_independent_implementation() -> None:
    from monai.metrics.regression import KernelType, compute_ssim_and_cs

    noise = torch.randn(SIZE, generator=torch.Generator().manual_seed(1))
    restored = IMAGES + 0.3 * noise

    found = residual("ssim", IMAGES, restored, "median")

    similarity, _ = compute_ssim_and_cs(
        IMAGES,
        restored,
        spatial_dims=2,
        kernel_size=(11, 11),
        kernel_sigma=(1.5, 1.5),
        data_range=2.0,
        kernel_type=KernelType.GAUSSIAN,
    )
    # MONAI has values where the whole window lies inside.
    torch.testing.assert_close(
        found[..., 5:-5, 5:-5], 1 - similarity, atol=1e-5, rtol=0
    )


def test_ssim_sees_lost_structure_where_intensities_hardly_differ() -> None:
    stripes = (torch.arange(32) % 2).float().expand(1, 1, 32, 32)
    image = 1 + 0.1 * stripes
    restored = image.clone()
    restored[..., 16:, :] = 1.05

    lost = residual("ssim", image, restored, "median")

    # A range of 2 makes C2 = 0.06^2; stripes have a variance of 0.05^2, a plane has 0.
    expected = 1 - 0.06**2 / (0.06**2 + 0.05**2)
    inner = (..., slice(24, 27), slice(8, 24))
    assert lost[inner].mean() == pytest.approx(expected, abs=1e-3)
    assert residual("l1", image, restored, "median")[inner].max() < 0.051


def test_ssim_of_a_slice_does_not_depend_on_the_others() -> None:
    hot = IMAGES.clone()
    hot[0, 0, 16, 16] = 100.0

    before, after = (
        residual("ssim", images, IMAGES / 2, "median") for images in (IMAGES, hot)
    )

    assert torch.equal(before[1:], after[1:])
    assert not torch.equal(before[0], after[0])


def test_ssim_is_the_same_on_both_scales_of_an_image() -> None:
    # 0 ... 2 medians against -3 ... 3.
    pairs = (IMAGES, IMAGES / 2), (3 * IMAGES - 3, 3 * IMAGES / 2 - 3)

    median, p90 = (
        residual("ssim", *pair, scale)
        for pair, scale in zip(pairs, RANGES, strict=True)
    )

    torch.testing.assert_close(median, p90, atol=1e-4, rtol=0)


def test_an_empty_scan_has_a_residual() -> None:
    empty = torch.zeros(1, 1, 16, 16)

    found = residual("ssim", empty, empty + 0.1, "median")

    assert torch.isfinite(found).all()


def test_no_slices_have_no_residual() -> None:
    none = torch.zeros(0, 1, 16, 16)

    assert residual("ssim", none, none, "median").shape == none.shape
