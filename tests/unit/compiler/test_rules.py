"""Rules across tables where the table of wrong recipes cannot reach: right recipes, other rates, overrides, notes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from asr_lab.compiler.facts import facts
from asr_lab.compiler.load import checked, load_recipe
from asr_lab.compiler.notes import notes
from asr_lab.compiler.rules import problems
from asr_lab.config.load import Document, loads
from asr_lab.errors import RecipeError
from asr_lab.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]
RECIPES = sorted((ROOT / "recipes").rglob("*.toml"))

TEXT = """\
name = "rules"
features = { type = "log_mel", num_mels = 40 }
tokenizer = { type = "chars" }
decoder = [{ type = "ctc" }]

[encoder]
dim = 32
stem = { type = "frame_stack", factor = 4 }
stack = [{ blocks = ["a"] }]
block.a = { type = "macaron", mixer = { type = "attention", num_heads = 4 } }

[data]
train = [{ type = "folder", path = "a" }]
valid = [{ type = "folder", path = "b" }]

[train]
max_steps = 1000
batch_s = 10
"""


def recipe(*overrides: str) -> Document[Recipe]:
    return checked(loads(TEXT, Recipe, overrides=overrides))


def problems_of(*overrides: str) -> list[str]:
    """The problems of the recipe after overrides, as `place path: message`."""
    return [f"{p.where} {p.path}: {p.message}" for p in problems(loads(TEXT, Recipe, overrides=overrides))]


@pytest.mark.parametrize("path", RECIPES, ids=lambda p: p.stem)
def test_a_shipped_recipe_is_right_and_there_is_nothing_to_note(path: Path) -> None:
    document = load_recipe(path)
    assert [n for n in notes(document) if "not installed" not in n] == []


def test_the_frames_of_a_context_are_those_of_the_stack() -> None:
    one = "encoder.contexts=[{ chunk_ms = 240, left_ms = 480 }]"
    assert problems_of(one) == []
    assert problems_of(one, "encoder.stem.factor=8") == []
    (problem, other) = problems_of(one, "encoder.stem.factor=10")
    assert "frames of 100 ms, got 240; the nearest are 200 and 300" in problem
    assert "encoder.contexts[0].left_ms" in other


def test_a_frame_of_a_broken_number_of_milliseconds_is_counted_exactly() -> None:
    assert problems_of("encoder.contexts=[{ chunk_ms = 12.5, left_ms = 0 }]", "encoder.stem.factor=1") != []
    assert problems_of("encoder.contexts=[{ chunk_ms = 40.0, left_ms = 0 }]") == []


def test_whole_contexts_let_everything_see_the_whole_utterance() -> None:
    assert problems_of("features.level=utterance", "encoder.block.a.conv.causal=false") == []


def test_a_problem_of_an_override_is_named_by_it() -> None:
    assert problems_of("seed=3", "encoder.dim=30")[0].startswith(
        "<string>:10 encoder.block.a.mixer.num_heads: must divide"
    )
    assert problems_of("seed=3", "encoder.block.a.mixer.num_heads=5")[0].startswith(
        "--set #2 encoder.block.a.mixer.num_heads:"
    )
    assert problems_of("train.max_steps=none")[0].startswith("<string>:16 train: says nowhere when to stop")


def test_a_block_whose_name_is_no_bare_key_has_its_line() -> None:
    text = TEXT + '[encoder.block."a b"]\ntype = "norm"\n'
    with pytest.raises(RecipeError) as caught:
        checked(loads(text, Recipe, "x.toml"))
    (problem,) = caught.value.problems
    assert (problem.path, problem.where) == ('encoder.block."a b"', "x.toml:19")


def test_any_one_limit_ends_a_run() -> None:
    for limit in ("max_epochs=3", "max_audio_h=0.5", "max_wall_min=1", "max_steps=7"):
        assert problems_of("train.max_steps=none", f"train.{limit}", "schedule.warmup_steps=9") == []


def test_the_problems_of_several_rules_come_together_in_the_order_of_the_file() -> None:
    with pytest.raises(RecipeError) as caught:
        recipe(
            "decode.decoder=attention",
            "parallel={ type = 'single', max_rank_batch_s = 11 }",
            "encoder.stack[0].blocks=['b']",
        )
    assert [(p.where, p.path) for p in caught.value.problems] == [
        ("<string>:10", "encoder.block.a"),
        ("--set #1", "decode.decoder"),
        ("--set #2", "parallel.max_rank_batch_s"),
        ("--set #3", "encoder.stack[0].blocks[0]"),
    ]


@pytest.mark.parametrize(
    ("launch", "at", "way"),
    [
        ('{type="slurm", nodes=2}', "launch.nodes: starts 2 processes", "launch.nodes = 1"),
        ('{type="slurm", nodes=2, tasks_per_node=4}', "launch.nodes: starts 8 processes", "launch.nodes = 1"),
        ('{type="slurm", gpus_per_node=8}', "launch.gpus_per_node: starts 8 processes", "launch.tasks_per_node = 1"),
        ('{type="slurm", tasks_per_node=3}', "launch.tasks_per_node: starts 3 processes", "launch.tasks_per_node = 1"),
        ('{type="local", tasks_per_node=2}', "launch.tasks_per_node: starts 2 processes", "launch.tasks_per_node = 1"),
        ('{type="local", gpus_per_node=2}', "launch.gpus_per_node: starts 2 processes", "launch.tasks_per_node = 1"),
    ],
)
def test_one_process_of_several_would_train_alone(launch: str, at: str, way: str) -> None:
    (problem,) = problems_of("seed=3", f"launch={launch}")
    assert problem.startswith(f"--set #2 {at}")
    assert problem.endswith(way)


@pytest.mark.parametrize(
    "launch",
    [
        '{type="slurm"}',
        '{type="slurm", gpus_per_node=8, tasks_per_node=1}',
        '{type="local", gpus_per_node=1}',
        '{type="inline"}',
    ],
)
def test_one_process_trains_alone(launch: str) -> None:
    assert problems_of(f"launch={launch}") == []


def test_an_upsampling_layer_gives_ctc_the_frames_that_the_stem_took() -> None:
    up = ["encoder.stem.factor=8", "encoder.block.up={ type = 'upsample' }", "encoder.stack[0].blocks=['a', 'up']"]
    assert notes(recipe(*up)) == []
    (found,) = notes(recipe(*up, "decoder=[{ type = 'ctc' }, { type = 'ctc', tap = 1 }]"))
    assert found.startswith("tokenizer: a frame lasts 80 ms")


BY_THE_CLOCK = ("train.max_steps=none", "train.max_wall_min=5")


def test_joined_texts_need_a_blank_in_the_alphabet() -> None:
    join = ['data.train=[{type="folder", path="a", join={}}]']
    assert problems_of(*join) == []
    assert problems_of(*join, 'tokenizer={type="chars", alphabet="ab "}') == []
    assert (
        problems_of('data.test=[{type="folder", path="a", join={}}]', 'tokenizer={type="chars", alphabet="ab"}') == []
    )
    [problem] = problems_of(*join, 'tokenizer={type="chars", alphabet="ab"}')
    assert problem.endswith(
        "data.train[0].join: joins texts with a blank, which tokenizer.alphabet = 'ab' does not hold: add it"
    )


def test_a_warm_up_is_given_once() -> None:
    assert problems_of("schedule={ type = 'wsd', warmup = 0.1, warmup_steps = 5 }") == [
        "--set #1 schedule.warmup_steps: cannot stand beside schedule.warmup: give one of the two",
        "--set #1 schedule.warmup: cannot stand beside schedule.warmup_steps: give one of the two",
    ]
    assert problems_of("schedule={ type = 'wsd', warmup = 'none', warmup_steps = 5 }") == []


@pytest.mark.parametrize("tag", ["constant", "cosine", "noam", "wsd"])
def test_a_run_that_the_clock_alone_ends_has_no_share_to_warm_up(tag: str) -> None:
    (problem,) = problems_of(*BY_THE_CLOCK, f"schedule={{ type = '{tag}' }}")
    assert "schedule.warmup: is a share of the run's steps" in problem
    assert problems_of(*BY_THE_CLOCK, f"schedule={{ type = '{tag}', warmup_steps = 3 }}") == []
    assert problems_of(*BY_THE_CLOCK, "train.max_epochs=3", f"schedule={{ type = '{tag}' }}") == []


@pytest.mark.parametrize(
    ("overrides", "note"),
    [
        (["encoder.stem.factor=8"], "tokenizer: a frame lasts 80 ms, so CTC can align at most 12.5 chars a second"),
        (["tokenizer.alphabet='aAbB '"], "tokenizer.alphabet: AB never stand in a text after 'lower'"),
        (["train.max_wall_min=5"], "train.max_wall_min: a run that the clock ends does not repeat itself"),
        (["score.normalizer=['nfc', 'lower']"], "score.normalizer: without 'strip_punctuation'"),
        (
            ["text.steps=['nfc', 'lower:tr', 'strip_punctuation']"],
            "score.normalizer: 'lower' where text.steps has 'lower:tr'",
        ),
        (["data.test=[{ name = 'x', type = 'folder', path = 'a' }]"], "data.test[0]: also in data.train"),
    ],
)
def test_what_is_worth_knowing_is_noted(overrides: list[str], note: str) -> None:
    (found,) = notes(recipe(*overrides))
    assert found.startswith(note)


def test_a_listener_that_is_not_installed_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert notes(recipe("log.listeners=['wandb']")) == [
        "log.listeners: wandb is not installed here; it comes with the extra `training`"
    ]


def test_a_recipe_has_nothing_to_note_by_itself() -> None:
    assert notes(recipe()) == []


def test_the_facts_are_those_of_the_tables() -> None:
    found = facts(recipe("encoder.contexts=[{ chunk_ms = 240, left_ms = 480 }, { chunk = 'whole' }]"))
    assert str(found) == (
        "log_mel, frame_stack to 40 ms, 1 macaron/attention, D 32, ctc over about 66 chars, 240+480 ms | whole"
    )


@pytest.mark.parametrize(
    ("parallel", "launch", "told"),
    [
        ('{type="ddp", parts=3}', '{type="local", tasks_per_node=2}', "parallel.parts: must be a multiple of the 2"),
        ('{type="fsdp", shards=3}', '{type="local", tasks_per_node=4}', "parallel.shards: must divide the 4 processes"),
        ('{type="fsdp", gather="bf16"}', '{type="inline"}', 'parallel.gather: bf16 needs [precision] type = "bf16"'),
    ],
)
def test_processes_share_what_can_be_shared(parallel: str, launch: str, told: str) -> None:
    (problem,) = problems_of("seed=3", f"parallel={parallel}", f"launch={launch}")
    assert told in problem
    assert problems_of(f"parallel={parallel.replace('3', '4')}", f"launch={launch}", "precision.type=bf16") == []
