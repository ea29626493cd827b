"""Long recordings made of known sentences: each word where it was put, in bounded memory, as by the whole at once."""

from __future__ import annotations

import itertools
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from asr_lab.nn.ctc import viterbi
from asr_lab.recognition.alignment import Aligner
from asr_lab.recognition.emissions import Emissions, windows
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.streaming import WHOLE, Context, Frames, run_whole
from asr_lab.text.characters import CharacterTokenizer
from asr_lab.text.normalizer import Normalizer

FRAME_SAMPLES, RATE = 20, 1000
SENTENCES = ("one two three", "nine nine four", "a longer sentence has more words in it", "six", "zero zero seven")
STREAMED = Context(16, 32)


class Recording(NamedTuple):
    """Sentences one after the other."""

    samples: Tensor  # (S,)
    text: str
    words: list[tuple[str, int, int]]
    """Each word with its first frame and the one after its last."""


def recording(duration_s: float, seed: int = 0) -> Recording:
    """Sentences that are spelled letter by letter, each letter for one to five frames, with pauses of up to 2 s."""
    rng = np.random.default_rng(seed)
    vocabulary = CharacterTokenizer()
    frames: list[int] = []
    texts, words = [], []
    while len(frames) * FRAME_SAMPLES < duration_s * RATE:
        texts.append(SENTENCES[rng.integers(len(SENTENCES))])
        frames += [0] * int(rng.integers(5, 100))
        for word in texts[-1].split():
            first = len(frames)
            for token in vocabulary.encode(word):
                frames += [token] * int(rng.integers(1, 5)) + [0]
            words.append((word, first, len(frames) - 1))
            frames += vocabulary.encode(" ") + [0] * int(rng.integers(0, 3))
    frames[words[-1][2] :] = [0]  # the last sentence has no space after it
    samples = torch.tensor(frames, dtype=torch.float32).repeat_interleave(FRAME_SAMPLES) / 32
    return Recording(samples, " ".join(texts), words)


def aligner_of(made_up: Callable[..., Any], context: Context) -> Aligner:
    parts = made_up("ctc")
    parts.model.contexts = ((context, 1.0),)
    return Aligner(parts.model, parts.features, parts.vocabulary, Normalizer(["lower"]), sample_rate=parts.sample_rate)


def misplaced(found: tuple[TimedWord, ...], meant: list[tuple[str, int, int]]) -> list[tuple[Any, ...]]:
    """Words that are not where they were put."""
    assert [w.text for w in found] == [text for text, _, _ in meant]
    second = FRAME_SAMPLES / RATE
    return [
        (w, first * second, end * second)
        for w, (_, first, end) in zip(found, meant, strict=True)
        if abs(w.start_s - first * second) > 1e-6 or abs(w.end_s - end * second) > 1e-6
    ]


@pytest.mark.parametrize("context", [WHOLE, STREAMED])
def test_every_word_of_minutes_is_where_it_was_put(context: Context, made_up: Callable[..., Any]) -> None:
    made = recording(240)
    found = aligner_of(made_up, context).audio(made.samples, made.text)
    assert misplaced(found.words, made.words) == []


@pytest.mark.parametrize("context", [WHOLE, STREAMED])
def test_a_long_file_is_read_in_blocks_and_aligned_as_its_samples(
    context: Context, made_up: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recording(100)
    soundfile.write(tmp_path / "long.wav", made.samples.numpy(), RATE, subtype="FLOAT")
    aligner = aligner_of(made_up, context)
    at_once = aligner.audio(made.samples, made.text)

    def refuse(*_: object) -> None:
        raise AssertionError("a long recording is not read at once")

    monkeypatch.setattr("asr_lab.recognition.audio_blocks.read_audio", refuse)
    assert aligner.file(tmp_path / "long.wav", made.text) == at_once


@pytest.mark.parametrize("context", [WHOLE, STREAMED])
def test_the_frames_in_pieces_are_those_of_the_whole(context: Context, made_up: Callable[..., Any]) -> None:
    made = recording(150, seed=3)
    aligner = aligner_of(made_up, context)
    features = run_whole(aligner.features, Frames.whole(made.samples[None]), WHOLE)
    with torch.no_grad():
        whole = aligner.reading.log_probs(aligner.model, features, context)
        emissions = Emissions(aligner.model, aligner.features, 0, context, RATE, "cpu")
        pieces = list(emissions.pieces(made.samples.split(777)))
    assert len(pieces) > 3
    torch.testing.assert_close(torch.cat(pieces), whole)


def test_the_alignment_with_a_bound_is_that_of_everything_at_once(
    made_up: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = recording(240, seed=5)
    text = made.text.replace("four", "five").replace(" six", "")  # what was spoken otherwise, and not at all
    aligner = aligner_of(made_up, WHOLE)
    bounded = aligner.audio(made.samples, text)
    monkeypatch.setattr(viterbi, "SMALL_CELLS", 1 << 40)
    assert aligner.audio(made.samples, text) == bounded


@pytest.mark.parametrize("num_samples", [0, 1, 399, 400, 401, 34_999, 35_000, 35_001, 65_000, 65_001, 200_000])
@pytest.mark.parametrize("size", [100, 7_777, 300_000])
def test_windows_use_every_sample_once(num_samples: int, size: int) -> None:
    samples = torch.arange(num_samples, dtype=torch.float64).float()
    blocks: Iterator[Tensor] = iter(samples.split(size)) if num_samples else iter(())
    used = []
    for part, first, count in windows(blocks, Fraction(20), RATE):
        assert len(part) <= 40_000
        frames = part[::20]
        used.append(frames[first:] if count is None else frames[first : first + count])
    assert torch.equal(torch.cat(used), samples[::20])


def measured(folder: Path, chunk: int | None, left: int | None, duration_s: float) -> dict[str, float]:
    """Align in this process, and say what it took."""
    context = Context(chunk, left)
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from conftest import VOCAB, FirstSampleIsToken, MadeUp
    from made_up import EverySecond

    from asr_lab.models.model import SpeechModel
    from asr_lab.nn.ctc.head import CTCHead
    from asr_lab.streaming import Chain

    ctc = CTCHead(VOCAB, VOCAB)
    with torch.no_grad():
        ctc.output.weight.copy_(torch.eye(VOCAB))
        ctc.output.bias.zero_()
    model = SpeechModel(Chain([EverySecond()]), [ctc], [1.0], [1], [(context, 1.0)], VOCAB)
    parts = MadeUp(model, FirstSampleIsToken(), CharacterTokenizer())
    made = recording(duration_s)
    soundfile.write(folder / "long.wav", made.samples.numpy(), RATE, subtype="FLOAT")
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    began_s = time.monotonic()
    found = aligner_of(lambda _: parts, context).file(folder / "long.wav", made.text)
    return {
        "audio_s": len(made.samples) / RATE,
        "words": len(made.words),
        "misplaced": len(misplaced(found.words, made.words)),
        "seconds": time.monotonic() - began_s,
        "before_mb": before_mb,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


@pytest.mark.prove
@pytest.mark.parametrize("context", [WHOLE, STREAMED])
def test_three_hours_are_aligned_rightly_in_little_memory_and_linear_time(context: Context, tmp_path: Path) -> None:
    figures = []
    for hours in (1.0, 3.0):
        arguments = f"{context.chunk_frames}, {context.left_frames}, {hours * 3600}"
        call = f"m.measured(pathlib.Path({str(tmp_path)!r}), {arguments})"
        script = f"sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_long_alignment as m"
        command = [sys.executable, "-c", f"import json, pathlib, sys; {script}; print(json.dumps({call}))"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures.append(json.loads(done.stdout))
        print(figures[-1])
    for one in figures:
        assert one["misplaced"] == 0
        assert one["peak_mb"] < 2000
    for short, long in itertools.pairwise(figures):
        assert long["seconds"] / long["audio_s"] < 2 * short["seconds"] / short["audio_s"]
