"""The loop on recordings, with the data layer, features, augmentation and a conformer block as recipes build them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import pytest
import torch

from asr_lab.audio.augmentation import Augmentations
from asr_lab.compiler.model import build_model
from asr_lab.data.corpus import Corpus, spell
from asr_lab.data.cuts import read_cuts
from asr_lab.data.training_data import TrainingData
from asr_lab.nn.ctc.alignment import required_frames
from asr_lab.recipe import ContextSpec, Encoder, Stack
from asr_lab.slots.augments.spec_augment import SpecAugment
from asr_lab.slots.augments.speed import Speed
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.datasets.folder import Folder
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.optimizers.muon import Muon
from asr_lab.slots.precision.bf16 import BF16
from asr_lab.slots.schedules.cosine import Cosine
from asr_lab.slots.stems.frame_stack import FrameStack
from asr_lab.text.normalizer import Normalizer
from asr_lab.tokenizers import CharacterTokenizer
from asr_lab.training.learner import Learner
from asr_lab.training.limits import Limits

FEATURES = LogMel(sample_rate=8000, num_mels=40)
ENCODER = Encoder(
    dim=32,
    stem=FrameStack(factor=4),
    contexts=(ContextSpec(chunk="whole"), ContextSpec(chunk_ms=160, left_ms=640)),
    stack=(Stack(repeat=2, blocks=("att",)),),
    block={"att": Macaron(mixer=Attention(num_heads=2))},
)


@pytest.fixture(scope="module")
def corpus(speech: Path) -> Corpus:
    digits = Folder(path="fsdd", where={"split": "train", "speaker": ["george", "jackson"]})

    def fits(num_samples: int, tokens: Sequence[int]) -> bool:
        return num_samples // 320 >= required_frames(tokens)

    normalizer = Normalizer(["lower"])
    cuts = read_cuts([digits.build(speech)], speech)
    return spell(cuts, CharacterTokenizer(), normalizer, sample_rate=8000, alignable=fits)


def build_learner(corpus: Corpus, max_steps: int) -> Learner:
    torch.set_num_threads(1)
    augmentation = Augmentations([Speed().build(), SpecAugment(max_freq_bins=8).build()])
    data = TrainingData(corpus, seed=3, batch_s=24.0, max_rank_batch_s=10.0, augmentation=augmentation, num_workers=1)
    torch.manual_seed(3)
    model = build_model(FEATURES, ENCODER, [CTC()], corpus.vocabulary.vocab_size)
    return Learner(
        model,
        FEATURES.build(),
        data,
        Muon(peak_lr=2e-3).build(model),
        Cosine(warmup_steps=3).build(None),
        BF16().build(),
        [augmentation],
        seed=3,
        limits=Limits(max_steps=max_steps),
        clip_norm=1.0,
        average_decay=0.99,
    )


def test_a_run_on_speech_that_is_cut_in_two_has_the_same_bits(corpus: Corpus, tmp_path: Path) -> None:
    whole, first, second = (build_learner(corpus, 6) for _ in range(3))
    reports = list(whole.steps())
    assert reports[0].num_microbatches > 1
    assert len({r.context for r in reports}) == 2
    head = [r.loss for r in islice(first.steps(), 2)]
    first.save(tmp_path / "saved")
    second.load(tmp_path / "saved")
    assert head + [r.loss for r in second.steps()] == [r.loss for r in reports]
    assert second.fingerprint() == whole.fingerprint()


def test_the_loss_on_speech_falls(corpus: Corpus) -> None:
    losses = [r.loss for r in build_learner(corpus, 25).steps()]
    assert sum(losses[-4:]) < 0.7 * sum(losses[:4])
