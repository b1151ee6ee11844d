#!/usr/bin/env python3
"""Geneformer's task in small: each cell is the list of its genes, some of them are hidden, a transformer names them.

    torchrun --nproc_per_node 2 examples/train_masked_tokens.py cells/*.h5ad --dictionary geneformer.tsv

The dictionary has the genes' tokens and medians (docs/training.md, "Tokens"); its names are Ensembl ids, which 10x's
files keep in the column gene_ids: --gene-key gene_ids. Started again with the same checkpoint, it goes on with the
batch that would have come next. Needs torch.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import cellmill as cm


class MaskedTokens(nn.Module):
    """A token's vector and that of its place go in; out comes a score for each token that may be hidden there."""

    def __init__(self, n_tokens: int, max_length: int, width: int = 64, layers: int = 2) -> None:
        super().__init__()
        self.tokens = nn.Embedding(n_tokens, width)
        self.places = nn.Embedding(max_length, width)  # genes come by rank: the place is how much there is of them
        layer = nn.TransformerEncoderLayer(width, nhead=4, dim_feedforward=4 * width, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers)
        for embedding in (self.tokens, self.places):
            nn.init.normal_(embedding.weight, std=0.02)

    def forward(self, tokens: torch.Tensor, present: torch.Tensor, hidden: torch.Tensor) -> torch.Tensor:
        vectors = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        vectors = self.encoder(vectors, src_key_padding_mask=~present)
        # Only where tokens were hidden: scores of all places would be cells × length × 25,000 numbers.
        return vectors[hidden] @ self.tokens.weight.T


def hide(tokens: torch.Tensor, special: dict[str, int], share: float = 0.15) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens with a share of the genes replaced by <mask>, and where; never padding, <cls> or <eos>."""
    is_gene = ~torch.isin(tokens, torch.tensor(list(special.values()), device=tokens.device))
    hidden = is_gene & (torch.rand(tokens.shape, device=tokens.device) < share)
    return tokens.masked_fill(hidden, special["<mask>"]), hidden


def save(path: Path, content: dict[str, Any]) -> None:
    """Whole or not at all, whenever the job is killed."""
    partial = path.with_name(path.name + ".partial")
    torch.save(content, partial)
    os.replace(partial, path)


def train(options: argparse.Namespace, device: torch.device) -> None:
    rank, world = dist.get_rank(), dist.get_world_size()
    data = cm.open(options.cells, gene_key=options.gene_key)
    # Version 2 begins each cell with <cls>, so that one without a known gene has a token too.
    tokenizer = cm.Geneformer(options.dictionary, version=2, max_length=options.max_length)
    loader = cm.Loader(data, options.batch_size, seed=options.seed, output=tokenizer, to="torch", device=device)

    torch.manual_seed(options.seed)  # the same model on all processes
    special = loader.special_tokens  # name → id; those that the dictionary lacks come after its last
    model = DistributedDataParallel(MaskedTokens(loader.n_tokens, options.max_length).to(device))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)

    step = 0
    if options.checkpoint.exists():
        saved = torch.load(options.checkpoint, map_location=device)
        model.module.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        loader.load_state_dict(saved["loader"])
        step = saved["step"]

    def checkpoint() -> None:
        if rank == 0:  # the loader's state is the same on all processes, so one saves it for all
            content = {"model": model.module.state_dict(), "optimizer": optimizer.state_dict()}
            save(options.checkpoint, {**content, "loader": loader.state_dict(), "step": step})

    while loader.epoch < options.epochs:  # an epoch that is over makes way for the next by itself
        epoch, sums = loader.epoch, torch.zeros(2, device=device)
        for batch in loader:
            # What is hidden, and dropout, depend on the step: a run that goes on draws as one that wasn't stopped.
            torch.manual_seed((options.seed << 32) + step * world + rank)
            tokens, hidden = hide(batch.input_ids, special)
            scores = model(tokens, batch.attention_mask, hidden)
            loss = nn.functional.cross_entropy(scores, batch.input_ids[hidden], reduction="sum")
            optimizer.zero_grad()
            (loss / max(len(scores), 1)).backward()
            optimizer.step()
            sums += torch.stack([loss.detach(), hidden.sum()])
            step += 1
            if step % options.save_every == 0:
                checkpoint()
            if step == options.stop_at:
                return checkpoint()
        dist.all_reduce(sums)
        if rank == 0 and sums[1] > 0:
            print(f"epoch {epoch}: step {step}, loss {float(sums[0] / sums[1]):.4f}", flush=True)
    return checkpoint()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cells", nargs="+", help="raw counts: h5ad files, Zarr stores, 10x files, globs")
    parser.add_argument("--dictionary", required=True, help="table of gene id, token and median")
    parser.add_argument("--gene-key", metavar="COLUMN", help="column of var with the dictionary's names")
    parser.add_argument("--checkpoint", type=Path, default=Path("masked_tokens.pt"))
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch-size", type=int, default=32, help="cells, of each process")
    parser.add_argument("--max-length", type=int, default=512, help="tokens of a cell at most")
    parser.add_argument("--save-every", type=int, default=50, metavar="STEPS")
    parser.add_argument("--stop-at", type=int, default=0, metavar="STEP", help="as a job does whose time is up")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    gpu = torch.cuda.is_available()
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if gpu else torch.device("cpu")
    if gpu:
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if gpu else "gloo")
    train(options, device)
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
