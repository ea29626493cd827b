"""What is the same run, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest

from asr_lab.config.difference import KeyChange, difference
from asr_lab.config.identity import canonical, identify, merge
from asr_lab.config.load import load, loads
from asr_lab.config.section import section
from asr_lab.config.structure import unstructure
from asr_lab.recipe import EVALUATION, EXECUTION, Recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPE = ROOT / "recipes" / "conformer_tiny.toml"


def hash_of(*overrides: str, text: str | None = None) -> str:
    text = text if text is not None else RECIPE.read_text(encoding="utf-8")
    return identify(loads(text, Recipe, overrides=overrides).value, EXECUTION, EVALUATION).hash


@pytest.mark.parametrize(
    "override",
    [
        "name=other",
        "data.num_workers=7",
        "train.keep_last=9",
        "train.keep_best=9",
        "train.save_every_steps=5",
        'launch={ type = "local" }',
        'log.listeners=["wandb"]',
        "parallel.max_rank_batch_s=17",
        "data.test=[]",
        "decode.beam=7",
        "score.bootstrap=200",
    ],
)
def test_what_does_not_decide_the_weights_is_not_in_the_hash(override: str) -> None:
    assert hash_of(override) == hash_of()


@pytest.mark.parametrize(
    "override",
    [
        "seed=99",
        "encoder.dim=128",
        "train.batch_s=7",
        "data.valid=[]",
        "train.max_epochs=3",
        "text.steps=[]",
        "data.channel=first",
    ],
)
def test_what_decides_the_weights_is(override: str) -> None:
    assert hash_of(override) != hash_of()


def test_order_comments_and_the_spelling_of_numbers_do_not_matter() -> None:
    text = RECIPE.read_text(encoding="utf-8")
    head, middle, tail = text.partition("[train]")
    turned = f"# another\n{head.split('[features]')[0]}{middle}{tail}\n[features]{head.split('[features]')[1]}"
    assert turned != text
    assert hash_of(text=turned) == hash_of()
    assert hash_of("train.batch_s=480") == hash_of("train.batch_s=480.0") == hash_of("train.batch_s=4.8e2")
    assert hash_of("data.train[0].where={ max_s = 20 }") == hash_of("data.train[0].where={ max_s = 20.0 }")


def test_a_default_written_out_is_the_default() -> None:
    assert hash_of("train.max_nonfinite=10") == hash_of()
    assert hash_of("train.patience=none") == hash_of()


def test_the_three_parts_make_the_whole() -> None:
    value = load(RECIPE, Recipe, overrides=("data.num_workers=3",)).value
    identity = identify(value, EXECUTION, EVALUATION)
    assert set(identity.execution) == {"parallel", "launch", "kernels", "log", "data", "train"}
    assert set(identity.execution["data"]) == {"num_workers", "max_left_out"}
    assert set(identity.evaluation) == {"data", "decode", "score"}
    assert "name" not in identity.experiment
    whole = merge({"name": value.name}, identity.experiment, identity.execution, identity.evaluation)
    assert whole == unstructure(value)


def test_a_new_optional_key_leaves_the_hash_as_it_was() -> None:
    @section
    class Before:
        a: int = 1

    @section
    class After:
        a: int = 1
        b: float | None = None

    assert identify(Before(), (), ()).hash == identify(After(), (), ()).hash


def test_the_canonical_form_spells_each_value_one_way() -> None:
    assert canonical({"b": 1.0, "a": [0.1, -0.0, "é", True]}) == '{"a":[0.1,0,"é",true],"b":1}'
    assert canonical({"a": 1e300}) == '{"a":1e+300}'


@attrs.frozen
class Case:
    a: Any
    b: Any
    changes: list[KeyChange]


@pytest.mark.parametrize(
    "case",
    [
        Case({"a": 1}, {"a": 1.0}, []),
        Case({"a": 1}, {"a": True}, [KeyChange("a", 1, True)]),
        Case({"a": 1, "c": 3}, {"b": 2, "c": 3}, [KeyChange("a", 1, None), KeyChange("b", None, 2)]),
        Case({"a": {"b": [1, 2]}}, {"a": {"b": [1, 3]}}, [KeyChange("a.b", [1, 2], [1, 3])]),
        Case(
            {"a": [{"b": 1}]},
            {"a": [{"b": 2}, {"b": 3}]},
            [KeyChange("a[0].b", 1, 2), KeyChange("a[1]", None, {"b": 3})],
        ),
        Case({"a": {"type": "x", "k": 1}}, {"a": {"type": "x", "k": 2}}, [KeyChange("a.k", 1, 2)]),
        Case(
            {"a": {"type": "x", "k": 1}},
            {"a": {"type": "y"}},
            [KeyChange("a", {"type": "x", "k": 1}, {"type": "y"})],
        ),
        Case({"a": {}}, {"a": 3}, [KeyChange("a", {}, 3)]),
    ],
)
def test_a_difference_names_each_key_that_differs(case: Case) -> None:
    assert difference(case.a, case.b) == case.changes
