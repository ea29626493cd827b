"""The models from Python, in the lines that the README shows."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from asr_lab.audio.features import MelSpectrogramExtractor
from asr_lab.families.family import FamilyConfig, FamilyModel
from asr_lab.models.conformer import ConformerASRModel, ConformerConfig
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.ssm import SSMASRModel, SSMConfig
from asr_lab.models.whisper import WhisperASRModel, WhisperConfig
from asr_lab.number_formats import FORMATS, LOW_PRECISIONS
from asr_lab.streaming import Frames
from asr_lab.tokenizers import CharacterTokenizer
from asr_lab.training import get_precision_manager

SECONDS = 0.4
BASES = {
    "ssm": (SSMASRModel, SSMConfig.base),
    "whisper": (WhisperASRModel, WhisperConfig.base),
    "conformer": (ConformerASRModel, ConformerConfig.base),
}
TINY = {
    "ssm": (SSMASRModel, SSMConfig.tiny),
    "whisper": (WhisperASRModel, WhisperConfig.tiny),
    "conformer": (ConformerASRModel, ConformerConfig.tiny),
}
OTHERS = {
    "ssm_a100": (SSMASRModel, SSMConfig.a100_optimized),
    "ssm_b200": (SSMASRModel, SSMConfig.b200_optimized),
    "whisper_small": (WhisperASRModel, WhisperConfig.small),
    "whisper_large": (WhisperASRModel, WhisperConfig.large),
    "conformer_fast": (ConformerASRModel, ConformerConfig.fast_conformer),
    "conformer_large": (ConformerASRModel, ConformerConfig.large),
}
Make = Callable[[], FamilyConfig]


def noise(*shape: int) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def tiny(family: str) -> FamilyModel:
    torch.manual_seed(0)
    model_class, config = TINY[family]
    return model_class(config())


def features_of(model: FamilyModel, waveform: torch.Tensor) -> torch.Tensor:
    extractor = model.feature_extractor()
    assert isinstance(extractor, MelSpectrogramExtractor)
    return extractor(waveform)


@pytest.mark.parametrize(("model_class", "config"), BASES.values(), ids=BASES)
def test_the_lines_of_the_readme_work_as_they_stand(model_class: type[FamilyModel], config: Make) -> None:
    model = model_class(config())
    feature_extractor = MelSpectrogramExtractor.whisper_style()
    tokenizer = CharacterTokenizer()
    waveform = noise(int(SECONDS * 16000))
    with get_precision_manager("bf16").autocast():
        features = feature_extractor(waveform)
        tokens = model.transcribe(features)
    assert features.shape == (SECONDS * 100, 80)  # (T, F)
    assert len(tokens) == 1
    assert isinstance(tokenizer.decode(tokens[0]), str)
    assert all(0 <= t < tokenizer.vocab_size for t in tokens[0])


@pytest.mark.parametrize(("model_class", "config"), OTHERS.values(), ids=OTHERS)
def test_every_other_named_size_is_built(model_class: type[FamilyModel], config: Make) -> None:
    with torch.device("meta"):
        model = model_class(config())
    assert model.config.vocab_size == CharacterTokenizer().vocab_size == 30


@pytest.mark.prove
@pytest.mark.parametrize(("model_class", "config"), OTHERS.values(), ids=OTHERS)
def test_every_other_named_size_transcribes(model_class: type[FamilyModel], config: Make) -> None:
    model = model_class(config())
    features = features_of(model, noise(int(SECONDS * 16000)))
    assert len(model.transcribe(features)) == 1


@pytest.mark.parametrize("family", TINY)
def test_one_utterance_gives_the_same_tokens_alone_and_in_a_batch(family: str) -> None:
    model = tiny(family)
    extractor = MelSpectrogramExtractor.whisper_style()
    waves = noise(2, int(SECONDS * 16000))
    both = extractor(waves)  # (B, T, F)
    together = model.transcribe(both)
    assert both.ndim == 3
    assert len(together) == 2
    assert [model.transcribe(extractor(wave))[0] for wave in waves] == together


@pytest.mark.parametrize("family", TINY)
def test_padding_behind_the_lengths_is_not_read(family: str) -> None:
    model = tiny(family)
    features = features_of(model, noise(1, int(SECONDS * 16000)))
    alone = model.transcribe(features)
    padded = torch.cat([features, torch.full((1, 24, features.shape[2]), math.nan)], dim=1)
    assert model.transcribe(padded, lengths=torch.tensor([features.shape[1]])) == alone
    assert model.transcribe(Frames.whole(padded, torch.tensor([features.shape[1]]))) == alone


@pytest.mark.parametrize("training", [True, False])
def test_transcribing_leaves_the_mode_as_it_was(training: bool) -> None:
    model = tiny("conformer").train(training)
    features = features_of(model, noise(int(SECONDS * 16000)))
    first = model.transcribe(features)
    assert model.transcribe(features) == first  # no dropout, even from training mode
    assert {module.training for module in model.modules()} == {training}
    with pytest.raises(ValueError, match="attention"):
        model.transcribe(features, decode=DecodeOptions(decoder="attention"))
    assert model.training is training


def test_transcribing_keeps_a_frozen_part_in_eval_mode() -> None:
    model = tiny("conformer").train()
    stem, first, *_ = model.encoder
    stem.eval()
    model.transcribe(features_of(model, noise(int(SECONDS * 16000))))
    assert not stem.training
    assert first.training


def test_a_models_own_extractor_gives_the_dimension_that_it_reads() -> None:
    for family in TINY:
        model = tiny(family)
        assert features_of(model, noise(8000)).shape[1] == model.config.features.dim


@pytest.mark.parametrize("name", FORMATS)
def test_precision_managers_give_autocast_regions(name: str) -> None:
    manager = get_precision_manager(name, emulate=name in LOW_PRECISIONS)
    with manager.autocast("cpu"):
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == manager.dtype


@pytest.mark.parametrize("name", LOW_PRECISIONS)
def test_a_converted_model_rounds_in_its_region_alone(name: str) -> None:
    model = tiny("ssm").eval()
    features = Frames.whole(noise(1, 16, model.config.features.dim))
    with torch.no_grad():
        (before,) = model.encode(features)[:1]
        manager = get_precision_manager(name, emulate=True)
        assert any(not row.kept_because for row in manager.convert(model))
        assert torch.equal(model.encode(features)[0].x, before.x)
        with manager.autocast("cpu"):
            assert not torch.equal(model.encode(features)[0].x.float(), before.x)
