"""The hashes of the shipped recipes, which name their runs: a change of one is a decision."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest

from asr_lab.compiler.load import load_recipe
from asr_lab.config.fields import fields
from asr_lab.config.section import ABSENT
from asr_lab.config.structure import unstructure
from asr_lab.config.words import inside, is_slot
from asr_lab.recipe import Recipe
from asr_lab.runs.directory import identity_of

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
HASHES = {
    "conformer_base": "61e27253",
    "conformer_fast": "962db034",
    "conformer_large": "923962df",
    "conformer_tiny": "c93be9de",
    "cross_hardware": "f6254282",
    "digits": "b47ef6c5",
    "fleurs_102": "3b502726",
    "hybrid": "7c805137",
    "librispeech_100h_conformer": "a2121f98",
    "librispeech_100h_ssm": "f4c95d06",
    "librispeech_100h_whisper": "2fb4eeb8",
    "mini_librispeech": "bb822e00",
    "quickstart": "80c90b63",
    "speech_conformer": "11ce75f2",
    "speech_fast_conformer": "09f35770",
    "speech_multilingual": "3b29f24b",
    "speech_ssm": "11210e58",
    "speech_whisper": "cb3fd912",
    "ssm_a100": "bc3ee1d2",
    "ssm_b200": "0807c5f6",
    "ssm_base": "277ec38d",
    "ssm_tiny": "4ca44576",
    "whisper_base": "6971bd75",
    "whisper_large": "63a3c3c3",
    "whisper_small": "283043bd",
    "whisper_tiny": "674fe27a",
}
ABSENCES = {
    "recipe.Init.checkpoint": "best",
    "recipe.Kernels.compile": False,
    "recipe.Data.temperature": 1.0,
    "recipe.Decode.precision": "fp32",
    "recipe.Decode.language": "",
    "slots.decoders.attention.AttentionDecoder.languages": [],
    "recipe.Train.keep_best": 1,
    "slots.precision.fp32.FP32.tf32": False,
    "recipe.Score.scorer": "plain",
    "slots.augments.spec_augment.SpecAugment.max_warp_share": 0.0,
    # Runs from before warmed up by the steps that they state.
    **{
        f"slots.schedules.{tag}.{name}.warmup": None
        for tag, name in (("constant", "Constant"), ("cosine", "Cosine"), ("noam", "Noam"), ("wsd", "WSD"))
    },
}
"""Each key that was added since, and what its absence stands for in recipes and runs from before."""


def sections(place: Any, seen: set[Any]) -> Iterator[type]:
    """Every class of section that a schema reaches."""
    place = inside(place)
    if place in seen or not isinstance(place, type):
        return
    seen.add(place)
    if is_slot(place):
        for choice in place.choices().values():
            yield from sections(choice, seen)
    elif attrs.has(place):
        yield place
        for field in fields(place):
            yield from sections(field.type, seen)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda p: p.stem)
def test_a_shipped_recipe_keeps_its_hash(path: Path) -> None:
    found = identity_of(load_recipe(path).value).hash[:8]
    assert found == HASHES.get(path.stem), (
        f"{path.name} has the hash {found}, here it is {HASHES.get(path.stem)}: its runs from before are not its runs "
        "any more. A key that is new in a section is declared with added(default=…, absent=…), which keeps the hash. "
        "If the change is meant, put the new hash here and name it, with its reason, in CHANGELOG.md"
    )


def test_the_table_names_no_recipe_that_is_not_shipped() -> None:
    assert set(HASHES) <= {path.stem for path in RECIPES.glob("*.toml")}


def test_what_the_absence_of_a_key_stands_for_never_changes() -> None:
    found = {}
    for section in sections(Recipe, set()):
        module = section.__module__.removeprefix("asr_lab.")
        for attribute, field in zip(attrs.fields(section), fields(section), strict=True):
            if ABSENT in attribute.metadata:
                found[f"{module}.{section.__name__}.{field.key}"] = unstructure(field.absent_value())
    assert found == ABSENCES, (
        "recipes and runs from before a key mean what its absence stood for then: where the default is changed, keep "
        "the old one with added(default=…, absent=…). A new key is put here"
    )
