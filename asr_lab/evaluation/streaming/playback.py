"""Recordings played to a live recognizer: what it shows, and what it takes to compute."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal, Protocol

import attrs
import numpy as np
import torch
from torch import Tensor

from asr_lab.evaluation.streaming.contexts import Candidate
from asr_lab.evaluation.streaming.latency import Shown, ShownWord, watch
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.recognition.live import LoadedModel
from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer
from asr_lab.streaming import WHOLE, Context, Frames, run_whole
from asr_lab.units import s_to_ms, samples_to_s

Kind = Literal["offline", "live", "agreement"]

STREAMS = 64
"""Recordings that are streamed at once where nothing is timed."""


class Live(Protocol):
    """A recognizer of live streams: `LiveRecognizer`, or the local agreement of an attention decoder."""

    @property
    def sample_rate(self) -> int: ...
    @property
    def state_bytes(self) -> int: ...
    def open(self) -> int: ...
    def push(self, stream: int, samples: Tensor) -> None: ...
    def finish(self, stream: int) -> None: ...
    def step(self) -> list[StreamUpdate]: ...


@attrs.frozen
class ComputeCost:
    """What one stream alone costs."""

    real_time_factor: float
    """Seconds of computing per second of audio."""
    chunk_p50_ms: float
    chunk_p99_ms: float
    """Computing per chunk: half, and 99 %, take no longer."""
    num_chunks: int
    audio_s: float
    """Of the audio that was timed."""

    @staticmethod
    def of(chunks_s: Sequence[float], audio_s: float) -> ComputeCost:
        """The figures of some chunks' seconds."""
        p50, p99 = map(s_to_ms, np.percentile(chunks_s, (50, 99)).tolist() if chunks_s else (0.0, 0.0))
        return ComputeCost(sum(chunks_s) / max(audio_s, 1e-9), p50, p99, len(chunks_s), audio_s)


def play(recognizer: Live, recordings: Sequence[Tensor], packet_samples: int) -> list[Shown]:
    """What a recognizer shows of recordings, (S,) each, that begin at once and come in packets."""
    updates: dict[int, list[StreamUpdate]] = {}
    rest: dict[int, Tensor] = {}
    for samples in recordings:
        stream = recognizer.open()
        updates[stream], rest[stream] = [], samples
    while rest:
        for stream, samples in rest.items():
            recognizer.push(stream, samples[:packet_samples])
            rest[stream] = samples[packet_samples:]
        _step_all(recognizer, updates)
        for stream in [stream for stream, samples in rest.items() if not len(samples)]:
            recognizer.finish(stream)  # only now, lest the last packets are taken in one step
            del rest[stream]
        _step_all(recognizer, updates)
    return [watch(one) for one in updates.values()]


def _step_all(recognizer: Live, updates: dict[int, list[StreamUpdate]]) -> None:
    while found := recognizer.step():
        for update in found:
            updates[update.stream].append(update)


def time_alone(recognizer: Live, recordings: Sequence[Tensor], packet_samples: int) -> ComputeCost:
    """What it costs to stream recordings one after the other, each as the only stream."""
    chunks_s: list[float] = []
    for samples in recordings:
        stream = recognizer.open()
        for packet in torch.split(samples, packet_samples):
            recognizer.push(stream, packet)
            chunks_s += _steps(recognizer)
        recognizer.finish(stream)
        chunks_s += _steps(recognizer)
    return ComputeCost.of(chunks_s, sum(samples_to_s(len(one), recognizer.sample_rate) for one in recordings))


def _steps(recognizer: Live) -> list[float]:
    """Seconds of each step until nothing is due."""
    taken: list[float] = []
    while True:
        start = time.perf_counter()
        if not recognizer.step():
            return taken
        taken.append(time.perf_counter() - start)


def shown_at_end(text: str, duration_s: float) -> Shown:
    """What is shown of a text that is there when the recording is over, and not before."""
    words = tuple(ShownWord(word, duration_s, duration_s) for word in text.split())
    return Shown(words, len(words), 0)


class Offline:
    """A model that recognises a recording when it is over, in one context."""

    def __init__(self, loaded: LoadedModel, context: Context, decode: DecodeOptions) -> None:
        self.loaded, self.context, self.decode = loaded, context, decode

    @torch.no_grad()
    def recognise(self, recordings: Sequence[Tensor]) -> list[Shown]:
        """What is shown of recordings, (S,) each."""
        lengths = torch.tensor([len(one) for one in recordings], device=recordings[0].device)
        audio = Frames.whole(torch.nn.utils.rnn.pad_sequence(list(recordings), batch_first=True), lengths)
        found = self.loaded.model.search(run_whole(self.loaded.features, audio, WHOLE), self.decode, self.context)
        texts = [self.loaded.vocabulary.decode(hypotheses[0].tokens) for hypotheses in found]
        rate = self.loaded.sample_rate
        return [shown_at_end(t, samples_to_s(len(a), rate)) for t, a in zip(texts, recordings, strict=True)]

    def time_alone(self, recordings: Sequence[Tensor]) -> ComputeCost:
        """What it costs to recognise recordings one after the other; each is one chunk."""
        taken: list[float] = []
        for samples in recordings:
            start = time.perf_counter()
            self.recognise([samples])
            taken.append(time.perf_counter() - start)
        return ComputeCost.of(taken, sum(samples_to_s(len(one), self.loaded.sample_rate) for one in recordings))


@attrs.frozen(eq=False)
class Contender:
    """One row of the table, to be."""

    label: str
    kind: Kind
    decoder: str
    candidate: Candidate
    recognizer: Live | Offline
    packet_samples: int = 1
    """What a live one is given at once."""

    @property
    def state_bytes(self) -> int | None:
        """Memory of one live stream; None where nothing is carried."""
        return None if isinstance(self.recognizer, Offline) else self.recognizer.state_bytes

    @property
    def reencoded_s_per_s(self) -> float | None:
        """How many seconds it encodes for a second of audio; None where each is encoded once."""
        return self.recognizer.reencoded_s_per_s if isinstance(self.recognizer, AgreementRecognizer) else None

    def recognise(self, recordings: Sequence[Tensor]) -> list[Shown]:
        """What is shown of recordings, (S,) each."""
        if isinstance(self.recognizer, Offline):
            return self.recognizer.recognise(recordings)
        waves = [recordings[i : i + STREAMS] for i in range(0, len(recordings), STREAMS)]
        return [shown for wave in waves for shown in play(self.recognizer, wave, self.packet_samples)]

    def time_alone(self, recordings: Sequence[Tensor]) -> ComputeCost:
        """What it costs to recognise recordings one after the other."""
        if isinstance(self.recognizer, Offline):
            return self.recognizer.time_alone(recordings)
        return time_alone(self.recognizer, recordings, self.packet_samples)
