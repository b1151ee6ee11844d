"""What `cellmill run` must give, in float64, with scanpy's own functions wherever it has them.

Differences from calling scanpy on the files, all of them written down in docs/numerics.md: the target sum
is the median over non-empty cells (scanpy's in-memory median counted empty ones until it was mended),
equal bin edges of cell_ranger count once, the variance divides by n - 1, signs make the largest loading
of each component positive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from unittest import mock

import anndata as ad
import numpy as np
import pandas as pd
import scanpy as sc
import scipy.sparse as sp

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Plate:
    """One input file: counts as float64, and what `run` reads beside them."""

    name: str
    counts: sp.csr_matrix
    genes: list[str]
    obs: pd.DataFrame


@dataclass
class Expected:
    """What must come out. `moments` has genes x batches arrays, NaN where a batch lacks the gene."""

    cells: list[str]
    plates: list[str]
    batches: list[str]
    genes: list[str]  # of all plates
    moments: dict[str, np.ndarray]
    kept: list[str]
    merged: pd.DataFrame  # the kept genes' columns of var
    counts: sp.csr_matrix
    lognorm: sp.csr_matrix
    variance: np.ndarray
    variance_ratio: np.ndarray
    loadings: np.ndarray
    scores: np.ndarray
    gaps: np.ndarray = field(default_factory=lambda: np.empty(0))  # to the nearest other variance


def as_plate(adata: ad.AnnData, name: str, gene_key: str | None = None) -> Plate:
    genes = adata.var_names if gene_key is None else adata.var[gene_key]
    return Plate(name, sp.csr_matrix(adata.X).astype(np.float64), [str(gene) for gene in genes], adata.obs)


def lognormalise(counts: sp.csr_matrix, target_sum: float | None) -> sp.csr_matrix:
    adata = ad.AnnData(counts.copy())
    if target_sum is None:
        sums = np.asarray(counts.sum(axis=1)).ravel()
        target_sum = float(np.median(sums[sums > 0]))
    sc.pp.normalize_total(adata, target_sum=target_sum)
    sc.pp.log1p(adata)
    assert adata.X.dtype == np.float64
    return sp.csr_matrix(adata.X)


def variable_genes(lognorm: sp.csr_matrix, flavor: str, n_top_genes: int) -> pd.DataFrame:
    adata = ad.AnnData(lognorm)
    whole_cut = pd.cut

    def cut(values, bins, **options):
        return whole_cut(values, bins, duplicates="drop", **options)

    with mock.patch.object(pd, "cut", cut):
        sc.pp.highly_variable_genes(adata, flavor=flavor, n_top_genes=n_top_genes)
    return adata.var


def _columns(plate: Plate, genes: list[str]) -> sp.csr_matrix:
    """The plate's counts with `genes` as columns; genes that it lacks are empty."""
    place = {gene: i for i, gene in enumerate(genes)}
    columns = np.array([place.get(gene, -1) for gene in plate.genes])
    chosen = np.flatnonzero(columns >= 0)
    selector = sp.csr_matrix((np.ones(len(chosen)), (chosen, columns[chosen])), shape=(len(plate.genes), len(genes)))
    return sp.csr_matrix(plate.counts @ selector)


def principal_components(x: sp.csr_matrix, n_comps: int) -> tuple[np.ndarray, ...]:
    """Variances, ratios, loadings, scores and gaps, from the dense covariance."""
    dense = x.toarray()
    mean = dense.mean(axis=0)
    covariance = np.cov(dense, rowvar=False, ddof=1)
    values, vectors = np.linalg.eigh(covariance)
    values, vectors = values[::-1], vectors[:, ::-1]
    gaps = np.abs(np.diff(values))
    nearest = np.minimum(np.r_[np.inf, gaps], np.r_[gaps, np.inf])[:n_comps]
    vectors = vectors[:, :n_comps]
    largest = np.abs(vectors).argmax(axis=0)
    vectors = vectors * np.sign(vectors[largest, np.arange(n_comps)])
    scores = (dense - mean) @ vectors
    return values[:n_comps], values[:n_comps] / np.trace(covariance), vectors, scores, nearest


def expect(
    plates: list[Plate],
    *,
    keep: Callable[[pd.DataFrame], np.ndarray] | None = None,
    join: str = "inner",
    batch_key: str | None = None,
    target_sum: float | None = None,
    flavor: str = "seurat",
    n_top_genes: int = 2000,
    min_plates: int | None = None,
    n_comps: int | None = None,
    index_unique: str = "-",
) -> Expected:
    kept_plates = []
    for plate in plates:
        rows = np.ones(len(plate.obs), bool) if keep is None else np.asarray(keep(plate.obs), bool)
        if batch_key is not None:
            rows &= plate.obs[batch_key].notna().to_numpy()
        kept_plates.append(Plate(plate.name, plate.counts[rows], plate.genes, plate.obs[rows]))

    genes = list(dict.fromkeys(gene for plate in plates for gene in plate.genes))
    place = {gene: i for i, gene in enumerate(genes)}
    everywhere = set.intersection(*(set(plate.genes) for plate in plates))
    common = [gene for gene in genes if gene in everywhere]
    joined = common if join == "inner" else genes

    # Batches: the plates with their own genes, or the levels of a column over all plates.
    batch_lognorm: dict[str, sp.csr_matrix] = {}
    batch_genes: dict[str, list[str]] = {}
    per_plate_lognorm: list[sp.csr_matrix] = []
    if batch_key is None:
        for plate in kept_plates:
            lognorm = lognormalise(plate.counts, target_sum)
            batch_lognorm[plate.name], batch_genes[plate.name] = lognorm, plate.genes
            per_plate_lognorm.append(lognorm)
        everything = sp.vstack(
            [
                _columns(Plate(p.name, x, p.genes, p.obs), joined)
                for p, x in zip(kept_plates, per_plate_lognorm, strict=True)
            ]
        ).tocsr()
    else:
        levels = list(dict.fromkeys(v for p in plates for v in p.obs[batch_key].cat.categories))
        # Row sums count every gene of a cell's own plate, whatever the join keeps.
        whole = sp.vstack([_columns(plate, genes) for plate in kept_plates]).tocsr()
        codes = np.concatenate([plate.obs[batch_key].astype(str).to_numpy() for plate in kept_plates])
        normalised = sp.lil_matrix(whole.shape)
        columns = [place[gene] for gene in joined]
        for level in levels:
            rows = np.flatnonzero(codes == level)
            lognorm = lognormalise(whole[rows], target_sum)
            normalised[rows] = lognorm
            batch_lognorm[level], batch_genes[level] = lognorm[:, columns], joined
        everything = sp.csr_matrix(normalised)[:, columns]

    batches = list(batch_lognorm)
    names = ["means", "dispersions", "dispersions_norm", "highly_variable"]
    moments = {name: np.full((len(genes), len(batches)), np.nan) for name in names}
    moments["highly_variable"] = np.zeros((len(genes), len(batches)), bool)
    for b, batch in enumerate(batches):
        found = variable_genes(batch_lognorm[batch], flavor, n_top_genes)
        rows = [place[gene] for gene in batch_genes[batch]]
        for name in names:
            moments[name][rows, b] = found[name].to_numpy()

    enough = min(3, len(batches)) if min_plates is None else min_plates
    n_batches = moments["highly_variable"].sum(axis=1)
    kept = [gene for gene in joined if n_batches[place[gene]] >= enough]
    rows = [place[gene] for gene in kept]
    with np.errstate(all="ignore"):
        merged = pd.DataFrame(
            {name: pd.DataFrame(moments[name]).mean(axis=1).to_numpy()[rows] for name in names[:3]}, index=kept
        )
    merged["highly_variable_nbatches"] = n_batches[rows]
    merged["highly_variable_intersection"] = n_batches[rows] == len(batches)

    joined_place = {gene: i for i, gene in enumerate(joined)}
    columns = [joined_place[gene] for gene in kept]
    lognorm = everything[:, columns]
    n_comps = min(300, min(lognorm.shape) - 1) if n_comps is None else n_comps
    components = principal_components(lognorm, n_comps)
    suffix = [index_unique + plate.name if len(plates) > 1 and index_unique else "" for plate in plates]
    return Expected(
        [str(cell) + s for plate, s in zip(kept_plates, suffix, strict=True) for cell in plate.obs.index],
        [plate.name for plate in kept_plates for _ in range(len(plate.obs))],
        batches,
        genes,
        moments,
        kept,
        merged,
        sp.vstack([_columns(plate, kept) for plate in kept_plates]).tocsr(),
        lognorm,
        *components,
    )


def check(adata: ad.AnnData, expected: Expected) -> None:
    """Asserts that `adata` is what was expected, to the accuracies that docs/numerics.md states."""
    assert list(adata.obs_names) == expected.cells
    assert list(adata.obs["plate"].astype(str)) == expected.plates
    assert list(adata.var_names) == expected.kept

    table = adata.uns["hvg_per_plate"]
    assert list(table["genes"]) == expected.genes
    assert list(table["plates"]) == expected.batches
    for name in ["means", "dispersions", "dispersions_norm"]:
        np.testing.assert_allclose(
            table[name], expected.moments[name], rtol=1e-5, atol=1e-9, equal_nan=True, err_msg=name
        )
        np.testing.assert_allclose(
            adata.var[name], expected.merged[name], rtol=1e-5, atol=1e-9, equal_nan=True, err_msg=name
        )
    np.testing.assert_array_equal(table["highly_variable"], expected.moments["highly_variable"])
    for name in ["highly_variable_nbatches", "highly_variable_intersection"]:
        np.testing.assert_array_equal(adata.var[name], expected.merged[name], err_msg=name)
    assert adata.var["highly_variable"].all()

    k = len(expected.variance)
    pca = adata.uns["pca"]
    np.testing.assert_allclose(pca["variance"], expected.variance, rtol=1e-6)
    np.testing.assert_allclose(pca["variance_ratio"], expected.variance_ratio, rtol=1e-6)
    assert adata.varm["PCs"].shape == (len(expected.kept), k)
    assert adata.obsm["X_pca"].shape == (len(expected.cells), k)
    assert adata.obsm["X_pca"].dtype == np.float32

    # The smaller the gap to the next variance, the further the last bits of the data turn a component
    # towards its neighbour. An angle of 0.014 is allowed for the loadings, of 1e-5 or so for the scores.
    pcs = adata.varm["PCs"]
    largest = np.abs(pcs).argmax(axis=0)
    assert (pcs[largest, np.arange(k)] > 0).all()
    alike = (pcs * expected.loadings).sum(axis=0)
    clear = expected.gaps > 1e-4 * expected.variance[0]
    assert clear.any()
    assert np.abs(alike[clear]).min() >= 0.9999
    errors = np.abs(adata.obsm["X_pca"] * np.sign(alike) - expected.scores) / np.sqrt(expected.variance)
    clear = expected.gaps > 1e-3 * expected.variance[0]
    assert clear.any()
    # A component turns towards its neighbour by the error of the covariance over their gap.
    allowed = np.maximum(1e-4, 1e-7 * expected.variance[0] / expected.gaps)
    assert (errors[:, clear].max(axis=0) <= allowed[clear]).all()
