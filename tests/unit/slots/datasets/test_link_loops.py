"""A path whose links lead round in a loop is one where nothing is: every kind of dataset says so."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from asr_lab.data.cuts import read_cuts
from asr_lab.errors import LabError
from asr_lab.slots.datasets import Dataset

WITH_PATH = [tag for tag in Dataset.tags() if any(field.name == "path" for field in attrs.fields(Dataset.choice(tag)))]


def test_most_kinds_have_a_path() -> None:
    assert len(WITH_PATH) > 10


@pytest.mark.parametrize("tag", WITH_PATH)
@pytest.mark.parametrize("name", ["loop", "loop/inside.tsv"])
def test_a_loop_is_refused_as_an_absent_path_is(tag: str, name: str, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("pool")
    (tmp_path / "pool").symlink_to("loop")
    choice = Dataset.choice(tag)
    splits = ("test-clean",) if tag == "librispeech" else ("test",)
    known = {"splits": splits, "languages": ("en",), "subset": "xs"}
    needed = {f.name: known[f.name] for f in attrs.fields(choice) if f.default is attrs.NOTHING and f.name != "path"}
    with pytest.raises(LabError):
        read_cuts([choice(path=name, **needed).read(tmp_path)], tmp_path)
