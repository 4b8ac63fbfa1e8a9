# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Into how many tiles Magma cuts a picture; needs no torch.

Magma stretches a picture to a canvas of whole tiles, without keeping its proportions, and reads
tile by tile. The canvas is chosen by LLaVA-NeXT's rule. A robot's pictures are resized to a square
first, so they are one tile; a 640 x 480 picture as it comes would be two, and cost twice.
"""

from __future__ import annotations

from magma_ros.models.magma.layout import VisionShape


def choose_tiles(width: int, height: int, vision: VisionShape) -> tuple[int, int]:
    """Rows and columns of tiles for a picture of that size.

    Of all canvases of at most ``vision.max_tiles`` tiles, the one in which most of the picture's
    resolution survives; of several, the one with the least area left over.

    Args:
        width: Of the picture [px].
        height: Of the picture [px].
        vision: The tower's tiles.
    """
    side, most = vision.image_size, vision.max_tiles
    grids = [
        (rows, columns)
        for columns in range(1, most + 1)
        for rows in range(1, most + 1)
        if rows * columns <= most
    ]

    def worth(grid: tuple[int, int]) -> tuple[int, int]:
        rows, columns = grid
        scale = min(columns * side / width, rows * side / height)
        survives = min(int(width * scale) * int(height * scale), width * height)
        return survives, survives - rows * columns * side * side

    return max(grids, key=worth)
