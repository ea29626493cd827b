"""The streaming law for the whole model of every shipped recipe, or why there is none."""

from __future__ import annotations

from pathlib import Path

import law
import pytest
import torch
from law import Case
from recipe_cases import PATHS, STREAMING, WHOLE_ONLY, model_cases, name_of, needs_whole

from asr_lab.compiler.load import load_recipe
from asr_lab.errors import RecipeError
from asr_lab.streaming import Context

MODELS = list(model_cases(depth=False))
DEEP_MODELS = list(model_cases(depth=True))
IN_CONTEXT = [
    pytest.param(case, context, id=f"{case.name} in chunks of {context.chunk_frames} samples")
    for case in MODELS
    for context in case.contexts
]
BATCHES, CUTS = 25, 20
"""Random batches of each model, and random cuts of each batch, that the proof tries at full depth."""


@pytest.mark.parametrize(("model", "context"), IN_CONTEXT)
def test_any_cut_of_the_samples_gives_the_same_frames(model: Case, context: Context) -> None:
    law.check_cuts(model, context, torch.float64, seed=1)
    law.check_cuts(model, context, torch.float32, seed=2)


@pytest.mark.parametrize("model", MODELS, ids=lambda case: case.name)
def test_a_model_keeps_the_whole_law(model: Case) -> None:
    context = model.contexts[0]
    law.check_hop_by_hop(model, context)
    law.check_padding(model, context)
    law.check_batch_mates(model, context)
    law.check_idle_rows(model, context)
    law.check_order(model, context)
    law.check_gradients(model, context)


@pytest.mark.prove
@pytest.mark.parametrize("model", DEEP_MODELS, ids=lambda case: case.name)
def test_five_hundred_cuts_of_a_model_give_the_same_frames(model: Case) -> None:
    for seed in range(BATCHES):
        context = model.contexts[seed % len(model.contexts)]
        law.check_cuts(model, context, torch.float32 if seed % 5 == 4 else torch.float64, seed, CUTS)


@pytest.mark.prove
@pytest.mark.parametrize("model", DEEP_MODELS, ids=lambda case: case.name)
def test_a_model_keeps_the_whole_law_in_every_context(model: Case) -> None:
    for context in model.contexts:
        law.check_hop_by_hop(model, context)
        law.check_padding(model, context)
        law.check_batch_mates(model, context)
        for seed in range(3):
            law.check_idle_rows(model, context, seed)
            law.check_order(model, context, seed)
            law.check_gradients(model, context, seed)


def test_every_recipe_is_under_the_law_or_needs_whole_utterances_with_a_reason() -> None:
    under = {name for case in MODELS for name in case.name.split(", ")}
    whole = {name_of(path) for path in PATHS if needs_whole(path)}
    assert under | whole == {name_of(path) for path in PATHS}
    assert not under & whole
    assert set(WHOLE_ONLY) <= whole
    problems = [problem.message for path in PATHS for problem in needs_whole(path)]
    assert all(message.startswith("needs the whole utterance") for message in problems), problems


@pytest.mark.parametrize("path", [p for p in PATHS if name_of(p) in WHOLE_ONLY], ids=name_of)
def test_a_recipe_that_needs_whole_utterances_is_refused_in_a_streaming_context(path: Path) -> None:
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, [STREAMING])
    lines = path.read_text(encoding="utf-8").splitlines()
    found = sorted(caught.value.problems, key=lambda problem: problem.line)
    for problem, (key, reason) in zip(found, WHOLE_ONLY[name_of(path)], strict=True):
        assert problem.path == key
        assert problem.message.startswith(f"needs the whole utterance: {reason}")
        assert problem.message.endswith("but encoder.contexts[0] streams")
        assert problem.where == f"{path}:{problem.line}"
        assert key.rpartition(".")[2] in lines[problem.line - 1]
