"""Data that several tests share."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from oracle import Plate, as_plate
from plates import make_plate, read, write_plates
from program import IN_CI, PROGRAM, SHARED_DATA, succeed


def pytest_configure() -> None:
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not built; run scripts/test build", returncode=2)


def shared_file(name: str) -> Path:
    """A published file that the tests use where it is; without it they skip, but not in CI."""
    path = SHARED_DATA / name
    if not path.exists():
        message = f"test data {name} is not beside the repository (shared/data)"
        pytest.fail(message) if IN_CI else pytest.skip(message)
    return path


@pytest.fixture(scope="session")
def plates(tmp_path_factory) -> tuple[list[Path], list[Plate]]:
    """Three small plates on disk, and what they hold."""
    adatas = [make_plate(number) for number in (1, 2, 3)]
    paths = write_plates(tmp_path_factory.mktemp("plates"), adatas, compression="gzip")
    return paths, [as_plate(adata, path.stem) for adata, path in zip(adatas, paths, strict=True)]


@pytest.fixture(scope="session")
def simulated(tmp_path_factory) -> list[Path]:
    """Three plates by `cellmill simulate`: several segments each, so that ranks and threads share them."""
    folder = tmp_path_factory.mktemp("simulated")
    succeed("simulate", folder, "--plates", 3, "--cells", 5000, "--genes", 3000, "--nnz", 120, "--cell-lines", 12)
    return [folder / f"plate{number}.h5ad" for number in (1, 2, 3)]


@pytest.fixture(scope="session")
def pbmc3k(tmp_path_factory) -> tuple[list[Path], list[Plate]]:
    """10x's 2,700 PBMCs cut into three plates."""
    adata = read(shared_file("pbmc3k/pbmc3k_raw.h5ad"))
    adata.var_names_make_unique()
    cut = [adata[rows].copy() for rows in np.array_split(np.arange(adata.n_obs), 3)]
    paths = write_plates(tmp_path_factory.mktemp("pbmc3k"), cut, compression="gzip")
    return paths, [as_plate(part, path.stem) for part, path in zip(cut, paths, strict=True)]
