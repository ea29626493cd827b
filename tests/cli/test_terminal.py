"""What is seen while a source is decoded, and how Ctrl-C ends it."""

from __future__ import annotations

import io
import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from asr_lab.recognition.live import StreamUpdate
from asr_lab.recognition.timed_word import TimedWord
from cli.terminal import JsonLines, LiveText, PlainText, View, show_stream, view_of

Capture = pytest.CaptureFixture[str]


class Echo:
    """Finds in every block a word, its number; each is final when the next is there."""

    def __init__(self) -> None:
        self.blocks: list[int] = []
        self.told = 0
        self.finished = False

    def open(self) -> int:
        return 7

    def push(self, stream: int, samples: Tensor) -> None:
        assert stream == 7
        self.blocks.append(int(samples[0]))

    def finish(self, stream: int) -> None:
        self.finished = True

    def step(self) -> list[StreamUpdate]:
        if self.told < len(self.blocks):
            self.told += 1
            words = self.blocks[max(0, self.told - 2) : self.told - 1]
            return [self.update(words, str(self.blocks[self.told - 1]), False)]
        if self.finished:
            self.finished = False
            return [self.update(self.blocks[-1:], "", True)]
        return []

    def update(self, words: list[int], interim: str, over: bool) -> StreamUpdate:
        final = tuple(TimedWord(str(n), n / 10, n / 10 + 0.05, 0.75) for n in words)
        return StreamUpdate(7, final, interim, over, over, self.told / 10)


class Shown:
    """Keeps what it is shown."""

    def __init__(self) -> None:
        self.updates: list[StreamUpdate] = []

    def show(self, update: StreamUpdate) -> None:
        self.updates.append(update)

    def words(self) -> list[str]:
        return [word.text for update in self.updates for word in update.words]


def numbers(count: int) -> Iterator[Tensor]:
    yield from (torch.full((4,), float(n)) for n in range(count))


def echo(view: View, count: int = 3) -> None:
    show_stream(Echo(), numbers(count), view)  # type: ignore[arg-type]


def test_a_source_is_decoded_to_its_end() -> None:
    shown = Shown()
    echo(shown, 4)
    assert shown.words() == ["0", "1", "2", "3"]
    assert shown.updates[-1].stream_ended


def test_ctrl_c_while_waiting_ends_with_what_was_decoded() -> None:
    def source() -> Iterator[Tensor]:
        yield from numbers(3)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("the wait was not interrupted")

    shown, before = Shown(), signal.getsignal(signal.SIGINT)
    show_stream(Echo(), source(), shown)  # type: ignore[arg-type]
    assert shown.words() == ["0", "1", "2"]
    assert shown.updates[-1].stream_ended
    assert signal.getsignal(signal.SIGINT) is before


def test_ctrl_c_while_computing_lets_the_step_end_and_then_finalises() -> None:
    class Interrupted(Echo):
        def step(self) -> list[StreamUpdate]:
            if len(self.blocks) == 2 and self.told == 1:
                os.kill(os.getpid(), signal.SIGINT)
            return super().step()

    shown = Shown()
    show_stream(Interrupted(), numbers(100), shown)  # type: ignore[arg-type]
    assert shown.words() == ["0", "1"]
    assert shown.updates[-1].stream_ended


def test_a_second_ctrl_c_ends_at_once() -> None:
    class Stuck(Echo):
        def step(self) -> list[StreamUpdate]:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not interrupted")

    with pytest.raises(KeyboardInterrupt):
        show_stream(Stuck(), numbers(3), Shown())  # type: ignore[arg-type]


def test_json_is_a_line_for_every_update_that_says_something_new(capsys: Capture) -> None:
    view = JsonLines()
    echo(view)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["interim"] for line in lines] == ["0", "1", "2", ""]
    word = {"word": "0", "start_s": 0.0, "end_s": 0.05, "confidence": 0.75}
    expected: dict[str, Any] = {"audio_s": 0.2, "final": [word], "interim": "1"}
    assert lines[1] == {**expected, "segment_ended": False, "stream_ended": False}
    assert lines[-1]["stream_ended"]
    view.show(StreamUpdate(7, (), "", False, False, 1.0))
    assert capsys.readouterr().out == ""


def test_plain_text_is_a_line_a_segment(capsys: Capture) -> None:
    view = PlainText()
    echo(view)
    echo(view, 2)
    view.show(StreamUpdate(7, (), "", True, True, 1.0))  # a segment in which no word was spoken
    assert capsys.readouterr().out == "0 1 2\n0 1\n"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_the_growing_segment_on_stderr_and_its_text_on_stdout(monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", err)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    view = view_of(as_json=False)
    assert isinstance(view, LiveText)
    echo(view)
    assert out.getvalue() == "0 1 2\n"
    assert "0 1 \x1b[90m2\x1b[0m" in err.getvalue()


def test_a_pipe_gets_words_as_they_are_final_beside_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setattr("sys.stderr", Terminal())
    view = view_of(as_json=False)
    view.show(Echo().update([5], "6", False))
    assert out.getvalue() == "5"
    view.show(Echo().update([6], "", True))
    assert out.getvalue() == "5 6\n"


def test_what_has_no_terminal_gets_plain_text_or_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert isinstance(view_of(as_json=False), PlainText)
    assert isinstance(view_of(as_json=True), JsonLines)
