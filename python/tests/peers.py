"""Packages that cellmill works with but doesn't need."""

from __future__ import annotations

import importlib
import os
from types import ModuleType

import pytest

#: What the run says must be there: `scripts/python-tests` in continuous integration.
NEEDED = os.environ.get("CELLMILL_TEST_NEEDS", "").split()


def peer(name: str) -> ModuleType:
    """The package; without it the tests that ask are skipped, or fail where the run needs it."""
    try:
        return importlib.import_module(name)
    except ImportError:
        if name in NEEDED:
            raise
        pytest.skip(f"{name} is not installed", allow_module_level=True)
