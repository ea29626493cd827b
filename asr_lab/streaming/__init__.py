"""The streaming law: any legal way of cutting the input gives the same frames."""

from asr_lab.streaming.context import WHOLE, Context
from asr_lab.streaming.frames import Frames, last_valid
from asr_lab.streaming.streamable import Chain, Streamable, cut, joined, run_whole, scan

__all__ = ["WHOLE", "Chain", "Context", "Frames", "Streamable", "cut", "joined", "last_valid", "run_whole", "scan"]
