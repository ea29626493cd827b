"""A step's batch by several processes of one thread each, beside one process, and by the cost model."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import attrs
import torch
from cases import AUDIO_S, BATCH, RECIPES, TOKENS
from steps import learner_of, vocab_size

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.data.batch import Batch
from asr_lab.data.sharing import deal
from asr_lab.data.training_data import Step
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoder import Targets
from asr_lab.training.parallel.cost import Cluster, Link, NodeKind, Sharing, Work, step_cost
from asr_lab.training.parallel.ddp import DataParallel
from asr_lab.training.parallel.fsdp import ShardedParallel
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.strategy import Strategy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "unit" / "training" / "parallel"))

from ranks import run_ranks

RECIPE = RECIPES / "bench" / "hf_twin.toml"
RATE = 16000
PROCESSES = (2, 4)
PARTS = 4
"""Microbatches of a step, which the processes share."""
SMALL, LARGE = 1, 4_000_000
"""Float32 numbers of the two sums that a link's latency and bandwidth are taken from."""
LINK_REPETITIONS = 9


@attrs.frozen
class ParallelFigures:
    """One step's batch by some processes of one thread each; medians, in seconds."""

    processes: int
    one_s: float
    """The whole batch by one process of one thread."""
    compute_s: float
    """Each with its share of the batch, all at once, nothing sent."""
    ddp_s: float
    fsdp_s: float
    latency_s: float
    """Of a message between two processes, by a sum of one number."""
    bytes_per_s: float
    """Of the ring, by a sum of 16 MB."""
    ddp_model_s: float
    """What the cost model makes of `compute_s` and the link."""
    fsdp_model_s: float


@attrs.frozen
class Shared:
    """The same step again and again: BATCH utterances of AUDIO_S seconds of noise, of which a rank takes its share."""

    rank: int
    ranks: int
    vocab_size: int

    def num_steps(self, epoch: int) -> int:
        """More than a benchmark takes."""
        return 1_000_000

    def steps(self, epoch: int, start_step: int = 0) -> Iterator[Step]:
        """The rank's microbatches."""
        places = tuple(deal([1.0] * PARTS, self.ranks)[self.rank])
        batches = tuple(self._batch(place) for place in places)
        samples, tokens, rows = (
            len(places) * n for n in (self._rows * AUDIO_S * RATE, self._rows * TOKENS, self._rows)
        )
        while True:
            yield Step(batches, places, len(places), samples, RATE, tokens, rows, ())

    @property
    def _rows(self) -> int:
        return BATCH // PARTS

    def _batch(self, place: int) -> Batch:
        generator = torch.Generator().manual_seed(place)
        audio = 0.1 * torch.randn(self._rows, AUDIO_S * RATE, generator=generator)
        tokens = torch.randint(2, self.vocab_size, (self._rows, TOKENS), generator=generator)
        ids = tuple(f"noise-{place}-{row}" for row in range(self._rows))
        targets = Targets(tokens, torch.full((self._rows,), TOKENS))
        return Batch(audio, torch.full((self._rows,), audio.shape[1]), targets, ids, tuple(range(self._rows)), ids)


def bench_parallel(steps: int, processes: Sequence[int] = PROCESSES) -> list[ParallelFigures]:
    """One process, then several; more than there are processors share them, in `compute_s` too."""
    (one,) = run_ranks(1, _alone, steps)
    return [_by(number, steps, one) for number in processes]


def _by(processes: int, steps: int, one_s: float) -> ParallelFigures:
    found = run_ranks(processes, _measured, steps)
    if problem := next((one for one in found if isinstance(one, str)), None):
        raise RuntimeError(problem)
    slowest = {key: max(one[key] for one in found) for key in found[0]}
    small_s, large_s = slowest["small_s"], slowest["large_s"]
    hops = 2 * (processes - 1)
    latency_s = small_s / hops
    bytes_per_s = hops / processes * 4 * LARGE / max(large_s - small_s, 1e-9)
    return ParallelFigures(
        processes,
        one_s,
        slowest["single_s"],
        slowest["ddp_s"],
        slowest["fsdp_s"],
        latency_s,
        bytes_per_s,
        *(_model_s(processes, kind, slowest["single_s"], Link(latency_s, bytes_per_s)) for kind in ("ddp", "fsdp")),
    )


def _model_s(processes: int, sharing: Sharing, compute_s: float, link: Link) -> float:
    model = _model()
    work = Work(
        num_params=sum(p.numel() for p in model.parameters()),
        num_layers=len(list(model.encoder)) + len(model.heads),
        compute_s=compute_s,
        microbatches=PARTS // processes,
        weight_bytes=4,
    )
    return step_cost(Cluster(NodeKind("this machine", processes, link, link)), sharing, work).step_s


def _alone(group: Group, steps: int) -> float:
    return _step_s(Strategy(group), group, steps)


def _measured(group: Group, steps: int) -> dict[str, float]:
    """By one rank: its steps by each strategy, and two sums over all."""
    kinds: dict[str, Callable[[], Strategy]] = {
        "single_s": lambda: Strategy(Group()),
        "ddp_s": lambda: DataParallel(group),
        "fsdp_s": lambda: ShardedParallel(group),
    }
    found: dict[str, float] = {}
    for name, strategy in kinds.items():
        group.sum(torch.zeros(1), name)  # all begin together
        found[name] = _step_s(strategy(), group, steps)
    for name, size in (("small_s", SMALL), ("large_s", LARGE)):
        found[name] = _sum_s(group, size)
    return found


def _step_s(strategy: Strategy, group: Group, steps: int) -> float:
    recipe = load_recipe(RECIPE).value
    data = Shared(group.world.rank, group.world.size, vocab_size(recipe))
    reports = learner_of(recipe, data, strategy).steps()
    for _ in range(2):
        next(reports)
    return statistics.median(next(reports).step_s for _ in range(steps))


def _sum_s(group: Group, size: int) -> float:
    numbers = torch.ones(size)
    seconds = []
    for _ in range(LINK_REPETITIONS):
        began = time.perf_counter()
        group.sum(numbers, "a benchmark's sum")
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def _model() -> SpeechModel:
    recipe = load_recipe(RECIPE).value
    return seeded_model(recipe, vocab_size(recipe))
