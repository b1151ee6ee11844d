"""Outputs of runs that reports are drawn of, and how a page is read back."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np

import cellmill as cm

PLOTS = {
    "cells-per-plate": "funnel",
    "genes-per-plate": "funnel",
    "gene-plot": "genes",
    "variance-plot": "variance",
    "density-plot": "cells",
    "colour-plot": "cells",
    "time-plot": "timeline",
    "rate-plot": "rates",
    "memory-plot": "memory",
}


class Page(HTMLParser):
    """The elements of a page, with their attributes; and the data in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.text = path.read_text(encoding="utf-8")
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.feed(self.text)
        (packed,) = re.findall(r'<script type="text/plain" id="data">([^<]*)</script>', self.text)
        self.data: dict[str, Any] = json.loads(gzip.decompress(base64.b64decode(packed)))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def ids(self, tag: str) -> set[str]:
        return {attributes["id"] for name, attributes in self.elements if name == tag and "id" in attributes}

    @property
    def plots(self) -> set[str]:
        return {a["id"] for name, a in self.elements if name == "div" and a.get("class") == "plot"}


def unpack(packed: dict[str, Any]) -> np.ndarray:
    data = np.frombuffer(base64.b64decode(packed["data"]), packed["type"])
    return data.reshape(packed["shape"])


def run(plates: list[str], output: Path, **options: Any) -> Path:
    cm.run(plates, output, n_comps=12, progress=False, **options)
    return output
