"""A few steps of a recipe's learner over seeded noise, in one process or in a rank of several."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from asr_lab.compiler.build import seeded_model
from asr_lab.compiler.load import load_recipe
from asr_lab.data.batch import Batch
from asr_lab.data.sharing import deal
from asr_lab.data.training_data import Step
from asr_lab.nn.decoder import Targets
from asr_lab.training.learner import Learner
from asr_lab.training.limits import Limits
from asr_lab.training.parallel.ddp import DataParallel
from asr_lab.training.parallel.fsdp import ShardedParallel
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.shards import local
from asr_lab.training.parallel.strategy import Strategy

RECIPE = """
name = "small"
[features]
type = "log_mel"
sample_rate = 8000
num_mels = 16
level = "none"
[tokenizer]
type = "bytes"
[encoder]
dim = 16
{encoder}
{decoders}
[optimizer]
type = "{optimizer}"
peak_lr = 3e-3
[schedule]
type = "constant"
warmup_steps = 1
[data]
train = [{{ type = "synthetic", split = "train" }}]
[train]
max_steps = 4
batch_s = 60
[parallel]
type = "single"
max_rank_batch_s = 30
"""
MACARON = "conv = { kernel_frames = 3, causal = true }"
CENTRED = "conv = { kernel_frames = 3, causal = false }"
FAMILIES = {
    "ssm": f"""
stem = {{ type = "depthwise_stride", factor = 4, channels = 8, causal = true }}
contexts = [{{ chunk_ms = 320, left_ms = 640 }}, {{ chunk = "whole" }}]
stack = [{{ blocks = ["ssm", "att"] }}]
block.ssm = {{ type = "macaron", mixer = {{ type = "mamba2", state_dim = 8, head_dim = 8 }}, {MACARON} }}
block.att = {{ type = "macaron", mixer = {{ type = "attention", num_heads = 2 }}, {MACARON} }}
""",
    "conformer": f"""
stem = {{ type = "depthwise_stride", factor = 4, channels = 8, causal = false }}
stack = [{{ repeat = 2, blocks = ["conf"] }}]
block.conf = {{ type = "macaron", mixer = {{ type = "attention", num_heads = 2 }}, {CENTRED} }}
""",
    "whisper": """
stem = { type = "whisper_conv" }
stack = [{ blocks = ["positions"] }, { repeat = 2, blocks = ["att"] }, { blocks = ["norm"] }]
block.positions = { type = "sinusoidal" }
block.att = { type = "transformer", mixer = { type = "attention", num_heads = 2, position = "none" } }
block.norm = { type = "norm" }
""",
}
FIRST_SCALE = 64.0
"""Of fp16's losses."""
CTC = '[[decoder]]\ntype = "ctc"\n'
ATTENTION = '[[decoder]]\ntype = "attention"\nnum_layers = 1\nnum_heads = 2\n'
TAPPED = '[[decoder]]\ntype = "ctc"\ntap = 1\nweight = 0.3\n'


def write_recipe(folder: Path, family: str, decoders: str = CTC, optimizer: str = "adamw") -> Path:
    """A recipe of a family at its smallest."""
    path = folder / f"{family}.toml"
    path.write_text(RECIPE.format(encoder=FAMILIES[family], decoders=decoders, optimizer=optimizer))
    return path


@attrs.frozen
class Noise:
    """Steps of `parts` microbatches, of which a rank takes its share; `silent` ones hold nothing, `broken` ones NaN."""

    parts: int
    rank: int = 0
    ranks: int = 1
    silent: tuple[tuple[int, int], ...] = ()
    broken: tuple[tuple[int, int], ...] = ()

    def num_steps(self, epoch: int) -> int:
        return 1000

    def steps(self, epoch: int, start_step: int = 0) -> Iterator[Step]:
        for number in range(start_step, 1000):
            places = deal([1.0 + (3 * place) % 4 for place in range(self.parts)], self.ranks)[self.rank]
            kept = [place for place in places if (number, place) not in self.silent]
            batches = tuple(batch(number, place, (number, place) in self.broken) for place in kept)
            samples = sum(int(b.audio_lengths.sum()) for b in batches)
            tokens = sum(int(b.targets.lengths.sum()) for b in batches)
            rows = sum(len(b.ids) for b in batches)
            yield Step(batches, tuple(kept), len(places), samples, 8000, tokens, rows, ())


def batch(step: int, place: int, is_broken: bool = False) -> Batch:
    """Two utterances of noise with a few bytes for text."""
    generator = torch.Generator().manual_seed(1000 * step + place)
    samples = 8000 + 1600 * ((3 * place) % 4)
    lengths = torch.tensor([samples, samples - 1600])
    audio = 0.1 * torch.randn(2, samples, generator=generator)
    audio[1, samples - 1600 :] = 0
    if is_broken:
        audio[0, 4000] = torch.nan
    tokens = torch.randint(40, 90, (2, 3), generator=generator)
    ids = (f"{step}-{place}-0", f"{step}-{place}-1")
    return Batch(audio, lengths, Targets(tokens, torch.tensor([3, 2])), ids, (1, 2), ids)


def strategy_of(kind: str, group: Group, **how: Any) -> Strategy:
    """A strategy by name."""
    made = {"single": Strategy, "ddp": DataParallel, "fsdp": ShardedParallel}
    return made[kind](group, **how)


def learner_of(
    group: Group, recipe: str, kind: str, data: Noise, how: dict[str, Any], overrides: Sequence[str] = ()
) -> Learner:
    """The recipe's learner."""
    document = load_recipe(Path(recipe), overrides).value
    torch.use_deterministic_algorithms(True)
    model = seeded_model(document, 260)
    strategy = strategy_of(kind, group, **how)
    precision = document.precision.build()
    precision.convert(model)
    strategy.wrap(model)
    learner = Learner(
        model,
        document.features.build(),
        data,
        document.optimizer.build(model),
        document.schedule.build(4),
        precision,
        seed=3,
        limits=Limits(max_steps=4),
        clip_norm=0.5,
        average_decay=0.9,
        strategy=strategy,
    )
    if learner.scaler is not None:  # its own first scale, 65536, would have every one of so few steps overflow
        learner.scaler.load_state_dict({**learner.scaler.state_dict(), "scale": FIRST_SCALE})
    return learner


def trained(
    group: Group,
    recipe: str,
    kind: str,
    parts: int,
    silent: tuple[tuple[int, int], ...] = (),
    how: dict[str, Any] | None = None,
    overrides: Sequence[str] = (),
    broken: tuple[tuple[int, int], ...] = (),
) -> dict[str, Any]:
    """Four steps: the losses and norms, and SHA-256 of the weights and averages, gathered whole."""
    data = Noise(parts, group.world.rank, group.world.size, silent, broken)
    learner = learner_of(group, recipe, kind, data, how or {}, overrides)
    reports = list(learner.steps())
    averaged = learner.averaged()
    whole = learner.strategy.to_decode(learner.model, None)
    return {
        "losses": [report.loss for report in reports],
        "norms": [report.grad_norm for report in reports],
        "audio_s": [report.audio_s for report in reports],
        "skipped": [report.cause for report in reports],
        "suspects": [sorted(report.suspects) for report in reports],
        "scales": [report.loss_scale for report in reports],
        "weights": _hash(dict(whole.named_parameters())),
        "average": _hash(dict(averaged.named_parameters())),
    }


def trained_by(group: Group, recipe: str, kinds: Sequence[str], *rest: Any) -> list[dict[str, Any]]:
    """The same by one strategy after another."""
    return [trained(group, recipe, kind, *rest) for kind in kinds]


def overflowed(group: Group, recipe: str, kinds: Sequence[str], overrides: Sequence[str]) -> list[dict[str, Any]]:
    """By one strategy after another: what becomes of steps of which the second has infinity in a weight's last row.

    Of a weight in shards one rank alone has that row.
    """
    return [_overflowed(group, recipe, kind, overrides) for kind in kinds]


def _overflowed(group: Group, recipe: str, kind: str, overrides: Sequence[str]) -> dict[str, Any]:
    data = Noise(2, group.world.rank, group.world.size)
    learner = learner_of(group, recipe, kind, data, {"bitwise": True}, overrides)
    weight, complete = learner.model.get_parameter("heads.0.output.weight"), learner.strategy.complete
    has_row = kind != "fsdp" or group.world.rank == group.world.size - 1

    def spoil(gradients: Sequence[torch.Tensor]) -> None:
        complete(gradients)
        assert weight.grad is not None
        if learner.progress.step == 1 and has_row:
            local(weight.grad)[-1] = torch.inf

    learner.strategy.complete = spoil  # type: ignore[method-assign]
    reports = list(learner.steps())
    scaler = learner.snapshot().numbers["scaler"]
    return {"causes": [r.cause for r in reports], "losses": [r.loss for r in reports], "scaler": scaler}


def saved(
    group: Group,
    recipe: str,
    kind: str,
    folder: str,
    steps: int,
    parts: int = 12,
    how: dict[str, Any] | None = None,
    overrides: Sequence[str] = (),
) -> str:
    """A learner that took some steps, saved; its fingerprint, which rank 0 has."""
    data = Noise(parts, group.world.rank, group.world.size)
    learner = learner_of(group, recipe, kind, data, how or {}, overrides)
    for _, _ in zip(range(steps), learner.steps(), strict=False):
        pass
    learner.save(Path(folder))
    return learner.fingerprint()


def loaded(group: Group, recipe: str, kind: str, folder: str) -> tuple[str, float]:
    """The fingerprint of a learner that went on from what was saved, and the loss of its next step."""
    learner = learner_of(group, recipe, kind, Noise(12, group.world.rank, group.world.size), {})
    learner.load(Path(folder))
    return learner.fingerprint(), next(learner.steps()).loss


def gone_on(
    group: Group, recipe: str, kind: str, folder: str, parts: int, how: dict[str, Any], overrides: Sequence[str]
) -> str:
    """The fingerprint of a learner that went on from what was saved to the last step."""
    learner = learner_of(group, recipe, kind, Noise(parts, group.world.rank, group.world.size), how, overrides)
    learner.load(Path(folder))
    for _ in learner.steps():
        pass
    return learner.fingerprint()


def exchanged(group: Group, recipe: str, kinds: Sequence[str], taken: str, left: str, *how: Any) -> list[str]:
    """What strategies end with that go on from `taken`; the last of them leaves two steps of its own in `left`."""
    found = [gone_on(group, recipe, kind, taken, *how) for kind in kinds]
    saved(group, recipe, kinds[-1], left, 2, *how)
    return found


def _hash(tensors: dict[str, torch.Tensor]) -> str:
    total = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        total.update(name.encode() + tensor.detach().contiguous().numpy().tobytes())
    return total.hexdigest()[:16]
