# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a merge did, layer by layer: as a table, as JSON and as a plot."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.files import make_folder, whole, write_json
from magma_ros.models.merging.figures import Sums, by_layer, pairs, together
from magma_ros.models.merging.run import Outcome

SCHEMA = "magma-merge/1"


def as_dict(outcome: Outcome) -> dict[str, Any]:
    """As plain data."""
    figures = outcome.figures
    names = [parent.name for parent in outcome.ancestry.parents]
    return {
        "schema": SCHEMA,
        **outcome.ancestry.model_dump(mode="json"),
        "pairs": pairs(names),
        "sensitive": None if outcome.sensitive is None else sorted(outcome.sensitive),
        "all": together(figures.values()).to_json(),
        "layers": {layer: sums.to_json() for layer, sums in by_layer(figures).items()},
        "tensors": {name: sums.to_json() for name, sums in figures.items()},
    }


def header(outcome: Outcome) -> list[str]:
    """Names of the columns of :func:`rows`."""
    names = [parent.name for parent in outcome.ancestry.parents]
    cosines = [f"cosine of {pair}" for pair in pairs(names)]
    return ["layer", *(f"norm of {name}" for name in names), *cosines, "sign conflicts", "scale"]


def rows(figures: Mapping[str, Sums]) -> list[tuple[str, ...]]:
    """One row a layer: norms as shares of the base's, cosines, conflicts, the scale applied."""
    return [(name, *_row(sums)) for name, sums in figures.items()]


def layer_rows(outcome: Outcome) -> list[tuple[str, ...]]:
    """The rows of all layers, and one for everything together."""
    figures = outcome.figures
    return rows({**by_layer(figures), "all": together(figures.values())})


def _row(sums: Sums) -> tuple[str, ...]:
    base = sums.base**0.5
    norms = (f"{norm / base:.2%}" if base else f"{norm:.3g}" for norm in sums.norms)
    cosines = ("" if cosine is None else f"{cosine:+.2f}" for cosine in sums.cosines)
    conflicts = f"{sums.conflicts / sums.moved:.0%}" if sums.moved else ""
    mean = f"{sums.scales / sums.elements:.3f}"
    if sums.largest - sums.least > 1e-3:
        mean += f" ({sums.least:.2f} to {sums.largest:.2f})"
    return (*norms, *cosines, conflicts, mean)


def write_report(outcome: Outcome, path: Path) -> None:
    """Write JSON to ``path``, and beside it a page with tables and a plot of the same name.

    Raises:
        MagmaError: A file cannot be written.
    """
    make_folder(path.parent)
    write_json(as_dict(outcome), path)
    plot = path.with_suffix(".png")
    with whole(plot) as draft:
        _plot(outcome).savefig(draft, dpi=110)
    guarded = ", ".join(f"`{name}`" for name in sorted(outcome.sensitive or ()))
    page = (
        f"# {outcome.ancestry.name}\n\n{outcome.ancestry.section()}\n\n![layers]({plot.name})\n\n"
        "Norms of the task vectors are shares of the norm of the base; conflicts are shares of the "
        "elements that move; the scale multiplies the merged task vector, mean and extremes.\n\n"
        f"{f'Never enlarged: {guarded}.' if guarded else 'No guard.'}\n\n## Layers\n\n"
        f"{markdown_table(header(outcome), layer_rows(outcome))}\n\n## Tensors\n\n"
        f"{markdown_table(header(outcome), rows(outcome.figures))}\n"
    )
    with whole(path.with_suffix(".md")) as draft:
        draft.write_text(page, encoding="utf-8")


def _plot(outcome: Outcome) -> Figure:
    """Norms, cosines and scales over the layers."""
    layers = by_layer(outcome.figures)
    names = [parent.name for parent in outcome.ancestry.parents]
    places = np.arange(len(layers))
    figure = Figure(figsize=(max(7.0, 0.28 * len(layers)), 8.0), layout="constrained")
    norms, cosines, scales = figure.subplots(3, 1, sharex=True)
    for index, name in enumerate(names):
        shares = [s.norms[index] / s.base**0.5 if s.base else np.nan for s in layers.values()]
        norms.plot(places, shares, marker="o", markersize=3, label=name)
    norms.set(ylabel="norm of the task vector\nas a share of the base's")
    for index, pair in enumerate(pairs(names)):
        values = [sums.cosines[index] for sums in layers.values()]
        cosines.plot(places, np.array(values, float), marker="o", markersize=3, label=pair)
    conflicts = [s.conflicts / s.moved if s.moved else np.nan for s in layers.values()]
    cosines.plot(places, conflicts, color="grey", linestyle=":", label="sign conflicts")
    cosines.set(ylabel="cosine of task vectors")
    means = np.array([s.scales / s.elements for s in layers.values()])
    extremes = np.array([[s.least, s.largest] for s in layers.values()]).T
    scales.errorbar(places, means, np.abs(extremes - means), fmt="o", markersize=3, capsize=2)
    scales.axhline(1.0, color="grey", linewidth=0.8)
    scales.set(ylabel="scale applied", xticks=places)
    scales.set_xticklabels([layer[-28:] for layer in layers], rotation=90, fontsize=7)
    for axes in (norms, cosines):
        axes.legend(fontsize=7)
    return figure
