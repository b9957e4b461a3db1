"""Options that commands share, and how they become plans."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import rich_click as click

from uadbench.acceleration import Acceleration, Compile, Precision
from uadbench.errors import UsageError

if TYPE_CHECKING:
    from uadbench.plans import Plan

Command = Callable[..., Any]
Decorator = Callable[[Command], Command]


class Folder(click.Path):
    """A folder; "~" is the user's, also where the shell left it as in --output=~/a."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the path."""
        return super().convert(Path(value).expanduser(), param, ctx)


ONE_DATASET = (
    click.option("-d", "--dataset", default="phantom", show_default=True),
    click.option(
        "--set-data",
        "data_pairs",
        multiple=True,
        metavar="NAME=VALUE",
        help="An option of the dataset, such as root=DIR; repeat for more.",
    ),
)
SEVERAL_DATASETS = (
    click.option(
        "-d",
        "--datasets",
        "--dataset",
        default="phantom",
        show_default=True,
        help="Names, separated by commas. LABEL=NAME calls a dataset by a label, so "
        "that it may come again with other options: t2=phantom,flair=phantom.",
    ),
    click.option(
        "--set-data",
        "data_pairs",
        multiple=True,
        metavar="DATASET.NAME=VALUE",
        help="An option of one dataset, by its name or label, such as "
        "flair.modality=FLAIR; repeat for more. Of a single dataset: NAME=VALUE.",
    ),
)


def shared_options(data: Iterable[Decorator]) -> Decorator:
    """Return what adds the options that `run` and `compare` share.

    Args:
        data: `ONE_DATASET` or `SEVERAL_DATASETS`, which come first.
    """
    return with_options(*data, *_SHARED)


def with_options(*options: Decorator) -> Decorator:
    """Return what adds options to a command, in this order."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


ACCELERATION = (
    click.option(
        "--devices",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        metavar="N",
        help="Share each batch of a training among N devices, from --device on.",
    ),
    click.option(
        "--precision",
        type=click.Choice(get_args(Precision)),
        default="auto",
        show_default=True,
        help="Of matrix products. auto: in training bf16 (old GPUs: fp16) on CUDA, "
        "else 32 bits; what is named holds for prediction too.",
    ),
    click.option(
        "--compile",
        type=click.Choice(get_args(Compile)),
        default="auto",
        show_default=True,
        help="Compile networks for their training; graphs: with CUDA graphs. auto: on "
        "CUDA.",
    ),
)
_SHARED = (
    click.option(
        "--preset",
        help="The method's settings to start from: demo (default) or paper.",
    ),
    click.option(
        "--protocol",
        default="volume",
        show_default=True,
        help="volume, or itermask2-2d (that paper's: one slice a subject).",
    ),
    click.option(
        "--threshold",
        "thresholds",
        multiple=True,
        metavar="STRATEGY",
        help="A further threshold, such as fixed:0.5; repeat for more. See "
        "'uadbench list thresholds'.",
    ),
    click.option(
        "--postprocess",
        default="",
        metavar="STEPS",
        help="Such as median:3,min-volume:20; raw results stand beside. See "
        "'uadbench list postprocess'.",
    ),
    click.option(
        "--device",
        default="auto",
        show_default=True,
        help="auto, cpu, cuda or cuda:N.",
    ),
    *ACCELERATION,
    click.option(
        "--limit",
        type=int,
        metavar="N",
        help="Score only the first N test cases, to try things out.",
    ),
    click.option(
        "-o",
        "--output",
        type=Folder(),
        default=Path("runs"),
        show_default=True,
        help="The folder that holds run folders.",
    ),
    click.option(
        "--cache",
        type=Folder(),
        help="Where slices of the training scans are kept for the next run; default: "
        ".cache in the output folder. Those that no run has used for 30 days are "
        "removed; all may be deleted at any time.",
    ),
    click.option("--no-cache", is_flag=True, help="Keep no slices, and use none."),
    click.option("--name", help="The run folder's name; made up if not given."),
    click.option("--overwrite", is_flag=True, help="Replace what an earlier run left."),
    click.option("--dry-run", is_flag=True, help="Show what would be done, and stop."),
    click.option("-q", "--quiet", is_flag=True, help="No progress; only what failed."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)


def make_plan(
    method: str, seed: int, shared: Mapping[str, Any], given: Mapping[str, object]
) -> "Plan":
    """Return the plan of a method with the options of `ONE_DATASET`."""
    from uadbench import options

    data = options.parse(shared["data_pairs"])
    plan = _plan(method, shared, shared["dataset"], data)
    return replace(plan, seed=seed, options=given)


def make_plans(method: str, shared: Mapping[str, Any]) -> dict[str, "Plan"]:
    """Return the plan of a method for each of `SEVERAL_DATASETS`, by its label.

    Raises:
        UsageError: a label comes twice; an option is of no dataset.
    """
    from uadbench import words

    datasets = words.datasets_of(shared["datasets"])
    data = words.by_dataset(shared["data_pairs"], tuple(datasets))
    return {
        label: _plan(method, shared, name, data.get(label, {}))
        for label, name in datasets.items()
    }


def _plan(
    method: str, shared: Mapping[str, Any], dataset: str, data: Mapping[str, object]
) -> "Plan":
    from uadbench.plans import Plan

    return Plan(
        method=method,
        dataset=dataset,
        preset=shared["preset"],
        data_options=data,
        protocol=shared["protocol"],
        device=shared["device"],
        acceleration=acceleration(shared),
        limit=shared["limit"],
        thresholds=shared["thresholds"],
        postprocess=shared["postprocess"],
        cache=_cache(shared),
    )


def acceleration(given: Mapping[str, Any]) -> Acceleration:
    """Return what the options of `ACCELERATION` say."""
    return Acceleration(given["devices"], given["precision"], given["compile"])


def _cache(shared: Mapping[str, Any]) -> Path | None:
    """Return the folder of the cache: beside the runs, as protected as they are."""
    if shared["no_cache"]:
        return None
    given: Path | None = shared["cache"]
    output: Path = shared["output"]
    return given or output / ".cache"


def folder_of(shared: Mapping[str, Any], name: str | None, otherwise: str) -> Path:
    """Return the folder of a run or a comparison, below --output.

    Raises:
        UsageError: the name is none of a folder in it.
    """
    chosen = otherwise if name is None else name
    if not (chosen and chosen.isprintable() and chosen == Path(chosen).name):
        msg = (
            f"--name: expected the name of one folder, got '{chosen}'. "
            "Say by --output where it lies."
        )
        raise UsageError(msg)
    output: Path = shared["output"]
    return output / chosen
