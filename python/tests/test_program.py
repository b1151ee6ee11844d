"""The program's commands as functions."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

import cellmill as cm


def test_run_writes_components(plates: list[str], tmp_path: Path) -> None:
    result = cm.run(plates, tmp_path / "pca.zarr", n_comps=10, log_level="error")
    assert result["n_comps"] == 10
    assert cm.info(tmp_path / "pca.zarr")["n_obs"] == 1400
    with pytest.raises(ValueError, match="exists"):
        cm.run(plates, tmp_path / "pca.zarr", n_comps=10)


def test_validate_lists_faults(plates: list[str], tmp_path: Path) -> None:
    assert cm.validate(plates) == []
    damaged = tmp_path / "damaged.h5ad"
    content = bytearray(Path(plates[0]).read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    assert any("damaged.h5ad" in fault for fault in cm.validate(damaged))


def test_errors_are_the_exceptions_of_their_kind(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing.h5ad"):
        cm.run(tmp_path / "nothing.h5ad", tmp_path / "out.zarr")
    with pytest.raises(ValueError):
        cm.run(tmp_path, tmp_path / "out.zarr", no_such_option=1)


def test_the_command_comes_with_the_package() -> None:
    found = subprocess.run(["cellmill", "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith(f"cellmill {cm.__version__}")
