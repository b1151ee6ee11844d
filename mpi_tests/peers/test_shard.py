"""The training store holds what the plates hold, and anndata, zarr-python and annbatch read it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import warnings
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import zarr

from plates import make_plate, read, write, write_plates
from program import PROGRAM, cellmill, fails, succeed

SMALL = ["--chunk-rows", "8", "--shard-rows", "64"]


def joined(plates: list[ad.AnnData], join: str = "inner") -> ad.AnnData:
    names = [f"plate{number}" for number in range(1, len(plates) + 1)]
    unique = "-" if len(plates) > 1 else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ad.concat(plates, label="plate", keys=names, index_unique=unique, join=join)


def assert_same(found: ad.AnnData, expected: ad.AnnData) -> None:
    assert list(found.obs_names) == list(expected.obs_names)
    assert list(found.var_names) == list(expected.var_names)
    assert found.shape == expected.shape
    values = sp.csr_matrix(expected.X)
    np.testing.assert_array_equal(found.X.astype(np.float32).toarray(), values.toarray().astype(np.float32))
    for name in expected.obs:
        wanted = expected.obs[name]
        if wanted.dtype == "float64":
            np.testing.assert_array_equal(found.obs[name], wanted)
        else:
            assert found.obs[name].astype(object).where(found.obs[name].notna(), None).tolist() == (
                wanted.astype(object).where(wanted.notna(), None).tolist()
            ), name


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> tuple[Path, list[ad.AnnData]]:
    """A folder of three plates."""
    plates = [make_plate(number) for number in (1, 2, 3)]
    folder = tmp_path_factory.mktemp("plates")
    write_plates(folder, plates, compression="gzip")
    return folder, plates


def plain(store: Path, tmp_path: Path, *options: str) -> Path:
    """The store's copy in codecs that this Python has, whatever the store's are."""
    copy = tmp_path / f"plain-{store.name}"
    succeed("convert", store, "-o", copy, *options)
    return copy


@pytest.mark.parametrize("codec", ["portable", "fast"])
@pytest.mark.parametrize("options", [[], SMALL, ["--chunk-rows", "1", "--shard-rows", "1000"]], ids=str)
def test_plates_joined(three, tmp_path, codec, options):
    folder, plates = three
    store = tmp_path / "train.zarr"
    succeed("shard", folder, "-o", store, "--codec", codec, *options)
    assert_same(read(store if codec == "portable" else plain(store, tmp_path)), joined(plates))
    assert succeed("validate", store).stdout.strip().endswith("no fault")
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.startswith("plain")) == ["train.zarr"]


def test_one_plate_keeps_its_names(three, tmp_path):
    folder, plates = three
    store = tmp_path / "train.zarr"
    outcome = succeed("shard", folder / "plate2.h5ad", "-o", store, "--json")
    found = read(store)
    assert list(found.obs_names) == list(plates[1].obs_names)
    assert set(found.obs["plate"]) == {"plate2"}
    assert outcome.json["cells"] == plates[1].n_obs
    assert outcome.json["nonzeros"] == plates[1].X.nnz
    assert outcome.json["value_dtype"] == str(found.X.dtype)


def test_zarr_python_reads_the_arrays(three, tmp_path):
    folder, plates = three
    store = tmp_path / "train.zarr"
    succeed("shard", folder, "-o", store, *SMALL)
    x = zarr.open_group(store, mode="r")["X"]
    expected = sp.csr_matrix(joined(plates).X)
    assert x["data"].dtype == np.uint8
    assert x["indices"].dtype == np.uint16
    assert x["indptr"].dtype == np.int64
    np.testing.assert_array_equal(x["indptr"][:], expected.indptr)
    np.testing.assert_array_equal(x["indices"][:], expected.indices)
    np.testing.assert_array_equal(x["data"][:], expected.data)
    assert x["data"].shards[0] == 8 * x["data"].chunks[0]
    assert json.loads((store / "zarr.json").read_text())["consolidated_metadata"]["kind"] == "inline"


def test_read_lazy(three, tmp_path):
    pytest.importorskip("xarray")
    folder, plates = three
    store = tmp_path / "train.zarr"
    succeed("shard", folder, "-o", store, *SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lazy = ad.experimental.read_lazy(store)
        some = lazy[100:180].to_memory()
    assert_same(some, joined(plates)[100:180])


@pytest.mark.parametrize("codec", ["portable", "fast"])
def test_shuffled(three, tmp_path, codec):
    """The rows of a shuffled store are those of the plates, whole, in an order that depends on the seed."""
    folder, plates = three
    expected = joined(plates)
    orders = []
    for seed, options in [(0, []), (0, ["--threads", "3", "--codec", codec]), (1, SMALL)]:
        store = tmp_path / f"train{len(orders)}.zarr"
        succeed("shard", folder, "-o", store, "--shuffle", "--seed", seed, *options)
        found = read(store if "fast" not in options else plain(store, tmp_path))
        order = expected.obs_names.get_indexer(found.obs_names)
        assert sorted(order) == list(range(expected.n_obs))
        assert_same(found, expected[order])
        orders.append(order.tolist())
    assert orders[0] == orders[1]
    assert orders[0] != orders[2]
    # Not merely moved around within a plate or a segment.
    order = np.array(orders[0])
    assert len({*(order[:30] // 300)}) == 3
    assert abs(np.corrcoef(order, np.arange(len(order)))[0, 1]) < 0.15
    store = zarr.open_group(tmp_path / "train2.zarr", mode="r")["uns/cellmill/store"]
    assert store["shuffled"][()]
    assert store["seed"][()] == 1


def test_filter_columns_and_label(three, tmp_path):
    folder, plates = three
    store = tmp_path / "train.zarr"
    condition = 'pass_filter == "full" and n_reads >= 2000'
    options = ["--filter", condition, "--obs", "cell_line", "score", "--label", "from", "--index-unique", "_"]
    outcome = succeed("shard", folder, "-o", store, "--json", *SMALL, *options)
    whole = joined(plates)
    kept = whole[(whole.obs.pass_filter == "full") & (whole.obs.n_reads >= 2000)]
    found = read(store)
    assert list(found.obs.columns) == ["cell_line", "score", "from"]
    assert [name.replace("_", "-") for name in found.obs_names] == list(kept.obs_names)
    assert (found.X.astype(np.float32) != sp.csr_matrix(kept.X)).nnz == 0
    assert found.obs["from"].tolist() == kept.obs["plate"].tolist()
    assert outcome.json["cells_read"] == 900
    assert outcome.json["cells"] == kept.n_obs


def test_genes_that_differ_between_plates(tmp_path):
    plates = [make_plate(number, cells=60, genes=50) for number in (1, 2)]
    plates[0] = plates[0][:, 5:].copy()
    plates[1] = plates[1][:, ::-1][:, 5:].copy()
    paths = write_plates(tmp_path / "plates", plates)
    for join in ("inner", "outer"):
        store = tmp_path / f"{join}.zarr"
        succeed("shard", *paths, "-o", store, "--join", join)
        expected = joined(plates, join)
        found = read(store)
        assert set(found.var_names) == set(expected.var_names)
        wanted = sp.csr_matrix(expected[:, found.var_names].X).toarray()
        np.testing.assert_array_equal(found.X.toarray(), np.nan_to_num(wanted))
    # A vocabulary: its genes, in its order, known or not.
    vocabulary = ["GENE0030", "nobody's", "GENE0003", "GENE0049", "GENE0010"]
    (tmp_path / "genes.txt").write_bytes("\ufeff".encode() + "\r\n".join([*vocabulary, ""]).encode())
    outcome = succeed("shard", *paths, "-o", tmp_path / "v.zarr", "--genes", tmp_path / "genes.txt")
    assert "1 of the 5 genes" in outcome.stderr
    found = read(tmp_path / "v.zarr")
    assert list(found.var_names) == vocabulary
    outer = joined(plates, "outer")
    for gene in vocabulary:
        wanted = np.zeros(120) if gene == "nobody's" else np.nan_to_num(sp.csr_matrix(outer[:, gene].X).toarray()[:, 0])
        np.testing.assert_array_equal(found[:, gene].X.toarray()[:, 0], wanted)


def test_gene_key_and_layers(tmp_path):
    plate = make_plate(1, cells=50, genes=40)
    plate.layers["counts"] = plate.X.copy()
    plate.layers["dense"] = plate.X.toarray() * 3
    plate.layers["csc"] = sp.csc_matrix(plate.X * 1000)
    plate.raw = plate.copy()
    plate.X = plate.X.copy()
    plate.X.data = np.log1p(plate.X.data)
    plate = plate[:, :30].copy()
    write(plate, tmp_path / "plate1.h5ad")
    source = tmp_path / "plate1.h5ad"
    dtypes = {"X": "float32", "counts": "uint8", "dense": "uint8", "csc": "uint16", "raw.X": "uint8"}
    for layer, dtype in dtypes.items():
        store = tmp_path / f"{layer}.zarr"
        succeed("shard", source, "-o", store, "--layer", layer)
        found = read(store)
        expected = plate.raw.X if layer == "raw.X" else plate.X if layer == "X" else plate.layers[layer]
        assert found.X.dtype == dtype, layer
        np.testing.assert_array_equal(found.X.toarray(), sp.csr_matrix(expected).toarray().astype(dtype))
        assert found.n_vars == (40 if layer == "raw.X" else 30)
    succeed("shard", source, "-o", tmp_path / "s.zarr", "--gene-key", "symbol")
    assert list(read(tmp_path / "s.zarr").var_names) == plate.var["symbol"].tolist()
    fails(
        cellmill("shard", source, "-o", tmp_path / "no.zarr", "--layer", "nothing"), tmp_path / "no.zarr", 1, "nothing"
    )


@pytest.mark.parametrize(
    ("values", "dtype"),
    [
        ([1, 255], "uint8"),
        ([1, 256], "uint16"),
        ([1, 65536], "uint32"),
        ([1, 2.0**31], "uint32"),
        ([1, 2.0**24 + 2], "uint32"),
        ([1, 2.0**32], "float32"),
        ([1, -1], "float32"),
        ([1, 0.5], "float32"),
        ([1, np.nan], "float32"),
        ([1, np.inf], "float32"),
    ],
    ids=str,
)
@pytest.mark.parametrize("codec", ["portable", "fast"])
def test_the_smallest_type_that_holds_the_values(tmp_path, values, dtype, codec):
    """Also where the value that needs it comes last, after whole shards."""
    x = sp.random(600, 30, 0.3, "csr", random_state=1, dtype=np.float32)
    x.data[:] = values[0]
    x.data[-1] = values[1]
    write(ad.AnnData(x), tmp_path / "plate.h5ad")
    store = tmp_path / "train.zarr"
    outcome = succeed("shard", tmp_path / "plate.h5ad", "-o", store, "--codec", codec, "--json", *SMALL)
    assert outcome.json["value_dtype"] == dtype
    found = read(store if codec == "portable" else plain(store, tmp_path)).X
    assert found.dtype == dtype
    np.testing.assert_array_equal(found.astype(np.float64).toarray(), x.astype(np.float64).toarray())


@pytest.mark.parametrize("order", ["--no-shuffle", "--shuffle"])
def test_counts_that_float32_rounds_are_told(tmp_path, order):
    """Values are read as float32, as in scanpy: from 2^24 on not every whole number is one."""
    for dtype, told in [(np.int32, 1), (np.float32, 0), (np.int64, 1)]:
        x = sp.csr_matrix(np.array([[1, 2**24 + 1], [2**25, 3]], dtype=dtype))
        write(ad.AnnData(x), tmp_path / "plate.h5ad")
        outcome = succeed("shard", tmp_path / "plate.h5ad", "-o", tmp_path / "t.zarr", order, "--overwrite")
        assert outcome.stderr.count("2^24") == told
        assert read(tmp_path / "t.zarr").X.max() == 2**25


def test_many_genes_need_wide_columns(tmp_path):
    for genes, dtype in [(65_536, np.uint16), (65_537, np.int32)]:
        x = sp.csr_matrix((np.ones(3, np.float32), ([0, 1, 2], [0, genes - 1, 7])), shape=(4, genes))
        write(ad.AnnData(x), tmp_path / "plate.h5ad")
        succeed("shard", tmp_path / "plate.h5ad", "-o", tmp_path / "t.zarr", "--overwrite")
        assert zarr.open_group(tmp_path / "t.zarr", mode="r")["X/indices"].dtype == dtype
        assert (x != read(tmp_path / "t.zarr").X).nnz == 0


@pytest.mark.parametrize("codec", ["portable", "fast"])
def test_cells_without_counts_and_single_cells(tmp_path, codec):
    for shape in [(1, 1), (1, 5), (3000, 2), (5, 0)]:
        x = sp.csr_matrix(shape, dtype=np.float32)
        write(ad.AnnData(x), tmp_path / "plate.h5ad")
        store = tmp_path / "t.zarr"
        outcome = cellmill("shard", tmp_path / "plate.h5ad", "-o", store, "--codec", codec, "--overwrite")
        if shape[1] == 0:
            assert outcome.status == 1
            assert "no genes" in outcome.stderr
            continue
        assert outcome.status == 0, outcome.stderr
        found = read(store if codec == "portable" else plain(store, tmp_path, "--overwrite"))
        assert found.shape == shape
        assert found.X.nnz == 0


def test_an_input_without_cells_is_passed_over(tmp_path):
    plates = [make_plate(1, cells=40, genes=20), make_plate(2, cells=40, genes=20)[:0].copy()]
    paths = write_plates(tmp_path / "plates", plates)
    outcome = succeed("shard", *paths, "-o", tmp_path / "t.zarr")
    assert "plate2.h5ad" in outcome.stderr
    assert read(tmp_path / "t.zarr").n_obs == 40


def test_bad_input(three, tmp_path):
    folder, _ = three
    out = tmp_path / "out.zarr"

    def refused(status: int, *arguments: object, words: tuple[str, ...]) -> None:
        fails(cellmill("shard", folder, "-o", out, *arguments), out, status, *words)

    refused(1, "--filter", "n_reads < 0", words=("n_reads < 0", "900"))
    refused(1, "--filter", 'drugg == "x"', words=("drugg", "drug"))
    refused(1, "--obs", "cell_lin", words=("cell_lin", "cell_line"))
    refused(1, "--gene-key", "symbl", words=("symbl", "symbol"))
    (tmp_path / "ids.txt").write_text("ENSG00000141510\nENSG00000012048\n")
    refused(1, "--genes", tmp_path / "ids.txt", words=("ENSG00000141510", "GENE0000", "ids"))
    (tmp_path / "twice.txt").write_text("GENE0001\nGENE0001\n")
    refused(1, "--genes", tmp_path / "twice.txt", words=("GENE0001", "twice"))
    (tmp_path / "empty.txt").write_text("\n")
    refused(1, "--genes", tmp_path / "empty.txt", words=("empty.txt",))
    refused(1, "--genes", tmp_path / "absent.txt", words=("absent.txt",))
    refused(2, "--codec", "fastest", words=("fastest", "portable"))
    refused(2, "--chunk-rows", 0, words=("--chunk-rows",))
    refused(2, "--chunk-rows", 100, "--shard-rows", 50, words=("--shard-rows",))
    refused(1, "--shuffle", "--scratch", tmp_path / "absent", words=("absent",))
    outcome = cellmill("shard", folder, "-o", tmp_path / "out.h5ad")
    fails(outcome, tmp_path / "out.h5ad", 2, ".zarr")


def test_duplicate_genes_join_nothing(tmp_path):
    plates = [make_plate(number, cells=30, genes=20) for number in (1, 2)]
    for plate in plates:
        plate.var_names = ["same", "same", *plate.var_names[2:]]
    paths = write_plates(tmp_path / "plates", plates)
    fails(cellmill("shard", *paths, "-o", tmp_path / "t.zarr"), tmp_path / "t.zarr", 1, "same", "--gene-key")
    outcome = succeed("shard", paths[0], "-o", tmp_path / "t.zarr")
    assert "same" in outcome.stderr
    np.testing.assert_array_equal(read(tmp_path / "t.zarr").X.toarray(), plates[0].X.toarray())


def test_damaged_input_leaves_nothing(tmp_path):
    path = write(make_plate(1), tmp_path / "plate1.h5ad", compression="gzip")
    path.write_bytes(path.read_bytes()[:-20_000])
    out = tmp_path / "out.zarr"
    fails(cellmill("shard", path, "-o", out), out, 1, "plate1.h5ad")


def test_existing_output(three, tmp_path):
    folder, _plates = three
    store = tmp_path / "train.zarr"
    succeed("shard", folder / "plate1.h5ad", "-o", store)
    assert cellmill("shard", folder, "-o", store).status == 1
    assert read(store).n_obs == 300
    succeed("shard", folder, "-o", store, "--overwrite")
    assert read(store).n_obs == 900


def test_config_file(three, tmp_path):
    folder, _ = three
    config = tmp_path / "shard.toml"
    config.write_text(
        f'inputs = ["{folder}"]\noutput = "{tmp_path / "t.zarr"}"\nobs = ["drug", "score"]\nshuffle = true\nseed = 4\n'
    )
    succeed("shard", "--config", config)
    assert list(read(tmp_path / "t.zarr").obs.columns) == ["drug", "score", "plate"]


def contents(store: Path) -> dict[str, bytes]:
    """Every file but what says how it was made."""
    return {
        str(path.relative_to(store)): path.read_bytes()
        for path in sorted(store.rglob("*"))
        if path.is_file() and "uns/cellmill" not in str(path) and path != store / "zarr.json"
    }


def interrupted(arguments: list[str], shards: int, kind: signal.Signals) -> tuple[int, str]:
    """Runs the program until so many shards are whole."""
    command = [str(PROGRAM), *map(str, arguments), "--log-level", "debug", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = []
    for line in process.stderr:
        lines.append(line)
        if f"{shards} shards are whole" in line:
            break
    process.send_signal(kind)
    _, rest = process.communicate(timeout=60)
    return process.returncode, "".join(lines) + rest


@pytest.mark.parametrize("codec", ["portable", "fast"])
@pytest.mark.parametrize("order", ["--no-shuffle", "--shuffle"])
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGINT])
def test_resumed(simulated, tmp_path, codec, order, kind):
    """A run that was killed, or stopped, goes on from its last whole shard; the store is the same to the byte."""
    options = [*simulated, order, "--codec", codec, "--shard-rows", "256"]
    whole = tmp_path / "whole.zarr"
    succeed("shard", *options, "-o", whole)
    store = tmp_path / "train.zarr"
    status, errors = interrupted(["shard", *options, "-o", store], 5, kind)
    partial = tmp_path / ".train.zarr.partial"
    assert not store.exists()
    assert partial.exists()
    if kind == signal.SIGINT:
        assert status == 75, errors
        assert errors.count("--resume") == 1
    # Something else is refused, and leaves it where it is.
    refused = cellmill("shard", *options, "-o", store, "--resume", "--chunk-rows", "32")
    assert refused.status == 1
    assert "chunk_rows" in refused.stderr
    outcome = succeed("shard", *options, "-o", store, "--resume", "--json")
    assert 0 < outcome.json["resumed_cells"] < outcome.json["cells"]
    assert contents(store) == contents(whole)
    assert not partial.exists()
    # Nothing is left to do.
    again = succeed("shard", *options, "-o", store, "--resume", "--json")
    assert again.json["resumed_cells"] == again.json["cells"]


def test_a_damaged_shard_is_not_gone_on_with(simulated, tmp_path):
    options = [*simulated, "--shard-rows", "256"]
    store = tmp_path / "train.zarr"
    interrupted(["shard", *options, "-o", store], 4, signal.SIGKILL)
    shard = tmp_path / ".train.zarr.partial/X/indices-uint16/c/1"
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    outcome = cellmill("shard", *options, "-o", store, "--resume")
    assert outcome.status == 1
    assert "indices-uint16/c/1" in outcome.stderr
    # Without --resume it is made anew.
    succeed("shard", *options, "-o", store)
    assert succeed("validate", store).stdout.strip().endswith("no fault")


def test_a_full_disk_is_gone_on_from(simulated, tmp_path):
    """In a mount namespace of its own, the output's folder is a disk of 2 MB, which then grows."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["unshare", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]
    mount = f"mount -t tmpfs -o size=2m tmpfs {disk}"
    if subprocess.run([*command, "bash", "-c", mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine lets no one mount a small disk")
    shard = f"{PROGRAM} shard {' '.join(map(str, simulated))} -o {disk}/t.zarr --shard-rows 256"
    script = f"{mount} && {{ {shard}; echo status $?; mount -o remount,size=30m {disk}; "
    script += f"{shard} --resume --json && {PROGRAM} validate {disk}/t.zarr; }}"
    done = subprocess.run([*command, "bash", "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "status 1\n" in done.stdout
    assert "space" in done.stderr
    assert "--resume goes on" in done.stderr
    resumed = json.loads(done.stdout.splitlines()[1])
    assert 0 < resumed["resumed_cells"] < resumed["cells"]
    assert "no fault" in done.stdout


def test_nothing_to_resume_starts_from_the_beginning(three, tmp_path):
    folder, plates = three
    succeed("shard", folder, "-o", tmp_path / "t.zarr", "--resume")
    assert_same(read(tmp_path / "t.zarr"), joined(plates))


@pytest.mark.parametrize("codec", ["portable", "fast"])
def test_validate_finds_a_flipped_byte(three, tmp_path, codec):
    folder, _ = three
    store = tmp_path / "train.zarr"
    succeed("shard", folder, "-o", store, "--codec", codec)
    for name in ("X/data/c/0", "X/indices/c/0", "X/indptr/c/0"):
        file = store / name
        whole = file.read_bytes()
        for at in (len(whole) // 3, len(whole) // 2):
            damaged = bytearray(whole)
            damaged[at] ^= 0x10
            file.write_bytes(damaged)
            outcome = cellmill("validate", store)
            assert outcome.status == 1, name
            assert name.rsplit("/c/", 1)[0] in outcome.stdout
        file.write_bytes(whole)


def test_memory_stays_within_its_bound(simulated, tmp_path):
    for order in ("--no-shuffle", "--shuffle"):
        options = [order, "--memory", "120M", "--threads", "2", "--json"]
        outcome = succeed("shard", *simulated, "-o", tmp_path / f"t{order}.zarr", *options)
        assert outcome.json["peak_memory"] < 1.1 * (120 << 20)


def test_store_of_a_store(three, tmp_path):
    """A store is an input like any other: shuffled once more, and from the packed codec to the portable one."""
    folder, plates = three
    succeed("shard", folder, "-o", tmp_path / "a.zarr", "--codec", "fast", *SMALL)
    succeed("shard", tmp_path / "a.zarr", "-o", tmp_path / "b.zarr", "--label", "again")
    found = read(tmp_path / "b.zarr")
    assert set(found.obs["again"]) == {"a"}
    assert_same(found, joined(plates))


def test_annbatch_loads_the_store(three, tmp_path):
    """annbatch's loader takes any CSR on sharded Zarr: rows come with the values and labels that they have here."""
    annbatch = pytest.importorskip("annbatch")
    folder, _plates = three
    store = tmp_path / "train.zarr"
    succeed("shard", folder, "-o", store, "--shuffle", *SMALL)
    whole = read(store)
    group = zarr.open_group(store, mode="r")
    loader = annbatch.Loader(chunk_size=8, preload_nchunks=4, batch_size=16, shuffle=True, to=None)
    loader.add_dataset(ad.io.sparse_dataset(group["X"]), obs=pd.DataFrame({"row": np.arange(whole.n_obs)}))
    seen = []
    for batch in loader:
        rows = batch["obs"]["row"].to_numpy()
        np.testing.assert_array_equal(batch["X"].toarray(), whole.X[rows].toarray())
        seen.extend(rows)
    assert len(seen) == len(set(seen))
    assert len(seen) >= whole.n_obs - 16
