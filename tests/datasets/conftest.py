"""BIDS folders of tiny heads, made where a test wants them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray

# Axes point left, posterior and superior, as a scanner writes them.
AFFINE = np.array([[-2, 0, 0, 18], [0, -2, 0, 22], [0, 0, 6, -9], [0, 0, 0, 1.0]])
SHAPE = (10, 12, 6)
LESION = "label-lesion_mask"
BRAIN = "desc-brain_mask"


class BidsFolder:
    """A BIDS folder of tiny heads: brain in slices 1 to 4, lesion where asked."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def image(self, subject: str, suffix: str = "FLAIR", session: str = "") -> Path:
        return self._path(self.root, subject, session, suffix)

    def mask(self, subject: str, name: str = LESION, session: str = "") -> Path:
        return self._path(self.root / "derivatives" / "manual", subject, session, name)

    def add(
        self,
        subject: str,
        session: str = "",
        *,
        lesion: Sequence[int] | None = (2,),
        images: Sequence[str] = ("FLAIR",),
        lesion_name: str = LESION,
        brain: bool = True,
    ) -> None:
        x, y, z = np.indices(SHAPE)
        inside = (abs(x - 4.5) < 3) & (abs(y - 5.5) < 4) & (z >= 1) & (z <= 4)
        sick = (x == 4) & (y == 5) & np.isin(z, [] if lesion is None else lesion)
        for number, suffix in enumerate(images):
            signal = inside * (100 + x + 3 * y + 7 * z + 1000 * number)
            self.save(self.image(subject, suffix, session), signal.astype(np.int16))
        if brain:
            self.save(self.mask(subject, BRAIN, session), inside.astype(np.uint8))
        if lesion is not None:
            self.save(self.mask(subject, lesion_name, session), sick.astype(np.uint8))

    def participants(self, rows: dict[str, str], column: str = "group") -> None:
        lines = [f"{subject}\t{value}" for subject, value in rows.items()]
        text = "\n".join([f"participant_id\t{column}", *lines])
        (self.root / "participants.tsv").write_text(text + "\n")

    def _path(self, root: Path, subject: str, session: str, name: str) -> Path:
        start = f"{subject}_{session}" if session else subject
        return root / subject / session / "anat" / f"{start}_{name}.nii.gz"

    @staticmethod
    def save(path: Path, voxels: NDArray[Any], affine: NDArray[Any] = AFFINE) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nib.nifti1.Nifti1Image(voxels, affine)
        image.to_filename(path)


@pytest.fixture
def folder(tmp_path: Path) -> BidsFolder:
    """An empty one; its name is not plain ASCII and has spaces."""
    return BidsFolder(tmp_path / "Köpfe und Hirne")


@pytest.fixture
def four(folder: BidsFolder) -> BidsFolder:
    """Four patients, for tests that change something."""
    for number in range(4):
        folder.add(f"sub-{number}")
    return folder


@pytest.fixture(scope="session")
def ten(tmp_path_factory: pytest.TempPathFactory) -> BidsFolder:
    """Ten patients, to be read only."""
    folder = BidsFolder(tmp_path_factory.mktemp("ten"))
    for number in range(10):
        folder.add(f"sub-{number}")
    return folder
