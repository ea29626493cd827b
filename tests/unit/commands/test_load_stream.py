"""Live streams of `asr_lab.load`'s models: whatever the pieces, the same words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from talkative import ATTENTION, RATE, Make, melody, write

import asr_lab
from asr_lab import StreamUpdate, TimedWord, TrainedModel
from asr_lab.audio.resampling import resample
from asr_lab.errors import DataError, RunError
from cli.transcribe import transcribe

OFFLINE = ('contexts = [{ chunk_ms = 320, left_ms = 640 }, { chunk = "whole" }]', 'contexts = [{ chunk = "whole" }]')


def words_of(updates: list[StreamUpdate]) -> list[TimedWord]:
    return [word for update in updates for word in update.words]


def blocks(audio: np.ndarray, seed: int, longest: int = 3000) -> Iterator[np.ndarray]:
    """Pieces of random sizes, empty ones too."""
    rng = np.random.default_rng(seed)
    start = 0
    while start < len(audio):
        size = int(rng.integers(0, longest))
        yield audio[start : start + size]
        start += size


def streamed(model: TrainedModel, pieces: Any, rate: int = RATE, **how: Any) -> list[StreamUpdate]:
    with model.stream(rate, **how) as stream:
        return [*(update for piece in pieces for update in stream.push(piece)), stream.finish()]


@pytest.mark.parametrize("rate", [RATE, 2 * RATE, 11025])
def test_pieces_of_any_sizes_give_the_same_final_words(model: TrainedModel, rate: int) -> None:
    audio = resample((melody(5) / 32768).astype(np.float32), RATE, rate)
    whole = streamed(model, [audio], rate)
    expected = words_of(whole)
    assert len(expected) > 2
    for seed in range(3):
        found = streamed(model, blocks(audio, seed), rate)
        assert [w.text for w in words_of(found)] == [w.text for w in expected]
        assert [w.start_s for w in words_of(found)] == pytest.approx([w.start_s for w in expected])
        assert [w.confidence for w in words_of(found)] == pytest.approx([w.confidence for w in expected], abs=1e-3)
    assert whole[-1].audio_s == pytest.approx(len(audio) / rate, abs=1e-3)
    stereo = np.stack([audio, audio], 1)
    assert words_of(streamed(model, blocks(stereo, 0), rate)) == words_of(streamed(model, blocks(audio, 0), rate))


def test_words_come_while_audio_is_pushed_and_lie_in_what_was_decoded(model: TrainedModel) -> None:
    audio = melody(5)
    with model.stream(RATE) as stream:
        updates = stream.push(audio)
        assert len(words_of(updates)) > 1
        assert any(update.interim for update in updates)
        assert 5 - updates[-1].audio_s <= stream.delay_ms / 1000
        last = stream.finish()
    assert (last.interim, last.segment_ended, last.audio_s) == ("", True, 5)
    for update in (*updates, last):
        assert all(0 <= word.start_s < word.end_s <= update.audio_s + 0.04 for word in update.words)
    assert stream.notes == ("chunks of 320 ms, algorithmic delay 322.5 ms",)


def test_the_command_streams_what_python_streams(
    model: TrainedModel, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    audio = melody(3)
    transcribe([write(tmp_path / "a.wav", audio)], model.name, stream=True, as_json=True)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    printed = [word["word"] for line in lines for word in line["final"]]
    assert printed == [word.text for word in words_of(streamed(model, [audio]))]


def test_streams_of_one_model_do_not_notice_each_other(model: TrainedModel) -> None:
    one, other = melody(3, 1), melody(3, 2)
    first, second = model.stream(RATE), model.stream(RATE)
    found: tuple[list[StreamUpdate], ...] = [], []
    for start in range(0, len(one), 4000):
        found[0].extend(first.push(one[start : start + 4000]))
        found[1].extend(second.push(other[start : start + 4000]))
        model.transcribe(other, RATE)
    found[0].append(first.finish())
    found[1].append(second.finish())
    assert words_of(found[0]) == words_of(streamed(model, [one]))
    assert words_of(found[1]) == words_of(streamed(model, [other]))


def test_a_stream_that_has_ended_takes_no_more(model: TrainedModel) -> None:
    with model.stream(RATE) as stream:
        assert stream.finish().words == ()
        for call in (stream.finish, lambda: stream.push(melody(1))):
            with pytest.raises(ValueError, match="this stream has ended"):
                call()
    with model.stream(RATE) as stream:
        stream.push(melody(1))
    stream.close()
    with pytest.raises(ValueError, match="this stream has ended"):
        stream.push(melody(1))


def test_samples_that_cannot_be_used_leave_the_stream_as_it_was(model: TrainedModel) -> None:
    audio = melody(2)
    with model.stream(2 * RATE) as stream:
        updates = stream.push(audio[:5000])
        for wrong in (np.array([0.1, np.nan]), [1, 2], np.zeros((2, 9000)), audio.astype(np.float64)):
            with pytest.raises(DataError):
                stream.push(wrong)
        updates += stream.push(audio[5000:])
        updates.append(stream.finish())
    assert words_of(updates) == words_of(streamed(model, [audio[:5000], audio[5000:]], 2 * RATE))


@pytest.mark.parametrize(
    ("rate", "message"),
    [(2**31 - 1, "can be resampled"), (500, "can be resampled"), (16001, "too large a filter"), (None, "need their")],
)
def test_a_stream_at_an_absurd_rate_is_refused(model: TrainedModel, rate: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        model.stream(rate)


def test_a_model_that_cannot_stream_says_why_and_the_way_out(make: Make) -> None:
    model = asr_lab.load(make(*OFFLINE).path)
    with pytest.raises(RunError, match=r"part 2.mixer \(Attention\) cannot stream: .*can be tried with chunk_ms$"):
        model.stream(RATE)
    with pytest.raises(RunError, match="33 ms is not a whole number of frames"):
        model.stream(RATE, chunk_ms=33)
    for chunk_ms in (0, -40, float("nan"), float("inf")):
        with pytest.raises(RunError, match="a chunk lasts more than 0 ms"):
            model.stream(RATE, chunk_ms=chunk_ms)
    with model.stream(RATE, chunk_ms=320) as stream:
        assert stream.notes[-1] == "the model was not trained in chunks of 320 ms"
    loudest = make(*OFFLINE, 'floor = "fixed"', 'floor = "utterance"')
    with pytest.raises(RunError, match="lies below the loudest frame of the whole utterance"):
        asr_lab.load(loudest.path).stream(RATE, chunk_ms=320)


def test_an_attention_decoder_streams_by_local_agreement(make: Make) -> None:
    model = asr_lab.load(make(*ATTENTION).path)
    found = streamed(model, blocks(melody(3), 0))
    assert found[-1].audio_s == 3
    assert found[-1].times_from in ("attention", "proportion")
    assert "local agreement" in model.stream(RATE).notes[0]
