"""Figures: what is drawn in them, before they are saved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from uadbench.reports._figures.cases import choose
from uadbench.reports._figures.panels import Frame
from uadbench.reports._figures.style import (
    BASELINE_COLOUR,
    PALETTE,
    colours,
    new_figure,
    save,
)
from uadbench.reports._tables.comparison import Comparison, compare
from uadbench.reports.curves import Curves, draw_curves
from uadbench.reports.qualitative import draw_cases
from uadbench.reports.refinement import (
    Refinement,
    distinct,
    draw_refinement,
    evenly,
)
from uadbench.results import Run

NAN = float("nan")
SHADES = colours(["itermask2", "ae", "intensity", "ddpm", "vae"])
MakeRun = Callable[..., Run]
AE = {"method": "ae", "title": "Autoencoder"}
INTENSITY = {"method": "intensity", "title": "Intensity", "own_mask": False}


def table(*runs: Run) -> Comparison:
    """Return the one comparison that some runs make."""
    (comparison,) = compare(runs)
    return comparison


def texts(figure: Figure) -> str:
    """Return every word in a figure."""
    found = [artist.get_text() for artist in figure.findobj(Text)]
    return "\n".join(found)


def drawn(line: Line2D) -> NDArray[Any]:
    """Return the points of a line: (N, 2)."""
    return np.asarray(line.get_xydata())


def pictures(figure: Figure) -> list[Axes]:
    """Return the panels of a figure that show an image."""
    return [axes for axes in figure.axes if axes.images]


def test_curves_draw_each_run_with_its_points_and_chance(make_run: MakeRun) -> None:
    main, plain = make_run(), make_run(**INTENSITY, dice=(0.1, 0.2, 0.3))

    figure = draw_curves([table(main, plain)], SHADES)

    (axes,) = figure.axes
    lines = {str(line.get_label()): line for line in axes.lines}
    assert list(drawn(lines["run0"])[:, 1]) == list(main.curve["precision"])
    assert lines["run0"].get_color() == SHADES["itermask2"]
    assert lines["run1"].get_color() == BASELINE_COLOUR
    assert set(drawn(lines["chance: prevalence 0.020"])[:, 1]) == {0.02}
    points = [drawn(line)[0] for line in axes.lines if line.get_marker() == "o"]
    pooled = main.summary["pooled"]
    assert list(points[0]) == [pooled["recall_fpr5"], pooled["precision_fpr5"]]
    best = [drawn(line)[0] for line in axes.lines if line.get_marker() == "D"]
    # On the fixture's p = 0.82 - 0.8 r the derivative of 2 p r / (p + r) is zero at
    # r = 0.484, p = 0.433; the curve has a point every 0.02.
    assert best[0] == pytest.approx([0.484, 0.433], abs=0.011)
    assert len(best) == 2


def test_curves_of_more_methods_than_colours_are_told_apart_alike_in_each_panel(
    make_run: MakeRun,
) -> None:
    methods = [f"method{i}" for i in range(len(PALETTE) + 2)]
    runs = [
        make_run(method=name, title=name, content=data, record={"dataset": dataset})
        for data in ("a", "b")
        for dataset in [{"name": data, "title": data, "options": dict[str, str]()}]
        for name in methods
    ]

    figure = draw_curves(compare(runs), colours(methods))

    legends = [axes.get_legend() for axes in figure.axes]
    looks = [
        [
            # How it is drawn; there is no getter.
            (line.get_color(), vars(line)["_dash_pattern"])
            for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True)
            if text.get_text().startswith("method")
        ]
        for legend in legends
        if legend is not None
    ]
    assert len({str(look) for look in looks[0]}) == len(methods)
    assert looks[0] == looks[1]


def test_curves_have_a_panel_for_each_protocol(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(record={"protocol": "itermask2-2d"}), make_run(seed=1)]

    figure = draw_curves(compare(runs), SHADES)

    assert [axes.get_title() for axes in figure.axes] == [
        "Phantom, protocol volume",
        "Phantom, protocol itermask2-2d",
    ]


def test_curves_tell_seeds_and_rank_in_the_legend(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(seed=1), make_run(**AE, dice=(0.5, 0.5, None))]

    words = texts(draw_curves([table(*runs)], SHADES))

    assert "IterMask2 (AUPRC 0.360, 2 seeds)" in words
    assert "Autoencoder (AUPRC 0.450, not ranked)" in words


def test_chosen_cases_are_best_median_and_worst(make_run: MakeRun) -> None:
    run = make_run(dice=(0.5, 0.1, NAN, 0.9, 0.3, None))

    chosen = choose(run)

    # AUPRC is 0.9 times the Dice; of four the median is the second.
    assert [(c.rank, c.case) for c in chosen] == [
        ("best", "case3"),
        ("median", "case0"),
        ("worst", "case1"),
    ]
    assert chosen[0].value == pytest.approx(0.81)


@pytest.mark.parametrize(
    ("dice", "ranks"),
    [((0.5,), ["best"]), ((0.5, 0.2), ["best", "worst"]), ((NAN,), [])],
)
def test_few_cases_are_chosen_once(
    make_run: MakeRun, dice: tuple[float, ...], ranks: list[str]
) -> None:
    assert [c.rank for c in choose(make_run(dice=dice))] == ranks


def test_qualitative_draws_every_panel_of_every_case(make_run: MakeRun) -> None:
    runs = [make_run(reconstruction=True), make_run(**INTENSITY)]

    (figure,) = draw_cases(table(*runs), SHADES)

    # Input, lesion; reconstruction, score, two masks; score and mask; three cases.
    assert len(pictures(figure)) == 3 * (2 + 4 + 2)
    for axes in pictures(figure):
        values = np.asarray(axes.images[0].get_array(), np.float64)
        assert np.nanmin(values) < np.nanmax(values)


def test_qualitative_states_its_rule_and_orientation(make_run: MakeRun) -> None:
    (figure,) = draw_cases(table(make_run()), SHADES)

    words = texts(figure)

    assert "Cases chosen by the AUPRC of IterMask2, seed 0" in words
    assert "left of the image is left of the patient" in words
    assert "best: case2, AUPRC 0.540" in words
    assert "worst: case0, AUPRC 0.180" in words


def test_qualitative_marks_a_case_that_a_method_failed_on(make_run: MakeRun) -> None:
    runs = [make_run(), make_run(**AE, dice=(None, 0.5, 0.5))]

    (figure,) = draw_cases(table(*runs), SHADES)

    # In the place of its score and of its two masks.
    assert texts(figure).count("no\nprediction") == 3


def test_qualitative_outlines_the_lesion(make_run: MakeRun) -> None:
    (figure,) = draw_cases(table(make_run(dice=(0.5,))), SHADES)

    outlined = [axes for axes in pictures(figure) if axes.collections]

    # On the lesion panel and on the score.
    assert len(outlined) == 2


def test_many_methods_fill_further_figures(make_run: MakeRun) -> None:
    names = ["ae", "ddpm", "itermask2", "vae"]
    runs = [make_run(method=name, title=name, dice=(0.5,)) for name in names]

    figures = draw_cases(table(*runs), SHADES)

    # Three columns a method: three fit beside the two of the input.
    assert [len(pictures(figure)) for figure in figures] == [2 + 3 * 3, 2 + 3]


def test_a_slice_is_shown_with_anterior_up_and_left_at_the_left() -> None:
    image = np.zeros((20, 10))
    image[3, 8] = 1.0
    arrays = {"brain": np.ones((20, 10), bool), "spacing": np.array([1.0, 2.0])}
    axes = new_figure(50, 50).add_subplot()

    Frame.around(arrays).show(axes, image, (0.0, 1.0))

    (shown,) = axes.images
    # Rows go up: the voxel lies left of the middle and near the top, in mm.
    assert shown.origin == "lower"
    assert np.argwhere(np.asarray(shown.get_array())).tolist() == [[8, 3]]
    assert list(shown.get_extent()) == [0.0, 20.0, 0.0, 20.0]


def test_frame_is_the_brain_with_a_margin() -> None:
    brain = np.zeros((30, 40), bool)
    brain[10:20, 5:35] = True

    frame = Frame.around({"brain": brain, "spacing": np.array([1.0, 0.5])})

    assert frame.window == (slice(8, 22), slice(3, 37))
    # 34 voxels of 0.5 mm high, 14 of 1 mm wide.
    assert frame.aspect == pytest.approx(17 / 14)


def test_refinement_draws_input_condition_masks_and_outcome(make_run: MakeRun) -> None:
    run = make_run(dice=(0.5,), trace=9, reconstruction=True)
    comparison = table(run)

    figure = draw_refinement(comparison, comparison.entries[0])

    assert figure is not None
    assert len(pictures(figure)) == 2 + 6 + 2
    assert "first: " in texts(figure)
    assert "pass 9: " in texts(figure)


def test_refinement_tells_the_share_of_each_mask(
    make_run: MakeRun,
) -> None:
    run = make_run(dice=(0.5,), trace=2)
    arrays = run.shown("case0")
    last = 100 * arrays["trace"][-1].sum() / arrays["brain"].sum()
    comparison = table(run)

    figure = draw_refinement(comparison, comparison.entries[0])

    assert figure is not None
    assert f"pass 2: {last:.1f} %" in texts(figure)


def test_without_a_trace_there_is_no_figure(make_run: MakeRun, tmp_path: Path) -> None:
    assert Refinement().render([make_run()], tmp_path) == []


def test_repeats_of_the_final_mask_are_no_passes() -> None:
    trace = np.zeros((5, 2, 2), bool)
    trace[0] = True
    trace[1, 0] = True

    # The first, the second, and the empty mask that stays.
    assert len(distinct(trace)) == 3
    assert len(distinct(np.ones((4, 2, 2), bool))) == 1


@pytest.mark.parametrize(
    ("count", "picked"), [(1, [0]), (3, [0, 1, 2]), (11, [0, 2, 4, 6, 8, 10])]
)
def test_masks_are_picked_evenly_with_the_last(count: int, picked: list[int]) -> None:
    assert evenly(count, 6) == picked


def test_figures_of_an_earlier_rendering_are_removed(tmp_path: Path) -> None:
    files = save([new_figure(9, 9), new_figure(9, 9)], tmp_path, "masks")
    other = tmp_path / "figures" / "masks-notes.png"
    other.write_bytes(b"not ours")

    left = save([new_figure(9, 9)], tmp_path, "masks")

    assert [file.name for file in files[2:]] == ["masks-2.png", "masks-2.pdf"]
    assert set((tmp_path / "figures").iterdir()) == {*left, other}


def test_rendering_keeps_the_settings_of_matplotlib(
    make_run: MakeRun, tmp_path: Path
) -> None:
    before = dict(mpl.rcParams)

    Curves().render([make_run(title="a $ and b $")], tmp_path)

    assert dict(mpl.rcParams) == before


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    first, second = (
        [file.read_bytes() for file in save([new_figure(9, 9)], tmp_path / name, "x")]
        for name in ("a", "b")
    )

    assert first == second


def test_text_in_a_pdf_is_truetype(tmp_path: Path) -> None:
    figure = new_figure(20, 20)
    figure.text(0.5, 0.5, "recall")

    _, pdf = save([figure], tmp_path, "words")

    assert b"/FontFile2" in pdf.read_bytes()
    assert b"/Type3" not in pdf.read_bytes()


def test_a_method_keeps_its_colour_in_other_company() -> None:
    assert colours(["itermask2"])["itermask2"] == SHADES["itermask2"]
    assert SHADES["intensity"] == BASELINE_COLOUR


def test_up_to_six_methods_have_six_colours() -> None:
    found = colours(["ae", "vae", "ddpm", "itermask2", "fae", "ganomaly"])

    assert set(found.values()) == set(PALETTE)
