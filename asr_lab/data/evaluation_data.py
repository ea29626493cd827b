"""Data to be scored on: every utterance once, in a fixed order, with its transcript as written."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import attrs
import numpy as np

from asr_lab.audio.keyed_random import Keys
from asr_lab.audio.reading import AudioError
from asr_lab.data.batch import Batch, BatchRow, BatchRows, stack
from asr_lab.data.cuts import Cuts
from asr_lab.data.examples import Examples, draw_examples
from asr_lab.data.plan import fill
from asr_lab.data.reader import AudioReader
from asr_lab.data.utterance import BadCut, UnreadableUtterance
from asr_lab.data.workers import read_ahead


@attrs.frozen
class EvaluationUtterance:
    """What is known of an utterance before it is decoded."""

    id: str
    text: str
    """Transcript as written: scoring normalises it."""
    duration_s: float
    audio: str
    """Path of its file (of the first one, if joined)."""
    columns: dict[str, Any] = attrs.field(factory=dict)
    """What else the manifest says; of joined ones what they agree in."""


class EvaluationData:
    """A named set; batches are filled to `batch_s` padded seconds, longest utterances first.

    Nothing is left out silently: what cannot be read is in `unreadable` with its transcript, so that scoring can
    count its words as deleted. Texts need be neither spellable nor alignable, and may be empty.
    """

    def __init__(
        self,
        name: str,
        cuts: Cuts,
        *,
        sample_rate: int,
        batch_s: float,
        num_workers: int = 0,
        cache_mb: int = 256,
    ) -> None:
        self.name = name
        self.sample_rate = sample_rate
        self.num_workers = num_workers
        self._cuts = cuts
        self._reader = AudioReader(cuts, sample_rate, cache_mb)
        self._examples = _all_once(cuts)
        self._failed: dict[str, BadCut] = {}
        self._batch_s = batch_s
        self._described = tuple(self._utterance(e) for e in range(len(self._examples)))
        self._choose(range(len(self._described)))

    @property
    def fingerprint(self) -> str:
        """Hash of the data, hexadecimal."""
        return self._cuts.fingerprint

    @property
    def total_s(self) -> float:
        """Seconds of audio."""
        return float(self._examples.durations_s[self._order].sum())

    @property
    def bad(self) -> tuple[BadCut, ...]:
        """Utterances that cannot be used, with reasons; those found while decoding come with `batches`."""
        return (*self._cuts.bad, *(self._failed[u.id] for u in self.utterances if u.id in self._failed))

    @property
    def unreadable(self) -> tuple[UnreadableUtterance, ...]:
        """The bad ones with their transcripts; those that only decoding finds are there after `batches`."""
        failed = [
            UnreadableUtterance(u.id, u.audio, self._failed[u.id].reason, u.text, u.columns)
            for u in self.utterances
            if u.id in self._failed
        ]
        return (*self._cuts.refused, *failed)

    @property
    def num_batches(self) -> int:
        """How many `batches` gives at most."""
        return len(self._batches) - 1

    def batches(self, rank: int = 0, ranks: int = 1) -> Iterator[Batch]:
        """All utterances, longest first, or of several ranks this one's share, the same batches.

        `texts` are transcripts as written, and there are no targets.
        """
        for rows in read_ahead(self._read, range(rank, self.num_batches, ranks), self.num_workers):
            self._failed.update((b.id, b) for b in rows.bad)
            if rows.ids:
                yield rows.batch()

    def give_up(self, id: str, reason: str) -> None:
        """Count an utterance that was read among the `unreadable`."""
        audio = next(u.audio for u in self.utterances if u.id == id)
        self._failed[id] = BadCut(id, audio, reason)

    @property
    def failed(self) -> tuple[BadCut, ...]:
        """Utterances that only `batches` showed to be unreadable."""
        return tuple(self._failed.values())

    def take_failed(self, bad: Iterable[BadCut]) -> None:
        """Take over what other ranks found."""
        self._failed.update((b.id, b) for b in bad)

    def subset(self, ids: Collection[str]) -> EvaluationData:
        """The same set with these utterances alone, in the same order."""
        part = copy.copy(self)
        part._failed = {}
        part._choose([e for e, u in enumerate(self._described) if u.id in ids])
        return part

    def _choose(self, examples: Sequence[int]) -> None:
        self.utterances = tuple(self._described[e] for e in examples)
        """All that can be read, so far as their headers tell."""
        self._order = np.array(sorted(examples, key=self._longest_first), dtype=np.int64)
        durations_s = self._examples.durations_s[self._order]
        self._batches = np.append(fill(durations_s, self._batch_s), len(self._order))

    def _longest_first(self, example: int) -> tuple[float, str]:
        utterance = self._described[example]
        return -utterance.duration_s, utterance.id

    def _read(self, batch: int) -> BatchRows:
        rows: list[BatchRow] = []
        bad: list[BadCut] = []
        for example in self._order[self._batches[batch] : self._batches[batch + 1]].tolist():
            span = slice(self._examples.rows.ends[example], self._examples.rows.ends[example + 1])
            utterance = self._described[example]
            members = self._examples.rows.values[span].tolist()
            try:
                audio = self._reader.joined(members, self._examples.gaps_s[span].tolist())
            except AudioError as error:
                bad.append(BadCut(utterance.id, utterance.audio, error.reason))
                continue
            key = int(self._examples.keys[example])
            rows.append(BatchRow(audio, (), utterance.id, key, utterance.text))
        return stack(rows, bad)

    def _utterance(self, example: int) -> EvaluationUtterance:
        cuts, members = self._cuts, self._examples.rows[example].tolist()
        columns = dict(cuts.columns[members[0]])
        for member in members[1:]:
            columns = {k: v for k, v in columns.items() if cuts.columns[member].get(k) == v}
        return EvaluationUtterance(
            id="+".join(cuts.ids[m] for m in members),
            text=" ".join(cuts.texts[m] for m in members),
            duration_s=float(self._examples.durations_s[example]),
            audio=cuts.audio[members[0]],
            columns=columns,
        )


def _unchanged(keys: Keys) -> Any:
    return np.ones(len(keys))


def _all_once(cuts: Cuts) -> Examples:
    """Every utterance once, joined where the recipe says so, always alike."""
    return draw_examples(
        cuts.duration_s,
        cuts.keys,
        cuts.part,
        cuts.group,
        np.zeros(len(cuts), dtype=np.bool_),
        cuts.parts,
        seed=0,
        epoch=0,
        duration_factors=_unchanged,
    )
