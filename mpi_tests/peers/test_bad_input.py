"""Bad input ends on every rank with one message, the right status, and nothing under the output's name."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import h5py
import numpy as np
import pytest

from kills import children, send
from plates import make_plate, read, write_plates
from program import PROGRAM, Outcome, cellmill, fails, mpirun, succeed

RANKS = [0, 2]
SECONDS = 20  # the most that any of these may take


@pytest.fixture
def two_plates(tmp_path) -> list[Path]:
    return write_plates(tmp_path / "in", [make_plate(n) for n in (1, 2)], compression="gzip")


def run(paths, out, *arguments, ranks=0, **options) -> Outcome:
    return cellmill("run", *paths, "-o", out, *arguments, ranks=ranks, seconds=SECONDS, **options)


@pytest.mark.parametrize("ranks", RANKS)
def test_missing_file(two_plates, tmp_path, ranks):
    out = tmp_path / "out.zarr"
    fails(run([*two_plates, tmp_path / "gone.h5ad"], out, ranks=ranks), out, 1, "gone.h5ad", "no such file")


@pytest.mark.parametrize("ranks", RANKS)
def test_no_x(two_plates, tmp_path, ranks):
    with h5py.File(two_plates[1], "a") as file:
        del file["X"]
    out = tmp_path / "out.zarr"
    fails(run(two_plates, out, ranks=ranks), out, 1, "plate2.h5ad", "X")


@pytest.mark.parametrize("ranks", RANKS)
def test_not_hdf5(two_plates, tmp_path, ranks):
    two_plates[1].write_text("This is no HDF5 file.\n")
    out = tmp_path / "out.h5ad"
    fails(run(two_plates, out, ranks=ranks), out, 1, "plate2.h5ad", "HDF5")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("part", [0.9, 0.5])
def test_truncated_inside_x(two_plates, tmp_path, ranks, part):
    os.truncate(two_plates[1], int(two_plates[1].stat().st_size * part))
    out = tmp_path / "out.zarr"
    fails(run(two_plates, out, ranks=ranks), out, 1, "plate2.h5ad")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("array", ["data", "indices"])
def test_corrupt_gzip_chunk(two_plates, tmp_path, ranks, array):
    with h5py.File(two_plates[1]) as file:
        chunk = file[f"X/{array}"].id.get_chunk_info(0)
    with two_plates[1].open("r+b") as file:
        file.seek(chunk.byte_offset + chunk.size // 2)
        file.write(b"\xff" * 20)
    out = tmp_path / "out.h5ad"
    fails(run(two_plates, out, ranks=ranks), out, 1, "plate2.h5ad", f"X/{array}", "chunk 0")


@pytest.mark.parametrize("ranks", RANKS)
def test_corrupt_zarr_chunk(tmp_path, ranks):
    paths = write_plates(tmp_path / "in", [make_plate(n) for n in (1, 2)], ".zarr", zarr_format=2)
    chunk = next(path for path in (paths[1] / "X" / "data").iterdir() if not path.name.startswith("."))
    chunk.write_bytes(chunk.read_bytes()[:40])
    out = tmp_path / "out.zarr"
    fails(run(paths, out, ranks=ranks), out, 1, "plate2.zarr", "X/data")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize(("array", "value"), [("indices", 10**6), ("indices", -1), ("indptr", 10**9)])
def test_offsets_and_columns_out_of_range(two_plates, tmp_path, ranks, array, value):
    with h5py.File(two_plates[1], "a") as file:
        values = file[f"X/{array}"]
        values[min(5, len(values) - 1)] = value
    out = tmp_path / "out.zarr"
    fails(run(two_plates, out, ranks=ranks), out, 1, "plate2.h5ad", "X")


@pytest.mark.parametrize("ranks", RANKS)
def test_negative_and_nan_counts(two_plates, tmp_path, ranks):
    for value in (np.nan, -3.0):
        with h5py.File(two_plates[1], "a") as file:
            file["X/data"][7] = value
        out = tmp_path / "out.zarr"
        fails(run(two_plates, out, ranks=ranks), out, 1, "plate2.h5ad")


@pytest.mark.parametrize("ranks", RANKS)
def test_no_genes_in_common(tmp_path, ranks):
    adatas = [make_plate(n) for n in (1, 2)]
    adatas[1].var_names = [f"other{g}" for g in range(adatas[1].n_vars)]
    paths = write_plates(tmp_path / "in", adatas)
    out = tmp_path / "out.zarr"
    fails(run(paths, out, ranks=ranks), out, 1, "no gene", "--gene-key")


@pytest.mark.parametrize("ranks", RANKS)
def test_duplicate_gene_names_where_a_join_needs_them(tmp_path, ranks):
    adatas = [make_plate(n) for n in (1, 2)]
    names = adatas[1].var_names.tolist()
    names[3] = names[2]
    adatas[1].var_names = names
    paths = write_plates(tmp_path / "in", adatas)
    out = tmp_path / "out.zarr"
    fails(run(paths, out, ranks=ranks), out, 1, "plate2.h5ad", names[2], "--gene-key")
    # One plate joins with nothing.
    alone = tmp_path / "alone.zarr"
    outcome = succeed("run", paths[1], "-o", alone, "--n-comps", 5, ranks=ranks)
    assert "warning" in outcome.stderr
    assert names[2] in outcome.stderr


@pytest.mark.parametrize("ranks", RANKS)
def test_filter_on_an_absent_column(two_plates, tmp_path, ranks):
    out = tmp_path / "out.zarr"
    message = fails(run(two_plates, out, "--filter", 'pass_filtre == "full"', ranks=ranks), out, 1, "pass_filter")
    assert "^" in message


@pytest.mark.parametrize("ranks", RANKS)
def test_filter_with_a_typo(two_plates, tmp_path, ranks):
    out = tmp_path / "out.zarr"
    expression = 'pass_filter = "full"'
    message = fails(run(two_plates, out, "--filter", expression, ranks=ranks), out, 2)
    lines = message.splitlines()
    at = next(i for i, line in enumerate(lines) if "^" in line)
    assert lines[at].index("^") - lines[at - 1].index(expression) == expression.index("=")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("plates", ["one", "all"])
def test_all_cells_filtered_out(tmp_path, ranks, plates):
    adatas = [make_plate(n) for n in (1, 2)]
    adatas[0].obs["n_reads"] = 5 if plates == "one" else 0
    adatas[1].obs["n_reads"] = 0
    paths = write_plates(tmp_path / "in", adatas)
    out = tmp_path / "out.zarr"
    culprit = "plate2" if plates == "one" else "plate1"
    fails(run(paths, out, "--filter", "n_reads > 0", ranks=ranks), out, 1, culprit, "n_reads > 0")


@pytest.mark.parametrize("ranks", RANKS)
def test_more_components_than_genes(two_plates, tmp_path, ranks):
    out = tmp_path / "out.zarr"
    arguments = ["--n-top-genes", 50, "--min-plates", 1]
    fails(run(two_plates, out, *arguments, "--n-comps", 250, ranks=ranks), out, 1, "250", "genes")


@pytest.mark.parametrize("ranks", RANKS)
def test_no_gene_chosen_often_enough(two_plates, tmp_path, ranks):
    out = tmp_path / "out.zarr"
    fails(run(two_plates, out, "--min-plates", 3, ranks=ranks), out, 1, "--min-plates")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", ["out.zarr", "out.h5ad"])
def test_output_that_exists(two_plates, tmp_path, ranks, name):
    out = tmp_path / name
    succeed("run", *two_plates, "-o", out, "--n-comps", 5)
    before = read(out).obsm["X_pca"]
    outcome = run(two_plates, out, "--n-comps", 6, ranks=ranks)
    assert outcome.status == 1
    assert len(outcome.errors) == 1
    assert "--overwrite" in outcome.errors[0]
    np.testing.assert_array_equal(read(out).obsm["X_pca"], before)


@pytest.mark.parametrize("ranks", RANKS)
def test_output_of_unknown_kind(two_plates, tmp_path, ranks):
    out = tmp_path / "out.loom"
    fails(run(two_plates, out, ranks=ranks), out, 2, ".zarr", ".h5ad")


@pytest.mark.parametrize("ranks", RANKS)
def test_output_folder_that_is_not_there(two_plates, tmp_path, ranks):
    out = tmp_path / "no" / "out.zarr"
    fails(run(two_plates, out, ranks=ranks), out, 1, "no")


@pytest.mark.parametrize("ranks", RANKS)
def test_scratch_that_can_not_be_used(two_plates, tmp_path, ranks):
    out = tmp_path / "out.zarr"
    scratch = tmp_path / "nowhere"
    fails(run(two_plates, out, "--scratch", scratch, ranks=ranks), out, 1, "nowhere")
    scratch.write_text("a file")
    fails(run(two_plates, out, "--scratch", scratch, ranks=ranks), out, 1, "nowhere")


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("name", ["out.zarr", "out.h5ad"])
def test_full_disk(two_plates, tmp_path, ranks, name):
    """In a mount namespace of its own, the output's folder is a disk of 300 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    mount = f"mount -t tmpfs -o size=300k tmpfs {disk}"
    possible = subprocess.run([*command, "bash", "-c", mount], capture_output=True, check=False).returncode == 0
    if not possible:
        pytest.skip("this machine lets no one mount a small disk")
    launch = " ".join([*(mpirun(ranks) if ranks else []), str(PROGRAM)])
    files = " ".join(map(str, two_plates))
    script = (
        f"{mount} && {{ {launch} run {files} -o {disk}/{name} --n-comps 250; status=$?; ls -A {disk}; exit $status; }}"
    )
    done = subprocess.run(
        [*command, "bash", "-c", script], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    outcome = Outcome(done.returncode, done.stdout, done.stderr)
    fails(outcome, disk / name, 1, name, "space")
    assert name not in outcome.stdout
    assert outcome.stdout == ""


def test_tasks_that_do_not_know_of_each_other(two_plates, tmp_path):
    """srun without --mpi=pmix starts processes of which each sees itself alone."""
    out = tmp_path / "out.zarr"
    outcome = run(two_plates, out, env={"SLURM_STEP_NUM_TASKS": "2"})
    fails(outcome, out, 2, "2", "srun")
    outcome = cellmill("simulate", tmp_path / "made", env={"SLURM_STEP_NUM_TASKS": "2"})
    fails(outcome, tmp_path / "made", 2, "2")
    # The second task says nothing.
    outcome = run(two_plates, out, env={"SLURM_STEP_NUM_TASKS": "2", "SLURM_PROCID": "1"})
    assert outcome.status == 2
    assert outcome.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--n-comp", 5], "--n-comps"),
        (["--n-comps", 0], "--n-comps"),
        (["--n-comps", "many"], "--n-comps"),
        (["--flavor", "seurat_v9"], "cell_ranger"),
        (["--target-sum", "mean"], "median"),
        (["--memory", "8Q"], "8G"),
        (["--join", "left"], "outer"),
    ],
    ids=str,
)
def test_wrong_usage(two_plates, tmp_path, arguments, word):
    out = tmp_path / "out.zarr"
    fails(run(two_plates, out, *arguments), out, 2, word)


def test_wrong_usage_on_ranks(two_plates, tmp_path):
    out = tmp_path / "out.zarr"
    fails(run(two_plates, out, "--n-comp", 5, ranks=2), out, 2, "--n-comps")


@pytest.mark.parametrize(("ranks", "asked_of"), [(0, "it"), (2, "the launcher"), (2, "the ranks")])
@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_stop_on_request(simulated, tmp_path, ranks, asked_of, kind):
    """Ctrl-C and SIGTERM end a run on every rank within seconds."""
    folder = tmp_path / "plates"
    folder.mkdir()
    for copy in range(150):
        (folder / f"plate{copy}.h5ad").hardlink_to(simulated[copy % 3])
    out = tmp_path / "out.zarr"
    options = ["-o", str(out), "--threads", "1", "--log-level", "debug"]
    command = [*(mpirun(ranks) if ranks else []), str(PROGRAM), "run", str(folder), *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # Somewhere in these 750,000 cells.
    assert any("pass 1 (counts) begins" in line for line in process.stderr)
    asked = time.monotonic()
    send(children(process.pid) if asked_of == "the ranks" else [process.pid], kind)
    _, errors = process.communicate(timeout=SECONDS)
    assert time.monotonic() - asked < 5
    assert process.returncode == 1, errors
    # A launcher that is asked kills ranks a second after it told them: on a busy machine, before they speak.
    told = errors.count("stopped on request")
    assert told == 1 or (told == 0 and asked_of == "the launcher"), errors
    assert list(tmp_path.iterdir()) == [folder]
