# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Actions as tokens: OpenVLA's scheme (arXiv 2406.09246), as Magma uses it.

256 edges, evenly spaced on [-1, 1], make 255 bins. A value in bin ``b``, counted from 1, is the
token ``base - b``, where ``base`` is the size of the tokenizer's vocabulary *without* added tokens:
128000 for Llama-3. So the ids are 127744 to 127999, and a larger value has a smaller id.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from magma_ros.types import FloatArray, MagmaError

EDGES = 256
"""Edges of the bins, and tokens: the last one is only ever that of the value 1."""


class ActionTokenError(MagmaError):
    """A token stands for no action."""


@dataclass(frozen=True, slots=True)
class ActionCodec:
    """Turns normalised values into tokens and back.

    Attributes:
        base: Size of the vocabulary without added tokens.
    """

    base: int = 128_000

    @classmethod
    def of(cls, tokenizer: Tokenizer) -> ActionCodec:
        """That of a tokenizer."""
        return cls(base=tokenizer.get_vocab_size(with_added_tokens=False))

    @property
    def ids(self) -> range:
        """The tokens of actions."""
        return range(self.base - EDGES, self.base)

    def encode(self, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
        """Ids of values of any shape, which are clipped to [-1, 1].

        Raises:
            ActionTokenError: A value is not finite.
        """
        given = np.asarray(values, np.float64)
        if not np.isfinite(given).all():
            raise ActionTokenError("an action that is not finite has no tokens; leave it out")
        bins: npt.NDArray[np.int64] = np.digitize(np.clip(given, -1.0, 1.0), _edges())
        return self.base - bins

    def decode(self, ids: npt.ArrayLike) -> FloatArray:
        """The values in the middle of the tokens' bins, in the shape of ``ids``.

        The token of the value 1, which lies beyond the last bin, is read as the last bin.

        Raises:
            ActionTokenError: An id is that of another token.
        """
        given = np.asarray(ids, np.int64)
        if foreign := [token for token in given.flat if int(token) not in self.ids]:
            raise ActionTokenError(
                f"the token {foreign[0]} stands for no action; those of actions are "
                f"{self.ids.start} to {self.ids.stop - 1}"
            )
        edges = _edges()
        centres = (edges[:-1] + edges[1:]) / 2.0
        values: FloatArray = centres[np.clip(self.base - given - 1, 0, len(centres) - 1)]
        return values


def _edges() -> FloatArray:
    return np.linspace(-1.0, 1.0, EDGES)
