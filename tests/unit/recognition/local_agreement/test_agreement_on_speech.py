"""Local agreement with a trained decoder: joined recordings, longer than the buffer, lose and double nothing."""

from __future__ import annotations

import itertools
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from rapidfuzz.distance import Levenshtein
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from asr_lab.audio.features.log_mel import MelSpectrogramExtractor
from asr_lab.audio.reading import read_audio
from asr_lab.models.model import SpeechModel
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import Targets
from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.optimizers.muon import Muon
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride
from asr_lab.streaming import WHOLE, Chain, Frames, run_whole
from asr_lab.text.characters import CharacterTokenizer

pytestmark = pytest.mark.prove

RATE = 8000
WORDS = "abcdefghij"
"""The ten digits, a letter each."""
DIM, NUM_STEPS, MAX_WORDS = 48, 700, 8


@attrs.frozen
class Digits:
    """A model that knows ten recordings by heart, in any order."""

    model: SpeechModel
    features: MelSpectrogramExtractor
    vocabulary: CharacterTokenizer
    clips: list[Tensor]
    sample_rate: int = RATE

    def say(self, rng: np.random.Generator, num_words: int) -> tuple[Tensor, list[int]]:
        """Recordings one after the other with short gaps, none like the six before it, and which they are."""
        spoken: list[int] = []
        while len(spoken) < num_words:
            word = int(rng.integers(len(self.clips)))
            spoken += [] if word in spoken[-6:] else [word]
        gaps = [torch.zeros(int(rng.integers(800))) for _ in range(num_words + 1)]
        pieces = [piece for word, gap in zip(spoken, gaps, strict=False) for piece in (gap, self.clips[word])]
        return torch.cat([*pieces, gaps[-1]]), spoken

    def batch(self, rng: np.random.Generator, size: int = 8) -> tuple[Frames, Targets]:
        """Features of some words, often with a piece of a further one before or behind them, and their tokens."""
        audio, texts = [], []
        for _ in range(size):
            samples, spoken = self.say(rng, int(rng.integers(1, MAX_WORDS + 1)))
            if rng.random() < 0.5:
                samples = torch.cat([self.clips[rng.integers(10)][-rng.integers(1, 1200) :], samples])
            if rng.random() < 0.5:
                samples = torch.cat([samples, self.clips[rng.integers(10)][: rng.integers(1, 2000)]])
            audio.append(samples)
            texts.append(torch.tensor(self.vocabulary.encode(" ".join(WORDS[word] for word in spoken))))
        lengths = torch.tensor([len(one) for one in audio])
        frames = run_whole(self.features, Frames.whole(pad_sequence(audio, batch_first=True), lengths), WHOLE)
        return frames, Targets(pad_sequence(texts, batch_first=True), torch.tensor([len(t) for t in texts]))


@pytest.fixture(scope="module")
def digits(speech: Path) -> Digits:
    """Trained until it makes hardly a mistake."""
    torch.manual_seed(0)
    files = [speech / "fsdd" / "recordings" / f"{digit}_jackson_11.wav" for digit in range(10)]
    vocabulary = CharacterTokenizer(f"{WORDS} ")
    stem = DepthwiseStride(factor=4, channels=32, causal=False).build(40, DIM)
    encoder = Chain([stem, Macaron(mixer=Attention(num_heads=4)).build(DIM, 0.0)])
    size = vocabulary.vocab_size
    attention = AttentionDecoderHead(DIM, size, 1, dropout=0.0, positions="sinusoidal", max_tokens=60)
    model = SpeechModel(encoder, [CTCHead(DIM, size), attention], [0.3, 0.7], [2, 2], vocab_size=size)
    features = LogMel(sample_rate=RATE, num_mels=40).build()
    made = Digits(model, features, vocabulary, [torch.from_numpy(read_audio(f, RATE)) for f in files])
    rng, optimizer, peak_lr = np.random.default_rng(0), Muon().build(model), 5e-3
    for step in range(NUM_STEPS):
        lr = peak_lr * min(1.0, (step + 1) / 20, 2 * (1 - step / NUM_STEPS))
        for group in optimizer.param_groups:
            group["lr"] = lr
        frames, targets = made.batch(rng)
        optimizer.zero_grad()
        (model(frames, targets).total / targets.lengths).mean().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    return made


def updates_of(recognizer: AgreementRecognizer, audio: Tensor) -> list[StreamUpdate]:
    stream, updates = recognizer.open(), []
    for packet in audio.split(1000):
        recognizer.push(stream, packet)
        updates += recognizer.step()
    recognizer.finish(stream)
    return updates + recognizer.step()


def final_words(updates: list[StreamUpdate]) -> list[TimedWord]:
    return [word for update in updates for word in update.words]


@pytest.mark.parametrize(("heads", "times"), [((0, 1), "ctc"), ((1,), "attention")])
@pytest.mark.parametrize("step_ms", [500.0, 1000.0])
def test_joined_recordings_lose_and_double_nothing(
    digits: Digits, step_ms: float, heads: tuple[int, ...], times: str
) -> None:
    model = SpeechModel(
        digits.model.encoder, [digits.model.heads[i] for i in heads], [1.0] * len(heads), [2] * len(heads)
    )
    rng, num_wrong, num_spoken, late = np.random.default_rng(1), 0, 0, []
    for _ in range(8):
        audio, spoken = digits.say(rng, 30)
        recognizer = AgreementRecognizer(attrs.evolve(digits, model=model), step_ms=step_ms, max_buffer_s=3.0)
        updates = updates_of(recognizer, audio)
        assert {update.times_from for update in updates} == {times}
        assert recognizer.reencoded_s_per_s < 3000 / step_ms
        found = final_words(updates)
        num_wrong += Levenshtein.distance([w.text for w in found], [WORDS[word] for word in spoken])
        num_spoken += len(spoken)
        late += [update.audio_s - word.end_s for update in updates for word in update.words]
        assert all(a.end_s <= b.start_s for a, b in itertools.pairwise(found))
    # Some ten cuts a recording: were a word lost or doubled at each, a third of all would be wrong.
    assert num_wrong / num_spoken < 0.02
    assert np.median(late) < 2 * step_ms / 1000 + 0.5


def test_a_recording_that_fits_the_buffer_gives_what_it_gives_offline(digits: Digits) -> None:
    rng, same = np.random.default_rng(2), 0
    for _ in range(20):
        audio, _ = digits.say(rng, 6)
        text = " ".join(w.text for w in final_words(updates_of(AgreementRecognizer(digits, step_ms=500.0), audio)))
        features = run_whole(digits.features, Frames.whole(audio[None]), WHOLE)
        same += text == digits.vocabulary.decode(digits.model.transcribe(features)[0])
    assert same >= 19  # all of those in which no two texts agreed on what a longer one took back
