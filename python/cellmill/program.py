"""The program that comes with the package, run for its commands.

So they are the same thing: same options, same messages, same results; and a file that crashes the
HDF5 library doesn't take Python with it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from .errors import Error, InputError, error_types
from .log import log_line
from .progress import Progress
from .world import launched_world

PROGRAM = Path(__file__).parent / "bin" / "cellmill"


def main() -> None:
    """The command ``cellmill``."""
    os.environ.setdefault("CELLMILL_PYTHON", sys.executable)  # which draws reports
    os.execv(PROGRAM, ["cellmill", *sys.argv[1:]])


def as_arguments(options: Mapping[str, Any]) -> list[str]:
    """Options as the program spells them: `n_comps=5` is `--n-comps 5`; None and False are left out."""
    arguments: list[str] = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            arguments.append(flag)
        elif isinstance(value, (list, tuple)):
            arguments += [flag, *map(str, value)] if value else []
        else:
            text = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
            arguments += [f"{flag}={text}"] if text.startswith("-") else [flag, text]
    return arguments


def refuse_in_launch(command: str) -> None:
    """Each process of a job would write the same output."""
    world, launcher = launched_world()
    if world.size > 1:
        raise InputError(
            f"cm.{command} runs in one process, and this is one of {world.size} ({launcher}): each would write the "
            f"same output. Call it before the launch, or launch the program itself: srun cellmill {command} …"
        )


def run_command(command: str, paths: Sequence[Any], *, progress: bool = True, **options: Any) -> Any:
    """Runs a command to its end.

    Parameters
    ----------
    progress
        Bars of tqdm, if it is there.

    Returns
    -------
    What the command prints with ``--json``.

    Raises
    ------
    cellmill.Error
        With the program's message, as the exception that its kind belongs to.
    KeyboardInterrupt
        On Ctrl-C, once the program has stopped and removed what it had begun to write.
    """
    arguments = [os.fspath(PROGRAM), command, *map(os.fspath, paths), *as_arguments(options)]
    process = subprocess.Popen(
        [*arguments, "--json", "--progress-json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    assert process.stderr is not None
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.append(process.stdout.read()), daemon=True)
    reader.start()
    bars = Progress(progress)
    try:
        _listen(process.stderr, bars)
    except BaseException:
        # Not SIGINT: a terminal has sent that already, and a second one would leave half an output.
        process.terminate()
        _listen(process.stderr, bars)
        process.wait()
        raise
    finally:
        bars.close()
    process.wait()
    reader.join()
    return _result(command, process.returncode, output[0])


def _listen(lines: IO[str], bars: Progress) -> None:
    for line in lines:
        if line.startswith('{"progress":'):
            bars.show(json.loads(line)["progress"])
        elif line.strip():
            log_line(line.rstrip("\n"))


def _result(command: str, status: int, output: str) -> Any:
    result = json.loads(output) if output.strip() else {}
    if status != 0 and "error" in result:
        raise error_types.get(result["error"]["kind"], Error)(result["error"]["message"])
    if status != 0 and not result:
        raise Error(f"cellmill {command} ended with status {status}")
    return result  # also of a command whose result is bad news: validate
