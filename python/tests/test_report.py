"""The page of a run's output."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cellmill as cm
from peers import peer
from report_runs import PLOTS, Page, run, unpack

peer("anndata")
peer("plotly")
h5py = peer("h5py")
plotly_offline = peer("plotly.offline")


@pytest.fixture(scope="module")
def outputs(plates: list[str], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("outputs")
    return {kind: run(plates, folder / f"pca.{kind}", filter='pass_filter == "full"') for kind in ("zarr", "h5ad")}


@pytest.fixture
def changed(outputs: dict[str, Path], tmp_path: Path) -> Path:
    """A copy to take things out of."""
    copy = tmp_path / "changed.h5ad"
    copy.write_bytes(outputs["h5ad"].read_bytes())
    return copy


def page_of(output: Path, folder: Path, **options: object) -> Page:
    cm.report(output, folder / "report.html", overwrite=True, **options)
    return Page(folder / "report.html")


def test_both_formats_give_the_same_page(outputs: dict[str, Path], tmp_path: Path) -> None:
    zarr, h5ad = (page_of(outputs[kind], tmp_path).data for kind in ("zarr", "h5ad"))
    for name in ("funnel", "genes", "variance", "cells"):
        assert zarr[name] == h5ad[name]
    assert set(zarr) == set(PLOTS.values())


def test_every_plot_can_be_read_without_seeing_it(outputs: dict[str, Path], tmp_path: Path) -> None:
    page = page_of(outputs["zarr"], tmp_path)
    assert page.plots == {*PLOTS, "chosen-by"}
    labelled = {attributes["for"] for name, attributes in page.elements if name == "label"}
    assert page.ids("select") == labelled == {"gene-view", "gene-measure", "pc-x", "pc-y", "cell-colour", "time-pass"}
    assert {"funnel", "genes", "variance", "cells", "time", "about"} <= page.ids("h2")
    for name, attributes in page.elements:
        if name == "div" and attributes.get("class") == "plot":
            assert attributes["role"] == "img"
            assert attributes["aria-label"]
    assert sum(name == "table" for name, _ in page.elements) >= 6
    assert next(attributes["lang"] for name, attributes in page.elements if name == "html") == "en"


def test_the_page_names_no_other_place(outputs: dict[str, Path], tmp_path: Path) -> None:
    page = page_of(outputs["zarr"], tmp_path)
    script = plotly_offline.get_plotlyjs().replace("</script", "<\\/script")
    assert page.text.count(script) == 1
    ours = page.text.replace(script, "")
    assert not re.findall(r"https?:|//[a-z]+\.|@import|url\(", ours)
    for name, attributes in page.elements:
        assert not {"src", "srcset", "data", "action"} & set(attributes), name
        assert name not in ("iframe", "object", "embed", "img")
        if name == "link":
            assert attributes["href"] == "data:,"
    (policy,) = [a["content"] for name, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")


def test_the_numbers_are_the_outputs(outputs: dict[str, Path], tmp_path: Path) -> None:
    data = page_of(outputs["h5ad"], tmp_path).data
    with h5py.File(outputs["h5ad"]) as file:
        components, chosen = file["obsm/X_pca"][:], file["uns/hvg_per_plate/highly_variable"][:].astype(bool)
        means = file["uns/hvg_per_plate/means"][:]
        assert data["variance"] == file["uns/pca/variance_ratio"][:].tolist()
    cells = data["cells"]
    assert cells["n_sampled"] == cells["n_cells"] == len(components) == sum(data["funnel"]["cells_kept"])
    for c, packed in enumerate(cells["components"]):
        drawn = packed["low"] + packed["step"] * unpack(packed)
        np.testing.assert_allclose(drawn, components[:, c], atol=packed["step"])
    assert [(grid["x"], grid["y"]) for grid in cells["grids"]] == list(itertools.combinations(range(10), 2))
    first, second = data["genes"]["views"][1:]
    assert [first["n_chosen"], second["n_chosen"]] == chosen.sum(axis=0).tolist()
    drawn = first["x"]["low"] + first["x"]["step"] * unpack(first["x"])
    np.testing.assert_allclose(np.sort(drawn), np.sort(means[chosen[:, 0], 0]), atol=2 * first["x"]["step"])
    assert data["genes"]["chosen_by"] == np.bincount(chosen.sum(axis=1), minlength=3).tolist()


def test_densities_count_every_cell_however_the_range_grows() -> None:
    from cellmill.reports.cells import PairCounts

    rng = np.random.default_rng(1)
    blocks = [rng.normal(0, scale, (500, 3)) for scale in (0.1, 5, 1, 40)]
    blocks[2][7, 1] = np.nan
    pairs = PairCounts(3)
    for block in blocks:
        pairs.add(block)
    cells = np.concatenate(blocks)
    cells = cells[np.isfinite(cells).all(axis=1)]
    assert (pairs.n_cells, pairs.not_finite) == (1999, 1)
    for (i, j), counts in pairs.counts.items():
        edges = [pairs.low[c] + pairs.width[c] * np.arange(257) for c in (i, j)]
        assert counts.sum() == 1999
        expected, _, _ = np.histogram2d(cells[:, i], cells[:, j], bins=edges)
        # A value at a border may fall to either side, by the rounding of it.
        assert np.abs(np.cumsum(counts.sum(axis=1)) - np.cumsum(expected.sum(axis=1))).max() <= 1
        assert np.abs(np.cumsum(counts.sum(axis=0)) - np.cumsum(expected.sum(axis=0))).max() <= 1


@pytest.mark.parametrize("rows", [np.zeros((1, 2)), np.full((5, 2), -3e30), np.array([[0, 1e-30], [0, 2e-30]])])
def test_densities_of_cells_in_one_place(rows: np.ndarray) -> None:
    from cellmill.reports.cells import PairCounts

    pairs = PairCounts(2)
    pairs.add(rows)
    (grid,) = pairs.grids()
    assert unpack(grid["levels"]).any()
    assert pairs.counts[0, 1].sum() == len(rows)


def test_a_sample_takes_one_row_of_each_part() -> None:
    from cellmill.reports.cells import sampled_rows

    rows = sampled_rows(100_000_000, 10_000)
    assert len(rows) == 10_000
    assert (rows // 10_000 == np.arange(10_000)).all()
    assert sampled_rows(25, 10).tolist() == sorted(set(sampled_rows(25, 10).tolist()))
    assert sampled_rows(3, 10).tolist() == [0, 1, 2]


def test_one_plate_has_no_mean_over_plates(plates: list[str], tmp_path: Path) -> None:
    page = page_of(run(plates[:1], tmp_path / "one.zarr"), tmp_path)
    assert [view["name"] for view in page.data["genes"]["views"]] == ["plate1"]
    assert page.plots == set(PLOTS)


def test_a_plate_without_cells(changed: Path, tmp_path: Path) -> None:
    with h5py.File(changed, "r+") as file:
        for name in ("cells_kept", "genes_with_counts", "genes_chosen"):
            file[f"uns/cellmill/funnel/{name}"][1] = 0
        for name in ("means", "dispersions", "dispersions_norm"):
            file[f"uns/hvg_per_plate/{name}"][:, 1] = np.nan
        file["uns/hvg_per_plate/highly_variable"][:, 1] = False
        expected = file["uns/hvg_per_plate/means"][:, 0]
    data = page_of(changed, tmp_path).data
    mean, first, second = data["genes"]["views"]
    assert (second["n_with_values"], second["n_chosen"]) == (0, 0)
    assert mean["n_with_values"] == first["n_with_values"] > 0
    assert mean["x"]["low"] >= expected.min()
    assert data["funnel"]["cells_kept"][1] == 0


@pytest.mark.parametrize(
    ("taken", "lost"),
    [
        ("uns/cellmill", {"funnel", "timeline", "rates", "memory"}),
        ("uns/cellmill/memory", {"memory"}),
        ("uns/hvg_per_plate", {"genes"}),
        ("uns/pca", {"variance"}),
        ("obsm/X_pca", {"cells"}),
        ("uns", set(PLOTS.values()) - {"cells"}),
    ],
)
def test_what_is_not_there_is_said(changed: Path, tmp_path: Path, taken: str, lost: set[str]) -> None:
    with h5py.File(changed, "r+") as file:
        del file[taken]
    page = page_of(changed, tmp_path)
    assert set(page.data) == set(PLOTS.values()) - lost
    assert page.plots - {"chosen-by"} == {plot for plot, section in PLOTS.items() if section not in lost}
    assert "is not in this file" in page.text


def test_time_between_ranks_has_a_share_of_its_own(changed: Path, tmp_path: Path) -> None:
    with h5py.File(changed, "r+") as file:
        timeline = file["uns/cellmill/timeline"]
        seconds = timeline["seconds"][...]
        talked = timeline["communicating"]
        talked[...] = seconds / 4
    shown = page_of(changed, tmp_path).data["timeline"]
    assert shown["shares"]["communicating"] == pytest.approx([0.25 if s > 0 else 0 for s in seconds])
    threads = ("reading", "decoding", "computing", "writing", "waiting")
    for i in range(len(seconds)):
        total = sum(shown[activity][i] for activity in threads)
        shares = [shown["shares"][activity][i] for activity in threads]
        assert shares == pytest.approx([0.75 * shown[activity][i] / total for activity in threads])


def test_outputs_that_do_not_tell_it_are_drawn_without(changed: Path, tmp_path: Path) -> None:
    with h5py.File(changed, "r+") as file:
        del file["uns/cellmill/timeline/communicating"]
    shown = page_of(changed, tmp_path).data["timeline"]
    assert set(shown["communicating"]) == {0}
    assert set(shown["shares"]["communicating"]) == {0}


def test_columns_of_every_kind(changed: Path, tmp_path: Path) -> None:
    anndata = peer("anndata")
    pandas = peer("pandas")
    adata = anndata.read_h5ad(changed)
    n = adata.n_obs
    adata.obs["many"] = pandas.Categorical([f"level {i % 57}" for i in range(n)])
    adata.obs["flag"] = np.arange(n) % 3 == 0
    adata.obs["score"] = np.where(np.arange(n) % 10 == 0, np.nan, np.arange(n, dtype=float))
    adata.obs["nullable"] = pandas.array([None if i % 4 == 0 else i for i in range(n)], dtype="Int64")
    adata.obs["gap"] = pandas.Categorical([None if i % 2 else "<b>&</script>" for i in range(n)])
    adata.write_h5ad(changed)
    wanted = ["many", "flag", "score", "nullable", "gap"]
    page = page_of(changed, tmp_path, obs=wanted)
    many, flag, score, nullable, gap = page.data["cells"]["columns"]
    assert len(many["levels"]) == 19
    assert np.unique(unpack(many["codes"])).tolist() == list(range(20))  # 19: the others
    assert flag["levels"] == ["False", "True"]
    assert (unpack(score["numbers"]) == 65535).sum() == len(range(0, n, 10))
    assert (unpack(nullable["numbers"]) == 65535).sum() == len(range(0, n, 4))
    assert gap["levels"] == ["<b>&</script>"]
    assert np.unique(unpack(gap["codes"])).tolist() == [0, 2]  # 2: missing


def test_names_are_text_on_the_page(changed: Path, tmp_path: Path) -> None:
    with h5py.File(changed, "r+") as file:
        file["uns/cellmill/funnel/plate"][0] = "<img src=x onerror=alert(1)> é"
    page = page_of(changed, tmp_path)
    assert "&lt;img src=x onerror=alert(1)&gt; é" in page.text
    assert not any(name == "img" for name, _ in page.elements)


def test_errors_say_what_is_wrong(outputs: dict[str, Path], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    with pytest.raises(FileNotFoundError, match=r"nothing\.zarr"):
        cm.report(tmp_path / "nothing.zarr", page)
    with pytest.raises(KeyError, match=r"cell_lin .*did you mean cell_line"):
        cm.report(outputs["zarr"], page, obs=["cell_lin"])
    with pytest.raises(ValueError, match=r"\.html"):
        cm.report(outputs["zarr"], tmp_path / "page.pdf")
    (tmp_path / "text.h5ad").write_text("no HDF5")
    with pytest.raises(ValueError, match=r"text\.h5ad"):
        cm.report(tmp_path / "text.h5ad", page)
    with h5py.File(tmp_path / "empty.h5ad", "w"):
        pass
    with pytest.raises(ValueError, match=r"empty\.h5ad.*no AnnData"):
        cm.report(tmp_path / "empty.h5ad", page)
    assert not page.exists()
    page.write_text("mine")
    with pytest.raises(ValueError, match="exists"):
        cm.report(outputs["zarr"], page)
    assert page.read_text() == "mine"
    assert [path.name for path in tmp_path.glob(".*")] == []


# The command ----------------------------------------------------------------------------------------


def command(*arguments: object, program: Path | None = None) -> subprocess.CompletedProcess[str]:
    words = [program or Path(sys.executable).parent / "cellmill", "report", *arguments]
    return subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)


def test_the_command_writes_the_same_page(outputs: dict[str, Path], tmp_path: Path) -> None:
    done = command(outputs["zarr"], "-o", tmp_path / "page.html", "--obs", "cell_line", "--cells", 100, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cells_drawn"] == 100
    page = page_of(outputs["zarr"], tmp_path, obs=["cell_line"], cells=100)
    assert (tmp_path / "page.html").read_text() == page.text
    assert len(page.data["cells"]["columns"][0]["levels"]) > 1


def test_the_command_tells_errors_as_others_do(outputs: dict[str, Path], tmp_path: Path) -> None:
    done = command(outputs["zarr"], "-o", tmp_path / "page.html", "--obs", "cell_lin", "--json")
    assert done.returncode == 1
    assert done.stderr.startswith("cellmill: error: ")
    assert json.loads(done.stdout)["error"]["kind"] == "missing"
    assert "cell_line" in done.stderr


def test_a_python_without_the_packages_is_told_what_to_install(outputs: dict[str, Path], tmp_path: Path) -> None:
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    bare.chmod(0o755)
    page = tmp_path / "page.html"
    done = command(outputs["zarr"], "-o", page, "--python", bare, program=cm.program.PROGRAM)
    assert done.returncode == 1
    assert "pip install 'cellmill[report]'" in done.stderr
    done = command(outputs["zarr"], "-o", page, "--python", tmp_path / "none", program=cm.program.PROGRAM)
    assert done.returncode == 1
    assert f"{tmp_path / 'none'} can't be started" in done.stderr
    assert not page.exists()
