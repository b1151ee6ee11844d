"""The program that comes with the package, and its commands as functions.

They run the program, so they are the same thing: same options, same messages, same results.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .errors import Error, error_types

_PROGRAM = Path(__file__).parent / "bin" / "cellmill"


def main() -> None:
    """The command ``cellmill``."""
    os.execv(_PROGRAM, ["cellmill", *sys.argv[1:]])


def _option(name: str, value: Any) -> list[str]:
    flag = "--" + name.rstrip("_").replace("_", "-")
    if value is None or value is False:
        return []
    if value is True:
        return [flag]
    if isinstance(value, (list, tuple)):
        return [flag, *map(str, value)] if value else []
    return [flag, str(value)]


def run_command(command: str, paths: Sequence[Any], **options: Any) -> Any:
    """Runs a command to its end; its progress shows on standard error.

    Returns
    -------
    What the command prints with ``--json``.

    Raises
    ------
    cellmill.Error
        With the program's message, as the exception that its kind belongs to.
    """
    arguments = [str(_PROGRAM), command, *map(os.fspath, paths), "--json"]
    for name, value in options.items():
        arguments += _option(name, value)
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    try:
        output, _ = process.communicate()
    except KeyboardInterrupt:
        # The terminal told the program too; elsewhere it is told now. It stops cleanly by itself.
        process.send_signal(signal.SIGINT)
        process.wait()
        raise
    result = json.loads(output) if output.strip() else {}
    if process.returncode == 0:
        return result
    if isinstance(result, dict) and "error" in result:
        error = result["error"]
        raise error_types.get(error["kind"], Error)(error["message"])
    if isinstance(result, dict) and result:
        return result  # a command whose result is bad news: validate
    raise Error(f"cellmill {command} ended with status {process.returncode}")
