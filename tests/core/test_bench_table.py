from typing import Any

import pytest

from uadbench.bench.figures import Figure
from uadbench.bench.table import number, show


def record(gpu: str | None) -> dict[str, Any]:
    """Return what `measure` might give."""
    fast = Figure("training, a", "slices/s", 1234.0, {"fp32": 2468.0, "bf16": 98720.0})
    absent = Figure("refinement", "slice-iterations/s", None, reason="no trace")
    return {
        "method": "m",
        "preset": "demo",
        "hardware": {"gpu": gpu, "cpu": "Xeon"},
        "threads": 1,
        "matrix_flop_per_second": {"fp32": 5.25e10, "bf16": 9e14},
        "copied_bytes_per_second": {"host": 1.2e10, "device": 3e12},
        "figures": [fast.record(), absent.record()],
    }


@pytest.mark.parametrize(
    ("gpu", "words"),
    [
        (
            "H100",
            "m demo on H100: fp32 52.5 GFLOP/s, bf16 900,000 GFLOP/s, copy on "
            "the host 12 GB/s, copy on the device 3,000 GB/s",
        ),
        (
            None,
            "m demo on 1 thread of Xeon: fp32 52.5 GFLOP/s, bf16 900,000 GFLOP/s, "
            "copy on the host 12 GB/s figure",
        ),
    ],
)
def test_the_table_has_each_figure_beside_its_limits(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    gpu: str | None,
    words: str,
) -> None:
    monkeypatch.setenv("COLUMNS", "200")

    show(record(gpu))

    shown = " ".join(capsys.readouterr().out.split())
    assert words in shown
    assert "training, a 1,230 slices/s fp32 2,470, bf16 98,700 50 %, 1.2 %" in shown
    assert "refinement - slice-iterations/s - (no trace) -" in shown
    assert "brains of 128 x 128 px of 1.875 mm, resampled" in shown
    assert "a case of 240 x 240 x 155 voxels" in shown


@pytest.mark.parametrize(
    ("value", "words"),
    [(1_234_567.0, "1,230,000"), (99.96, "100"), (12.34, "12.3"), (0.01234, "0.0123")],
)
def test_numbers_have_three_digits_that_count(value: float, words: str) -> None:
    assert number(value) == words
