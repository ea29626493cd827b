"""GigaSpeech, or any corpus with a manifest of its form."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import attrs

from asr_lab.config import validators as v
from asr_lab.config.section import section
from asr_lab.files import real_path
from asr_lab.slots.datasets import Dataset

if TYPE_CHECKING:
    from asr_lab.data.utterance import Source

HOW = (
    "it is fetched by its own script once its terms are agreed to: https://github.com/SpeechColab/GigaSpeech;\n"
    "put GigaSpeech.json and audio/ there"
)


@section
class GigaSpeech(Dataset):
    """English podcasts, talks and audiobooks, 10,000 hours (Chen et al., Interspeech 2021).

    Columns speaker, source, title, language, split. Segments that are nothing but noise are left out.
    """

    subset: str = attrs.field(validator=v.min_len(1))
    """`XS`, `S`, `M`, `L`, `XL`, each in the next; `DEV`, `TEST`; or another of the manifest."""
    path: str = "GigaSpeech"
    """The folder; a relative one is under ASRLAB_DATA."""
    manifest: str = "GigaSpeech.json"
    """The manifest, in the folder; audio paths start at the folder."""
    punctuation: bool = False
    """Whether tags such as `<COMMA>` become signs; else they are left out."""

    def places(self, root: Path) -> tuple[Path, ...]:
        return (root / self.path,)

    def read(self, root: Path) -> Source:
        from asr_lab.data.sources.gigaspeech import gigaspeech_rows
        from asr_lab.data.sources.rows import absent, source_of

        folder = real_path(root / self.path)
        if not (folder / self.manifest).is_file():
            raise absent("GigaSpeech", [folder / self.manifest], root, HOW)
        return source_of(gigaspeech_rows(folder / self.manifest, folder, self.subset.strip("{}"), self.punctuation))
