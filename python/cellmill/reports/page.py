"""Puts the page together: texts and tables here, plots by ``page.js``."""

from __future__ import annotations

import os
import string
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError, NotFoundError
from .cells import Cells, cells_section
from .genes import genes_section
from .packing import compressed
from .reading import RunOutput
from .sections import (
    Section,
    cells_text,
    funnel_section,
    genes_text,
    provenance_section,
    summary_text,
    time_section,
    variance_section,
)

_HERE = Path(__file__).parent


def write_report(
    path: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    obs: Sequence[str] | None = None,
    cells: int = 10_000,
    overwrite: bool = False,
) -> dict[str, Any]:
    """The page for the output at `path`; see `cellmill.report`."""
    page = Path(output)
    if page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{page}: a report is a page; its name ends in .html")
    if page.exists() and not overwrite:
        raise InputError(f"{page} exists; --overwrite replaces it")
    if cells < 1:
        raise InputError(f"cells: {cells} found, expected at least 1")
    if not page.parent.is_dir():
        raise NotFoundError(f"{page.parent}: there is no such folder")
    run = RunOutput(path)
    drawn = cells_section(run, None if obs is None else list(obs), cells)
    text, names = page_text(run, drawn)
    partial = page.with_name(f".{page.name}.partial")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(page)
    finally:
        partial.unlink(missing_ok=True)
    n_drawn = drawn.n_sampled if drawn else 0
    return {"output": os.fspath(page), "bytes": page.stat().st_size, "sections": names, "cells_drawn": n_drawn}


def page_text(run: RunOutput, cells: Cells | None) -> tuple[str, list[str]]:
    """The page, and the names of the sections that have their data."""
    from plotly.offline import get_plotlyjs

    genes = genes_section(run)
    ratio = np.nan_to_num(np.asarray(run.pca.get("variance_ratio", []), np.float64))
    sections = [
        funnel_section(run),
        Section("genes", genes_text(genes), {"genes": genes}),
        variance_section(ratio, run.pca),
        Section("cells", cells_text(cells), {"cells": cells.section if cells else None}),
        time_section(run),
        provenance_section(run),
    ]
    data: dict[str, Any] = {}
    for section in sections:
        data |= {name: part for name, part in section.data.items() if part is not None}
    text = _filled(
        (_HERE / "page.html").read_text(encoding="utf-8"),
        {
            "title": f"cellmill report: {run.path.name}",
            "summary": summary_text(run, cells),
            "sections": "\n".join(section.html for section in sections),
            "css": (_HERE / "page.css").read_text(encoding="utf-8"),
            "js": (_HERE / "page.js").read_text(encoding="utf-8"),
            "plotly": get_plotlyjs().replace("</script", "<\\/script"),
            "data": compressed(data),
        },
    )
    return text, sorted(data)


def _filled(template: str, parts: Mapping[str, str]) -> str:
    return string.Template(template).substitute(parts | {"title": escape(parts["title"])})
