"""How long after a word was said it is read: delays by the audio's clock, and how often shown words change.

The clock is the audio's: a word is shown when so much of the recording had been heard, however fast the machine. What a
recognizer was given before one step is shown together, so it should be given no more than a chunk at a time.
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
    """A word of the final text and when it could be read, in seconds of audio."""

    text: str
    shown_s: float
    """Since when it stood in its place, whole and for good."""
    settled_s: float
    """Since when it was settled; a word that only the end of the audio settles has the audio's length."""


@attrs.frozen
class Shown:
    """What one stream showed to who watched it."""

    words: tuple[ShownWord, ...]
    """The final text."""
    num_shown: int
    """Words that were put in a place, each time that one was."""
    num_changed: int
    """Those of them that later gave way to another word in their place, or to none."""


class WordDelay(NamedTuple):
    """From the end of a word to when it could be read, in seconds; below 0 for a word guessed before its end."""

    shown_s: float
    settled_s: float


@attrs.frozen
class Delays:
    """Of one utterance: the words that were said and were heard right."""

    words: tuple[WordDelay, ...]
    first: WordDelay | None
    """Of the first word said; None where it was not heard."""
    last: WordDelay | None
    """Of the last word said; None where it was not heard."""
    num_said: int


class Percentiles(NamedTuple):
    """Delays that half, 90 % and 95 % of the words do not exceed, in seconds, interpolated linearly."""

    p50_s: float
    p90_s: float
    p95_s: float


class Figures(NamedTuple):
    """Delays of some words until they were shown, and until they were settled."""

    shown: Percentiles
    settled: Percentiles
    num_words: int


@attrs.frozen
class Latency:
    """Delays over the utterances of a set; None where no word counts."""

    words: Figures | None
    """Of every word that was said and heard right."""
    first: Figures | None
    """Of the first word of each utterance."""
    last: Figures | None
    """Of the last word of each utterance."""
    num_said: int
    """Words said, heard right or not."""
    flicker: float
    """Share of the shown words that were later changed, `num_changed / num_shown`; 0 where none was shown.

    After the unstable partial word ratio of Shangguan et al. (Interspeech 2020, 2006.01416).
    """
    changed_per_word: float
    """The same changed words per word of the final texts, which has no upper bound."""


def watch(updates: Iterable[StreamUpdate]) -> Shown:
    """What the updates of one stream show, from its first to its last.

    On the screen stand the settled words and behind them the partial ones. A word changes when another stands in its
    place after the next update, or none. The last word on the screen may grow (`thr`, `three`): no letter that was
    read is taken back, so it has not changed; but it is shown for good only when it is whole.
    """
    done: list[ShownWord] = []
    screen: list[tuple[str, float]] = []  # unsettled words and since when they stand there
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


def delays(said: Sequence[TimedWord], shown: Sequence[ShownWord]) -> Delays:
    """How long after their true ends words were read; `said` is a forced alignment of what was said.

    Only words that the alignment of both texts matches count (Levenshtein over words, as in the word error rate): what
    was heard wrong has no delay.
    """
    found: dict[int, WordDelay] = {}
    for edit in Levenshtein.opcodes([w.text for w in said], [w.text for w in shown]):
        if edit.tag == "equal":
            for place, other in zip(
                range(edit.src_start, edit.src_end), range(edit.dest_start, edit.dest_end), strict=True
            ):
                end_s, word = said[place].end_s, shown[other]
                found[place] = WordDelay(word.shown_s - end_s, word.settled_s - end_s)
    return Delays(tuple(found.values()), found.get(0), found.get(len(said) - 1), len(said))


def summarise(utterances: Iterable[tuple[Sequence[TimedWord], Shown]]) -> Latency:
    """The figures of a set: for each utterance what was said, aligned, and what was shown of it."""
    num_final = num_shown = num_changed = 0
    each: list[Delays] = []
    for said, shown in utterances:
        each.append(delays(said, shown.words))
        num_final += len(shown.words)
        num_shown += shown.num_shown
        num_changed += shown.num_changed
    return Latency(
        words=_figures([delay for one in each for delay in one.words]),
        first=_figures([one.first for one in each if one.first is not None]),
        last=_figures([one.last for one in each if one.last is not None]),
        num_said=sum(one.num_said for one in each),
        flicker=num_changed / max(1, num_shown),
        changed_per_word=num_changed / max(1, num_final),
    )


def _figures(found: Sequence[WordDelay]) -> Figures | None:
    if not found:
        return None
    shown, settled = np.percentile(np.array(found), (50, 90, 95), axis=0).T.tolist()
    return Figures(Percentiles(*shown), Percentiles(*settled), len(found))
