"""`uadbench bench`: options in, a table and a file out."""

from functools import partial
from pathlib import Path
from typing import Any

import rich_click as click

from uadbench.arguments import ACCELERATION, Folder, acceleration, with_options
from uadbench.printing import json_text


@click.command()
@click.option("-m", "--method", default="itermask2", show_default=True)
@click.option("--preset", help="demo (default) or paper.")
@click.option(
    "--set",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the method, such as size=256; repeat for more.",
)
@click.option(
    "--device", default="auto", show_default=True, help="auto, cpu, cuda or cuda:N."
)
@with_options(*ACCELERATION)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    help="How long each figure is measured, at least.",
)
@click.option(
    "-o",
    "--output",
    "path",
    type=Folder(dir_okay=False),
    metavar="FILE",
    help="Where the JSON goes; default: bench-METHOD-PRESET-DEVICE.json, here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; no default file.")
def bench(
    method: str,
    preset: str | None,
    pairs: tuple[str, ...],
    device: str,
    seconds: float,
    path: Path | None,
    as_json: bool,
    **speed: Any,
) -> int:
    """Measure how fast this machine is, beside what its hardware would allow.

    A method learns and predicts made-up brains, metrics are taken, volumes read. It
    takes a minute or so; leave the machine alone meanwhile.
    """
    from uadbench import options
    from uadbench.files import write_json

    from .measure import measure
    from .table import show

    given = options.parse(pairs)
    say = partial(click.echo, err=True)
    found = measure(method, preset, given, device, acceleration(speed), seconds, say)
    if path is None and not as_json:
        words = (method, found["preset"], found["device"].replace(":", ""))
        path = Path("-".join(["bench", *filter(None, words)]) + ".json")
    if path:
        write_json(path, found)
    if as_json:
        click.echo(json_text(found))
        return 0
    show(found)
    click.echo(f"saved: {path}")
    return 0
