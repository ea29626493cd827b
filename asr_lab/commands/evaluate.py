"""A finished run's weights on any data: `asrlab eval`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attrs

from asr_lab.audio.folders import SIDECAR
from asr_lab.config.paths import parse
from asr_lab.config.structure import unstructure
from asr_lab.errors import DataError, LabError, RecipeError, is_of_environment, of_environment
from asr_lab.recipe import EVALUATION, EXECUTION
from asr_lab.runs.directory import RunDirectory

if TYPE_CHECKING:
    from asr_lab.compiler.build import Loaded
    from asr_lab.config.load import Document
    from asr_lab.evaluation.evaluation_files import Evaluation
    from asr_lab.recipe import Recipe
    from asr_lab.training.parallel.group import Group

TABLES = (".tsv", ".csv")
CUTS = (".jsonl", ".jsonl.gz")


@attrs.frozen
class Evaluated:
    """An evaluation, where it was written, and how often its set has been read now."""

    evaluation: Evaluation
    path: Path | None
    """The JSON; its hypotheses stand beside it as jsonl. None where the run's folder takes no files."""
    reads: int
    """0 where it is not known."""
    problem: str = ""
    """Why it could not be written."""
    speeds: Mapping[str, float] = attrs.field(factory=dict)
    """Seconds of computing for each second of audio, by set, where it was measured."""


def evaluate_run(
    run: RunDirectory,
    checkpoint: str,
    data: Sequence[str],
    overrides: Sequence[str],
    device: str,
    show: bool,
    group: Group | None = None,
) -> Evaluated | None:
    """Transcribe and score sets with a run's weights; written to its `eval/`, the page drawn anew.

    `data` is what the command line gave (`dataset_of`); none = the recipe's `data.test`. `overrides` may touch what
    evaluates and executes, not what trained. Of a `group` of processes each transcribes its share; the first one
    scores, writes and gets the evaluation, the others None. Raises LabErrors.
    """
    from asr_lab.commands.test_reads import add_read
    from asr_lab.compiler.build import decode_precision, evaluation_sets, load_model
    from asr_lab.compiler.inputs import data_root
    from asr_lab.evaluation.evaluation_files import evaluate, write_evaluation
    from asr_lab.evaluation.page import write_report
    from asr_lab.recognition.transcribe_set import transcribe_set
    from asr_lab.training.parallel.group import Group

    group = group or Group()
    recipe = evaluation_document(run, data, overrides).value
    if not recipe.data.test:
        raise DataError(f"{run.name} has no data.test; name a set: asrlab eval {run.name} --data FILE|FOLDER|SLOT")
    normalizer = recipe.score.build_normalizer(data_root())
    sets = group.in_turn(lambda: evaluation_sets(recipe, recipe.data.test, data_root()), "reading the data")
    loaded = load_model(recipe, run.path, checkpoint)
    model, features = loaded.model.to(device), loaded.features.to(device)
    precision = decode_precision(recipe, model, device)
    decoded, unreadable = {}, []
    for one in sets:
        decoded[one.name] = transcribe_set(
            model,
            features,
            loaded.vocabulary,
            one,
            recipe.decode.build(),
            device,
            show,
            group=group,
            precision=precision,
        )
        unreadable += [(one.name, bad) for bad in one.unreadable]
    if not group.world.is_first:
        return None
    about = about_of(run, checkpoint, loaded, data, recipe, device)
    how = recipe.score
    evaluation = evaluate(
        decoded, normalizer, how.bootstrap, recipe.seed, unreadable, about, how.unreadable, how.scorer
    )
    plain = not data and not overrides and checkpoint == "best"
    stem = "test" if plain else file_stem([one.name for one in sets], about, list(overrides))
    try:
        reads = add_read(run, evaluation.score.hash, {**about, "file": f"{stem}.json"})
        evaluation = attrs.evolve(evaluation, about={**about, "score": unstructure(how), "read": reads})
        path = write_evaluation(evaluation, run.eval, stem)
        write_report(run.path)
    except OSError as error:
        if not is_of_environment(error):
            raise
        return Evaluated(evaluation, None, 0, str(of_environment(error)))
    return Evaluated(evaluation, path, reads)


def about_of(
    run: RunDirectory, checkpoint: str, loaded: Loaded, data: Sequence[str], recipe: Recipe, device: str
) -> dict[str, Any]:
    """What files say of how a run was decoded."""
    return {
        "run": run.name,
        "weights": checkpoint,
        **loaded.weights.record(),
        "data": list(data) or "data.test",
        "decode": unstructure(recipe.decode),
        "device": device,
    }


def evaluation_document(
    run: RunDirectory, data: Sequence[str], overrides: Sequence[str], options: Mapping[str, str] | None = None
) -> Document[Recipe]:
    """The run's recipe with other test sets and other decoding; problems name `--data` or this command's `--set`.

    `options` are what other options of the command set, by their name, each before its `--set`.
    """
    from asr_lab.compiler.load import load_recipe

    for number, text in enumerate(overrides, start=1):
        _check_harmless(text, number)
    stored = run.document_as_made().overrides  # refused where today's schema does not read the run
    added = [f"data.test=[{', '.join(inline_toml(dataset_of(text)) for text in data)}]"] if data else []
    given = options or {}
    try:
        return load_recipe(run.recipe_file, [*stored, *added, *given.values(), *overrides])
    except RecipeError as error:
        names = ["--data"] * len(added) + list(given) + [f"--set #{n}" for n in range(1, len(overrides) + 1)]
        renamed = {f"--set #{len(stored) + n}": name for n, name in enumerate(names, start=1)}
        problems = [attrs.evolve(p, file=renamed.get(p.file, p.file)) for p in error.problems]
        raise RecipeError(error.file, problems) from None


def dataset_of(text: str) -> dict[str, Any]:
    """The dataset that a `--data` argument means: a manifest, a folder, or an inline table of a recipe.

    A manifest is a table of transcripts (`.tsv`, `.csv`), lhotse cuts (`.jsonl`, `.jsonl.gz`) or NeMo's (`.json`); a
    folder holds such a table, or is a tree like LibriSpeech's. Their paths start at the working directory, those in an
    inline table under `ASRLAB_DATA`. Raises DataError.
    """
    import tomli

    if text.lstrip().startswith("{"):
        try:
            value = tomli.loads(f"value = {text.strip()}")["value"]
        except tomli.TOMLDecodeError as error:
            raise DataError(f"--data {text!r} is not an inline table: {error}") from None
        assert isinstance(value, dict)
        return value
    path = Path(text)
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise DataError(f"--data {text}: there is no such file or folder (an inline table is written {{type = …}})")
    if path.suffix == ".json":
        return {"type": "nemo", "path": str(path.resolve()), "name": path.stem}
    if path.name.endswith(CUTS):
        return {"type": "manifest", "path": str(path.resolve()), "name": path.name.split(".")[0]}
    if path.suffix in TABLES:
        where = path.resolve()
        return {"type": "folder", "path": str(where.parent), "transcripts": where.name, "name": _name(path)}
    raise DataError(f"--data {text}: a manifest ends in {', '.join((*TABLES, *CUTS, '.json'))}")


def _folder(path: Path) -> dict[str, Any]:
    folder: dict[str, Any] = {"type": "folder", "path": str(path.resolve()), "name": path.resolve().name}
    tables = sorted(p.name for p in path.iterdir() if p.suffix in TABLES and not p.name.startswith(SIDECAR))
    if "manifest.tsv" in tables or not tables:
        return folder
    if len(tables) > 1:
        raise DataError(
            f"--data {path}: several tables of transcripts ({', '.join(tables)}); name one: --data {path}/…"
        )
    return {**folder, "transcripts": tables[0]}


def _name(path: Path) -> str:
    """A label: a manifest's own name, or its folder's where it has none of its own."""
    return path.resolve().parent.name if path.stem in ("manifest", "transcripts", "metadata") else path.stem


def inline_toml(value: Any) -> str:
    """An inline value as TOML; JSON spells everything but tables alike."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {inline_toml(one)}" for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(inline_toml, value)) + "]"
    return json.dumps(value)


def _check_harmless(text: str, number: int) -> None:
    key = text.partition("=")[0].strip()
    try:
        path = parse(key)
    except ValueError:
        return  # reported with its place when it is read
    allowed = [parse(part) for part in (*EVALUATION, *EXECUTION)]
    if not any(path[: len(part)] == part for part in allowed):
        raise LabError(
            f"--set #{number}: {key} decides what was trained; evaluating can set only {', '.join(EVALUATION)}"
        )


def file_stem(names: Sequence[str], about: dict[str, Any], overrides: Sequence[str]) -> str:
    key = json.dumps([about, overrides], sort_keys=True)
    label = "+".join(names)[:60].replace("/", "_").replace(" ", "_")
    return f"{label}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"
