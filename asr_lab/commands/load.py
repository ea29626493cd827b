"""A run's trained model for Python and for the commands: `asr_lab.load`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from asr_lab.commands.evaluate import evaluation_document
from asr_lab.devices import best_device
from asr_lab.errors import DataError, LabError
from asr_lab.runs.directory import RunDirectory, runs_root
from asr_lab.runs.find import find_run

if TYPE_CHECKING:
    import torch

    from asr_lab.audio.waveform import Samples
    from asr_lab.compiler.build import Loaded
    from asr_lab.recipe import Recipe
    from asr_lab.recognition.transcript import Transcript
    from asr_lab.recognition.transcript_stream import TranscriptStream


def load(
    run: str | os.PathLike[str] = "",
    *,
    checkpoint: str | os.PathLike[str] = "best",
    device: str | torch.device | None = None,
    overrides: Sequence[str] = (),
    root: str | os.PathLike[str] | None = None,
) -> TrainedModel:
    """The trained model of a run.

    `run` is a path, a name or a prefix of a hash, as on the command line; "" = the newest finished one. Names are
    looked up under `root`, by default `ASRLAB_RUNS`, by default `runs/`. `checkpoint` is `best`, `last`, `average`,
    `average:N` (the mean of the N best), or a checkpoint's path. `device` is a torch device; None = a GPU where there
    is one. `overrides` change how it decodes: `["decode.beam=4"]`.

    RunError when no run fits, or more than one does; CheckpointError when it has no such checkpoint, or a damaged one;
    RecipeError or LabError for overrides that are wrong or change what was trained; LabError for a device that is not
    there.
    """
    from asr_lab.compiler.build import load_model

    if isinstance(overrides, str):
        raise LabError(f"overrides is a list of KEY=VALUE: [{overrides!r}]")
    found = find_run(os.fspath(run), runs_root() if root is None else Path(root))
    wanted = _device(device)
    recipe = evaluation_document(found, (), overrides).value
    return TrainedModel(found, recipe, load_model(recipe, found.path, os.fspath(checkpoint)), wanted)


class TrainedModel:
    """A run's model with trained weights, in eval mode: text from recordings, from samples and from live streams.

    It decodes as the run's recipe says, unless overridden; `load` makes one.
    """

    def __init__(self, run: RunDirectory, recipe: Recipe, loaded: Loaded, device: torch.device) -> None:
        from asr_lab.compiler.build import decode_precision
        from asr_lab.recognition.recognizer import Recognizer

        self.run, self.recipe, self.device = run, recipe, device
        self.loaded = loaded
        """Its parts: model, features, vocabulary, and the checkpoint's path."""
        self.decode = recipe.decode.build()
        self._recognizer = Recognizer(
            loaded.model,
            loaded.features,
            loaded.vocabulary,
            sample_rate=loaded.sample_rate,
            frame_ms=recipe.features.frame_ms,
            decode=self.decode,
            device=device,
            precision=decode_precision(recipe, loaded.model.to(device), device),
        )

    @property
    def name(self) -> str:
        """The run's name."""
        return self.run.name

    @property
    def sample_rate(self) -> int:
        """Hertz of the audio that it was trained on; audio at other rates is resampled to it."""
        return self.loaded.sample_rate

    def __repr__(self) -> str:
        return f"<TrainedModel {self.name}, {self.loaded.checkpoint.name}, {self.sample_rate} Hz, {self.device}>"

    def transcribe(
        self, audio: str | os.PathLike[str] | Samples, sample_rate: int | None = None, *, words: bool = True
    ) -> Transcript:
        """The text of a recording of any length, with its words' times where the model has a CTC decoder.

        `audio` is the path of a file, in any format that libsndfile reads, at any rate; or samples (S,) or
        (S, channels) at `sample_rate` Hz, floats whose full scale is 1, or int16. Channels are mixed. More than 30 s
        are decoded in pieces, cut where it is quiet. `words=False` leaves the times out, which saves an encoding.

        AudioError (a DataError) naming a file that cannot be read; DataError for samples of another shape or type,
        for values that are not finite, for no samples at all, and for a sample rate that is missing or absurd.
        """
        if isinstance(audio, str | os.PathLike):
            if sample_rate is not None:
                raise DataError(f"{os.fspath(audio)}: a file holds its sample rate itself; leave sample_rate out")
            return self._recognizer.file(audio, words)
        from asr_lab.audio.resampling import refused_rates
        from asr_lab.audio.waveform import as_rate, as_waveform

        rate = as_rate(sample_rate)
        if reason := refused_rates(rate, self.sample_rate):
            raise DataError(reason)
        waveform = as_waveform(audio)
        if not len(waveform):
            raise DataError("there are no samples to transcribe")
        return self._recognizer.samples(waveform, rate, words)

    def stream(self, sample_rate: int, *, chunk_ms: float | None = None) -> TranscriptStream:
        """A new live stream of samples at `sample_rate` Hz, which is any rate, decoded in chunks of `chunk_ms`.

        Without `chunk_ms`, in the shortest chunks that the model was trained for, or by local agreement where it has
        an attention decoder alone. Streams of one model do not notice each other.

        RunError when the model cannot stream, saying why; DataError for a rate that cannot be resampled.
        """
        from asr_lab.audio.waveform import as_rate
        from asr_lab.commands.streaming_run import streaming_run
        from asr_lab.recognition.transcript_stream import TranscriptStream

        rate = as_rate(sample_rate)
        streaming = streaming_run(self, chunk_ms, chunk_option="chunk_ms")
        return TranscriptStream(streaming.recognizer, rate, streaming.notes)


def _device(name: str | torch.device | None) -> torch.device:
    """The device meant; LabError where there is none."""
    import torch

    if name is None:
        return best_device()
    try:
        device = torch.device(name)
        torch.zeros(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).partition("\n")[0]
        raise LabError(f"device {str(name)!r} cannot be used ({why}); None takes what this machine has") from error
    return device
