from functools import cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from uadbench.datasets.bids import Bids
from uadbench.volumes import write_volume

pytestmark = pytest.mark.realdata


@cache
def indexed(root: Path) -> Bids:
    return Bids(root=root, modality=("FLAIR", "T1w"))


def load(path: Path) -> Any:  # nibabel's images have no common static type
    return nib.loadsave.load(path)


def test_all_real_patients_are_dealt_once(realdata: Path) -> None:
    folders = {path.name for path in realdata.glob("sub-*")}
    dataset = indexed(realdata)

    parts = [dataset.train(), dataset.val(), dataset.test()]

    dealt = [subject for part in parts for subject in part.subjects]
    assert sorted(dealt) == sorted(folders)
    assert len(dealt) == 70


def test_real_healthy_slices_hold_brain_and_no_lesion(realdata: Path) -> None:
    scan = indexed(realdata).val()[0]

    masks = realdata / "derivatives" / "masks" / scan.id / "anat"
    lesion = load(masks / f"{scan.id}_label-lesion_mask.nii.gz").get_fdata()
    brain = load(masks / f"{scan.id}_desc-brain_mask.nii.gz").get_fdata()
    # LPS on disk: axis 2 counts axial slices upwards, as in the scan.
    healthy = ~lesion.any(axis=(0, 1)) & brain.any(axis=(0, 1))
    assert scan.slices == tuple(np.flatnonzero(healthy))
    assert scan.brain.sum() == brain[..., healthy].sum()


def test_a_real_case_lies_where_nibabel_puts_it(realdata: Path) -> None:
    case = indexed(realdata).test()[0]

    name = case.scan.id
    for channel, modality in zip(case.scan.image, ("FLAIR", "T1w"), strict=True):
        path = realdata / name / "anat" / f"{name}_{modality}.nii.gz"
        expected = nib.funcs.as_closest_canonical(load(path))
        np.testing.assert_array_equal(case.scan.affine, expected.affine)
        np.testing.assert_array_equal(channel, expected.get_fdata())
    assert case.lesion.any()
    assert set(case.strata) == {"site"}


def test_a_map_of_a_real_case_has_the_header_of_its_image(
    realdata: Path, tmp_path: Path
) -> None:
    scan = indexed(realdata).test()[0].scan

    write_volume(tmp_path / "map.nii.gz", scan.image[0], scan)

    source = load(realdata / scan.id / "anat" / f"{scan.id}_FLAIR.nii.gz")
    copy = load(tmp_path / "map.nii.gz")
    assert copy.shape == source.shape
    np.testing.assert_allclose(copy.affine, source.affine, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(copy.get_fdata(), source.get_fdata())
    for code in ("sform_code", "qform_code"):
        assert copy.header[code] == source.header[code]
