"""Face: the ssm family by the name that the Python API promises."""

from asr_lab.families.ssm import SSMASRModel, SSMConfig

__all__ = ["SSMASRModel", "SSMConfig"]
