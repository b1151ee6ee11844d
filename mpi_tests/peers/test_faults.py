"""File systems that hang or are full: the job ends, with one message that names the file."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from program import IN_CI, PROGRAM, cellmill, mpirun

# Reads of a file of this name that are longer than those of metadata never come back.
HANGING_READS = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void hang_if_asked(int file, size_t count) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  ssize_t length = readlink(link, path, sizeof path - 1);
  if (length <= 0 || count < 100000) return;
  path[length] = 0;
  const char* wanted = getenv("HANGING_FILE");
  if (wanted && strstr(path, wanted)) for (;;) pause();
}
ssize_t pread(int file, void* to, size_t count, off_t at) {
  static ssize_t (*real)(int, void*, size_t, off_t);
  if (!real) real = (ssize_t (*)(int, void*, size_t, off_t))dlsym(RTLD_NEXT, "pread");
  hang_if_asked(file, count);
  return real(file, to, count, at);
}
ssize_t pread64(int file, void* to, size_t count, off_t at) { return pread(file, to, count, at); }
"""


@pytest.fixture(scope="session")
def hanging_reads(tmp_path_factory) -> str:
    """A library to preload."""
    folder = tmp_path_factory.mktemp("hang")
    (folder / "hang.c").write_text(HANGING_READS)
    library = folder / "hang.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, folder / "hang.c", "-ldl"], check=True)
    return str(library)


@pytest.mark.parametrize("ranks", [0, 3])
def test_a_read_that_never_comes_back_ends_the_job(simulated, tmp_path, hanging_reads, ranks):
    out = tmp_path / "out.zarr"
    environment = os.environ | {"LD_PRELOAD": hanging_reads, "HANGING_FILE": "plate2.h5ad"}
    command = [*(mpirun(ranks) if ranks else []), PROGRAM, "run", *simulated, "-o", out, "--io-timeout", "2"]
    begun = time.monotonic()
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert time.monotonic() - begun < 40
    assert ended.returncode != 0
    told = [line for line in ended.stderr.splitlines() if "hangs" in line]
    assert len(told) == 1, ended.stderr
    assert "plate2.h5ad: X: reading rows" in told[0]
    assert not out.exists()


def with_small_disk(folder: Path, kilobytes: int, *command: object) -> subprocess.CompletedProcess:
    """Runs the program where the folder is a disk of this size, and then lists what is left there.

    In a mount namespace of its own; skips where that is not allowed.
    """
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        message = "mounting needs root and unshare"
        pytest.fail(message) if IN_CI else pytest.skip(message)
    script = f'mount -t tmpfs -o size={kilobytes}k tmpfs {folder} && "$@"; status=$?; ls -A {folder}; exit $status'
    ended = subprocess.run(
        ["unshare", "--mount", "bash", "-c", script, "run", str(PROGRAM), *map(str, command)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "Operation not permitted" in ended.stderr:
        pytest.skip("no mount namespaces here")
    return ended


@pytest.mark.parametrize("name", ["out.zarr", "out.h5ad"])
@pytest.mark.parametrize("kilobytes", [64, 512, 1024])
def test_a_full_output_disk_is_named(simulated, tmp_path, name, kilobytes):
    """The output takes more than a megabyte."""
    folder = tmp_path / "full"
    folder.mkdir()
    ended = with_small_disk(folder, kilobytes, "run", *simulated, "-o", folder / name, "--scratch", "none")
    assert ended.returncode == 1, ended.stderr
    errors = [line for line in ended.stderr.splitlines() if line.startswith("cellmill: error: ")]
    assert len(errors) == 1
    assert errors[0].endswith(": No space left on device")
    assert name in errors[0]
    assert ended.stdout == ""


def test_a_full_checkpoint_disk_costs_the_checkpoint_only(simulated, tmp_path):
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    command = ["run", *simulated, "--checkpoint", folder, "--checkpoint-every", 0.01, "-o", tmp_path / "out.zarr"]
    ended = with_small_disk(folder, 64, *command)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("no checkpoint could be written") >= 1
    assert "No space left" in ended.stderr
    assert cellmill("info", tmp_path / "out.zarr").status == 0
