"""The live page in a real browser, with a real recording as its microphone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import attrs
import numpy as np
import pytest
import soundfile
import torch
from chromium import CHROMIUM, Page, chromium
from numpy.typing import NDArray
from talking import RATE, Digesting, Running, running, wait_until, words_of
from torch import Tensor

from asr_lab.audio.reading import read_audio
from asr_lab.audio.resampling import resample

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine; `just browser` installs it")

PHONE = (360, 740)
DESK = (1000, 800)
PATIENCE_S = 60.0
TEXT = "[...document.querySelectorAll('.final')].map((part) => part.textContent.trim()).join(' ')"
Audio = NDArray[np.float32]


@attrs.define
class Remembering(Digesting):
    """Keeps all samples of its only stream."""

    samples: list[Tensor] = attrs.field(factory=list)

    def push(self, stream: int, samples: Tensor) -> None:
        self.samples.append(samples.clone())
        Digesting.push(self, stream, samples)

    @property
    def seconds(self) -> float:
        return sum(len(part) for part in self.samples) / RATE

    @property
    def words(self) -> list[str]:
        data = torch.cat(self.samples).numpy()
        return words_of(np.round(data * 32768).astype("<i2").tobytes())


@pytest.fixture(scope="module")
def recording(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of read speech, as a 16-bit WAV of 16 kHz."""
    folder = speech / "kerstin-de" / "audio"
    files = sorted(folder.glob("*.opus"))[:2]
    if not files:
        pytest.skip(f"no recordings in {folder}")
    path = tmp_path_factory.mktemp("recording") / "speech.wav"
    soundfile.write(path, np.concatenate([read_audio(file, RATE) for file in files]), RATE, subtype="PCM_16")
    return path


@pytest.fixture(scope="module")
def browser(recording: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    with chromium(tmp_path_factory.mktemp("chromium"), recording) as page:
        yield page


def visit(page: Page, server: Running, size: tuple[int, int] = DESK, *, dark: bool = False) -> None:
    page.complaints.clear()
    page.screen(*size, dark=dark, phone=size == PHONE)
    page.open(f"http://127.0.0.1:{server.port}/")
    wait_for_state(page, "idle")


def wait_for_state(page: Page, state: str) -> None:
    page.wait_for(f"document.body.dataset.state === '{state}'", PATIENCE_S)


def press(page: Page, name: str) -> None:
    page.value(f"document.getElementById('{name}').click()")


def shown(page: Page, name: str) -> str:
    return str(page.value(f"document.getElementById('{name}').textContent"))


def test_the_microphone_is_decoded_and_its_words_are_read(browser: Page, recording: Path, tmp_path: Path) -> None:
    recognizer = Remembering()
    with running(recognizer) as server:
        visit(browser, server)
        press(browser, "talk")
        wait_for_state(browser, "streaming")
        wait_until(lambda: recognizer.seconds > 3, PATIENCE_S)
        browser.wait_for("document.querySelector('.interim')?.textContent.startsWith('after')", PATIENCE_S)
        assert float(browser.value("document.getElementById('level').ariaValueNow")) > -60
        browser.picture(tmp_path / "streaming.png")
        press(browser, "talk")
        wait_for_state(browser, "ended")
        assert browser.value(TEXT).split() == recognizer.words
    assert shown(browser, "delay").endswith((" ms", " s"))
    assert float(shown(browser, "rtf")) > 0
    assert browser.complaints == []
    captured = torch.cat(recognizer.samples).numpy()
    assert likeness(captured, soundfile.read(recording, dtype="float32")[0]) > 0.9


def likeness(captured: Audio, recording: Audio) -> float:
    """The largest correlation of any half second that was captured with any stretch of a recording that is repeated."""
    looped = np.concatenate([recording, recording])
    width = RATE // 2
    energy = np.convolve(looped.astype(np.float64) ** 2, np.ones(width), "valid")
    best = 0.0
    for start in range(0, len(captured) - width, width):
        part = captured[start : start + width].astype(np.float64)
        size = 1 << (len(looped) + width - 1).bit_length()
        products = np.fft.irfft(np.fft.rfft(looped, size) * np.conj(np.fft.rfft(part, size)), size)[: len(energy)]
        norm = np.sqrt(np.maximum(energy, 1e-3) * max(float(part @ part), 1e-3))
        best = max(best, float((products / norm).max()))
    return best


def test_a_recording_that_is_opened_reaches_the_model_as_it_is(browser: Page, recording: Path) -> None:
    samples, _ = soundfile.read(recording, dtype="int16")
    recognizer = Remembering()
    with running(recognizer) as server:
        visit(browser, server)
        browser.choose_file("#file", recording)
        wait_for_state(browser, "ended")
        given = torch.cat(recognizer.samples).numpy() * 32768
        assert len(given) == len(samples)
        assert np.abs(given - samples).max() <= 1  # Chromium decodes positive samples to multiples of 1/32767
        words = recognizer.words
        assert browser.value(TEXT).split() == words
        press(browser, "clear")
        assert browser.value(TEXT) == ""
        browser.choose_file("#file", recording)  # the same again
        wait_for_state(browser, "ended")
        assert browser.value(TEXT).split() == words
    assert browser.complaints == []


def test_stopping_a_recording_finalises_what_was_decoded_of_it(browser: Page, recording: Path) -> None:
    with running(Digesting(step_s=0.05)) as server:
        visit(browser, server)
        browser.choose_file("#file", recording)
        browser.wait_for(f"({TEXT}).length > 0", PATIENCE_S)
        press(browser, "talk")
        wait_for_state(browser, "ended")
        decoded_s = 0.1 * len(browser.value(TEXT).split())
    assert decoded_s < soundfile.info(recording).duration - 1
    assert browser.complaints == []


def test_what_is_not_audio_is_an_error(browser: Page, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not audio")
    with running(Digesting()) as server:
        visit(browser, server)
        browser.choose_file("#file", tmp_path / "notes.wav")
        wait_for_state(browser, "error")
        assert shown(browser, "state") == "notes.wav is not audio that this browser can decode."


@pytest.mark.parametrize("rate", [8000, 16000, 44100, 48000])
def test_the_worklet_resamples_as_the_recordings_of_training_were(browser: Page, rate: int) -> None:
    sound = np.random.default_rng(rate).uniform(-0.9, 0.9, rate // 2).astype(np.float32)
    script = f"""(async () => {{
        const sound = Float32Array.from({sound.tolist()});
        const context = new OfflineAudioContext(1, sound.length, {rate});
        await context.audioWorklet.addModule("/worklet.js");
        const node = new AudioWorkletNode(context, "capture", {{ processorOptions: {{ sampleRate: {RATE} }} }});
        const buffer = new AudioBuffer({{ length: sound.length, sampleRate: {rate} }});
        buffer.copyToChannel(sound, 0);
        const source = new AudioBufferSourceNode(context, {{ buffer }});
        source.connect(node).connect(context.destination);
        const got = [];
        const stopped = new Promise((done) => {{
            node.port.onmessage = ({{ data }}) => (data.stopped ? done() : got.push(...new Int16Array(data.pcm)));
        }});
        source.start();
        await context.startRendering();
        node.port.postMessage("stop");
        await Promise.race([stopped, new Promise((done) => setTimeout(done, 3000))]);
        return got;
    }})()"""
    with running(Digesting()) as server:
        visit(browser, server)
        got = np.array(browser.value(script))
    wanted = resample(sound, rate, RATE) * 32768
    # Rendered in blocks of 128, the last one filled up; what the filter holds is not asked of a context that is over.
    common = min(len(got), len(wanted)) - 100
    assert common > 0.9 * len(wanted)
    assert np.abs(got[:common] - np.clip(wanted[:common], -32768, 32767)).max() <= 0.51


@pytest.mark.parametrize(
    ("name", "words"),
    [("NotAllowedError", "was not allowed"), ("NotFoundError", "No microphone was found"), ("Other", "be opened: why")],
)
def test_a_microphone_that_cannot_be_had_is_explained(browser: Page, name: str, words: str) -> None:
    with running(Digesting()) as server:
        visit(browser, server)
        browser.value(
            f"navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('why', '{name}')); 0"
        )
        press(browser, "talk")
        wait_for_state(browser, "error")
        assert words in shown(browser, "state")
        assert shown(browser, "talk-label") == "Talk"


def test_a_server_that_goes_is_noticed_and_the_words_stay(browser: Page) -> None:
    with running(Digesting()) as server:
        visit(browser, server)
        press(browser, "talk")
        browser.wait_for(f"({TEXT}).length > 0", PATIENCE_S)
    wait_for_state(browser, "error")
    assert "server has stopped" in shown(browser, "state") or "was lost" in shown(browser, "state")
    assert browser.value(TEXT)


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_and_can_be_read_in_light_and_dark(browser: Page, recording: Path, dark: bool) -> None:
    with running(Digesting()) as server:
        visit(browser, server, PHONE, dark=dark)
        browser.choose_file("#file", recording)
        wait_for_state(browser, "ended")
        browser.value("document.querySelector('.final').append('so' + 'long'.repeat(30) + 'a'); 0")
        assert browser.value("document.documentElement.scrollWidth") <= PHONE[0]
        inside = "(s) => Math.max(...[...document.querySelectorAll(s)].map((e) => e.getBoundingClientRect().right))"
        assert browser.value(f"({inside})('#transcript *')") <= browser.value(f"({inside})('#transcript')") + 1
        sizes = browser.value(
            "[...document.querySelectorAll('button, .button')].map((b) => b.getBoundingClientRect().height)"
        )
        assert min(sizes) >= 44
        for selector in (".final", ".small", "#model", "#state", "dt", "time", "#talk"):
            assert contrast(browser, selector) >= 4.5, selector
        browser.value("document.querySelector('.final').className = 'interim'")
        assert contrast(browser, ".interim") >= 4.5


def contrast(page: Page, selector: str) -> float:
    """Of a text and what is behind it (WCAG 2.2, 1.4.3)."""
    colours = page.value(
        f"""(() => {{
            let node = document.querySelector("{selector}");
            const text = getComputedStyle(node).color;
            while (getComputedStyle(node).backgroundColor === "rgba(0, 0, 0, 0)") node = node.parentElement;
            return [text, getComputedStyle(node).backgroundColor].map((c) => c.match(/[\\d.]+/g).map(Number));
        }})()"""
    )
    lights = sorted(luminance(c[:3]) for c in colours)
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def luminance(colour: list[float]) -> float:
    linear = [c / 255 / 12.92 if c / 255 <= 0.04045 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_every_control_has_a_name_and_the_text_is_announced(browser: Page) -> None:
    with running(Digesting()) as server:
        visit(browser, server)
        nodes = browser.call("Accessibility.getFullAXTree")["nodes"]
    named = {node["role"]["value"]: node["name"]["value"] for node in nodes if node.get("name") and not node["ignored"]}
    buttons = [n["name"]["value"] for n in nodes if n.get("role", {}).get("value") == "button" and not n["ignored"]]
    assert {"Talk", "Copy", "Clear"} <= set(buttons)
    assert named["meter"] == "Level of the audio"
    assert {"status", "log"} <= {node["role"]["value"] for node in nodes if "role" in node}
    assert all(buttons)
