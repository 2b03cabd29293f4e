"""Values of a Helm chart."""

from collections.abc import Mapping
from typing import Any

Values = dict[str, Any]


def merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> Values:
    """As Helm merges values: maps by key, anything else replaced."""
    merged = dict(below)
    for key, value in above.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both else value
    return merged
