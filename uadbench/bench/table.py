"""What `uadbench bench` prints."""

from collections.abc import Mapping
from typing import Any

from uadbench.console import table_console, table_of
from uadbench.probes import SLICE

from .host import SHAPE, words

NOTE = (
    "allowed: what the time of the matrix products alone (fp32, bf16), or of reading "
    "and writing the voxels once (memory), would allow at the rates above. Training "
    f"and prediction: made-up brains of {SLICE}, resampled to the method's own size; "
    "validation is left out. The network has learned for a few steps: a method that "
    "iterates until it is satisfied may need another number of passes once it is "
    f"trained. Metrics: of a case of {words(SHAPE)} voxels, those in the brain count. "
    "Reading: by one thread, of a file that is in memory already."
)


def show(found: Mapping[str, Any]) -> None:
    """Print what `measure` gives."""
    console = table_console()
    hardware = found["hardware"]
    threads = f"{found['threads']} threads".replace("1 threads", "1 thread", 1)
    on = hardware["gpu"] or f"{threads} of {hardware['cpu']}"
    what = f"{found['method']} {found['preset'] or ''}".rstrip()
    console.print(f"\n{what} on {on}:", style="bold", markup=False, soft_wrap=True)
    products = found["matrix_flop_per_second"]
    rates = [f"{k} {number(v / 1e9)} GFLOP/s" for k, v in products.items()]
    copied = found["copied_bytes_per_second"]
    places = copied if hardware["gpu"] else ["host"]
    rates += [f"copy on the {k} {number(copied[k] / 1e9)} GB/s" for k in places]
    console.print(", ".join(rates), markup=False, soft_wrap=True)
    table = table_of("figure", "measured", "", "allowed", "reached")
    for figure in found["figures"]:
        table.add_row(*_cells(figure))
    console.print(table, markup=False)
    console.print(NOTE, markup=False)


def _cells(figure: Mapping[str, Any]) -> tuple[str, ...]:
    limits = [f"{name} {number(x)}" for name, x in figure["limits"].items()]
    reached = [_percent(part) for part in figure["reached"].values()]
    why = f"- ({figure['reason']})" if figure["reason"] else "-"
    return (
        figure["name"],
        "-" if figure["measured"] is None else number(figure["measured"]),
        figure["unit"],
        ", ".join(limits) or why,
        ", ".join(reached) or "-",
    )


def number(value: float) -> str:
    """Return three digits that count: "1,230,000", "12.3", "0.0123"."""
    rounded = float(f"{value:.3g}")
    return f"{rounded:,.0f}" if rounded >= 100 else f"{rounded:g}"


def _percent(part: float) -> str:
    return f"{100 * part:.2g} %"
