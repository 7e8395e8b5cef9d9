"""The model as ONNX Runtime wants it: a graph of operators with the weights inside.

Weights and what flows between them are multiplied as small integers. Each token's numbers are brought to one
scale first: the operator knows a single scale for a whole text, and a few loud tokens would drown the others.
"""

import itertools

import numpy as np
from message import message, node, tensor, value
from weights import Weights

# Seven bits: with eight, processors without VNNI add beyond 16 bits, and the sums come out wrong.
GREATEST = 63
# Versions of the two sets of operators, and of the form of a model.
ONNX, RUNTIME_OWN, FORM = 18, 1, 8


class Graph:
    """A graph while it grows. Values are known by their names."""

    def __init__(self) -> None:
        self._nodes: list[bytes] = []
        self._constants: list[bytes] = []
        self._numbers = itertools.count()

    def constant(self, array: np.ndarray) -> str:
        name = f"constant{next(self._numbers)}"
        self._constants.append(tensor(name, array))
        return name

    def onnx(self, operator: str, *inputs: str, **settings: float) -> str:
        return self._apply(operator, "", inputs, settings)

    def own(self, operator: str, *inputs: str, **settings: float) -> str:
        """One of ONNX Runtime's own operators, which do the work of several."""
        return self._apply(operator, "com.microsoft", inputs, settings)

    def _apply(self, operator: str, domain: str, inputs: tuple[str, ...], settings: dict) -> str:
        name = f"value{next(self._numbers)}"
        self._nodes.append(node(operator, domain, list(inputs), [name], settings))
        return name

    def model(self, given: bytes, made: bytes) -> bytes:
        parts = [(1, one) for one in self._nodes] + [(2, "model")]
        parts += [(5, one) for one in self._constants] + [(11, given), (12, made)]
        versions = [message([(1, ""), (2, ONNX)]), message([(1, "com.microsoft"), (2, RUNTIME_OWN)])]
        return message([(1, FORM), (7, message(parts)), *((8, version) for version in versions)])


class Encoder:
    """Builds the graph of a BERT encoder: from the tokens' embeddings to what they mean in their text."""

    def __init__(self, weights: Weights) -> None:
        self._weights = weights
        self._graph = Graph()
        self._last_axis = self._graph.constant(np.array([-1], dtype=np.int64))
        self._least = self._graph.constant(np.array(1e-9, dtype=np.float32))

    def model(self) -> bytes:
        graph, shape = self._graph, [1, "tokens", self._weights.width]
        scale, shift = self._norm("emb.ln")
        now = graph.onnx("LayerNormalization", "embeddings", scale, shift, epsilon=self._weights.epsilon)
        for layer in range(self._weights.layers):
            now = self._layer(f"l{layer}", now)
        return graph.model(value("embeddings", shape), value(now, shape))

    def _layer(self, name: str, now: str) -> str:
        scaled = self._scaled(now)
        query, key, seen = (self._linear(f"{name}.{part}", *scaled) for part in "qkv")
        heads = self._weights.heads
        attended = self._graph.own("MultiHeadAttention", query, key, seen, num_heads=heads)
        now = self._added(f"{name}.aln", now, self._linear(f"{name}.ao", *self._scaled(attended)))
        inner = self._linear(f"{name}.fi", *self._scaled(now))
        inner = self._scaled(self._graph.own("Gelu", inner))
        return self._added(f"{name}.oln", now, self._linear(f"{name}.fo", *inner))

    def _scaled(self, now: str) -> tuple[str, str]:
        """Numbers from -1 to 1 for each token, and what to multiply by to have the old ones again."""
        greatest = self._graph.onnx("ReduceMax", self._graph.onnx("Abs", now), self._last_axis)
        greatest = self._graph.onnx("Max", greatest, self._least)
        return self._graph.onnx("Div", now, greatest), greatest

    def _linear(self, name: str, scaled: str, greatest: str) -> str:
        shift = self._weights.numbers(f"{name}.b")
        matrix = self._weights.matrix(f"{name}.w", rows=len(shift))
        scales = np.abs(matrix).max(axis=1) / GREATEST
        small = np.round(matrix / scales[:, None]).astype(np.int8)
        zeros = np.zeros(len(scales), dtype=np.int8)
        constants = [self._graph.constant(array) for array in (small.T, scales, zeros)]
        product = self._graph.own("DynamicQuantizeMatMul", scaled, *constants)
        return self._graph.onnx("Add", self._graph.onnx("Mul", product, greatest), self._graph.constant(shift))

    def _added(self, name: str, before: str, change: str) -> str:
        scale, shift = self._norm(name)
        epsilon = self._weights.epsilon
        both = self._graph.onnx("Add", before, change)
        return self._graph.onnx("LayerNormalization", both, scale, shift, epsilon=epsilon)

    def _norm(self, name: str) -> tuple[str, str]:
        parts = (self._weights.numbers(f"{name}.{part}") for part in "wb")
        scale, shift = (self._graph.constant(part) for part in parts)
        return scale, shift
