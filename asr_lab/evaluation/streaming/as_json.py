"""The comparison of streaming as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import attrs

from asr_lab.evaluation.scoring import SetScore
from asr_lab.evaluation.streaming.proof import Proof
from asr_lab.evaluation.streaming.table import ContextRow, Playback


def proof_json(proof: Proof) -> dict[str, Any]:
    """`holds`, `problems`, and every check with its differences and the places where tokens differ."""
    whole = {"decisions": proof.decisions, "num_differing": proof.num_differing}
    return {"holds": proof.holds, "problems": list(proof.problems), **whole, **plain(proof)}


def row_json(row: ContextRow) -> dict[str, Any]:
    """A row of the table; rates are fractions."""
    content: dict[str, Any] = plain(row)
    if row.delay is not None:
        content["delay"] = {**content["delay"], "mean_ms": row.delay.mean_ms, "worst_ms": row.delay.worst_ms}
    return content


def set_json(score: SetScore) -> dict[str, Any]:
    """The set that was decoded, and how its rates and intervals were made."""
    return {
        "name": score.name,
        "utterances": score.utterances,
        "audio_s": round(score.audio_s, 3),
        "hash": score.hash,
        "normaliser": score.normaliser,
        "interval": {
            "level": 0.95,
            "resampled": score.resampled,
            "units": score.units,
            "resamples": score.resamples,
            "seed": score.seed,
        },
    }


def unaligned_json(playback: Playback) -> list[dict[str, str]]:
    """Utterances whose reference has no place in the audio: their words have no delay."""
    return [{"set": name, "id": id, "reason": reason} for (name, id), reason in playback.unaligned.items()]


def plain(value: Any) -> Any:
    """Sections and named tuples as objects, other tuples as lists; what is infinite or no number is None."""
    if attrs.has(type(value)):
        return {field.name: plain(getattr(value, field.name)) for field in attrs.fields(type(value))}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: plain(one) for name, one in value._asdict().items()}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, tuple | list):
        return [plain(one) for one in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def as_text(content: dict[str, Any]) -> str:
    """Indented, in UTF-8."""
    return json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
