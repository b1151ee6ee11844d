"""The page's sections: headings, controls, captions, and a table for each plot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np

from .cells import COLUMNS, DENSE_COMPONENTS, Cells
from .reading import RunOutput

#: Seconds summed over threads.
_OF_THREADS = ("reading", "decoding", "computing", "writing", "waiting")
_ACTIVITIES = (*_OF_THREADS, "communicating")
_TABLE_ROWS = 300


@dataclass
class Section:
    """`html`, and by name what the plots in it are drawn from; None of what is not there."""

    name: str
    html: str
    data: dict[str, Any] = field(default_factory=dict)


def number(value: float) -> str:
    """3 significant digits, or all of a whole number."""
    if float(value).is_integer():
        return f"{int(value):,}".replace("-", "−")
    return f"{value:,.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def table(caption: str, header: Sequence[str], rows: Iterable[Sequence[Any]], table_id: str = "") -> str:
    """Numbers are set to the right; beyond `_TABLE_ROWS` rows the caption says so."""
    rows = list(rows)
    if len(rows) > _TABLE_ROWS:
        caption += f" (the first {_TABLE_ROWS} of {len(rows):,})"
    numeric = [isinstance(value, (int, float, np.number)) for value in rows[0]] if rows else [False] * len(header)
    head = "".join(
        f'<th scope="col"{" class=number" if right else ""}>{escape(name)}</th>'
        for name, right in zip(header, numeric, strict=True)
    )
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows[:_TABLE_ROWS])
    id_text = f' id="{table_id}"' if table_id else ""
    caption_id = f' id="{table_id.removesuffix("-table")}-caption"' if table_id else ""
    return (
        f'<div class="scroll"><table{id_text}><caption{caption_id}>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _cell(value: Any) -> str:
    if isinstance(value, (int, float, np.number)):
        return f'<td class="number">{number(float(value))}</td>'
    return f"<td>{escape(str(value))}</td>"


def _folded(what: str, content: str) -> str:
    return f"<details><summary>{escape(what)}</summary>{content}</details>"


def _figure(plot: str, caption: str, below: str = "", note: str = "", height: int = 0) -> str:
    style = f' style="height: {height}px"' if height else ""
    note_id = f' id="{note}"' if note else ""
    div = f'<div class="plot" id="{plot}"{style} role="img" aria-label="not drawn yet"></div>'
    return (
        f'<figure><div class="scroll">{div}</div>'
        f"<figcaption{note_id}>{escape(caption)}</figcaption>{below}</figure>"
    )


def _select(control: str, label: str, options: Mapping[str, str] | None = None) -> str:
    content = "".join(f'<option value="{value}">{escape(name)}</option>' for value, name in (options or {}).items())
    return f'<label for="{control}">{escape(label)} <select id="{control}">{content}</select></label>'


def _section(section_id: str, title: str, content: str) -> str:
    return (
        f'<section aria-labelledby="{section_id}"><h2 id="{section_id}">{escape(title)}</h2>\n{content}\n</section>'
    )


def _absent(what: str) -> str:
    return f'<p class="absent">{escape(what)}</p>'


def summary_text(run: RunOutput, cells: Cells | None) -> str:
    funnel = run.uns_cellmill.get("funnel", {})
    timeline = run.uns_cellmill.get("timeline", {})
    tiles = []
    if "cells_read" in funnel:
        tiles.append(("cells read", f"{int(np.sum(funnel['cells_read'])):,}"))
    tiles += [("cells", f"{run.n_obs:,}"), ("genes", f"{run.n_vars:,}")]
    if cells:
        tiles.append(("components", f"{cells.n_components:,}"))
    if len(timeline.get("rank", [])):
        tiles.append(("ranks", f"{len(np.unique(timeline['rank'])):,}"))
        tiles.append(("in the passes", f"{number(sum(row[1] for row in _passes(timeline)))} s"))
    peaks = run.uns_cellmill.get("memory", {}).get("peak_bytes", [])
    if len(peaks):
        tiles.append(("most memory of a rank", f"{number(max(peaks) / 1e9)} GB"))
    return '<dl class="tiles">' + "".join(f"<div><dt>{dt}</dt><dd>{dd}</dd></div>" for dt, dd in tiles) + "</dl>"


def funnel_section(run: RunOutput) -> Section:
    funnel = run.uns_cellmill.get("funnel", {})
    keys = ("plate", "cells_read", "cells_kept", "genes_with_counts", "genes_chosen")
    title = "Cells and genes"
    if any(key not in funnel for key in keys) or not len(funnel["plate"]):
        return Section("funnel", _section("funnel", title, _absent("uns/cellmill/funnel is not in this file.")))
    columns = {key: np.asarray(funnel[key]).tolist() for key in keys}
    kept = int(funnel["genes_kept"]) if "genes_kept" in funnel else None
    read, left = sum(columns["cells_read"]), sum(columns["cells_kept"])
    share = f" ({left / read:.1%})" if read else ""
    text = f"<p>{left:,} of {read:,} cells are kept{share}"
    text += f"; {kept:,} genes, chosen by enough plates, are kept.</p>" if kept is not None else ".</p>"
    rows = list(zip(*columns.values(), strict=True))
    below = _folded(
        "The numbers as a table",
        table("Plates", ["plate", "cells read", "cells kept", "genes with counts", "genes chosen"], rows),
    )
    plots = (
        '<div class="pair">'
        + _figure("cells-per-plate", "Cells of each plate: read, and kept by the filter.")
        + _figure("genes-per-plate", "Genes of each plate: with counts, and chosen as highly variable.")
        + "</div>"
    )
    data = columns | {"plate": [str(name) for name in columns["plate"]], "genes_kept": kept}
    return Section("funnel", _section("funnel", title, text + plots + below), {"funnel": data})


def genes_text(genes: dict[str, Any] | None) -> str:
    if genes is None:
        return _section("genes", "Highly variable genes", _absent("uns/hvg_per_plate is not in this file."))
    text = "<p>Each gene by its mean and dispersion. Grey: genes not chosen, darker where many lie.</p>"
    if genes["n_shown"] < genes["n_plates"]:
        text += f"<p>{genes['n_shown']} of {genes['n_plates']:,} plates have a view; the mean is over all.</p>"
    controls = (
        '<div class="controls">'
        + _select("gene-view", "Plate")
        + _select("gene-measure", "Height", {"dispersions_norm": "normalised dispersion", "dispersions": "dispersion"})
        + "</div>"
    )
    header = ["gene", "mean", "dispersion", "normalised dispersion", "kept"]
    below = _folded(
        "Genes of the greatest normalised dispersion, as a table",
        table("Chosen genes, at most 40", header, [], "gene-table"),
    )
    plots = _figure("gene-plot", "", below, "gene-note")
    if genes["n_plates"] > 1:
        rows = [(plates, count) for plates, count in enumerate(genes["chosen_by"])]
        by = _folded("The numbers as a table", table("Genes by plates that chose them", ["plates", "genes"], rows))
        plots += _figure("chosen-by", "How many plates chose a gene; genes chosen by none are left out.", by)
    return _section("genes", "Highly variable genes", text + controls + plots)


def variance_section(ratio: np.ndarray, pca: Mapping[str, Any]) -> Section:
    title = "Variance explained"
    if len(ratio) == 0:
        return Section("variance", _section("variance", title, _absent("uns/pca is not in this file.")))
    variance = np.asarray(pca.get("variance", np.full(len(ratio), np.nan)), np.float64)
    rows = [
        (f"PC{i + 1}", f"{v:.4g}", f"{r:.3%}", f"{c:.2%}")
        for i, (v, r, c) in enumerate(zip(variance, ratio, np.cumsum(ratio), strict=True))
    ]
    header = ["component", "variance", "share", "up to and with it"]
    below = _folded("The numbers as a table", table("Variance of the components", header, rows))
    caption = f"Of the variance of the kept genes, the {len(ratio)} components explain {ratio.sum():.2%}."
    html = _section("variance", title, _figure("variance-plot", caption, below))
    return Section("variance", html, {"variance": ratio.tolist()})


def cells_text(cells: Cells | None) -> str:
    title = "Cells on their components"
    if cells is None:
        return _section("cells", title, _absent("obsm/X_pca is not in this file, or has no cells."))
    text = f"<p>Left, all {cells.n_cells:,} cells for any two of the first {DENSE_COMPONENTS} components; right, "
    text += "all of them.</p>" if cells.n_sampled == cells.n_cells else (
        f"{cells.n_sampled:,} cells spread evenly over the rows, drawn at random.</p>")  # fmt: skip
    if cells.not_finite:
        text += f"<p>{cells.not_finite:,} cells whose components are not finite are not counted.</p>"
    if len(cells.section["columns"]) == COLUMNS:
        text += f"<p>At most {COLUMNS} columns of obs are offered unless they are named (--obs).</p>"
    controls = (
        '<div class="controls">'
        + _select("pc-x", "Across")
        + _select("pc-y", "Up")
        + _select("cell-colour", "Colour by")
        + "</div>"
    )
    below = _folded(
        "Where the groups lie, as a table",
        table("Cells that are drawn", ["group", "cells", "mean across", "mean up"], [], "cells-table"),
    )
    plots = (
        '<div class="pair">'
        + _figure("density-plot", "", note="density-note", height=480)
        + _figure("colour-plot", "Cells by the column chosen; beyond 20 levels the rarer are grey.", height=480)
        + "</div>"
    )
    return _section("cells", title, text + controls + plots + below)


def _passes(timeline: Mapping[str, Any]) -> list[tuple[str, float, int, int]]:
    """Of each pass, in order: name, seconds of the slowest rank, cells and bytes of all ranks."""
    names, seconds = np.asarray(timeline["pass"], dtype=object), np.asarray(timeline["seconds"])
    rows = []
    for name in dict.fromkeys(names.tolist()):
        of = names == name
        cells, read = (int(np.asarray(timeline[key])[of].sum()) if key in timeline else 0 for key in ("cells", "bytes"))
        rows.append((str(name), float(seconds[of].max()), cells, read))
    return rows


def _shown_ranks(ranks: np.ndarray, most: int = 128) -> np.ndarray:
    """All ranks, or so many spread evenly over them."""
    ranks = np.unique(ranks)
    return ranks if len(ranks) <= most else ranks[np.linspace(0, len(ranks) - 1, most).astype(int)]


def _shares(part: Mapping[str, Any]) -> dict[str, list[float]]:
    """Of each pass's time on the clock, by activity."""
    seconds, talked = (np.asarray(part[key], float) for key in ("seconds", "communicating"))
    alone = 1 - np.divide(talked, seconds, out=np.zeros_like(seconds), where=seconds > 0).clip(0, 1)
    total = np.sum([part[activity] for activity in _OF_THREADS], axis=0)
    scale = np.divide(alone, total, out=np.zeros_like(alone), where=total > 0)
    shares = {activity: (np.asarray(part[activity]) * scale).tolist() for activity in _OF_THREADS}
    return shares | {"communicating": (1 - alone).tolist()}


def time_section(run: RunOutput) -> Section:
    timeline = run.uns_cellmill.get("timeline", {})
    title = "Time and memory"
    if any(key not in timeline for key in ("rank", "pass", "seconds", *_OF_THREADS)) or not len(timeline["rank"]):
        return Section("time", _section("time", title, _absent("uns/cellmill/timeline is not in this file.")))
    # Older outputs lack it.
    timeline = {"communicating": np.zeros(len(timeline["rank"])), **timeline}
    ranks = _shown_ranks(np.asarray(timeline["rank"]))
    shown = np.isin(timeline["rank"], ranks)
    part = {key: np.asarray(timeline[key])[shown].tolist() for key in ("rank", "seconds", *_ACTIVITIES)}
    part["pass"] = [str(name) for name in np.asarray(timeline["pass"], dtype=object)[shown]]
    part["shares"] = _shares(part)
    rows = list(zip(part["rank"], part["pass"], part["seconds"], *(part[a] for a in _ACTIVITIES), strict=True))
    header = ["rank", "pass", "seconds", *_ACTIVITIES]
    text = (
        "<p>The bar of a pass is its time on the clock: communicating is that in which a rank, done with its part, "
        "waited for others or exchanged sums with them; the rest is split as its threads' time was.</p>"
    )
    if len(ranks) < len(np.unique(timeline["rank"])):
        text += f"<p>{len(ranks)} of {len(np.unique(timeline['rank'])):,} ranks are shown.</p>"
    of_table = "Seconds; those of the activities but communicating are summed over threads"
    below = _folded("The numbers as a table", table(of_table, header, rows))
    content = text + f'<div class="controls">{_select("time-pass", "Pass")}</div>'
    caption = f"What each rank did: {', '.join(_ACTIVITIES)}."
    content += _figure("time-plot", caption, below, height=min(140 + 30 * len(ranks), 700))
    data: dict[str, Any] = {"timeline": part}
    passes = _passes(timeline)
    with_cells = [row for row in passes if row[2] > 0 and row[1] > 0]
    content += '<div class="pair">'
    if with_cells:
        data["rates"] = {"pass": [row[0] for row in with_cells], "cells_per_second": [r[2] / r[1] for r in with_cells]}
        content += _figure("rate-plot", "Cells per second of all ranks together, by the slowest one's time.")
    memory, memory_html, memory_table = _memory(run)
    content += memory_html + "</div>"
    if memory:
        data["memory"] = memory
    rates = [
        (name, seconds, cells, cells / seconds if seconds else 0, read / 1e9, read / 1e9 / seconds if seconds else 0)
        for name, seconds, cells, read in passes
    ]
    content += _folded(
        "Rates and memory as a table",
        table("Passes", ["pass", "seconds", "cells", "cells/s", "GB read", "GB/s"], rates) + memory_table,
    )
    return Section("time", _section("time", title, content), data)


def _memory(run: RunOutput) -> tuple[dict[str, Any] | None, str, str]:
    peaks = np.asarray(run.uns_cellmill.get("memory", {}).get("peak_bytes", []), np.float64) / 1e9
    if len(peaks) == 0:
        return None, _absent("uns/cellmill/memory is not in this file."), ""
    ranks = _shown_ranks(np.arange(len(peaks)))
    data = {"rank": [f"rank {rank}" for rank in ranks], "gigabytes": peaks[ranks].tolist()}
    rows = [(int(rank), float(peaks[rank])) for rank in ranks]
    return data, _figure("memory-plot", "The most memory that each rank held."), table("Memory", ["rank", "GB"], rows)


def provenance_section(run: RunOutput) -> Section:
    about = run.uns_cellmill
    if "options" not in about:
        return Section("about", _section("about", "The run", _absent("uns/cellmill is not in this file.")))
    options = [(name, str(value)) for name, value in sorted(about["options"].items())]
    inputs = [(str(name),) for name in np.atleast_1d(about.get("inputs", []))]
    content = f"<p>cellmill {escape(str(about.get('version', '')))}, {len(inputs):,} inputs.</p>"
    content += table("Options", ["option", "value"], options)
    content += _folded("The inputs", table("Inputs", ["path"], inputs))
    return Section("about", _section("about", "The run", content))
