"""A run's weights heard offline and live: `asrlab compare-streaming`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.commands.evaluate import evaluation_document, file_stem
from asr_lab.config.structure import unstructure
from asr_lab.errors import DataError
from asr_lab.files import write_text
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    import numpy as np

    from asr_lab.compiler.build import Loaded
    from asr_lab.data.evaluation_data import EvaluationData
    from asr_lab.evaluation.scoring import SetScore
    from asr_lab.evaluation.streaming.contexts import StreamingChain
    from asr_lab.evaluation.streaming.proof import Check, Proof, Utterances
    from asr_lab.evaluation.streaming.table import ContextRow, Playback
    from asr_lab.recipe import Recipe

FORMAT = 3
"""Raised when the JSON's shape changes."""
FOLDER = "streaming"
"""Below a run's `eval/`."""
PROOF_S = 60.0
"""Audio that is proved on, at least an utterance."""


@attrs.frozen
class Compared:
    """The table, and where it was written."""

    rows: tuple[ContextRow, ...]
    score: SetScore
    """Of the first row."""
    listening: Playback
    content: dict[str, Any]
    """Everything, as JSON."""
    folder: Path
    reads: int
    """How often this set has now been scored with this run."""


class StreamingComparison:
    """One comparison on its way: first `prove`, then `hear`, then `write`.

    `data` is what the command line gave (`evaluating.dataset_of`), none = the recipe's `data.test`; `chunks_ms` are
    chunks to compare at, None among them = whole, none = those that were trained and the usual ones. `max_utterances`
    are drawn by the recipe's seed. Raises LabErrors.
    """

    def __init__(
        self,
        run: RunDirectory,
        checkpoint: str,
        data: Sequence[str],
        overrides: Sequence[str],
        *,
        chunks_ms: Sequence[float | None] = (),
        max_utterances: int | None = None,
        device: str = "cpu",
    ) -> None:
        import numpy as np

        from asr_lab.compiler.build import evaluation_sets, load_model
        from asr_lab.compiler.inputs import data_root
        from asr_lab.evaluation.streaming.contexts import choose

        self.run, self.device = run, device
        self.recipe: Recipe = evaluation_document(run, data, overrides).value
        if not self.recipe.data.test:
            raise DataError(
                f"{run.name} has no data.test; name a set: asrlab compare-streaming {run.name} --data FILE|FOLDER|SLOT"
            )
        self._rng = np.random.Generator(np.random.Philox(self.recipe.seed))
        whole_sets = evaluation_sets(self.recipe, self.recipe.data.test, data_root())
        self.sets = _drawn(whole_sets, self._rng, max_utterances)
        self.loaded: Loaded = load_model(self.recipe, run.path, checkpoint)
        self.hearer = _hearer(self.recipe, self.loaded)
        self.candidates, self.refused = choose(self.loaded.model, self.hearer, chunks_ms)
        self.about: dict[str, Any] = {
            "run": run.name,
            "weights": checkpoint,
            "checkpoint": self.loaded.checkpoint.name,
            "data": list(data) or "data.test",
            "decode": unstructure(self.recipe.decode),
            "device": device,
            "max_utterances": max_utterances,
            "seed": self.recipe.seed,
        }
        plain = not data and not overrides and checkpoint == "best" and max_utterances is None
        names = [one.name for one in self.sets]
        stem = "test" if plain else file_stem(names, self.about, [*overrides, "streaming"])
        self.folder = run.eval / FOLDER / stem
        self._proved_ids = _some(self.sets, self._rng, PROOF_S)
        self.proof: Proof | None = None
        self.listening: Playback | None = None
        self._speeds: dict[str, Any] = {}

    @property
    def num_checks(self) -> int:
        """Checks that `prove` makes at most."""
        batches = sum(data.subset(self._proved_ids).num_batches for data in self.sets)
        return batches * sum(2 if c.delay is None else 4 for c in self.candidates)

    @property
    def num_utterances(self) -> int:
        """Recordings that are heard."""
        return sum(len(data.utterances) for data in self.sets)

    def prove(self) -> Iterator[Check]:
        """Put the stored weights to the proof, check by check; `proof` holds the outcome, and it is written."""
        from asr_lab.evaluation.streaming.as_json import as_text, proof_json
        from asr_lab.evaluation.streaming.proof import Proof, Subject, prove, together

        subject = Subject.of(self.loaded.model, self.loaded.features, self.hearer.names[1:])
        contexts = [(c.label, self.hearer.in_samples(c.context)) for c in self.candidates]
        found: dict[tuple[str, str, str], list[Check]] = {}
        ids: list[str] = []
        audio_s = 0.0
        for batch in self._proved_on():
            ids += batch.ids
            audio_s += float(batch.audio.lengths.sum()) / self.loaded.sample_rate
            for check in prove(subject, contexts, batch, self.recipe.seed):
                found.setdefault((check.context, check.dtype, check.cutting), []).append(check)
                yield check
        self.proof = Proof(tuple(map(together, found.values())), tuple(ids), round(audio_s, 3), self.recipe.seed)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(self.folder / "proof.json", as_text(proof_json(self.proof)))

    def hear(self) -> Iterator[float]:
        """Let all rows hear the sets, and time them on some recordings; yields the share that is done, up to 1."""
        from asr_lab.evaluation.streaming.table import TIMED_S

        time_ids = _some(self.sets, self._rng, TIMED_S)
        self.listening = self._listening()
        work = self.num_utterances * len(self.listening.contenders)
        done = 0
        for data in self.sets:
            for count in self.listening.recognise(data, time_ids):
                done += count
                yield done / (work + 1)
        for label, speed in self.listening.time():
            self._speeds[label] = speed
        yield 1.0

    def write(self) -> Compared:
        """SetScore what was heard and write everything into the run: JSON, hypotheses, curve; the look is counted."""
        from asr_lab.commands.test_reads import add_read
        from asr_lab.evaluation.streaming.as_json import as_text
        from asr_lab.evaluation.streaming.curve import draw_streaming
        from asr_lab.evaluation.streaming.table import Scoring, score_rows
        from asr_lab.text.normalizer import Normalizer

        assert self.listening is not None
        how = self.recipe.score
        scoring = Scoring(Normalizer(how.normalizer), how.bootstrap, self.recipe.seed, how.unreadable)
        rows, score = score_rows(self.listening, self.sets, self._speeds, self.folder, scoring, self.about)
        draw_streaming(rows, self.folder, f"{self.run.name}: {score.name}, {score.utterances:,} utterances")
        reads = add_read(self.run, score.hash, {**self.about, "file": f"{FOLDER}/{self.folder.name}/streaming.json"})
        content = self.content(rows, score, reads)
        write_text(self.folder / "streaming.json", as_text(content))
        return Compared(tuple(rows), score, self.listening, content, self.folder, reads)

    def content(
        self, rows: Sequence[ContextRow] = (), score: SetScore | None = None, reads: int | None = None
    ) -> dict[str, Any]:
        """The documented shape: `about`, `proof`, `rows`, `refused`, and what they are of; units end the names."""
        import torch

        from asr_lab.evaluation.streaming.as_json import plain, proof_json, row_json, set_json, unaligned_json

        return {
            "format": FORMAT,
            "about": {**self.about, "read": reads},
            "proof": None if self.proof is None else proof_json(self.proof),
            "rows": [row_json(row) for row in rows],
            "refused": plain(self.refused),
            "set": None if score is None else set_json(score),
            "timed": {
                "audio_s": max((row.speed.audio_s for row in rows), default=0.0),
                "threads": torch.get_num_threads(),
                "device": self.device,
            },
            "unaligned": [] if self.listening is None else unaligned_json(self.listening),
            "files": {"folder": str(self.folder), "curve": ["curve.svg", "curve.png"] if rows else []},
        }

    def _proved_on(self) -> Iterator[Utterances]:
        """Some utterances of all sets, batch by batch."""
        from asr_lab.evaluation.streaming.proof import Utterances
        from asr_lab.streaming import Frames

        for data in self.sets:
            for batch in data.subset(self._proved_ids).batches():
                yield Utterances(batch.ids, Frames.whole(batch.audio, batch.audio_lengths))

    def _listening(self) -> Playback:
        from asr_lab.evaluation.streaming.contenders import contenders_of
        from asr_lab.evaluation.streaming.table import Playback
        from asr_lab.recognition.alignment import Aligner, ctc_reading
        from asr_lab.text.normalizer import Normalizer

        model, features = self.loaded.model.to(self.device), self.loaded.features.to(self.device)
        aligner = None
        if ctc_reading(model, self.hearer.frame_ms) is not None:
            normalizer, rate = Normalizer(self.recipe.text.steps), self.loaded.sample_rate
            aligner = Aligner(model, features, self.loaded.vocabulary, normalizer, sample_rate=rate, device=self.device)
        contenders = contenders_of(self.loaded, self.hearer, self.candidates, self.recipe.decode.build())
        return Playback(contenders, aligner, self.device)


def _hearer(recipe: Recipe, loaded: Loaded) -> StreamingChain:
    """The run's model, its parts named as the recipe does, with the recipe's own reasons why one cannot stream."""
    from asr_lab.evaluation.streaming.contexts import StreamingChain

    encoder = recipe.encoder
    reasons = {f"stem ({encoder.stem.tag()})": encoder.stem.whole_because()}
    for number, name in enumerate(encoder.layer_names, start=1):
        reasons[f"layer {number} (block {name!r})"] = encoder.block[name].whole_because()
    every = {"features": recipe.features.whole_because, **reasons}
    given = {name: why.reason for name, why in every.items() if why is not None}
    return StreamingChain.of(loaded.model, loaded.features, list(reasons), given, loaded.sample_rate)


def _drawn(sets: Sequence[EvaluationData], rng: np.random.Generator, count: int | None) -> list[EvaluationData]:
    """The sets, or so many of their utterances; a set of which none was drawn is left out."""
    every = [(number, u.id) for number, data in enumerate(sets) for u in data.utterances]
    if count is None or count >= len(every):
        return list(sets)
    chosen = [every[place] for place in rng.permutation(len(every))[:count].tolist()]
    parts = [data.subset({id for which, id in chosen if which == number}) for number, data in enumerate(sets)]
    return [part for part in parts if part.utterances]


def _some(sets: Sequence[EvaluationData], rng: np.random.Generator, most_s: float) -> list[str]:
    """Utterances drawn until their audio is as long as asked for, one at least."""
    every = [(u.id, u.duration_s) for data in sets for u in data.utterances]
    chosen: list[str] = []
    total_s = 0.0
    for place in rng.permutation(len(every)).tolist():
        id, duration_s = every[place]
        if chosen and total_s + duration_s > most_s:
            break
        chosen.append(id)
        total_s += duration_s
    return chosen
