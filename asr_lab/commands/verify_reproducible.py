"""Whether a recipe's steps give the same bits when threads, batch cuts, workers and instruction sets change."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

from asr_lab.config.load import Document
from asr_lab.devices import num_processors
from asr_lab.errors import LabError
from asr_lab.files import json_record
from asr_lab.recipe import Recipe

HASHES = ("weights", "optimizer", "losses")
PROMISED: Mapping[str, frozenset[str]] = {
    "off": frozenset(),
    "seeded": frozenset({"repeat", "workers"}),
    "bitwise": frozenset({"repeat", "workers"}),
    "cross_hardware": frozenset({"repeat", "workers", "threads", "batch", "instructions"}),
}
"""What may change without changing a bit, by level."""
KINDS = ("repeat", "threads", "workers", "batch", "instructions")
INSTRUCTION_SETS = {
    # Each library has a variable of its own; what one does not know it passes over.
    "default": {
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_ENABLE_INSTRUCTIONS": "SSE4_2",
        "NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-AVX512F",
    },
    "avx2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "NPY_DISABLE_CPU_FEATURES": "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL",
    },
    "avx512": {
        "ATEN_CPU_CAPABILITY": "avx512",
        "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
        "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    },
}
"""From the least to the most, as environments; a processor has all up to its own."""
MAX_WAIT_S = 3600.0


def products_here() -> str:
    """`repdl` where it is installed, else its `twin`: the same bits, slower."""
    return "twin" if importlib.util.find_spec("repdl") is None else "repdl"


@attrs.frozen
class Variation:
    """One training beside the first."""

    kind: str
    """Of `KINDS`."""
    what: str
    """What differs, for a person."""
    environment: dict[str, str] = attrs.Factory(dict)
    overrides: tuple[str, ...] = ()


@attrs.frozen
class Outcome:
    """What a variation gave."""

    kind: str
    what: str
    promised: bool
    """By the recipe's level."""
    held: bool | None
    """Whether the bits are the first training's; None where it was not tried."""
    note: str
    """Where the bits part, or why it was not tried."""
    hashes: dict[str, str]


@attrs.frozen
class Reproduced:
    """A recipe's level, its first training and what the variations gave."""

    level: str
    products: str
    """Who multiplied at `cross_hardware`: RepDL or its twin."""
    steps: int
    first: dict[str, Any]
    outcomes: tuple[Outcome, ...]

    @property
    def holds(self) -> bool:
        """Whether everything that the level promises held."""
        return not any(o.promised and o.held is False for o in self.outcomes)

    def as_json(self) -> dict[str, Any]:
        """The whole of it, for machines."""
        return {**attrs.asdict(self), "holds": self.holds}


def verify(
    document: Document[Recipe], steps: int, kinds: Sequence[str] = KINDS, products: str = "repdl"
) -> Iterator[Outcome | Reproduced]:
    """Train `steps` steps for each variation, each in a process of its own; outcomes as they come, then all of it.

    LabError where a kind is none of `KINDS`, or the recipe's steps cannot be trained.
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise LabError(f"--vary: nothing called {unknown[0]!r} (have: {', '.join(KINDS)})")
    level = document.value.determinism.level
    with tempfile.TemporaryDirectory(prefix="asrlab-verify-") as folder:
        trainer = _Trainer(document, steps, products, Path(folder))
        first = trainer.train(Variation("first", "first"))
        if "error" in first:
            raise LabError(first["error"])
        outcomes = []
        for variation in variations(document, first, kinds):
            outcome = _compared(variation, first, trainer, PROMISED[level])
            outcomes.append(outcome)
            yield outcome
    used = first["record"].get("products", "") if level == "cross_hardware" else ""
    yield Reproduced(level, used, len(first["by_step"]), first, tuple(outcomes))


def variations(
    document: Document[Recipe], first: Mapping[str, Any], kinds: Sequence[str]
) -> Iterator[Variation | Outcome]:
    """What is tried, from what the first training found; an Outcome where something cannot be tried here."""
    threads, workers = first["record"]["threads"], document.value.data.num_workers
    if "repeat" in kinds:
        yield Variation("repeat", "nothing")
    if "threads" in kinds:
        for number in (1, 2, 3):
            if number != threads and number <= max(2, num_processors()):
                what = f"{number} thread{'s' * (number > 1)} for {threads}"
                yield Variation("threads", what, _threads(number))
    if "workers" in kinds:
        number = 0 if workers != 0 else 2
        # Where nothing states the threads, there are more beside fewer workers.
        workers_set = (f"data.num_workers={number}",)
        yield Variation("workers", f"{number} data workers", _threads(threads), workers_set)
    if "batch" in kinds:
        yield _other_cut(document, first)
    if "instructions" in kinds:
        yield from _instruction_sets(first["record"])


def _threads(number: int) -> dict[str, str]:
    """The environment of so many threads; idle ones sleep, since a machine may have fewer processors free."""
    return {"OMP_NUM_THREADS": str(number), "MKL_NUM_THREADS": str(number), "OMP_WAIT_POLICY": "PASSIVE"}


def _other_cut(document: Document[Recipe], first: Mapping[str, Any]) -> Variation | Outcome:
    batch_s, longest_s = document.value.train.batch_s, first["longest_s"]
    part_s = max(batch_s / 2, longest_s + 0.1)
    present = document.value.parallel.max_rank_batch_s
    if present is not None and present < batch_s:
        return Variation("batch", "one microbatch a step", overrides=(f"parallel.max_rank_batch_s={batch_s:g}",))
    if part_s >= batch_s:
        note = f"not tried: an utterance of {longest_s:.1f} s leaves no smaller microbatch than train.batch_s"
        return Outcome("batch", "microbatches", False, None, note, {})
    return Variation("batch", f"microbatches of {part_s:.4g} s", overrides=(f"parallel.max_rank_batch_s={part_s:.4f}",))


def _instruction_sets(record: Mapping[str, Any]) -> Iterator[Variation | Outcome]:
    names, own = list(INSTRUCTION_SETS), str(record["cpu"]).lower()
    last = names.index(own) if own in names else 0
    for place, name in enumerate(names):
        if place <= last:
            yield Variation("instructions", f"instruction set {name}", INSTRUCTION_SETS[name])
        else:
            yield Outcome(
                "instructions", f"instruction set {name}", False, None, "not tried: not on this processor", {}
            )


def _compared(
    variation: Variation | Outcome, first: Mapping[str, Any], trainer: _Trainer, promised: frozenset[str]
) -> Outcome:
    if isinstance(variation, Outcome):
        return variation
    found = trainer.train(variation)
    is_promised = variation.kind in promised
    if "error" in found:
        return Outcome(variation.kind, variation.what, is_promised, False, found["error"], {})
    hashes = {name: found[name] for name in HASHES}
    held = all(found[name] == first[name] for name in HASHES)
    note = "" if held else _parting(first, found)
    if variation.kind == "batch" and found["microbatches"] == first["microbatches"]:
        held, note = None, "not tried: no step is cut otherwise; more --steps may have one"  # type: ignore[assignment]
    return Outcome(variation.kind, variation.what, is_promised, held, note, hashes)


def _parting(first: Mapping[str, Any], found: Mapping[str, Any]) -> str:
    for step, (a, b) in enumerate(zip(first["by_step"], found["by_step"], strict=True), 1):
        for what, x, y in zip(("loss", "gradient norm"), a, b, strict=True):
            if x != y:
                return f"{what} of step {step}: {x!r} and {y!r}"
    return f"{', '.join(name for name in HASHES if first[name] != found[name])} after the last step"


class _Trainer:
    """Runs trainings of one recipe, one after another, each in a process and folder of its own."""

    def __init__(self, document: Document[Recipe], steps: int, products: str, folder: Path) -> None:
        self.document = document
        self.steps = steps
        self.products = products
        self.folder = folder
        self._count = 0

    def train(self, variation: Variation) -> dict[str, Any]:
        """What the process printed; `error` where it could not train."""
        self._count += 1
        folder = self.folder / str(self._count)
        folder.mkdir()
        given = [o for o in self.document.overrides if not any(_key(o) == _key(v) for v in variation.overrides)]
        asked = {
            "recipe": str(Path(self.document.file).resolve()),
            "overrides": [*given, *variation.overrides],
            "steps": self.steps,
            "products": self.products,
            "folder": str(folder),
        }
        done = subprocess.run(
            [sys.executable, "-m", "asr_lab.commands.reproducible_steps"],
            input=json.dumps(asked),
            env={**os.environ, **variation.environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=MAX_WAIT_S,
        )
        found = json_record(done.stdout.encode().rstrip().rpartition(b"\n")[2])
        if done.returncode or found is None:
            tail = "\n  ".join(done.stderr.splitlines()[-5:])
            return {"error": f"training with {variation.what} ended with {done.returncode}:\n  {tail}"}
        return found


def _key(override: str) -> str:
    return override.partition("=")[0].strip()
