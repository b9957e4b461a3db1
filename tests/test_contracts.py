"""What every registered plugin promises, whoever wrote it; the registry is the list."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from safetensors.numpy import load, save

from uadbench import options
from uadbench.checkpoints import save_arrays
from uadbench.checks import check_prediction, check_scan, check_view
from uadbench.errors import UsageError
from uadbench.files import write_json
from uadbench.members import has_members
from uadbench.protocols import (
    Card,
    Context,
    Dataset,
    Lazy,
    Method,
    Prediction,
    Report,
    Scan,
)
from uadbench.registry import KINDS, Kind, listings
from uadbench.registry import load as load_plugin
from uadbench.results import FORMAT
from uadbench.views import PROTOCOLS, view

METHODS = [entry.name for entry in listings("methods")]
DATASETS = [entry.name for entry in listings("datasets")]
REPORTS = [entry.name for entry in listings("reports")]
EVERY = [(kind, entry.name) for kind in KINDS for entry in listings(kind)]

# Options that make the contract quick to check; what they train is worth nothing.
QUICK_METHODS: dict[str, dict[str, object]] = {
    "ae": {"size": 32, "steps": 2, "batch": 2},
    "itermask2": {"size": 32, "first_steps": 2, "steps": 2, "batch": 2},
}
# What a method builds on that builds on runs of others.
MEMBERS = ("intensity", "ae")
QUICK_DATASETS: dict[str, dict[str, object]] = {
    "phantom": {"size": 32, "slices": 3, "n_train": 2, "n_val": 2, "n_test": 3},
}
SHAPE = (40, 36, 4)
BuildMethod = Callable[[str], Method]


def make_scan(name: str) -> Scan:
    """Return an ellipsoid with a smooth texture, in voxels of 4 x 4 x 6 mm."""
    rng = np.random.default_rng(list(name.encode()))
    x, y = np.ogrid[-1 : 1 : SHAPE[0] * 1j, -1 : 1 : SHAPE[1] * 1j]
    disc = (x**2 + y**2 < 0.6)[..., None]
    brain = np.repeat(disc, SHAPE[2], axis=2)
    waves = np.sin(6 * x + rng.uniform(0, 6)) * np.cos(5 * y + rng.uniform(0, 6))
    image = (1 + 0.2 * waves[..., None] + 0.02 * rng.standard_normal(SHAPE)) * brain
    return Scan(
        id=name,
        image=image[None].astype(np.float32),
        brain=brain,
        spacing=(4.0, 4.0, 6.0),
        affine=np.diag([4.0, 4.0, 6.0, 1.0]),
        modalities=("T2",),
        slices=tuple(range(SHAPE[2])),
    )


def scans(*names: str) -> Lazy[Scan]:
    return Lazy(names, make_scan)


def build_quickly(name: str, given: Mapping[str, object]) -> Method:
    plugin = load_plugin("methods", name)
    preset = "demo" if "demo" in plugin.card.presets else None
    method: Method = options.build(plugin, name, given, preset)
    return method


def leave_run(folder: Path, name: str) -> str:
    """Fit a method and return a run folder with what a member of another needs."""
    method = build_quickly(name, QUICK_METHODS.get(name, {}))
    method.fit(scans("a", "b", "c"), scans("d"), Context(0))
    described = {"name": name, "options": options.values(method)}
    record = {"format": FORMAT, "status": "done", "method": described}
    write_json(folder / "run.json", record)
    save_arrays(folder / "model.safetensors", method.state())
    return str(folder)


@pytest.fixture(scope="module")
def build_method(tmp_path_factory: pytest.TempPathFactory) -> BuildMethod:
    """Make a method with options that make it quick."""
    folder = tmp_path_factory.mktemp("members")
    members = [leave_run(folder / name, name) for name in MEMBERS]

    def build(name: str) -> Method:
        on_runs = has_members(load_plugin("methods", name))
        given = {"runs": members} if on_runs else QUICK_METHODS.get(name, {})
        return build_quickly(name, given)

    return build


@pytest.fixture(scope="module")
def fitted(build_method: BuildMethod) -> dict[str, Method]:
    """Each method, fitted once to next to nothing."""
    methods = {name: build_method(name) for name in METHODS}
    for method in methods.values():
        method.fit(scans("a", "b", "c"), scans("d"), Context(0))
    return methods


def predict(method: Method, names: Sequence[str], seed: int = 0) -> list[Prediction]:
    return list(method.predict((make_scan(name) for name in names), Context(seed)))


def assert_same(one: Prediction, other: Prediction) -> None:
    np.testing.assert_array_equal(one.score, other.score)
    if one.mask is not None:
        assert other.mask is not None
        np.testing.assert_array_equal(one.mask, other.mask)


@pytest.mark.parametrize(("kind", "name"), EVERY)
def test_plugin_has_a_card_and_a_docstring(kind: Kind, name: str) -> None:
    plugin = load_plugin(kind, name)

    assert isinstance(plugin.card, Card)
    assert plugin.card.title
    module = inspect.getmodule(plugin)
    assert inspect.getdoc(plugin)
    assert module is not None
    assert inspect.getdoc(module)


@pytest.mark.parametrize(
    ("kind", "name"), [pair for pair in EVERY if pair[0] != "reports"]
)
def test_every_option_has_a_default_and_a_meaning(kind: Kind, name: str) -> None:
    rows = options.table(load_plugin(kind, name))

    assert [row.name for row in rows if row.default == "required"] == []
    assert [row.name for row in rows if not row.help] == []


@pytest.mark.parametrize("name", METHODS)
def test_method_has_presets_demo_and_paper_that_build(name: str) -> None:
    plugin = load_plugin("methods", name)

    assert {"demo", "paper"} <= set(plugin.card.presets)
    for preset in plugin.card.presets:
        assert isinstance(options.build(plugin, name, {}, preset), Method)


@pytest.mark.parametrize(
    ("kind", "name"), [pair for pair in EVERY if pair[0] != "reports"]
)
def test_unknown_option_is_refused(kind: Kind, name: str) -> None:
    with pytest.raises(UsageError, match="no 'nonsense'"):
        options.build(load_plugin(kind, name), name, {"nonsense": 1})


@pytest.mark.parametrize("name", METHODS)
def test_method_yields_one_valid_prediction_for_each_scan(
    fitted: dict[str, Method], name: str
) -> None:
    predictions = predict(fitted[name], ["x", "y", "z"])

    assert len(predictions) == 3
    for label, prediction in zip("xyz", predictions, strict=True):
        scan = make_scan(label)
        check_prediction(prediction, scan, name)
        assert not prediction.score[~scan.scored].any()
        assert prediction.score[scan.scored].any()


@pytest.mark.parametrize("name", METHODS)
def test_method_predicts_nothing_from_nothing(
    fitted: dict[str, Method], name: str
) -> None:
    assert predict(fitted[name], []) == []


@pytest.mark.parametrize("name", METHODS)
def test_prediction_depends_neither_on_order_nor_on_company(
    fitted: dict[str, Method], name: str
) -> None:
    x, y = predict(fitted[name], ["x", "y"])

    (alone,) = predict(fitted[name], ["y"])
    swapped, _ = predict(fitted[name], ["y", "x"])

    assert_same(alone, y)
    assert_same(swapped, y)
    assert not np.array_equal(x.score, y.score)


@pytest.mark.parametrize("name", METHODS)
def test_same_seed_fits_the_same_method(
    fitted: dict[str, Method], build_method: BuildMethod, name: str
) -> None:
    again = build_method(name)
    again.fit(scans("a", "b", "c"), scans("d"), Context(0))

    first, second = fitted[name].state(), again.state()
    assert first.keys() == second.keys()
    for key in first:
        np.testing.assert_array_equal(first[key], second[key])


@pytest.mark.parametrize("name", METHODS)
def test_state_is_all_that_a_prediction_needs(
    fitted: dict[str, Method], build_method: BuildMethod, name: str
) -> None:
    stored = load(save({key: np.array(a) for key, a in fitted[name].state().items()}))
    restored = build_method(name)

    restored.restore(stored)

    assert_same(predict(restored, ["x"])[0], predict(fitted[name], ["x"])[0])


@pytest.mark.parametrize("name", METHODS)
def test_only_slices_that_count_are_scored(
    fitted: dict[str, Method], name: str
) -> None:
    scan = replace(make_scan("x"), slices=(2,))

    (prediction,) = fitted[name].predict([scan], Context(0))

    assert prediction.score[..., 2].any()
    assert not prediction.score[..., [0, 1, 3]].any()


@pytest.fixture
def data_options(tmp_path: Path) -> dict[str, dict[str, object]]:
    """Options by dataset, with folders for those that read files."""
    write_bids(tmp_path, [f"sub-{i}" for i in range(8)])
    return {**QUICK_DATASETS, "bids": {"root": str(tmp_path)}}


def write_bids(root: Path, subjects: Sequence[str]) -> None:
    """Write patients with one lesion in their third slice."""
    for subject in subjects:
        scan = make_scan(subject)
        lesion = np.zeros(SHAPE, np.uint8)
        lesion[18:22, 16:20, 2] = 1
        masks = root / "derivatives" / "masks" / subject / "anat"
        write_nifti(root / subject / "anat" / f"{subject}_FLAIR.nii.gz", scan.image[0])
        write_nifti(masks / f"{subject}_desc-brain_mask.nii.gz", scan.brain)
        write_nifti(masks / f"{subject}_label-lesion_mask.nii.gz", lesion)


def write_nifti(path: Path, voxels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.float32 if voxels.dtype == np.float32 else np.uint8
    image = nib.nifti1.Nifti1Image(voxels.astype(kind), np.diag([4.0, 4.0, 6.0, 1.0]))
    nib.loadsave.save(image, path)


def build_dataset(name: str, given: dict[str, dict[str, object]]) -> Dataset:
    plugin = load_plugin("datasets", name)
    dataset: Dataset = options.build(plugin, name, given.get(name, {}))
    return dataset


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", DATASETS)
def test_dataset_gives_what_methods_rely_on(
    name: str, protocol: str, data_options: dict[str, dict[str, object]]
) -> None:
    dataset = build_dataset(name, data_options)

    seen = view(dataset, protocol)

    assert isinstance(dataset, Dataset)
    check_view(seen, name)
    for scan in (*seen.train, *seen.val):
        check_scan(scan)
    for case in seen.test:
        check_scan(case.scan)
        assert case.lesion.dtype == np.bool_
        assert case.lesion.shape == case.scan.brain.shape
        assert (case.lesion & case.scan.scored).any()


@pytest.mark.parametrize("name", DATASETS)
def test_dataset_gives_the_same_twice_whatever_the_order(
    name: str, data_options: dict[str, dict[str, object]]
) -> None:
    forwards = list(build_dataset(name, data_options).train())
    train = build_dataset(name, data_options).train()
    backwards = [train[i] for i in reversed(range(len(train)))][::-1]

    for one, other in zip(forwards, backwards, strict=True):
        assert one.id == other.id
        np.testing.assert_array_equal(one.image, other.image)


@pytest.mark.parametrize("name", REPORTS)
def test_report_is_built_without_options(name: str) -> None:
    assert isinstance(load_plugin("reports", name)(), Report)
