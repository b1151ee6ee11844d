"""Options from files of configuration."""

from __future__ import annotations

import sys
from typing import Any


def plain(value: Any) -> Any:
    """The same, with OmegaConf's containers as dicts and lists.

    Hydra passes them; one that holds an order or a transform holds it as a container of its fields.
    """
    omegaconf = sys.modules.get("omegaconf")
    if omegaconf is None or not omegaconf.OmegaConf.is_config(value):
        return value
    return omegaconf.OmegaConf.to_object(value)
