"""Face: the whisper family by the name that the Python API promises."""

from asr_lab.families.whisper import WhisperASRModel, WhisperConfig

__all__ = ["WhisperASRModel", "WhisperConfig"]
