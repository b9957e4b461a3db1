import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from uadbench import options
from uadbench.methods._nn.bottleneck import VariationalBottleneck
from uadbench.methods._nn.steps import Step
from uadbench.methods.vae import VariationalAutoencoder, divergence, sample
from uadbench.protocols import Context, Lazy, Scan


def build(**given: object) -> VariationalAutoencoder:
    quick: dict[str, object] = {"size": 32, "base": 4, "latent": 8, "batch": 4}
    return options.build(
        VariationalAutoencoder, "vae", {**quick, "steps": 6, **given}, "demo"
    )


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_unit_gaussian_diverges_by_nothing() -> None:
    zeros = torch.zeros(3, 8)

    assert divergence(zeros, zeros).tolist() == [0.0, 0.0, 0.0]


def test_divergence_by_hand() -> None:
    # Mean 2, deviation 1: 2^2 / 2. Mean 0, deviation e: (e^2 - 2 - 1) / 2.
    mean = torch.tensor([[2.0, 0.0]])
    log_deviation = torch.tensor([[0.0, 1.0]])

    expected = 2 + (math.e**2 - 3) / 2
    assert float(divergence(mean, log_deviation)) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(5, 8), (5, 3, 4, 4)])
def test_divergence_is_that_of_torchs_distributions(shape: tuple[int, ...]) -> None:
    mean = torch.randn(shape, generator=seeded())
    log_deviation = torch.randn(shape, generator=seeded(1))

    found = divergence(mean, log_deviation)

    pairs = kl_divergence(Normal(mean, log_deviation.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(found, pairs.flatten(1).sum(dim=1))


def test_samples_have_the_mean_and_the_deviation() -> None:
    mean = torch.full((200_000, 1), 3.0)

    drawn = sample(mean, torch.full_like(mean, math.log(0.5)), seeded())

    # Three standard errors of 200 000 draws.
    assert float(drawn.mean()) == pytest.approx(3.0, abs=0.0034)
    assert float(drawn.std()) == pytest.approx(0.5, abs=0.0024)


def test_samples_follow_the_generator_and_pass_gradients_to_both_heads() -> None:
    mean, log_deviation = torch.zeros(2, 3), torch.zeros(2, 3)
    mean.requires_grad_()
    log_deviation.requires_grad_()

    drawn = sample(mean, log_deviation, seeded(4))
    drawn.sum().backward()  # type: ignore[no-untyped-call]  # torch has no annotation

    noise = torch.randn(2, 3, generator=seeded(4))
    torch.testing.assert_close(drawn.detach(), noise)
    assert mean.grad is not None
    assert log_deviation.grad is not None
    torch.testing.assert_close(mean.grad, torch.ones(2, 3))
    # At a deviation of 1, its log moves a sample by the noise.
    torch.testing.assert_close(log_deviation.grad, noise)


@pytest.mark.parametrize("kl", [0.0, 1.0, 4.0])
def test_loss_is_the_error_of_a_sample_and_the_weighted_divergence(kl: float) -> None:
    method = build(kl=kl, dropout=0.0)
    images = torch.rand(4, 1, 32, 32, generator=seeded())
    network = VariationalBottleneck(method.layout()).eval()

    loss = method.loss(network, Step(images, images > 0, seeded(9)))

    with torch.no_grad():
        mean, log_deviation = network.encode(images)
        noise = torch.randn(mean.shape, generator=seeded(9))
        restored = network.decode(mean + log_deviation.exp() * noise)
        pairs = kl_divergence(Normal(mean, log_deviation.exp()), Normal(0.0, 1.0))
    expected = (restored - images).abs().sum() / 4 + kl * pairs.sum() / 4
    assert float(loss.detach()) == pytest.approx(float(expected), rel=1e-5)


def test_a_scan_is_reconstructed_from_the_mean(
    scan: Callable[..., Scan], scans: Callable[..., Lazy[Scan]]
) -> None:
    method = build()
    method.fit(scans("a", "b"), scans("c"), Context(0))

    one, other = (next(method.predict([scan("x")], Context(seed))) for seed in (0, 1))

    np.testing.assert_array_equal(one.score, other.score)


def test_training_pulls_codes_towards_the_unit_gaussian(
    scans: Callable[..., Lazy[Scan]],
) -> None:
    def spread(kl: float) -> float:
        method = build(kl=kl, steps=100, learning_rate=1e-2)
        method.fit(scans("a", "b", "c", "d"), scans("e"), Context(0))
        network = VariationalBottleneck(method.layout()).eval()
        weights = {
            name.split("/", 1)[1]: torch.from_numpy(array)
            for name, array in method.state().items()
        }
        network.load_state_dict(weights)
        images = torch.rand(4, 1, 32, 32, generator=seeded())
        with torch.no_grad():
            return float(divergence(*network.encode(images)).mean())

    assert spread(kl=100.0) < 0.1 * spread(kl=0.01)


def test_paper_preset_weighs_the_divergence_as_published() -> None:
    paper = options.build(VariationalAutoencoder, "vae", {}, "paper")

    assert (paper.kl, paper.latent, paper.batch, paper.dropout) == (1.0, 128, 8, 0.1)
    assert (paper.patience, paper.recipe().rate) == (5, 1e-4)
    assert paper.recipe().steps == 16_000_000
