"""The proof of streaming: it holds for what obeys the law, and names what does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest
import torch

from asr_lab.audio.reading import read_audio
from asr_lab.compiler.model import build_model
from asr_lab.evaluation.streaming.decisions import decide
from asr_lab.evaluation.streaming.proof import Check, Proof, Subject, Utterances, prove, together
from asr_lab.models.model import SpeechModel
from asr_lab.nn.ctc.head import CTCHead
from asr_lab.nn.decoder import SearchOptions
from asr_lab.recipe import ContextSpec, Encoder, Stack
from asr_lab.slots.blocks.attention import Attention
from asr_lab.slots.blocks.macaron import Macaron
from asr_lab.slots.blocks.mamba2 import Mamba2
from asr_lab.slots.decoders import Decoder
from asr_lab.slots.decoders.attention import AttentionDecoder
from asr_lab.slots.decoders.ctc import CTC
from asr_lab.slots.features.log_mel import LogMel
from asr_lab.slots.stems.depthwise_stride import DepthwiseStride
from asr_lab.streaming import WHOLE, Context, Frames, Streamable

RATE = 8000
FEATURES = LogMel(sample_rate=RATE, num_mels=16, level="running")
ENCODER = Encoder(
    dim=16,
    stem=DepthwiseStride(factor=4, channels=8),
    contexts=(ContextSpec(chunk_ms=160, left_ms=640), ContextSpec(chunk="whole")),
    stack=(Stack(blocks=("ssm", "att")),),
    block={"ssm": Macaron(mixer=Mamba2(head_dim=8, state_dim=8)), "att": Macaron(mixer=Attention(num_heads=2))},
)
NAMES = ("stem", "layer 1, ssm", "layer 2, att")
CHUNKED = [("160 ms", Context(16 * 80, 64 * 80)), ("320 ms", Context(32 * 80, 64 * 80))]
CONTEXTS = [*CHUNKED, ("whole", WHOLE)]


def model(*decoders: Decoder) -> SpeechModel:
    torch.manual_seed(1)
    built = build_model(FEATURES, ENCODER, decoders or (CTC(),), 20)
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return built.eval()


@pytest.fixture(scope="module")
def spoken(speech: Path) -> Utterances:
    """Four digits, of several lengths."""
    torch.set_num_threads(1)
    lines = (speech / "fsdd" / "manifest.tsv").read_text().splitlines()
    place = lines[0].split("\t").index("audio")
    paths = [line.split("\t")[place] for line in lines[1:1400:400]]
    audio = [torch.from_numpy(read_audio(speech / "fsdd" / path, RATE)) for path in paths]
    lengths = torch.tensor([len(one) for one in audio])
    return Utterances(tuple(paths), Frames.whole(torch.nn.utils.rnn.pad_sequence(audio, batch_first=True), lengths))


def checks_of(built: SpeechModel, spoken: Utterances, contexts: Sequence[tuple[str, Context]]) -> list[Check]:
    return list(prove(Subject.of(built, FEATURES.build(), NAMES), contexts, spoken, seed=3))


def proof_of(checks: Sequence[Check]) -> Proof:
    return Proof(tuple(checks), (), 0.0, 3)


def test_a_model_that_obeys_the_law_is_proved_in_every_context(spoken: Utterances) -> None:
    checks = checks_of(model(), spoken, CONTEXTS)
    kinds = {(c.context, c.dtype, c.cutting) for c in checks}
    cuts = {(n, d, w) for n, _ in CHUNKED for d in ("float64", "float32") for w in ("random cuts", "live, hop by hop")}
    assert kinds == cuts | {("whole", d, "alone and in a batch") for d in ("float64", "float32")}
    assert proof_of(checks).problems == ()
    for check in checks:
        assert check.relative <= (1e-9 if check.dtype == "float64" else 1e-4)
        assert check.frames == check.decisions > 30
    assert max(c.difference for c in checks if c.dtype == "float32") > 0, "nothing was compared"


def test_every_decoder_is_proved(spoken: Utterances) -> None:
    built = model(CTC(tap=1), AttentionDecoder(num_layers=1, num_heads=2, max_tokens=20))
    checks = checks_of(built, spoken, CHUNKED[:1])
    assert proof_of(checks).problems == ()
    assert all(c.decisions > c.frames / 2 for c in checks)


class Cheat(Streamable[tuple[()]]):
    """A layer that sees all of the step it is given, the frames behind its chunk too."""

    def __init__(self, strength: float = 1.0) -> None:
        super().__init__()
        self.strength = strength

    def initial_state(self, batch: int, context: Context) -> tuple[()]:
        return ()

    def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
        mean = chunk.valid().sum(1, keepdim=True) / chunk.lengths.clamp(min=1)[:, None, None]
        return (), chunk.with_x(chunk.x + self.strength * mean)


def test_a_layer_that_looks_across_its_chunk_is_named_with_the_context(spoken: Utterances) -> None:
    built = model()
    built.encoder.layers[1] = Cheat()
    proof = proof_of(checks_of(built, spoken, CHUNKED))
    assert not proof.holds
    for name, _ in CHUNKED:
        for cutting in ("random cuts", "live, hop by hop"):
            own = [p for p in proof.problems if p.startswith(f"{name}, float64, {cutting}: ")]
            assert "layer 1, ssm (Cheat) is the first part that streams other frames" in own[0]


def test_a_layer_that_hardly_cheats_is_found_in_double_precision(spoken: Utterances) -> None:
    built = model()
    built.encoder.layers[2] = Cheat(1e-7)
    problems = proof_of(checks_of(built, spoken, CHUNKED[:1])).problems
    assert {p.split(", ")[1] for p in problems} == {"float64"}
    assert "layer 2, att (Cheat)" in problems[0]


def test_a_layer_that_reads_padding_is_found_where_nothing_can_be_cut(spoken: Utterances) -> None:
    built = model()
    built.encoder.layers[1] = Cheat()
    built.encoder.layers[1].forward = lambda state, chunk, context: (  # type: ignore[method-assign]
        (),
        chunk.with_x(chunk.x + chunk.x.mean(1, keepdim=True)),
    )
    (problem, *_) = proof_of(checks_of(built, spoken, [("whole", WHOLE)])).problems
    assert problem.startswith("whole, float64, alone and in a batch: layer 1, ssm (Cheat)")


def test_frames_that_are_lost_are_told(spoken: Utterances) -> None:
    class Loses(Cheat):
        def forward(self, state: tuple[()], chunk: Frames, context: Context) -> tuple[tuple[()], Frames]:
            return (), Frames(chunk.x, (chunk.lengths - 1).clamp(min=0), chunk.final)

    built = model()
    built.encoder.layers[2] = Loses()
    (problem, *_) = proof_of(checks_of(built, spoken, CHUNKED[:1])).problems
    assert "layer 2, att (Loses)" in problem
    assert "frames instead of" in problem


@pytest.fixture
def head() -> CTCHead:
    torch.manual_seed(0)
    return CTCHead(8, 12).eval()


def frames_of(x: torch.Tensor) -> Frames:
    return Frames.whole(x)


@torch.no_grad()
def test_tokens_may_differ_at_near_ties_alone(head: CTCHead) -> None:
    x = torch.randn(1, 40, 8, generator=torch.Generator().manual_seed(1))
    tie = x.clone()
    scores = head.log_probs(frames_of(x))[0]
    scores[:, head.end] = -torch.inf
    first, second = scores[7].topk(2).indices.tolist()
    direction = head.output.weight[first] - head.output.weight[second]
    low, high = 0.0, 50.0  # bisect to where the two best of frame 7 change places
    for _ in range(60):
        middle = (low + high) / 2
        tie[0, 7] = x[0, 7] - middle * direction
        best = head.log_probs(frames_of(tie))[0, 7]
        low, high = (middle, high) if best[first] > best[second] else (low, middle)
    before, after = tie.clone(), tie.clone()
    before[0, 7], after[0, 7] = x[0, 7] - low * direction * (1 - 1e-6), x[0, 7] - high * direction * (1 + 1e-6)
    found = decide(head, ["a"], frames_of(before), frames_of(after), [frames_of(after)])
    assert [(p.utterance, p.position, p.near_tie) for p in found.differing] == [("a", 7, True)]


@torch.no_grad()
def test_a_search_that_loses_what_it_carries_is_found(head: CTCHead, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(2, 40, 8, generator=torch.Generator().manual_seed(2)).repeat_interleave(2, dim=1)
    pieces = [Frames(part, torch.tensor([5, 5]), torch.tensor([False, False])) for part in x.split(5, dim=1)]
    assert decide(head, ["a", "b"], frames_of(x), frames_of(x), pieces).differing == ()
    begin = head.begin

    def forgetful(batch: int, options: SearchOptions) -> Any:
        search = begin(batch, options)
        push: Callable[[Frames], None] = search.push

        def reset_first(frames: Frames) -> None:
            search.tokens.state = search.tokens.state._replace(last=torch.zeros(batch, dtype=torch.int64))
            push(frames)

        monkeypatch.setattr(search, "push", reset_first)
        return search

    monkeypatch.setattr(head, "begin", forgetful)
    found = decide(head, ["a", "b"], frames_of(x), frames_of(x), pieces).differing
    assert {p.utterance for p in found} == {"a", "b"}
    assert not any(p.near_tie for p in found)
    assert all(p.position % 5 == 0 for p in found)


CHECK = Check("160 ms", "float64", "random cuts", 10, 1e-12, 1e-12, 1e-9, 1e-12, 10, 0, (), ())


def test_more_than_one_token_in_ten_thousand_fails() -> None:
    check = attrs.evolve(CHECK, decisions=20_000, num_differing=2)
    assert proof_of([check]).holds
    assert proof_of([check, attrs.evolve(check, decisions=0, num_differing=1)]).problems == (
        "3 of 20,000 tokens differ, allowed is 1 in 10,000",
    )


def test_checks_of_batches_are_one() -> None:
    parts = [CHECK, attrs.evolve(CHECK, relative=1.0, problems=("x",)), attrs.evolve(CHECK, problems=("x",))]
    both = together(parts)
    assert (both.frames, both.relative, both.problems) == (30, 1.0, ("x",))
