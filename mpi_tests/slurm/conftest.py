"""A cluster of three nodes, and plates, that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from program import IN_CI, PROGRAM, succeed
from slurm_cluster import Cluster, why_not
from test_same_bits import slots

SMALL = ["--n-top-genes", 300, "--n-comps", 20, "--write-x", "lognorm"]


def pytest_configure() -> None:
    if not PROGRAM.exists():
        pytest.exit(f"{PROGRAM} is not built; run scripts/test build", returncode=2)


@pytest.fixture(scope="session")
def cluster():
    """Skips where this machine allows no cluster; everything else that goes wrong is a failure."""
    reason = why_not()
    if reason is not None:
        assert not (IN_CI and "not installed" in reason), reason
        pytest.skip(f"no Slurm cluster on this machine: {reason}")
    with Cluster(3, cpus=2) as running:
        yield running


@pytest.fixture(scope="session")
def plates(tmp_path_factory) -> Path:
    """A folder of three plates, 24,000 cells, which all nodes see."""
    folder = tmp_path_factory.mktemp("data") / "plates"
    succeed("simulate", folder, "--plates", 3, "--cells", 8000, "--genes", 3000, "--nnz", 120, "--cell-lines", 12)
    return folder


@pytest.fixture(scope="session")
def many(plates, tmp_path_factory) -> Path:
    """A folder of 90 plates, 720,000 cells: some seconds of work."""
    folder = tmp_path_factory.mktemp("many")
    for copy in range(90):
        (folder / f"plate{copy}.h5ad").hardlink_to(plates / f"plate{copy % 3 + 1}.h5ad")
    return folder


@pytest.fixture(scope="session")
def of_one_rank(plates, many, tmp_path_factory):
    """The digests of what one rank writes, of either folder."""
    found = {}
    for folder in (plates, many):
        out = tmp_path_factory.mktemp("one_rank") / "out.zarr"
        succeed("run", folder, "-o", out, *SMALL)
        found[folder] = slots(out)
    return found
