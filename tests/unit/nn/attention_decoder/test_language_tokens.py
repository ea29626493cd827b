"""A decoder that names the language of a text before it writes the text."""

from __future__ import annotations

import pytest
import torch

from asr_lab.nn.attention_decoder.beam_search import Opening
from asr_lab.nn.attention_decoder.head import AttentionDecoderHead
from asr_lab.nn.decoder import SearchOptions, Targets
from asr_lab.streaming import Frames

V, DIM = 7, 16
NAMED = ("de", "eo", "ru")
TEXTS = [[2, 3, 4], [5], [6, 6]]
SPOKEN = torch.tensor([2, 0, 1])


def head(languages: tuple[str, ...] = NAMED, seed: int = 3) -> AttentionDecoderHead:
    torch.manual_seed(seed)
    made = AttentionDecoderHead(DIM, V, num_layers=2, num_heads=2, dropout=0.0, max_tokens=6, languages=languages)
    for parameter in made.parameters():  # far from even, so that a search has something to choose
        torch.nn.init.normal_(parameter, std=0.6)
    return made.double().eval()


def frames() -> Frames:
    torch.manual_seed(1)
    return Frames.whole(torch.randn(3, 9, DIM, dtype=torch.float64), torch.tensor([9, 4, 6]))


def naive(made: AttentionDecoderHead, row: int, written: list[int]) -> torch.Tensor:
    """Log-probabilities of each token after those before it, step by step over all V + 3 tokens, (W + 1, V + 3)."""
    state = made.begin(frames().rows(torch.tensor([row])))
    source, found = torch.zeros(1, 1, dtype=torch.int64), []
    for token in [made.end, *written]:
        state, logits = made._step(state, torch.tensor([[token]]), source)
        found.append(logits[0, 0].log_softmax(-1))
    return torch.stack(found)


def test_the_loss_is_of_the_language_then_the_text_then_the_end() -> None:
    made = head()
    losses = made.loss(frames(), Targets.of(TEXTS, "cpu")._replace(languages=SPOKEN))
    for row, (text, language) in enumerate(zip(TEXTS, SPOKEN.tolist(), strict=True)):
        written = [V + language, *text]
        scores = naive(made, row, written)
        wanted = -sum(scores[at, token] for at, token in enumerate([*written, made.end]))
        torch.testing.assert_close(losses[row].double(), wanted, rtol=1e-6, atol=1e-6)


def test_the_likeliest_language_is_identified_and_conditions_what_is_not_told() -> None:
    made = head()
    likeliest = torch.stack([naive(made, row, [])[0, V:].argmax() for row in range(3)])
    assert made.identify(frames()).tolist() == likeliest.tolist()
    assert len(set(likeliest.tolist())) > 1, "the rows differ, or nothing is tested"
    told = Targets.of(TEXTS, "cpu")
    untold = made.loss(frames(), told)
    torch.testing.assert_close(untold, made.loss(frames(), told._replace(languages=likeliest)), rtol=0, atol=0)
    assert not torch.equal(untold, made.loss(frames(), told._replace(languages=SPOKEN)))
    logits = made.logits(frames(), told)
    assert logits.shape == (3, 4, V)
    torch.testing.assert_close(
        logits[0, 1].log_softmax(-1), naive(made, 0, [V + int(likeliest[0]), 2])[2, :V].log_softmax(-1)
    )
    assert made.attention_weights(frames(), told).shape == (3, 2, 2, 4, 9)
    torch.testing.assert_close(made.score(frames(), told), -untold)


@pytest.mark.parametrize("beam", [1, 3])
def test_a_search_writes_the_text_of_the_language_that_it_identified_or_was_told(beam: int) -> None:
    made = head()
    found = made.search(frames(), SearchOptions(beam=beam))
    names = [NAMED[place] for place in made.identify(frames()).tolist()]
    assert [one[0].language for one in found] == names
    assert all(token < V for one in found for h in one for token in h.tokens)
    for name in NAMED:
        told = made.search(frames(), SearchOptions(beam=beam, language=name))
        assert all(h.language is None for one in told for h in one)
        for row in range(3):
            if names[row] == name:
                assert [h.tokens for h in told[row]] == [h.tokens for h in found[row]]
        if beam == 1:  # greedy, token by token
            for row, (best, *_) in enumerate(told):
                written = [V + NAMED.index(name)]
                for token in best.tokens:
                    scores = naive(made, row, written)[-1, :V]
                    scores[made.blank] = -torch.inf
                    assert int(scores.argmax()) == token
                    written.append(token)
    assert len({made.search(frames(), SearchOptions(language=name))[0][0].tokens for name in NAMED}) > 1


def test_an_opening_follows_the_language() -> None:
    made = head()
    opening = Opening(torch.tensor([[3, 2], [4, 0], [0, 0]]), torch.tensor([2, 1, 0]), torch.ones(V, dtype=torch.bool))
    found = made.search(frames(), SearchOptions(), opening)
    assert [one[0].tokens[:n] for one, n in zip(found, (2, 1, 0), strict=True)] == [(3, 2), (4,), ()]
    assert all(one[0].language in NAMED for one in found)


def test_the_longest_text_has_room_behind_its_language() -> None:
    made = head()
    longest = Targets.of([[2] * 6, [3], [4]], "cpu")
    assert torch.isfinite(made.loss(frames(), longest)).all()
    with pytest.raises(ValueError, match="a text of 7 tokens; positions end at 6"):
        made.loss(frames(), Targets.of([[2] * 7, [3], [4]], "cpu"))


def test_a_language_that_is_not_named_is_refused() -> None:
    with pytest.raises(ValueError, match=r"does not name the language 'fr' \(have: de, eo, ru\)"):
        head().search(frames(), SearchOptions(language="fr"))
    with pytest.raises(ValueError, match="have: none"):
        head(()).search(frames(), SearchOptions(language="fr"))


def test_without_languages_the_decoder_is_as_it_was() -> None:
    plain = head(())
    assert plain.embedding.weight.shape == (V, DIM)
    assert plain.positions is not None
    assert plain.positions.weight.shape == (7, DIM)
    given = Targets.of(TEXTS, "cpu")
    torch.testing.assert_close(plain.loss(frames(), given), plain.loss(frames(), given._replace(languages=SPOKEN)))
    assert plain.search(frames(), SearchOptions())[0][0].language is None


def test_languages_that_differ_in_their_frames_are_learned() -> None:
    torch.manual_seed(0)
    made = AttentionDecoderHead(DIM, V, num_layers=1, num_heads=2, dropout=0.0, max_tokens=6, languages=NAMED)
    accents = 2 * torch.randn(3, DIM)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for step in range(61):
        spoken = torch.randint(3, (12,))
        seen = Frames.whole(torch.randn(12, 5, DIM) + accents[spoken][:, None], torch.full((12,), 5))
        if step == 60:
            assert made.identify(seen).tolist() == spoken.tolist()
            return
        loss = made.loss(seen, Targets.of([[2, 3]] * 12, "cpu")._replace(languages=spoken)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
