import pytest
import torch
from torch import nn
from torch.nn.functional import conv2d, pad

from uadbench.methods._nn.standardised_unet import (
    StandardisedConv,
    StandardisedUNet,
    groups,
)

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def make_conv() -> StandardisedConv:
    torch.manual_seed(0)
    return StandardisedConv(3, 4, 3, padding=1, padding_mode="reflect")


def test_filters_have_mean_0_and_deviation_1() -> None:
    conv = make_conv()

    found = conv(IMAGES).detach()

    filters = conv.weight.detach().flatten(1)
    centred = filters - filters.mean(dim=1, keepdim=True)
    variance = (centred**2).sum(dim=1, keepdim=True) / (3 * 3 * 3 - 1)
    standard = (centred / (variance.sqrt() + 1e-5)).reshape(conv.weight.shape)
    mirrored = pad(IMAGES, (1, 1, 1, 1), mode="reflect")
    expected = conv2d(mirrored, standard, conv.bias)
    torch.testing.assert_close(found, expected.detach(), atol=1e-5, rtol=1e-5)


def test_scale_and_offset_of_the_weights_change_nothing() -> None:
    conv = make_conv()
    before = conv(IMAGES).detach()

    with torch.no_grad():
        conv.weight.mul_(50.0).add_(3.0)

    # The small number in the denominator counts for less at 50 times the deviation.
    torch.testing.assert_close(conv(IMAGES).detach(), before, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (64, 8),
        (128, 16),
        (256, 16),
        (512, 32),
        (16, 4),
        (8, 4),
        (12, 4),
        (7, 7),
        (1, 1),
    ],
)
def test_groups_are_the_smallest_divisor_not_below_the_root(
    channels: int, expected: int
) -> None:
    assert groups(channels) == expected


def test_published_network_has_four_levels_of_doubling_channels() -> None:
    network = StandardisedUNet()

    convolutions = [m for m in network.modules() if isinstance(m, StandardisedConv)]
    down = [64, 64, 128, 128, 256, 256, 512, 512]
    assert [c.out_channels for c in convolutions] == [*down, 256, 256, 128, 128, 64, 64]
    # Behind a transposed convolution come as many channels by the skip connection.
    assert [c.in_channels for c in convolutions[8::2]] == [512, 256, 128]
    norms = [m.num_groups for m in network.modules() if isinstance(m, nn.GroupNorm)]
    assert norms == [8, 8, 16, 16, 16, 16, 32, 32, 16, 16, 16, 16, 8, 8]
    assert not [m for m in network.modules() if isinstance(m, nn.Dropout)]


def test_published_order_of_layers() -> None:
    network = StandardisedUNet()

    block = 2 * ["StandardisedConv", "SiLU", "GroupNorm"]
    blocks = [*network.down, *network.up]
    assert len(blocks) == 7
    assert all([type(m).__name__ for m in b.children()] == block for b in blocks)


def test_the_second_level_gets_the_mean_of_four_pixels() -> None:
    network = StandardisedUNet(1, 2)
    seen = []
    network.down[0].register_forward_hook(
        lambda *_: torch.arange(64.0).reshape(1, 1, 8, 8)
    )
    network.down[1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))

    network(torch.zeros(1, 1, 8, 8))

    # Of 0, 1, 8 and 9 in the first square; 2 more to the right, 16 more below.
    first = 4.5 + 2 * torch.arange(4.0)
    expected = first + 16 * torch.arange(4.0)[:, None]
    torch.testing.assert_close(seen[0], expected[None, None])


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_images_come_back_in_their_size(depth: int) -> None:
    images = torch.zeros(2, 1, 32, 32)

    assert StandardisedUNet(4, depth)(images).shape == images.shape


def test_details_pass_by_the_skip_connection_of_the_first_level() -> None:
    torch.manual_seed(0)
    network = StandardisedUNet(4, 3)
    with torch.no_grad():
        for layer in network.enlarge:
            for parameter in layer.parameters():
                parameter.zero_()
    image = torch.rand(1, 1, 32, 32)

    changed = image.clone()
    changed[..., 16, 16] += 1.0

    # Nothing comes from below; the pixel is still seen.
    assert not torch.equal(network(image), network(changed))
