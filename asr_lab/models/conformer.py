"""Face: the conformer family by the name that the Python API promises."""

from asr_lab.families.conformer import ConformerASRModel, ConformerConfig

__all__ = ["ConformerASRModel", "ConformerConfig"]
