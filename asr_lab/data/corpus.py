"""A training corpus: cuts with their texts spelled in tokens, and those that cannot be learned from named."""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.resampling import resampled_length
from asr_lab.audio.speeds import FASTEST
from asr_lab.data.cuts import Cuts
from asr_lab.data.kept_sets import LEAST, key_of
from asr_lab.data.kept_spelling import Spelling, keep_spelling, kept_spelling
from asr_lab.data.packed import Ragged, Strings, StringsBuilder
from asr_lab.data.utterance import BadCut, LeftOutReason
from asr_lab.text.normalizer import Normalizer
from asr_lab.text.vocabulary import UnspellableError, Vocabulary
from asr_lab.units import s_to_samples, samples_to_s

Alignable = Callable[[int, Sequence[int]], bool]
"""Whether so many samples hold frames enough for these tokens; what holds for some samples holds for more."""

LONGEST_S = 86_400
"""Tokens for which audio of this length is too short fit into no audio."""


@attrs.frozen(eq=False)
class Corpus:
    """Utterances to train on; N of them."""

    cuts: Cuts
    kept: NDArray[np.int64]  # (N,) row of `cuts`
    texts: Strings
    """Normalised transcripts, (N,)."""
    tokens: Ragged
    """Token numbers, (N,)."""
    tight: NDArray[np.bool_]  # (N,) faster speech might leave too few frames for the tokens
    sample_rate: int
    """Hertz that audio is read at."""
    vocabulary: Vocabulary
    alignable: Alignable
    bad: tuple[BadCut, ...]
    """Every utterance that cannot be used, with its reason; N and these are all."""
    missing: str
    """The characters of its unspellable texts that the vocabulary lacks, by code point."""

    def __len__(self) -> int:
        return len(self.kept)

    @property
    def durations_s(self) -> NDArray[np.float64]:
        """Lengths in seconds, (N,)."""
        return self.cuts.duration_s[self.kept]

    @property
    def fingerprint(self) -> str:
        """Hash of the data that it was read from; texts as written, before any tokenizer."""
        return self.cuts.fingerprint


def training_texts(cuts: Cuts, normalizer: Normalizer) -> Iterator[str]:
    """The normalised transcripts that are not empty: what a tokenizer is trained from."""
    return (text for raw in cuts.texts if (text := normalizer(raw)))


def spell(
    cuts: Cuts,
    vocabulary: Vocabulary,
    normalizer: Normalizer,
    *,
    sample_rate: int,
    alignable: Alignable = lambda num_samples, tokens: True,
    alignable_name: str = "",
    keep_from: int = LEAST,
) -> Corpus:
    """Spell cuts; those with an empty or unspellable text, or more tokens than frames, become bad ones.

    `keep_from` and more are kept in the cache, where `alignable_name` is all that decides what `alignable` says.
    """
    key = ""
    if alignable_name and len(cuts) >= keep_from:
        key = key_of(cuts.fingerprint, vocabulary.fingerprint(), normalizer.name, sample_rate, alignable_name)
    spelled = kept_spelling(key, len(cuts)) if key else None
    if spelled is None:
        spelled = _spelled(cuts, vocabulary, normalizer, sample_rate, alignable)
        if key:
            spelled = keep_spelling(key, spelled, len(cuts))
    return Corpus(
        cuts=cuts,
        kept=spelled.kept,
        texts=spelled.texts,
        tokens=spelled.tokens,
        tight=spelled.tight,
        sample_rate=sample_rate,
        vocabulary=vocabulary,
        alignable=alignable,
        bad=(*cuts.bad, *spelled.bad),
        missing=spelled.missing,
    )


def _spelled(
    cuts: Cuts, vocabulary: Vocabulary, normalizer: Normalizer, sample_rate: int, alignable: Alignable
) -> Spelling:
    kept, tight = array("q"), array("b")
    texts = StringsBuilder()
    bad, missing = list[BadCut](), set[str]()

    def rows() -> Iterator[list[int]]:
        for row, raw in enumerate(cuts.texts):
            num_samples = s_to_samples(float(cuts.duration_s[row]), sample_rate)
            text = normalizer(raw)
            tokens, why = _tokens(text, raw, vocabulary, missing)
            if why is None and not alignable(num_samples, tokens):
                fits_some = alignable(LONGEST_S * sample_rate, tokens)
                kind: LeftOutReason = "too short for its text" if fits_some else "text too long for a decoder"
                why = too_short(num_samples, tokens, alignable, sample_rate), kind
            if why is not None:
                bad.append(BadCut(cuts.ids[row], cuts.audio[row], *why))
                continue
            kept.append(row)
            texts.append(text)
            tight.append(not alignable(resampled_length(num_samples, FASTEST, 1), tokens))
            yield tokens

    tokens = Ragged.of(rows())
    return Spelling(
        kept=np.array(kept, dtype=np.int64),
        texts=texts.build(),
        tokens=tokens,
        tight=np.array(tight, dtype=np.bool_),
        bad=tuple(bad),
        missing="".join(sorted(missing)),
    )


def too_short(num_samples: int, tokens: Sequence[int], alignable: Alignable, sample_rate: int) -> str:
    """Why samples cannot be learned from with tokens that are not alignable with them: how long both are, in seconds.

    What the tokens need is rounded up and what the audio has down, so that the two never look the same.
    """
    longest = LONGEST_S * sample_rate
    needed = bisect_left(range(longest), True, key=lambda count: alignable(count, tokens))
    if needed == longest:
        return f"its text is too long for a decoder, however long the audio: {len(tokens)} tokens"
    needed_s = math.ceil(100 * samples_to_s(needed, sample_rate)) / 100
    audio_s = math.floor(100 * samples_to_s(num_samples, sample_rate)) / 100
    return f"too short for its text: {len(tokens)} tokens need {needed_s:.2f} s, it has {audio_s:.2f} s"


def _tokens(
    text: str, raw: str, vocabulary: Vocabulary, missing: set[str]
) -> tuple[list[int], tuple[str, LeftOutReason] | None]:
    """Token numbers, or why there are none; characters that the vocabulary lacks are added to `missing`."""
    if not text:
        left = "empty text" if not raw.strip() else f"nothing is left of its text {raw[:60]!r} once normalised"
        return [], (left, "no text")
    try:
        tokens = vocabulary.encode(text)
    except UnspellableError as error:
        missing.update(error.characters)
        return [], (f"unspellable: {error}", "unspellable")
    return tokens, None if tokens else (f"its text {text[:60]!r} gives no tokens", "no text")
