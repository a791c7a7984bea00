#!/usr/bin/env python3
"""Writes the golden messages of wire format 2.0, from the table in protocols/wire/message.h alone (not from the C++ code).

Ciphertexts are 8 bytes, byte k of a message's section i is (17 * i + k) mod 256; the key fingerprint is 0, 1, ... 31.
"""
import pathlib
import struct

KINDS = {"input": 1, "question": 2, "answer": 3, "logits": 4}
FOLDER = pathlib.Path(__file__).parent / "v2.0"


def section(number, size):
    return bytes((17 * number + k) % 256 for k in range(size))


def message(kind, step, exchange, elements, ciphertexts, sign_test_bytes):
    width = 8
    cipher = section(1, ciphertexts * width)
    test = section(2, sign_test_bytes)
    body = test + cipher if kind == "answer" else cipher + test
    total = 88 + len(body)
    prefix = struct.pack("<2sBBBBHQ", b"PC", 16, 2, 0, KINDS[kind], 0, total)
    prefix += struct.pack("<II32sIIQQQ", step, exchange, bytes(range(32)), width, 0, elements, ciphertexts, sign_test_bytes)
    assert len(prefix) == 88
    return prefix + body


for name, arguments in {
    "input": ("input", 0, 0, 3, 3, 0),
    "question": ("question", 7, 0, 5, 2, 16),
    "answer": ("answer", 7, 1, 5, 10, 6),
    "logits": ("logits", 8, 0, 4, 1, 0),
}.items():
    (FOLDER / f"{name}.bin").write_bytes(message(*arguments))
