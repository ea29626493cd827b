"""Every choice of every slot that holds layers, as cases of the law: nothing to register.

A choice is tried with its defaults; a key that is a slot itself is tried with each of that slot's choices. `VARIANTS`
adds settings that take another way through a layer, and stands in for required keys.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import attrs
import torch
from law import Case

from asr_lab.audio.streaming_resampler import Resampler
from asr_lab.config.section import Slot
from asr_lab.nn.stems import FrameStack
from asr_lab.slots.blocks import Block, Mixer
from asr_lab.slots.features import Features
from asr_lab.slots.stems import Stem
from asr_lab.streaming import WHOLE, Chain, Context

WHOLE_ONLY = {
    "features/log_mel[floor=utterance]": "the floor lies below the loudest frame of the utterance (Whisper)",
    "features/log_mel[level=utterance,convention=nemo]": "mean and variance are those of the whole utterance",
    "blocks/macaron[conv=centred]": "a centred convolution sees frames to the right of the chunk",
    "blocks/bidirectional_mamba2": "its backward scan begins at the last frame of the utterance",
}
"""Choices that may need whole utterances in a chunked context, and why; blocks take after the mixer they are given."""

VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "features/log_mel": {
        **{
            f"convention={convention},level={level}": {
                "convention": convention,
                "level": level,
                "sample_rate": 2000,
                "num_mels": 8,
            }
            for convention in ("whisper", "kaldi", "nemo")
            for level in ("none", "running")
        },
        "floor=utterance": {"convention": "whisper", "floor": "utterance", "sample_rate": 2000, "num_mels": 8},
        "level=utterance,convention=nemo": {
            "convention": "nemo",
            "level": "utterance",
            "sample_rate": 2000,
            "num_mels": 8,
        },
    },
    "stems/depthwise_stride": {
        f"factor={factor},causal={causal}": {"factor": factor, "causal": causal, "channels": 12}
        for factor in (4, 8)
        for causal in (True, False)
    },
    "stems/whisper_conv": {"causal=True": {"causal": True}, "causal=False": {"causal": False}},
    "stems/frame_stack": {"factor=3,norm=none": {"factor": 3, "norm": "none"}},
    "blocks/attention": {f"position={p}": {"position": p} for p in ("relative", "rotary", "none")},
    "blocks/mamba2": {"small": {"state_dim": 8, "head_dim": 16, "conv_width": 3}},
    "blocks/macaron": {
        "conv=centred": {"conv": {"causal": False}},
        "conv=within chunks": {"conv": {"causal": False, "lookahead": "chunk"}},
        "conv=short": {"conv": {"kernel_frames": 2}},
    },
}
"""More settings per choice; a table inside is given as a dict of its keys."""

DIMS = (32, 64, 128, 256)
STACK_CONTEXTS = (Context(4, 8), Context(2, 6), Context(3, 4), Context(1, 0), WHOLE)
NUM_FEATURES = 21


def whole_only(name: str) -> str | None:
    """Why a case may need whole utterances; None when it must stream."""
    mixer = re.search(r"\[mixer=(\w+)\]", name)
    return WHOLE_ONLY.get(name) or (WHOLE_ONLY.get(f"blocks/{mixer[1]}") if mixer else None)


def cases() -> Iterator[Case]:
    """All of them, and what stands in no slot: resampling, and chains."""
    for slot in (Features, Stem, Block, Mixer):
        for tag, choice in sorted(slot.choices().items()):
            for label, section in _sections(f"{slot.folder.rpartition('.')[2]}/{tag}", choice):
                yield _case(label, section)
    yield from _resamplers()
    yield _chain()
    yield _resampled_chain()


def waveform_cases() -> Iterator[Case]:
    """Those that take samples in pieces of any size."""
    for case in cases():
        layer = case.layer(torch.float32)
        if case.dim is None and layer.hop_frames(case.contexts[0]) == 1:
            yield case


def _sections(label: str, choice: type[Slot]) -> Iterator[tuple[str, Any]]:
    variants = VARIANTS.get(label, {})
    found = [(name, keys) for name, keys in variants.items()]
    if not any(a.default is attrs.NOTHING and not _slot_of(choice, a.name) for a in attrs.fields(choice)):
        found.insert(0, ("", {}))
    assert found, f"{label} has required keys: give it a variant in tests/contract/cases.py"
    for name, keys in found:
        for inner, filled in _filled(choice, keys):
            marks = ",".join(filter(None, (name, inner)))
            yield (f"{label}[{marks}]" if marks else label), choice(**filled)


def _filled(choice: type[Slot], keys: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The keys, with each required slot filled by each of its choices (variants: by the first that streams)."""
    types = attrs.fields_dict(attrs.resolve_types(choice))  # type: ignore[type-var]
    made = {k: types[k].type(**v) if isinstance(v, dict) and attrs.has(types[k].type) else v for k, v in keys.items()}
    slots = [a.name for a in attrs.fields(choice) if a.default is attrs.NOTHING and a.name not in keys]
    options = [sorted(_slot_of(choice, name).choices().items()) for name in slots]  # type: ignore[union-attr]
    for picked in itertools.product(*options):
        label = "" if keys else ",".join(f"{name}={tag}" for name, (tag, _) in zip(slots, picked, strict=True))
        yield label, {**made, **{name: part() for name, (_, part) in zip(slots, picked, strict=True)}}
        if keys:
            return


def _slot_of(choice: type[Slot], name: str) -> type[Slot] | None:
    kind = getattr(attrs.fields_dict(attrs.resolve_types(choice))[name], "type", None)  # type: ignore[type-var]
    return kind if isinstance(kind, type) and issubclass(kind, Slot) else None


def _case(label: str, section: Any) -> Case:
    if isinstance(section, Features):
        hop = int(section.sample_rate * section.frame_ms / 1000)
        contexts = (Context(4 * hop, 8 * hop),)  # which features do not look at
        return Case(label, section.build, None, contexts, section.whole_because, scale=0.1)
    if isinstance(section, Stem):
        s = section.stride
        contexts = (Context(2 * s, 4 * s), Context(s, 3 * s), WHOLE)
        return Case(label, lambda: section.build(NUM_FEATURES, 32), NUM_FEATURES, contexts, section.whole_because())
    dim = next((d for d in DIMS if not section.dim_problems(d)), None)
    assert dim is not None, f"{label} takes none of the dims {DIMS}"
    return Case(label, lambda: section.build(dim, 0.0), dim, STACK_CONTEXTS, section.whole_because())


def _chain() -> Case:
    """A whole encoder from the waveform up: what a session runs."""
    features = Features.choices()["log_mel"](sample_rate=8000, num_mels=20)  # type: ignore[call-arg]
    stem = Stem.choices()["whisper_conv"](causal=False)  # type: ignore[call-arg]
    mixer = Mixer.choices()["attention"]()
    block = Block.choices()["macaron"](mixer=mixer)  # type: ignore[call-arg]
    hop = 80 * stem.stride  # type: ignore[attr-defined]

    def build() -> Chain:
        parts = [features.build(), stem.build(20, 32), block.build(32, 0.0), block.build(32, 0.0)]  # type: ignore[attr-defined]
        chain = Chain(parts)
        assert chain.ratio == Fraction(1, hop)
        return chain

    return Case(
        "chain of features, stem and blocks",
        build,
        None,
        (Context(4 * hop, 8 * hop), Context(2 * hop, 6 * hop)),
        scale=0.1,
    )


def _resamplers() -> Iterator[Case]:
    """Rates that go up and down, by steps of one sample, many phases, and not at all."""
    for from_hz, to_hz in ((48000, 16000), (8000, 16000), (8000, 5000), (9, 10), (16000, 16000)):
        name = f"resampler[{from_hz} to {to_hz}]"
        yield Case(name, functools.partial(Resampler, from_hz, to_hz), None, (WHOLE,))


def _resampled_chain() -> Case:
    """What a microphone of another rate needs before the features."""
    features = Features.choices()["log_mel"](sample_rate=2000, num_mels=8)  # type: ignore[call-arg]

    def build() -> Chain:
        return Chain([Resampler(3000, 2000), features.build(), FrameStack(8, 16, 2, norm=True)])

    return Case("chain of resampler, features and stem", build, None, (Context(60, 120), WHOLE), scale=0.1)


def pairs(case: Case, streaming: bool) -> Iterator[tuple[Case, Context]]:
    """The case in its contexts; `streaming` = only where it may be cut."""
    for context in case.contexts:
        if not streaming or case.layer(torch.float32).hop_frames(context) is not None:
            yield case, context
