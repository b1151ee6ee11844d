"""Two small plates, made by the program that comes with the package."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import cellmill as cm

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"


@pytest.fixture(scope="session")
def plates(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("plates")
    cm.simulate(folder, plates=2, cells=700, genes=900, nnz=60, cell_lines=8)
    return [str(folder / "plate1.h5ad"), str(folder / "plate2.h5ad")]


def shared(name: str) -> str:
    """A published file; a test that needs one skips where it is absent."""
    path = SHARED / name
    if not path.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{path} is not there")
        pytest.skip(f"{path} is not there")
    return str(path)


@pytest.fixture(scope="session")
def pbmc3k() -> str:
    return shared("pbmc3k/pbmc3k_raw.h5ad")
