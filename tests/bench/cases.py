"""What `just bench` measures; loads without torch."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Literal

import attrs

RECIPES = Path(__file__).resolve().parents[2] / "recipes"
BATCH = 8
"""Utterances of a training step."""
AUDIO_S = 10
"""Seconds of each."""
TOKENS = 40
"""Tokens of each: 4 a second."""

Kind = Literal[
    "base",
    "twin",
    "peer",
    "live",
    "live_twin",
    "live_peer",
    "encoder",
    "plan",
    "million",
    "reading",
    "scoring",
    "checkpoints",
    "parallel",
    "loop",
]
STREAMS_LIKE_NEMO = (
    "encoder.stem.causal=true",
    "encoder.block.conf.conv.causal=true",
    'features.level="none"',
)
"""What turns the twin of NeMo's offline model into that of its streaming one."""


@attrs.frozen
class Case:
    """One measurement, made in a process of its own."""

    name: str
    kind: Kind
    recipe: Path | None = None
    """Of a base size or a twin."""
    module: str | None = None
    """What a peer is imported as."""
    twin: str | None = None
    """Whom a peer is held against."""
    overrides: tuple[str, ...] = ()
    """Of the recipe, as `--set` takes them."""

    @property
    def trains(self) -> bool:
        """Whether it is a training step."""
        return self.kind in ("base", "twin", "peer")

    @property
    def lives(self) -> bool:
        """Whether it is live streams on one core."""
        return self.kind in ("live", "live_twin", "live_peer")

    @property
    def is_peer(self) -> bool:
        """Whether it is another toolkit's."""
        return self.module is not None

    @property
    def installed(self) -> bool:
        """Whether it can run here."""
        return self.module is None or importlib.util.find_spec(self.module) is not None


CASES = (
    *(Case(n, "base", RECIPES / f"{n}.toml") for n in ("ssm_base", "whisper_base", "conformer_base", "conformer_fast")),
    Case("nemo_twin", "twin", RECIPES / "bench" / "nemo_twin.toml"),
    Case("nemo", "peer", module="nemo", twin="nemo_twin"),
    Case("whisper_twin", "twin", RECIPES / "bench" / "whisper_twin.toml"),
    Case("whisper", "peer", module="whisper", twin="whisper_twin"),
    Case("hf_twin", "twin", RECIPES / "bench" / "hf_twin.toml"),
    Case("hf", "peer", module="transformers", twin="hf_twin"),
    *(Case(f"live_{n}", "live", RECIPES / f"{n}.toml") for n in ("ssm_base", "conformer_fast")),
    Case("live_nemo_twin", "live_twin", RECIPES / "bench" / "nemo_twin.toml", overrides=STREAMS_LIKE_NEMO),
    Case("live_nemo", "live_peer", module="nemo", twin="live_nemo_twin"),
    Case("encoder", "encoder"),
    Case("plan", "plan"),
    Case("million", "million"),
    Case("reading", "reading"),
    Case("scoring", "scoring"),
    Case("checkpoints", "checkpoints"),
    Case("parallel", "parallel"),
    Case("loop", "loop"),
)


def chosen(only: str, peers: bool) -> tuple[Case, ...]:
    """The cases whose name or kind is in the comma-separated list, all when it is empty; peers where asked for.

    ValueError for what is neither.
    """
    wanted = {w.strip() for w in only.split(",") if w.strip()}
    known = {c.name for c in CASES} | {c.kind for c in CASES}
    if unknown := wanted - known:
        raise ValueError(f"nothing called {', '.join(sorted(unknown))} (have: {', '.join(sorted(known))})")
    return tuple(
        c for c in CASES if (not wanted or {c.name, c.kind} & wanted) and (not c.is_peer or peers or c.name in wanted)
    )
