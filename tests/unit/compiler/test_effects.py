"""A setting that cannot take effect in the run at hand is said, with its line; one that can is not."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest

from asr_lab.compiler.effects import RULES, line, without_effect
from asr_lab.compiler.extent import Extent, extent
from asr_lab.compiler.load import load_recipe
from asr_lab.config.load import Document, loads
from asr_lab.recipe import Recipe
from tests.unit.compiler.test_rules import TEXT, recipe

ROOT = Path(__file__).resolve().parents[3]
EPOCH_STEPS, EPOCH_S = 40, 700.0
BASE = (
    "train.max_steps=none",
    "train.max_epochs=10",
    "schedule={ type = 'wsd' }",
    "augment=[{ type = 'noise' }, { type = 'spec_augment' }]",
)

CASES = [
    # what is written, where it stands, what is said of it, and what has an effect in its place
    ("schedule.warmup_steps=400", "", "400 steps of warm-up in a run of 400", "schedule.warmup_steps=300"),
    ("schedule.warmup_steps=9999", "", "the peak is never reached", "schedule.warmup_steps=1"),
    ("schedule.warmup=0.001", "", "there is no warm-up", "schedule.warmup=0.01"),
    ("schedule.warmup=0.9", "", "reach into the decay, the last 20% of 400 steps", "schedule.warmup=0.8"),
    ("schedule.decay_share=0.001", "", "there is no decay", "schedule.decay_share=0.01"),
    ("train.max_steps=1000", "", "train.max_epochs ends the run at step 400", "train.max_steps=410"),
    ("train.max_audio_h=5", "", "is never reached: train.max_epochs", "train.max_audio_h=1.95"),
    ("train.patience=9", "", "9 ends no run of 10 validations", "train.patience=8"),
    ("train.patience=10000", "", "ends no run", "train.patience=1"),
    ("train.valid_every_steps=401", "", "it validates at its end alone", "train.valid_every_steps=100"),
    ("train.save_every_steps=500", "", "after validations alone", "train.save_every_steps=400"),
    ("log.every_steps=1000", "", "it logs no step", "log.every_steps=400"),
    ("train.max_nonfinite=400", "", "never ends a run of 400 steps", "train.max_nonfinite=399"),
    ("train.keep_last=11", "", "the run saves 10 at most", "train.keep_last=10"),
    ("train.keep_best=11", "", "the run validates 10 times at most", "train.keep_best=10"),
    ("train.batch_s=701", "", "is more than a pass over the data, 700 s", "train.batch_s=700"),
    ("train.average_decay=0", "", "averages nothing", "train.average_decay=0.1"),
    ("train.average_decay=0.98", "", "reached after 441 steps, the run has 400", "train.average_decay=0.97"),
    ("augment[0].probability=0", "", "adds no noise", "augment[0].probability=0.1"),
    ("augment[0]={ type = 'noise', recordings = 'n', colour = [1, 1] }", ".colour", "is not used",
     "augment[0].colour=[1, 1]"),
    ("augment[0]={ type = 'speed', factors = [1.0] }", ".factors", "no speed", "augment[0]={ type = 'speed' }"),
    ("augment[0]={ type = 'volume', gain_db = [0, 0] }", ".gain_db", "no volume", "augment[0]={ type = 'volume' }"),
    ("augment[1].max_freq_bins=0", "", "the 2 masks of frequency are empty", "augment[1].max_freq_bins=1"),
    ("augment[1].max_time_share=0", "", "the 10 masks of time are empty", "augment[1].max_time_share=0.1"),
    ("augment[1]={ type = 'spec_augment', num_freq_masks = 0, num_time_masks = 0 }", "", "masks and warps nothing",
     "augment[1]={ type = 'spec_augment', num_freq_masks = 0, num_time_masks = 0, max_warp_share = 0.1 }"),
]  # fmt: skip


def found(*overrides: str) -> list[tuple[str, str, str]]:
    document = recipe(*BASE, *overrides)
    length = extent(document.value.train, EPOCH_STEPS, EPOCH_S)
    return [(p.where, p.path, p.message) for p in without_effect(document, length)]


@pytest.mark.parametrize(("written", "below", "message", "right"), CASES, ids=[c[0] for c in CASES])
def test_a_setting_without_effect_is_said_with_its_place(written: str, below: str, message: str, right: str) -> None:
    (one,) = found(written)
    assert one[:2] == (f"--set #{len(BASE) + 1}", f"{written.partition('=')[0]}{below}")
    assert message in one[2]
    assert found(right) == []


def test_the_table_tries_every_rule() -> None:
    silent = set(RULES)
    for written, *_ in CASES:
        document = recipe(*BASE, written)
        length = extent(document.value.train, EPOCH_STEPS, EPOCH_S)
        silent -= {rule for rule in RULES if list(rule(document, length))}
    assert not silent


def test_it_is_one_line_with_the_recipes_line() -> None:
    written = loads_with(patience=7)
    (one,) = without_effect(written, extent(written.value.train, 500, 5000.0))
    assert line(one) == (
        "<string>:19  train.patience: 7 ends no run of 2 validations: the first is the best so far, the last its end"
    )


def loads_with(patience: int) -> Document[Recipe]:
    return loads(f"{TEXT}patience = {patience}\n", Recipe)


@pytest.mark.parametrize("limit", ["train.max_steps=1000", "train.max_epochs=3", "train.max_audio_h=2"])
def test_without_its_data_a_recipe_is_told_what_holds_for_any(limit: str) -> None:
    document = recipe("train.max_steps=none", limit, "train.patience=4", "train.valid_every_steps=none")
    unknown = Extent(document.value.train.max_steps)
    paths = [p.path for p in without_effect(document, unknown)]
    assert paths == (["train.patience"] if "max_epochs" in limit else [])


@pytest.mark.parametrize("path", sorted((ROOT / "recipes").glob("*.toml")), ids=lambda p: p.stem)
def test_a_shipped_recipe_has_no_setting_without_effect(path: Path) -> None:
    document = load_recipe(path)
    assert without_effect(document, Extent(document.value.train.max_steps)) == []


def test_a_run_has_the_steps_that_its_nearest_limit_gives_it() -> None:
    train = recipe(*BASE).value.train
    assert extent(train, 40, 700.0).num_steps == 400
    assert extent(attrs.evolve(train, max_steps=90), 40, 700.0).num_steps == 90
    assert extent(attrs.evolve(train, max_audio_h=0.5), 40, 700.0).num_steps == 103  # 1800 s of 17.5 s each
    assert extent(attrs.evolve(train, max_epochs=None, max_wall_min=3.0), 40, 700.0).num_steps is None
