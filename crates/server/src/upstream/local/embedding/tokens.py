"""Cuts texts into the tokens of XLM-RoBERTa: of all ways to cut a word, the one whose pieces score highest."""

import unicodedata

# How the vocabulary writes the blank before a word.
BLANK = "\u2581"
# Cut words are kept, since most words of a text are frequent ones.
MOST_WORDS = 50_000
# A longer one, such as a line of Chinese, hardly comes again.
LONGEST_WORD = 32
# How much worse than the worst piece a character is that is in none.
UNKNOWN_PENALTY = 10


class Tokenizer:
    def __init__(
        self, pieces: list[str], scores: list[float], replacements: dict[int, str], unknown: int
    ) -> None:
        self._ids = {piece: number for number, piece in enumerate(pieces)}
        self._scores = scores
        self._replacements = replacements
        self._unknown = unknown
        self._unknown_score = min(scores) - UNKNOWN_PENALTY
        self._longest: dict[str, int] = {}
        for piece in pieces:
            if len(piece) > self._longest.get(piece[0], 0):
                self._longest[piece[0]] = len(piece)
        self._words: dict[str, list[int]] = {}

    def tokens(self, text: str) -> list[int]:
        """The text's tokens, without those for its begin and end."""
        # Composed on both sides, since the replacements know whole characters only: a Korean syllable may
        # come as its letters, and half-width letters become wide ones with their marks beside them.
        text = unicodedata.normalize("NFC", text).translate(self._replacements)
        tokens = []
        for word in unicodedata.normalize("NFC", text).split():
            found = self._words.get(word)
            if found is None:
                found = self._cut(BLANK + word)
                if len(word) <= LONGEST_WORD:
                    if len(self._words) >= MOST_WORDS:
                        self._words.clear()
                    self._words[word] = found
            tokens += found
        return tokens

    def _cut(self, word: str) -> list[int]:
        ids, scores, longest = self._ids, self._scores, self._longest
        # For each place: the best score of a cut up to it, where its last piece begins, and which it is.
        best = [0.0] + [float("-inf")] * len(word)
        last: list[tuple[int, int]] = [(0, 0)] * (len(word) + 1)
        for begin, first in enumerate(word):
            here = best[begin]
            following = begin + 1
            if here + self._unknown_score > best[following]:
                best[following] = here + self._unknown_score
                last[following] = (begin, self._unknown)
            for end in range(following, min(begin + longest.get(first, 0), len(word)) + 1):
                piece = ids.get(word[begin:end])
                if piece is not None and here + scores[piece] > best[end]:
                    best[end], last[end] = here + scores[piece], (begin, piece)
        return self._follow(last)

    def _follow(self, last: list[tuple[int, int]]) -> list[int]:
        """The pieces of the best cut, found from its end. Unknown characters side by side are one token."""
        tokens: list[int] = []
        end = len(last) - 1
        while end > 0:
            end, piece = last[end]
            if piece != self._unknown or tokens[-1:] != [piece]:
                tokens.append(piece)
        return tokens[::-1]
