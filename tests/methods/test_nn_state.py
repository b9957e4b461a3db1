"""What a training remembers."""

import torch
from torch import Tensor, nn

from uadbench.methods._nn.state import Average


def test_weights_and_statistics_are_averaged_and_counters_are_copied() -> None:
    network = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    average = Average(network, 0.9)
    expected: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(0)

    for update in range(200):
        with torch.no_grad():
            network(torch.randn(3, 1, 5, 5, generator=generator))
            for weight in network.parameters():
                weight.add_(torch.randn(weight.shape, generator=generator))
        average.update(network)
        decay = min(0.9, (1 + update) / (10 + update)) if update else 0.0
        for name, now in network.state_dict().items():
            before = expected.get(name, torch.zeros(()))
            expected[name] = decay * before + (1 - decay) * now.double()

    found = average.module.state_dict()
    assert found.pop("1.num_batches_tracked") == 200
    for name, values in found.items():
        found_there = values.double()
        torch.testing.assert_close(found_there, expected[name], rtol=1e-5, atol=1e-5)


def test_an_average_without_decay_is_the_network_itself() -> None:
    network = nn.Linear(2, 2)
    average = Average(network, 0.0)

    for _ in range(3):
        with torch.no_grad():
            network.weight.add_(0.1)
        average.update(network)

    assert torch.equal(average.module.weight, network.weight)  # type: ignore[arg-type]  # any module
