"""multilingual-e5-small: texts in, vectors out."""

import numpy as np
import onnxruntime
from graph import Encoder
from tokens import Tokenizer
from weights import Weights, as_numbers

# The model was trained with these words before its texts.
PREFIXES = {"query": "query: ", "passage": "passage: "}


class Model:
    """Embeds one text at a time on the thread that asks. Any number of threads may."""

    def __init__(self, path: str) -> None:
        weights = Weights(path)
        self._tokenizer = Tokenizer(weights.pieces, weights.scores, weights.replacements, weights.unknown)
        self._begin, self._end, self._window = weights.begin, weights.end, weights.window
        self._words = weights.blocks("emb.word", weights.rows)
        places = weights.numbers("emb.pos").reshape(weights.window, -1)
        # There are embeddings of a first and a second text in one; ours are always the first.
        self._places = places + weights.numbers("emb.type")[: weights.width]
        self._session = onnxruntime.InferenceSession(Encoder(weights).model(), options())

    def embed(self, text: str, kind: str) -> tuple[np.ndarray, int]:
        """The text's vector of unit length, and how many tokens were read.

        A text longer than the window is read in windows of the same length, each with the words that the
        model wants before its texts, and each counts by the tokens in it.
        """
        prefix = self._tokenizer.tokens(PREFIXES[kind])
        tokens = self._tokenizer.tokens(text)
        room = self._window - len(prefix) - 2
        total, read = np.zeros(self._places.shape[1], dtype=np.float32), 0
        for part in np.array_split(tokens, max(1, -(-len(tokens) // room))):
            window = [self._begin, *prefix, *part.astype(int), self._end]
            total += max(len(part), 1) * self._mean(window)
            read += len(window)
        return total / np.sqrt(np.square(total).sum()), read

    def _mean(self, window: list[int]) -> np.ndarray:
        given = as_numbers(self._words[window]) + self._places[: len(window)]
        (meanings,) = self._session.run(None, {"embeddings": given[None]})
        return meanings[0].mean(axis=0)


def options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    # Texts are embedded side by side instead: on busy cores threads that share one text wait for each other.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Memory is given back after each text, since a long one takes a hundred times as much as a question.
    options.enable_cpu_mem_arena = False
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.log_severity_level = 3
    return options
