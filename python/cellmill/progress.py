"""How far a command is: bars of tqdm, if it is there."""

from __future__ import annotations

from typing import Any


class Progress:
    """Shows what ``--progress-json`` tells: a bar for each pass."""

    def __init__(self, wanted: bool) -> None:
        self._tqdm = _tqdm() if wanted else None
        self._bar: Any = None
        self._name: str | None = None

    def show(self, state: dict[str, Any]) -> None:
        """One state of a pass: ``name``, ``total`` and ``done`` in cells, at the end ``finished``."""
        if self._tqdm is None:
            return
        if self._name != state["name"]:
            self.close()
            self._name = state["name"]
            total = state["total"] or None
            self._bar = self._tqdm(total=total, desc=self._name, unit=" cells", unit_scale=True)
        if state["done"] > self._bar.n:
            self._bar.update(state["done"] - self._bar.n)
        if state.get("finished"):
            self.close()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar = self._name = None


def _tqdm() -> Any:
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return None
    return tqdm
