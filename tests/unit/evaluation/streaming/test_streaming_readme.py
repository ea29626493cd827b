"""The streaming tables of the README are those of the committed comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from asr_lab.errors import DataError
from asr_lab.evaluation.streaming.readme import publish_streaming, streaming_section, update_streaming

ROOT = Path(__file__).resolve().parents[4]
RATE = {"value": 0.125, "low": 0.1, "high": 0.15}
PERCENTILES = {"p50_s": 0.163, "p90_s": 0.3225, "p95_s": 1.25}


def row(label: str, **changes: Any) -> dict[str, Any]:
    return {
        "label": label,
        "kind": "live",
        "decoder": "ctc",
        "trained": True,
        "rates": {"wer": RATE, "cer": RATE},
        "differences": {"wer": {"difference": 0.0117, "low": -0.025, "high": 0.0476}},
        "delay": {"worst_ms": 162.5},
        "latency": {"words": {"final": PERCENTILES}},
        "speed": {"real_time_factor": 0.272, "chunk_p50_ms": 41.69, "chunk_p99_ms": 59.0},
        "state_bytes": 2048,
        "reencoded_s_per_s": None,
        "not kept": "/somewhere",
        **changes,
    }


def comparison() -> dict[str, Any]:
    checks = [{"dtype": d, "relative": r} for d, r in (("float64", 4e-15), ("float64", 1e-15), ("float32", 3.7e-7))]
    proof = {"holds": True, "decisions": 20370, "num_differing": 0, "audio_s": 58.0, "utterances": ["a", "b"]}
    offline = row("offline", kind="offline", differences=None, delay=None, state_bytes=None, latency={"words": None})
    about = {"name": "folder", "utterances": 60, "audio_s": 120.0, "interval": {"resamples": 1000}}
    return {
        "about": {"run": "/somewhere"},
        "proof": {**proof, "checks": checks},
        "rows": [offline, row("160 ms"), row("80 ms", trained=False)],
        "set": about,
        "timed": {"threads": 1},
        "files": {"folder": "/somewhere"},
    }


def test_the_readme_shows_the_committed_comparisons() -> None:
    tables = streaming_section(ROOT / "docs" / "streaming", "docs/streaming")
    shown = f"<!-- streaming:start -->\n{tables}<!-- streaming:end -->"
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    assert shown in page, "write it anew: python -m asr_lab.evaluation.streaming.readme"


def test_a_comparison_is_kept_without_its_paths_and_shown_with_every_row(tmp_path: Path) -> None:
    curve = tmp_path / "run" / "curve.svg"
    curve.parent.mkdir()
    for suffix in (".svg", ".png"):
        curve.with_suffix(suffix).write_text("drawn")
    folder = tmp_path / "docs"
    kept = publish_streaming(folder, "ssm", "An SSM", "asrlab compare-streaming ssm", comparison(), curve)
    assert "/somewhere" not in kept.read_text()
    assert (folder / "ssm.svg").read_text() == (folder / "ssm.png").read_text() == "drawn"
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- streaming:start -->\nold\n<!-- streaming:end -->\nafter\n")
    assert update_streaming(readme, folder)
    assert not update_streaming(readme, folder)
    text = readme.read_text()
    assert "\nold\n" not in text
    assert "The proof holds: over 2 utterances (58 s), in every context" in text
    assert "at most 4e-15 in float64, 4e-07 in float32, 0 of 20,370 tokens differ" in text
    assert "| offline | 12.50 (10.00 to 15.00) |  | 12.50 |  |  | 0.272 | 41.7 / 59.0 |  |" in text
    assert "| 160 ms | 12.50 (10.00 to 15.00) | +1.17 (-2.50 to +4.76) | 12.50 | 162 | 163 / 322 / 1,250 |" in text
    assert "| 80 ms \\* |" in text
    assert "(docs/ssm.svg)" in text
    readme.write_text("no markers")
    with pytest.raises(DataError, match="no place for streaming"):
        update_streaming(readme, folder)
