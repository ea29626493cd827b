"""A run's directory: what lies where in it, and how a new one comes to be."""

from __future__ import annotations

import itertools
import json
import os
import time
from pathlib import Path
from typing import Any

import attrs

from asr_lab.compiler.load import load_recipe
from asr_lab.config.identity import Identity, identify, merge, split
from asr_lab.config.load import Document
from asr_lab.config.stored import read_stored
from asr_lab.config.structure import completed
from asr_lab.config.words import toml
from asr_lab.data.left_out import FILE as LEFT_OUT
from asr_lab.errors import RecipeError, RunError
from asr_lab.files import write_text
from asr_lab.recipe import EVALUATION, EXECUTION, Recipe
from asr_lab.runs.fresh import fresh_folder
from asr_lab.runs.version import package_version, version_of
from asr_lab.slots.tokenizers.chars import AUTO

RUNS_VARIABLE = "ASRLAB_RUNS"


@attrs.frozen
class Resolved:
    """What stands in `resolved.json`."""

    hash: str
    created: float
    """Seconds since 1970."""
    name: str
    overrides: tuple[str, ...]
    experiment: dict[str, Any]
    execution: dict[str, Any]
    evaluation: dict[str, Any]


def runs_root() -> Path:
    """Where runs live: `ASRLAB_RUNS`, by default `runs/` under the working directory."""
    return Path(os.environ.get(RUNS_VARIABLE) or "runs")


def identity_of(recipe: Recipe) -> Identity:
    """The three parts of a recipe's identity and the hash that names its runs."""
    return identify(recipe, execution=EXECUTION, evaluation=EVALUATION, label="name")


@attrs.frozen
class RunDirectory:
    """`runs/<name>-<hash8>/`: one experiment, all its attempts."""

    path: Path

    @property
    def name(self) -> str:
        """The directory's own name; it is a RUN argument."""
        return self.path.name

    @property
    def recipe_file(self) -> Path:
        """The recipe as it was written."""
        return self.path / "recipe.toml"

    @property
    def resolved_file(self) -> Path:
        """The recipe resolved, in the three parts of its identity, with its overrides and its hash."""
        return self.path / "resolved.json"

    @property
    def provenance_file(self) -> Path:
        """What each attempt ran on."""
        return self.path / "provenance.json"

    @property
    def events_file(self) -> Path:
        """What happened, one JSON record a line."""
        return self.path / "events.jsonl"

    @property
    def metrics_file(self) -> Path:
        """Numbers of each logged step, one JSON record a line; cut back to the checkpoint when a run resumes."""
        return self.path / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The checkpoints, a folder each."""
        return self.path / "checkpoints"

    @property
    def submitit(self) -> Path:
        """Logs and papers of jobs that ran in a process of their own."""
        return self.path / "submitit"

    @property
    def eval(self) -> Path:
        """Scores and hypotheses."""
        return self.path / "eval"

    @property
    def code(self) -> Path:
        """Snapshots of the code that ran, each in a folder named by its hash."""
        return self.path / "code"

    @property
    def left_out_file(self) -> Path:
        """The utterances that are not trained on or chosen by, with their reasons."""
        return self.path / LEFT_OUT

    @property
    def precision_file(self) -> Path:
        """What each linear layer is trained in, a table for people; there where it is not the same for all."""
        return self.path / "precision.txt"

    @property
    def lock(self) -> Path:
        """Its owners, attempt by attempt."""
        return self.path / "lock"

    def resolved(self) -> Resolved:
        """The content of `resolved.json`; RunError when it is not there, not JSON, or lacks something."""
        return read_stored(self.resolved_file, Resolved)

    def parts(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
        """What is stored of experiment, execution and evaluation, keys added to the schema since filled in."""
        stored = self.resolved()
        whole = completed(merge(stored.experiment, stored.execution, stored.evaluation), Recipe)
        return split(whole, EXECUTION, EVALUATION)

    def document(self) -> Document[Recipe]:
        """The stored recipe with its stored overrides, read under today's schema.

        RunError, which names the version that made the run, where that schema refuses it.
        """
        try:
            return load_recipe(self.recipe_file, self.resolved().overrides)
        except RecipeError as error:
            made, now = version_of(self.provenance_file), package_version()
            raise RunError(
                f"{self.path} was made by {made}, and this one ({now}) does not read its recipe; use that version, "
                f"or train it anew\n{error}"
            ) from error

    def document_as_made(self) -> Document[Recipe]:
        """As `document`, with the alphabet of the run's time where its recipe leaves that to the default."""
        document = self.document()
        alphabet = (self.resolved().experiment.get("tokenizer") or {}).get("alphabet", AUTO)
        if document.value.tokenizer.tag() != "chars" or not document.value.tokenizer.learns or alphabet == AUTO:
            return document
        return load_recipe(self.recipe_file, [*document.overrides, f"tokenizer.alphabet={toml(alphabet)}"])

    def write_recipe(self, document: Document[Recipe]) -> None:
        """Store a recipe of the same experiment: its execution and evaluation tables may differ from before."""
        write_text(self.recipe_file, document.text)
        write_text(
            self.resolved_file, _resolved_text(document, self.resolved() if self.resolved_file.exists() else None)
        )


def create_run(document: Document[Recipe], root: Path, again: bool = False) -> RunDirectory:
    """Make the recipe's directory under `root`, whole or not at all; `again` takes the next free number.

    Raises RunError when the directory exists and `again` is not asked for.
    """
    stem = _stem(document)
    with fresh_folder(root, stem) as folder:
        RunDirectory(folder).write_recipe(document)
        for number in range(1, 10_000):
            path = root / (stem if number == 1 else f"{stem}.{number}")
            if not path.exists() and _moved(folder, path):
                return RunDirectory(path)
            if not again:
                raise RunError(f"{path} exists and is not a run of this recipe; move it away, or use --again")
    raise RunError(f"{root / stem} has 10,000 runs already")


def free_path(document: Document[Recipe], root: Path, again: bool = False) -> Path:
    """Where `create_run` would make the recipe's directory; nothing is made."""
    stem = _stem(document)
    names = (stem if number == 1 else f"{stem}.{number}" for number in itertools.count(1))
    return next(root / name for name in names if not again or not (root / name).exists())


def _stem(document: Document[Recipe]) -> str:
    return f"{document.value.name}-{identity_of(document.value).hash[:8]}"


def _moved(old: Path, new: Path) -> bool:
    """Rename a folder; False where another process was faster."""
    try:
        old.rename(new)
    except OSError:
        if not new.exists():
            raise
        return False
    return True


def _resolved_text(document: Document[Recipe], before: Resolved | None) -> str:
    identity = identity_of(document.value)
    content = {
        "hash": before.hash if before else identity.hash,
        "created": before.created if before else time.time(),
        "name": document.value.name,
        "overrides": list(document.overrides),
        "experiment": before.experiment if before else identity.experiment,
        "execution": identity.execution,
        "evaluation": identity.evaluation,
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"
