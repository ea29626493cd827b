"""The newest stretch of a stream, decoded again and again: words made final by agreement, and where it is cut."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import attrs
import torch
from torch import Tensor

from asr_lab.nn.confidence import mean_confidence
from asr_lab.recognition.local_agreement.decoder import Placed, Reading
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.units import s_to_samples, samples_to_s

KEPT = 0.5
"""Share of the longest buffer that a cut leaves, if it can: frames need a past, and final words to go on from."""
BROKEN = "\N{REPLACEMENT CHARACTER}"
"""What bytes that are not a whole character are decoded to."""


@attrs.frozen
class BufferWord:
    """A word with its tokens, placed in seconds from the stream's start."""

    text: str
    before: tuple[int, ...]
    """Tokens between the word before and this one."""
    tokens: tuple[Placed, ...]

    @property
    def start_s(self) -> float:
        return self.tokens[0].start_s

    @property
    def end_s(self) -> float:
        return self.tokens[-1].end_s

    def timed(self, after_s: float, audio_end_s: float) -> TimedWord:
        """The word as a final one: words of one stream do not overlap, though each is placed by another decoding."""
        start_s = max(self.start_s, after_s)
        confidence = mean_confidence(t.confidence for t in self.tokens)
        return TimedWord.within(audio_end_s, self.text, start_s, self.end_s, confidence)


class Cut(NamedTuple):
    """A place where a buffer may be cut."""

    place_s: float
    """In seconds from the stream's start."""
    num_words: int
    """Words of the buffer's text that stand before it."""


class Buffer:
    """A stream's newest audio, its text, and which words of that are final.

    `take` takes the text of all of its audio, which begins with `opening`. What the last `agreeing` texts have in
    common, in whole words, is final. `make_room` cuts audio off where another step would make it longer than
    `max_samples`: after a final word, so that half is left if it can be. The final words that are left are how
    the next text begins, so that one that is not cut off cleanly is neither lost nor doubled. Where no final word
    could go, the newest ones become final without agreement; where there is one endless word, a part of it.
    """

    def __init__(
        self, vocabulary: Vocabulary, sample_rate: int, step_samples: int, max_samples: int, agreeing: int
    ) -> None:
        self.audio = torch.zeros(0)
        self.interim: tuple[BufferWord, ...] = ()
        self._vocabulary, self._sample_rate = vocabulary, sample_rate
        self._step_samples, self._max_samples = step_samples, max_samples
        self._agreeing = agreeing
        self._first = 0  # number of the stream's sample that the audio begins with
        self._final: list[BufferWord] = []  # those in the audio
        self._earlier: list[tuple[str, ...]] = []  # interim words of the texts before the newest
        self._spoken_s = 0.0  # end of the last final word

    @property
    def opening(self) -> list[int]:
        """The tokens of the final words in the audio: what its next text begins with."""
        return [token for word in self._final for token in (*word.before, *(t.token for t in word.tokens))]

    @property
    def end_s(self) -> float:
        """Where the audio ends, in seconds from the stream's start."""
        return samples_to_s(self._first + len(self.audio), self._sample_rate)

    def add(self, samples: Tensor) -> None:
        """More audio, (S,)."""
        self.audio = torch.cat([self.audio.to(samples), samples])

    def take(self, reading: Reading) -> list[TimedWord]:
        """Take the text of all audio; the words that are newly final."""
        words = self._words(reading)
        assert [w.text for w in words[: len(self._final)]] == [w.text for w in self._final]
        self.interim = tuple(words[len(self._final) :])
        texts = [*self._earlier, tuple(word.text for word in self.interim)]
        agreed = _common(texts) if len(texts) == self._agreeing else 0
        others = self._agreeing - 1
        self._earlier = [text[agreed:] for text in texts][max(0, len(texts) - others) :]
        return self._finalise(agreed)

    def make_room(self, full: bool = False) -> list[TimedWord]:
        """Cut audio off where another step does not fit; the words made final. `full`: no longer text can be given."""
        needed = len(self.audio) + self._step_samples - self._max_samples
        if needed <= 0 and not full:
            return []
        first_s = self._from_s + samples_to_s(max(1, needed), self._sample_rate)
        cut = self._choose(first_s)
        if needed > 0:
            return self._cut_off(cut or self._split(first_s))
        # A text that is too long waits until words of it are final.
        return self._cut_off(cut) if cut and cut.num_words <= len(self._final) else []

    def finish(self) -> list[TimedWord]:
        """Make all words final."""
        return self._finalise(len(self.interim))

    def _words(self, reading: Reading) -> list[BufferWord]:
        start_s = self._from_s
        tokens = [attrs.evolve(t, start_s=start_s + t.start_s, end_s=start_s + t.end_s) for t in reading.tokens]
        words, next_token = [], 0
        for text, first, last in self._vocabulary.words([t.token for t in tokens]):
            before, own = tokens[next_token:first], tokens[first : last + 1]
            if before and reading.times_from != "ctc":
                # A decoder that gives a blank attends to the word after it already.
                own[0] = attrs.evolve(own[0], start_s=before[0].start_s)
            words.append(BufferWord(text, tuple(t.token for t in before), tuple(own)))
            next_token = last + 1
        return words

    def _finalise(self, count: int) -> list[TimedWord]:
        found = []
        for word in self.interim[:count]:
            found.append(word.timed(self._spoken_s, self.end_s))
            self._spoken_s = found[-1].end_s
            self._final.append(word)
        self.interim = self.interim[count:]
        return found

    @property
    def _from_s(self) -> float:
        return samples_to_s(self._first, self._sample_rate)

    @property
    def _middle_s(self) -> float:
        """Where a cut leaves what should be left."""
        return self.end_s - KEPT * samples_to_s(len(self.audio), self._sample_rate)

    def _choose(self, first_s: float) -> Cut | None:
        """The best cut between words, not before `first_s`; None where there is none."""
        words, middle_s = [*self._final, *self.interim], self._middle_s

        def may_go_on(cut: Cut) -> bool:
            return bool(self.interim) and cut.num_words == len(words) and cut.place_s > middle_s

        def worth(cut: Cut) -> tuple[int, bool, float]:
            # Best with a final word left after it, at worst with interim words before it.
            kind = (cut.num_words >= len(self._final)) + (cut.num_words > len(self._final))
            return kind, cut.place_s > middle_s, abs(cut.place_s - middle_s)

        gaps = _gaps(words, self._from_s, self.end_s)
        return min((c for c in gaps if c.place_s >= first_s and not may_go_on(c)), key=worth, default=None)

    def _split(self, first_s: float) -> Cut:
        """Make two words of the last one, which goes on and on, and give the cut between them."""
        word, number, place_s = self.interim[-1], len(self._final) + len(self.interim), self._middle_s
        count = max(1, sum(token.end_s <= place_s for token in word.tokens))
        while count > 1 and self._text(word.tokens[:count]).endswith(BROKEN):
            count -= 1
        head, tail = word.tokens[:count], word.tokens[count:]
        parts = [BufferWord(self._text(head), word.before, head)]
        if tail:
            parts.append(BufferWord(self._text(tail), (), tail))
            between_s = (head[-1].end_s + tail[0].start_s) / 2
            place_s = between_s if between_s >= first_s else place_s
        self.interim = (*self.interim[:-1], *parts)
        return Cut(place_s, number)

    def _cut_off(self, cut: Cut) -> list[TimedWord]:
        """Let go of what lies before a cut; the words that this makes final."""
        forced: list[TimedWord] = []
        if cut.num_words > len(self._final):
            forced = self._finalise(cut.num_words - len(self._final))
            self._earlier = [tuple(word.text for word in self.interim)] if self._agreeing > 1 else []
        self._final = self._final[cut.num_words :]
        if self._final:
            self._final[0] = attrs.evolve(self._final[0], before=())
        count = s_to_samples(cut.place_s - self._from_s, self._sample_rate)
        self._first += count
        self.audio = self.audio[count:].clone()
        return forced

    def _text(self, tokens: Sequence[Placed]) -> str:
        return self._vocabulary.decode([t.token for t in tokens]).strip()


def _gaps(words: Sequence[BufferWord], from_s: float, end_s: float) -> list[Cut]:
    """The middles between words, before the first and after the last too.

    Words are not cut at their very ends: CTC tells where tokens are emitted, not where they end.
    """
    starts = [word.start_s for word in words] + [end_s]
    ends = [from_s] + [word.end_s for word in words]
    return [Cut((end + start) / 2, count) for count, (end, start) in enumerate(zip(ends, starts, strict=True))]


def _common(texts: Sequence[Sequence[str]]) -> int:
    """How many words at their beginnings texts have in common."""
    places = zip(*texts, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda words: len(set(words)) == 1, places))
