"""Training steps of other toolkits: the same sizes, batch and audio as a twin's, the same clipping and optimizer.

A peer is set up as its own recipes do it. AdamW is torch's fused one for all, since the models are what is compared.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import torch
from cases import AUDIO_S, BATCH
from live import CHUNKS_MS, LEFT_MS, Live, Opened
from steps import NoiseData, Trainee
from torch import Tensor, nn
from torch.nn import functional as F

from asr_lab.compiler.cost import macs

RATE = 16000
LR = 1e-4
CLIP_NORM = 1.0


def peer_trainee(name: str) -> Trainee:
    """The peer of that name; ImportError where it is not installed."""
    return {"nemo": nemo, "whisper": whisper, "hf": hf}[name]()


def whisper() -> Trainee:
    """openai-whisper's model on 10 s of audio, not padded to 30: its features, cross-entropy."""
    audio, models = _imported("whisper.audio"), _imported("whisper.model")
    batch = NoiseData(RATE, 1024).batch
    sizes = models.ModelDimensions(80, AUDIO_S * 50, 256, 4, 12, 1024, 448, 256, 4, 6)
    model = models.Whisper(sizes).train()
    start = torch.ones(BATCH, 1, dtype=torch.int64)
    read, write = torch.cat([start, batch.targets.tokens], 1), torch.cat([batch.targets.tokens, start], 1)

    def features() -> Tensor:
        mels: Tensor = audio.log_mel_spectrogram(batch.audio)
        return mels

    def loss() -> Tensor:
        logits: Tensor = model(features(), read)
        return F.cross_entropy(logits.flatten(0, 1), write.flatten())

    return _trainee(model, loss, lambda: model(features(), read))


def hf() -> Trainee:
    """Hugging Face's Mamba2Model over frames of its own dimension, and a linear layer with CTC."""
    transformers = _imported("transformers")
    vocab_size, dim, frames = 128, 256, AUDIO_S * 1000 // 80
    sizes = {"hidden_size": dim, "num_hidden_layers": 12, "state_size": 64, "head_dim": 64, "num_heads": 8}
    tokens = {"vocab_size": 3, "pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 2}  # its embedding is not used
    config = transformers.Mamba2Config(**sizes, **tokens, n_groups=1, chunk_size=64, use_cache=False)
    model = nn.ModuleDict({"encoder": transformers.Mamba2Model(config), "head": nn.Linear(dim, vocab_size)}).train()
    targets = NoiseData(RATE, vocab_size).batch.targets
    x = torch.randn(BATCH, frames, dim, generator=torch.Generator().manual_seed(0))

    def logits() -> Tensor:
        y: Tensor = model["head"](model["encoder"](inputs_embeds=x).last_hidden_state)
        return y

    def loss() -> Tensor:
        log_probs = logits().log_softmax(-1).transpose(0, 1)
        return F.ctc_loss(log_probs, targets.tokens, torch.full((BATCH,), frames), targets.lengths)

    return _trainee(model, loss, logits)


def nemo() -> Trainee:
    """NeMo's FastConformer-CTC: its features, SpecAugment and loss, as in its own configuration of medium size."""
    models, omegaconf = _imported("nemo.collections.asr.models"), _imported("omegaconf")
    model = models.EncDecCTCModel(cfg=omegaconf.OmegaConf.create(_nemo_config())).train()
    batch = NoiseData(RATE, 128).batch

    def outputs() -> tuple[Tensor, Tensor]:
        log_probs, lengths, _ = model.forward(input_signal=batch.audio, input_signal_length=batch.audio_lengths)
        return log_probs, lengths

    def loss() -> Tensor:
        log_probs, lengths = outputs()
        value: Tensor = model.loss(
            log_probs=log_probs,
            targets=batch.targets.tokens,
            input_lengths=lengths,
            target_lengths=batch.targets.lengths,
        )
        return value

    return _trainee(model, loss, outputs)


def nemo_streams() -> Opened:
    """The encoder of NeMo's cache-aware FastConformer with fresh weights, at the sizes of the offline one here.

    Features in, one chunk of every stream a step, as its `conformer_stream_step` does between features and decoder.
    """
    modules = _imported("nemo.collections.asr.modules")
    frame_ms = 80
    # NeMo wants the left context a multiple of the chunk: at 320 ms it sees 68 frames, two fewer than the twin.
    sizes = [[LEFT_MS // chunk_ms * chunk_ms // frame_ms, chunk_ms // frame_ms - 1] for chunk_ms in CHUNKS_MS]
    streaming = {
        "causal_downsampling": True,
        "att_context_size": sizes,
        "att_context_style": "chunked_limited",
        "conv_context_size": "causal",
        "conv_norm_type": "layer_norm",
    }
    sizes_and_more = {k: v for k, v in _nemo_encoder().items() if k != "_target_"} | streaming
    encoder = modules.ConformerEncoder(**sizes_and_more).eval()

    def opened(chunk_ms: int, batch: int) -> Live:
        encoder.set_default_att_context_size(sizes[CHUNKS_MS.index(chunk_ms)])
        settings = encoder.streaming_cfg
        again = settings.pre_encode_cache_size[1]  # frames of the step before that the stem reads again
        mels = torch.randn(batch, 80, again + chunk_ms // 10, generator=torch.Generator().manual_seed(0))
        cache = encoder.get_initial_cache_state(batch_size=batch)
        held = sum(c.numel() * c.element_size() for c in cache) // batch + 4 * 80 * again

        def step() -> None:
            nonlocal cache
            frames, _, *cache = encoder.cache_aware_stream_step(
                processed_signal=mels,
                processed_signal_length=torch.full((batch,), mels.shape[2]),
                cache_last_channel=cache[0],
                cache_last_time=cache[1],
                cache_last_channel_len=cache[2],
                keep_all_outputs=True,
                drop_extra_pre_encoded=settings.drop_extra_pre_encoded,
            )
            assert frames.shape[2] == chunk_ms // frame_ms, "NeMo gave another number of frames than the twin does"

        return Live(step, held)

    return opened


def _nemo_config() -> dict[str, object]:
    modules = "nemo.collections.asr.modules."
    return {
        "sample_rate": RATE,
        "preprocessor": {
            "_target_": modules + "AudioToMelSpectrogramPreprocessor",
            "sample_rate": RATE,
            "normalize": "per_feature",
            "window_size": 0.025,
            "window_stride": 0.01,
            "features": 80,
            "n_fft": 512,
            "dither": 1e-5,
            "pad_to": 0,
        },
        "spec_augment": {
            "_target_": modules + "SpectrogramAugmentation",
            "freq_masks": 2,
            "time_masks": 10,
            "freq_width": 27,
            "time_width": 0.05,
        },
        "encoder": _nemo_encoder(),
        "decoder": {
            "_target_": modules + "ConvASRDecoder",
            "feat_in": 256,
            "num_classes": 128,
            "vocabulary": [chr(0x100 + i) for i in range(128)],
        },
    }


def _nemo_encoder() -> dict[str, object]:
    return {
        "_target_": "nemo.collections.asr.modules.ConformerEncoder",
        "feat_in": 80,
        "n_layers": 16,
        "d_model": 256,
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": 256,
        "ff_expansion_factor": 4,
        "self_attention_model": "rel_pos",
        "n_heads": 4,
        "conv_kernel_size": 9,
        "conv_norm_type": "batch_norm",
        "dropout": 0.1,
        "dropout_pre_encoder": 0.1,
        "dropout_emb": 0.0,
        "dropout_att": 0.1,
    }


def _imported(module: str) -> Any:
    """Peers are not dependencies, so they are imported by name."""
    return importlib.import_module(module)


def _trainee(model: nn.Module, loss: Callable[[], Tensor], forward: Callable[[], object]) -> Trainee:
    trained = list(model.parameters())
    optimizer = torch.optim.AdamW(trained, lr=LR, fused=True)

    def step() -> None:
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, CLIP_NORM)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        assert bool(value.isfinite()), "the peer's loss is not finite"

    return Trainee(sum(p.numel() for p in trained), step, lambda: macs(forward)[0])
