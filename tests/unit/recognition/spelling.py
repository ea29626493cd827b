"""A made-up attention decoder: recordings say in every sample what is spoken, and it misreads what is not over yet."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from made_up import EverySecond, SampleIsToken
from torch import Tensor
from torch.nn import functional as F

from asr_lab.compiler.build import Loaded
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import DecoderHead, Targets
from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.streaming import WHOLE, Chain, Frames, run_whole
from asr_lab.text.characters import CharacterTokenizer

RATE = 100
"""Samples per second: a feature frame each, one of the encoder's every 20 ms."""
ALPHABET = " abcdefghijklmnopqrstuvwxyz"
VOCAB = len(ALPHABET) + 2
WAVERING = {2 + ALPHABET.index("q"), 2 + ALPHABET.index("z")}
"""A token that is read anew each time: as `q` or `z`, by how much audio there is."""
TOKEN_SAMPLES = 6
STEP_MS = 500.0


class Spelling(NamedTuple):
    """The tokens in each utterance's frames, and what each of its texts has got to."""

    spoken: list[list[int]]
    texts: list[list[tuple[int, ...]]]


class SpellsItsFrames(AttentionDecoderHead):
    """Goes on after a text where, in the frames' tokens, most of its end was; tokens at the very end are misread."""

    def __init__(self) -> None:
        super().__init__(VOCAB, VOCAB, num_layers=1, num_heads=1, max_tokens=200)
        self.calls: list[int] = []

    def begin(self, frames: Frames) -> Any:
        tokens = frames.x.argmax(-1)
        self.calls += frames.lengths.tolist()
        spoken = [self._tokens(row[:n]) for row, n in zip(tokens.tolist(), frames.lengths.tolist(), strict=True)]
        return Spelling(spoken, [[()] for _ in spoken])

    def step(self, state: Any, tokens: Tensor, source: Tensor) -> tuple[Any, Tensor]:
        texts = [
            [(*row[s], t) for s, t in zip(sources, given, strict=True)]
            for row, sources, given in zip(state.texts, source.tolist(), tokens.tolist(), strict=True)
        ]
        logits = torch.zeros(*tokens.shape, VOCAB)
        for row, spoken in enumerate(state.spoken):
            for k, text in enumerate(texts[row]):
                logits[row, k, self._next(spoken, text[1:])] = 20.0
        return Spelling(state.spoken, texts), logits

    def keep(self, state: Any, utterances: Tensor) -> Any:
        chosen = utterances.tolist()
        return Spelling([state.spoken[i] for i in chosen], [state.texts[i] for i in chosen])

    def logits(self, frames: Frames, targets: Targets) -> Tensor:
        return F.one_hot(F.pad(targets.tokens, (0, 1)), VOCAB) * 20.0

    def attention_weights(self, frames: Frames, targets: Targets) -> Tensor:
        """Every token attends to its run of frames, and no token to what the text has no token for."""
        weights = torch.full((1, 1, 1, targets.tokens.shape[1] + 1, frames.x.shape[1]), 1e-3)
        spoken, text = frames.x[0].argmax(-1).tolist(), targets.tokens[0].tolist()
        run, before = len(text) - self._place(self._tokens(spoken), text) - 1, 0
        for t, now in enumerate(spoken):
            run += now not in (0, before)
            before = now
            if now and 0 <= run < len(text):
                weights[..., run, t] = 1.0
        return weights

    @staticmethod
    def _tokens(frames: Sequence[int]) -> list[int]:
        runs = [(token, len(list(run))) for token, run in itertools.groupby(frames)]
        spoken = [token for token, _ in runs if token]
        if spoken and runs[-1][0]:  # it is still being spoken
            spoken[-1] = 2 + ALPHABET.index("x")
        elif spoken and runs[-1][1] < 2:
            spoken.append(2 + ALPHABET.index("w"))
        wavers = max(WAVERING) if len(frames) // 25 % 2 else min(WAVERING)
        return [wavers if token in WAVERING else token for token in spoken]

    @classmethod
    def _next(cls, spoken: Sequence[int], text: Sequence[int]) -> int:
        place = cls._place(spoken, text)
        return spoken[place] if place < len(spoken) else 1

    @staticmethod
    def _place(spoken: Sequence[int], text: Sequence[int]) -> int:
        """Where in the frames' tokens a text ends."""

        def alike(place: int) -> int:
            pairs = zip(reversed(text), reversed(spoken[:place]), strict=False)
            same = (one == other or {one, other} == WAVERING for one, other in pairs)
            return sum(itertools.takewhile(bool, same))

        if list(spoken[: len(text)]) == list(text):
            return len(text)
        return max(range(len(spoken) + 1), key=lambda place: (alike(place), -abs(place - len(text))))


def made_up(*others: DecoderHead) -> Loaded:
    """Emits the token that each sample names, with an attention decoder before others."""
    heads = [SpellsItsFrames(), *others]
    model = SpeechModel(Chain([EverySecond()]), heads, [1.0] * len(heads), [1] * len(heads), vocab_size=VOCAB)
    return Loaded(model, SampleIsToken(VOCAB), CharacterTokenizer(ALPHABET), Path(), RATE)


def ctc() -> CTCHead:
    head = CTCHead(VOCAB, VOCAB)
    with torch.no_grad():
        head.output.weight.copy_(4 * torch.eye(VOCAB))
        head.output.bias.zero_()
    return head


def live(
    *others: DecoderHead, max_buffer_s: float = 60.0, agreeing: int = 2, beam: int = 1, step_ms: float = STEP_MS
) -> AgreementRecognizer:
    return AgreementRecognizer(
        made_up(*(others or (ctc(),))), DecodeOptions(beam=beam), step_ms, max_buffer_s=max_buffer_s, agreeing=agreeing
    )


def spoken(text: str, silence: int = 0) -> Tensor:
    """Samples of a text, each token 4 samples and 2 of silence long, with silence around it."""
    tokens = CharacterTokenizer(ALPHABET).encode(text)
    return torch.tensor([0] * silence + [s for token in tokens for s in [token] * 4 + [0] * 2] + [0] * 4) / VOCAB


def sentence(seed: int, num_words: int = 30, letters: str = "abcdefghijk") -> str:
    """Random words, so many that no stretch of three is like another."""
    rng = np.random.default_rng(seed)
    return " ".join("".join(rng.choice(list(letters), rng.integers(2, 8))) for _ in range(num_words))


def updates_of(recognizer: AgreementRecognizer, audio: Tensor, pieces: Sequence[int]) -> list[StreamUpdate]:
    """A stream's updates; its audio comes in pieces of these sizes, again and again."""
    stream, given, turn, updates = recognizer.open(), 0, 0, []
    while given < len(audio):
        count = pieces[turn % len(pieces)]
        recognizer.push(stream, audio[given : given + count])
        given, turn = given + count, turn + 1
        updates += recognizer.step()
    while found := recognizer.step():
        updates += found
    recognizer.finish(stream)
    return updates + recognizer.step()


def words(updates: Sequence[StreamUpdate]) -> list[TimedWord]:
    return [word for update in updates for word in update.words]


def text(updates: Sequence[StreamUpdate]) -> str:
    return " ".join(word.text for word in words(updates))


def offline(loaded: Loaded, audio: Tensor) -> str:
    with torch.inference_mode():
        features = run_whole(loaded.features, Frames.whole(audio[None]), WHOLE)
        return loaded.vocabulary.decode(loaded.model.search(features)[0][0].tokens)


class Deaf(DecoderHead):
    """A decoder of a kind that no times can be read from."""

    kind = "deaf"
