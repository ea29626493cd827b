"""What `check` accepts builds, and trains: recipes drawn over every slot and key."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import attrs
import pytest

from asr_lab.config.section import Slot
from asr_lab.errors import LabError
from asr_lab.recipe import Score
from asr_lab.slots.normalizers import Normalizer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "fuzz"))

from accepted_recipes import Drawing, accepted, built, of_tones, trained
from small_run import write_tones

BUILT, TRAINED = 25, 10
ABSENT = ("RepDL", "open_asr_leaderboard")
"""Named where a machine lacks what no package registry has."""


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Short recordings with texts."""
    folder = tmp_path_factory.mktemp("data") / "tones"
    write_tones(folder)
    return folder


def test_a_recipe_that_is_accepted_is_built() -> None:
    for number in range(BUILT):
        built(accepted(random.Random(f"built {number}")))


def test_a_recipe_that_is_accepted_trains(tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASRLAB_DATA", str(tones.parent))
    refused = []
    for number in range(TRAINED):
        document = accepted(random.Random(f"trained {number}"), small=True, data=of_tones(tones))
        try:
            trained(document)
        except LabError as error:  # what only the data can tell, or the machine
            if not any(absent in str(error) for absent in ABSENT):
                refused.append(str(error))
    assert len(refused) <= TRAINED // 3, refused


def test_every_choice_of_every_slot_is_drawn() -> None:
    drawn = {part for number in range(100) for part in _choices(accepted(random.Random(f"drawn {number}")).value)}
    # One key in a table that few recipes have: drawn without the rest.
    tables = [Drawing(random.Random(f"drawn {number}"), small=False).table(Score) for number in range(400)]
    normalizers = [table["normalizer"] for table in tables if isinstance(table.get("normalizer"), dict)]
    drawn |= {(Normalizer.folder, one["type"]) for one in normalizers}
    slots = {slot for slot in Slot.__subclasses__() if slot.__module__.startswith("asr_lab.")}
    assert drawn == {(slot.folder, tag) for slot in slots for tag in slot.tags()}


def _choices(value: object) -> set[tuple[str, str]]:
    found = {(value.slot().folder, value.tag())} if isinstance(value, Slot) else set()
    if attrs.has(type(value)):
        inside = [getattr(value, field.name) for field in attrs.fields(type(value))]  # type: ignore[arg-type]
    else:
        inside = list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, tuple) else []
    return found.union(*map(_choices, inside))
