"""The proof that a stored model streams what it computes offline: the same frames and the same tokens."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import attrs
import torch

from asr_lab.evaluation.streaming.cuts import hop_steps, random_steps, run_live, run_parts
from asr_lab.evaluation.streaming.decisions import Decisions, Place, decide
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import DecoderHead
from asr_lab.streaming import Chain, Context, Frames, Streamable, joined

TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
"""Largest difference of frames allowed, relative to the largest value where that is above 1."""
DECISIONS_PER_DIFFERENCE = 10_000
"""One token in so many may differ, at near ties alone."""
KEPT = 100
"""Places that a check keeps; it counts all."""

Cutting = Literal["random cuts", "live, hop by hop", "alone and in a batch"]
"""How utterances were given: the last where a context needs them whole, so that there is nothing to cut."""


class Utterances(NamedTuple):
    """Some recordings, to be proved on."""

    ids: tuple[str, ...]
    audio: Frames
    """Samples, (B, S)."""


@attrs.frozen
class Check:
    """Streamed against offline-masked runs in one context, in one precision, by one way of cutting."""

    context: str
    dtype: Literal["float64", "float32"]
    cutting: Cutting
    frames: int
    """Encoder frames that were compared."""
    difference: float
    """The largest of any value of these frames."""
    relative: float
    """The same, divided by the largest value where that is above 1: what is held against `tolerance`."""
    tolerance: float
    score_difference: float
    """The largest of any token's log-probability."""
    decisions: int
    """Tokens (or blanks) chosen."""
    num_differing: int
    differing: tuple[Place, ...]
    """The first of them."""
    problems: tuple[str, ...]
    """Why the check fails; none = it holds."""


@attrs.frozen
class Proof:
    """What all checks say together."""

    checks: tuple[Check, ...]
    utterances: tuple[str, ...]
    audio_s: float
    seed: int

    @property
    def decisions(self) -> int:
        """Tokens (or blanks) chosen."""
        return sum(c.decisions for c in self.checks)

    @property
    def num_differing(self) -> int:
        """Those that were chosen otherwise."""
        return sum(c.num_differing for c in self.checks)

    @property
    def problems(self) -> tuple[str, ...]:
        """Every way in which the model fails the proof."""
        found = [problem for check in self.checks for problem in check.problems]
        if self.num_differing * DECISIONS_PER_DIFFERENCE > self.decisions:
            counted = f"{self.num_differing:,} of {self.decisions:,} tokens differ"
            found.append(f"{counted}, allowed is 1 in {DECISIONS_PER_DIFFERENCE:,}")
        return tuple(found)

    @property
    def holds(self) -> bool:
        """Whether there is no problem."""
        return not self.problems


@attrs.frozen(eq=False)
class Subject:
    """What is put to the proof: features and encoder as one chain over samples, and the decoders that read it."""

    chain: Chain
    names: tuple[str, ...]
    """Of the chain's parts, as a user knows them."""
    heads: tuple[tuple[int, DecoderHead], ...]
    """Each with the number of the chain's parts that it reads after."""

    @staticmethod
    def of(model: SpeechModel, features: Streamable[Any], names: Sequence[str]) -> Subject:
        """A model; `names` are of its encoder's parts."""
        heads = [(1 + tap, head) for tap, head in zip(model.taps, model.heads, strict=True)]
        chain = Chain([features, *model.encoder])
        return Subject(chain, ("features", *names), tuple((d, h) for d, h in heads if isinstance(h, DecoderHead)))

    def to(self, dtype: torch.dtype) -> Subject:
        """A copy in another precision, in eval mode."""
        chain, *heads = copy.deepcopy([self.chain, *(head for _, head in self.heads)])
        depths = [depth for depth, _ in self.heads]
        moved = tuple((d, h.to(dtype).eval()) for d, h in zip(depths, heads, strict=True))
        return Subject(chain.to(dtype).eval(), self.names, moved)  # type: ignore[arg-type]


def prove(subject: Subject, contexts: Sequence[tuple[str, Context]], batch: Utterances, seed: int) -> Iterator[Check]:
    """Put a model to the proof on some utterances, context by context, each under its name and in samples.

    Both precisions, at random legal cuts and in live sessions hop by hop; a context that needs utterances whole has
    nothing to cut, and each is compared with itself in a padded batch. Yields each check as it is made.
    """
    for dtype in TOLERANCE:
        moved = subject.to(dtype)
        audio = batch.audio.with_x(batch.audio.x.to(dtype))
        for name, context in contexts:
            yield from _prove_one(moved, name, context, Utterances(batch.ids, audio), seed)


def together(checks: Sequence[Check]) -> Check:
    """Checks of one kind on several batches, as one."""
    first = checks[0]
    return attrs.evolve(
        first,
        frames=sum(c.frames for c in checks),
        difference=max(c.difference for c in checks),
        relative=max(c.relative for c in checks),
        score_difference=max(c.score_difference for c in checks),
        decisions=sum(c.decisions for c in checks),
        num_differing=sum(c.num_differing for c in checks),
        differing=tuple(p for c in checks for p in c.differing)[:KEPT],
        problems=tuple(dict.fromkeys(p for c in checks for p in c.problems)),
    )


class _Run(NamedTuple):
    """One way of running the utterances: what each part gave, step by step. Parts that nothing asks for are empty."""

    pieces: list[list[Frames]]

    def frames(self, depth: int) -> Frames:
        """What the first `depth` parts made of the utterances."""
        return joined(self.pieces[depth - 1])


@torch.no_grad()
def _prove_one(subject: Subject, name: str, context: Context, utterances: Utterances, seed: int) -> Iterator[Check]:
    chain, audio = subject.chain, utterances.audio
    offline = _Run(run_parts(chain, [audio], context))
    hop = chain.hop_frames(context)
    if hop is None:
        yield _check(subject, name, "alone and in a batch", utterances, offline, _alone(chain, audio, context))
        return
    cuts = _Run(run_parts(chain, random_steps(audio, hop, chain.lookahead_frames, seed), context))
    yield _check(subject, name, "random cuts", utterances, offline, cuts)
    live = _Run([[] for _ in chain])
    for depth in {depth for depth, _ in subject.heads}:
        live.pieces[depth - 1] = run_live(Chain(list(chain)[:depth]), audio, context, seed)
    check = _check(subject, name, "live, hop by hop", utterances, offline, live)
    if check.problems:  # a session shows its last frames alone: the same steps again, part by part
        parts = _Run(run_parts(chain, hop_steps(audio, hop, chain.lookahead_frames), context))
        again = _check(subject, name, "live, hop by hop", utterances, offline, parts)
        check = attrs.evolve(check, problems=again.problems or check.problems)
    yield check


def _alone(chain: Chain, audio: Frames, context: Context) -> _Run:
    """Each utterance by itself and without padding, as steps of a batch in which one row gives all it has."""
    pieces: list[list[Frames]] = [[] for _ in chain]
    for row, length in enumerate(audio.lengths.tolist()):
        own = run_parts(chain, [Frames.whole(audio.x[row : row + 1, :length])], context)
        for part, (out,) in zip(pieces, own, strict=True):
            x = out.x.new_zeros(audio.batch, *out.x.shape[1:])
            x[row] = out.x[0]
            lengths = torch.zeros_like(audio.lengths)
            lengths[row] = out.lengths[0]
            part.append(Frames(x, lengths, torch.zeros_like(audio.final)))
    return _Run(pieces)


def _check(
    subject: Subject, name: str, cutting: Cutting, utterances: Utterances, offline: _Run, streamed: _Run
) -> Check:
    dtype = utterances.audio.x.dtype
    where = f"{name}, {str(dtype).removeprefix('torch.')}, {cutting}"
    check = Check(
        context=name,
        dtype="float64" if dtype == torch.float64 else "float32",
        cutting=cutting,
        frames=0,
        difference=0.0,
        relative=0.0,
        tolerance=TOLERANCE[dtype],
        score_difference=0.0,
        decisions=0,
        num_differing=0,
        differing=(),
        problems=(),
    )
    found = []
    for depth, head in subject.heads:
        ours, theirs = offline.frames(depth), streamed.frames(depth)
        apart = _apart(ours, theirs)
        one = attrs.evolve(check, frames=int(ours.lengths.sum()), difference=apart.difference, relative=apart.relative)
        if apart.reason or not apart.relative <= check.tolerance:
            culprit = _culprit(subject, offline, streamed, check.tolerance)
            one = attrs.evolve(one, problems=(f"{where}: {culprit or _described(f'what {head.kind} reads', apart)}",))
        if not apart.reason:
            decided = decide(head, utterances.ids, ours, theirs, streamed.pieces[depth - 1])
            one = _with_decisions(one, where, head.kind, decided)
        found.append(one)
    return together(found)


class _Apart(NamedTuple):
    """How far frames are from one another."""

    difference: float
    relative: float
    reason: str
    """What keeps them from being compared value by value; empty where nothing does."""


def _apart(ours: Frames, theirs: Frames) -> _Apart:
    if ours.lengths.tolist() != theirs.lengths.tolist():
        infinite = float("inf")
        return _Apart(infinite, infinite, f"{theirs.lengths.tolist()} frames instead of {ours.lengths.tolist()}")
    longest = int(ours.lengths.max())
    a, b = ours.valid()[:, :longest], theirs.valid()[:, :longest]
    if not (bool(torch.isfinite(a).all()) and bool(torch.isfinite(b).all())):
        return _Apart(float("inf"), float("inf"), "values that are not finite")
    difference = float((a - b).abs().max()) if a.numel() else 0.0
    return _Apart(difference, difference / max(1.0, float(a.abs().max()) if a.numel() else 0.0), "")


def _culprit(subject: Subject, offline: _Run, streamed: _Run, tolerance: float) -> str | None:
    """A sentence on the first part whose frames differ by more than allowed; None where no part's were kept."""
    for number, (name, part) in enumerate(zip(subject.names, subject.chain, strict=True), start=1):
        if not streamed.pieces[number - 1]:
            continue
        apart = _apart(offline.frames(number), streamed.frames(number))
        if apart.reason or not apart.relative <= tolerance:
            return _described(f"{name} ({type(part).__name__}) is the first part that streams other frames", apart)
    return None


def _described(what: str, apart: _Apart) -> str:
    return f"{what}: {apart.reason or f'they differ by {apart.relative:.1e} of the largest'}"


def _with_decisions(check: Check, where: str, decoder: str, decided: Decisions) -> Check:
    problems = list(check.problems)
    if clear := [p for p in decided.differing if not p.near_tie]:
        first = clear[0]
        problems.append(
            f"{where}: {decoder} finds other tokens in {len(clear):,} places that are no near ties, the first in "
            f"{first.utterance} at {first.position} (margin {first.margin:.1e}, where scores differ by at most "
            f"{decided.score_difference:.1e})"
        )
    return attrs.evolve(
        check,
        score_difference=decided.score_difference,
        decisions=decided.num_choices,
        num_differing=len(decided.differing),
        differing=decided.differing[:KEPT],
        problems=tuple(problems),
    )
