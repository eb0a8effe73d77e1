# SPDX-License-Identifier: GPL-2.0-only
"""As much of protobuf's wire format as a few CRI calls need.

A message is {field number: value}; a value is str, bytes, int, a message, or a list
of those for a repeated field. Maps of strings are pairs() lists.
"""


def varint(number):
    out = bytearray()
    while True:
        byte, number = number & 0x7F, number >> 7
        out.append(byte | (0x80 if number else 0))
        if not number:
            return bytes(out)


def encode(message):
    out = b""
    for field, value in message.items():
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, int):
                out += varint(field << 3) + varint(one)
                continue
            if isinstance(one, dict):
                one = encode(one)
            elif isinstance(one, str):
                one = one.encode()
            out += varint(field << 3 | 2) + varint(len(one)) + one
    return out


def pairs(mapping):
    return [{1: key, 2: value} for key, value in mapping.items()]


def read_varint(data, at):
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return number, at


def decode(data):
    """{field: [values]}; length-delimited ones stay bytes."""
    message, at = {}, 0
    while at < len(data):
        tag, at = read_varint(data, at)
        if tag & 7 == 0:
            value, at = read_varint(data, at)
        elif tag & 7 == 2:
            size, at = read_varint(data, at)
            value, at = data[at:at + size], at + size
        else:
            raise ValueError(f"wire type {tag & 7}")
        message.setdefault(tag >> 3, []).append(value)
    return message
