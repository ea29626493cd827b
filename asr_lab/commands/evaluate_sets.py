"""A run's weights on many sets, language by language: `asrlab eval --fleurs … --librispeech … --workers N`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.commands.decode_sets import DecodeRequest, decode_sets
from asr_lab.commands.evaluate import Evaluated, evaluation_document, file_stem
from asr_lab.commands.launched_sets import decode_launched
from asr_lab.commands.named_sets import facts_of, names_of_language
from asr_lab.compiler.inputs import data_root
from asr_lab.config.structure import unstructure
from asr_lab.devices import environment_beside
from asr_lab.errors import DataError, LabError
from asr_lab.evaluation.evaluation_files import evaluate, write_evaluation
from asr_lab.evaluation.languages import SetFacts, by_language
from asr_lab.evaluation.parts import DecodedPart, part_path, read_part
from asr_lab.recognition.decoded_utterance import IDENTIFIED
from asr_lab.runs.version import package_version

if TYPE_CHECKING:
    from asr_lab.evaluation.evaluation_files import Evaluation
    from asr_lab.recipe import Recipe
    from asr_lab.recognition.decoded_utterance import DecodedUtterance
    from asr_lab.runs.directory import RunDirectory
    from asr_lab.text.normalizer import TextNormalizer

POLL_S = 0.2
MAX_NOTES = 10
"""Notes of one process that are repeated."""
PARTS = ".parts"
"""What the folder of sets that are decoded already ends in."""


def evaluate_sets(
    request: DecodeRequest, words: Mapping[str, str], workers: int, show: bool, launch: bool = False
) -> Evaluated:
    """Decode and score sets, each kept when it is whole, so that the same command goes on after whatever ended it.

    `words` is what the command line named (`fleurs`, `librispeech`), for the record. `workers` processes decode; with
    `launch` in jobs, as the recipe's table says. Raises LabErrors, before anything is decoded where they can be known.
    """
    from asr_lab.compiler.build import find_weights
    from asr_lab.evaluation.language_files import SetTime, speed_of, write_languages
    from asr_lab.evaluation.page import write_report

    run = request.directory
    recipe = evaluation_document(run, request.data, request.overrides, request.options).value
    normalizer = recipe.score.build_normalizer(data_root())
    names = list(dict.fromkeys(d.label for d in recipe.data.test))
    if not names:
        raise DataError(f"{run.name} has no data.test; name a set: --fleurs CODE,… or --data FILE|FOLDER|SLOT")
    for dataset in recipe.data.test:
        if not dataset.is_made:
            dataset.read(data_root())
    weights = find_weights(run.path, request.checkpoint)
    about = _about(request, recipe, weights.record(), words)
    labels = [f"{word}-{text}" for word, text in words.items()] or names
    stem = file_stem(labels, about, [*_kept(request.options), *request.overrides])
    folder = run.eval / f"{stem}{PARTS}"
    request.write(folder)
    if launch:
        with _progress(names, folder, show) as look:
            decode_launched(folder, recipe, run.path, workers, look)
    elif workers > 1:
        _decode_beside(folder, names, workers, show)
    else:
        decode_sets(request, recipe, folder, show=show)
    parts = [_part(folder, name) for name in names]
    evaluation = _score(parts, recipe, {**about, "score": unstructure(recipe.score)}, normalizer)
    reads = _count(run, evaluation, about, stem)
    evaluation = attrs.evolve(evaluation, about={**evaluation.about, "read": reads})
    path = write_evaluation(evaluation, run.eval, stem)
    times = {part.name: SetTime(part.audio_s, part.compute_s) for part in parts}
    write_languages(path, evaluation, times)
    write_report(run.path)
    shutil.rmtree(folder, ignore_errors=True)
    return Evaluated(evaluation, path, reads, speeds=speed_of(times))


def _kept(options: Mapping[str, str]) -> list[str]:
    """What options set that decides what comes out, not where it is computed."""
    return [text for name, text in options.items() if name != "--launch"]


def _about(
    request: DecodeRequest, recipe: Recipe, checkpoint: Mapping[str, Any], words: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "run": request.directory.name,
        "version": package_version(),
        "weights": request.checkpoint,
        **checkpoint,
        "data": dict(words) or list(request.data) or "data.test",
        "decode": unstructure(recipe.decode),
        "device": request.device,
    }


def _count(run: RunDirectory, evaluation: Evaluation, about: Mapping[str, Any], stem: str) -> int:
    from asr_lab.commands.test_reads import add_read

    return add_read(run, evaluation.score.hash, {**about, "file": f"{stem}.json"})


def _score(
    parts: Sequence[DecodedPart], recipe: Recipe, about: Mapping[str, Any], normalizer: TextNormalizer
) -> Evaluation:
    how = recipe.score
    decoded = {part.name: part.decoded for part in parts}
    unreadable = [(part.name, one) for part in parts for one in part.bad]
    evaluation = evaluate(
        decoded, normalizer, how.bootstrap, recipe.seed, unreadable, about, how.unreadable, how.scorer
    )
    types = {d.label: d.tag() for d in recipe.data.test}
    facts = {part.name: _facts(part, types[part.name], decoded[part.name]) for part in parts}
    known = {one.name: facts[one.name] for one in evaluation.sets}
    return attrs.evolve(evaluation, languages=by_language(evaluation.sets, known))


def _facts(part: DecodedPart, type: str, decoded: Sequence[DecodedUtterance]) -> SetFacts:
    named = [str(one.columns[IDENTIFIED]) for one in decoded if one.columns.get(IDENTIFIED)]
    right = names_of_language(part.name)
    return attrs.evolve(
        facts_of(part.name, type),
        unspellable=part.unspellable,
        characters=part.characters,
        identified=sum(name.lower().replace("-", "_") in right for name in named) if named and right else None,
    )


def _part(folder: Path, name: str) -> DecodedPart:
    if (part := read_part(folder, name)) is None:
        raise LabError(
            f"{part_path(folder, name)} is gone or damaged; does another asrlab eval work there? Start it again"
        )
    return part


def _decode_beside(folder: Path, names: Sequence[str], workers: int, show: bool) -> None:
    """Decode in several processes, each with a share of the sets; LabError with what one of them ended on."""
    logs = [folder / f"worker-{i}.log" for i in range(workers)]
    processes = []
    for place, log in enumerate(logs):
        command = [sys.executable, "-m", "asr_lab.commands.decode_sets", str(folder)]
        command += [str(place), str(workers), str(os.getpid())]
        environment = environment_beside(place, workers, os.environ)
        with log.open("w") as errors:
            processes.append(subprocess.Popen(command, stdout=errors, stderr=errors, env=environment))
    try:
        with _progress(names, folder, show) as look:
            while any(process.poll() is None for process in processes):
                look()
                if any(process.poll() not in (None, 0) for process in processes):
                    break
                time.sleep(POLL_S)
            look()
    finally:
        for process in processes:
            if process.poll() is None:  # another one failed, or the user had enough
                process.terminate()
        codes = [process.wait() for process in processes]
    for code, log in zip(codes, logs, strict=True):
        text = log.read_text(errors="replace")
        notes = [line for line in dict.fromkeys(text.splitlines()) if line.startswith("note: ")]
        for line in [*notes[:MAX_NOTES], *([f"note: … {len(notes) - MAX_NOTES} more"] if notes[MAX_NOTES:] else [])]:
            print(line, file=sys.stderr)
        if code > 0:
            _, _, message = text.rpartition("error: ")
            raise DataError(message.strip() or f"a process that decodes ended with {code}: {log}")
        if code < 0 and max(codes) <= 0:
            raise LabError(f"a process that decodes was killed by signal {-code}, perhaps for memory; see {log}")


@contextmanager
def _progress(names: Sequence[str], folder: Path, show: bool) -> Iterator[Any]:
    from asr_lab.recognition.transcribe_set import progress_bar

    with progress_bar(show) as progress:
        task = progress.add_task("sets decoded", total=len(names))
        yield lambda: progress.update(task, completed=sum(part_path(folder, name).exists() for name in names))
