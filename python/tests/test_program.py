"""The program's commands as functions."""

from __future__ import annotations

import io
import logging
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import cellmill as cm
from peers import peer


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(("SLURM_", "OMPI_")) or name in ("RANK", "WORLD_SIZE"):
            monkeypatch.delenv(name)


def test_run_writes_components(plates: list[str], tmp_path: Path) -> None:
    result = cm.run(plates, tmp_path / "pca.zarr", n_comps=10)
    assert result["components"] == 10
    assert cm.info(tmp_path / "pca.zarr")["n_obs"] == 1400
    with pytest.raises(ValueError, match="exists"):
        cm.run(plates, tmp_path / "pca.zarr", n_comps=10)


def test_run_says_that_it_is_one_process(
    plates: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, logger="cellmill"):
        cm.run(plates, tmp_path / "pca.zarr", n_comps=10)
    assert "one process" in caplog.text
    assert "genes were chosen" in caplog.text  # the program's own messages


@pytest.mark.parametrize(
    ("rank", "size"), [("RANK", "WORLD_SIZE"), ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS")]
)
def test_a_launch_of_several_is_refused(
    plates: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rank: str, size: str
) -> None:
    monkeypatch.setenv(rank, "0")
    monkeypatch.setenv(size, "2")
    with pytest.raises(ValueError, match=r"one of 2.*srun cellmill run"):
        cm.run(plates, tmp_path / "pca.zarr")
    assert not (tmp_path / "pca.zarr").exists()


def test_submit_writes_a_script_of_the_same_job(plates: list[str], tmp_path: Path) -> None:
    script = cm.run(
        plates,
        tmp_path / "pca of mine.zarr",
        filter='pass_filter == "full"',
        n_comps=10,
        overwrite=True,
        index_unique="-",
        submit=tmp_path / "job.sbatch",
        slurm={"nodes": 4, "cpus_per_task": 16, "time": None},
    )
    text = script.read_text()
    assert "#SBATCH --nodes=4\n" in text
    assert "#SBATCH --cpus-per-task=16\n" in text
    assert "--time" not in text
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    assert not (tmp_path / "pca of mine.zarr").exists()
    words = shlex.split(text.splitlines()[-1])
    assert words[:2] == ["srun", "--mpi=pmix"]
    program = cm.program.PROGRAM
    result = subprocess.run([program, *words[3:], "--json"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert cm.info(tmp_path / "pca of mine.zarr")["n_obs"] < 1400


def test_validate_lists_faults(plates: list[str], tmp_path: Path) -> None:
    assert cm.validate(plates) == []
    damaged = tmp_path / "damaged.h5ad"
    content = bytearray(Path(plates[0]).read_bytes())
    content[len(content) // 2] ^= 0xFF
    damaged.write_bytes(content)
    assert any("damaged.h5ad" in fault for fault in cm.validate(damaged))


def test_convert_and_shard_hold_the_same_cells(plates: list[str], tmp_path: Path) -> None:
    cm.convert(plates[0], tmp_path / "plate1.zarr")
    cm.shard(plates, tmp_path / "train.zarr", obs=["cell_line"], filter='pass_filter == "full"')
    data = cm.open(plates)
    copy, store = cm.open(tmp_path / "plate1.zarr"), cm.open(tmp_path / "train.zarr")
    assert (copy[:]["X"].to_dense() == data[:700]["X"].to_dense()).all()
    kept = data.select('pass_filter == "full"')
    assert (store[:]["X"].to_dense() == data[kept]["X"].to_dense()).all()


def test_concat_joins_on_disk_what_open_joins_in_place(plates: list[str], tmp_path: Path) -> None:
    result = cm.concat(plates, tmp_path / "all.zarr", keys=["a", "b"], label="batch", index_unique="")
    joined, both = cm.open(tmp_path / "all.zarr"), cm.open(plates)
    assert result["cells"] == len(joined) == len(both)
    assert joined.var_names == both.var_names
    assert (joined[:]["X"].to_dense() == both[:]["X"].to_dense()).all()
    assert joined.obs("batch")["batch"].levels == ["a", "b"]


def test_errors_are_the_exceptions_of_their_kind(plates: list[str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.h5ad"):
        cm.run(tmp_path / "nothing.h5ad", tmp_path / "out.zarr")
    with pytest.raises(ValueError, match="n-comps"):
        cm.run(plates, tmp_path / "out.zarr", n_comp=1)
    with pytest.raises(KeyError, match="cell_line"):
        cm.run(plates, tmp_path / "out.zarr", filter='cel_line == "A549"')


INTERRUPTED = """
import os, signal, sys, cellmill as cm
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where a shell began this in the background
class Bars(cm.program.Progress):
    def show(self, state):
        if not hasattr(self, "told"):
            self.told = os.kill(os.getpid(), signal.SIGINT)
cm.program.Progress = Bars
cm.simulate(sys.argv[1], plates=50, cells=20000, genes=20000)
"""


def test_ctrl_c_ends_a_command_and_leaves_nothing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, tmp_path / "plates"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == -signal.SIGINT, done.stderr
    assert "KeyboardInterrupt" in done.stderr
    assert not [path for path in (tmp_path / "plates").iterdir() if "partial" in path.name]


def test_progress_is_told_to_tqdm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tqdm = peer("tqdm")
    bars = []

    class Bar(tqdm.tqdm):
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options, file=io.StringIO())
            bars.append(self)

    monkeypatch.setattr("tqdm.auto.tqdm", Bar)
    cm.simulate(tmp_path / "plates", plates=2, cells=300, genes=500, nnz=30)
    assert [(bar.desc, bar.total, bar.n) for bar in bars] == [("simulate", 600, 600)]
    cm.simulate(tmp_path / "quiet", plates=1, cells=300, genes=500, nnz=30, progress=False)
    assert len(bars) == 1


def test_the_command_comes_with_the_package() -> None:
    command = Path(sys.executable).parent / "cellmill"
    found = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert found.stdout.startswith(f"cellmill {cm.__version__}")
