"""The table of streaming: error rates, delays and costs of one model, offline and in each context."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import attrs
import torch
from torch import Tensor

from asr_lab.data.evaluation_data import EvaluationData
from asr_lab.errors import DataError
from asr_lab.evaluation.comparison import Comparison, Difference, compare
from asr_lab.evaluation.error_counts import Scorer
from asr_lab.evaluation.evaluation_files import UnreadablePolicy, evaluate, read_evaluation, write_evaluation
from asr_lab.evaluation.rates import MAIN
from asr_lab.evaluation.scoring import Rate, SetScore
from asr_lab.evaluation.streaming.contexts import AlgorithmicDelay
from asr_lab.evaluation.streaming.latency import Latency, Shown, summarise
from asr_lab.evaluation.streaming.playback import ComputeCost, Contender, Kind
from asr_lab.recognition.alignment import Aligner
from asr_lab.recognition.decoded_utterance import DecodedUtterance
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.text.normalizer import TextNormalizer

TIMED_S = 30.0
"""Audio that is decoded a second time to be timed, one stream alone, at least an utterance."""

Key = tuple[str, str]
"""Set and utterance."""


@attrs.frozen
class ContextRow:
    """One way of decoding the sets."""

    label: str
    kind: Kind
    decoder: str
    chunk_ms: float | None
    """None = the whole utterance."""
    left_ms: float | None
    trained: bool
    """Whether the model was trained with this context."""
    rates: dict[str, Rate]
    """By name."""
    differences: dict[str, Difference] | None
    """To the offline row of the same decoder, by rate, paired by utterance; None for that row itself."""
    delay: AlgorithmicDelay | None
    """None where the utterance is needed whole."""
    latency: Latency
    """Without delays where words have no times: the model has no CTC decoder, or no reference could be aligned."""
    speed: ComputeCost
    state_bytes: int | None
    """Memory of one live stream; None where nothing is carried."""
    reencoded_s_per_s: float | None
    """Local agreement alone: seconds encoded for each second of audio."""
    utterances: int
    evaluation: str
    """The file of its scores, beside the table; its hypotheses are a jsonl of the same name."""

    @property
    def main(self) -> Rate:
        """The rate that stands for the others."""
        return self.rates[MAIN]


class Scoring(NamedTuple):
    """How texts are compared with references."""

    normalizer: TextNormalizer
    bootstrap: int
    """Resamples."""
    seed: int
    unreadable: UnreadablePolicy = "deleted"
    scorer: Scorer = "plain"


class Playback:
    """The same recordings played to all contenders, batch by batch."""

    def __init__(self, contenders: Sequence[Contender], aligner: Aligner | None, device: torch.device | str) -> None:
        self.contenders, self.aligner, self.device = contenders, aligner, device
        self.shown: dict[str, dict[Key, Shown]] = {c.label: {} for c in contenders}
        self.references: dict[Key, tuple[TimedWord, ...]] = {}
        self.unaligned: dict[Key, str] = {}
        self.timed: list[Tensor] = []

    def recognise(self, data: EvaluationData, time_ids: Sequence[str]) -> Iterator[int]:
        """Let all recognise a set; yields how many recordings one of them has recognised, each time that one has.

        Recordings in `time_ids` are kept to be timed.
        """
        texts = {u.id: u.text for u in data.utterances}
        for batch in data.batches():
            keys = [(data.name, id) for id in batch.ids]
            audio = batch.audio.to(self.device)
            recordings = [row[:n] for row, n in zip(audio, batch.audio_lengths.tolist(), strict=True)]
            self.timed += [r for (_, id), r in zip(keys, recordings, strict=True) if id in time_ids]
            for key, samples in zip(keys, recordings, strict=True):
                self._align(key, samples, texts[key[1]])
            for contender in self.contenders:
                found = contender.recognise(recordings)
                self.shown[contender.label].update(zip(keys, found, strict=True))
                yield len(keys)

    def time(self) -> Iterator[tuple[str, ComputeCost]]:
        """What each contender's computing costs, by its label."""
        for contender in self.contenders:
            yield contender.label, contender.time_alone(self.timed)

    def latency(self, label: str) -> Latency:
        """Delays of a contender's words, and how often they changed."""
        return summarise((self.references.get(key, ()), shown) for key, shown in self.shown[label].items())

    def _align(self, key: Key, samples: Tensor, text: str) -> None:
        if self.aligner is None:
            return
        try:
            self.references[key] = self.aligner.audio(samples, text).words
        except DataError as error:
            self.unaligned[key] = str(error)


def score_rows(
    playback: Playback,
    sets: Sequence[EvaluationData],
    speeds: Mapping[str, ComputeCost],
    folder: Path,
    scoring: Scoring,
    about: Mapping[str, Any],
) -> tuple[list[ContextRow], SetScore]:
    """The rows of the table, each with its scores and hypotheses written into a folder, and the first one's score."""
    contenders = playback.contenders
    scores: dict[str, SetScore] = {}
    paths: dict[str, Path] = {}
    unreadable = [(data.name, one) for data in sets for one in data.unreadable]
    for one in contenders:
        decoded = {data.name: _transcripts(data, playback.shown[one.label]) for data in sets}
        what = {**about, "context": one.label, "decoder": one.decoder}
        how = (scoring.normalizer, scoring.bootstrap, scoring.seed)
        evaluation = evaluate(decoded, *how, unreadable, what, scoring.unreadable, scoring.scorer)
        scores[one.label] = evaluation.score
        paths[one.label] = write_evaluation(evaluation, folder, row_stem(one.label))
    rows = []
    for one in contenders:
        base = _baseline(one, contenders)
        change = None
        if base is not one:
            ours, theirs = (read_evaluation(paths[label]) for label in (base.label, one.label))
            change = compare(ours, theirs, scoring.bootstrap, scoring.seed)
        latency = playback.latency(one.label)
        rows.append(_row(one, scores[one.label], change, latency, speeds[one.label], paths[one.label].name))
    return rows, scores[contenders[0].label]


def _row(
    one: Contender, score: SetScore, change: Comparison | None, latency: Latency, speed: ComputeCost, evaluation: str
) -> ContextRow:
    return ContextRow(
        label=one.label,
        kind=one.kind,
        decoder=one.decoder,
        chunk_ms=one.candidate.chunk_ms,
        left_ms=one.candidate.left_ms,
        trained=one.candidate.trained,
        rates=score.rates,
        differences=None if change is None else change.rates,
        delay=None if one.kind == "offline" else one.candidate.delay,
        latency=latency,
        speed=speed,
        state_bytes=one.state_bytes,
        reencoded_s_per_s=one.reencoded_s_per_s,
        utterances=score.utterances,
        evaluation=evaluation,
    )


def row_stem(label: str) -> str:
    """A row's label as the name of its files: `320 ms` is `320ms`."""
    return re.sub(r"[^\w.,-]+", "", label.replace(", ", "-"))


def _transcripts(data: EvaluationData, shown: Mapping[Key, Shown]) -> list[DecodedUtterance]:
    return [
        DecodedUtterance(u.id, u.text, " ".join(w.text for w in found.words), dict(u.columns), u.duration_s, u.audio)
        for u in data.utterances
        if (found := shown.get((data.name, u.id))) is not None
    ]


def _baseline(contender: Contender, contenders: Sequence[Contender]) -> Contender:
    """The offline one with the same decoder, or else the first offline one."""
    offline = [c for c in contenders if c.kind == "offline"]
    return next((c for c in offline if c.decoder == contender.decoder), offline[0])
