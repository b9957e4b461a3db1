"""Your own brains: a raw BIDS folder with masks in its derivatives.

Origin: whatever the folder holds; its licence holds too. No download.

Layout (Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44):

    participants.tsv                              (optional)
    sub-X/anat/sub-X_FLAIR.nii.gz                 (and T1w, T2w, ...)
    derivatives/*/sub-X/anat/sub-X_desc-brain_mask.nii.gz
    derivatives/*/sub-X/anat/sub-X_label-lesion_mask.nii.gz

With sessions: sub-X/ses-Y/anat/sub-X_ses-Y_FLAIR.nii.gz, masks alike. Masks
may lie beside the images too, and names may carry further entities; ATLAS's
label-L_desc-T1lesion_mask is known. All files of one examination share one
grid. Each column of participants.tsv that holds a few words (site, sex, ...)
becomes a stratum.

What is healthy: where participants.tsv has a column "group" that names
controls, they are learned from and calibrated on, and all patients are the
test. Elsewhere patients are split by subject, and train and val keep only
their lesion-free slices: all others are blanked (image 0, no brain) and not
listed in Scan.slices, so that no method can learn from a lesion. Swelling and
mass effect reach further than a mask, so such slices are not quite healthy.
Scale and centre of such a scan come from the slices that are left: on 20 glioma
patients the median moved by 5 % (standard deviation) and the centre by 2 mm.

Example:
    uadbench run --dataset bids --set-data root=DIR --set-data modality=FLAIR
"""

from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator
from pydantic.dataclasses import dataclass

from uadbench.errors import DataError, UsageError
from uadbench.protocols import Card, Case, Lazy, Scan

from .cohort import Cohort, gather
from .layout import Visit, find_visits
from .participants import Participants
from .sources import Query, Source


@dataclass
class Bids:
    """A BIDS folder: healthy slices or controls to learn from, patients as the test.

    Where patients serve as healthy material, each slice with lesion is blanked (image
    0, no brain) and is not in `Scan.slices`; patients without any lesion-free slice
    are left out of train and val. Images stay on their own grid.
    """

    card: ClassVar[Card] = Card(
        title="BIDS folder",
        reference="Gorgolewski et al. 2016, doi:10.1038/sdata.2016.44",
        licence="that of the data",
    )

    root: Path | None = Field(
        default=None, description="folder that holds sub-* folders"
    )
    modality: tuple[str, ...] = Field(
        default=("FLAIR",),
        min_length=1,
        description="image suffixes, one for each channel",
    )
    brain: Literal["mask", "nonzero"] = Field(
        default="mask",
        description="desc-brain_mask files, or every voxel that is not 0",
    )
    lesion: tuple[str, ...] = Field(
        default=("label-lesion_mask", "label-L_desc-T1lesion_mask"),
        min_length=1,
        description="names of the lesion mask, any of them",
    )
    entities: tuple[str, ...] = Field(
        default=(), description="which of several files, such as run-1 or acq-ax"
    )
    pipelines: tuple[str, ...] = Field(
        default=(), description="folders of derivatives/ with the masks; all if empty"
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="what to leave out, such as sub-1 or sub-2_ses-1"
    )
    group_column: str = Field(
        default="group",
        description="column of participants.tsv that names healthy controls",
    )
    healthy: tuple[str, ...] = Field(
        default=("control", "healthy", "HC"), description="what it calls them; any case"
    )
    val_share: float = Field(
        default=0.15, gt=0, lt=1, description="fraction of the subjects for val"
    )
    test_share: float = Field(
        default=0.25,
        gt=0,
        lt=1,
        description="fraction for test, where there are no controls",
    )
    seed: int = Field(default=0, description="of the split by subject")

    @field_validator("root", mode="before")
    @classmethod
    def _check_root(cls, root: object) -> object:
        if root == "":
            # As a path it would be the current folder.
            msg = "expected a folder, such as root=DIR"
            raise ValueError(msg)
        return root

    @model_validator(mode="after")
    def _check(self) -> "Bids":
        if self.val_share + self.test_share >= 1:
            msg = "val_share and test_share leave nothing for train"
            raise ValueError(msg)
        if len(set(self.modality)) < len(self.modality):
            msg = "modality names one image twice"
            raise ValueError(msg)
        for entity in self.entities:
            if not all(entity.partition("-")):
                msg = f"entities: expected such as run-1, got '{entity}'"
                raise ValueError(msg)
        return self

    def train(self) -> Lazy[Scan]:
        """Return the scans of healthy controls, or lesion-free slices of patients."""
        return self._healthy(self._cohort.train)

    def val(self) -> Lazy[Scan]:
        """Return the same of other subjects."""
        return self._healthy(self._cohort.val)

    def test(self) -> Lazy[Case]:
        """Return whole scans of further subjects with their lesions."""
        return self._cases(self._cohort.test)

    def labelled(self) -> Lazy[Case]:
        """Return the whole scans of the patients of val; none where val is controls."""
        return self._cases(tuple(s for s in self._cohort.val if s.lesion))

    def _cases(self, members: tuple[Source, ...]) -> Lazy[Case]:
        sources = {source.id: source for source in members}

        def load(name: str) -> Case:
            source = sources[name]
            return Case(
                scan=source.scan(self.modality),
                lesion=source.read_lesion(),
                strata=self._participants.strata(source.subject),
            )

        return Lazy(sources, load, [source.subject for source in sources.values()])

    def caveats(self) -> tuple[str, ...]:
        """Return that the healthy material is none, where it is slices of patients."""
        if not self._cohort.healthy:
            return ()
        return (
            "No healthy person is among these data: methods learn from, and thresholds "
            "are chosen on, slices of patients in which the lesion masks mark nothing. "
            "Swelling and mass effect reach further than a mask, and false positives "
            f"on healthy people remain unknown.{self._no_control()}",
        )

    def _no_control(self) -> str:
        """Return which groups there are, where none is taken for controls."""
        groups = self._participants.groups(self.group_column)
        if not groups:
            return ""
        return (
            f" (Column '{self.group_column}' of participants.tsv has "
            f"{', '.join(groups)}; none of {', '.join(self.healthy)}.)"
        )

    def _healthy(self, members: tuple[Source, ...]) -> Lazy[Scan]:
        sources = {source.id: source for source in members}
        slices = self._cohort.healthy

        def load(name: str) -> Scan:
            return sources[name].scan(self.modality, slices.get(name))

        def name_of(name: str) -> str:
            return sources[name].fingerprint(self.modality, slices.get(name))

        people = [source.subject for source in members]
        return Lazy(sources, load, people, name_of)

    @cached_property
    def _cohort(self) -> Cohort:
        root = _checked_root(self.root)
        query = Query(
            root=root,
            modality=self.modality,
            brain="desc-brain_mask" if self.brain == "mask" else "",
            lesion=self.lesion,
            entities=self.entities,
        )
        return gather(
            query=query,
            visits=_without(find_visits(root, self.pipelines), self.exclude),
            controls=self._participants.controls(self.group_column, self.healthy),
            seed=self.seed,
            shares={"val": self.val_share, "test": self.test_share},
        )

    @cached_property
    def _participants(self) -> Participants:
        return Participants.read(_checked_root(self.root))


def _checked_root(root: Path | None) -> Path:
    """Return a folder that holds subjects.

    Raises:
        UsageError: none is given.
        DataError: it is not there, is no folder, or holds no subject.
    """
    if root is None:
        msg = (
            "bids: option 'root' is needed: the folder that holds sub-* folders. "
            "Give --set-data root=DIR."
        )
        raise UsageError(msg)
    root = root.expanduser()
    if not root.is_dir():
        what = "is a file, not a folder" if root.exists() else "is not there"
        msg = f"bids: root '{root}' {what}. Give --set-data root=DIR, a BIDS folder."
        raise DataError(msg)
    if not any(path.is_dir() for path in root.glob("sub-*")):
        deeper = next((path.parent for path in sorted(root.glob("*/sub-*"))), None)
        hint = f" Did you mean '{deeper}'?" if deeper else ""
        msg = f"bids: root '{root}' holds no sub-* folder.{hint}"
        raise DataError(msg)
    return root


def _without(visits: list[Visit], exclude: tuple[str, ...]) -> list[Visit]:
    """Return the visits but those excluded by subject or id; UsageError if unknown."""
    known = {name for visit in visits for name in (visit.subject, visit.id)}
    for name in exclude:
        if name not in known:
            msg = (
                f"bids: option 'exclude': there is no '{name}'. Names look like "
                f"'{visits[0].id}'."
            )
            raise UsageError(msg)
    left = [v for v in visits if v.subject not in exclude and v.id not in exclude]
    if not left:
        msg = "bids: option 'exclude' leaves no subject."
        raise UsageError(msg)
    return left
