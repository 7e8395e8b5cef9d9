"""Protocol Buffers, as little of them as a model of ONNX needs; the fields' numbers are ONNX's.

Writing them here spares the package `onnx`, which is larger than the model.
"""

import struct

import numpy as np

Field = tuple[int, int | float | str | bytes]
VARINT, LENGTH, FOUR_BYTES = 0, 2, 5

ELEMENTS = {np.dtype(np.float32): 1, np.dtype(np.int8): 3, np.dtype(np.int64): 7}
FLOAT_SETTING, INTEGER_SETTING = 1, 2


def message(fields: list[Field]) -> bytes:
    """A message of these fields, each with its number."""
    parts = []
    for number, value in fields:
        if isinstance(value, int):
            parts += [varint(number << 3 | VARINT), varint(value)]
        elif isinstance(value, float):
            parts += [varint(number << 3 | FOUR_BYTES), struct.pack("<f", value)]
        else:
            data = value.encode() if isinstance(value, str) else value
            parts += [varint(number << 3 | LENGTH), varint(len(data)), data]
    return b"".join(parts)


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


def tensor(name: str, array: np.ndarray) -> bytes:
    """A constant."""
    dimensions: list[Field] = [(1, length) for length in array.shape]
    return message([*dimensions, (2, ELEMENTS[array.dtype]), (8, name), (9, array.tobytes())])


def value(name: str, shape: list[int | str]) -> bytes:
    """What goes in or comes out: floating-point numbers. A length that is not known has a name."""
    lengths = [message([(1 if isinstance(length, int) else 2, length)]) for length in shape]
    form = message([(1, ELEMENTS[np.dtype(np.float32)]), (2, message([(1, length) for length in lengths]))])
    return message([(1, name), (2, message([(1, form)]))])


def node(operator: str, domain: str, inputs: list[str], outputs: list[str], settings: dict) -> bytes:
    """An operator at work."""
    fields: list[Field] = [(1, name) for name in inputs]
    fields += [(2, name) for name in outputs]
    fields += [(4, operator), (7, domain)]
    for name, setting in settings.items():
        floating = isinstance(setting, float)
        kind = FLOAT_SETTING if floating else INTEGER_SETTING
        fields.append((5, message([(1, name), (2 if floating else 3, setting), (20, kind)])))
    return message(fields)
