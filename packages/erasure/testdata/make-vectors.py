#!/usr/bin/env python3
"""Writes vectors.json: shards made by zfec (Debian's python3-zfec), another implementation of the
same code. Run with the Python that Debian's package is for: /usr/bin/python3 make-vectors.py"""
import hashlib
import json
import os

import zfec


def bytes_of(seed, length):
    """Test data that a reader can make again: SHA-256 of "seed:counter", one after the other."""
    out = b""
    counter = 0
    while len(out) < length:
        out += hashlib.sha256(f"{seed}:{counter}".encode()).digest()
        counter += 1
    return out[:length]


vectors = []
for k, n, length in [
    (1, 1, 5), (1, 4, 7), (2, 3, 16), (3, 5, 33), (4, 8, 64), (4, 12, 100), (10, 20, 48),
    (17, 40, 31), (20, 40, 32), (29, 80, 37), (100, 256, 8), (128, 256, 16), (255, 256, 3),
    (256, 256, 2),
]:
    data = [bytes_of(f"{k}/{n}/{i}", length) for i in range(k)]
    shards = zfec.Encoder(k, n).encode(data)
    vectors.append({"k": k, "n": n, "length": length, "parity": [s.hex() for s in shards[k:]]})

with open(os.path.join(os.path.dirname(__file__), "vectors.json"), "w") as f:
    json.dump({"made_by": "zfec", "vectors": vectors}, f, indent=1)
    f.write("\n")
