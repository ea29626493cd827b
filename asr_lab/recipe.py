"""The schema of a recipe on one screen."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import ClassVar, Literal

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import added, section
from asr_lab.evaluation.rates import MAIN
from asr_lab.evaluation.rates import names as rate_names
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.slots.augments import Augment
from asr_lab.slots.blocks import Block
from asr_lab.slots.datasets import Dataset
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.features import Features
from asr_lab.slots.launch import Launch
from asr_lab.slots.launch.inline import Inline
from asr_lab.slots.normalizers import Normalizer
from asr_lab.slots.optimizers import Optimizer
from asr_lab.slots.optimizers.muon import Muon
from asr_lab.slots.parallel import Parallel
from asr_lab.slots.parallel.single import Single
from asr_lab.slots.precision import Precision
from asr_lab.slots.precision.fp32 import FP32
from asr_lab.slots.schedules import Schedule
from asr_lab.slots.schedules.cosine import Cosine
from asr_lab.slots.stems import Stem
from asr_lab.slots.tokenizers import Tokenizer
from asr_lab.text.normalizer import Normalizer as Steps
from asr_lab.text.normalizer import Step, TextNormalizer
from asr_lab.training.weight_choice import name_problem

EXECUTION = (
    "parallel",
    "launch",
    "kernels",
    "log",
    "data.num_workers",
    "data.max_left_out",
    "data.max_bad_cuts",  # of runs from before max_left_out
    "train.keep_last",
    "train.keep_best",
    "train.save_every_steps",
)
"""Tables and keys that may change between attempts of one run."""
EVALUATION = ("data.test", "decode", "score")
"""Tables that never retrain."""
MAX_LAYERS = 1000
"""No stack is deeper."""
MAX_SETS = 500
"""No split has more datasets."""


@section
class Text:
    """What is done to transcripts before training; scoring has its own."""

    steps: tuple[Step, ...] = attrs.field(default=("nfc", "lower", "strip_punctuation"), validator=v.max_len(32))
    """Normalising steps, in order."""


@section
class ContextSpec:
    """How much a frame may see: whole utterance, or a chunk and a bounded left context."""

    chunk: Literal["whole"] | None = None
    """`"whole"` = offline: every frame sees the whole utterance."""
    chunk_ms: float | None = attrs.field(default=None, validator=v.optional(v.above(0, 600_000)))
    """Frames of one chunk of this length see each other, in milliseconds."""
    left_ms: float | None = attrs.field(default=None, validator=v.optional(v.between(0, 600_000)))
    """What is seen before the chunk, in milliseconds."""
    weight: float = attrs.field(default=1.0, validator=v.between(1e-6, 1e6))
    """How often this context is drawn in training, relative to the others."""


@section
class Stack:
    """Some layers, repeated."""

    repeat: int = attrs.field(default=1, validator=v.between(1, 1000))
    """How often the blocks follow one another."""
    blocks: tuple[str, ...] = attrs.field(validator=v.sized(1, MAX_LAYERS))
    """Names from `encoder.block`, in order."""


@section
class Encoder:
    """Features to frames that decoders read: a stem, then a stack of blocks."""

    dim: int = attrs.field(validator=v.between(8, 65_536))
    """Dimension of the stack, D."""
    stem: Stem
    """What lowers the frame rate."""
    contexts: tuple[ContextSpec, ...] = attrs.field(default=(ContextSpec(chunk="whole"),), validator=v.sized(1, 100))
    """Contexts the model is trained for; one is drawn per step."""
    stack: tuple[Stack, ...] = attrs.field(validator=v.sized(1, MAX_LAYERS))
    """The layers, bottom to top."""
    block: dict[str, Block] = attrs.field(validator=v.sized(1, 50))
    """The blocks that the stack names."""
    dropout: float = attrs.field(default=0.1, validator=v.all_of(v.ge(0), v.lt(1)))
    """Dropout rate inside blocks and attention decoders."""

    def __attrs_post_init__(self) -> None:
        layers = sum(part.repeat * len(part.blocks) for part in self.stack)
        if layers > MAX_LAYERS:
            raise v.KeyProblem("stack", f"must be of at most {MAX_LAYERS} layers, is of {layers:,}")

    @property
    def layer_names(self) -> tuple[str, ...]:
        """The block of each layer, bottom to top."""
        return tuple(name for part in self.stack for _ in range(part.repeat) for name in part.blocks)

    def ratios(self, tap: int | None = None) -> tuple[Fraction, ...]:
        """Frames out per frame in: of the stem, then of those of the first `tap` layers (None = all) that change it."""
        layers = (self.block[name].ratio for name in self.layer_names[:tap])
        return (Fraction(1, self.stem.stride), *(ratio for ratio in layers if ratio != 1))


@section
class Init:
    """Where weights come from at the first step."""

    from_: str
    """A run (path, name or hash prefix; those under ASRLAB_RUNS) or a checkpoint's path."""
    checkpoint: str = added(default="best", validator=v.checked_by(name_problem))
    """Which of a run's weights: `best`, `last`, `average`, or `average:N`, the mean of its N best checkpoints."""
    skip: tuple[str, ...] = attrs.field(default=(), validator=v.max_len(1000))
    """Patterns over parameter names that keep their fresh values."""
    freeze: tuple[str, ...] = attrs.field(default=(), validator=v.max_len(1000))
    """Patterns over parameter names that are not trained."""


@section
class Determinism:
    """How far a run repeats itself bit for bit."""

    level: Literal["off", "seeded", "bitwise", "cross_hardware"] = "seeded"
    """`off`: no promise. `seeded`: the same draws, and on a CPU the same bits with the same threads. `bitwise`:
    deterministic kernels and an ordered norm, so that neither data workers nor the launch show. `cross_hardware`:
    Microsoft's RepDL and ordered sums, the same bits on any machine; slow (docs/determinism.md)."""


@section
class Data:
    """What is learned from, chosen by, and scored on."""

    train: tuple[Dataset, ...] = attrs.field(validator=v.sized(1, MAX_SETS))
    """Sets to train on."""
    valid: tuple[Dataset, ...] = attrs.field(default=(), validator=v.max_len(MAX_SETS))
    """Sets that selection and early stopping look at."""
    test: tuple[Dataset, ...] = attrs.field(default=(), validator=v.max_len(MAX_SETS))
    """Sets read once, after training."""
    channel: Literal["mix", "first", "split"] = "mix"
    """Stereo recordings: the mean of the channels, the first one, or each channel an utterance of its own."""
    temperature: float = added(default=1.0, validator=v.between(1, 1000))
    """Of languages in training: one with the share p of the audio gets a share that goes as p^(1 / temperature).

    1 leaves them as they are, 1000 makes all about equal. The column `language` of the manifests tells them.
    """
    num_workers: int | None = attrs.field(default=None, validator=v.optional(v.between(0, 1024)))
    """Processes that read audio; 0 reads in the training process, none: one for every two processors, four at most.

    Training leaves each a processor, half of them at most, unless OMP_NUM_THREADS is set. Execution, not identity.
    """
    max_left_out: float = attrs.field(default=0.05, validator=v.between(0, 1))
    """A run ends when more than this share of its training or validation utterances cannot be used."""

    REPLACED: ClassVar[dict[str, str]] = {"max_bad_cuts": "write max_left_out = 0.05, a share of the utterances"}


@section
class Train:
    """The loop."""

    batch_s: float = attrs.field(validator=v.above(0, 1e7))
    """Padded seconds of audio per step, over all processes."""
    max_epochs: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1_000_000_000)))
    """Stop after this many passes over the training data."""
    max_steps: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1_000_000_000_000)))
    """Stop after this many optimizer steps."""
    max_audio_h: float | None = attrs.field(default=None, validator=v.optional(v.above(0, 1e9)))
    """Stop after this many hours of audio, padding not counted."""
    max_wall_min: float | None = attrs.field(default=None, validator=v.optional(v.above(0, 1e9)))
    """Stop after this many minutes of training, over all attempts; such a run is not repeatable."""
    valid_every_steps: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1_000_000_000_000)))
    """Validate after so many steps; default: once an epoch."""
    save_every_steps: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1_000_000_000_000)))
    """Save after so many steps; default: whenever validated."""
    keep_last: int = attrs.field(default=2, validator=v.between(1, 1_000_000))
    """Checkpoints kept besides the best."""
    keep_best: int = added(default=1, validator=v.between(1, 10_000))
    """Best checkpoints kept besides the last; `--checkpoint average:N` takes the mean of N of them."""
    patience: int | None = attrs.field(default=None, validator=v.optional(v.between(1, 1_000_000_000)))
    """Stop when this many validations in a row bring nothing better (metric, then CER, then loss)."""
    average_decay: float | None = attrs.field(default=None, validator=v.optional(v.ge(0), v.lt(1)))
    """Keep an exponential average of the weights with this decay; it is what is validated and scored."""
    max_nonfinite: int = attrs.field(default=10, validator=v.between(0, 1_000_000_000))
    """Steps skipped for a loss or gradient that is not finite before the run stops."""
    metric: str = attrs.field(default=MAIN, validator=v.in_(rate_names()))
    """What picks the best checkpoint."""


@section
class Decode:
    """How text is found in the frames that decoders see."""

    decoder: str = "auto"
    """The decoder used: `ctc`, `attention`, `joint` (attention, rescored with CTC), `rescoring` (CTC, rescored with
    attention); auto = the attention decoder if any."""
    beam: int = attrs.field(default=1, validator=v.between(1, 1000))
    """Hypotheses kept; 1 is greedy."""
    length_penalty: float = attrs.field(default=0.6, validator=v.between(0, 10))
    """Power on the length that attention scores are divided by."""
    ctc_weight: float = attrs.field(default=0.3, validator=v.all_of(v.ge(0), v.le(1)))
    """Share of CTC in `joint` and `rescoring`."""
    precision: Literal["fp32", "bf16", "same"] = added(default="fp32")
    """Number format of decoding recordings whatever was trained in; `same` is that of training. Streams are decoded in
    fp32, and so is validation."""
    language: str = added(default="")
    """The language of all recordings, one of the attention decoder's `languages`; "" = it identifies each one's."""

    def build(self) -> DecodeOptions:
        """The options without their bounds."""
        return DecodeOptions(self.decoder, self.beam, self.length_penalty, self.ctc_weight, self.language)


def _too_many_steps(value: object) -> str | None:
    return f"must hold at most 32 steps, got {len(value)}" if isinstance(value, tuple) and len(value) > 32 else None


@section
class Score:
    """How hypotheses are compared with references."""

    normalizer: tuple[Step, ...] | Normalizer = attrs.field(
        default=("nfc", "lower", "strip_punctuation"), validator=v.checked_by(_too_many_steps)
    )
    """Steps on references and hypotheses alike, or a normaliser by name: `{ type = "english" }`."""
    scorer: Literal["plain", "merge_compounds"] = added(default="plain")
    """`merge_compounds`: words written together in one text and apart in the other are no word errors."""
    bootstrap: int = attrs.field(default=1000, validator=v.between(100, 1_000_000))
    """Resamples behind the 95 % interval."""
    unreadable: Literal["deleted", "left_out"] = "deleted"
    """Test utterances that cannot be read: all their words count as deleted, or they are left out of the score."""

    @property
    def steps(self) -> tuple[Step, ...] | None:
        """The normalising steps, where the recipe lists them."""
        return self.normalizer if isinstance(self.normalizer, tuple) else None

    def build_normalizer(self, root: Path) -> TextNormalizer:
        """What both texts go through; `root` is where data lie. LabError where what it needs is not there."""
        if isinstance(self.normalizer, tuple):
            return Steps(self.normalizer)
        return self.normalizer.build(root)


@section
class Kernels:
    """What computes a step's operators; it is no part of a run's identity."""

    compile: bool = added(default=False)
    """Compile each block by torch.compile: minutes before the first step; it needs a C++ compiler."""


@section
class Log:
    """What a run writes down, and where."""

    every_steps: int = attrs.field(default=1, validator=v.between(1, 1_000_000_000))
    """Steps between lines of metrics.jsonl."""
    listeners: tuple[Literal["tensorboard", "wandb"], ...] = ()
    """Also written to (extra `training`)."""


@section
class Recipe:
    """One experiment, complete."""

    name: str = attrs.field(validator=v.all_of(v.matches_re(r"[a-z0-9][a-z0-9_.-]*"), v.max_len(100)))
    """A label; it names the run's directory and is not part of its identity."""
    seed: int = attrs.field(default=0, validator=v.between(0, 2**63 - 1))
    """Everything drawn follows from it."""
    features: Features
    text: Text = Text()
    tokenizer: Tokenizer
    encoder: Encoder
    decoder: tuple[Decoder, ...] = attrs.field(validator=v.sized(1, 32))
    augment: tuple[Augment, ...] = attrs.field(default=(), validator=v.max_len(100))
    init: Init | None = None
    optimizer: Optimizer = Muon()
    schedule: Schedule = Cosine()
    precision: Precision = FP32()
    determinism: Determinism = Determinism()
    data: Data
    train: Train
    decode: Decode = Decode()
    score: Score = Score()
    parallel: Parallel = Single()
    launch: Launch = Inline()
    kernels: Kernels = Kernels()
    log: Log = Log()

    @property
    def named_languages(self) -> tuple[str, ...]:
        """The languages that a decoder names before each text; none where none does."""
        return next((one.named_languages for one in self.decoder if one.named_languages), ())
