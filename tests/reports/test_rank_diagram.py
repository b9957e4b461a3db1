"""Ranks over datasets: the diagram, and the words where there is none."""

import csv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from uadbench.reports._tables.comparison import compare
from uadbench.reports._tables.ranking import Ranking, rankings
from uadbench.reports.page import page
from uadbench.reports.ranks import Ranks, draw_ranks
from uadbench.reports.table import Table
from uadbench.results import Run

MakeRun = Callable[..., Run]
TITLES = {"itermask2": "IterMask2", "ae": "Autoencoder", "intensity": "Intensity"}


def study(
    make_run: MakeRun, datasets: int, order: Sequence[str] = tuple(TITLES), **more: Any
) -> list[Run]:
    """Return runs of three methods on datasets, all in one order."""
    return [
        make_run(
            method=method,
            title=TITLES[method],
            dice=[0.6 - 0.1 * place] * 2,
            content=f"d{i}",
            record={
                "dataset": {"name": f"d{i}", "title": f"Data {i}", "options": {}},
                **more,
            },
        )
        for i in range(datasets)
        for place, method in enumerate(order)
    ]


def ranking(runs: Sequence[Run]) -> Ranking:
    """Return the ranking of runs under one protocol."""
    (found,) = rankings(compare(runs))
    return found


def words(figure: Figure) -> list[str]:
    """Return every text in a figure."""
    return [str(artist.get_text()) for artist in figure.findobj(Text)]


def test_six_datasets_make_a_figure_and_a_file(
    make_run: MakeRun, tmp_path: Path
) -> None:
    files = Ranks().render(study(make_run, 6), tmp_path)

    assert [path.name for path in files] == ["ranks.csv", "ranks.png", "ranks.pdf"]
    with (tmp_path / "ranks.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["method"], float(row["average_rank"])) for row in rows] == [
        ("IterMask2", 1),
        ("Autoencoder", 2),
        ("Intensity", 3),
    ]
    # Demsar 2006, table 5: q = 2.343 for three methods; 2.343 sqrt(3 * 4 / 36).
    assert float(rows[0]["critical_difference"]) == pytest.approx(1.353, abs=5e-4)
    # Chi-square of 12 = 12 N / (k (k + 1)) (14 - 12) with N = 6, k = 3: exp(-6).
    assert float(rows[0]["friedman_p"]) == pytest.approx(0.00247875, rel=1e-5)
    # Neighbours are closer than the critical difference, the ends are not.
    assert [row["cliques"] for row in rows] == ["1", "1 2", "2"]
    assert {row["datasets"] for row in rows} == {"6"}


def test_diagram_names_methods_ranks_and_difference(make_run: MakeRun) -> None:
    found = ranking(study(make_run, 6))
    assert found.ranks is not None

    drawn = words(draw_ranks(found, found.ranks))

    for text in (
        "IterMask2  1.00",
        "Autoencoder  2.00",
        "3.00  Intensity",
        "CD = 1.35",
        "6 datasets, protocol volume, Friedman p = 0.0025",
    ):
        assert text in drawn


def test_a_bar_joins_what_cannot_be_told_apart(make_run: MakeRun) -> None:
    found = ranking(study(make_run, 6))
    assert found.ranks is not None

    (axes,) = draw_ranks(found, found.ranks).axes

    bars = [line for line in axes.lines if line.get_linewidth() > 3]
    assert len(bars) == len(found.ranks.cliques) == 2


def test_a_difference_beyond_the_scale_is_said_to_be_longer(make_run: MakeRun) -> None:
    found = ranking(study(make_run, 6))
    assert found.ranks is not None
    wide = type(found.ranks)(**{**vars(found.ranks), "critical_difference": 9.0})

    assert "CD = 9.00 (longer than the scale)" in words(draw_ranks(found, wide))


def test_too_few_datasets_have_a_line_and_no_figure(
    make_run: MakeRun, tmp_path: Path
) -> None:
    earlier = tmp_path / "figures" / "ranks.png"
    earlier.parent.mkdir()
    earlier.write_bytes(b"of other runs")
    runs = study(make_run, 1)

    files = Ranks().render(runs, tmp_path)
    Table().render(runs, tmp_path)

    line = (
        "Ranks over datasets, protocol volume: too few datasets (1; at least 5 needed)."
    )
    assert [path.name for path in files] == ["ranks.csv"]
    assert not earlier.exists()
    assert "too few datasets" in files[0].read_text()
    assert line in (tmp_path / "table.md").read_text()
    assert line in page(runs, [])


def test_two_methods_are_too_few_to_rank(make_run: MakeRun) -> None:
    found = ranking(study(make_run, 6, order=("itermask2", "intensity")))

    assert found.reason.startswith("too few methods (2; at least 3 needed)")


def test_what_came_out_is_told_in_one_line(make_run: MakeRun) -> None:
    assert ranking(study(make_run, 6)).sentence == (
        "Ranks over datasets, protocol volume: IterMask2 1.00, Autoencoder 2.00, "
        "Intensity 3.00 (6 datasets, Friedman p = 0.00248, critical difference 1.35)."
    )


def test_a_method_that_is_not_whole_on_every_dataset_is_left_out(
    make_run: MakeRun, tmp_path: Path
) -> None:
    broken = {"method": "ddpm", "title": "DDPM", "dice": (0.5, None), "content": "d0"}
    dataset = {"name": "d0", "title": "Data 0", "options": {}}
    runs = [*study(make_run, 6), make_run(**broken, record={"dataset": dataset})]

    found = ranking(runs)

    assert found.ranks is not None
    assert found.ranks.methods == tuple(TITLES.values())
    assert found.left_out == ("DDPM",)
    assert found.sentence.endswith(
        "Not ranked on every dataset with the same options: DDPM."
    )


def test_tables_of_one_dataset_are_one_observation(make_run: MakeRun) -> None:
    runs = study(make_run, 5)
    for i, seed in enumerate((1, 2)):
        options = {"seed": seed}
        again = {"name": "d0", "title": "Data 0", "options": options}
        runs += [
            make_run(
                method=method,
                title=title,
                dice=[0.3 + 0.1 * place] * 2,
                content=f"other{i}",
                record={"dataset": again},
            )
            for place, (method, title) in enumerate(TITLES.items())
        ]

    found = ranking(runs)

    assert found.datasets[0] == "Data 0 (3 tables)"
    assert len(found.datasets) == 5
    assert found.ranks is not None
    # In the mean of its three tables the last method is the best on Data 0.
    assert found.ranks.average == pytest.approx((1.4, 2.0, 2.6))


def test_method_with_other_options_on_one_dataset_is_left_out(
    make_run: MakeRun,
) -> None:
    runs = study(make_run, 6)
    method = {**runs[1].record["method"], "options": {"size": 256}}
    runs[1] = make_run(
        method="ae",
        title="Autoencoder",
        dice=[0.5, 0.5],
        content="d0",
        record={"dataset": runs[1].record["dataset"], "method": method},
    )

    found = ranking(runs)

    assert found.ranks is not None
    assert found.ranks.methods == ("IterMask2", "Intensity")
    assert found.left_out == ("Autoencoder",)


def test_without_a_method_on_every_dataset_nothing_is_ranked(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = [make_run(dice=(0.5, None))]

    (path,) = Ranks().render(runs, tmp_path)

    assert ranking(runs).reason.startswith("too few methods (0;")
    assert len(path.read_text().splitlines()) == 2


def test_changed_data_of_a_dataset_refuse_ranks(
    make_run: MakeRun, tmp_path: Path
) -> None:
    runs = study(make_run, 6)
    dataset = runs[0].record["dataset"]
    again = [
        make_run(
            method=method,
            title=title,
            dice=(0.5, 0.5),
            content="changed",
            record={"dataset": dataset},
        )
        for method, title in TITLES.items()
    ]

    found = ranking([*runs, *again])

    assert found.ranks is None
    assert found.reason.startswith("expected one data hash of 'd0")
    assert "got d0-2 (" in found.reason
    assert [path.name for path in Ranks().render([*runs, *again], tmp_path)] == [
        "ranks.csv"
    ]


def test_protocols_are_ranked_apart(make_run: MakeRun) -> None:
    runs = [*study(make_run, 5), *study(make_run, 5, protocol="itermask2-2d")]

    found = rankings(compare(runs))

    assert [(r.protocol, len(r.datasets), r.reason) for r in found] == [
        ("volume", 5, ""),
        ("itermask2-2d", 5, ""),
    ]
