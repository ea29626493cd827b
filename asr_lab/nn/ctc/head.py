"""Connectionist temporal classification (Graves et al., ICML 2006): a token or a blank in every frame."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from asr_lab.nn.ctc.search import GreedySearch, PrefixSearch
from asr_lab.nn.ctc.token_search import TokenSearch
from asr_lab.nn.decoder import DecoderHead, Emission, Hypothesis, SearchOptions, Targets
from asr_lab.nn.kernels.ctc import ctc_loss
from asr_lab.streaming import Frames


class CTCHead(DecoderHead):
    """Normalisation and one linear layer from frames (B, T, D) to tokens; every frame stands alone.

    The normalisation is its own, so that it can read any layer of a stack whose blocks leave their sum as it is. A
    search never gives the token `end`, which belongs to other decoders of the vocabulary.
    """

    kind = "ctc"

    def __init__(self, dim: int, vocab_size: int, blank: int = 0, end: int = 1) -> None:
        super().__init__()
        self.blank, self.end = blank, end
        self.norm = nn.LayerNorm(dim)
        self.output = nn.Linear(dim, vocab_size)

    def logits(self, frames: Frames, targets: Targets | None = None) -> Tensor:
        """Before the softmax, (B, T, V); the targets have no part in it."""
        logits: Tensor = self.output(self.norm(frames.valid()))
        return logits

    def log_probs(self, frames: Frames) -> Tensor:
        """Log-probabilities of the tokens in each frame, (B, T, V), float32 under any autocast."""
        logits = self.logits(frames)
        return logits.to(torch.promote_types(logits.dtype, torch.float32)).log_softmax(-1)

    def loss(self, frames: Frames, targets: Targets) -> Tensor:
        """Negative log-likelihood over all alignments, (B,); infinity where there is none."""
        if frames.x.shape[1] == 0:  # torch's kernel refuses a batch without a frame
            frames = frames.with_x(frames.x.new_zeros(frames.batch, 1, frames.x.shape[2]))
        return ctc_loss(self.log_probs(frames), targets.tokens, frames.lengths, targets.lengths, self.blank)

    def begin(self, batch: int, options: SearchOptions) -> CTCSearch:
        """A search over the frames of `batch` rows that have given none yet."""
        return CTCSearch(self, batch, options)

    @torch.no_grad()
    def search(self, frames: Frames, options: SearchOptions) -> list[list[Hypothesis]]:
        """Best path (beam 1) or prefix beam search; each token with the frame that first emitted it."""
        search = self.begin(frames.batch, options)
        search.push(frames)
        return search.finish()


class CTCSearch:
    """A search that is given frames as they come; however they are cut, it finds the same.

    Rows go at their own pace: one may idle (no frame in a step), end, and be taken, put and joined with others. Frames
    are counted from each row's first. Its state is bounded as long as it is drained.
    """

    def __init__(self, head: CTCHead, batch: int, options: SearchOptions) -> None:
        self.head = head
        device = head.output.weight.device
        self.tokens: TokenSearch[Any]
        if options.beam == 1:
            self.tokens = GreedySearch(batch, head.blank, device)
        else:
            self.tokens = PrefixSearch(batch, options.beam, head.blank, device, options.max_interim_frames)

    @property
    def batch(self) -> int:
        """Rows, B."""
        return len(self.tokens.final)

    @torch.no_grad()
    def push(self, frames: Frames) -> None:
        """Go on with each row's next frames, (B, T, D); a row may give none."""
        log_probs = self.head.log_probs(frames)
        log_probs[..., self.head.end] = -torch.inf
        self.tokens.push(log_probs, frames.lengths)

    def drain(self) -> list[list[Emission]]:
        """Each row's tokens that became final since the last time; joined they are the row's text, and never change."""
        return self.tokens.drain()

    def interim(self) -> list[list[Emission]]:
        """The most probable continuation of each row's final tokens; it may still change."""
        return self.tokens.interim()

    def hypotheses(self) -> list[list[Hypothesis]]:
        """The best of each row so far, best first, without what was drained."""
        return self.tokens.hypotheses()

    def finish(self, rows: Sequence[int] | None = None) -> list[list[Hypothesis]]:
        """The best of these rows (None = all), as they end: what was interim becomes final and can be drained."""
        chosen = range(self.batch) if rows is None else rows
        found = self.hypotheses()
        self.tokens.finalise(chosen)
        return [found[row] for row in chosen]

    def reset(self, rows: Sequence[int]) -> None:
        """Let these rows begin anew, undrained tokens forgotten."""
        self.tokens.put(rows, self.tokens.fresh(len(rows)))

    def take(self, rows: Sequence[int]) -> CTCSearch:
        """A search over copies of these rows, in this order."""
        return self._over(self.tokens.take(rows))

    def put(self, rows: Sequence[int], other: CTCSearch) -> None:
        """Replace these rows by those of another search with the same options, in its order."""
        self.tokens.put(rows, other.tokens)

    def join(self, *others: CTCSearch) -> CTCSearch:
        """A search over this one's rows, followed by those of others with the same options."""
        return self._over(self.tokens.join([o.tokens for o in others]))

    def _over(self, tokens: TokenSearch[Any]) -> CTCSearch:
        search = copy.copy(self)
        search.tokens = tokens
        return search
