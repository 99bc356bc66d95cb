"""The examples of the API's document: what a desk was asked and said in lives that were played.

`scripts/build_api_examples.py` plays them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

EXAMPLES: Final = Path(__file__).with_name("examples.json")


def add_examples(document: dict[str, Any]) -> None:
    """Adds to each operation of an OpenAPI document the request and the answer that are known."""
    found = json.loads(EXAMPLES.read_text())
    for operations in document["paths"].values():
        for operation in operations.values():
            _add(operation, found.get(operation["operationId"], {}))


def _add(operation: dict[str, Any], found: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if (value := found.get("path", {}).get(parameter["name"])) is not None:
            parameter["example"] = value
    if "request" in found:
        operation["requestBody"]["content"]["application/json"]["example"] = found["request"]
    for status, answer in found.get("answer", {}).items():
        for content in operation["responses"][status].get("content", {}).values():
            content["example"] = answer
