import pytest
import torch
from torch import nn

from uadbench.methods._nn.bottleneck import (
    Bottleneck,
    LatentKind,
    Layout,
    VariationalBottleneck,
)


def widths(network: nn.Module, kind: type[nn.Module]) -> list[int]:
    """Return the output channels of all layers of a kind, in order."""
    found = [m for m in network.modules() if type(m) is kind]
    return [int(layer.out_channels) for layer in found]  # type: ignore[arg-type]  # convolutions


def test_published_dense_network_has_a_code_of_128_numbers() -> None:
    network = Bottleneck(Layout())

    # 128 px halve four times to 8 px of 128 channels, narrowed to 16: 8 * 8 * 16.
    dense = [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert [layer.in_features for layer in dense] == [1024, 128]
    assert widths(network, nn.Conv2d) == [32, 64, 128, 128, 16, 128, 1]
    assert widths(network, nn.ConvTranspose2d) == [128, 64, 32, 32]


def test_published_spatial_network_has_a_code_of_8_by_8_feature_maps() -> None:
    network = Bottleneck(Layout(kind="spatial"))

    assert not [m for m in network.modules() if isinstance(m, nn.Linear)]
    assert widths(network, nn.Conv2d) == [32, 64, 128, 128, 1]
    assert widths(network, nn.ConvTranspose2d) == [128, 64, 32, 32]


def kinds(layers: nn.Module) -> list[str]:
    """Return the names of the layers inside, in the order in which they are called."""
    return [type(m).__name__ for m in layers.modules() if not list(m.children())]


DOWN = 4 * ["Conv2d", "BatchNorm2d", "LeakyReLU"]
UP = ["BatchNorm2d", "ReLU", *4 * ["ConvTranspose2d", "BatchNorm2d", "LeakyReLU"]]
NARROWED, WIDENED = ["Conv2d", "Flatten"], ["Unflatten", "Conv2d"]


def test_published_order_of_layers() -> None:
    dense, spatial = Bottleneck(Layout()), Bottleneck(Layout(kind="spatial"))
    variational = VariationalBottleneck(Layout())

    code, back = ["Linear", "Dropout"], ["Linear", "Dropout", *WIDENED, *UP, "Conv2d"]
    assert kinds(variational.encoder) == [*DOWN, *NARROWED]
    assert kinds(variational.mean) == kinds(variational.log_deviation) == code
    assert kinds(variational.decoder) == back
    assert kinds(spatial) == [*DOWN, "Dropout", *UP, "Conv2d"]
    assert kinds(dense) == [*DOWN, *NARROWED, *code, *back]


@pytest.mark.parametrize(
    ("network", "expected"),
    # The autoencoder drops of the code alone.
    [(Bottleneck, [0.2, 0.0]), (VariationalBottleneck, [0.2, 0.2, 0.2])],
)
def test_published_slope_and_rates_of_dropout(
    network: type[nn.Module], expected: list[float]
) -> None:
    layers = list(network(Layout(dropout=0.2)).modules())

    slopes = {m.negative_slope for m in layers if isinstance(m, nn.LeakyReLU)}
    assert [m.p for m in layers if isinstance(m, nn.Dropout)] == expected
    assert slopes == {0.3}


def test_published_numbers_of_weights() -> None:
    # By hand: convolutions with bias 25 * 32 + 32, 25 * 32 * 64 + 64,
    # 25 * 64 * 128 + 128, 25 * 128 * 128 + 128; their normalisations 2 * 352; 1 x 1 px
    # 128 * 16 + 16; dense 1024 * 128 + 128.
    half = 832 + 51_264 + 204_928 + 409_728 + 704
    code = 2_064 + 131_200
    # Back: dense 128 * 1024 + 1024, 1 x 1 px 16 * 128 + 128, normalisation 256; up
    # 25 * 128 * 128 + 128, 25 * 128 * 64 + 64, 25 * 64 * 32 + 32, 25 * 32 * 32 + 32;
    # their normalisations 2 * 256; the last 33.
    back = 132_096 + 2_176 + 256 + 409_728 + 204_864 + 51_232 + 25_632 + 512 + 33

    dense, variational = Bottleneck(Layout()), VariationalBottleneck(Layout())

    assert sum(p.numel() for p in dense.parameters()) == half + code + back
    # A second head of 1024 * 128 + 128.
    expected = half + code + 131_200 + back
    assert sum(p.numel() for p in variational.parameters()) == expected


@pytest.mark.parametrize("kind", ["dense", "spatial"])
@pytest.mark.parametrize("size", [16, 64, 128])
def test_images_come_back_in_their_size(kind: LatentKind, size: int) -> None:
    layout = Layout(size, 4, 8, kind, 6)
    images = torch.zeros(2, 1, size, size)

    mean, log_deviation = VariationalBottleneck(layout).encode(images)

    assert Bottleneck(layout)(images).shape == images.shape
    assert VariationalBottleneck(layout)(images).shape == images.shape
    channels = 4 if size == 16 else 8
    assert mean.shape == ((2, 6) if kind == "dense" else (2, channels, 8, 8))
    assert log_deviation.shape == mean.shape


def test_a_spatial_code_keeps_what_is_far_away_out() -> None:
    network = Bottleneck(Layout(64, 4, 8, "spatial")).eval()
    image = torch.zeros(1, 1, 64, 64)
    changed = image.clone()
    changed[..., :4, :4] = 1.0

    difference = (network(changed) - network(image))[0, 0].abs()

    assert difference[:8, :8].max() > 0
    assert difference[48:, 48:].max() == 0
