"""The recipes that `just bench --peers` holds against other toolkits are as large as the peers."""

from __future__ import annotations

from pathlib import Path

import pytest

from asr_lab.compiler.graph import recipe_graph
from asr_lab.compiler.load import load_recipe

TWINS = Path(__file__).resolve().parents[2] / "recipes" / "bench"


@pytest.mark.parametrize(("twin", "millions"), [("nemo_twin", 26.2), ("whisper_twin", 16.4), ("hf_twin", 5.2)])
def test_a_twin_has_its_peers_parameters_within_2_percent(twin: str, millions: float) -> None:
    graph = recipe_graph(load_recipe(TWINS / f"{twin}.toml").value)
    assert graph.parameters / 1e6 == pytest.approx(millions, rel=0.02)


def test_the_whisper_twin_has_openai_whispers_parameters_within_2_percent() -> None:
    whisper = pytest.importorskip("whisper.model")
    peer = whisper.Whisper(whisper.ModelDimensions(80, 500, 256, 4, 12, 1024, 448, 256, 4, 6))
    graph = recipe_graph(load_recipe(TWINS / "whisper_twin.toml").value)
    assert graph.parameters == pytest.approx(sum(p.numel() for p in peer.parameters()), rel=0.02)
