"""A run's weights offline and streamed: `asrlab compare-streaming` prepares, proves, plays and writes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.commands.evaluate import about_of, evaluation_document, file_stem
from asr_lab.errors import DataError
from asr_lab.files import write_text
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    import numpy as np

    from asr_lab.compiler.build import Loaded
    from asr_lab.data.evaluation_data import EvaluationData
    from asr_lab.evaluation.scoring import SetScore
    from asr_lab.evaluation.streaming.contexts import Candidate, Refused, StreamingChain
    from asr_lab.evaluation.streaming.playback import ComputeCost
    from asr_lab.evaluation.streaming.proof import Check, Proof, Utterances
    from asr_lab.evaluation.streaming.table import ContextRow, Playback
    from asr_lab.recipe import Recipe

FORMAT = 2
"""Raised when the JSON's shape changes."""
FOLDER = "streaming"
"""Below a run's `eval/`."""
PROOF_S = 60.0
"""Audio that is proved on, at least an utterance."""


@attrs.frozen(eq=False, kw_only=True)
class ComparedModel:
    """A run's weights, what they are compared on, and in which contexts."""

    run: RunDirectory
    recipe: Recipe
    """The run's, with the test sets and the decoding of this comparison."""
    loaded: Loaded
    chain: StreamingChain
    sets: Sequence[EvaluationData]
    proof_ids: Sequence[str]
    """Utterances that are proved on."""
    timed_ids: Sequence[str]
    """Utterances whose computing is timed."""
    candidates: Sequence[Candidate]
    refused: Sequence[Refused]
    device: str
    about: Mapping[str, Any]
    """What was asked for."""
    folder: Path
    """Where everything is written."""

    @property
    def num_checks(self) -> int:
        """Checks that `prove` makes at most."""
        batches = sum(data.subset(self.proof_ids).num_batches for data in self.sets)
        return batches * sum(2 if c.delay is None else 4 for c in self.candidates)

    @property
    def num_utterances(self) -> int:
        """Recordings that `play` streams."""
        return sum(len(data.utterances) for data in self.sets)


@attrs.frozen(eq=False)
class Played:
    """What all rows of the table decoded, and what that cost."""

    playback: Playback
    costs: Mapping[str, ComputeCost]
    """By a row's label."""


@attrs.frozen
class Compared:
    """The table, and where it was written."""

    rows: tuple[ContextRow, ...]
    score: SetScore
    """Of the first row."""
    content: dict[str, Any]
    """Everything, as JSON."""
    folder: Path
    reads: int
    """How often this set has now been scored with this run."""


def prepare(
    run: RunDirectory,
    checkpoint: str,
    data: Sequence[str],
    overrides: Sequence[str],
    *,
    chunks_ms: Sequence[float | None] = (),
    max_utterances: int | None = None,
    device: str = "cpu",
) -> ComparedModel:
    """Load what is compared; nothing is written.

    `data` is what the command line gave (`evaluate.dataset_of`), none = the recipe's `data.test`; `chunks_ms` are
    chunks to compare at, None among them = whole, none = those that were trained and the usual ones. `max_utterances`
    are drawn by the recipe's seed. Raises LabErrors.
    """
    import numpy as np

    from asr_lab.compiler.build import evaluation_sets, load_model
    from asr_lab.compiler.inputs import data_root
    from asr_lab.evaluation.streaming.contexts import choose
    from asr_lab.evaluation.streaming.table import TIMED_S

    recipe = evaluation_document(run, data, overrides).value
    if not recipe.data.test:
        raise DataError(
            f"{run.name} has no data.test; name a set: asrlab compare-streaming {run.name} --data FILE|FOLDER|SLOT"
        )
    rng = np.random.Generator(np.random.Philox(recipe.seed))
    sets = _drawn(evaluation_sets(recipe, recipe.data.test, data_root()), rng, max_utterances)
    loaded = load_model(recipe, run.path, checkpoint)
    chain = _chain(recipe, loaded)
    candidates, refused = choose(loaded.model, chain, chunks_ms)
    about = {
        **about_of(run, checkpoint, loaded, data, recipe, device),
        "max_utterances": max_utterances,
        "seed": recipe.seed,
    }
    plain = not data and not overrides and checkpoint == "best" and max_utterances is None
    stem = "test" if plain else file_stem([one.name for one in sets], about, [*overrides, "streaming"])
    return ComparedModel(
        run=run,
        recipe=recipe,
        loaded=loaded,
        chain=chain,
        sets=sets,
        proof_ids=_some(sets, rng, PROOF_S),
        timed_ids=_some(sets, rng, TIMED_S),
        candidates=candidates,
        refused=refused,
        device=device,
        about=about,
        folder=run.eval / FOLDER / stem,
    )


def prove(model: ComparedModel) -> Generator[Check, None, Proof]:
    """Put the stored weights to the proof, check by check; returns the proof, which is written too."""
    from asr_lab.evaluation.streaming.as_json import as_text, proof_json
    from asr_lab.evaluation.streaming.proof import Proof, Subject, together
    from asr_lab.evaluation.streaming.proof import prove as checks_of

    subject = Subject.of(model.loaded.model, model.loaded.features, model.chain.names[1:])
    contexts = [(c.label, model.chain.in_samples(c.context)) for c in model.candidates]
    found: dict[tuple[str, str, str], list[Check]] = {}
    ids: list[str] = []
    audio_s = 0.0
    for batch in _proof_batches(model):
        ids += batch.ids
        audio_s += float(batch.audio.lengths.sum()) / model.loaded.sample_rate
        for check in checks_of(subject, contexts, batch, model.recipe.seed):
            found.setdefault((check.context, check.dtype, check.cutting), []).append(check)
            yield check
    proof = Proof(tuple(map(together, found.values())), tuple(ids), round(audio_s, 3), model.recipe.seed)
    model.folder.mkdir(parents=True, exist_ok=True)
    write_text(model.folder / "proof.json", as_text(proof_json(proof)))
    return proof


def play(model: ComparedModel) -> Generator[float, None, Played]:
    """Play the sets to all rows of the table, and time each on some recordings; yields the share done, up to 1."""
    playback = _playback(model)
    work = model.num_utterances * len(playback.contenders)
    done = 0
    for data in model.sets:
        for count in playback.recognise(data, model.timed_ids):
            done += count
            yield done / (work + 1)
    costs = dict(playback.time())
    yield 1.0
    return Played(playback, costs)


def write(model: ComparedModel, proof: Proof, played: Played) -> Compared:
    """Score what was decoded and write everything into the run: JSON, hypotheses, curve; the reading is counted."""
    from asr_lab.commands.test_reads import add_read
    from asr_lab.compiler.inputs import data_root
    from asr_lab.evaluation.streaming.as_json import as_text
    from asr_lab.evaluation.streaming.curve import draw_streaming
    from asr_lab.evaluation.streaming.table import Scoring, score_rows

    how, folder = model.recipe.score, model.folder
    normalizer = how.build_normalizer(data_root())
    scoring = Scoring(normalizer, how.bootstrap, model.recipe.seed, how.unreadable, how.scorer)
    rows, score = score_rows(played.playback, model.sets, played.costs, folder, scoring, model.about)
    draw_streaming(rows, folder, f"{model.run.name}: {score.name}, {score.utterances:,} utterances")
    reads = add_read(model.run, score.hash, {**model.about, "file": f"{FOLDER}/{folder.name}/streaming.json"})
    content = content_of(model, proof, played.playback, rows, score, reads)
    write_text(folder / "streaming.json", as_text(content))
    return Compared(tuple(rows), score, content, folder, reads)


def content_of(
    model: ComparedModel,
    proof: Proof,
    playback: Playback | None = None,
    rows: Sequence[ContextRow] = (),
    score: SetScore | None = None,
    reads: int | None = None,
) -> dict[str, Any]:
    """The documented shape: `about`, `proof`, `rows`, `refused`, and what they are of; units end the names.

    Of a proof that fails there is no more than the proof.
    """
    import torch

    from asr_lab.evaluation.streaming.as_json import plain, proof_json, row_json, set_json, unaligned_json

    return {
        "format": FORMAT,
        "about": {**model.about, "read": reads},
        "proof": proof_json(proof),
        "rows": [row_json(row) for row in rows],
        "refused": plain(model.refused),
        "set": None if score is None else set_json(score),
        "timed": {
            "audio_s": max((row.speed.audio_s for row in rows), default=0.0),
            "threads": torch.get_num_threads(),
            "device": model.device,
        },
        "unaligned": [] if playback is None else unaligned_json(playback),
        "files": {"folder": str(model.folder), "curve": ["curve.svg", "curve.png"] if rows else []},
    }


def _proof_batches(model: ComparedModel) -> Iterator[Utterances]:
    """The utterances that are proved on, batch by batch."""
    from asr_lab.evaluation.streaming.proof import Utterances
    from asr_lab.streaming import Frames

    for data in model.sets:
        for batch in data.subset(model.proof_ids).batches():
            yield Utterances(batch.ids, Frames.whole(batch.audio, batch.audio_lengths))


def _playback(model: ComparedModel) -> Playback:
    """The rows of the table, nothing played yet; the model is moved to its device."""
    from asr_lab.evaluation.streaming.contenders import contenders_of
    from asr_lab.evaluation.streaming.table import Playback
    from asr_lab.recognition.alignment import Aligner, ctc_reading
    from asr_lab.text.normalizer import Normalizer

    loaded, device = model.loaded, model.device
    weights, features = loaded.model.to(device), loaded.features.to(device)
    aligner = None
    if ctc_reading(weights, model.chain.frame_ms) is not None:
        normalizer, rate = Normalizer(model.recipe.text.steps), loaded.sample_rate
        aligner = Aligner(weights, features, loaded.vocabulary, normalizer, sample_rate=rate, device=device)
    contenders = contenders_of(loaded, model.chain, model.candidates, model.recipe.decode.build())
    return Playback(contenders, aligner, device)


def _chain(recipe: Recipe, loaded: Loaded) -> StreamingChain:
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


def _some(sets: Sequence[EvaluationData], rng: np.random.Generator, max_s: float) -> list[str]:
    """Utterances drawn until their audio is as long as asked for, one at least."""
    every = [(u.id, u.duration_s) for data in sets for u in data.utterances]
    chosen: list[str] = []
    total_s = 0.0
    for place in rng.permutation(len(every)).tolist():
        id, duration_s = every[place]
        if chosen and total_s + duration_s > max_s:
            break
        chosen.append(id)
        total_s += duration_s
    return chosen
