"""The three parts of a recipe's identity, and the hash of the first."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import attrs

from asr_lab.config.structure import unstructure


@attrs.frozen
class Identity:
    """A recipe's resolved form in its three parts; the label is in none."""

    experiment: dict[str, Any]
    """What decides the weights."""
    execution: dict[str, Any]
    """What may change between attempts."""
    evaluation: dict[str, Any]
    """What never retrains."""
    hash: str
    """SHA-256 of the experiment's canonical form, hexadecimal; keys at the value of their absence are not in it."""


def identify(value: Any, execution: Sequence[str], evaluation: Sequence[str], label: str = "name") -> Identity:
    """The identity of a section; `execution` and `evaluation` are dotted paths of tables and keys."""
    parts = split(unstructure(value), execution, evaluation, label)
    hashed, _, _ = split(unstructure(value, without_absent=True), execution, evaluation, label)
    return Identity(*parts, hashlib.sha256(canonical(hashed).encode()).hexdigest())


def split(
    whole: dict[str, Any], execution: Sequence[str], evaluation: Sequence[str], label: str = "name"
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """A resolved form in its parts: experiment, execution, evaluation."""
    experiment = copy.deepcopy(whole)
    experiment.pop(label, None)
    return experiment, _move(experiment, execution), _move(experiment, evaluation)


def canonical(data: Any) -> str:
    """Plain data as one text: keys sorted, no white space, and each number spelled one way (1.0 as 1)."""
    return json.dumps(_plain(data), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def merge(*parts: dict[str, Any]) -> dict[str, Any]:
    """Parts of an identity put together again."""
    whole: dict[str, Any] = {}
    for part in parts:
        for key, value in part.items():
            both = isinstance(value, dict) and isinstance(whole.get(key), dict)
            whole[key] = merge(whole[key], value) if both else value
    return whole


def _plain(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _plain(value) for key, value in data.items()}
    if isinstance(data, list):
        return [_plain(value) for value in data]
    if isinstance(data, float) and data.is_integer() and abs(data) < 2**53:
        return int(data)
    return data


def _move(data: dict[str, Any], paths: Sequence[str]) -> dict[str, Any]:
    """Take the values at these paths out of the data, nested as they were."""
    taken: dict[str, Any] = {}
    for path in paths:
        *tables, key = path.split(".")
        source, target = data, taken
        for table in tables:
            source = source.get(table, {})
        if key in source:
            for table in tables:
                target = target.setdefault(table, {})
            target[key] = source.pop(key)
    return taken
