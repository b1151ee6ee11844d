"""The program's commands as functions; options are theirs, with underscores for dashes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

from . import _core
from .program import run_command

Path = str | os.PathLike[str]


def _listed(paths: Path | Iterable[Path]) -> list[Path]:
    return [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)


def info(path: Path) -> dict[str, Any]:
    """What an AnnData holds: shape, matrices, columns and levels, keys, sizes."""
    return json.loads(_core.info_json(os.fspath(path)))


def validate(paths: Path | Iterable[Path], **options: Any) -> list[str]:
    """Reads everything; a message for each fault."""
    return run_command("validate", _listed(paths), **options)["faults"]


def run(plates: Path | Iterable[Path], output: Path, **options: Any) -> dict[str, Any]:
    """The main job, in this one process: plates in, principal components out.

    On several nodes the same job is ``srun cellmill run``. Inside a launch of several processes it is
    refused: each would write the same output.
    """
    return run_command("run", _listed(plates), output=output, **options)


def convert(path: Path, output: Path, **options: Any) -> dict[str, Any]:
    """A whole AnnData written anew, as h5ad or Zarr."""
    return run_command("convert", [path], output=output, **options)


def simulate(folder: Path, **options: Any) -> dict[str, Any]:
    """Plates like Tahoe-100M's, made up."""
    return run_command("simulate", [folder], **options)
