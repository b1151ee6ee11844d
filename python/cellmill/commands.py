"""The program's commands as functions; options are theirs, with underscores for dashes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import _core
from .errors import Error
from .jobs import write_job
from .log import log
from .program import refuse_in_launch, run_command

PathLike = str | os.PathLike[str]
Paths = PathLike | Iterable[PathLike]


def _listed(paths: Paths) -> list[PathLike]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def info(path: PathLike) -> dict[str, Any]:
    """What an AnnData holds: shape, matrices, columns and levels, keys, sizes. Reads no matrix.

    Returns
    -------
    What ``cellmill info --json`` tells about one file (docs/user-guide.md).
    """
    return json.loads(_core.info_json(os.fspath(path)))


def validate(
    paths: Paths, *, threads: int | None = None, memory: str | None = None, progress: bool = True
) -> list[str]:
    """Reads everything in these AnnData.

    Returns
    -------
    A message for each fault; empty if there is none.
    """
    found = run_command("validate", _listed(paths), threads=threads, memory=memory, progress=progress)
    return [fault for file in found["files"] for fault in file["faults"]]


def run(
    plates: Paths,
    output: PathLike,
    *,
    submit: PathLike | None = None,
    slurm: Mapping[str, Any] | None = None,
    progress: bool = True,
    **options: Any,
) -> dict[str, Any] | Path:
    """The main job in this one process: plates in, principal components out.

    Parameters
    ----------
    plates
        h5ad files, Zarr stores, globs, ``@list.txt``, folders of plates.
    output
        A path that ends in ``.zarr`` or ``.h5ad``.
    submit
        Nothing is run: a job script for Slurm is written to this path, which runs the same job on
        several nodes.
    slurm
        Options of sbatch for it, e.g. ``{"nodes": 4, "cpus_per_task": 16, "mem": "64G"}``.
    progress
        Bars of tqdm, if it is there.
    **options
        Those of ``cellmill run``: ``filter``, ``join``, ``gene_key``, ``batch_key``, ``target_sum``,
        ``flavor``, ``n_top_genes``, ``min_plates``, ``n_comps``, ``label``, ``index_unique``,
        ``write_x``, ``zarr_format``, ``scratch``, ``overwrite``, ``dry_run``, ``threads``, ``memory``.

    Returns
    -------
    What ``cellmill run --json`` tells: cells, genes, the funnel of each plate, times; or the path of
    the job script.

    Raises
    ------
    ValueError
        Inside a launch of several processes: each would write the same output.
    """
    wanted = {"output": output, **options}
    if submit is not None:
        return write_job(submit, "run", _listed(plates), wanted, slurm)
    refuse_in_launch("run")
    log.info("the job runs in one process; on several nodes: srun cellmill run (submit= writes the job script)")
    return run_command("run", _listed(plates), progress=progress, **wanted)


def shard(inputs: Paths, output: PathLike, *, progress: bool = True, **options: Any) -> dict[str, Any]:
    """Plates in, one training store out: AnnData on sharded Zarr v3, made for reading cells at random.

    Parameters
    ----------
    **options
        Those of ``cellmill shard``: ``codec`` (``"portable"`` or ``"fast"``), ``shuffle``, ``seed``,
        ``obs`` (a list), ``layer``, ``genes`` (a file), ``filter``, ``join``, ``gene_key``, ``label``,
        ``index_unique``, ``chunk_rows``, ``shard_rows``, ``scratch``, ``resume``, ``overwrite``,
        ``threads``, ``memory``.
    """
    refuse_in_launch("shard")
    return run_command("shard", _listed(inputs), output=output, progress=progress, **options)


def vocab(inputs: Paths, output: PathLike, *, progress: bool = True, **options: Any) -> dict[str, Any]:
    """A gene vocabulary from data, with Geneformer's medians: a table that tokenizers read.

    Parameters
    ----------
    output
        A path that ends in ``.tsv``: for ``Geneformer``, ``ScGPT`` and ``RankValue``.
    **options
        Those of ``cellmill vocab``: ``medians`` (True for the non-zero medians of count / total ·
        10,000), ``n_genes`` (those that most cells express), ``filter``, ``layer``, ``join``
        (``"outer"``), ``gene_key``, ``overwrite``, ``threads``, ``memory``.

    Returns
    -------
    What ``cellmill vocab --json`` tells: ``genes``, ``cells``, ``not_expressed``, ``readings``.
    """
    refuse_in_launch("vocab")
    return run_command("vocab", _listed(inputs), output=output, progress=progress, **options)


def concat(plates: Paths, output: PathLike, *, progress: bool = True, **options: Any) -> dict[str, Any]:
    """The cells of all plates one after the other, on disk, joined as ``anndata.concat`` joins them.

    To read several plates as one, without a copy of them, `cellmill.open` is enough.

    Parameters
    ----------
    **options
        Those of ``cellmill concat``: ``join``, ``label``, ``keys`` (a list), ``index_unique``,
        ``gene_key``, ``zarr_format``, ``scratch``, ``overwrite``, ``threads``, ``memory``.
    """
    refuse_in_launch("concat")
    return run_command("concat", _listed(plates), output=output, progress=progress, **options)


def convert(path: PathLike, output: PathLike, *, progress: bool = True, **options: Any) -> dict[str, Any]:
    """A whole AnnData written anew, as h5ad or Zarr; every slot comes back equal.

    Parameters
    ----------
    **options
        Those of ``cellmill convert``: ``zarr_format``, ``codec``, ``level``, ``chunk_size``,
        ``shard_size``, ``overwrite``, ``threads``, ``memory``.
    """
    refuse_in_launch("convert")
    return run_command("convert", [path], output=output, progress=progress, **options)


def report(
    output: PathLike,
    page: PathLike,
    *,
    obs: Sequence[str] | None = None,
    cells: int = 10_000,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Draws what a run did: one HTML page that needs no network.

    Parameters
    ----------
    output
        What ``run`` wrote, or another AnnData with some of its slots; what is missing is left out.
    page
        A path that ends in ``.html``.
    obs
        Columns of obs that colour the cells; otherwise the plates' and as many as 23 more.
    cells
        As many are drawn one by one; the densities are of all cells.

    Returns
    -------
    ``output``, ``bytes``, ``sections`` (what the page shows), ``cells_drawn``.

    Raises
    ------
    cellmill.Error
        If anndata or plotly is not installed: ``pip install 'cellmill[report]'``.
    """
    refuse_in_launch("report")
    try:
        import anndata  # noqa: F401
        import plotly  # noqa: F401
    except ImportError as absent:
        raise Error(f"a report needs more packages ({absent}): pip install 'cellmill[report]'") from None
    from .reports.page import write_report

    return write_report(output, page, obs=obs, cells=cells, overwrite=overwrite)


def simulate(folder: PathLike, *, progress: bool = True, **options: Any) -> dict[str, Any]:
    """Plates like Tahoe-100M's, made up; the same options give the same data.

    Parameters
    ----------
    **options
        Those of ``cellmill simulate``: ``plates``, ``cells`` (of a plate), ``genes``, ``nnz``,
        ``cell_lines``, ``seed``, ``format``, ``threads``, ``memory``.
    """
    refuse_in_launch("simulate")
    return run_command("simulate", [folder], progress=progress, **options)
