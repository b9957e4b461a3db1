"""`uadbench new` and `uadbench check`: what authors of plugins need."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import rich_click as click

from uadbench import registry
from uadbench.arguments import Folder
from uadbench.errors import ContractError, DataError, UsageError, check_known
from uadbench.printing import json_text
from uadbench.registry import KINDS, Kind


@click.group()
def new() -> None:
    """Write a package to begin with: a plugin of your own, and its test."""


@new.command()
@click.argument("name")
@click.option(
    "-o",
    "--output",
    type=Folder(),
    help="The new folder; default: uadbench-NAME, here.",
)
def method(name: str, output: Path | None) -> int:
    """Write a package with a method that works, to be changed into yours.

    NAME is what 'uadbench run --method NAME' will call it, such as my-method.
    """
    from uadbench import scaffold

    folder = output or Path(f"uadbench-{name}")
    scaffold.write_method(name, folder)
    click.echo(
        f"{folder}: a method that works, to be changed into yours. Next:\n"
        f"  pip install -e {folder}\n"
        f"  uadbench check {name}\n"
        f"  pytest {folder}\n"
        f"  uadbench run --method {name} --limit 3"
    )
    return 0


@click.command()
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(KINDS),
    help="Which one, where several plugins have the name.",
)
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the plugin, such as steps=2, which makes the check quick, or "
    "root=DIR of a dataset; repeat for more.",
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    help="Scans of each part of a dataset that are looked at.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(
    name: str,
    kind: Kind | None,
    pairs: tuple[str, ...],
    limit: int,
    as_json: bool,
) -> int:
    """Check that a plugin keeps its contract, each promise on a line.

    A method is fitted several times, from its preset demo on, to made-up brains: make
    that quick by --set. The exit status is 4 if a promise is broken.
    """
    from uadbench import options
    from uadbench.contract import checks, examine

    given = options.parse(pairs)
    found = []
    for each in _kinds(name, kind, given):
        source = _source(each, name, given)
        if not as_json:
            click.echo(f"{name} ({each})")
        every = checks(each, name, given, limit=limit)
        for finding in examine(every, source):
            found.append({"kind": each, **vars(finding)})
            if not as_json:
                why = f": {finding.message}" if finding.message else ""
                click.echo(f"  {finding.status:<7} {finding.title}{why}")
    if as_json:
        click.echo(json_text(found))
    whole = all(finding["status"] == "ok" for finding in found)
    return 0 if whole else ContractError.status


def _kinds(name: str, kind: Kind | None, given: Mapping[str, str]) -> list[Kind]:
    """Return the kinds of plugins that are meant.

    Raises:
        UsageError: there is none of this name, or options are given to several.
    """
    known = {each: [e.name for e in registry.listings(each)] for each in KINDS}
    if kind:
        check_known(kind, name, known[kind])
        return [kind]
    check_known("check", name, {n for names in known.values() for n in names})
    kinds = [each for each in KINDS if name in known[each]]
    if given and len(kinds) > 1:
        msg = f"--set: '{name}' is in {', '.join(kinds)}. Choose one by --kind."
        raise UsageError(msg)
    return kinds


def _source(kind: Kind, name: str, given: Mapping[str, str]) -> Path:
    """Return the plugin's file, after what the user gave was found to be right.

    Raises:
        UsageError: an option that the plugin does not have, or a wrong value.
        DataError: the dataset is not where the options say.
    """
    from uadbench import members, options
    from uadbench.views import volume

    if given and kind == "reports":
        msg = f"--set: '{name}' is a report, which is built without options."
        raise UsageError(msg)

    try:
        plugin: Any = registry.load(kind, name)
    except ContractError:
        # The first check says so.
        return Path()
    try:
        if kind == "datasets":
            volume(options.build(plugin, name, given))
        elif given or members.has_members(plugin):
            members.check_enough(options.build(plugin, name, given), name)
    except (UsageError, DataError) as error:
        # Here an option of the dataset is one of the plugin itself.
        raise type(error)(str(error).replace("--set-data ", "--set ")) from error
    except Exception:  # of the plugin, which a check shows
        return Path(inspect.getfile(plugin))
    return Path(inspect.getfile(plugin))
