#!/usr/bin/env python3
"""Cell lines from counts, by a linear classifier trained on several processes (DDP).

    torchrun --nproc_per_node 2 examples/train_classifier.py train.zarr
    sbatch scripts/slurm/train.sbatch train.zarr

NCCL where there are GPUs, one a process; gloo where there are none. Needs torch. Each process gets its own batches,
all equally many; which it is, is found in what the launcher set.
"""

from __future__ import annotations

import argparse
import os

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import cellmill as cm


def train(options: argparse.Namespace, device: torch.device) -> None:
    torch.manual_seed(options.seed)
    loader = cm.Loader(
        options.store,
        batch_size=options.batch_size,
        seed=options.seed,
        obs=[options.label],
        transform=[cm.NormalizeTotal(1e4), cm.Log1p()],
        output="dense",
        to="torch",
        device=device,
    )
    model = nn.Linear(len(loader.var_names), len(loader.categories[options.label])).to(device)
    if dist.get_world_size() > 1:
        model = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters(), lr=options.rate)
    for epoch in range(options.epochs):
        seen = right = 0
        total = torch.zeros(1, device=device)
        for batch in loader:
            labels = batch[options.label]
            known = labels >= 0  # a cell without a label teaches nothing
            scores = model(batch["X"])
            loss = nn.functional.cross_entropy(scores[known], labels[known])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
            seen += int(known.sum())
            right += int((scores[known].argmax(1) == labels[known]).sum())
        sums = torch.tensor([float(total), seen, right], device=device)
        dist.all_reduce(sums)
        if dist.get_rank() == 0:
            steps = len(loader) * dist.get_world_size()
            print(f"epoch {epoch}: loss {sums[0] / steps:.4f}, {sums[2] / sums[1]:.1%} of {int(sums[1])} cells right")
    # All processes made the same steps, so they hold the same model.
    weights = next(model.parameters()).detach().double().sum().reshape(1)
    smallest, largest = weights.clone(), weights.clone()
    dist.all_reduce(smallest, op=dist.ReduceOp.MIN)
    dist.all_reduce(largest, op=dist.ReduceOp.MAX)
    if dist.get_rank() == 0:
        print(f"{dist.get_world_size()} processes, {'one model' if smallest == largest else 'MODELS DIFFER'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", nargs="+", help="what cellmill.open takes: a training store, plates")
    parser.add_argument("--label", default="cell_line", help="categorical column of obs")
    parser.add_argument("--batch-size", type=int, default=1024, help="of each process")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0"))) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    try:
        train(options, device)
    finally:
        dist.destroy_process_group()


if __name__ == "__main__":
    main()
