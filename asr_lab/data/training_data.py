"""Training data as steps and evaluation data as batches, read ahead by worker processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

from asr_lab.audio.augmentation import Augmentation
from asr_lab.audio.reading import AudioError
from asr_lab.data.batch import Batch, BatchRow, BatchRows, stack
from asr_lab.data.corpus import Corpus, too_short
from asr_lab.data.evaluation_data import EvaluationData as EvaluationData
from asr_lab.data.examples import Examples, LanguageShare, draw_examples, language_weights
from asr_lab.data.plan import Plan, plan_epoch
from asr_lab.data.reader import AudioReader
from asr_lab.data.sharing import deal
from asr_lab.data.utterance import DRAWN, BadCut
from asr_lab.data.workers import read_ahead
from asr_lab.errors import DataError


@attrs.frozen(eq=False)
class Step:
    """One optimizer step's data, or a rank's share of it."""

    batches: tuple[Batch, ...]
    """Its microbatches; those without a usable utterance are left out."""
    places: tuple[int, ...]
    """The number of each among the step's microbatches."""
    rounds: int
    """Microbatches of this rank, left-out ones counted: as many as every other rank's."""
    num_samples: int
    """Of all utterances, padding not counted."""
    sample_rate: int
    """Hertz."""
    num_tokens: int
    """Target tokens of all microbatches."""
    num_utterances: int
    bad: tuple[BadCut, ...]
    """Utterances that could not be decoded after all; they are left out, each time alike."""

    @property
    def audio_s(self) -> float:
        """Seconds of audio, padding not counted."""
        return self.num_samples / self.sample_rate


class TrainingData:
    """A corpus, cut into the steps of each epoch; the same seed and epoch always give the same bits.

    `batch_s` is padded seconds per step, `max_rank_batch_s` per microbatch. `cache_mb` megabytes hold decoded audio
    from one epoch to the next. Of `ranks` processes this one, `rank`, reads its share of each step; `parts`, a multiple
    of `ranks`, says what a step's number of microbatches is a multiple of. `languages` are those that a decoder names,
    each utterance's among them. DataError when an utterance is longer than a microbatch.
    """

    def __init__(
        self,
        corpus: Corpus,
        *,
        seed: int,
        batch_s: float,
        max_rank_batch_s: float | None = None,
        augmentation: Augmentation | None = None,
        num_workers: int = 2,
        cache_mb: int = 1024,
        rank: int = 0,
        ranks: int = 1,
        parts: int | None = None,
        temperature: float = 1.0,
        languages: Sequence[str] = (),
    ) -> None:
        self.rank = rank
        self.ranks = ranks
        self.parts = parts or ranks
        if self.parts % ranks:
            raise ValueError(f"parts, {self.parts}, must be a multiple of the {ranks} ranks")
        self.corpus = corpus
        self.seed = seed
        self.temperature = temperature
        self.batch_s = batch_s
        self.max_rank_batch_s = min(max_rank_batch_s or batch_s, batch_s)
        self.augmentation = augmentation or Augmentation()
        self.num_workers = num_workers
        self._reader = AudioReader(corpus.cuts, corpus.sample_rate, cache_mb)
        self._places = [
            languages.index(name) if name in languages else 0 for name in corpus.cuts.languages if languages
        ]
        self._planned: tuple[int, Examples, Plan] | None = None
        longest = int(np.argmax(corpus.durations_s))
        if (length_s := float(corpus.durations_s[longest])) > self.max_rank_batch_s:
            name = "train.batch_s" if self.batch_s <= self.max_rank_batch_s else "parallel.max_rank_batch_s"
            raise DataError(
                f"utterance {corpus.cuts.ids[int(corpus.kept[longest])]} lasts {length_s:.2f} s, longer than {name} = "
                f"{self.max_rank_batch_s:g}: raise it, or leave long ones out with where = {{ max_s = … }}"
            )

    @property
    def bad(self) -> tuple[BadCut, ...]:
        """Utterances that were left out before training."""
        return self.corpus.bad

    @property
    def fingerprint(self) -> str:
        """Hash of the data, hexadecimal."""
        return self.corpus.fingerprint

    def languages(self) -> dict[str, LanguageShare]:
        """Of the audio that is trained on, by language, the largest first; empty where languages are not told apart."""
        cuts, kept = self.corpus.cuts, self.corpus.kept
        if len(cuts.languages) < 2:
            return {}
        weights = np.array([part.weight for part in cuts.parts])[cuts.part[kept]]
        audio_s = np.bincount(cuts.language[kept], self.corpus.durations_s * weights, len(cuts.languages))
        there = np.flatnonzero(audio_s)
        factors = language_weights(audio_s[there].astype(np.float64), self.temperature)
        shares = audio_s[there] / audio_s.sum()
        found = {
            cuts.languages[language]: LanguageShare(float(share), float(share * factor))
            for language, share, factor in zip(there, shares, factors, strict=True)
        }
        return dict(sorted(found.items(), key=lambda one: -one[1].there))

    def plan(self, epoch: int) -> tuple[Examples, Plan]:
        """The examples of an epoch and how steps hold them."""
        if self._planned is None or self._planned[0] != epoch:
            corpus = self.corpus
            examples = draw_examples(
                corpus.durations_s,
                corpus.cuts.keys[corpus.kept],
                corpus.cuts.part[corpus.kept],
                corpus.cuts.group[corpus.kept],
                corpus.tight,
                corpus.cuts.parts,
                seed=self.seed,
                epoch=epoch,
                duration_factors=self.augmentation.duration_factors,
                language=corpus.cuts.language[corpus.kept],
                temperature=self.temperature,
            )
            if not len(examples):
                raise DataError("an epoch of this data is empty: raise the weights in data.train")
            plan = plan_epoch(
                examples.durations_s,
                examples.keys,
                batch_s=self.batch_s,
                max_rank_batch_s=self.max_rank_batch_s,
                parts=self.parts,
            )
            self._planned = (epoch, examples, plan)
        return self._planned[1:]

    def num_steps(self, epoch: int) -> int:
        """Steps of an epoch."""
        return self.plan(epoch)[1].num_steps

    def audio_s(self, epoch: int) -> float:
        """Seconds of audio in an epoch, padding not counted."""
        return float(self.plan(epoch)[0].durations_s.sum())

    def steps(self, epoch: int, start_step: int = 0) -> Iterator[Step]:
        """The steps of an epoch from `start_step` on; where it starts changes nothing in them."""
        examples, plan = self.plan(epoch)

        def read(microbatch: int) -> BatchRows:
            return self._read(examples, plan.microbatch(microbatch))

        numbers = range(start_step, plan.num_steps)
        wanted = (int(plan.steps[step]) + place for step in numbers for place in self._share(examples, plan, step))
        rows = read_ahead(read, wanted, self.num_workers)
        for step in numbers:
            share = self._share(examples, plan, step)
            yield _step(share, [next(rows) for _ in share], self.corpus.sample_rate)

    def _share(self, examples: Examples, plan: Plan, step: int) -> Sequence[int]:
        """Which microbatches of a step this rank takes, in the order in which it takes them."""
        number = int(plan.steps[step + 1] - plan.steps[step])
        if self.ranks == 1:
            return range(number)
        sizes_s = [float(len(part) * examples.durations_s[part].max(initial=0.0)) for part in plan.step(step)]
        return deal(sizes_s, self.ranks)[self.rank]

    def _read(self, examples: Examples, chosen: NDArray[np.int64]) -> BatchRows:
        rows: list[BatchRow] = []
        bad: list[BadCut] = []
        for example in chosen.tolist():
            row = self._row(examples, example)
            if isinstance(row, BadCut):
                bad.append(row)
            else:
                rows.append(row)
        return stack(rows, bad)

    def _row(self, examples: Examples, example: int) -> BatchRow | BadCut:
        corpus = self.corpus
        span = slice(examples.rows.ends[example], examples.rows.ends[example + 1])
        members = examples.rows.values[span].tolist()
        cuts = corpus.kept[members].tolist()
        name = "+".join(corpus.cuts.ids[c] for c in cuts)
        key = int(examples.keys[example])
        try:
            audio = self._reader.joined(cuts, examples.gaps_s[span].tolist())
        except AudioError:
            return self._unreadable(cuts)
        audio = self.augmentation.waveform(audio, corpus.sample_rate, key)
        text = " ".join(corpus.texts[m] for m in members)
        tokens = corpus.tokens[members[0]].tolist() if len(members) == 1 else corpus.vocabulary.encode(text)
        if not corpus.alignable(len(audio), tokens):
            reason = too_short(len(audio), tokens, corpus.alignable, corpus.sample_rate)
            return BadCut(name, corpus.cuts.audio[cuts[0]], f"as drawn: {reason}", DRAWN)
        return BatchRow(audio, tokens, name, key, text, self._language_of(cuts[0]))

    def _language_of(self, cut: int) -> int:
        """Its place among the named languages; 0 where none are."""
        return int(self._places[self.corpus.cuts.language[cut]]) if len(self._places) else 0

    def _unreadable(self, cuts: Sequence[int]) -> BadCut:
        """The first of joined utterances that cannot be read: the others are read where they are drawn again."""
        for cut in cuts:
            try:
                self._reader.utterance(cut)
            except AudioError as error:
                return BadCut(self.corpus.cuts.ids[cut], self.corpus.cuts.audio[cut], error.reason)
        raise AssertionError("what cannot be read together has a member that cannot be read")


def _step(places: Sequence[int], parts: Sequence[BatchRows], sample_rate: int) -> Step:
    return Step(
        batches=tuple(p.batch() for p in parts if len(p.ids)),
        places=tuple(place for place, p in zip(places, parts, strict=True) if len(p.ids)),
        rounds=len(parts),
        num_samples=sum(int(p.audio_lengths.sum()) for p in parts),
        sample_rate=sample_rate,
        num_tokens=sum(int(p.token_lengths.sum()) for p in parts),
        num_utterances=sum(len(p.ids) for p in parts),
        bad=tuple(b for p in parts for b in p.bad),
    )
