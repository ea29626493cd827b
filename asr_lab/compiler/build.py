"""From a checked recipe to the objects of a run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from asr_lab.audio.augmentation import Augmentations
from asr_lab.compiler.extent import Extent, extent, limits_of
from asr_lab.compiler.inputs import TOKENIZER, data_root, read_inputs
from asr_lab.compiler.left_out import left_out_of
from asr_lab.compiler.model import build_model
from asr_lab.config.load import Document
from asr_lab.data.corpus import Alignable, Corpus, spell
from asr_lab.data.cuts import Cuts
from asr_lab.data.evaluation_cuts import read_evaluation_cuts
from asr_lab.data.evaluation_data import EvaluationData
from asr_lab.data.exact_audio import require_exact_audio
from asr_lab.data.examples import LanguageShare
from asr_lab.data.left_out import FILE as LEFT_OUT
from asr_lab.data.left_out import LeftOut
from asr_lab.data.training_data import TrainingData
from asr_lab.devices import num_workers
from asr_lab.errors import CheckpointError, DataError, LabError
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.kernels.compiled import compile_blocks, require_compiler
from asr_lab.number_formats import Asked
from asr_lab.recipe import Encoder, Recipe, Score
from asr_lab.slots.datasets import Dataset
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.features import Features
from asr_lab.streaming import Streamable
from asr_lab.text.normalizer import TextNormalizer
from asr_lab.text.vocabulary import Vocabulary
from asr_lab.training.arithmetic import Arithmetic, arithmetic_of
from asr_lab.training.init import Lineage, initialise
from asr_lab.training.learner import Learner
from asr_lab.training.parallel.group import Group
from asr_lab.training.parallel.machine_share import device_of, own_processors
from asr_lab.training.parallel.strategy import Strategy
from asr_lab.training.parallel.world import World
from asr_lab.training.precision import (
    LayerPrecision,
    PrecisionManager,
    get_precision_manager,
    require_machine,
    set_products,
)
from asr_lab.training.store import CheckpointStore
from asr_lab.training.weights import ChosenWeights, choose_weights, load_weights

MAX_EVALUATION_BATCH_S = 240.0
"""Padded seconds of audio that are decoded at once, where the recipe does not ask for less."""


@attrs.frozen
class Experiment:
    """What a recipe builds: everything that a job needs, and nothing that knows the recipe's form."""

    learner: Learner
    model: SpeechModel
    features: Streamable[Any]
    vocabulary: Vocabulary
    valid: tuple[EvaluationData, ...]
    test: tuple[EvaluationData, ...]
    layers: tuple[LayerPrecision, ...]
    """What each linear layer is trained in; none where that is the same everywhere."""
    decode: DecodeOptions
    decode_precision: PrecisionManager
    """What recordings are decoded in."""
    score: Score
    normalizer: TextNormalizer
    """Of scores; training has its own."""
    left_out: LeftOut
    """Utterances of `data.train` and `data.valid` that cannot be used."""

    @property
    def valid_files(self) -> set[tuple[str, str]]:
        """Id and path of each validation utterance."""
        return {(one.id, one.audio) for data in self.valid for one in data.utterances}

    lineage: Lineage | None
    """Where the first weights came from, with `[init]`."""
    alignable: Alignable
    """Whether a text can be learned from so many samples."""
    extent: Extent
    """How long the run will be."""
    languages: dict[str, LanguageShare]
    """Of the training audio, where `data.temperature` mixes them."""
    hashes: dict[str, str]
    """Of what the recipe names but does not hold: `data`, `tokenizer`, `normalizer`."""


@attrs.frozen
class Loaded:
    """A trained model and what turns waveforms and tokens into its terms."""

    model: SpeechModel
    features: Streamable[Any]
    vocabulary: Vocabulary
    weights: ChosenWeights
    """The checkpoints that its weights are of."""
    sample_rate: int
    """Hertz of the waveforms that the features are made of."""

    @property
    def checkpoint(self) -> Path:
        """The checkpoint that its weights are of; of several the best."""
        return self.weights.folder


def load_model(recipe: Recipe, folder: Path, checkpoint: str = "best") -> Loaded:
    """The model of a run's recipe with weights from its folder, on the CPU, in eval mode.

    `best` = what validation chose, `last` = the newest, `average` = the newest's averaged weights, `average:N` = the
    mean of the N best, or a checkpoint's path. All but `last` take averaged weights where the run keeps them.
    CheckpointError when there is none, or it is damaged, or does not fit.
    """
    chosen = find_weights(folder, checkpoint)
    if checkpoint == "average" and recipe.train.average_decay is None:
        raise CheckpointError(f"{folder.name} keeps no average (train.average_decay); use best, last or average:N")
    vocabulary = recipe.tokenizer.build(folder / TOKENIZER if recipe.tokenizer.learns else None)
    model = build_model(recipe.features, recipe.encoder, recipe.decoder, vocabulary.vocab_size)
    load_weights(model, chosen.read(), str(chosen.folder))
    return Loaded(model.eval(), recipe.features.build(), vocabulary, chosen, recipe.features.sample_rate)


def find_weights(folder: Path, name: str) -> ChosenWeights:
    """What a run's weights are (`best`, `last`, `average`, `average:N`, or the path given) and which folders hold them.

    `best` is `last` where nothing was validated. CheckpointError when there are none, or they are damaged.
    """
    return choose_weights(CheckpointStore(folder / "checkpoints"), name)


def build(
    document: Document[Recipe],
    folder: Path,
    start: Path | None = None,
    group: Group | None = None,
    stop: Callable[[], int] = lambda: 0,
    arithmetic: Arithmetic | None = None,
) -> Experiment:
    """The experiment of a recipe; `folder` is the run's, where a tokenizer that learns is kept.

    `start` is the run or checkpoint that `[init] from` names; by default what it says is a path. Of a `group` of
    processes, which all build it, this one trains its part. `stop` gives the number of a signal that came; 0 = none.
    `arithmetic` is how its steps compute; by default as the recipe's level of determinism says.

    DataError when data is absent or more utterances are left out than the recipe allows, which are then listed in
    `folder`; LabError for what only shows with the objects built (a pattern that matches no parameter, a vocabulary too
    large for the text).
    """
    recipe, root, group = document.value, data_root(), group or Group()
    arithmetic = arithmetic or arithmetic_of(recipe.determinism.level)
    scoring = recipe.score.build_normalizer(root)  # before anything takes long
    inputs = group.in_turn(lambda: read_inputs(recipe, folder), "reading the data")
    corpus = spell(
        inputs.train,
        inputs.vocabulary,
        inputs.normalizer,
        sample_rate=recipe.features.sample_rate,
        alignable=alignable(recipe.features, recipe.encoder, recipe.decoder),
        alignable_name=repr((recipe.features, recipe.encoder, recipe.decoder)),
    )
    left_out = left_out_of(recipe, inputs, corpus)
    if problem := left_out.excess(recipe.data.max_left_out, folder / LEFT_OUT):
        if group.world.is_first:
            left_out.write(folder / LEFT_OUT)
        raise DataError(problem)
    device, processors = arithmetic.device(device_of(group.world)), own_processors(group)
    strategy = recipe.parallel.build(group, device, bitwise=arithmetic.has_ordered_norm)
    if arithmetic.level == "cross_hardware":
        require_exact_audio(corpus.cuts, recipe.features.sample_rate)
    features = recipe.features.build().to(device)
    with arithmetic.use():
        model = seeded_model(recipe, inputs.vocabulary.vocab_size).to(device)
    lineage = _initialise(recipe, model, start)
    require_machine(recipe.precision.asked, device)
    _require_to_decode(recipe, device)
    precision = recipe.precision.build()
    set_products()
    layers = precision.convert(model)
    if recipe.kernels.compile:
        require_compiler()
        compile_blocks(model)
    strategy.wrap(model)  # before there is an optimizer over its weights
    data = _training_data(recipe, corpus, root, group.world, num_workers(recipe.data.num_workers, processors))
    length = extent(recipe.train, data.num_steps(0), data.audio_s(0))
    return Experiment(
        learner=_learner(recipe, model, features, data, length, precision, strategy, stop, processors, arithmetic),
        model=model,
        features=features,
        vocabulary=inputs.vocabulary,
        valid=_evaluation_data(recipe, inputs.valid),
        test=evaluation_sets(recipe, recipe.data.test, root),
        layers=layers,
        decode=recipe.decode.build(),
        decode_precision=_decode_precision(recipe, precision),
        score=recipe.score,
        normalizer=scoring,
        left_out=left_out,
        lineage=lineage,
        alignable=corpus.alignable,
        extent=length,
        languages=data.languages(),
        hashes=inputs.hashes,
    )


def seeded_model(recipe: Recipe, vocab_size: int) -> SpeechModel:
    """The recipe's model with the weights that its seed draws."""
    torch.manual_seed(recipe.seed)
    return build_model(recipe.features, recipe.encoder, recipe.decoder, vocab_size)


def decode_precision(recipe: Recipe, model: SpeechModel, device: torch.device | str) -> PrecisionManager:
    """What a loaded model decodes recordings in, as `[decode]` says; with `same` its layers are converted for that.

    LabError where the device cannot compute in it.
    """
    _require_to_decode(recipe, torch.device(device))
    trained = recipe.precision.build() if recipe.decode.precision == "same" else get_precision_manager("fp32")
    precision = _decode_precision(recipe, trained)
    set_products()
    precision.convert(model)
    return precision


def _require_to_decode(recipe: Recipe, device: torch.device) -> None:
    wanted = recipe.decode.precision
    require_machine(recipe.precision.asked if wanted == "same" else Asked(wanted), device, decoding=True)


def _decode_precision(recipe: Recipe, trained: PrecisionManager) -> PrecisionManager:
    wanted = recipe.decode.precision
    return trained if wanted == "same" else get_precision_manager(wanted)


def evaluation_sets(recipe: Recipe, datasets: Sequence[Dataset], root: Path) -> tuple[EvaluationData, ...]:
    """Sets to score, those of one name as one."""
    cuts = read_evaluation_cuts(
        [d.build(root) for d in datasets],
        root,
        channel=recipe.data.channel,
    )
    return _evaluation_data(recipe, cuts)


def alignable(
    features: Features, encoder: Encoder, decoders: Sequence[Decoder]
) -> Callable[[int, Sequence[int]], bool]:
    """Whether every decoder can learn an utterance's tokens from the frames that its samples give."""
    read = [(d, encoder.ratios(d.tap)) for d in decoders]

    def fits(num_samples: int, tokens: Sequence[int]) -> bool:
        for decoder, ratios in read:
            num_frames = features.num_frames(num_samples)
            for ratio in ratios:
                num_frames = math.ceil(num_frames * ratio)
            if not decoder.fits(num_frames, tokens):
                return False
        return True

    return fits


def _evaluation_data(recipe: Recipe, sets: Mapping[str, Cuts]) -> tuple[EvaluationData, ...]:
    batch_s = min(recipe.parallel.max_rank_batch_s or MAX_EVALUATION_BATCH_S, MAX_EVALUATION_BATCH_S)
    rate = recipe.features.sample_rate
    return tuple(EvaluationData(name, cuts, sample_rate=rate, batch_s=batch_s) for name, cuts in sets.items())


def _initialise(recipe: Recipe, model: SpeechModel, start: Path | None) -> Lineage | None:
    if recipe.init is None:
        return None
    init = recipe.init
    return initialise(model, start or Path(init.from_), init.skip, init.freeze, init.checkpoint)


def _training_data(recipe: Recipe, corpus: Corpus, root: Path, world: World, workers: int) -> TrainingData:
    return TrainingData(
        corpus,
        seed=recipe.seed,
        batch_s=recipe.train.batch_s,
        max_rank_batch_s=recipe.parallel.max_rank_batch_s,
        augmentation=Augmentations([a.build(root) for a in recipe.augment]),
        num_workers=workers,
        rank=world.rank,
        ranks=world.size,
        parts=_parts(recipe.parallel.parts, world.size),
        temperature=recipe.data.temperature,
        languages=recipe.named_languages,
    )


def _parts(asked: int | None, ranks: int) -> int:
    """What the number of a step's microbatches is a multiple of; LabError where ranks could not have as many each."""
    parts = ranks if asked is None else asked
    if parts % ranks:
        raise LabError(f"parallel.parts is {parts}, which {ranks} processes cannot share: a multiple of {ranks} can be")
    return parts


def _learner(
    recipe: Recipe,
    model: SpeechModel,
    features: Streamable[Any],
    data: TrainingData,
    length: Extent,
    precision: PrecisionManager,
    strategy: Strategy,
    stop: Callable[[], int],
    processors: int,
    arithmetic: Arithmetic,
) -> Learner:
    return Learner(
        model,
        features,
        data,
        recipe.optimizer.build(model),
        recipe.schedule.build(length.num_steps),
        precision,
        [data.augmentation],
        seed=recipe.seed,
        limits=limits_of(recipe.train),
        clip_norm=recipe.optimizer.clip_norm,
        average_decay=recipe.train.average_decay,
        max_nonfinite=recipe.train.max_nonfinite,
        strategy=strategy,
        stop=stop,
        num_processors=processors,
        arithmetic=arithmetic,
    )
