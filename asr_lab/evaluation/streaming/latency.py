"""Latency of streamed words: delays after their ends by the audio's clock, and how often shown words change.

The clock is the audio's: a word is shown when so much of the recording had been streamed, however fast the machine.
What a recognizer was given before one step is shown together, so it should be given no more than a chunk at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import attrs
import numpy as np
from rapidfuzz.distance import Levenshtein

from asr_lab.recognition.live_words import StreamUpdate
from asr_lab.recognition.timed_word import TimedWord


@attrs.frozen
class ShownWord:
    """A word of the final text and when it was shown, in seconds of audio."""

    text: str
    shown_s: float
    """Since when it stood in its place, whole and for good."""
    final_s: float
    """Since when it was final; a word that only the end of the audio makes final has the audio's length."""


@attrs.frozen
class Shown:
    """What one stream showed, from its first update to its last."""

    words: tuple[ShownWord, ...]
    """The final text."""
    num_shown: int
    """Words that were put in a place, each time that one was."""
    num_changed: int
    """Those of them that later gave way to another word in their place, or to none."""


class WordDelay(NamedTuple):
    """From the end of a word to when it was shown and final, in seconds; below 0 for a word guessed before its end."""

    shown_s: float
    final_s: float


@attrs.frozen
class Delays:
    """Of one utterance: the words of the reference that were recognised correctly."""

    words: tuple[WordDelay, ...]
    first: WordDelay | None
    """Of the reference's first word; None where it was not recognised."""
    last: WordDelay | None
    """Of the reference's last word; None where it was not recognised."""
    num_reference: int


class Percentiles(NamedTuple):
    """Delays that half, 90 % and 95 % of the words do not exceed, in seconds, interpolated linearly."""

    p50_s: float
    p90_s: float
    p95_s: float


class Figures(NamedTuple):
    """Delays of some words until they were shown, and until they were final."""

    shown: Percentiles
    final: Percentiles
    num_words: int


@attrs.frozen
class Latency:
    """Delays over the utterances of a set; None where no word counts."""

    words: Figures | None
    """Of every word of the references that was recognised correctly."""
    first: Figures | None
    """Of the first word of each utterance."""
    last: Figures | None
    """Of the last word of each utterance."""
    num_reference: int
    """Words of the references, recognised correctly or not."""
    flicker: float
    """Share of the shown words that were later changed, `num_changed / num_shown`; 0 where none was shown.

    After the unstable partial word ratio of Shangguan et al. (Interspeech 2020, 2006.01416).
    """
    changed_per_word: float
    """The same changed words per word of the final texts, which has no upper bound."""


def watch(updates: Iterable[StreamUpdate]) -> Shown:
    """What the updates of one stream show, from its first to its last.

    On the screen stand the final words and after them the interim ones. A word changes when another stands in its
    place after the next update, or none. The last word on the screen may grow (`thr`, `three`): no letter that was
    shown is taken back, so it has not changed; but it is shown for good only when it is whole.
    """
    done: list[ShownWord] = []
    screen: list[tuple[str, float]] = []  # interim words and since when they stand there
    num_shown = num_changed = 0
    for update in updates:
        texts = [word.text for word in update.words]
        now = [*texts, *update.interim.split()]
        num_changed += max(0, len(screen) - len(now))
        places = []
        for place, text in enumerate(now):
            old, since_s = screen[place] if place < len(screen) else (None, update.audio_s)
            if text != old:
                since_s = update.audio_s
                grows = old is not None and place == len(screen) - 1 and text.startswith(old)
                num_changed += old is not None and not grows
                num_shown += not grows
            places.append((text, since_s))
        done += [ShownWord(text, since_s, update.audio_s) for text, since_s in places[: len(texts)]]
        screen = places[len(texts) :]
    return Shown(tuple(done), num_shown, num_changed)


def delays(reference: Sequence[TimedWord], shown: Sequence[ShownWord]) -> Delays:
    """How long after their true ends words were shown and final; `reference` has its times from a forced alignment.

    Only words that the alignment of both texts matches count (Levenshtein over words, as in the word error rate): a
    word that was not recognised correctly has no delay.
    """
    found: dict[int, WordDelay] = {}
    for edit in Levenshtein.opcodes([w.text for w in reference], [w.text for w in shown]):
        if edit.tag == "equal":
            for place, other in zip(
                range(edit.src_start, edit.src_end), range(edit.dest_start, edit.dest_end), strict=True
            ):
                end_s, word = reference[place].end_s, shown[other]
                found[place] = WordDelay(word.shown_s - end_s, word.final_s - end_s)
    return Delays(tuple(found.values()), found.get(0), found.get(len(reference) - 1), len(reference))


def summarise(utterances: Iterable[tuple[Sequence[TimedWord], Shown]]) -> Latency:
    """The figures of a set: for each utterance the aligned reference, and what was shown of it."""
    num_final = num_shown = num_changed = 0
    each: list[Delays] = []
    for reference, shown in utterances:
        each.append(delays(reference, shown.words))
        num_final += len(shown.words)
        num_shown += shown.num_shown
        num_changed += shown.num_changed
    return Latency(
        words=_figures([delay for one in each for delay in one.words]),
        first=_figures([one.first for one in each if one.first is not None]),
        last=_figures([one.last for one in each if one.last is not None]),
        num_reference=sum(one.num_reference for one in each),
        flicker=num_changed / max(1, num_shown),
        changed_per_word=num_changed / max(1, num_final),
    )


def _figures(found: Sequence[WordDelay]) -> Figures | None:
    if not found:
        return None
    shown, final = np.percentile(np.array(found), (50, 90, 95), axis=0).T.tolist()
    return Figures(Percentiles(*shown), Percentiles(*final), len(found))
