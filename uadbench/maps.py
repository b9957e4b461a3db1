"""What a run keeps of each case: maps on the input's grid, and one slice to show."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uadbench import __version__
from uadbench.files import write_atomically, write_json
from uadbench.protocols import Case, Prediction, Scan
from uadbench.thresholds import HEADLINE, Threshold
from uadbench.volumes import read_mask, read_volume, write_volume


def map_path(folder: Path, scan_id: str, name: str, suffix: str) -> Path:
    """Return the path of a map, in the layout of a BIDS derivative.

    Args:
        folder: of the run.
        scan_id: such as "sub-01_ses-2".
        name: entities that tell the map from others, such as "desc-ae".
        suffix: "score" or "mask".
    """
    places = [p for p in scan_id.split("_") if p.startswith(("sub-", "ses-"))]
    place = folder.joinpath("maps", *(places or [scan_id]), "anat")
    return place / f"{scan_id}_{name}_{suffix}.nii.gz"


def save_maps(
    folder: Path,
    method: str,
    scan: Scan,
    score: NDArray[np.float32],
    masks: Mapping[str, NDArray[np.bool_]],
    thresholds: Mapping[str, Threshold],
) -> None:
    """Write the score and the mask of each threshold."""
    description = folder / "maps" / "dataset_description.json"
    if not description.is_file():
        write_json(description, _describe(method))
    for suffix, mask in masks.items():
        path = mask_path(folder, method, scan.id, suffix)
        _save(path, mask, scan, np.uint8)
        sidecar = {"Type": "Lesion", "Threshold": thresholds[suffix].record()}
        write_json(path.with_name(path.name.replace(".nii.gz", ".json")), sidecar)
    # The score comes last: where it is, the case's maps are whole.
    _save(score_path(folder, method, scan.id), score, scan, np.float32)


def score_path(folder: Path, method: str, scan_id: str) -> Path:
    """Return the path of a case's score map."""
    return map_path(folder, scan_id, f"desc-{_entity(method)}", "score")


def mask_path(folder: Path, method: str, scan_id: str, suffix: str) -> Path:
    """Return the path of a case's mask at the threshold of a suffix."""
    name = f"label-lesion_desc-{_entity(method + suffix)}"
    return map_path(folder, scan_id, name, "mask")


def read_score(folder: Path, method: str, scan_id: str) -> NDArray[np.float32]:
    """Return a saved score map, float32 (X, Y, Z) in RAS+ axes."""
    return read_volume(score_path(folder, method, scan_id))[0]


def read_own_mask(folder: Path, method: str, scan_id: str) -> NDArray[np.bool_] | None:
    """Return the method's own mask, bool (X, Y, Z) in RAS+ axes, or None."""
    path = mask_path(folder, method, scan_id, "own")
    return read_mask(path)[0] if path.is_file() else None


def save_shown(
    folder: Path,
    case: Case,
    prediction: Prediction,
    masks: Mapping[str, NDArray[np.bool_]],
    modality: str,
) -> None:
    """Write the slice of a case that figures show, with the method's extras of it.

    Args:
        folder: of the run.
        case: what was predicted.
        prediction: of the case.
        masks: by threshold; the headline's is shown.
        modality: the one of the scan's modalities that is shown.
    """
    scan = case.scan
    z = shown_slice(case)
    volumes: dict[str, NDArray[Any]] = {
        **prediction.extras,
        "image": scan.image[scan.modalities.index(modality)],
        "brain": scan.brain,
        "lesion": case.lesion,
        "score": prediction.score,
        "mask": masks[HEADLINE],
    }
    if prediction.mask is not None:
        volumes["own"] = prediction.mask
    arrays = {name: _compact(volume[..., z]) for name, volume in volumes.items()}
    arrays["spacing"] = np.array(scan.spacing[:2])
    path = folder / "shown" / f"{scan.id}.npz"
    # numpy's savez takes any keyword as an array's name, which its stubs do not know.
    write_atomically(path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def shown_slice(case: Case) -> int:
    """Return the axial slice with the most lesion, or else with the most brain."""
    inside = case.scan.scored
    area = (inside & case.lesion).sum(axis=(0, 1))
    return int(np.argmax(area if area.any() else inside.sum(axis=(0, 1))))


def _entity(method: str) -> str:
    """Return a name as the value of a BIDS entity: letters and digits alone."""
    return "".join(letter for letter in method if letter.isalnum())


def _save(path: Path, voxels: NDArray[Any], scan: Scan, dtype: type) -> None:
    write_atomically(path, lambda file: write_volume(file, voxels, scan, dtype))


def _compact(array: NDArray[Any]) -> NDArray[Any]:
    # Half precision would not do: raw intensities above 65504 are infinite in it.
    return array.astype(np.float32) if array.dtype.kind == "f" else array


def _describe(method: str) -> dict[str, object]:
    return {
        "Name": f"Anomaly maps of {method}",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "uadbench", "Version": __version__}],
    }
