# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""``gate.yaml`` serves the bundle it was made for, and no other."""

import pytest
import yaml

from magma_ros.gate.confidence import FEATURES
from magma_ros.gate.gate_file import (
    ExitEntry,
    GateFile,
    Guarantee,
    RegretEntry,
    RegretRule,
    ReliabilityBin,
    Solution,
    Trial,
    find_gate_file,
    manifest_checksum,
    write_gate_file,
)
from magma_ros.gate.gates import AdaptiveGate, GateError, OracleGate, RegretGate, make_gate

EXIT = {
    "bias": 0.0,
    "weights": [0.0] * len(FEATURES),
    "price": 1.0,
    "calibration_error": 0.0,
    "reliability": [],
}


@pytest.fixture
def bundle(tmp_path):
    """All of a bundle that a gate looks at."""
    (tmp_path / "bundle.yaml").write_text("name: one\n")
    return tmp_path


@pytest.fixture
def file(bundle):
    entry = ExitEntry(
        bias=0.5,
        weights=(-1.0,) * len(FEATURES),
        price=0.7,
        calibration_error=0.02,
        reliability=(ReliabilityBin(count=10, predicted=0.8, observed=0.7),),
    )
    trials = [
        Trial(threshold=t, violations=v, p_value=p, depth=2.0, flops=0.5)
        for t, v, p in ((0.95, 0.01, 0.001), (0.9, 0.03, 0.04), (0.8, 0.09, 0.4))
    ]
    return GateFile(
        manifest_sha256=manifest_checksum(bundle),
        guarantee=Guarantee(
            epsilon=0.1,
            delta=0.1,
            alpha=0.05,
            episodes=100,
            suites=("tabletop",),
            tasks=("reach",),
            split="seen",
            seeds=(5, 904),
        ),
        threshold=0.9,
        trials=tuple(trials),
        ranges=(0.05, 0.05, 0.05, 0.002, 0.002, 0.3, 1.0),
        steps=2,
        exits=(entry, entry),
        baselines=(Solution(flops=0.5, consistency=(0.0, 0.02), entropy=0.3),),
    )


def spoil(bundle, **changes):
    path = bundle / "gate.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def test_what_is_written_is_read(bundle, file):
    write_gate_file(bundle, file)
    assert find_gate_file(bundle) == file


def test_a_rule_of_regret_is_read_and_judges_as_many_exits(bundle, file):
    entry = RegretEntry(bias=0.1, weights=(0.5,) * len(FEATURES), saving=0.4)
    rule = RegretRule(
        price=0.05,
        exits=(entry, entry),
        fit_episodes=9,
        budget=0.7,
        episodes=5,
        seeds=(1, 14),
        successes=4,
        flops=0.69,
        violations=0.2,
        violations_at_most=0.5,
    )
    write_gate_file(bundle, file.model_copy(update={"regret": rule}))
    found = find_gate_file(bundle)
    assert found.regret == rule
    gate = make_gate("regret", bundle=bundle)
    assert gate == RegretGate(found.regret_model(), 0.05)
    assert make_gate("regret", bundle=bundle, price=0.2).price == 0.2
    spoil(bundle, regret=rule.model_dump(mode="json") | {"exits": [entry.model_dump(mode="json")]})
    with pytest.raises(GateError, match="regret needs 2 exits, not 1"):
        find_gate_file(bundle)


def test_a_file_from_before_there_was_regret_is_read(bundle, file):
    path = write_gate_file(bundle, file)
    content = yaml.safe_load(path.read_text())
    del content["regret"]
    path.write_text(yaml.safe_dump(content))
    assert find_gate_file(bundle) == file


def test_a_bundle_may_be_uncalibrated(bundle):
    assert find_gate_file(bundle) is None
    assert make_gate("adaptive", bundle=bundle, tolerance=0.1) == AdaptiveGate(tolerance=0.1)


def test_the_adaptive_gate_uses_what_calibration_found(bundle, file):
    write_gate_file(bundle, file)
    gate = make_gate("adaptive", bundle=bundle, tolerance=0.1)
    assert gate == AdaptiveGate(0.1, 0.9, file.agreement_model())
    assert make_gate("adaptive", bundle=bundle, threshold=0.5).threshold == 0.5


def test_the_oracle_measures_by_what_calibration_found(bundle, file):
    write_gate_file(bundle, file)
    assert make_gate("oracle", bundle=bundle) == OracleGate(0.1, file.agreement_model())


def test_other_gates_do_not_mind_calibration(bundle, file):
    write_gate_file(bundle, file)
    assert make_gate("entropy", bundle=bundle) == make_gate("entropy")


def test_a_file_for_another_bundle_is_refused(bundle, file):
    write_gate_file(bundle, file)
    (bundle / "bundle.yaml").write_text("name: two\n")
    with pytest.raises(GateError, match=r"was made for a bundle with checksum .* calibrate again"):
        make_gate("adaptive", bundle=bundle)


@pytest.mark.parametrize(
    ("changes", "phrase"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"threshold": -0.9}, "threshold: .* greater than 0"),
        ({"threshold": 0.5}, "threshold is none of those tested"),
        ({"threshold": float("nan")}, "threshold"),
        ({"ranges": [1.0] * 6}, "ranges needs 7 entries, .*, found 6"),
        ({"ranges": [-1.0] * 7}, "ranges.0"),
        ({"steps": 0}, "steps"),
        ({"features": ["mood"]}, "the features must be disagreement"),
        ({"trials": []}, "trials"),
        ({"surprise": 1}, "surprise"),
        ({"exits": [EXIT | {"weights": [1.0]}]}, "exit 1 needs 6 weights"),
        ({"exits": [EXIT | {"price": 0.0}]}, r"exits\[0\].price"),
        ({"exits": [{"bias": 0.0}]}, r"exits\[0\].weights: field required .and 3 more.; run magma"),
        ({"manifest_sha256": "short"}, "manifest_sha256"),
    ],
)
def test_a_damaged_file_is_refused_in_one_sentence(bundle, file, changes, phrase):
    write_gate_file(bundle, file)
    spoil(bundle, **changes)
    with pytest.raises(GateError, match=phrase) as caught:
        find_gate_file(bundle)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a: [", b"- 1", b""])
def test_what_is_no_gate_file_is_refused(bundle, content):
    (bundle / "gate.yaml").write_bytes(content)
    with pytest.raises(GateError, match=r"gate\.yaml"):
        find_gate_file(bundle)


def test_a_folder_without_a_manifest_has_no_checksum(tmp_path):
    with pytest.raises(GateError, match="is it a bundle"):
        manifest_checksum(tmp_path)
