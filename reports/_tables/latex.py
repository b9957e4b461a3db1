"""Tables as LaTeX with booktabs, ready to be put into a paper."""

from collections.abc import Sequence

from .layout import Layout, Line, Section, headings

PREAMBLE = (
    "% Needs \\usepackage{booktabs} and \\usepackage{graphicx}.\n"
    "% Bold: best of the ranked rows. Italic: upper bound, chosen on test labels.\n"
)
SYMBOLS = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "_": r"\_",
        "%": r"\%",
        "&": r"\&",
        "#": r"\#",
        "$": r"\$",
        "{": r"\{",
        "}": r"\}",
        "^": r"\textasciicircum{}",
        "~": r"\textasciitilde{}",
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        '"': "''",
        # At the start of a row these would be arguments of the line break before it.
        "[": "{[}",
        "]": "{]}",
        "*": "{*}",
        "⌈": r"$\lceil$",
        "⌉": r"$\rceil$",
        "Δ": r"$\Delta$",
        "±": r"$\pm$",
        "\N{MINUS SIGN}": "$-$",
        "\N{EN DASH}": "--",
        "†": r"\dag{}",
        "³": r"\textsuperscript{3}",
    }
)


def latex(sections: Sequence[Section]) -> str:
    """Return one table environment for each table."""
    layouts = [layout for section in sections for layout in section.tables]
    tables = [_table(layout, i) for i, layout in enumerate(layouts, 1)]
    return PREAMBLE + "\n" + "\n\n".join(tables) + "\n"


def escape(text: str) -> str:
    """Return text that LaTeX prints as it is, on one line."""
    return " ".join(text.split()).translate(SYMBOLS)


def _table(layout: Layout, index: int) -> str:
    spans = headings(layout)
    # A gap before the upper bounds keeps them from being read as results.
    columns = "".join(
        "@{\\hspace{2em}}r" if column.bound else "r" for column in layout.columns
    )
    lines = [
        r"\begin{table*}",
        r"\centering",
        rf"\caption{{{escape(' '.join([layout.caption, *layout.notes]))}}}",
        rf"\label{{tab:uadbench-{index}}}",
        r"\resizebox{\linewidth}{!}{%",
        rf"\begin{{tabular}}{{l{columns}}}",
        r"\toprule",
        _groups(spans) + r" \\",
        _rules(spans),
        _row(["Method", *(escape(column.title) for column in layout.columns)]),
        _row(["", *(escape(level) for level in layout.supervision)]),
        r"\midrule",
        *(_line(line) for line in layout.lines),
        r"\bottomrule",
        r"\end{tabular}}",
        r"\end{table*}",
    ]
    return "\n".join(lines)


def _groups(spans: Sequence[tuple[str, int]]) -> str:
    cells = [rf"\multicolumn{{{n}}}{{c}}{{{escape(title)}}}" for title, n in spans]
    return " & ".join(["", *cells])


def _rules(spans: Sequence[tuple[str, int]]) -> str:
    rules, first = [], 2
    for title, width in spans:
        if title:
            rules.append(rf"\cmidrule(lr){{{first}-{first + width - 1}}}")
        first += width
    return " ".join(rules)


def _line(line: Line) -> str:
    cells = [escape(line.title) + (r"\textsuperscript{\dag}" if line.note else "")]
    for cell in line.cells:
        text = escape(cell.text)
        command = r"\textbf" if cell.best else r"\textit" if cell.bound else ""
        cells.append(f"{command}{{{text}}}" if command else text)
    return _row(cells)


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
