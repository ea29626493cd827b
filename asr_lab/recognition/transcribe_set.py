"""Transcribing a set: the model's best text for every utterance, in the set's order."""

from __future__ import annotations

import contextlib
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from asr_lab.data.batch import Batch
from asr_lab.data.batch_features import batch_features
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import Targets
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.streaming import Context, Frames, Streamable
from asr_lab.text.vocabulary import Vocabulary

if TYPE_CHECKING:
    from rich.progress import Progress

    from asr_lab.data.training_data import EvaluationData

__all__ = ["DecodedUtterance", "evaluating", "evaluation_context", "transcribe_set"]


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
) -> list[DecodedUtterance]:
    """The best hypothesis of every utterance of a set, in the set's order, references as its manifest writes them.

    The model is in eval mode meanwhile, in its widest context (`evaluation_context`). `show` draws progress on stderr
    when that is a terminal. With `spell`, the tokens of a transcript beside so many samples (none where there is
    nothing to learn), each has its loss.
    """
    context = evaluation_context(model)
    texts: dict[str, str] = {}
    losses: dict[str, float] = {}
    with evaluating(model), _progress(show) as progress:
        task = progress.add_task(f"transcribing {data.name or 'test'}", total=len(data.utterances))
        for batch in data.batches():
            encoded = model.encode(batch_features(features, batch, device), context)
            found = model.search_in(encoded, decode)
            for id, hypotheses in zip(batch.ids, found, strict=True):
                texts[id] = vocabulary.decode(hypotheses[0].tokens)
            if spell is not None:
                losses.update(_losses(model, encoded, batch, spell))
            progress.advance(task, len(batch.ids))
    return [
        DecodedUtterance(u.id, u.text, texts[u.id], dict(u.columns), u.duration_s or 0.0, u.audio, losses.get(u.id))
        for u in data.utterances
        if u.id in texts
    ]


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


def _progress(show: bool) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    hidden = not (show and sys.stderr.isatty())
    return Progress(*columns, console=Console(stderr=True, emoji=False), disable=hidden, transient=True)
