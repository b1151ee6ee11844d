"""Loaders that `bench-loader` measures: each gives the cells of one batch after the other, without end."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np

ORDERS = ("shuffle", "weighted", "balanced", "stratified", "paired")
OUTPUTS = ("csr", "dense", "geneformer", "scgpt", "rank_value")


def order_of(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    """As cm.Loader takes it. Weights are inverse frequencies of labels."""
    by = options.by
    chosen = {
        "shuffle": {},
        "weighted": {"weights": data.label_weights(by) if options.order == "weighted" else None},
        "balanced": {"by": by},
        "stratified": {"by": by},
        "paired": {"condition": options.condition, "control": options.control, "match": [by]},
    }[options.order]
    return {options.order: {**chosen, "block": options.block, "window": options.window}}


def output_of(options: argparse.Namespace, data: Any) -> dict[str, Any]:
    """Output, transform and genes as cm.Loader takes them. Without a vocabulary all genes have a token.

    Their medians are made up, from 0.5 to 8: equal ones would leave many ties to sort.
    """
    import cellmill as cm

    tokens = options.vocab or {name: number for number, name in enumerate(data.var_names)}
    if options.output == "geneformer":
        spread = 2 ** np.random.default_rng(0).uniform(-1, 3, data.n_vars)
        medians = None if options.vocab else dict(zip(data.var_names, spread.tolist(), strict=True))
        return {"output": cm.Geneformer(tokens, medians=medians)}
    if options.output == "scgpt":
        return {"output": cm.ScGPT(tokens), "transform": [cm.NormalizeTotal(1e4), cm.Log1p()]}
    if options.output == "dense":
        return {"output": "dense", "genes": data.var_names[:: max(data.n_vars // options.genes, 1)][: options.genes]}
    return {"output": options.output}


def cellmill_batches(options: argparse.Namespace) -> Iterator[int]:
    import cellmill as cm

    data = cm.open(options.data)
    how = {"order": order_of(options, data), **output_of(options, data)}
    loader = cm.Loader(data, options.batch_size, threads=options.threads, **how)
    while True:
        for batch in loader:
            halves = (batch, batch.control) if options.order == "paired" else (batch,)
            for half in halves:
                half[next(iter(half))]  # X, or the tokens
            yield len(halves) * len(batch)  # controls count too


def annbatch_batches(options: argparse.Namespace) -> Iterator[int]:
    import annbatch
    import anndata as ad

    use_zarrs()

    def matrix_only(group: Any) -> ad.AnnData:
        return ad.AnnData(X=ad.io.sparse_dataset(group["X"]), obs=ad.io.read_elem(group["obs"])[[]])

    loader = annbatch.Loader(
        batch_size=options.batch_size,
        chunk_size=options.block,
        preload_nchunks=max(options.window // options.block, 1),
        shuffle=True,
        to=None,
    )
    loader.use_collection(annbatch.DatasetCollection(options.data[0]), load_adata=matrix_only)
    while True:
        for batch in loader:
            yield batch["X"].shape[0]


class BackedRows:
    """Rows of several h5ad files, by numbers that run over all of them."""

    def __init__(self, paths: list[str]) -> None:
        import anndata as ad

        self.files = [ad.read_h5ad(path, backed="r") for path in paths]
        self.first = np.cumsum([0, *(file.n_obs for file in self.files)])

    def __len__(self) -> int:
        return int(self.first[-1])

    def __getitem__(self, rows: np.ndarray) -> Any:
        """In rising order, which is quickest for HDF5."""
        import scipy.sparse

        rows = np.sort(np.asarray(rows))
        cuts = np.searchsorted(rows, self.first)
        parts = [
            file.X[rows[begin:end] - start]
            for file, start, begin, end in zip(self.files, self.first, cuts, cuts[1:], strict=False)
            if end > begin
        ]
        return scipy.sparse.vstack(parts, format="csr")


def scdataset_batches(options: argparse.Namespace) -> Iterator[int]:
    from scdataset import BlockShuffling, scDataset

    dataset = scDataset(
        BackedRows(options.data),
        BlockShuffling(block_size=options.block),
        batch_size=options.batch_size,
        fetch_factor=max(options.window // options.batch_size, 1),
        drop_last=True,
    )
    while True:
        for batch in dataset:
            yield batch.shape[0]


def at_random(matrix: Any, batch_size: int) -> Iterator[int]:
    rng = np.random.default_rng(0)
    n_rows = len(matrix) if isinstance(matrix, BackedRows) else matrix.shape[0]
    while True:
        rows = rng.permutation(n_rows)
        for begin in range(0, n_rows - batch_size + 1, batch_size):
            yield matrix[rows[begin : begin + batch_size]].shape[0]


def backed_batches(options: argparse.Namespace) -> Iterator[int]:
    return at_random(BackedRows(options.data), options.batch_size)


def scipy_batches(options: argparse.Namespace) -> Iterator[int]:
    import anndata as ad
    import scipy.sparse

    parts = [ad.read_h5ad(path).X for path in options.data]
    return at_random(scipy.sparse.vstack(parts, format="csr"), options.batch_size)


LOADERS = {
    "cellmill": cellmill_batches,
    "annbatch": annbatch_batches,
    "scDataset": scdataset_batches,
    "backed": backed_batches,
    "scipy": scipy_batches,
}
#: What each imports, by the names of distributions.
NEEDS = {
    "cellmill": ["cellmill"],
    "program": ["cellmill"],
    "annbatch": ["annbatch"],
    "scDataset": ["scDataset", "anndata", "scipy"],
    "backed": ["anndata", "scipy"],
    "scipy": ["anndata", "scipy"],
}


def use_zarrs() -> None:
    """zarr-python's quick codecs, where they are installed, as annbatch advises."""
    try:
        import zarrs  # noqa: F401
    except ImportError:
        return
    import zarr

    zarr.config.set({"codec_pipeline.path": "zarrs.ZarrsCodecPipeline"})


def measure(options: argparse.Namespace) -> dict[str, float]:
    """In this process; imports that the loader needs are done before the clock runs."""
    for name in NEEDS[options.loader]:
        importlib.import_module(name.lower())
    start = time.perf_counter()
    batches = LOADERS[options.loader](options)
    next(batches)
    first = time.perf_counter() - start
    start = time.perf_counter()
    while time.perf_counter() - start < options.warmup:
        next(batches)
    cells, start = 0, time.perf_counter()
    while (seconds := time.perf_counter() - start) < options.seconds:
        cells += next(batches)
    return {"cells_per_second": cells / seconds, "first_batch_seconds": first}


def program(options: argparse.Namespace) -> dict[str, float]:
    import cellmill as cm

    command = [os.fspath(cm.program.PROGRAM), "bench", "loader", *options.data, "--json"]
    passed = ["batch_size", "block", "window", "seconds", "warmup", "threads"]
    passed += ["order", "by", "condition", "control", "output", "vocab"]
    for name in passed + (["genes"] if options.output == "dense" else []):
        if (value := getattr(options, name)) is not None:
            command += ["--" + name.replace("_", "-"), str(value)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    run = json.loads(done.stdout)["runs"][-1]  # CSR comes before another output
    return {name: run[name] for name in ("cells_per_second", "first_batch_seconds")}
