"""What is compared, how it is played, and how it is drawn."""

from __future__ import annotations

from pathlib import Path

import attrs
import pytest
import torch

from asr_lab.audio.reading import read_audio
from asr_lab.compiler.build import Loaded
from asr_lab.compiler.model import build_model
from asr_lab.evaluation.comparison import Difference
from asr_lab.evaluation.scoring import Rate
from asr_lab.evaluation.streaming.contenders import contenders_of
from asr_lab.evaluation.streaming.contexts import AlgorithmicDelay, StreamingChain, choose
from asr_lab.evaluation.streaming.curve import draw_streaming
from asr_lab.evaluation.streaming.cuts import hop_steps, random_steps
from asr_lab.evaluation.streaming.latency import Figures, Latency, Percentiles
from asr_lab.evaluation.streaming.playback import ComputeCost, play, time_alone
from asr_lab.evaluation.streaming.table import ContextRow, row_stem
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.recipe import ContextSpec, Encoder, Stack
from asr_lab.recognition.live import LiveRecognizer
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride
from asr_lab.slots.tokenizers.chars import Chars
from asr_lab.streaming import Context, Frames

RATE = 8000
FEATURES = LogMel(sample_rate=RATE, num_mels=16)
ENCODER = Encoder(
    dim=16,
    stem=DepthwiseStride(factor=4, channels=8),
    contexts=(
        ContextSpec(chunk_ms=320, left_ms=640),
        ContextSpec(chunk_ms=320, left_ms=1280),
        ContextSpec(chunk_ms=160, left_ms=960),
        ContextSpec(chunk="whole"),
    ),
    stack=(Stack(blocks=("att",)),),
    block={"att": Macaron(mixer=Attention(num_heads=2))},
)


@pytest.fixture(scope="module")
def loaded() -> Loaded:
    torch.set_num_threads(1)
    torch.manual_seed(2)
    vocabulary = Chars(alphabet="abcdefgh ").build(None)
    built = build_model(FEATURES, ENCODER, [CTC()], vocabulary.vocab_size).eval()
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return Loaded(built, FEATURES.build(), vocabulary, Path(), RATE)


@pytest.fixture
def chain(loaded: Loaded) -> StreamingChain:
    return StreamingChain.of(loaded.model, loaded.features, ("stem", "layer 1"), {}, RATE)


def test_chunks_are_those_trained_with_and_others_with_the_longest_past(loaded: Loaded, chain: StreamingChain) -> None:
    candidates, refused = choose(loaded.model, chain, [None, 320, 80, 90])
    assert [(c.label, c.left_ms, c.trained) for c in candidates] == [
        ("80 ms", 1280, False),
        ("320 ms, left 640 ms", 640, True),
        ("320 ms, left 1280 ms", 1280, True),
        ("whole", None, True),
    ]
    assert [(r.label, r.reason) for r in refused] == [("90 ms", "not a whole number of the stack's frames of 40 ms")]
    every, _ = choose(loaded.model, chain)
    assert [c.chunk_ms for c in every] == [80, 160, 320, 320, 640, 1280, None]


def test_the_delay_is_the_chunk_and_the_lookahead(loaded: Loaded, chain: StreamingChain) -> None:
    delay = chain.delay(Context(32, 64))
    assert delay is not None
    lookahead_ms = 1000 * loaded.features.lookahead_frames / RATE
    assert delay == AlgorithmicDelay(window_ms=lookahead_ms, stem_ms=0, chunk_ms=320)
    recognizer = LiveRecognizer(loaded, Context(32, 64))
    assert delay.worst_ms == pytest.approx(recognizer.algorithmic_delay_ms)
    assert delay.mean_ms == pytest.approx(delay.worst_ms - 160)
    assert chain.delay(Context()) is None


def test_each_context_is_a_row_and_offline_comes_first(loaded: Loaded, chain: StreamingChain) -> None:
    candidates, _ = choose(loaded.model, chain, [160, None])
    found = contenders_of(loaded, chain, candidates, DecodeOptions())
    assert [(c.label, c.kind, c.packet_samples) for c in found] == [("offline", "offline", 1), ("160 ms", "live", 1280)]


def test_how_a_recording_is_played_makes_no_difference(loaded: Loaded, speech: Path) -> None:
    lines = (speech / "fsdd" / "manifest.tsv").read_text().splitlines()
    paths = [speech / "fsdd" / line.split("\t")[1] for line in lines[1:1201:400]]
    recordings = [torch.from_numpy(read_audio(path, RATE)) for path in paths]
    recognizer = LiveRecognizer(loaded, Context(16, 64))
    together = play(recognizer, recordings, 1280)
    assert sum(len(one.words) for one in together) > 0
    assert play(recognizer, recordings, 500) == together
    assert [play(recognizer, [one], 1280)[0] for one in recordings] == together
    for shown, samples in zip(together, recordings, strict=True):
        assert all(word.final_s <= len(samples) / RATE for word in shown.words)
    speed = time_alone(recognizer, recordings, 1280)
    assert speed.audio_s == pytest.approx(sum(map(len, recordings)) / RATE)
    assert speed.num_chunks == sum(-(-max(len(one) - 16, 1) // 1280) for one in recordings)


def test_speed_is_computing_by_audio() -> None:
    speed = ComputeCost.of([0.1, 0.2, 0.3], 2.0)
    assert (speed.real_time_factor, speed.chunk_p50_ms) == (pytest.approx(0.3), pytest.approx(200))
    assert speed.chunk_p50_ms < speed.chunk_p99_ms <= 300


def test_random_steps_are_legal_and_give_everything() -> None:
    frames = Frames.whole(torch.arange(60.0).repeat(3, 1), torch.tensor([60, 23, 5]))
    seen = set()
    for seed in range(20):
        given, ended = [0, 0, 0], [False] * 3
        for step in random_steps(frames, 4, 3, seed):
            for row, (count, final) in enumerate(zip(step.lengths.tolist(), step.final.tolist(), strict=True)):
                assert step.x[row, :count].tolist() == list(range(given[row], given[row] + count))
                assert not (ended[row] and (count or final))
                given[row] += count
                ended[row] |= final
                assert ended[row] or given[row] == 0 or (given[row] - 3) % 4 == 0
                seen.add((count == 0, ended[row]))
        assert given == [60, 23, 5]
        assert all(ended)
    assert seen == {(True, False), (True, True), (False, False), (False, True)}
    finest = list(hop_steps(frames, 4, 3))
    assert [step.lengths[0].item() for step in finest] == [7, *[4] * 13, 1]


def row(label: str, kind: str = "live", **changes: object) -> ContextRow:
    rate = Rate(0.2, 0.1, 0.3, 1, 1, 0, 10)
    p = Percentiles(0.2, 0.4, 0.5)
    figures = Figures(p, p, 9)
    difference = Difference(0.1, 0.2, 0.1, 0.0, 0.2, 0.3)
    made = ContextRow(
        label, "live", "ctc", 320, 640, True, {"wer": rate}, {"wer": difference}, AlgorithmicDelay(2, 0, 320),
        Latency(figures, figures, figures, 10, 0.1, 0.2), ComputeCost(0.1, 1, 2, 3, 4), 1024, None, 9, "x.json",
    )  # fmt: skip
    return attrs.evolve(made, kind=kind, **changes)


def test_the_curve_names_every_row_and_says_which_were_not_trained(tmp_path: Path) -> None:
    rows = [row("offline", "offline"), row("320 ms"), row("80 ms", trained=False), row("agreement", "agreement")]
    svg, png = draw_streaming(rows, tmp_path, "a run & its set")
    text = svg.read_text()
    for label in ("offline", "320 ms", "80 ms", "not trained with", "agreement", "word error rate"):
        assert f">{label}" in text, label
    assert png.read_bytes().startswith(b"\x89PNG")
    draw_streaming(rows, tmp_path, "a run & its set")
    assert svg.read_text() == text


def test_a_row_without_word_times_is_drawn_by_the_encoders_delay(tmp_path: Path) -> None:
    silent = Latency(None, None, None, 0, 0.0, 0.0)
    svg, _ = draw_streaming([row("offline", "offline", latency=silent), row("320 ms", latency=silent)], tmp_path, "x")
    assert "delay of the encoder" in svg.read_text()


def test_files_are_named_by_their_rows() -> None:
    assert row_stem("320 ms, left 640 ms") == "320ms-left640ms"
    assert row_stem("offline") == "offline"
