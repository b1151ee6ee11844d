#!/usr/bin/env python3
"""A small autoencoder, trained on several processes; it stops anywhere and goes on there, in the middle of an epoch.

    torchrun --nproc_per_node 2 examples/train_autoencoder.py plates/*.h5ad --checkpoint model.pt

Started again with the same checkpoint, it goes on with the batch that would have come next, also with another number
of processes. Needs torch. What to change for a model of your own: `Autoencoder`, and what the loader gives.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import cellmill as cm


class Autoencoder(nn.Module):
    """Genes → a few numbers for each cell → genes again."""

    def __init__(self, n_genes: int, width: int = 128, latent: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(n_genes, width), nn.ReLU(), nn.Linear(width, latent))
        self.decoder = nn.Sequential(nn.Linear(latent, width), nn.ReLU(), nn.Linear(width, n_genes))

    def forward(self, cells: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(cells))


def common_genes(data: cm.Dataset, n_genes: int, seed: int) -> list[str]:
    """The genes found in most of a thousand cells drawn at random: the same on every process."""
    drawn = np.random.default_rng(seed).choice(len(data), min(1000, len(data)), replace=False)
    found_in = np.bincount(data[drawn]["X"].indices, minlength=data.n_vars)
    return [data.var_names[gene] for gene in np.argsort(-found_in, kind="stable")[:n_genes]]


def save(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, whenever the job is killed."""
    partial = path.with_name(path.name + ".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def train(options: argparse.Namespace) -> None:
    rank = dist.get_rank()
    torch.manual_seed(options.seed)
    saved = torch.load(options.checkpoint, map_location="cpu") if options.checkpoint.exists() else None

    data = cm.open(options.plates)
    genes = saved["genes"] if saved else common_genes(data, options.genes, options.seed)
    # Each process gets its own batches, all equally many; rank and number of processes are torch's.
    loader = cm.Loader(
        data,
        batch_size=options.batch_size,
        seed=options.seed,
        genes=genes,
        transform=[cm.NormalizeTotal(1e4), cm.Log1p()],
        output="dense",
        to="torch",
    )

    model = DistributedDataParallel(Autoencoder(len(genes)))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    if saved:
        model.module.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])

    def checkpoint() -> None:
        if rank == 0:  # the loader's state is the same on all processes, so one saves it for all
            content = {"genes": genes, "model": model.module.state_dict(), "optimizer": optimizer.state_dict()}
            save(options.checkpoint, {**content, "loader": loader.state_dict()})

    steps = 0  # of this launch
    while loader.epoch < options.epochs:  # an epoch that is over makes way for the next by itself
        epoch, total, count = loader.epoch, torch.zeros(()), 0
        for batch in loader:
            optimizer.zero_grad()
            loss = nn.functional.mse_loss(model(batch["X"]), batch["X"])
            loss.backward()
            optimizer.step()
            total, count, steps = total + loss.detach(), count + 1, steps + 1
            if steps == options.stop_after:
                return checkpoint()
            if steps % options.save_every == 0:
                checkpoint()
        dist.all_reduce(total)
        if rank == 0 and count > 0:
            print(f"epoch {epoch}: {count} steps, loss {float(total) / count / dist.get_world_size():.4f}", flush=True)
    return checkpoint()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plates", nargs="+", help="h5ad files, Zarr stores, globs; best what cellmill shard wrote")
    parser.add_argument("--checkpoint", type=Path, default=Path("autoencoder.pt"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=128, help="cells, of each process")
    parser.add_argument("--genes", type=int, default=1000, help="how many: those found in most cells")
    parser.add_argument("--save-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--stop-after", type=int, default=0, metavar="STEPS", help="as a job does whose time is up")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dist.init_process_group("gloo")  # "nccl" on GPUs, with batch.to(device)
    train(options)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
