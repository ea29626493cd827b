"""Recordings heard at several speeds."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from asr_lab.audio.features import MelSpectrogramExtractor
from asr_lab.audio.resampling import at_speed
from asr_lab.data.hearing import batch_features, played
from asr_lab.data.utterance import Batch
from asr_lab.decoders.attention import Attention
from asr_lab.decoders.ctc import CTC
from asr_lab.evaluation.speeds import MARGIN, search_at_speeds
from asr_lab.models.model import SpeechModel
from asr_lab.nn.decoding import DecoderHead, Hypothesis, Targets
from asr_lab.nn.stem import FrameStack
from asr_lab.recipe import Decode
from asr_lab.streaming import WHOLE, Chain, Frames

DIM, VOCAB, BANDS = 16, 6, 8
SPEEDS = (1.0, 0.8, 1.25)


def model_of(*kinds: str) -> SpeechModel:
    torch.manual_seed(0)
    sections = {"ctc": CTC(), "attention": Attention(num_layers=1, num_heads=2, max_tokens=40)}
    heads = [sections[kind].build(DIM, VOCAB, 0.0) for kind in kinds]
    for parameter in (p for head in heads for p in head.parameters()):
        torch.nn.init.normal_(parameter, std=0.5)
    stem = FrameStack(BANDS, DIM, 2, norm=False)
    return SpeechModel(Chain([stem]), heads, [1.0] * len(heads), [1] * len(heads), vocab_size=VOCAB).eval()


def heard(speed: float) -> Frames:
    """Three utterances, the last without audio, that are others at each speed and shorter at higher ones."""
    generator = torch.Generator().manual_seed(round(100 * speed))
    lengths = (torch.tensor([60, 40, 0]) / speed).long()
    return Frames.whole(torch.randn(3, int(lengths.max()), BANDS, generator=generator), lengths)


WAYS = [
    Decode(decoder="ctc", speeds=SPEEDS),
    Decode(decoder="ctc", beam=4, speeds=SPEEDS),
    Decode(decoder="attention", beam=3, speeds=SPEEDS),
    Decode(decoder="joint", beam=3, ctc_weight=0.4, speeds=SPEEDS),
    Decode(decoder="rescoring", beam=3, ctc_weight=0.4, speeds=SPEEDS),
]


@pytest.mark.parametrize("at_once", [3, 64])
@pytest.mark.parametrize("decode", WAYS, ids=lambda d: f"{d.decoder}-{d.beam}")
def test_what_any_speed_finds_is_ranked_by_its_mean_score_at_all_of_them(
    decode: Decode, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("asr_lab.evaluation.speeds.TEXTS_AT_ONCE", at_once)
    model = model_of("ctc", "attention")
    at_speeds = [model.search(heard(speed), decode) for speed in SPEEDS]
    encoded = [model.encode_speaking(heard(speed)) for speed in SPEEDS]
    several = 0
    for row, found in enumerate(search_at_speeds(model, heard, decode, WHOLE)):
        texts = {h.tokens for hypotheses in at_speeds for h in hypotheses[row]}
        assert {h.tokens for h in found} == texts
        assert len(found) == len(texts)
        several += len(texts) > 1
        scores = {t: [model.score_encoded(e, [row], [t], decode)[0] for e in encoded] for t in texts}
        best = [max(scores[t][place] for t in texts) for place in range(len(SPEEDS))]
        for hypothesis in found:
            capped = [max(s, b - MARGIN) for s, b in zip(scores[hypothesis.tokens], best, strict=True)]
            assert hypothesis.score == pytest.approx(np.mean(capped), abs=1e-4)
        assert [h.score for h in found] == sorted((h.score for h in found), reverse=True)
    assert several >= 1  # what agrees at all speeds would show nothing


@pytest.mark.parametrize("decode", WAYS, ids=lambda d: f"{d.decoder}-{d.beam}")
def test_one_speed_is_the_plain_search(decode: Decode) -> None:
    model = model_of("ctc", "attention")
    assert search_at_speeds(model, heard, decode.once, WHOLE) == model.search(heard(1.0), decode)


@pytest.mark.parametrize("decoder", ["attention", "joint"])
@torch.no_grad()
def test_texts_are_scored_as_the_search_scores_what_it_finds(decoder: str) -> None:
    model, decode = model_of("ctc", "attention"), Decode(decoder=decoder, beam=4, ctc_weight=0.4)
    found = model.search(heard(1.0), decode)
    spoken = found[:2]  # where there is no audio, nothing is searched
    rows = [row for row, hypotheses in enumerate(spoken) for _ in hypotheses]
    hypotheses = [h for some in spoken for h in some]
    scores = model.score_encoded(model.encode_speaking(heard(1.0)), rows, [h.tokens for h in hypotheses], decode)
    assert scores == pytest.approx([h.score for h in hypotheses], abs=1e-4)


class Certain(DecoderHead):
    """Finds and scores what it is told for a number of frames; the number is the speed's."""

    kind = "ctc"

    def __init__(self, found: dict[int, str], scores: dict[int, dict[str, float]]) -> None:
        super().__init__()
        self.found, self.scores = found, scores

    def search(self, frames: Frames, options: object) -> list[list[Hypothesis]]:
        text = self.found[frames.x.shape[1]]
        return [[Hypothesis(tuple(map(int, text)), self.scores[frames.x.shape[1]][text])]]

    def score(self, frames: Frames, targets: Targets) -> torch.Tensor:
        texts = ["".join(str(t) for t in row[:n].tolist()) for row, n in zip(*targets, strict=True)]
        return torch.tensor([self.scores[frames.x.shape[1]][text] for text in texts])


def decided(found: dict[int, str], scores: dict[int, dict[str, float]]) -> str:
    """The text of an utterance that has a frame at the first speed, two at the second, and so on."""
    speeds = tuple(1.0 + number / 10 for number in found)
    model = SpeechModel(
        Chain([FrameStack(1, 1, 1, norm=False)]), [Certain(found, scores)], [1.0], [1], vocab_size=VOCAB
    )

    def hear(speed: float) -> Frames:
        return Frames.whole(torch.zeros(1, round(10 * (speed - 1.0)), 1))

    return "".join(map(str, search_at_speeds(model, hear, Decode(speeds=speeds), WHOLE)[0][0].tokens))


def test_the_likelier_of_two_speeds_decides() -> None:
    assert decided({1: "2", 2: "3"}, {1: {"2": -1.0, "3": -1.5}, 2: {"2": -3.0, "3": -0.1}}) == "3"
    assert decided({1: "2", 2: "3"}, {1: {"2": -0.1, "3": -3.0}, 2: {"2": -1.5, "3": -1.0}}) == "2"


def test_no_speed_decides_alone_by_calling_a_text_impossible() -> None:
    no = -math.inf
    scores = {1: {"2": -0.1, "3": -15.0}, 2: {"2": -0.1, "3": -15.0}, 3: {"2": no, "3": -0.1}}
    assert decided({1: "2", 2: "2", 3: "3"}, scores) == "2"


def test_a_speed_at_which_nothing_fits_says_nothing() -> None:
    no = -math.inf
    scores = {1: {"22": -1.0, "32": -2.0}, 2: {"22": no, "32": no}, 3: {"22": -1.0, "32": -0.5}}
    assert decided({1: "22", 2: "22", 3: "32"}, scores) == "22"


def test_texts_that_fit_at_no_speed_are_no_likelier_than_they_are() -> None:
    no = {"22": -math.inf, "32": -math.inf}
    model = SpeechModel(Chain([FrameStack(1, 1, 1, norm=False)]), [Certain({1: "22"}, {1: no})], [1.0], [1])
    found = search_at_speeds(model, lambda _: Frames.whole(torch.zeros(1, 1, 1)), Decode(speeds=(1.0, 1.0)), WHOLE)
    assert found == [[Hypothesis((2, 2), -math.inf)]]


def test_among_equals_the_speed_named_first_decides() -> None:
    even = {"2": -1.0, "3": -1.0}
    assert decided({1: "3", 2: "2"}, {1: even, 2: even}) == "3"


def recordings() -> Batch:
    rng = np.random.default_rng(0)
    audio = torch.from_numpy(rng.standard_normal((2, 8000)).astype(np.float32)) * 0.1
    lengths, others = torch.tensor([8000, 5003]), torch.tensor([3001, 0])
    audio[1, 5003:] = 0
    targets = Targets(torch.zeros(2, 1, dtype=torch.int64), torch.zeros(2, dtype=torch.int64))
    return Batch(audio, lengths, targets, ("a", "b"), (1, 2), ("", ""), audio[0, :3001].clone(), others)


@pytest.mark.parametrize("speed", [0.8, 1.1])
def test_a_batch_is_played_at_a_speed_as_its_rows_are(speed: float) -> None:
    batch = recordings()
    audio, lengths = played(batch.audio, batch.audio_lengths, speed)
    for row, length in enumerate(batch.audio_lengths.tolist()):
        alone = at_speed(batch.audio[row, :length].numpy(), speed)
        assert int(lengths[row]) == len(alone) == math.ceil(length / speed)
        assert np.array_equal(audio[row, : len(alone)].numpy(), alone)
        assert not audio[row, len(alone) :].any()


def test_the_speaker_is_known_at_the_same_speed() -> None:
    batch, features = recordings(), MelSpectrogramExtractor("whisper", 8000, 20, level="speaker")
    sped = batch_features(features, batch, "cpu", 0.8)
    (audio, lengths) = played(batch.audio, batch.audio_lengths, 0.8)
    others = torch.from_numpy(at_speed(batch.others_by_row()[0].numpy(), 0.8))
    others_lengths = torch.tensor([len(others), 0])
    by_hand = batch._replace(audio=audio, audio_lengths=lengths, others=others, others_lengths=others_lengths)
    assert torch.equal(sped.valid(), batch_features(features, by_hand, "cpu").valid())
    assert not torch.equal(sped.lengths, batch_features(features, batch, "cpu").lengths)
