"""What works where numpy is all there is: commands, rows and batches. Run by scripts/python-tests."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import cellmill as cm

others = [name for name in ("anndata", "pandas", "scipy", "torch", "tqdm", "zarr") if importlib.util.find_spec(name)]
assert not others, f"{others} should not be here"
with tempfile.TemporaryDirectory() as folder:
    cm.simulate(Path(folder, "plates"), plates=2, cells=300, genes=500, nnz=40)
    cm.shard(Path(folder, "plates"), Path(folder, "store.zarr"), codec="fast")
    data = cm.open(Path(folder, "store.zarr"))
    assert data[[5, 599]]["X"].to_dense().shape == (2, 500)
    loader = cm.Loader(data, batch_size=50, order=cm.Shuffle(block=8, window=200), obs=["cell_line"])
    rows = [row for batch in loader for row in batch.rows.tolist()]
    assert sorted(rows) == list(range(600))
print(f"cellmill {cm.__version__}: {len(loader)} batches")
