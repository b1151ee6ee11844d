#!/usr/bin/env python3
"""Cell lines by a linear classifier; what it is trained on, and how, is in a YAML file.

    python examples/config/train.py examples/config/cell_lines.yaml

Orders, transforms and outputs may all be plain text, numbers, lists and mappings, so a loader is made of what the file
says, without a line of code for each option. Needs torch and PyYAML.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

import cellmill as cm


def make_loaders(config: dict[str, Any]) -> tuple[cm.Loader, cm.Loader]:
    data = cm.open(**config["data"])
    train, val = data.split(**config["split"])
    training = cm.Loader(data, rows=train, **config["loader"])
    evaluation = cm.Loader(data, rows=val, **{**config["loader"], **config["evaluation"]})
    return training, evaluation


def main() -> None:
    config = yaml.safe_load(Path(sys.argv[1]).read_text())
    label, epochs, rate = (config["training"][name] for name in ("label", "epochs", "rate"))
    training, evaluation = make_loaders(config)
    torch.manual_seed(config["loader"]["seed"])
    model = nn.Linear(len(training.var_names), len(training.categories[label]))
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for epoch in range(epochs):
        total = 0.0
        for batch in training:
            loss = nn.functional.cross_entropy(model(batch["X"]), batch[label])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        with torch.no_grad():
            right = [model(batch["X"]).argmax(1) == batch[label] for batch in evaluation]
        share = float(torch.cat(right).float().mean())
        print(f"epoch {epoch}: loss {total / len(training):.4f}, {share:.1%} of the others right", flush=True)


if __name__ == "__main__":
    main()
