"""How much is encoded at once, and the boundaries at which a buffer is cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from spelling import RATE, live, spoken

from asr_lab.recognition.local_agreement import recognizer as agreement
from asr_lab.recognition.local_agreement.buffer import KEPT, Buffer
from asr_lab.recognition.local_agreement.decoder import Placed, Reading
from asr_lab.slots.tokenizers.chars import CharacterTokenizer

STEP_SAMPLES, MAX_SAMPLES = 50, 200
VOCABULARY = CharacterTokenizer(" abcd")


@pytest.mark.parametrize(
    ("max_buffer_s", "batches"), [(60.0, [4, 3]), (100.0, [2, 2, 2, 1]), (300.0, [1] * 7), (20.0, [7])]
)
def test_streams_are_encoded_together_up_to_240_padded_seconds(
    max_buffer_s: float, batches: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    recognizer = live(max_buffer_s=max_buffer_s)
    sizes: list[int] = []
    decode = recognizer._decoder.decode

    def counted(audio: Sequence[torch.Tensor], openings: Sequence[Sequence[int]]) -> Any:
        sizes.append(len(audio))
        return decode(audio, openings)

    monkeypatch.setattr(recognizer._decoder, "decode", counted)
    for _ in range(7):
        recognizer.push(recognizer.open(), spoken("abc def ghi")[:50])
    assert len(recognizer.step()) == 7
    assert sizes == batches
    assert (agreement.STEP_MS, agreement.MAX_BUFFER_S, agreement.MAX_BATCH_S) == (1000.0, 15.0, 240.0)


def test_the_shortest_buffer_holds_two_steps() -> None:
    assert live(max_buffer_s=1.0).state_bytes == RATE * 4
    with pytest.raises(ValueError, match=r"a buffer of 0\.99 s does not hold two steps of 500 ms"):
        live(max_buffer_s=0.99)


def buffer_of(agreeing: int, num_samples: int, text: str) -> Buffer:
    """One that has read a text, a tenth of a second a token, in so many samples."""
    buffer = Buffer(VOCABULARY, RATE, STEP_SAMPLES, MAX_SAMPLES, agreeing)
    buffer.add(torch.zeros(num_samples))
    tokens = VOCABULARY.encode(text)
    placed = tuple(Placed(token, i / 10, (i + 1) / 10, 0.9) for i, token in enumerate(tokens))
    buffer.take(Reading(placed, "ctc"))
    return buffer


def test_audio_is_cut_when_the_next_step_would_not_fit_and_not_a_sample_earlier() -> None:
    buffer = buffer_of(2, MAX_SAMPLES - STEP_SAMPLES, "ab cd")
    assert buffer.make_room() == buffer.make_room(full=True) == []
    assert len(buffer.audio) == 150
    final = buffer_of(1, MAX_SAMPLES - STEP_SAMPLES, "ab cd")
    final.make_room()
    assert len(final.audio) == 150
    buffer.add(torch.zeros(1))
    forced = buffer.make_room()
    # Between the words, at 0.25 s; a cut behind the last could cut what is still being said.
    assert [(w.text, w.start_s, w.end_s) for w in forced] == [("ab", 0.0, 0.2)]
    assert forced[0].confidence == pytest.approx(0.9)
    assert len(buffer.audio) == 151 - 25
    assert buffer.end_s == pytest.approx(1.51)
    assert [w.text for w in buffer.interim] == ["cd"]
    assert buffer.opening == []


def test_a_text_that_is_full_waits_until_a_word_of_it_is_settled() -> None:
    waiting = buffer_of(2, 60, "ab")
    assert waiting.make_room(full=True) == []
    assert len(waiting.audio) == 60
    final = buffer_of(1, 60, "ab")
    assert final.opening == VOCABULARY.encode("ab")
    assert final.make_room(full=False) == []
    assert len(final.audio) == 60
    assert final.make_room(full=True) == []  # the one word is final already
    assert len(final.audio) == 60 - 40  # in the middle between its end and the audio's
    assert final.opening == []


def test_what_is_left_behind_a_cut_is_how_the_next_text_begins() -> None:
    buffer = buffer_of(1, 151, "ab cd a")
    assert KEPT == 0.5
    assert buffer.opening == VOCABULARY.encode("ab cd a")
    assert buffer.make_room() == []
    # Settled words are let go of up to the middle of the audio, 0.755 s, but one is kept if it can be.
    assert buffer.opening == VOCABULARY.encode("a")
    assert len(buffer.audio) == 151 - 55
