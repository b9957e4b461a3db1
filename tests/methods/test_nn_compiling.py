import shutil
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from uadbench import options, registry
from uadbench.acceleration import Acceleration, Compile
from uadbench.methods._nn import compiling
from uadbench.methods._nn.recipes import Recipe
from uadbench.methods._nn.scans import Healthy
from uadbench.methods._nn.steps import Step
from uadbench.methods._nn.tensors import arrays_of
from uadbench.methods._nn.training import new_network, train
from uadbench.protocols import Context, Lazy, Scan, Silent

States: TypeAlias = dict[str, Any]

IMAGES = np.random.default_rng(0).random((10, 1, 8, 8), np.float32)
HEALTHY = Healthy([IMAGES], [IMAGES > 0])
RECIPE = Recipe(12, 4, 1e-2, average=0.9, clip=1.0)


class Whole(nn.Module):
    """A class of ours: torch compiles what calls a container of its own, not that."""

    def __init__(self, *between: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1), *between, nn.Conv2d(4, 1, 3, padding=1)
        )

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.layers(images)
        return output


def make_network() -> nn.Module:
    """Return a network with dropout and statistics, which an attempt could change."""
    return new_network(
        lambda: Whole(nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.2)), 0, "cpu"
    )


def loss(network: nn.Module, step: Step) -> Tensor:
    noise = torch.randn(step.images.shape, generator=step.generator)
    return mse_loss(network(step.images + 0.1 * noise), step.images)


class Listener(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, message: str) -> None:
        self.said.append(message)


def fit(how: Compile) -> tuple[States, list[str]]:
    listener = Listener()
    ctx = Context(0, monitor=listener, acceleration=Acceleration(compile=how))
    trained = train(make_network(), loss, RECIPE, HEALTHY, ctx, "net")
    return dict(arrays_of(trained, "net")), listener.said


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts another compiler in the place of torch's own."""

    def place(backend: Callable[..., Any]) -> None:
        monkeypatch.setitem(compiling.WAYS, "yes", {"backend": backend})

    return place


def assert_equal(one: States, other: States) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], err_msg=name)


def test_a_compiled_network_learns_the_same_under_the_same_names(
    compiler: Callable[..., None],
) -> None:
    graphs = []

    def unchanged(graph: Any, _: Any) -> Any:
        graphs.append(graph)
        return graph

    compiler(unchanged)

    compiled, said = fit("yes")

    assert len(graphs) == 1
    assert said == []
    assert_equal(compiled, fit("no")[0])


def test_where_the_compiler_fails_one_line_says_so_and_training_goes_on(
    compiler: Callable[..., None],
) -> None:
    def broken(_: Any, __: Any) -> Any:
        msg = "no C++ compiler\nwith many more lines"
        raise RuntimeError(msg)

    compiler(broken)

    plain, (line,) = fit("yes")

    assert line.startswith("net: not compiled, which is slower: ")
    assert "no C++ compiler" in line
    assert "\n" not in line
    assert_equal(plain, fit("no")[0])


def test_where_the_compiled_code_fails_training_goes_on_too(
    compiler: Callable[..., None],
) -> None:
    def crashing(_: Any, __: Any) -> Any:
        def crash(*_: Any) -> Any:
            msg = "illegal instruction"
            raise RuntimeError(msg)

        return crash

    compiler(crashing)

    plain, said = fit("yes")

    assert said == [
        "net: not compiled, which is slower: RuntimeError: illegal instruction"
    ]
    assert_equal(plain, fit("no")[0])


def test_what_is_wrong_with_the_loss_itself_is_raised(
    compiler: Callable[..., None],
) -> None:
    def wrong(network: nn.Module, step: Step) -> Tensor:
        msg = "mine"
        raise KeyError(msg)

    compiler(lambda graph, _: graph)
    ctx = Context(acceleration=Acceleration(compile="yes"))

    with pytest.raises(KeyError, match="mine"):
        train(make_network(), wrong, RECIPE, HEALTHY, ctx, "net")


SMALL: dict[str, object] = {"size": 32, "batch": 2, "steps": 1}


@pytest.mark.parametrize(
    ("name", "given", "graphs"),
    [
        ("ae", {}, 1),
        ("vae", {}, 2),
        ("dae", {"base": 4}, 1),
        # Both of its networks look the same.
        ("cycl-unet", {}, 1),
        ("ddpm", {}, 1),
        ("pddpm", {}, 1),
        (
            "itermask2",
            {"first_steps": 1, "network": "residual", "base": 8, "attention": (8,)},
            2,
        ),
    ],
)
def test_every_network_is_compiled_whole(
    name: str,
    given: dict[str, object],
    graphs: int,
    compiler: Callable[..., None],
    scan: Callable[..., Scan],
) -> None:
    seen = []

    def unchanged(graph: Any, _: Any) -> Any:
        seen.append(graph)
        return graph

    compiler(unchanged)
    plugin = registry.load("methods", name)
    method = options.build(plugin, name, {**SMALL, **given}, "demo")
    scans = Lazy(["a"], lambda label: scan(label, channels=plugin.card.modalities))
    listener = Listener()
    asked = Acceleration(compile="yes")

    method.fit(scans, scans, Context(0, monitor=listener, acceleration=asked))

    assert listener.said == []
    assert len(seen) == graphs


@pytest.mark.skipif(not shutil.which("g++"), reason="needs g++")
@pytest.mark.parametrize("how", ["yes", "graphs"])
def test_torchs_own_compiler_learns_the_same_up_to_rounding(how: Compile) -> None:
    states = []
    for asked in ("no", how):
        listener = Listener()
        ctx = Context(0, monitor=listener, acceleration=Acceleration(compile=asked))
        network = new_network(lambda: Whole(nn.Tanh()), 0, "cpu")
        states.append(
            arrays_of(train(network, loss, RECIPE, HEALTHY, ctx, "net"), "net")
        )
        assert listener.said == []

    for name, value in states[0].items():
        np.testing.assert_allclose(states[1][name], value, rtol=0, atol=1e-4)
