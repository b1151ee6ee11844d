#!/usr/bin/env python3
"""What a drug does to a cell, learnt from treated cells and matched controls, and asked of a pair that was not seen.

    python examples/train_perturbation.py plates/*.h5ad --hold-out drug_03 CVCL_0001

Each treated cell comes with a control cell of its cell line (`cm.Paired`, `batch.control`). The model gets the control
and the drug, and is to give the treated cell. One drug in one cell line is left out of training; in the end its
prediction should be nearer to the cells than those for other drugs. Needs torch. A batch has all genes of all its
cells: of tens of thousands, give those that matter (--genes).
"""

from __future__ import annotations

import argparse

import torch
from torch import nn

import cellmill as cm


class Effect(nn.Module):
    """A control cell and a drug → the treated cell."""

    def __init__(self, n_genes: int, n_drugs: int, width: int = 128) -> None:
        super().__init__()
        self.cell = nn.Linear(n_genes, width)
        self.drug = nn.Embedding(n_drugs, width)
        self.decoder = nn.Sequential(nn.ReLU(), nn.Linear(width, n_genes))

    def forward(self, control: torch.Tensor, drug: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.cell(control) + self.drug(drug))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plates", nargs="+", help="raw counts: h5ad files, Zarr stores, globs")
    parser.add_argument("--hold-out", nargs=2, required=True, metavar=("DRUG", "CELL_LINE"))
    parser.add_argument("--control", default="DMSO_TF", help="the drug that controls have")
    parser.add_argument("--genes", help="file of gene names; otherwise all")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch-size", type=int, default=128, help="treated cells; as many controls besides")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    drug, line = options.hold_out
    held_out = f'drug == "{drug}" and cell_line == "{line}"'
    how = {
        "batch_size": options.batch_size,
        "seed": options.seed,
        "order": cm.Paired("drug", options.control, match="cell_line"),
        "obs": ["drug"],
        "genes": options.genes,
        "transform": [cm.NormalizeTotal(1e4), cm.Log1p()],
        "output": "dense",
        "to": "torch",
    }
    data = cm.open(options.plates)
    loader = cm.Loader(data, filter=f"not ({held_out})", **how)
    # Controls must be among the rows too. Padded, so that every held-out cell comes once.
    held_out_loader = cm.Loader(data, filter=f'({held_out}) or drug == "{options.control}"', tail="pad", **how)

    torch.manual_seed(options.seed)
    # Codes of drugs are the data's, whatever rows are in use: both loaders have the same.
    model = Effect(len(loader.var_names), len(loader.categories["drug"]))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(options.epochs):
        total = 0.0
        for batch in loader:  # another control for each cell in every epoch
            loss = nn.functional.mse_loss(model(batch.control["X"], batch["drug"]), batch["X"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        print(f"epoch {epoch}: loss {total / len(loader):.4f}", flush=True)

    # What each drug would do to the held-out cells' controls. Means over cells, because single cells are noisy.
    drugs = loader.categories["drug"]
    predicted, treated = torch.zeros(len(drugs), len(loader.var_names)), torch.zeros(len(loader.var_names))
    with torch.no_grad():
        for batch in held_out_loader:
            treated += batch["X"].sum(0)  # rows that fill the batch up are zero
            for code in range(len(drugs)):
                of_all = model(batch.control["X"], torch.full((len(batch),), code))
                predicted[code] += of_all[batch.valid].sum(0)
    nearest = [drugs[code] for code in (predicted - treated).norm(dim=1).argsort()]
    place = nearest.index(drug) + 1
    print(
        f"{drug} in {line}, never seen: of {len(drugs)} drugs its prediction is number {place} by nearness to the cells"
    )


if __name__ == "__main__":
    main()
