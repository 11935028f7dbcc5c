"""Named random streams: a generator is a pure function of (seed, name, step), so nothing depends on what ran before.

Resuming, sharding and one more log line therefore change no random number.
"""

import hashlib

import torch


def stream_seed(seed: int, *names: str | int) -> int:
    """A 63-bit seed for a stream, from the run's seed and the stream's name and step."""
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(seed: int, *names: str | int, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator on `device` for the named stream, such as `stream(0, "attack", 17)`."""
    return torch.Generator(device).manual_seed(stream_seed(seed, *names))
