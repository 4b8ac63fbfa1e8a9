# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a calibration found and what a check measured, for people: tables, and the bundle's card."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.table import Table

from magma_ros.evaluation.calibrate.certify import Check
from magma_ros.evaluation.figures.statistics import wilson_interval
from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.files import read_text, whole
from magma_ros.gate.gate_file import GateFile, Guarantee, RegretRule

CARD = "MODEL_CARD.md"
"""The bundle's card."""

MOST_WORDS = 8
"""Words that are shown of those that ask for depth."""

SECTION = "## Gate"
"""Heading of the card's section about the gate."""

ASSUMPTION = (
    "The promise is about the average over episodes that are exchangeable with those it was "
    "calibrated on: the same suites, tasks and split, decisions in time. It does not cover "
    "other scenes, other phrasings, or decisions that a deadline cut short."
)


def calibration_tables(file: GateFile) -> list[Table]:
    """The tested thresholds, and the models of the exits."""
    promise = file.guarantee
    trials = Table(*_TRIAL_HEADER, title=_promise(promise), caption=ASSUMPTION)
    for row in _trial_rows(file):
        trials.add_row(*row)
    exits = Table("exit", "expected calibration error", title="P(an exit agrees with full depth)")
    for depth, entry in enumerate(file.exits, start=1):
        exits.add_row(str(depth), f"{entry.calibration_error:.3f}")
    if (rule := file.regret) is None:
        return [trials, exits]
    regret = Table("", "measured", title=f"Gate by regret, for {rule.budget:.0%} of full depth")
    for row in _rule_rows(rule):
        regret.add_row(*row)
    return [trials, exits, regret]


def check_table(found: Check) -> Table:
    """What was promised beside what was measured, and whether the promise applies."""
    promise = found.guarantee
    table = Table("", "promised", "measured", title=_promise(promise))
    low, high = found.interval
    measured = f"{found.violations:.2%} ({low:.1%} to {high:.1%})"
    table.add_row("decisions deviating too far", f"at most {100 * promise.delta:g}%", measured)
    table.add_row("split", promise.split, found.task_set.split)
    table.add_row("episodes", "", f"{found.episodes}, seeds from {found.seed}")
    low, high = found.success_interval
    rate = found.successes / found.episodes
    table.add_row("success", "", f"{rate:.1%} ({low:.1%} to {high:.1%})")
    table.add_row("mean exit", "", f"{found.depth:.2f}")
    table.add_row("operations", "", f"{found.flops:.0%} of full depth")
    errors = ", ".join(f"{error:.3f}" for error in found.calibration_errors)
    table.add_row("calibration error by exit", "", errors)
    table.caption = ASSUMPTION if found.exchangeable else f"{ASSUMPTION} {_OUTSIDE}"
    return table


def write_card_section(bundle: Path, file: GateFile) -> None:
    """Write the section about the gate into a bundle's card, in place of an earlier one.

    Raises:
        MagmaError: The card cannot be read or written.
    """
    path = bundle / CARD
    card = read_text(path) if path.is_file() else ""
    parts = [part for part in (without_card_section(card), SECTION, *_paragraphs(file)) if part]
    with whole(path) as draft:
        draft.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def without_card_section(card: str) -> str:
    """A bundle's card without its section about the gate."""
    sections = re.split(r"^(?=## )", card, flags=re.MULTILINE)
    kept = [part.strip() for part in sections if not part.startswith(f"{SECTION}\n")]
    return "\n\n".join(part for part in kept if part)


_OUTSIDE = (
    "These episodes are of another kind, so nothing was promised about them; the figure shows "
    "what happens."
)

_TRIAL_HEADER = (
    "probability demanded",
    "decisions deviating too far",
    "p-value",
    "mean exit",
    "operations",
    "",
)


def _promise(promise: Guarantee) -> str:
    return (
        f"At most {100 * promise.delta:g}% of the decisions of an episode, on average, deviate "
        f"from full depth by more than {promise.epsilon:g} of the action range "
        f"(confidence {100 * (1 - promise.alpha):g}%)"
    )


def _trial_rows(file: GateFile) -> Iterator[tuple[str, ...]]:
    for trial in file.trials:
        certified = trial.p_value <= file.guarantee.alpha
        yield (
            f"{trial.threshold:.4f}",
            f"{trial.violations:.2%}",
            f"{trial.p_value:.2g}",
            f"{trial.depth:.2f}",
            f"{trial.flops:.0%}",
            "in use" if trial.threshold == file.threshold else "" if certified else "not certified",
        )


def _rule_rows(rule: RegretRule) -> Iterator[tuple[str, str]]:
    low, high = wilson_interval(rule.successes, rule.episodes)
    rate = rule.successes / rule.episodes
    yield "success", f"{rate:.1%} ({low:.1%} to {high:.1%})"
    yield "operations", f"{rule.flops:.1%} of full depth"
    deviating = f"{rule.violations:.1%}, on average at most {rule.violations_at_most:.1%}"
    yield "decisions deviating too far", deviating
    yield "price of a decision at full depth", f"{rule.price:.3g} of an episode's success"
    pairs = f" and {rule.paired_episodes} at fixed ones" if rule.paired_episodes else ""
    yield "episodes", f"{rule.episodes}, after {rule.fit_episodes} with random exits{pairs}"
    if rule.words:
        most = sorted(rule.words, key=rule.words.__getitem__, reverse=True)[:MOST_WORDS]
        yield "words that ask for depth", ", ".join(word for word in most if rule.words[word] > 0.0)


def _paragraphs(file: GateFile) -> Iterator[str]:
    promise = file.guarantee
    yield f"{_promise(promise)}. {ASSUMPTION}"
    yield (
        f"Learn-then-Test on {promise.episodes} episodes per threshold, driven by the gate itself; "
        f"suites {', '.join(promise.suites)}, split {promise.split}, seeds {promise.seeds[0]} to "
        f"{promise.seeds[1]}:"
    )
    yield markdown_table(_TRIAL_HEADER, _trial_rows(file))
    yield (
        "Reliability of P(the exit agrees with full depth), on episodes that the models were not "
        "fitted on: share that agreed where the model predicted about that much, with its count. "
        "ECE is the expected calibration error."
    )
    yield markdown_table(*_reliability(file))
    if (rule := file.regret) is not None:
        yield (
            "`--gate regret` judges by what acting early costs in success instead, for "
            f"{rule.budget:.0%} of the operations of full depth. It promises nothing about "
            "deviations: how many there are was measured in the episodes that it drove (seeds "
            f"{rule.seeds[0]} to {rule.seeds[1]} with those it was fitted on), with an upper bound "
            "at the same confidence."
        )
        yield markdown_table(("", "measured"), _rule_rows(rule))


def _reliability(file: GateFile) -> tuple[Sequence[str], list[Sequence[str]]]:
    """One column for each exit, one row for each bin of a tenth."""
    header = ["", *(f"exit {depth}" for depth in range(1, len(file.exits) + 1))]
    errors = ["ECE", *(f"{entry.calibration_error:.3f}" for entry in file.exits)]
    columns = [
        {min(int(10 * b.predicted), 9): f"{b.observed:.2f} ({b.count})" for b in entry.reliability}
        for entry in file.exits
    ]
    bins = [
        [f"{tenth / 10:.1f} to {(tenth + 1) / 10:.1f}", *(c.get(tenth, "") for c in columns)]
        for tenth in range(10)
    ]
    return header, [*bins, errors]
