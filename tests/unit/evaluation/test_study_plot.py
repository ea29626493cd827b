"""The picture of a study."""

from __future__ import annotations

import pytest

from asr_lab.evaluation.study_plot import PlotArm, draw_study

LINE = [PlotArm(f"lr={x}", "", x, (0.2 + x, 0.25 + x, 0.3 + x)) for x in (1e-3, 1e-2, 3e-2)]
NAMES = [PlotArm(name, "", None, values) for name, values in (("muon", (0.2, 0.3)), ("adamw", (0.4,)))]
TWO = [PlotArm(f"lr={x} dim={d}", f"dim={d}", x, (0.2 + x,)) for x in (1.0, 2.0) for d in (16, 32)]


@pytest.mark.parametrize("arms", [LINE, NAMES, TWO, LINE[:1], NAMES[1:]])
@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_every_kind_of_study_is_drawn_and_the_same_each_time(arms: list[PlotArm], suffix: str) -> None:
    first = draw_study(arms, "lr", "WER", "digits", suffix)
    assert first == draw_study(arms, "lr", "WER", "digits", suffix)
    assert first.startswith(b"<svg" if suffix == ".svg" else b"\x89PNG")


def test_a_picture_names_its_axes_and_arms() -> None:
    text = draw_study(LINE, "optimizer.peak_lr", "WER", "digits", ".svg").decode()
    assert "optimizer.peak_lr" in text
    assert "WER, validation" in text
    named = draw_study(NAMES, "", "WER", "digits", ".svg").decode()
    assert "muon" in named
    assert "adamw" in named
    assert "dim=32" in draw_study(TWO, "lr", "WER", "digits", ".svg").decode()
