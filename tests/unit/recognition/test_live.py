"""Many live streams decoded at once: words are final in their places, however the audio comes."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import attrs
import numpy as np
import pytest
import torch
from made_up import EverySecond, SampleIsToken
from torch import Tensor
from torch.nn import functional as F

from asr_lab.audio.reading import read_audio
from asr_lab.compiler.build import Loaded
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.models.model import SpeechModel
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.recognition.live import Endpointing, LiveRecognizer, StreamUpdate, live_context
from asr_lab.recognition.timed_word import TimedWord
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.blocks.mamba2 import Mamba2
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.whisper_conv import WhisperConv
from asr_lab.slots.tokenizers.chars import Chars
from asr_lab.streaming import WHOLE, Chain, Context, Frames, run_whole

RATE = 100
"""The made-up streams' samples per second: a feature frame each, 10 ms."""
ALPHABET = " abcdefghijklmnopqrstuvwxyz"
SPEECH_RATE = 8000
CONTEXT = Context(16, 32)


def made_up() -> Loaded:
    """Emits the token that each sample names."""
    head = CTCHead(32, 32)
    with torch.no_grad():
        head.output.weight.copy_(4 * torch.eye(32))
        head.output.bias.zero_()
    model = SpeechModel(Chain([EverySecond()]), [head], [1.0], [1], vocab_size=32)
    return Loaded(model, SampleIsToken(32), Chars(alphabet=ALPHABET).build(None), Path(), RATE)


def live(endpointing: Endpointing | None = None, beam: int = 1) -> LiveRecognizer:
    return LiveRecognizer(made_up(), Context(4, 4), DecodeOptions(beam=beam), endpointing)


def spoken(text: str, silence: int = 0) -> Tensor:
    """Samples of a text, each token 4 samples and 2 blanks long, with blanks before it."""
    tokens = Chars(alphabet=ALPHABET).build(None).encode(text)
    return torch.tensor([0] * silence + [s for token in tokens for s in [token] * 4 + [0] * 2]) / 32


def updates_of(recognizer: LiveRecognizer, audio: Tensor, pieces: Sequence[int]) -> list[StreamUpdate]:
    """A stream's updates; its audio comes in pieces of these sizes, again and again."""
    stream, given, turn, updates = recognizer.open(), 0, 0, []
    while given < len(audio):
        count = pieces[turn % len(pieces)]
        recognizer.push(stream, audio[given : given + count])
        given, turn = given + count, turn + 1
        updates += recognizer.step()
    recognizer.finish(stream)
    while found := recognizer.step():
        updates += found
    return updates


def words(updates: Sequence[StreamUpdate]) -> list[TimedWord]:
    return [word for update in updates for word in update.words]


def texts(updates: Sequence[StreamUpdate]) -> list[str]:
    """What each segment says."""
    found, segment = [], []
    for update in updates:
        segment += [word.text for word in update.words]
        if update.segment_ended:
            found.append(" ".join(segment))
            segment = []
    assert not segment
    return found


@pytest.mark.parametrize("piece", [1, 7, 1000])
@pytest.mark.parametrize("silence_s", [None, 0.1])
def test_no_word_ends_after_the_stream_or_its_segment(piece: int, silence_s: float | None) -> None:
    audio = spoken("abc def")[:-5]  # the last frame has one sample of two
    endpointing = None if silence_s is None else Endpointing(silence_s)
    found = words(updates_of(live(endpointing), audio, [piece] * (len(audio) // piece + 1)))
    assert [w.text for w in found] == ["abc", "def"]
    assert found[-1].end_s == len(audio) / RATE
    assert all(w.start_s <= w.end_s for w in found)


def test_a_word_is_final_at_the_space_after_it_and_the_last_one_at_the_end() -> None:
    updates = updates_of(live(), spoken("ab cd"), [4])
    told = [(tuple(w.text for w in u.words), u.interim) for u in updates]
    first = next(i for i, (final, _) in enumerate(told) if final)
    assert told[first] == (("ab",), "")
    assert told[first + 1] == ((), "c")
    assert told[first - 1] == ((), "ab")
    assert told[-1] == (("cd",), "")
    assert [u.stream_ended for u in updates] == [False] * (len(updates) - 1) + [True]
    assert updates[-1].segment_ended
    assert [u.audio_s for u in updates] == sorted(u.audio_s for u in updates)
    assert updates[-1].audio_s == pytest.approx(30 / RATE)


def test_words_have_their_places_in_the_stream_and_a_confidence() -> None:
    ab, c = words(updates_of(live(), spoken("ab c", silence=10), [3, 5]))
    assert (ab.text, c.text) == ("ab", "c")
    assert (ab.start_s, ab.end_s) == pytest.approx((0.10, 0.18))  # b is emitted from 0.16 s to 0.18 s
    assert (c.start_s, c.end_s) == pytest.approx((0.28, 0.30))
    head = made_up().model.heads[0]
    assert isinstance(head, CTCHead)
    sure = head.log_probs(Frames.whole(F.one_hot(torch.tensor([[3]]), 32).float())).detach().exp()[0, 0, 3]
    assert ab.confidence == pytest.approx(float(sure))


@pytest.mark.parametrize("beam", [1, 4])
def test_silence_ends_a_segment_and_the_next_one_keeps_its_place(beam: int) -> None:
    audio = torch.cat([spoken("one two"), spoken("three", silence=80), spoken("", silence=30)])
    updates = updates_of(live(Endpointing(silence_s=0.4, max_segment_s=60), beam), audio, [7])
    assert texts(updates) == ["one two", "three"]
    three = words(updates)[-1]
    assert three.start_s == pytest.approx((7 * 6 + 80) / RATE)
    end = next(u for u in updates if u.segment_ended)
    assert end.interim == ""
    # The newest token's frame is at 0.36 s; 0.4 s of frames behind it are there at the end of the chunk to 0.80 s.
    assert end.audio_s == pytest.approx(0.80)


def test_silence_before_the_first_word_ends_nothing() -> None:
    updates = updates_of(live(Endpointing(silence_s=0.1, max_segment_s=60)), spoken("a", silence=500), [11])
    assert texts(updates) == ["a"]


def test_a_long_segment_ends_where_it_has_got_to() -> None:
    updates = updates_of(live(Endpointing(silence_s=60, max_segment_s=0.5)), spoken("aaaa bbbb cccc"), [50])
    ends = [u.audio_s for u in updates if u.segment_ended]
    assert ends == pytest.approx([0.52, 0.84])  # 13 chunks of 4 samples; the end of the stream
    assert "".join(texts(updates)).replace(" ", "") == "aaaabbbbcccc"


@pytest.mark.parametrize("beam", [1, 3])
def test_what_is_decoded_depends_on_the_audio_alone(beam: int) -> None:
    rng = np.random.default_rng(beam)
    written = ["".join(rng.choice(list("abcdefg"), rng.integers(1, 6))) for _ in range(7)]
    audio = torch.cat([spoken(f"{word} ", silence=int(rng.integers(0, 60))) for word in written])
    limits = Endpointing(silence_s=0.25, max_segment_s=1.0)
    alone = [updates_of(live(limits, beam), audio, sizes) for sizes in ([2], [len(audio)], [3, 50, 1, 17])]
    assert words(alone[0]) == words(alone[1]) == words(alone[2])
    ends = [[u.audio_s for u in updates if u.segment_ended] for updates in alone]
    assert ends[0] == ends[1] == ends[2]
    assert len(ends[0]) > 3


def test_text_without_blanks_is_not_held_for_ever() -> None:
    recognizer = live()
    updates = updates_of(recognizer, spoken("ab" * 400), [64])
    assert max(len(u.interim) for u in updates) < 300
    assert "".join(w.text for w in words(updates)) == "ab" * 400


def test_delay_and_state_are_those_of_the_context() -> None:
    assert live().algorithmic_delay_ms == pytest.approx(40)
    recognizer = LiveRecognizer(speech_model(), CONTEXT)
    # The stem looks a frame of 10 ms ahead, and half a window reaches 2.5 ms beyond the hop that it is centred before.
    assert recognizer.algorithmic_delay_ms == pytest.approx(160 + 10 + 2.5)
    assert recognizer.state_bytes > 1000


def speech_model(heads: Sequence[str] = ("ctc",)) -> Loaded:
    """A small model with drawn weights, double precision, features from real audio."""
    torch.manual_seed(3)
    features = LogMel(sample_rate=SPEECH_RATE, num_mels=20, level="running")
    ssm = Macaron(mixer=Mamba2(state_dim=8, head_dim=16)).build(32, 0.0)
    attention = Macaron(mixer=Attention(num_heads=2)).build(32, 0.0)
    built = {"ctc": CTCHead(32, 29), "attention": AttentionDecoderHead(32, 29, 1, 2)}
    with torch.no_grad():
        built["ctc"].output.weight.mul_(8)
        built["ctc"].output.bias[2] += 3.0  # blanks between words are common
    encoder = Chain([WhisperConv(causal=False).build(20, 32), ssm, attention])
    chosen = [built[kind] for kind in heads]
    model = SpeechModel(encoder, chosen, [1.0] * len(heads), [3] * len(heads), ((CONTEXT, 1.0),), 29)
    return Loaded(model.double(), features.build().double(), Chars(alphabet=ALPHABET).build(None), Path(), SPEECH_RATE)


def offline(loaded: Loaded, audio: Tensor, beam: int) -> str:
    """The text of a recording decoded at once, in the same context."""
    with torch.inference_mode():
        features = run_whole(loaded.features, Frames.whole(audio[None]), WHOLE)
        (best, *_) = loaded.model.eval().search(features, DecodeOptions(beam=beam), CONTEXT)[0]
    return " ".join(loaded.vocabulary.decode(best.tokens).split())


@pytest.fixture(scope="module")
def recordings(speech: Path) -> list[Tensor]:
    """Digits spoken one after the other, (S,) float64 at 8 kHz."""
    files, rng = sorted((speech / "fsdd" / "recordings").glob("*.wav")), np.random.default_rng(0)
    chosen = [[files[i] for i in rng.integers(0, len(files), rng.integers(1, 8))] for _ in range(64)]
    return [torch.from_numpy(np.concatenate([read_audio(p, SPEECH_RATE) for p in c])).double() for c in chosen]


@pytest.mark.parametrize("beam", [1, pytest.param(4, marks=pytest.mark.prove)])
def test_64_live_streams_say_what_64_recordings_say(recordings: list[Tensor], beam: int) -> None:
    loaded, rng = speech_model(), np.random.default_rng(beam)
    recognizer = LiveRecognizer(loaded, CONTEXT, DecodeOptions(beam=beam))
    waiting, going, words_of, audio_of = list(recordings), {}, {}, {}  # type: ignore[var-annotated]
    while waiting or going:
        if waiting and rng.random() < 0.8:  # joins
            stream = recognizer.open()
            going[stream] = audio_of[stream] = waiting.pop()
            words_of[stream] = []
        for stream in [s for s in going if rng.random() < 0.7]:  # the others idle
            count = int(rng.choice([1, 500, 4000, 9000]))
            recognizer.push(stream, going[stream][:count])
            going[stream] = going[stream][count:]
            if not len(going[stream]):
                recognizer.finish(stream)
                del going[stream]
        for update in recognizer.step():
            words_of[update.stream] += update.words
    while updates := recognizer.step():
        for update in updates:
            words_of[update.stream] += update.words
    assert sum(len(found) for found in words_of.values()) > 100, "the drawn model says next to nothing"
    for stream, found in words_of.items():
        assert " ".join(w.text for w in found) == offline(loaded, audio_of[stream], beam)
        assert [w.start_s for w in found] == sorted(w.start_s for w in found)


def test_a_segment_is_decoded_as_a_recording_of_its_own(recordings: list[Tensor]) -> None:
    loaded, audio = speech_model(), torch.cat(recordings[:3])
    updates = updates_of(LiveRecognizer(loaded, CONTEXT, endpointing=Endpointing(60.0, 1.0)), audio, [3000])
    ends = [0, *(round(u.audio_s * SPEECH_RATE) for u in updates if u.segment_ended)]
    assert len(ends) > 5
    assert ends[-1] == len(audio)
    pieces = [audio[a:b] for a, b in itertools.pairwise(ends)]
    assert texts(updates) == [offline(loaded, piece, beam=1) for piece in pieces]


def test_what_cannot_stream_says_why() -> None:
    with pytest.raises(ValueError, match=r"no CTC decoder \(have: attention\); .* local agreement"):
        LiveRecognizer(speech_model(["attention"]), CONTEXT)
    with pytest.raises(ValueError, match=r"decode.decoder = 'joint' is not CTC.* local agreement"):
        LiveRecognizer(speech_model(["ctc", "attention"]), CONTEXT, DecodeOptions(decoder="joint"))
    with pytest.raises(ValueError, match=r"in this context, part 3.mixer \(Attention\) cannot stream"):
        LiveRecognizer(speech_model(), WHOLE)
    features = LogMel(sample_rate=SPEECH_RATE, num_mels=20, level="utterance")
    whole = attrs.evolve(speech_model(), features=features.build())
    with pytest.raises(ValueError, match=r"part 0 \(MelSpectrogramExtractor\) cannot stream: .*utterance"):
        LiveRecognizer(whole, CONTEXT)


def test_hybrids_are_decoded_by_their_ctc_decoder() -> None:
    assert LiveRecognizer(speech_model(["attention", "ctc"]), CONTEXT).open()


def test_the_context_is_the_trained_one_with_the_chunk_that_is_asked_for() -> None:
    model, frame_ms = made_up().model, Fraction(10)
    assert live_context(model, frame_ms) == WHOLE
    assert live_context(model, frame_ms, 320) == Context(32, 560)
    model.contexts = ((WHOLE, 1.0), (Context(112, 700), 1.0), (Context(32, 560), 2.0))
    assert live_context(model, frame_ms) == Context(32, 560)
    assert live_context(model, frame_ms, 1120) == Context(112, 700)
    assert live_context(model, frame_ms, 80) == Context(8, 700)
    with pytest.raises(ValueError, match="not a whole number of frames"):
        live_context(model, frame_ms, 33)
