# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Decodes the tokens of an action all at once, which gives the same tokens as one by one.

Each pass takes a draft of all tokens and gives, for every place, the token that follows the draft
before it. The first place does not depend on the draft, so it is right after the first pass; a
place is right once all before it were right in the draft. When a pass gives the draft it took,
every token is the one that decoding one by one would have chosen: the fixed point of a Jacobi
iteration (Song et al. 2021, arXiv 2002.03629; PD-VLA, arXiv 2503.02310). It is reached after as
many passes as there are tokens at the latest, and after one if the draft was right. No row of a
pass may depend on the rows after it, so graphs must not share scales between rows, as products
with scales taken from whole tensors do.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import onnxruntime as ort


class TokenLoop:
    """The passes of one exit.

    Args:
        graphs: Run one after the other, they turn the draft into the choice.
        choice: (1, N) the tokens, read and written in place. What lies there at first is the first
            draft: the choice of the exit before, or the last one of the observation before.
    """

    def __init__(self, graphs: Sequence[Callable[[], None]], choice: ort.OrtValue) -> None:
        self._graphs = graphs
        self._choice = choice

    def run(self, *, thorough: bool = False) -> int:
        """Decode; return how many passes it took.

        Args:
            thorough: Whether to go on to the last pass that could ever be needed.
        """
        draft = np.array(self._choice.numpy())
        for passes in range(1, draft.size + 1):
            for run in self._graphs:
                run()
            chosen = np.array(self._choice.numpy())
            # Nothing is read from the last token of a draft.
            if not thorough and np.array_equal(chosen[0, :-1], draft[0, :-1]):
                return passes
            draft = chosen
        return draft.size

    def one_by_one(self) -> None:
        """Decode a token after the other, with nothing true after it: what :meth:`run` must equal.

        For checks; it takes as many passes as there are tokens.
        """
        known = np.zeros_like(self._choice.numpy())
        for place in range(known.size):
            self._choice.update_inplace(known)
            for run in self._graphs:
                run()
            known[0, place] = self._choice.numpy()[0, place]
        self._choice.update_inplace(known)
