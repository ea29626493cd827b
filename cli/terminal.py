"""A live source on the terminal: final words as they come, interim ones in grey."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from types import FrameType

    from rich.live import Live
    from torch import Tensor

    from asr_lab.recognition.live import LiveRecognizer, StreamUpdate
    from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer


class View(Protocol):
    """Where updates are shown."""

    def show(self, update: StreamUpdate) -> None:
        """Show what is new."""


class JsonLines:
    """One JSON object a line on stdout for every update that says something new."""

    def __init__(self) -> None:
        self._interim = ""

    def show(self, update: StreamUpdate) -> None:
        """Print an update, unless nothing changed."""
        import json

        if update.words or update.interim != self._interim or update.segment_ended:
            print(json.dumps(_record(update), ensure_ascii=False), flush=True)
        self._interim = update.interim


class PlainText:
    """Final words on stdout as they come, a line a segment: for pipes."""

    def __init__(self) -> None:
        self._begun = False  # a word of the line was printed

    def show(self, update: StreamUpdate) -> None:
        """Print the new final words."""
        for word in update.words:
            print(" " * self._begun + word.text, end="", flush=True)
            self._begun = True
        if update.segment_ended and self._begun:
            print(flush=True)
            self._begun = False


class LiveText:
    """The segment as it grows on the terminal's stderr, interim words in grey; final text on stdout.

    On a terminal, stdout gets a segment when it has ended and the line on stderr has made room for it.
    """

    def __init__(self) -> None:
        self._words: list[str] = []
        self._live: Live | None = None
        self._pipe = None if sys.stdout.isatty() else PlainText()

    def show(self, update: StreamUpdate) -> None:
        """Draw the segment anew; where it has ended, print it."""
        from rich.text import Text

        self._words += [word.text for word in update.words]
        final = " ".join(self._words)
        if self._pipe is not None:
            self._pipe.show(update)
        if update.segment_ended:
            self.close()
            if final and self._pipe is None:
                print(final, flush=True)
            self._words.clear()
            return
        self._line().update(Text.assemble(final, " " * bool(final), (update.interim, "bright_black")), refresh=True)

    def close(self) -> None:
        """Take the line off the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _line(self) -> Live:
        from rich.console import Console
        from rich.live import Live

        if self._live is None:
            console = Console(stderr=True, highlight=False)
            self._live = Live(
                console=console,
                transient=True,
                auto_refresh=False,
                vertical_overflow="visible",
                redirect_stdout=False,  # or text would go to stderr
                redirect_stderr=False,
            )
            self._live.start()
        return self._live


def view_of(as_json: bool) -> View:
    """What fits the terminal, or the pipe."""
    if as_json:
        return JsonLines()
    return LiveText() if sys.stderr.isatty() else PlainText()


def show_stream(recognizer: LiveRecognizer | AgreementRecognizer, blocks: Iterable[Tensor], view: View) -> None:
    """Decode a source, samples (S,) a block, to its end or to a Ctrl-C, and show its words.

    At a Ctrl-C the words of what came till then are made final; a second one ends at once.
    """
    stream = recognizer.open()
    with _Interrupts() as interrupts:
        for block in interrupts.until_asked(iter(blocks)):
            recognizer.push(stream, block)
            while not interrupts.asked and (updates := recognizer.step()):
                for update in updates:
                    view.show(update)
        recognizer.finish(stream)
        while updates := recognizer.step():
            for update in updates:
                view.show(update)


class _Interrupts:
    """Ctrl-C as a question while something is computed, and as an interruption while a source is waited for."""

    def __init__(self) -> None:
        self.asked = False
        self._waiting = False
        self._before: Any = None

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def until_asked(self, blocks: Iterator[Tensor]) -> Iterator[Tensor]:
        """The blocks of a source, up to its end or the first Ctrl-C."""
        while not self.asked:
            try:
                self._waiting = True
                block = next(blocks, None)
                self._waiting = False
            except KeyboardInterrupt:
                return
            if block is None:
                return
            yield block

    def _take(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self._waiting:
            self._waiting = False
            self.asked = True
            raise KeyboardInterrupt
        self.asked = True


def _record(update: StreamUpdate) -> dict[str, Any]:
    return {
        "audio_s": round(update.audio_s, 3),
        "final": [
            {
                "word": word.text,
                "start_s": round(word.start_s, 3),
                "end_s": round(word.end_s, 3),
                "confidence": round(word.confidence, 4),
            }
            for word in update.words
        ],
        "interim": update.interim,
        "segment_ended": update.segment_ended,
        "stream_ended": update.stream_ended,
    }
