# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``gate.yaml``: what calibration found out about one bundle, and what it guarantees.

It lies in the bundle's folder, is written after the export, and names the checksum of the
manifest, so that figures of one policy never judge another one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from magma_ros.files import read_yaml, whole, yaml_mapping
from magma_ros.gate.confidence import FEATURES, AgreementModel, ExitModel, Yardstick
from magma_ros.gate.interface import GateError
from magma_ros.gate.regret import ExitRegret, RegretModel
from magma_ros.spaces import MAGMA

GATE_FILE = "gate.yaml"
"""Its name inside a bundle."""

MANIFEST = "bundle.yaml"
"""The file of the bundle whose checksum stands for all of it."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
Level = Annotated[float, Field(gt=0.0, lt=1.0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Guarantee(_Entry):
    """What holds, and for which episodes.

    With confidence ``1 - alpha`` over the choice of the episodes, the expected share of an
    episode's decisions that deviate from full depth by more than ``epsilon`` is at most ``delta``.

    Attributes:
        epsilon: Deviation accepted, in shares of the action range.
        delta: Share of decisions that may deviate further.
        alpha: Probability that the promise is wrong.
        episodes: Episodes each threshold was tested on.
        suites: Their task suites.
        tasks: Their tasks.
        split: Their variation of scenes and instructions.
        seeds: First and last seed played for it.
    """

    epsilon: Level
    delta: Level
    alpha: Level
    episodes: PositiveInt
    suites: tuple[str, ...]
    tasks: tuple[str, ...]
    split: str
    seeds: tuple[NonNegativeInt, NonNegativeInt]


class Trial(_Entry):
    """One threshold that was tested.

    Attributes:
        threshold: Probability of agreement demanded, at the mean price.
        violations: Mean over the episodes of the share of decisions that deviated too far.
        p_value: Of the hypothesis that the expected share exceeds delta.
        depth: Mean exit acted on.
        flops: Mean operations of a decision, as a share of full depth.
    """

    threshold: Share
    violations: Share
    p_value: Share
    depth: PositiveFloat
    flops: Share


class ReliabilityBin(_Entry):
    """How often an exit agreed when its model gave about the same probability.

    Attributes:
        count: Decisions.
        predicted: Mean probability given.
        observed: Share that agreed.
    """

    count: PositiveInt
    predicted: Share
    observed: Share


class ExitEntry(_Entry):
    """The model of one exit, and how well its probabilities are calibrated.

    Attributes:
        bias: See :class:`magma_ros.gate.confidence.ExitModel`.
        weights: One for each of the file's features.
        price: Of going on to the next exit, relative to the mean.
        calibration_error: Expected calibration error on episodes it was not fitted on.
        reliability: The bins behind it.
    """

    bias: float
    weights: tuple[float, ...]
    price: PositiveFloat
    calibration_error: Share
    reliability: tuple[ReliabilityBin, ...]


class Solution(_Entry):
    """Thresholds of the baselines that meet one compute budget on the same episodes.

    Attributes:
        flops: The budget: mean operations of a decision, as a share of full depth.
        consistency: One for each exit but the deepest.
        entropy: The one for all exits.
    """

    flops: Level
    consistency: tuple[NonNegativeFloat, ...]
    entropy: Share


class RegretEntry(_Entry):
    """The model of what acting at one exit costs.

    Attributes:
        bias: See :class:`magma_ros.gate.regret.ExitRegret`.
        weights: One for each of the file's features.
        saving: Operations that acting there saves, as a share of full depth.
        loss: What acting there costs on average over all tasks.
    """

    bias: float
    weights: tuple[float, ...]
    saving: Share
    loss: NonNegativeFloat = 0.0


class RegretRule(_Entry):
    """The rule of the gate that judges by regret, and what it did in episodes of its own.

    Attributes:
        price: Success that the operations of one decision at full depth are worth.
        exits: The models, for each exit but the deepest.
        words: What each word of an instruction adds to the need of depth.
        paired_episodes: Episodes at fixed exits that these were learnt from.
        fit_episodes: Episodes with random exits that the models were fitted on.
        budget: Mean operations of a decision that the price was chosen for, as a share of full
            depth.
        episodes: Fresh episodes that it drove.
        seeds: First and last seed played for it.
        successes: Episodes whose task was done.
        flops: Mean operations of a decision, as a share of full depth.
        violations: Mean over the episodes of the share of decisions that deviate from full depth by
            more than the guarantee's epsilon.
        violations_at_most: Upper bound of its expectation, with confidence 1 - alpha.
    """

    price: Annotated[float, Field(gt=0.0, le=1.0)]
    exits: tuple[RegretEntry, ...]
    words: dict[str, float] = {}
    paired_episodes: NonNegativeInt = 0
    fit_episodes: PositiveInt
    budget: Level
    episodes: PositiveInt
    seeds: tuple[NonNegativeInt, NonNegativeInt]
    successes: NonNegativeInt
    flops: Share
    violations: Share
    violations_at_most: Share


class GateFile(_Entry):
    """The content of ``gate.yaml``.

    Attributes:
        schema_version: Layout of the file.
        manifest_sha256: Checksum of the bundle's manifest.
        guarantee: What holds.
        threshold: The most liberal threshold that was certified.
        trials: All that were tested, in order.
        features: Names of what the models weigh.
        ranges: Of the actions, for the yardstick.
        steps: Steps of a chunk that count, for the yardstick.
        exits: The models, for each exit but the deepest.
        baselines: Thresholds of other gates.
        regret: The rule of the gate that judges by regret; None where none was fitted.
    """

    schema_version: Literal[1] = 1
    manifest_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    guarantee: Guarantee
    threshold: Annotated[float, Field(gt=0.0, le=1.0)]
    trials: Annotated[tuple[Trial, ...], Field(min_length=1)]
    features: tuple[str, ...] = FEATURES
    ranges: tuple[PositiveFloat, ...]
    steps: PositiveInt
    exits: tuple[ExitEntry, ...]
    baselines: tuple[Solution, ...]
    regret: RegretRule | None = None

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        if self.features != FEATURES:
            raise ValueError(f"the features must be {', '.join(FEATURES)}, in this order")
        regrets = () if self.regret is None else self.regret.exits
        if self.regret is not None and len(regrets) != len(self.exits):
            raise ValueError(f"regret needs {len(self.exits)} exits, not {len(regrets)}")
        for weights in ([e.weights for e in self.exits], [e.weights for e in regrets]):
            for depth, each in enumerate(weights, start=1):
                if len(each) != len(FEATURES):
                    raise ValueError(f"exit {depth} needs {len(FEATURES)} weights")
        if self.threshold not in [trial.threshold for trial in self.trials]:
            raise ValueError("threshold is none of those tested")
        return self

    def agreement_model(self) -> AgreementModel:
        """The models, ready to judge."""
        exits = tuple(ExitModel(entry.bias, entry.weights, entry.price) for entry in self.exits)
        return AgreementModel(Yardstick(self.ranges, self.steps), exits)

    def regret_model(self) -> RegretModel | None:
        """The models of regret, ready to judge; None where none were fitted."""
        if self.regret is None:
            return None
        rule = self.regret
        exits = tuple(ExitRegret(e.bias, e.weights, e.saving, e.loss) for e in rule.exits)
        return RegretModel(Yardstick(self.ranges, self.steps), exits, rule.words)


def manifest_checksum(bundle: Path) -> str:
    """SHA-256 of the manifest of the bundle in a folder.

    Raises:
        GateError: There is no manifest.
    """
    path = bundle / MANIFEST
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise GateError(f"{path} cannot be read ({error.strerror}); is it a bundle?") from None


def find_gate_file(bundle: Path) -> GateFile | None:
    """Read the ``gate.yaml`` of a bundle, or None if it was never calibrated.

    Raises:
        GateError: It is damaged or was made for another bundle.
    """
    path = bundle / GATE_FILE
    if not (path.exists() or path.is_symlink()):
        return None
    file = read_yaml(path, GateFile, error=GateError, remedy="run magma calibrate again")
    if (found := manifest_checksum(bundle)) != file.manifest_sha256:
        raise GateError(
            f"{path} was made for a bundle with checksum {file.manifest_sha256[:12]}, but this one "
            f"has {found[:12]}; run magma calibrate again, or remove the file"
        )
    if len(file.ranges) != (columns := _columns(bundle)):
        raise GateError(
            f"{path}: ranges needs {columns} entries, one a dimension of the action, found "
            f"{len(file.ranges)}; run magma calibrate again"
        )
    return file


def require_gate_file(bundle: Path, exits: int) -> GateFile:
    """Read the ``gate.yaml`` of a bundle that has so many exits.

    Raises:
        GateError: It is missing, damaged, or was made for another bundle.
    """
    file = find_gate_file(bundle)
    if file is None:
        raise GateError(f"{bundle / GATE_FILE} is missing; run magma calibrate")
    if len(file.exits) != exits - 1:
        raise GateError(
            f"{bundle / GATE_FILE} judges {len(file.exits)} exits, but the bundle has {exits} and "
            "needs a judgement of each but the deepest; run magma calibrate again"
        )
    return file


def _columns(bundle: Path) -> int:
    """How many dimensions an action of the bundle has."""
    manifest = yaml_mapping(bundle / MANIFEST, error=GateError)
    action = manifest.get("action")
    dims = action.get("dims") if isinstance(action, dict) else None
    return len(dims) if isinstance(dims, list) else len(MAGMA)


def write_gate_file(bundle: Path, file: GateFile) -> Path:
    """Write the ``gate.yaml`` of a bundle whole or not at all; returns its path.

    Raises:
        MagmaError: It cannot be written.
    """
    path = bundle / GATE_FILE
    with whole(path) as draft:
        content = yaml.safe_dump(file.model_dump(mode="json"), sort_keys=False, width=100)
        draft.write_text(content, encoding="utf-8")
    return path
