"""Transcribing a set: the model's best text for every utterance, in the set's order."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs
import torch
from torch import nn

from asr_lab.data.batch import Batch
from asr_lab.data.batch_features import batch_features
from asr_lab.data.utterance import BadCut
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import Targets
from asr_lab.recognition.bounded_batches import BoundedBatches
from asr_lab.recognition.decoded_utterance import IDENTIFIED, DecodedUtterance
from asr_lab.streaming import Context, Frames, Streamable
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.training.parallel.group import Group
from asr_lab.training.precision import PrecisionManager, get_precision_manager

if TYPE_CHECKING:
    from rich.progress import Progress

    from asr_lab.data.training_data import EvaluationData

__all__ = [
    "DecodedUtterance",
    "DecodingCost",
    "InterruptedDecodingError",
    "evaluating",
    "evaluation_context",
    "transcribe_set",
]


class InterruptedDecodingError(Exception):
    """Decoding was asked to end before it was through."""


@attrs.define
class DecodingCost:
    """What transcribing sets took."""

    compute_s: float = 0.0
    """Seconds of features, model and search; reading and decoding of files not among them."""
    audio_s: float = 0.0
    """Seconds of audio that took them."""
    halvings: int = 0
    """How often a batch was halved for memory."""


@torch.no_grad()
def transcribe_set(
    model: SpeechModel,
    features: Streamable[Any],
    vocabulary: Vocabulary,
    data: EvaluationData,
    decode: DecodeOptions,
    device: torch.device | str = "cpu",
    show: bool = False,
    spell: Callable[[str, int], Sequence[int]] | None = None,
    cost: DecodingCost | None = None,
    group: Group | None = None,
    stop: Callable[[], int] = lambda: 0,
    precision: PrecisionManager | None = None,
) -> list[DecodedUtterance]:
    """The best hypothesis of every utterance of a set, in the set's order, references as its manifest writes them.

    The model is in eval mode meanwhile, in its widest context (`evaluation_context`). `show` draws progress on stderr
    when that is a terminal. With `spell`, the tokens of a transcript beside so many samples (none where there is
    nothing to learn), each has its loss. `cost` is added to. Of a `group` of processes each decodes its share of the
    batches, with a model of its own; all get the same list, or raise InterruptedDecodingError when `stop` gives one of
    them the number of a signal. Features and losses are computed in 32 bits, model and search in `precision`, by
    default that too.

    A batch that does not fit into memory is halved, and so are those after it that are as large; an utterance that
    does not fit alone becomes one of the set's `unreadable`.
    """
    group, precision = group or Group(), precision or get_precision_manager("fp32")
    context = evaluation_context(model)
    texts: dict[str, Sequence[str | None]] = {}  # and the language that was identified
    losses: dict[str, float] = {}
    with evaluating(model), progress_bar(show) as progress:
        task = progress.add_task(f"transcribing {data.name or 'test'}", total=len(data.utterances))

        def step(batch: Batch) -> tuple[list[tuple[str, str | None]], dict[str, float]]:
            frames = batch_features(features, batch, device)
            with precision.autocast(device):
                encoded = model.encode(frames, context)
                found = model.search_in(encoded, decode)
            own = _losses(model, encoded, batch, spell) if spell is not None else {}
            return [(vocabulary.decode(best.tokens), best.language) for best, *_ in found], own

        bounded = BoundedBatches(step)
        for whole in data.batches(group.world.rank, group.world.size):
            if stop():
                break
            started = time.perf_counter()
            for batch, found in bounded.run(whole):
                if found is None:
                    data.give_up(batch.ids[0], f"does not fit into the memory of {device}")
                else:
                    texts.update(zip(batch.ids, found[0], strict=True))
                    losses.update(found[1])
                progress.advance(task, group.world.size * len(batch.ids))
            if cost is not None:
                cost.compute_s += time.perf_counter() - started
                cost.audio_s += int(whole.audio_lengths.sum()) / data.sample_rate
                cost.halvings = bounded.halvings
    own = [texts, losses, [list(bad) for bad in data.failed], stop()]
    shares = group.gather(own, f"transcribing {data.name or 'test'}")
    if any(stopped for *_, stopped in shares):
        raise InterruptedDecodingError
    for others, their_losses, failed, _ in shares:
        texts.update(others)
        losses.update(their_losses)
        data.take_failed(BadCut(*bad) for bad in failed)
    decoded = []
    for u in data.utterances:
        if u.id in texts:
            text, language = texts[u.id]
            columns = {**u.columns, **({} if language is None else {IDENTIFIED: language})}
            one = DecodedUtterance(u.id, u.text, text or "", columns, u.duration_s or 0.0, u.audio, losses.get(u.id))
            decoded.append(one)
    return decoded


def _losses(
    model: SpeechModel, encoded: Sequence[Frames], batch: Batch, spell: Callable[[str, int], Sequence[int]]
) -> dict[str, float]:
    """The finite loss of each utterance whose transcript has tokens."""
    known = [spell(text, size) for text, size in zip(batch.texts, batch.audio_lengths.tolist(), strict=True)]
    spelled = [(row, tokens) for row, tokens in enumerate(known) if tokens]
    if not spelled:
        return {}
    rows, tokens = zip(*spelled, strict=True)
    index = torch.tensor(rows, device=encoded[0].x.device)
    total = model.losses([frames.rows(index) for frames in encoded], Targets.of(tokens, index.device)).total.tolist()
    return {batch.ids[row]: loss for row, loss in zip(rows, total, strict=True) if math.isfinite(loss)}


def evaluation_context(model: SpeechModel) -> Context:
    """What recordings are decoded in: the whole utterance where the model is trained for it, else its widest chunk."""
    return max((context for context, _ in model.contexts), key=_width)


def _width(context: Context) -> tuple[float, float]:
    chunk, left = context.chunk_frames, context.left_frames
    return (float("inf") if chunk is None else chunk, float("inf") if left is None else left)


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """The model in eval mode; afterwards in the mode it was in."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def progress_bar(show: bool) -> Progress:
    """A bar on stderr, where that is a terminal and it is wanted."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not (show and sys.stderr.isatty())
    return Progress(*columns, console=Console(stderr=True, emoji=False), disable=hidden, transient=True)
