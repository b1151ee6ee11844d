"""`cellmill run` gives what scanpy's functions give in float64."""

from __future__ import annotations

import numpy as np
import pytest

from oracle import as_plate, check, expect
from plates import make_plate, read, write_plates
from program import succeed

FULL = 'pass_filter == "full"'


def is_full(obs):
    return (obs["pass_filter"] == "full").to_numpy()


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_simulated_plates(simulated, tmp_path, flavor):
    out = tmp_path / "out.zarr"
    succeed(
        "run",
        *simulated,
        "-o",
        out,
        "--filter",
        FULL,
        "--flavor",
        flavor,
        "--n-top-genes",
        300,
        "--n-comps",
        30,
        ranks=2,
    )
    plates = [as_plate(read(path), path.stem) for path in simulated]
    check(read(out), expect(plates, keep=is_full, flavor=flavor, n_top_genes=300, n_comps=30))


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_pbmc3k(pbmc3k, tmp_path, flavor):
    paths, plates = pbmc3k
    out = tmp_path / "out.h5ad"
    succeed("run", *paths, "-o", out, "--flavor", flavor, "--n-top-genes", 1500, "--n-comps", 50)
    check(read(out), expect(plates, flavor=flavor, n_top_genes=1500, n_comps=50))


@pytest.mark.parametrize("flavor", ["seurat", "cell_ranger"])
def test_defaults_keep_every_component(plates, tmp_path, flavor):
    paths, inputs = plates
    out = tmp_path / "out.zarr"
    succeed("run", *paths, "-o", out, "--flavor", flavor)
    check(read(out), expect(inputs, flavor=flavor))


@pytest.mark.parametrize(
    "options",
    [
        {"target_sum": 1e4},
        {"min_plates": 1, "n_top_genes": 60},
        {"min_plates": 2, "n_top_genes": 60, "n_comps": 7},
        {"index_unique": "_"},
        {"index_unique": ""},
    ],
    ids=str,
)
def test_options(plates, tmp_path, options):
    paths, inputs = plates
    out = tmp_path / "out.zarr"
    arguments = [a for name, value in options.items() for a in (f"--{name.replace('_', '-')}", value)]
    succeed("run", *paths, "-o", out, *arguments)
    check(read(out), expect(inputs, **options))


@pytest.mark.parametrize("join", ["inner", "outer"])
@pytest.mark.parametrize("ranks", [0, 3])
def test_plates_with_different_genes(tmp_path, join, ranks):
    whole = [make_plate(number) for number in (1, 2, 3)]
    rng = np.random.default_rng(1)
    # Other genes in another order, in every plate.
    adatas = [
        adata[:, rng.permutation(adata.n_vars)[: adata.n_vars - drop]].copy()
        for adata, drop in zip(whole, (0, 90, 140), strict=True)
    ]
    paths = write_plates(tmp_path, adatas)
    out = tmp_path / "out.h5ad"
    outcome = succeed(
        "run", *paths, "-o", out, "--join", join, "--min-plates", 1, "--n-top-genes", 80, "--n-comps", 10, ranks=ranks
    )
    assert f"--join {join}" in outcome.stderr
    plates = [as_plate(adata, path.stem) for adata, path in zip(adatas, paths, strict=True)]
    check(read(out), expect(plates, join=join, min_plates=1, n_top_genes=80, n_comps=10))


def test_gene_key_names_the_genes(tmp_path):
    adatas = [make_plate(number) for number in (1, 2, 3)]
    for number, adata in enumerate(adatas):
        adata.var_names = [f"id{number}_{g}" for g in range(adata.n_vars)]  # nothing in common
    paths = write_plates(tmp_path, adatas)
    out = tmp_path / "out.zarr"
    succeed("run", *paths, "-o", out, "--gene-key", "symbol", "--n-comps", 10)
    plates = [as_plate(adata, path.stem, "symbol") for adata, path in zip(adatas, paths, strict=True)]
    check(read(out), expect(plates, n_comps=10))


@pytest.mark.parametrize("files", [1, 2])
def test_batch_key_takes_the_batches_from_obs(tmp_path, files):
    adatas = [make_plate(number, cells=600) for number in range(files)]
    paths = write_plates(tmp_path, adatas)
    out = tmp_path / "out.zarr"
    succeed("run", *paths, "-o", out, "--batch-key", "cell_line", "--min-plates", 2, "--n-comps", 10, ranks=2)
    plates = [as_plate(adata, path.stem) for adata, path in zip(adatas, paths, strict=True)]
    check(read(out), expect(plates, batch_key="cell_line", min_plates=2, n_comps=10))


@pytest.mark.parametrize("suffix", [".zarr", ".h5ad"])
@pytest.mark.parametrize("what", ["counts", "lognorm"])
@pytest.mark.parametrize("ranks", [0, 3])
def test_written_x(simulated, tmp_path, suffix, what, ranks):
    out = tmp_path / f"out{suffix}"
    succeed("run", *simulated, "-o", out, "--write-x", what, "--n-top-genes", 300, "--n-comps", 5, ranks=ranks)
    expected = expect([as_plate(read(path), path.stem) for path in simulated], n_top_genes=300, n_comps=5)
    adata = read(out)
    check(adata, expected)
    x = adata.X
    assert x.format == "csr"
    assert x.dtype == np.float32
    wanted = expected.counts if what == "counts" else expected.lognorm
    difference = abs(x.astype(np.float64) - wanted)
    assert difference.max() <= 1e-6 * max(1.0, wanted.max())
    assert x.has_sorted_indices


def test_single_plate(plates, tmp_path):
    paths, inputs = plates
    out = tmp_path / "out.zarr"
    succeed("run", paths[0], "-o", out, "--n-comps", 5)
    check(read(out), expect(inputs[:1], n_comps=5))
