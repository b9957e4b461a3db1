# nibabel annotates only some of its functions.
# mypy: allow-untyped-calls

from dataclasses import replace
from pathlib import Path
from types import ModuleType

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

from uadbench.errors import OutputError
from uadbench.files import read_json
from uadbench.maps import (
    map_path,
    mask_path,
    read_own_mask,
    read_score,
    save_maps,
    save_shown,
    score_path,
    shown_slice,
)
from uadbench.postprocess import Pipeline
from uadbench.protocols import Case, Prediction
from uadbench.results import Run
from uadbench.thresholds import Threshold
from uadbench.variants import read, variants

CUTS = {
    "fpr5": Threshold(0.5, "fpr@healthy:0.05", "healthy-val", "hash"),
    "own": Threshold(None, "own", "healthy-val", "hash"),
}
BLIND = {"fpr5": CUTS["fpr5"]}


@pytest.fixture
def case(toy: ModuleType) -> Case:
    """A case on an anisotropic grid that lies LPS on disk."""
    found: Case = toy.make_case("sub-7_ses-b_T2w")
    affine = np.diag([2.0, 2.0, 5.0, 1.0])
    affine[:3, 3] = (-11, 4, 30)
    return replace(found, scan=replace(found.scan, affine=affine, axes="LPS", xform=4))


def masks_of(
    case: Case, prediction: Prediction, cuts: dict[str, Threshold]
) -> dict[str, NDArray[np.bool_]]:
    """The raw masks in what counts, as `stages` hands them on."""
    (raw,) = variants(Pipeline())
    return dict(read(case.scan, prediction, raw, cuts).masks)


def save(
    folder: Path, case: Case, prediction: Prediction, cuts: dict[str, Threshold]
) -> None:
    found = masks_of(case, prediction, cuts)
    save_maps(folder, "ae", case.scan, prediction.score, found, cuts)


@pytest.fixture
def prediction(case: Case) -> Prediction:
    score = np.random.default_rng(0).random(case.lesion.shape, np.float32)
    return Prediction(score, score > 0.7)


@pytest.mark.parametrize(
    ("scan_id", "place"),
    [
        ("sub-01_ses-2_T2w", "sub-01/ses-2/anat"),
        ("sub-01", "sub-01/anat"),
        ("patient7", "patient7/anat"),
    ],
)
def test_maps_lie_as_in_a_bids_derivative(scan_id: str, place: str) -> None:
    path = map_path(Path("run"), scan_id, "desc-ae", "score")

    assert path == Path("run/maps") / place / f"{scan_id}_desc-ae_score.nii.gz"


def test_saved_maps_come_back(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    save(tmp_path, case, prediction, CUTS)

    inside = case.scan.scored
    np.testing.assert_array_equal(
        read_score(tmp_path, "ae", case.scan.id), prediction.score
    )
    np.testing.assert_array_equal(
        read_own_mask(tmp_path, "ae", case.scan.id), (prediction.score > 0.7) & inside
    )


def test_names_are_bids_entities_whatever_a_method_is_called() -> None:
    assert score_path(Path(), "cycl-unet", "sub-1").name == (
        "sub-1_desc-cyclunet_score.nii.gz"
    )
    assert mask_path(Path(), "my_net", "sub-1", "fpr5").name == (
        "sub-1_label-lesion_desc-mynetfpr5_mask.nii.gz"
    )


def test_masks_are_cut_at_their_threshold_inside_what_counts(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    save(tmp_path, case, prediction, CUTS)

    path = mask_path(tmp_path, "ae", case.scan.id, "fpr5")
    image = nib.nifti1.load(path)
    assert image.get_data_dtype() == np.uint8
    voxels = np.asarray(nib.funcs.as_closest_canonical(image).dataobj)
    np.testing.assert_array_equal(voxels, (prediction.score >= 0.5) & case.scan.scored)
    sidecar = read_json(path.with_name(path.name.replace(".nii.gz", ".json")))
    assert sidecar == {"Type": "Lesion", "Threshold": CUTS["fpr5"].record()}


def test_maps_lie_on_the_grid_of_the_input(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    save(tmp_path, case, prediction, BLIND)

    image = nib.nifti1.load(score_path(tmp_path, "ae", case.scan.id))
    assert nib.orientations.aff2axcodes(image.affine) == ("L", "P", "S")
    assert int(image.header["sform_code"]) == 4
    # Voxel (0, 0, 0) in RAS is the last of both flipped axes on disk.
    corner = [size - 1 for size in case.lesion.shape[:2]]
    np.testing.assert_allclose(image.affine @ [*corner, 0, 1], [-11, 4, 30, 1])
    assert image.dataobj[corner[0], corner[1], 0] == prediction.score[0, 0, 0]


def test_method_without_a_mask_leaves_none(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    save(tmp_path, case, replace(prediction, mask=None), BLIND)

    assert read_own_mask(tmp_path, "ae", case.scan.id) is None


def test_maps_describe_themselves_once(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    path = tmp_path / "maps" / "dataset_description.json"
    save(tmp_path, case, prediction, BLIND)
    assert read_json(path)["Name"] == "Anomaly maps of ae"
    assert read_json(path)["DatasetType"] == "derivative"
    path.write_text("{}")

    save(tmp_path, case, prediction, BLIND)

    assert path.read_text() == "{}"


def test_score_is_written_last(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    blocked = mask_path(tmp_path, "ae", case.scan.id, "own")
    blocked.mkdir(parents=True)

    with pytest.raises(OutputError):
        save(tmp_path, case, prediction, CUTS)

    assert not score_path(tmp_path, "ae", case.scan.id).exists()


def test_slice_with_the_most_lesion_is_shown(case: Case) -> None:
    lesion = np.zeros_like(case.lesion)
    lesion[4:6, 4:6, 2] = True
    lesion[4:7, 4:6, 3] = True
    lesion[..., 0] = True

    # Slice 0 is all lesion, but it does not count.
    assert shown_slice(replace(case, lesion=lesion)) == 3


def test_without_lesion_the_slice_with_the_most_brain_is_shown(case: Case) -> None:
    case.scan.brain[5, :, [1, 3, 4]] = False

    assert shown_slice(replace(case, lesion=np.zeros_like(case.lesion))) == 2


def test_shown_slice_has_the_case_the_prediction_and_the_extras(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    trace = np.random.default_rng(1).random((3, *case.lesion.shape)) > 0.5
    extras = {"trace": trace, "reconstruction": 2 * prediction.score.astype(float)}

    save_shown(
        tmp_path,
        case,
        replace(prediction, extras=extras),
        masks_of(case, prediction, CUTS),
        *case.scan.modalities,
    )

    z, scored = shown_slice(case), case.scan.scored
    expected = {
        "image": case.scan.image[0, ..., z],
        "brain": case.scan.brain[..., z],
        "lesion": case.lesion[..., z],
        "score": prediction.score[..., z],
        "mask": ((prediction.score >= 0.5) & scored)[..., z],
        "own": (prediction.score > 0.7)[..., z],
        "trace": trace[..., z],
        "reconstruction": 2 * prediction.score[..., z],
        "spacing": [2.0, 2.0],
    }
    shown = Run(tmp_path, {}).shown(case.scan.id)
    assert set(shown) == set(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(shown[name], array)


def test_shown_slice_of_a_method_without_mask_has_no_own(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    blind = replace(prediction, mask=None)
    masks = masks_of(case, blind, BLIND)
    save_shown(tmp_path, case, blind, masks, *case.scan.modalities)

    assert "own" not in Run(tmp_path, {}).shown(case.scan.id)


def test_extras_cannot_pass_for_the_reference(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    extras = {"lesion": prediction.score > 0.5}

    save_shown(
        tmp_path,
        case,
        replace(prediction, extras=extras),
        masks_of(case, prediction, BLIND),
        *case.scan.modalities,
    )

    shown = Run(tmp_path, {}).shown(case.scan.id)
    np.testing.assert_array_equal(shown["lesion"], case.lesion[..., shown_slice(case)])


def test_modality_that_was_scored_is_shown(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    image = np.concatenate([case.scan.image, -case.scan.image])
    scan = replace(case.scan, image=image, modalities=("FLAIR", "T1w"))
    masks = masks_of(case, prediction, CUTS)

    save_shown(tmp_path, replace(case, scan=scan), prediction, masks, "T1w")

    shown = Run(tmp_path, {}).shown(scan.id)
    np.testing.assert_array_equal(shown["image"], image[1, ..., shown_slice(case)])


def test_raw_intensities_of_any_size_are_shown(
    tmp_path: Path, case: Case, prediction: Prediction
) -> None:
    bright = replace(case.scan, image=case.scan.image * np.float32(1e6))

    save_shown(
        tmp_path,
        replace(case, scan=bright),
        prediction,
        masks_of(case, prediction, CUTS),
        *case.scan.modalities,
    )

    shown = Run(tmp_path, {}).shown(case.scan.id)
    np.testing.assert_array_equal(
        shown["image"], bright.image[0, ..., shown_slice(case)]
    )
