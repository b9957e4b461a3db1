"""What every registered plugin promises, whoever wrote it; the registry is the list.

The promises are those of `uadbench check`: see uadbench/contract/.
"""

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from uadbench import engine, options
from uadbench.checkpoints import save_arrays
from uadbench.contract import Check, Finding, checks, examine, make_scan
from uadbench.files import write_json
from uadbench.plans import Plan
from uadbench.protocols import Context, Lazy, Method, Silent
from uadbench.registry import Kind, listings, load
from uadbench.results import FORMAT, Run
from uadbench.views import PROTOCOLS, view

# Options that make the contract quick to check; what they train is worth nothing.
QUICK_DENOISING: dict[str, object] = {
    "size": 32,
    "steps": 2,
    "batch": 2,
    "sampling_steps": 2,
}
QUICK_METHODS: dict[str, dict[str, object]] = {
    "ae": {"size": 32, "steps": 2, "batch": 2},
    "autoddpm": {**QUICK_DENOISING, "inpainting_steps": 2},
    "cycl-unet": {"size": 32, "steps": 2, "batch": 2},
    "dae": {"size": 32, "base": 4, "steps": 2, "batch": 2},
    "ddpm": QUICK_DENOISING,
    "itermask": {"size": 32, "first_steps": 2, "steps": 2, "batch": 2},
    "itermask2": {"size": 32, "first_steps": 2, "steps": 2, "batch": 2},
    "pddpm": {"size": 32, "steps": 2, "batch": 2},
    "vae": {"size": 32, "steps": 2, "batch": 2},
}
# What a method builds on that builds on runs of others; a fixture makes their runs.
MEMBERS = ("intensity", "ae")
RUNS: dict[str, object] = {}
QUICK_METHODS["ensemble"] = RUNS
QUICK_DATASETS: dict[str, dict[str, object]] = {
    "phantom": {"size": 32, "slices": 3, "n_train": 2, "n_val": 2, "n_test": 3},
}


def names(kind: Kind) -> list[str]:
    return [entry.name for entry in listings(kind)]


@pytest.fixture(scope="module", autouse=True)
def members(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Leave the runs that an ensemble is made of."""
    folder = tmp_path_factory.mktemp("members")
    RUNS["runs"] = [leave_run(folder / name, name) for name in MEMBERS]


def leave_run(folder: Path, name: str) -> str:
    """Fit a method and return a run folder with what a member of another needs."""
    plugin = load("methods", name)
    method: Method = options.build(plugin, name, QUICK_METHODS.get(name, {}), "demo")
    method.fit(Lazy("abc", make_scan), Lazy("d", make_scan), Context(0))
    described = {"name": name, "options": options.values(method)}
    record = {"format": FORMAT, "status": "done", "method": described}
    write_json(folder / "run.json", record)
    save_arrays(folder / "model.safetensors", method.state())
    return str(folder)


@pytest.mark.parametrize(
    "check",
    [
        pytest.param(check, id=f"{name} {check}")
        for name in names("methods")
        for check in checks("methods", name, QUICK_METHODS.get(name, {}))
    ],
)
# So short a training is else over before its first checkpoint, and never resumed.
@pytest.mark.usefixtures("saved_after_every_step")
def test_method_keeps_its_contract(check: Check) -> None:
    check()


@pytest.fixture(scope="module")
def bids(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of patients with one lesion in their third slice."""
    root = tmp_path_factory.mktemp("bids")
    for subject in [f"sub-{i}" for i in range(8)]:
        scan = make_scan(subject)
        lesion = np.zeros(scan.brain.shape, np.uint8)
        lesion[18:22, 16:20, 2] = 1
        masks = root / "derivatives" / "masks" / subject / "anat"
        write_nifti(root / subject / "anat" / f"{subject}_FLAIR.nii.gz", scan.image[0])
        write_nifti(masks / f"{subject}_desc-brain_mask.nii.gz", scan.brain)
        write_nifti(masks / f"{subject}_label-lesion_mask.nii.gz", lesion)
    return root


def write_nifti(path: Path, voxels: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = np.float32 if voxels.dtype == np.float32 else np.uint8
    image = nib.nifti1.Nifti1Image(voxels.astype(kind), np.diag([4.0, 4.0, 6.0, 1.0]))
    nib.loadsave.save(image, path)


@pytest.fixture
def given(bids: Path) -> dict[str, dict[str, object]]:
    """Options by dataset, with folders for those that read files."""
    return {**QUICK_DATASETS, "bids": {"root": str(bids)}}


def broken(every: list[Check]) -> list[Finding]:
    return [found for found in examine(every, Path()) if found.status != "ok"]


@pytest.mark.parametrize("name", names("datasets"))
def test_dataset_keeps_its_contract(
    name: str, given: dict[str, dict[str, object]]
) -> None:
    assert broken(checks("datasets", name, given.get(name, {}))) == []


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", names("datasets"))
def test_every_case_of_our_datasets_has_a_lesion_that_is_scored(
    name: str, protocol: str, given: dict[str, dict[str, object]]
) -> None:
    dataset = options.build(load("datasets", name), name, given.get(name, {}))

    cases = list(view(dataset, protocol).test)

    assert cases
    assert all((case.lesion & case.scan.scored).any() for case in cases)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A small run for reports to show."""
    plan = Plan("intensity", "phantom", data_options=QUICK_DATASETS["phantom"])
    return engine.run(plan, tmp_path_factory.mktemp("runs") / "run", Silent())


@pytest.mark.parametrize("name", names("reports"))
def test_report_keeps_its_contract(name: str, finished: Run) -> None:
    assert broken(checks("reports", name, run=finished)) == []
