"""HTML pages that need nothing but themselves: the frame, tables, and plotly's figures in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from mlconsole.domain.times import iso

# The page may run its own scripts and load nothing. Plotly's parallel coordinates compile code for the GPU by eval.
POLICY = "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; img-src data: blob:"
STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #222; background: #fff; margin: 2rem auto; max-width: 1200px;
       padding: 0 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .5rem; }
.dim { color: #666; } .note { color: #8a5a00; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; } th, td { padding: .25rem .8rem .25rem 0; vertical-align: top; text-align: left; }
th { color: #666; font-weight: 500; } td.number { text-align: right; font-variant-numeric: tabular-nums; }
td { white-space: nowrap; } td.reason, td.argv { white-space: normal; min-width: 12em; }
.argv span { white-space: nowrap; } tr + tr td { border-top: 1px solid #eee; } tr.same td { color: #888; }
code, pre { font: 12px/1.4 ui-monospace, monospace; } pre { overflow-x: auto; background: #f6f6f6; padding: .8rem; }
.dot { display: inline-block; width: .7em; height: .7em; border-radius: 50%; margin-right: .5em; }
.bad { color: #b00020; } .good { color: #1b7a33; }
"""


def document(title: str, now: datetime, parts: Iterable[str]) -> str:
    """A page with plotly included; the title and the parts are HTML already."""
    from plotly.offline import get_plotlyjs  # 80 ms

    head = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
        f"<title>{title} - mlconsole</title><style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>",
        f'<h1>{title}</h1><p class="dim">mlconsole, {iso(now)}</p>',
    ]
    return "\n".join([*head, *parts, "</body></html>\n"])


def table(titles: Sequence[str], rows: Iterable[str]) -> str:
    """A table; each row is HTML already."""
    head = "".join(f"<th>{title}</th>" for title in titles)
    return f'<div class="wide"><table><tr>{head}</tr>{"".join(rows)}</table></div>'


def figure_div(name: str, figure: object) -> str:
    """A plotly figure as a part of a page."""
    import plotly.io as pio  # 80 ms

    return str(
        pio.to_html(
            figure,
            full_html=False,
            include_plotlyjs=False,
            div_id=name,
            default_height="auto",
            config={"displaylogo": False, "responsive": True},
        )
    )
