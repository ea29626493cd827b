"""Many clients of one live server with a real encoder behind it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from talking import END, Reply, hello, pieces, run, running, talk
from websockets.asyncio.client import connect

from asr_lab.audio.reading import read_audio
from asr_lab.compiler.load import load_recipe
from asr_lab.compiler.model import build_model
from asr_lab.models.model import SpeechModel
from asr_lab.recipe import Decode, Recipe
from asr_lab.recognition.live import Endpointing, LiveRecognizer, live_context
from asr_lab.serving.limits import ServingLimits
from asr_lab.serving.protocol import samples_of
from asr_lab.streaming import Streamable
from asr_lab.text.vocabulary import Word

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
ONE_OF = 4
"""Of so many tokens one begins a word."""
CHUNK_MS = 320


class Numbers:
    """A vocabulary of a given size; every fourth token begins a word."""

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def decode(self, tokens: Sequence[int]) -> str:
        return "".join(f"{' ' if token % ONE_OF == 0 else ''}{token}" for token in tokens)

    def words(self, tokens: Sequence[int]) -> list[Word]:
        starts = [i for i, token in enumerate(tokens) if i == 0 or token % ONE_OF == 0]
        ends = [*starts[1:], len(tokens)]
        return [Word("".join(map(str, tokens[a:b])), a, b - 1) for a, b in zip(starts, ends, strict=True) if b > a]

    def fingerprint(self) -> str:
        return str(self.vocab_size)


@attrs.frozen
class Untrained:
    """A recipe's model with random weights: it costs what a trained one costs."""

    model: SpeechModel
    features: Streamable[Any]
    vocabulary: Numbers
    sample_rate: int


def recognizer_of(recipe: Recipe, vocab_size: int, max_streams: int) -> LiveRecognizer:
    torch.manual_seed(1)
    model = build_model(recipe.features, recipe.encoder, recipe.decoder, vocab_size).eval()
    loaded = Untrained(model, recipe.features.build(), Numbers(vocab_size), recipe.features.sample_rate)
    context = live_context(model, recipe.features.frame_ms, CHUNK_MS)
    return LiveRecognizer(loaded, context, Decode(), Endpointing(), max_streams)


def speech_pcm(speech: Path, rate: int, count: int) -> list[bytes]:
    """Read speech as 16-bit PCM."""
    files = sorted((speech / "kerstin-de" / "audio").glob("*.opus"))[:count]
    if len(files) < count:
        pytest.skip(f"no {count} recordings in {speech / 'kerstin-de'}")
    return [np.round(read_audio(file, rate) * 32767).astype("<i2").tobytes() for file in files]


def alone(recognizer: LiveRecognizer, data: bytes) -> list[str]:
    stream = recognizer.open()
    recognizer.push(stream, torch.from_numpy(samples_of(data)))
    recognizer.finish(stream)
    found = []
    while updates := recognizer.step():
        found += [word.text for update in updates for word in update.words]
    return found


def test_clients_at_once_get_from_a_model_what_each_gets_alone(speech: Path) -> None:
    recipe = load_recipe(RECIPES / "ssm_tiny.toml", ["encoder.dim=32"]).value
    recognizer = recognizer_of(recipe, 64, max_streams=4)
    rate = recipe.features.sample_rate
    data = speech_pcm(speech, rate, 4)
    lone = [alone(recognizer, each) for each in data]

    async def together(url: str) -> list[Reply]:
        sizes = (1000, 6400, 31998, 512)
        clients = [talk(url, hello(rate), *pieces(each, size), END) for each, size in zip(data, sizes, strict=True)]
        return await asyncio.gather(*clients)

    with running(recognizer, rate=rate, turn_samples=CHUNK_MS * rate // 1000) as server:
        replies = run(together(server.url), within_s=120)
    assert [each.words for each in replies] == lone
    assert all(len(words) > 5 for words in lone)


@pytest.mark.prove
def test_32_clients_are_decoded_in_real_time_by_the_base_ssm(speech: Path) -> None:
    """On two cores, 30 s of speech each, told apart by when they begin: none is turned away, none falls behind."""
    clients, seconds = 32, 30.0
    recipe = load_recipe(RECIPES / "ssm_base.toml").value
    rate = recipe.features.sample_rate
    recognizer = recognizer_of(recipe, 1024, clients)
    audio = b"".join(speech_pcm(speech, rate, 40))
    with running(recognizer, ServingLimits(), rate, CHUNK_MS * rate // 1000) as server:

        async def all_of_them() -> list[Live]:
            tasks = []
            for number in range(clients):
                start = 2 * rate * number
                tasks.append(
                    talk_in_real_time(server.url, rate, audio[start : start + int(2 * rate * seconds)], number)
                )
            return await asyncio.gather(*tasks)

        lives = run(all_of_them(), within_s=seconds + 60)
    lags = np.concatenate([live.lags_s for live in lives])
    figures = {
        "clients": clients,
        "threads": torch.get_num_threads(),
        "lag_ms": {f"p{p}": round(1000 * float(np.percentile(lags, p))) for p in (50, 95, 99, 100)},
        "rtf": round(float(np.mean([live.rtf for live in lives])), 3),
        "delay_ms": recognizer.algorithmic_delay_ms,
    }
    print(json.dumps(figures))
    assert [live.code for live in lives] == [1000] * clients
    assert all(live.decoded_s == pytest.approx(seconds, abs=0.01) for live in lives)
    # In real time: a step ends before the audio of the next one has come, but for the odd one.
    assert np.percentile(lags, 99) < 2 * CHUNK_MS / 1000


@attrs.frozen
class Live:
    """How a client that sends in real time was served."""

    lags_s: NDArray[np.float64]
    """For each update, how long after its last audio was sent it came."""
    decoded_s: float
    rtf: float
    code: int


async def talk_in_real_time(url: str, rate: int, data: bytes, number: int) -> Live:
    """Speak in messages of 100 ms as a microphone does, beginning at a moment of one's own."""
    await asyncio.sleep(number * 0.037)
    lags, decoded_s, rtf = [], 0.0, 0.0
    async with connect(url, compression=None) as socket:
        await socket.send(hello(rate, "microphone"))
        started_s = time.monotonic()

        async def speak() -> None:
            for index, piece in enumerate(pieces(data, rate // 5)):
                await asyncio.sleep(max(0.0, started_s + 0.1 * (index + 1) - time.monotonic()))
                await socket.send(piece)
            await socket.send(END)

        speaking = asyncio.ensure_future(speak())
        async for text in socket:
            message = json.loads(text)
            assert message["type"] != "error", message
            if message["type"] == "update":
                decoded_s, rtf = message["audio_s"], message["rtf"]
                lags.append(time.monotonic() - started_s - decoded_s)
        await speaking
        assert socket.close_code is not None
        return Live(np.array(lags), decoded_s, rtf, socket.close_code)
