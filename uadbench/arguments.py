"""Options that commands share, and words of the command line turned into a plan."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import rich_click as click

from uadbench.errors import UsageError

if TYPE_CHECKING:
    from uadbench.plans import Plan

Command = TypeVar("Command", bound=Callable[..., Any])


class Folder(click.Path):
    """A folder; "~" is the user's, also where the shell left it as in --output=~/a."""

    def __init__(self, **checks: bool) -> None:
        super().__init__(path_type=Path, **checks)

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the path."""
        return super().convert(Path(value).expanduser(), param, ctx)


def shared_options(command: Command) -> Command:
    """Add the options that `run` and `compare` share."""
    for option in reversed(
        (
            click.option("-d", "--dataset", default="phantom", show_default=True),
            click.option(
                "--set-data",
                "data_pairs",
                multiple=True,
                metavar="NAME=VALUE",
                help="An option of the dataset, such as root=DIR; repeat for more.",
            ),
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
            click.option("--name", help="The run folder's name; made up if not given."),
            click.option(
                "--overwrite", is_flag=True, help="Replace what an earlier run left."
            ),
            click.option(
                "--dry-run", is_flag=True, help="Show what would be done, and stop."
            ),
            click.option(
                "-q", "--quiet", is_flag=True, help="No progress; only what failed."
            ),
            click.option("--json", "as_json", is_flag=True, help="Print JSON."),
        )
    ):
        command = option(command)
    return command


def make_plan(
    method: str, seed: int, shared: Mapping[str, Any], given: Mapping[str, object]
) -> "Plan":
    """Return the plan of a method with the values of `shared_options`."""
    from uadbench import options
    from uadbench.plans import Plan

    return Plan(
        method=method,
        dataset=shared["dataset"],
        preset=shared["preset"],
        options=given,
        data_options=options.parse(shared["data_pairs"]),
        protocol=shared["protocol"],
        seed=seed,
        device=shared["device"],
        limit=shared["limit"],
        thresholds=shared["thresholds"],
        postprocess=shared["postprocess"],
    )


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


def by_method(pairs: tuple[str, ...]) -> dict[str, dict[str, object]]:
    """Return {method: {option: value}} of words such as "ae.latent=64".

    Raises:
        UsageError: a word names no method, or has no value.
    """
    from uadbench import options

    chosen: dict[str, dict[str, object]] = {}
    for name, value in options.parse(pairs).items():
        method, dot, option = name.partition(".")
        if not dot:
            msg = f"--set {name}={value}: name the method, such as ae.{name}={value}."
            raise UsageError(msg)
        chosen.setdefault(method, {})[option] = value
    return chosen


def names(words: str) -> list[str]:
    """Return the distinct names of "a,b".

    Raises:
        UsageError: there is none.
    """
    found = [word.strip() for word in words.split(",") if word.strip()]
    if not found:
        msg = "--methods: expected names separated by commas, such as ae,itermask2."
        raise UsageError(msg)
    return list(dict.fromkeys(found))


def seeds_of(words: str) -> list[int]:
    """Return the distinct numbers of "0,1".

    Raises:
        UsageError: a word is no whole number.
    """
    try:
        found = list(dict.fromkeys(int(word) for word in words.split(",")))
    except ValueError:
        found = []
    if not found or min(found) < 0:
        msg = f"--seeds: expected numbers of at least 0, such as 0,1,2, got '{words}'."
        raise UsageError(msg)
    return found
