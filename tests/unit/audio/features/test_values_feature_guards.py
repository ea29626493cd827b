"""What features refuse: waveforms that are none, and cuts where the whole utterance is needed."""

from __future__ import annotations

import pytest
import torch

from asr_lab.audio.features.log_mel import MelSpectrogramExtractor
from asr_lab.streaming import WHOLE, Context, Frames


@pytest.mark.parametrize(
    "bad", [torch.zeros(800, dtype=torch.int16), torch.zeros(()), torch.zeros(1, 2, 800)], ids=["int16", "0-D", "3-D"]
)
def test_a_waveform_is_one_or_two_dimensions_of_floats(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"a waveform is \(S,\) or \(B, S\) of floats in \[-1, 1\], not"):
        MelSpectrogramExtractor.kaldi_style(8000, 20)(bad)


def test_one_waveform_gives_frames_and_a_batch_gives_rows_of_them() -> None:
    extractor, audio = MelSpectrogramExtractor.kaldi_style(8000, 20), torch.randn(2, 1600) / 9
    batch = extractor(audio)
    assert batch.shape == (2, 18, 20)
    torch.testing.assert_close(extractor(audio[1]), batch[1])


def test_features_of_whole_utterances_refuse_a_row_that_goes_on_and_no_other() -> None:
    extractor = MelSpectrogramExtractor.nemo_style(8000, 20)
    assert extractor.hop_frames(WHOLE) is extractor.hop_frames(Context(80, 80)) is None
    x = torch.randn(2, 800)

    def step(lengths: list[int], final: list[bool]) -> list[int]:
        frames = Frames(x, torch.tensor(lengths), torch.tensor(final))
        return [int(n) for n in extractor(extractor.initial_state(2, WHOLE), frames, WHOLE)[1].lengths]

    assert step([800, 0], [True, False])[1] == 0  # an idle row is not cut
    assert step([0, 800], [True, True])[0] == 0
    for lengths, final in (([800, 800], [True, False]), ([1, 0], [False, True])):
        with pytest.raises(ValueError, match="these features cannot be cut: "):
            step(lengths, final)
