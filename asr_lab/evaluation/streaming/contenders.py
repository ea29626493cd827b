"""What is compared: the model offline, and live in each context that it can stream in."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from asr_lab.evaluation.streaming.contexts import AlgorithmicDelay, Candidate, StreamingChain
from asr_lab.evaluation.streaming.playback import STREAMS, Contender, Offline
from asr_lab.models.decode_options import DecodeOptions
from asr_lab.recognition.live import LiveRecognizer, LoadedModel
from asr_lab.recognition.local_agreement.recognizer import AgreementRecognizer
from asr_lab.recognition.transcribe_set import evaluation_context
from asr_lab.units import ms_to_samples


def contenders_of(
    loaded: LoadedModel, chain: StreamingChain, candidates: Sequence[Candidate], decode: DecodeOptions
) -> list[Contender]:
    """The offline model first, then each candidate.

    Offline is what `asrlab eval` scores: the widest context that the model is trained for, decoded as the recipe says.
    Live streams are decoded with CTC; an attention decoder streams by local agreement. Where the recipe decodes
    otherwise, another offline row does as they do, so that each has something to be compared with.
    """
    kinds = [str(head.kind) for head in loaded.model.heads]
    decoder = decode.decoder if decode.decoder != "auto" else "attention" if "attention" in kinds else kinds[0]
    widest = evaluation_context(loaded.model)
    base = chain.candidate("offline", widest, trained=True)
    found = [Contender(base.label, "offline", decoder, base, Offline(loaded, widest, decode))]
    live = [c for c in candidates if c.delay is not None] if "ctc" in kinds else []
    for other in [*(["ctc"] if live else []), *(["attention"] if "attention" in kinds else [])]:
        if other != decoder:
            again = attrs.evolve(base, label=f"{base.label}, {other}")
            offline = Offline(loaded, widest, decode.by(other))
            found.append(Contender(again.label, "offline", other, again, offline))
    for candidate in candidates:
        if candidate in live:
            recognizer = LiveRecognizer(loaded, candidate.context, decode.by("ctc"), max_streams=STREAMS)
            packet = ms_to_samples(candidate.delay.chunk_ms, loaded.sample_rate) if candidate.delay else 1
            found.append(Contender(candidate.label, "live", "ctc", candidate, recognizer, packet))
        elif candidate.delay is None and candidate.context != widest:
            found.append(
                Contender(candidate.label, "offline", decoder, candidate, Offline(loaded, candidate.context, decode))
            )
    return [*found, *([_agreement(loaded, base, decode)] if "attention" in kinds else [])]


def _agreement(loaded: LoadedModel, base: Candidate, decode: DecodeOptions) -> Contender:
    recognizer = AgreementRecognizer(loaded, decode.by("attention"), max_streams=STREAMS)
    label = "agreement"
    delay = AlgorithmicDelay(window_ms=0.0, stem_ms=0.0, chunk_ms=recognizer.step_ms)
    candidate = Candidate(label, recognizer.step_ms, None, base.context, base.trained, delay)
    packet = ms_to_samples(recognizer.step_ms, loaded.sample_rate)
    return Contender(label, "agreement", "attention", candidate, recognizer, packet)
