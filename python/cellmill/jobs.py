"""Job scripts for Slurm."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .program import as_arguments

_DEFAULTS: dict[str, Any] = {
    "job-name": "cellmill",
    "nodes": 1,
    "ntasks-per-node": 4,
    "cpus-per-task": 8,
    "time": "04:00:00",
}

_SCRIPT = """\
#!/bin/bash
{directives}
#SBATCH --chdir={folder}

# A build with MPI; the one that comes with the Python package runs as one task.
: "${{CELLMILL:=cellmill}}"
srun --mpi=pmix "$CELLMILL" {command}
"""


def write_job(
    path: str | os.PathLike[str],
    command: str,
    paths: Sequence[Any],
    options: Mapping[str, Any],
    slurm: Mapping[str, Any] | None = None,
) -> Path:
    """Writes a job script that runs a command; nothing is submitted.

    Parameters
    ----------
    slurm
        Options of sbatch, with underscores or dashes: ``{"nodes": 4, "mem": "64G"}``; a value of None
        takes a default out.
    """
    wanted = _DEFAULTS | {name.replace("_", "-"): value for name, value in (slurm or {}).items()}
    directives = [f"#SBATCH --{name}={value}" for name, value in wanted.items() if value is not None]
    words = [command, *map(os.fspath, paths), *as_arguments(options)]
    script = Path(path)
    script.write_text(
        _SCRIPT.format(directives="\n".join(directives), folder=os.getcwd(), command=shlex.join(words)),
        encoding="utf-8",
    )
    return script
