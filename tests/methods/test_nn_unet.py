import pytest
import torch
from torch import nn

from uadbench.methods._nn.plain_unet import PlainUNet
from uadbench.methods._nn.tensors import in_batches
from uadbench.methods._nn.unet import Shape, UNet

SMALL = Shape(2, 32, base=8, multipliers=(1, 2), blocks=1, attention=(16,), dropout=0.0)
PLAIN = Shape(
    2,
    32,
    base=8,
    multipliers=(1, 2, 2),
    blocks=1,
    attention=(),
    norm="group",
    dropout=0.0,
    stem=2,
)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def shaken(network: nn.Module) -> nn.Module:
    """Return the network with no weight zero any more, in eval mode."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return network.eval()


def images(count: int, channels: int = 2) -> torch.Tensor:
    return torch.rand(
        count, channels, 32, 32, generator=torch.Generator().manual_seed(0)
    )


@pytest.mark.parametrize(("inputs", "count"), [(1, 5_918_753), (2, 5_919_041)])
def test_default_network_has_the_published_number_of_parameters(
    inputs: int, count: int
) -> None:
    assert parameters(UNet(Shape(inputs))) == count


def test_plain_network_has_the_parameters_of_its_layers() -> None:
    # A 3x3 convolution a -> b has 9ab + b weights, its normalisation 2b. 8 inputs
    # after folding; levels of 8, 16, 16 channels; back from 16+16 to 16, 16+8 to 8; the
    # head from 8+8 to 4.
    widths = [(8, 8), (8, 8), (8, 16), (16, 16), (16, 16), (16, 16)]
    widths += [(32, 16), (16, 16), (24, 8), (8, 8)]
    layers = sum(9 * a * b + b + 2 * b for a, b in widths)

    assert parameters(PlainUNet(PLAIN)) == layers + 9 * 16 * 4 + 4


@pytest.mark.parametrize(
    "network",
    [
        UNet(SMALL),
        UNet(Shape(1, 32, base=8, multipliers=(1, 1, 2), attention=(), stem=2)),
        UNet(Shape(2, 32, base=12, multipliers=(1,), attention=(), norm="group")),
        PlainUNet(PLAIN),
        PlainUNet(Shape(1, 32, base=4, multipliers=(1,), blocks=2, norm="batch")),
    ],
    ids=["residual", "folded", "flat", "plain", "plain-flat"],
)
def test_output_is_one_image_for_each_input(network: nn.Module) -> None:
    stem = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    fold = next(m for m in network.modules() if isinstance(m, nn.PixelUnshuffle))
    channels = stem.in_channels // fold.downscale_factor**2

    assert network(images(3, channels)).shape == (3, 1, 32, 32)


def test_residual_network_starts_at_zero() -> None:
    assert not UNet(SMALL)(images(2)).any()


@pytest.mark.parametrize("network", [UNet(SMALL), PlainUNet(PLAIN)])
def test_output_does_not_depend_on_the_batch(network: nn.Module) -> None:
    stack = images(5)
    network = shaken(network)

    with torch.no_grad():
        together = network(stack)
        alone = torch.cat([network(image[None]) for image in stack])

    assert together.std() > 0.01
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_attention_reaches_across_the_image() -> None:
    narrow, wide = (
        shaken(UNet(Shape(2, 64, 8, (1, 1), 1, sides, "batch", 0.0)))
        for sides in ((), (32,))
    )
    stack = torch.rand(1, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    touched = stack.clone()
    touched[..., 0, 0] += 1

    far = [(n(touched) - n(stack))[..., -1, -1].abs().item() for n in (narrow, wide)]

    assert far[0] == 0
    assert far[1] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("network", [UNet(SMALL), PlainUNet(PLAIN)])
def test_cuda_gives_what_the_cpu_gives(network: nn.Module) -> None:
    stack = images(4)
    network = shaken(network)

    with torch.no_grad():
        here = network(stack)
        there = in_batches(network.cuda(), stack.cuda(), len(stack)).cpu()

    torch.testing.assert_close(here, there, atol=1e-3, rtol=1e-3)
