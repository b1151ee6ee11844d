"""The documentation's Python does what it says: the blocks of each page run, on small plates.

They run one after the other and share their names, as a reader would type them. Those that begin with another
package's import don't run; one that needs a package that is not installed is left out, and what follows from it.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import pytest

import cellmill as cm

ROOT = Path(__file__).resolve().parents[2]
#: What a block says where it needs more than the package and numpy.
NEEDS = {"torch": r"\btorch\b|device=", "anndata": r"to_anndata", "plotly": r"cm\.report"}
#: What a block has that is another package's.
OTHERS = (
    r"^from (accelerate|annbatch|scdataset|scvi|torch\.utils\.data|torchdata\.\w+)\b|^import (anndata|hydra|lightning)"
)


class Model:
    """What the pages leave to the reader."""

    def __init__(self, *sizes: int) -> None:
        self.calls = 0

    def __call__(self, *tensors: Any) -> float:
        self.calls += 1
        return 0.0

    step = __call__

    def state_dict(self) -> dict[str, Any]:
        return {"calls": self.calls}


def blocks_of(page: Path) -> list[tuple[int, str]]:
    """The line before each block that is cellmill's, and its text."""
    text = page.read_text()
    found = re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [
        (text[: block.start(1)].count("\n"), block[1])
        for block in found
        if not re.search(OTHERS, block[1], re.MULTILINE)
    ]


def is_there(block: str) -> bool:
    return all(importlib.util.find_spec(name) for name, words in NEEDS.items() if re.search(words, block))


def names_in(source: str) -> set[str]:
    """What it imports and assigns."""
    nodes = list(ast.walk(ast.parse(source)))
    imported = {node.asname or node.name for node in nodes if isinstance(node, ast.alias)}
    return imported | {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}


def prepared(folder: Path) -> dict[str, Any]:
    """Files and names that the pages take for granted."""
    cm.simulate(folder / "plates", plates=2, cells=5000, genes=600, nnz=60)
    genes = cm.open(folder / "plates").var_names
    (folder / "genes.txt").write_text("\n".join(genes[:300]))
    rows = [f"{name}\t{number}\t{1.0 if number > 1 else ''}" for number, name in enumerate(["<pad>", "<mask>", *genes])]
    (folder / "dictionary.tsv").write_text("\n".join(["gene_id\ttoken\tmedian", *rows]))
    (folder / "vocab.json").write_text(json.dumps({name: number for number, name in enumerate(genes)}))
    # As annbatch writes one.
    collection = folder / "collection.zarr"
    collection.mkdir()
    about = {"encoding-type": "annbatch-preshuffled", "encoding-version": "0.1.0"}
    root = {"zarr_format": 3, "node_type": "group", "attributes": about}
    (collection / "zarr.json").write_text(json.dumps(root))
    cm.shard(folder / "plates", folder / "dataset_0.zarr", shuffle=True)
    (folder / "dataset_0.zarr").rename(collection / "dataset_0")
    saved = {"categories": {"cell_line": ["CVCL_0001", "CVCL_0002"]}}
    return {"Model": Model, "model": Model(), "path": "saved.pt", "saved": saved, "new_data": "plates/plate2.h5ad"}


#: A page, whether its files must be there before, and how many blocks it has.
PAGES = [
    ("README.md", True, 1),
    ("docs/python.md", False, 6),
    ("docs/training.md", True, 7),
    ("docs/moving.md", True, 4),
]


@pytest.mark.parametrize(("page", "has_files", "count"), PAGES, ids=[page for page, *_ in PAGES])
def test_what_a_page_says_runs(
    page: str, has_files: bool, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = prepared(tmp_path) if has_files else {}
    monkeypatch.chdir(tmp_path)
    blocks = blocks_of(ROOT / page)
    assert len(blocks) == count
    left_out: set[str] = set()
    ran = 0
    for line, block in blocks:
        source = "\n" * line + block.replace("…", "...").replace('device="cuda"', 'device="cpu"')
        if not is_there(block):
            left_out |= names_in(source)
            continue
        try:
            exec(compile(source, str(ROOT / page), "exec"), names)
        except NameError as missing:
            if missing.name not in left_out:
                raise
            left_out |= names_in(source)
        else:
            ran += 1
    if ran == 0:
        pytest.skip("no block of it runs with the packages that are installed")


def anchors_of(page: Path) -> set[str]:
    """Of its headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


ALL_PAGES = sorted([ROOT / "README.md", ROOT / "examples" / "README.md", *(ROOT / "docs").glob("*.md")])


@pytest.mark.parametrize("page", ALL_PAGES, ids=[str(page.relative_to(ROOT)) for page in ALL_PAGES])
def test_links_of_a_page_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


def test_every_example_is_in_the_list() -> None:
    names = {path.name for path in (ROOT / "examples").iterdir()} - {"README.md", "__pycache__"}
    listed = re.findall(r"^\| \[([^\]/]+)/?\]", (ROOT / "examples" / "README.md").read_text(), re.MULTILINE)
    assert set(listed) == names
    assert len(listed) == len(names)
