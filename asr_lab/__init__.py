"""ASR Lab: a declarative laboratory for speech recognition. Face: `load` gives a run's trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asr_lab.commands.load import TrainedModel, load
    from asr_lab.errors import LabError
    from asr_lab.recognition.live_words import StreamUpdate
    from asr_lab.recognition.timed_word import TimedWord
    from asr_lab.recognition.transcript import Transcript
    from asr_lab.recognition.transcript_stream import TranscriptStream

__all__ = ["LabError", "StreamUpdate", "TimedWord", "TrainedModel", "Transcript", "TranscriptStream", "load"]

_PLACES = {
    "LabError": "errors",
    "StreamUpdate": "recognition.live_words",
    "TimedWord": "recognition.timed_word",
    "TrainedModel": "commands.load",
    "Transcript": "recognition.transcript",
    "TranscriptStream": "recognition.transcript_stream",
    "load": "commands.load",
}


def __getattr__(name: str) -> Any:
    if name in _PLACES:
        from importlib import import_module

        return getattr(import_module(f"asr_lab.{_PLACES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
