"""libsndfile's decoder, read in order: soundfile seeks after each read, which loses what lossy codecs carry on."""

from __future__ import annotations

import soundfile


class SequentialFile(soundfile.SoundFile):  # type: ignore[misc]
    """A file of which one block is read after the other, without a seek that was not asked for."""

    def seekable(self) -> bool:
        """Never, as `read` asks."""
        return False
