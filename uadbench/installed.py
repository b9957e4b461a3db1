"""`uadbench list` and `uadbench info`: what is installed, and what it is."""

from functools import partial

import rich_click as click

from uadbench.errors import check_known
from uadbench.printing import json_text
from uadbench.registry import KINDS, listings


@click.command("list")
@click.argument(
    "kinds", nargs=-1, metavar="[methods|datasets|reports|thresholds|postprocess]..."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_known(kinds: tuple[str, ...], as_json: bool) -> int:
    """List what is installed, thresholds and post-processing; imports no plugin."""
    from uadbench.kinds import STEPS, THRESHOLDS

    steps = {"thresholds": THRESHOLDS, "postprocess": STEPS}
    plugins = {kind: listings(kind) for kind in KINDS}
    known: dict[str, list[dict[str, str]]] = {
        kind: [{"name": e.name, "package": e.package} for e in entries]
        for kind, entries in plugins.items()
    } | {
        kind: [{"name": step.usage, "help": step.help} for step in found.values()]
        for kind, found in steps.items()
    }
    for kind in kinds:
        check_known("list", kind, known)
    chosen = {kind: known[kind] for kind in kinds or known}
    for plugin in (e for k in KINDS if k in chosen for e in plugins[k] if e.lost):
        click.echo(f"warning: {plugin}: no module '{plugin.lost}'.", err=True)
    if as_json:
        click.echo(json_text(chosen))
        return 0
    for kind, entries in chosen.items():
        click.echo(f"{kind}:")
        for entry in entries:
            ours = entry.get("package", "uadbench") == "uadbench"
            more = entry.get("help", "" if ours else f"(from {entry['package']})")
            click.echo(f"  {entry['name']:<22} {more}".rstrip())
    click.echo("More of a plugin: uadbench info NAME")
    return 0


@click.command()
@click.argument("name")
@click.option(
    "--cost",
    is_flag=True,
    help="Measure a method's parameters, operations and seconds for a slice.",
)
@click.option("--preset", help="Measure this one; default: all.")
@click.option("--device", default="auto", show_default=True, help="To measure on.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(name: str, cost: bool, preset: str | None, device: str, as_json: bool) -> int:
    """Tell about a method, a dataset or a report: reference, presets, options."""
    from uadbench import describing

    if preset is not None and not cost:
        msg = "--preset chooses what --cost measures: give both."
        raise click.UsageError(msg)
    described = describing.describe(name)
    if cost:
        from uadbench import cost as costs

        found = costs.describe(name, preset, device, partial(click.echo, err=True))
        described = [{**p, "cost": found} for p in described if p["kind"] == "methods"]
    if as_json:
        click.echo(json_text(described))
        return 0
    for plugin in described:
        describing.show(plugin)
        if cost:
            costs.show(plugin["cost"])
    return 0
