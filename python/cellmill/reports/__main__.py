"""What ``cellmill report`` starts: one JSON object of options in, one of the result or the error out."""

from __future__ import annotations

import json
import sys
from typing import Any

from ..errors import Error, error_types
from .page import write_report


def _kind(error: BaseException) -> str:
    return next((kind for kind, type_ in error_types.items() if type(error) is type_), "other")


def main(options: dict[str, Any]) -> dict[str, Any]:
    """The result of `write_report`, or what went wrong, as the program tells it with ``--json``."""
    try:
        return write_report(**options)
    except Error as error:
        return {"error": {"kind": _kind(error), "message": str(error)}}
    except Exception as error:  # standard error is not heard
        return {"error": {"kind": "other", "message": f"{options['path']}: {type(error).__name__}: {error}"}}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
