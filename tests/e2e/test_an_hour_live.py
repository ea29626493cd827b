"""An hour of real speech through one live stream: as cheap at its end as at its start, and the frames of one run."""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from asr_lab.audio.reading import read_audio
from asr_lab.compiler.build import Loaded
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.recognition.live import LiveRecognizer
from asr_lab.recognition.live_words import MAX_WORD_TOKENS
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.blocks.mamba2 import Mamba2
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride
from asr_lab.slots.tokenizers.chars import Chars
from asr_lab.streaming import WHOLE, Chain, Context, Frames, run_whole

RATE = 8000
DIM = 48
CONTEXT = Context(64, 64)
CHUNK_SAMPLES = 64 * RATE // 100
FRAME_S = 0.04
PER_MINUTE = round(60 * RATE / CHUNK_SAMPLES)


class Remembering(CTCHead):
    """A decoder that keeps what it is given while it is live, in memory that is there from the beginning."""

    def __init__(self, dim: int, vocab_size: int, num_frames: int) -> None:
        super().__init__(dim, vocab_size)
        self.frames = np.ones((num_frames, dim))  # not zeros: the pages must be there
        self.count = 0

    def log_probs(self, frames: Frames) -> Tensor:
        if frames.batch == 1 and self.count < len(self.frames):
            given = frames.x[0, : int(frames.lengths[0])].numpy()
            self.frames[self.count : self.count + len(given)] = given
            self.count += len(given)
        return super().log_probs(frames)


def small_ssm(duration_s: float) -> tuple[Loaded, Remembering]:
    """Mamba-2 with attention behind it, drawn weights, double precision."""
    torch.manual_seed(3)
    mamba = [Macaron(mixer=Mamba2(state_dim=16, head_dim=16)).build(DIM, 0.0) for _ in range(2)]
    attention = Macaron(mixer=Attention(num_heads=4)).build(DIM, 0.0)
    stem = DepthwiseStride(factor=4, channels=16).build(32, DIM)
    head = Remembering(DIM, 29, int(duration_s / FRAME_S))
    with torch.no_grad():
        head.output.weight.mul_(8)
        head.output.bias[2] += 6.0  # blanks between words are as common as in text
    model = SpeechModel(Chain([stem, *mamba, attention]), [head], [1.0], [4], ((CONTEXT, 1.0),), 29)
    features = LogMel(sample_rate=RATE, num_mels=32, level="running").build()
    vocabulary = Chars(alphabet=" abcdefghijklmnopqrstuvwxyz").build(None)
    return Loaded(model.double(), features.double(), vocabulary, Path(), RATE), head


def joined_speech(folder: Path, duration_s: float) -> NDArray[np.float32]:
    """Telephone prompts one after the other, (S,)."""
    audio = np.zeros(round(duration_s * RATE), dtype=np.float32)
    filled = 0
    for path in sorted(folder.rglob("*.opus")):
        if filled == len(audio):
            break
        piece = read_audio(path, RATE)[: len(audio) - filled]
        audio[filled : filled + len(piece)] = piece
        filled += len(piece)
    assert filled == len(audio), f"{folder} holds {filled / RATE:.0f} s only"
    return audio


def resident_mb() -> float:
    """Memory of this process that is in use."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


class Costs(NamedTuple):
    """What an hour costs."""

    chunks_s: list[float]
    """Processor time of each chunk, in seconds."""
    fresh_s: list[float]
    """That of each chunk of a stream that begins with the last minute, in turn with it."""
    memory_mb: list[float]
    """At the end of every minute."""


class Playback:
    """One live stream: its text so far, and the processor time of each chunk."""

    def __init__(self, loaded: Loaded) -> None:
        self.recognizer = LiveRecognizer(loaded, CONTEXT, DecodeOptions())
        self.number = self.recognizer.open()
        self.text: list[str] = []
        self.times_s: list[float] = []

    def push(self, chunk: NDArray[np.float32]) -> None:
        before_s = time.process_time()
        self.recognizer.push(self.number, torch.from_numpy(chunk))
        updates = self.recognizer.step()
        self.times_s.append(time.process_time() - before_s)
        self.text += [word.text for update in updates for word in update.words]

    def finish(self) -> str:
        self.recognizer.finish(self.number)
        while updates := self.recognizer.step():
            self.text += [word.text for update in updates for word in update.words]
        return " ".join(self.text)


def stream(loaded: Loaded, audio: NDArray[np.float32]) -> tuple[str, Costs]:
    """The text and what it cost.

    How fast a processor is changes within an hour, with its clock and with what else it does: so another stream begins
    when the last minute does, and decodes the first.
    """
    old, fresh = Playback(loaded), Playback(small_ssm(60)[0])
    chunks = [audio[start : start + CHUNK_SAMPLES] for start in range(0, len(audio), CHUNK_SAMPLES)]
    memory_mb: list[float] = []
    for number, chunk in enumerate(chunks, start=1):
        old.push(chunk)
        if (young := number - 1 - (len(chunks) - PER_MINUTE)) >= 0:
            fresh.push(chunks[young])
        if number % PER_MINUTE == 0:
            memory_mb.append(resident_mb())
    return old.finish(), Costs(old.times_s, fresh.times_s, memory_mb)


def assert_offline_is_the_same(loaded: Loaded, head: Remembering, audio: NDArray[np.float32], text: str) -> None:
    live = head.frames[: head.count].copy()
    with torch.inference_mode():
        features = run_whole(loaded.features, Frames.whole(torch.from_numpy(audio).double()[None]), WHOLE)
        frames = run_whole(loaded.model.encoder, features, CONTEXT)
        offline = frames.x[0, : int(frames.lengths[0])]
        tokens = loaded.model.search(features, DecodeOptions(), CONTEXT)[0][0].tokens
    assert len(live) == len(offline)
    worst = float(np.abs(live - offline.numpy()).max())
    print(f"{len(live)} frames, largest difference from the offline run {worst:.1e}; {len(tokens)} tokens")
    assert worst < 1e-9
    assert len(tokens) > 0.2 * len(audio) / RATE, "the drawn model says next to nothing"
    words = loaded.vocabulary.decode(tokens).split()
    assert max(len(word) for word in words) < MAX_WORD_TOKENS, "such words are final in pieces"
    assert text == " ".join(words)


def test_two_minutes_live_are_two_minutes_offline(speech: Path) -> None:
    audio = joined_speech(speech / "asterisk-prompts-5lang" / "en", 120)
    loaded, head = small_ssm(120)
    text, _ = stream(loaded, audio)
    assert_offline_is_the_same(loaded, head, audio, text)


@pytest.mark.prove
def test_an_hour_live_is_an_hour_offline_and_costs_the_same_to_its_end(speech: Path) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        audio = joined_speech(speech / "asterisk-prompts-5lang", 3600)
        loaded, head = small_ssm(3600)
        text, costs = stream(loaded, audio)
    finally:
        torch.set_num_threads(threads)
    first_ms, last_ms, fresh_ms = (
        1000 * float(np.median(t)) for t in (costs.chunks_s[:PER_MINUTE], costs.chunks_s[-PER_MINUTE:], costs.fresh_s)
    )
    print(f"median chunk: {last_ms:.2f} ms of processor time in the last minute, {fresh_ms:.2f} ms in the first")
    print(f"minute of a stream beside it; {first_ms:.2f} ms in its own first minute")
    print(f"resident memory from minute to minute: {min(costs.memory_mb):.0f} to {max(costs.memory_mb):.0f} MB")
    assert abs(last_ms / fresh_ms - 1) < 0.2
    assert max(costs.memory_mb) / min(costs.memory_mb) < 1.05
    assert_offline_is_the_same(loaded, head, audio, text)
