"""Slices of several scans share batches: nobody's numbers depend on the others."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from uadbench import options, registry
from uadbench.methods._nn.reconstruction import Restored, Slicewise, Stack
from uadbench.methods._nn.streams import Streams
from uadbench.methods._nn.tensors import arrays_of
from uadbench.protocols import Context, Prediction, Scan

DENOISING: dict[str, object] = {"size": 32, "base": 8}
STEPS: dict[str, object] = {**DENOISING, "t": 60, "sampling_steps": 4}
UNIFIED: dict[str, object] = {"size": 32, "base": 4, "latent": 8}
PAINTING: dict[str, object] = {**STEPS, "inpainting_steps": 2}
METHODS: dict[str, tuple[str, dict[str, object]]] = {
    "ae": ("ae", UNIFIED),
    "ae, ssim": ("ae", {**UNIFIED, "residual": "ssim"}),
    "vae": ("vae", UNIFIED),
    "dae": ("dae", {"size": 32, "base": 4, "depth": 3}),
    "cycl-unet": ("cycl-unet", DENOISING),
    "ddpm": ("ddpm", STEPS),
    "ddpm, ddim": ("ddpm", {**STEPS, "sampler": "ddim"}),
    "ddpm, gaussian": ("ddpm", {**STEPS, "noise": "gaussian"}),
    "pddpm": ("pddpm", DENOISING),
    "autoddpm": ("autoddpm", PAINTING),
    "autoddpm, ddim": ("autoddpm", {**PAINTING, "sampler": "ddim"}),
    "autoddpm, simplex": ("autoddpm", {**PAINTING, "noise": "simplex"}),
}
every_method = pytest.mark.parametrize("kind", METHODS)
drawing = pytest.mark.parametrize("kind", [k for k in METHODS if "ddpm" in k])
# How oneDNN rounds sums depends on the size of a batch, and where threads share one on
# the place in it. Scores here are below 6; they differ by up to 2e-5.
assert_alike = partial(np.testing.assert_allclose, rtol=1e-5, atol=2e-5)
SLICES = {"a": (0, 1, 2), "b": (1,), "c": (0, 2), "d": (0, 1, 2), "e": (0, 1)}


def build(kind: str, **given: object) -> Slicewise:
    """Return a method with random weights, the same for each kind."""
    name, chosen = METHODS[kind]
    plugin = registry.load("methods", name)
    method: Slicewise = options.build(plugin, name, {**chosen, **given}, "demo")
    generator = torch.Generator().manual_seed(3)
    network = method.make()
    for weights in network.parameters():
        drawn = torch.randn(weights.shape, generator=generator)
        weights.data = drawn / max(1, weights[0].numel()) ** 0.5
    state = arrays_of(network, method.name)
    method.restore({**state, "_threshold": np.array([0.02])})
    return method


@pytest.fixture
def brains(scan: Callable[..., Scan]) -> list[Scan]:
    """Scans of one to three slices."""
    return [scan(name, slices=slices) for name, slices in SLICES.items()]


def predict(method: Slicewise, *scans: Scan, seed: int = 5) -> list[Prediction]:
    return list(method.predict(scans, Context(seed)))


def slice_by_slice(method: Slicewise, scan: Scan, seed: int = 5) -> list[Restored]:
    """Return what a method makes of each slice of a scan, one at a time."""
    slices = method.grid.cut(method.scored(scan))
    streams_seed = Context(seed).child(scan.id).seed
    found = []
    for image, brain, z in zip(slices.images, slices.brain, slices.index, strict=True):
        stack = Stack(
            torch.from_numpy(image)[None],
            torch.from_numpy(brain)[None, None],
            Streams.of_slices(streams_seed, [z], "cpu"),
            batch=1,
        )
        with torch.no_grad():
            found.append(method.reconstruct(method._fitted(), stack))
    return found


@every_method
def test_slices_in_company_are_what_they_are_alone(
    kind: str, brains: list[Scan]
) -> None:
    method = build(kind, batch=4)

    predictions = predict(method, *brains)

    for scan, prediction in zip(brains, predictions, strict=True):
        slices = method.grid.cut(method.scored(scan))
        alone = slice_by_slice(method, scan)
        score = torch.cat([one.score for one in alone])[:, 0].numpy() * slices.brain
        images = torch.cat([one.images for one in alone])[:, 0].numpy()
        pasted = np.where(scan.scored, slices.paste(score), 0)
        assert prediction.score.any()
        assert_alike(prediction.score, pasted)
        assert_alike(prediction.extras["reconstruction"], slices.paste(images))


@every_method
def test_company_and_order_change_no_bit_of_a_prediction(
    kind: str, brains: list[Scan], one_thread: None
) -> None:
    method = build(kind, batch=4)

    together = predict(method, *brains)

    alone = [predict(method, scan)[0] for scan in brains]
    backwards = predict(method, *brains[::-1])[::-1]
    for others in (alone, backwards):
        for one, other in zip(together, others, strict=True):
            np.testing.assert_array_equal(one.score, other.score)
            for name, volume in one.extras.items():
                np.testing.assert_array_equal(volume, other.extras[name])


@pytest.fixture
def one_thread() -> Iterator[None]:
    """As many threads as the bits of a sum don't depend on."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@drawing
def test_scans_slices_and_seeds_have_noise_of_their_own(
    kind: str, scan: Callable[..., Scan], stack_of: Callable[..., Stack]
) -> None:
    method = build(kind)
    image = method.grid.cut(method.scored(scan("a"))).images[1:2]
    images = torch.from_numpy(image).repeat(3, 1, 1, 1)

    same, other = (
        method.reconstruct(method._fitted(), stack_of(images, seed)).images
        for seed in (0, 1)
    )

    every = [*same, *other]
    for i, one in enumerate(every):
        assert not any(torch.allclose(one, two, atol=1e-4) for two in every[:i])


class NoWaiting(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch
    """Refuses what makes the host wait for a device: reading it, and copies to it."""

    READING = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero")

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        found = func(*args, **(kwargs or {}))
        moved = name in ("_to_copy", "copy_") and args[0].device != found.device
        if name in self.READING or moved:
            msg = f"{name} waits for the device"
            raise AssertionError(msg)
        return found


@every_method
def test_nothing_waits_for_the_device_between_the_steps(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = build(kind)
    network = method._fitted().to("meta")
    images = torch.zeros((4, 1, 32, 32), device="meta")
    keys = torch.zeros(4, dtype=torch.int64, device="meta")

    def reconstructed() -> Restored:
        stack = Stack(images, images > 0, Streams(keys), 4)
        return method.reconstruct(network, stack)

    # What is kept on the device is taken there once.
    reconstructed()
    for maker in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.delattr(torch, maker)
    with NoWaiting():  # type: ignore[no-untyped-call]  # torch
        restored = reconstructed()

    assert restored.score.shape == images.shape


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@every_method
def test_cuda_predicts_as_the_cpu_does_and_is_not_waited_for(
    kind: str, brains: list[Scan]
) -> None:
    method = build(kind, batch=4)
    expected = predict(method, *brains)
    network = method._fitted()
    waits: list[int] = []
    plain = method.reconstruct

    def watched(network: Any, stack: Stack) -> Restored:
        torch.cuda.set_sync_debug_mode("error" if waits else "default")
        waits.append(len(stack.images))
        restored = plain(network, stack)
        torch.cuda.set_sync_debug_mode("default")
        return restored

    method.reconstruct = watched  # type: ignore[method-assign]

    found = list(method.predict(brains, Context(5, "cuda")))

    network.to("cpu")
    assert len(waits) > 1
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one.score, other.score, rtol=1e-3, atol=1e-3)


def test_every_draw_of_a_stack_is_another_one(
    stack_of: Callable[..., Stack],
) -> None:
    stack = stack_of(torch.zeros(2, 1, 4, 4))

    drawn: list[Tensor] = [stack.normal((5,)), stack.uniform((5,)), stack.normal((5,))]

    expected = [
        stack.streams.normal(0, (5,)),
        stack.streams.uniform(1, (5,)),
        stack.streams.normal(2, (5,)),
    ]
    for one, other in zip(drawn, expected, strict=True):
        assert torch.equal(one, other)
