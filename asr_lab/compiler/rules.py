"""Checks across the tables of a recipe: what no table can know of itself.

A rule gives (path, message) pairs. A problem makes the recipe wrong; a note is true of this machine, or worth knowing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from fractions import Fraction

from asr_lab.compiler.bounds import model_is_bounded, updates_are_bounded
from asr_lab.compiler.data_rules import (
    datasets_make_sense,
    joined_texts_can_be_spelled,
    speech_is_at_most_twice_as_fast,
)
from asr_lab.compiler.exactness import every_machine_computes_alike
from asr_lab.compiler.number_formats import (
    decoding_rounds_each_frame_alone,
    dims_tile,
    formats_are_possible,
    processes_share_scales,
)
from asr_lab.compiler.processes import (
    compiled_contexts_are_whole,
    compiled_steps_repeat,
    processes_are_used,
    processes_share_evenly,
    ranks_take_part_of_a_batch,
)
from asr_lab.config.hints import nearest, not_among, shown
from asr_lab.config.load import Document, in_order
from asr_lab.config.paths import spell
from asr_lab.errors import Problem
from asr_lab.models.decode_options import TWO_PASSES
from asr_lab.recipe import ContextSpec, Recipe
from asr_lab.text.normalizer import kind_of

Found = Iterator[tuple[str, str]]
STOPS = ("max_epochs", "max_steps", "max_audio_h", "max_wall_min")


def problems(document: Document[Recipe]) -> list[Problem]:
    """Everything wrong across tables, in the order of the file."""
    found = [document.problem(*one) for rule in _RULES for one in rule(document)]
    return in_order(found)


def blocks_are_named(document: Document[Recipe]) -> Found:
    """The stack names blocks that exist, and every block is named."""
    encoder = document.value.encoder
    have = sorted(encoder.block)
    for i, part in enumerate(encoder.stack):
        for j, name in enumerate(part.blocks):
            if name not in encoder.block:
                yield f"encoder.stack[{i}].blocks[{j}]", not_among("block", name, have)
    named = set(encoder.layer_names)
    meant = {nearest(name, have) for name in named - set(have)}
    for name in have:
        if name not in named | meant:
            yield _block(name), "has no effect: encoder.stack does not name it"


def contexts_are_whole_or_chunked(document: Document[Recipe]) -> Found:
    """Each context is either whole, or a chunk with a finite left context; and none stands twice."""
    specs = document.value.encoder.contexts
    for i, spec in enumerate(specs):
        path = f"encoder.contexts[{i}]"
        if spec.chunk is None and spec.chunk_ms is None:
            yield path, 'needs chunk = "whole" or chunk_ms'
        if spec.chunk is not None and spec.chunk_ms is not None:
            yield f"{path}.chunk_ms", 'cannot stand beside chunk = "whole": give one of the two'
        elif spec.chunk is not None and spec.left_ms is not None:
            yield f"{path}.left_ms", 'has no effect beside chunk = "whole", which sees everything'
        if spec.chunk is None and spec.chunk_ms is not None and spec.left_ms is None:
            yield path, "needs left_ms: the state of a stream is bounded, so what it sees of the past must be finite"
        first = next((k for k, other in enumerate(specs[:i]) if _same_context(spec, other)), None)
        if first is not None:
            yield path, f"is the context of encoder.contexts[{first}] again: give that one a larger weight"
    if len(specs) == 1 and specs[0].weight != 1:
        yield "encoder.contexts[0].weight", "has no effect: it is the only context"


def contexts_are_whole_frames(document: Document[Recipe]) -> Found:
    """Chunks and left contexts are whole numbers of the stack's frames."""
    encoder = document.value.encoder
    frame_ms = _stack_frame_ms(document.value)
    for i, spec in enumerate(encoder.contexts):
        for key, ms in (("chunk_ms", spec.chunk_ms), ("left_ms", spec.left_ms)):
            if ms is None or spec.chunk is not None:
                continue
            frames = Fraction(str(ms)) / frame_ms
            if frames.denominator == 1:
                continue
            around = [n for n in (math.floor(frames), math.ceil(frames)) if n or key == "left_ms"]
            near = " and ".join(_number(n * frame_ms) for n in around)
            yield (
                f"encoder.contexts[{i}].{key}",
                f"must be a whole number of the stack's frames of {_number(frame_ms)} ms, got {ms:g}; "
                f"the nearest {'are' if len(around) > 1 else 'is'} {near}",
            )


def streams_can_stream(document: Document[Recipe]) -> Found:
    """In a streaming context no part needs the whole utterance."""
    recipe = document.value
    streaming = next((i for i, c in enumerate(recipe.encoder.contexts) if c.chunk is None), None)
    if streaming is None:
        return
    reasons = {"features": recipe.features.whole_because, "encoder.stem": recipe.encoder.stem.whole_because()}
    for name in sorted(set(recipe.encoder.layer_names) & set(recipe.encoder.block)):
        reasons[_block(name)] = recipe.encoder.block[name].whole_because()
    for path, why in reasons.items():
        if why is not None:
            at = f"{path}.{why.key}"
            message = f"needs the whole utterance: {why.reason}; but encoder.contexts[{streaming}] streams"
            yield at if document.has(at) else path, message


def dims_fit(document: Document[Recipe]) -> Found:
    """Blocks and decoders fit the stack's dimension, in their own words."""
    encoder = document.value.encoder
    for name in sorted(set(encoder.layer_names) & set(encoder.block)):
        for key, message in encoder.block[name].dim_problems(encoder.dim):
            yield f"{_block(name)}.{key}", message
    for i, decoder in enumerate(document.value.decoder):
        for key, message in decoder.dim_problems(encoder.dim):
            yield f"decoder[{i}].{key}", message


def decoders_fit(document: Document[Recipe]) -> Found:
    """Decoders differ in kind, or in layer where a kind may; each has frames to read and a weight with an effect."""
    recipe = document.value
    layers = len(recipe.encoder.layer_names)
    tags = [d.tag() for d in recipe.decoder]
    depths = [layers if d.tap is None else d.tap for d in recipe.decoder]
    for i, decoder in enumerate(recipe.decoder):
        if decoder.tap is not None and decoder.tap > layers:
            yield f"decoder[{i}].tap", f"must be at most {layers}, the layers of encoder.stack, got {decoder.tap}"
        same = [j for j in range(i) if tags[j] == tags[i] and (depths[j] == depths[i] or not decoder.at_several_layers)]
        if same:
            way_out = "; set another tap" if decoder.at_several_layers else ""
            yield f"decoder[{i}].type", f"a second {shown(tags[i])}: decoder[{same[0]}] is one already{way_out}"
    if len(tags) == 1 and recipe.decoder[0].weight != 1:
        yield "decoder[0].weight", "has no effect: weights are divided by their sum, and there is one decoder"


def decoding_is_possible(document: Document[Recipe]) -> Found:
    """The decoder used is there, and its settings have an effect."""
    recipe = document.value
    tags = [d.tag() for d in recipe.decoder]
    decoder = recipe.decode.decoder
    passes = TWO_PASSES.get(decoder)
    if passes:
        absent = [t for t in ("ctc", "attention") if t not in tags]
        if absent:
            yield (
                "decode.decoder",
                f"{shown(decoder)} needs a ctc and an attention decoder; there is no {' and no '.join(absent)}",
            )
    elif decoder != "auto" and decoder not in tags:
        have = [*tags, "auto", *(TWO_PASSES if {"ctc", "attention"} <= set(tags) else ())]
        yield "decode.decoder", not_among("decoder", decoder, have)
    if document.has("decode.ctc_weight") and not passes:
        read_by = " or ".join(map(shown, TWO_PASSES))
        yield "decode.ctc_weight", f"has no effect: only decode.decoder = {read_by} reads it"
    if passes and recipe.decode.beam == 1:
        yield "decode.decoder", f"{shown(decoder)} chooses among {passes[0]}'s hypotheses, and decode.beam = 1 is one"
    attention = decoder == "attention" or passes or (decoder == "auto" and "attention" in tags)
    if document.has("decode.length_penalty") and not attention:
        yield "decode.length_penalty", "has no effect: no attention decoder is used"
    if language := recipe.decode.language:
        named = recipe.named_languages
        if not attention or not named:
            yield "decode.language", "has no effect: no decoder is used that names languages (decoder.languages)"
        elif language not in named:
            yield "decode.language", not_among("language", language, named)


def joined_texts_are_of_one_language(document: Document[Recipe]) -> Found:
    """Where a decoder names a text's language, utterances are joined by language."""
    recipe = document.value
    if recipe.named_languages:
        for i, dataset in enumerate(recipe.data.train):
            if dataset.join is not None and dataset.join.same != "language":
                yield f"data.train[{i}].join.same", 'must be "language": decoder.languages names one for each text'


def training_ends(document: Document[Recipe]) -> Found:
    """Something ends the run, and what looks at validation has something to look at."""
    recipe = document.value
    if all(getattr(recipe.train, key) is None for key in STOPS):
        needs = (
            f", which schedule.type = {shown(recipe.schedule.tag())} needs too" if recipe.schedule.needs_total else ""
        )
        yield "train", f"says nowhere when to stop: give {', '.join(STOPS[:-1])} or {STOPS[-1]}{needs}"
    if not recipe.data.valid:
        for key in ("patience", "valid_every_steps"):
            if getattr(recipe.train, key) is not None:
                yield f"train.{key}", "has no effect: data.valid is empty"
        if document.has("train.metric"):
            yield "train.metric", "has no effect: data.valid is empty, so no checkpoint is picked"
    if recipe.determinism.level in ("bitwise", "cross_hardware") and recipe.train.max_wall_min is not None:
        level = shown(recipe.determinism.level)
        yield "train.max_wall_min", f"ends the run by the clock, so determinism.level = {level} cannot hold"


def warm_up_is_given_once(document: Document[Recipe]) -> Found:
    """The warm-up is a number of steps or a share, of a run whose steps can be counted beforehand."""
    schedule, train = document.value.schedule, document.value.train
    if schedule.warmup_steps is not None and schedule.warmup is not None:
        for key, other in (("warmup_steps", "warmup"), ("warmup", "warmup_steps")):
            yield f"schedule.{key}", f"cannot stand beside schedule.{other}: give one of the two"
    elif schedule.warmup and train.max_wall_min is not None and not any(getattr(train, key) for key in STOPS[:-1]):
        yield (
            "schedule.warmup",
            f"is a share of the run's steps, which are not known where train.max_wall_min alone ends it: "
            f"give schedule.warmup_steps, or {', '.join(STOPS[:-2])} or {STOPS[-2]} too",
        )


def groups_say_something(document: Document[Recipe]) -> Found:
    """Each parameter group has a setting of its own."""
    for i, group in enumerate(document.value.optimizer.group):
        if group.lr_scale == 1 and group.weight_decay is None:
            yield f"optimizer.group[{i}]", "has no effect: give lr_scale or weight_decay"


def steps_have_an_effect(document: Document[Recipe]) -> Found:
    """No normalising step stands twice, in whatever language, or is undone by a later one."""
    recipe = document.value
    for path, steps in (("text.steps", recipe.text.steps), ("score.normalizer", recipe.score.steps or ())):
        for i, step in enumerate(steps):
            kinds = [kind_of(one) for one in steps]
            first = kinds.index(kinds[i])
            if first < i:
                yield f"{path}[{i}]", f"{shown(steps[first])} stands at [{first}] already"
            other = {"lower": "upper", "upper": "lower"}.get(kinds[i])
            later = next((one for one in steps[i + 1 :] if kind_of(one) == other), None)
            if later is not None:
                yield f"{path}[{i}]", f"{shown(step)} has no effect: {shown(later)} comes after it"


_RULES: tuple[Callable[[Document[Recipe]], Found], ...] = (
    blocks_are_named,
    contexts_are_whole_or_chunked,
    contexts_are_whole_frames,
    streams_can_stream,
    dims_fit,
    model_is_bounded,
    decoders_fit,
    decoding_is_possible,
    joined_texts_are_of_one_language,
    training_ends,
    warm_up_is_given_once,
    ranks_take_part_of_a_batch,
    processes_are_used,
    every_machine_computes_alike,
    processes_share_evenly,
    compiled_steps_repeat,
    compiled_contexts_are_whole,
    formats_are_possible,
    dims_tile,
    processes_share_scales,
    decoding_rounds_each_frame_alone,
    groups_say_something,
    updates_are_bounded,
    datasets_make_sense,
    speech_is_at_most_twice_as_fast,
    joined_texts_can_be_spelled,
    steps_have_an_effect,
)


def _block(name: str) -> str:
    return spell(("encoder", "block", name))


def _stack_frame_ms(recipe: Recipe) -> Fraction:
    return recipe.features.frame_ms * recipe.encoder.stem.stride


def _number(value: Fraction) -> str:
    return f"{float(value):g}"


def _same_context(a: ContextSpec, b: ContextSpec) -> bool:
    return (a.chunk, a.chunk_ms, a.left_ms) == (b.chunk, b.chunk_ms, b.left_ms)
