"""Delays and flicker: counted from listed updates, and recovered where the words' ends and the chunks are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor

from asr_lab.evaluation.streaming.latency import Percentiles, Shown, ShownWord, WordDelay, delays, summarise, watch
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.recognition.alignment import Aligner
from asr_lab.recognition.live import LiveRecognizer
from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.streaming import Context
from asr_lab.text.normalizer import Normalizer

FRAME_S = 0.02
"""A frame of the made-up encoder."""


def updates(*steps: tuple[float, str, str]) -> list[StreamUpdate]:
    """One stream's updates, each given as (seconds streamed, words newly final, interim text)."""
    found = []
    for number, (audio_s, final, interim) in enumerate(steps, start=1):
        words = tuple(TimedWord(text, 0.0, 0.0, 1.0) for text in final.split())
        ended = number == len(steps)
        found.append(StreamUpdate(0, words, interim, ended, ended, audio_s))
    return found


def reference(*words: tuple[str, float]) -> list[TimedWord]:
    """Words with their true ends."""
    return [TimedWord(text, end_s - 0.1, end_s, 1.0) for text, end_s in words]


def test_a_word_is_shown_once_and_final_later() -> None:
    shown = watch(updates((0.4, "", "one"), (0.8, "one", "two"), (1.2, "two", "")))
    assert shown == Shown((ShownWord("one", 0.4, 0.8), ShownWord("two", 0.8, 1.2)), num_shown=2, num_changed=0)


def test_a_word_that_is_replaced_counts_as_changed_and_is_shown_from_when_it_came_back() -> None:
    shown = watch(updates((1, "", "won"), (2, "", "one two"), (3, "", "won two"), (4, "won", "two"), (5, "two", "")))
    assert shown.words == (ShownWord("won", 3, 4), ShownWord("two", 2, 5))
    assert (shown.num_shown, shown.num_changed) == (4, 2)


def test_a_word_that_grows_has_not_changed_but_is_shown_when_it_is_whole() -> None:
    shown = watch(updates((1, "", "thr"), (2, "", "three fi"), (3, "three", "five"), (4, "five", "")))
    assert shown.words == (ShownWord("three", 2, 3), ShownWord("five", 3, 4))
    assert (shown.num_shown, shown.num_changed) == (2, 0)


def test_letters_that_are_added_before_the_last_word_change_what_was_shown() -> None:
    shown = watch(updates((1, "", "fi ve"), (2, "", "five ve"), (3, "five", "")))
    assert shown.words == (ShownWord("five", 2, 3),)
    assert (shown.num_shown, shown.num_changed) == (3, 2)


def test_words_that_vanish_are_changed_and_an_empty_update_changes_nothing() -> None:
    assert watch(updates((1, "", "a b c"), (2, "", "a"), (3, "a", ""))).num_changed == 2
    assert watch(updates((1, "", ""), (2, "", ""))) == Shown((), 0, 0)
    assert watch(updates((1, "a", ""), (2, "", ""), (3, "b", ""))).words[0] == ShownWord("a", 1, 1)


def test_only_words_that_were_recognised_correctly_have_a_delay() -> None:
    truth = reference(("one", 1.0), ("two", 2.0), ("three", 3.0))
    shown = (ShownWord("uh", 0.1, 0.2), ShownWord("one", 1.2, 1.5), ShownWord("too", 2.1, 2.2))
    found = delays(truth, (*shown, ShownWord("three", 2.9, 3.5)))
    assert [tuple(delay) for delay in found.words] == [pytest.approx((0.2, 0.5)), pytest.approx((-0.1, 0.5))]
    assert found.first == pytest.approx((0.2, 0.5))
    assert found.last == pytest.approx((-0.1, 0.5))
    assert found.num_reference == 3
    lost = delays(truth, shown[2:])
    assert (lost.words, lost.first, lost.last) == ((), None, None)
    assert delays([], shown).num_reference == 0


def test_percentiles_are_over_all_words_and_shares_over_all_utterances() -> None:
    sets = []
    for number in range(10):
        words = tuple(ShownWord(f"w{i}", i + (10 * number + i) / 100, i + 1.0) for i in range(10))
        sets.append((reference(*((f"w{i}", float(i)) for i in range(10))), Shown(words, 20, number)))
    found = summarise(sets)
    assert found.words is not None
    assert found.words.shown == pytest.approx(Percentiles(0.495, 0.891, 0.9405))
    assert found.words.final == pytest.approx((1.0, 1.0, 1.0))
    assert (found.words.num_words, found.num_reference) == (100, 100)
    assert found.first is not None
    assert found.first.shown.p50_s == pytest.approx(0.45)
    assert found.last is not None
    assert found.last.shown.p50_s == pytest.approx(0.54)
    assert found.flicker == pytest.approx(45 / 200)
    assert found.changed_per_word == pytest.approx(45 / 100)
    nothing = summarise([])
    assert (nothing.words, nothing.first, nothing.last, nothing.flicker) == (None, None, None, 0.0)


class Spoken(NamedTuple):
    """A recording and the samples at which each word's last letter begins, its end, and the space after it."""

    audio: Tensor
    words: list[str]
    last_letters: list[int]
    ends: list[int]
    spaces: list[int]


def speak(loaded: Any, words: Sequence[str], seed: int) -> Spoken:
    """Letters and blanks of drawn lengths: no word begins or ends at a frame's edge but by chance."""
    rng = np.random.default_rng(seed)
    audio: list[float] = [0.0] * int(rng.integers(50, 500))
    spoken = Spoken(torch.empty(0), list(words), [], [], [])
    for word in words:
        for letter in word:
            start = len(audio)
            audio += [loaded.sample_of(*loaded.vocabulary.encode(letter))] * int(rng.integers(25, 90))
            end = len(audio)
            audio += [0.0] * int(rng.integers(25, 60))
        spoken.last_letters.append(start)
        spoken.ends.append(end)
        spoken.spaces.append(len(audio))
        audio += [loaded.sample_of(*loaded.vocabulary.encode(" "))] * int(rng.integers(25, 60))
        audio += [0.0] * int(rng.integers(25, 400))
    return spoken._replace(audio=torch.tensor(audio))


def live_updates(loaded: Any, audio: Tensor, chunk_frames: int, beam: int, piece: int) -> list[StreamUpdate]:
    """What is recognised of a recording that comes in pieces of so many samples."""
    recognizer = LiveRecognizer(loaded, Context(chunk_frames, chunk_frames), DecodeOptions(beam=beam))
    stream = recognizer.open()
    found: list[StreamUpdate] = []
    for begin in range(0, len(audio), piece):
        recognizer.push(stream, audio[begin : begin + piece])
        found += recognizer.step()
    recognizer.finish(stream)
    while last := recognizer.step():
        found += last
    return found


@pytest.mark.parametrize(("chunk_frames", "beam"), [(8, 1), (32, 1), (32, 4), (128, 1)])
def test_figures_of_known_words_in_known_chunks_are_recovered_within_one_frame(
    made_up: Callable[..., Any], chunk_frames: int, beam: int
) -> None:
    loaded = made_up("ctc")
    aligner = Aligner(loaded.model, loaded.features, loaded.vocabulary, Normalizer([]), sample_rate=1000)
    measured, true_delays = [], []
    for seed, text in enumerate(["one two three four", "seven eight", "zero oh nine five six one two"]):
        spoken = speak(loaded, text.split(), seed)
        chunk, length = 10 * chunk_frames, len(spoken.audio)

        def shown_at(sample: int, chunk: int = chunk, length: int = length) -> float:
            """When what begins at a sample is decoded: the end of the chunk of the first frame that looks at it."""
            looked_at = -(-sample // 20) * 20
            return min((looked_at // chunk + 1) * chunk, length) / 1000

        aligned = aligner.audio(spoken.audio, text).words
        assert [w.end_s for w in aligned] == pytest.approx([end / 1000 for end in spoken.ends], abs=FRAME_S)
        seen = watch(live_updates(loaded, spoken.audio, chunk_frames, beam, piece=40 if seed % 2 else 7))
        assert [w.text for w in seen.words] == spoken.words
        shown = [shown_at(sample) for sample in spoken.last_letters]
        assert [w.shown_s for w in seen.words] == pytest.approx(shown)
        measured.append((aligned, seen))
        final = [shown_at(sample) for sample in spoken.spaces]
        ends = [end / 1000 for end in spoken.ends]
        true_delays.append([WordDelay(a - e, b - e) for a, b, e in zip(shown, final, ends, strict=True)])
    found = summarise(measured)
    assert found.flicker == 0
    assert found.num_reference == 13
    wanted = [(found.words, [d for each in true_delays for d in each]), (found.first, [d[0] for d in true_delays])]
    wanted.append((found.last, [d[-1] for d in true_delays]))
    for figures, truth in wanted:
        assert figures is not None
        assert figures.num_words == len(truth)
        expected = np.percentile(np.array(truth), (50, 90, 95), axis=0)
        assert figures.shown == pytest.approx(expected[:, 0].tolist(), abs=FRAME_S)
        if beam == 1:  # a beam makes a word final when no prefix doubts it any more
            assert figures.final == pytest.approx(expected[:, 1].tolist(), abs=FRAME_S)
