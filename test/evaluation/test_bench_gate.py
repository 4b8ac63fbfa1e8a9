# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bench compares every gate with full depth without latency, and plays nothing twice."""

import json
from dataclasses import replace

import pytest

from magma_ros.cli import main
from magma_ros.evaluation.bench import gate as bench_module
from magma_ros.evaluation.bench.coin import is_judged
from magma_ros.evaluation.bench.gate import CELLS, coin_beside, run_bench
from magma_ros.evaluation.bench.gate_plan import (
    ADAPTIVE,
    REGRET,
    BenchSpec,
    Counts,
    Section,
    spaced,
)
from magma_ros.evaluation.bench.gate_report import bench_tables, claims_table, write_bench
from magma_ros.evaluation.figures.exit_costs import exit_costs
from magma_ros.gate.gate_file import find_gate_file
from magma_ros.policy.manifest import read_manifest
from magma_ros.share import find_bundle
from magma_ros.types import MagmaError

SPEC = BenchSpec(
    suites=("tabletop",),
    tasks=("reach",),
    counts=Counts(1, 1, 1),
    seed=40,
    hardware=("cpu-2core", "orin-agx"),
    brief=True,
)


@pytest.fixture(scope="module")
def manifest(tiny_bundle):
    return read_manifest(tiny_bundle)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bench")


@pytest.fixture(scope="module")
def bench(tiny_bundle, folder):
    return run_bench(SPEC, tiny_bundle, folder, workers=1)


def plan(manifest, **changes):
    return replace(SPEC, **changes).plan(manifest, None)


def test_every_question_is_asked_in_every_suite(manifest):
    cells = plan(manifest, suites=("tabletop", "moving"), tasks=(), brief=False)
    assert {(cell.section, cell.suite) for cell in cells} == {
        (section, suite) for section in Section for suite in ("tabletop", "moving")
    }


def test_a_decision_is_due_before_the_next_observation(manifest):
    for cell in plan(manifest, suites=("tabletop", "moving"), tasks=(), brief=False):
        assert cell.spec.deadline == pytest.approx(0.8 * 0.1 * cell.spec.execute)


def test_a_policy_of_longer_steps_decides_as_often(manifest):
    longer = manifest.action.model_copy(update={"step_period": 2 * manifest.action.step_period})
    slower = manifest.model_copy(update={"action": longer})
    for slow, cell in zip(plan(slower, tasks=()), plan(manifest, tasks=()), strict=True):
        if cell.spec.conditions.costs is None:  # the large policy has a pace of its own
            assert slow.spec.execute == cell.spec.execute / 2
            assert slow.spec.deadline == pytest.approx(cell.spec.deadline)


def test_baselines_know_no_clock_and_the_gate_does(manifest):
    for cell in plan(manifest, brief=False):
        if cell.contender.family not in ("adaptive", "as deep as fits"):
            assert cell.spec.patient
    assert not ADAPTIVE.patient


def test_the_reference_plays_every_episode_that_is_compared_with_it(manifest):
    first, *others = plan(manifest, brief=False)
    assert first.section is Section.REFERENCE
    assert first.spec.clock == "ideal"
    assert first.spec.options == {"depth": manifest.exits}
    for cell in others:
        assert cell.spec.clock == "modelled"
        assert set(cell.spec.scenes()) <= set(first.spec.scenes())


def test_a_gate_by_regret_is_measured_against_the_coin_where_there_is_one():
    bundle = find_bundle("magma-small")
    manifest, file = read_manifest(bundle), find_gate_file(bundle)
    cells = SPEC.plan(manifest, file)
    (cell,) = (cell for cell in cells if cell.contender == REGRET)
    assert cell.section is Section.FAST
    assert is_judged(cell)
    assert not cell.spec.patient
    without = SPEC.plan(manifest, file.model_copy(update={"regret": None}))
    assert [other for other in cells if other != cell] == list(without)


def test_one_question_can_be_asked_alone_on_computers_as_slow_as_one_likes():
    bundle = find_bundle("magma-small")
    manifest, file = read_manifest(bundle), find_gate_file(bundle)
    spec = replace(SPEC, sections=("slowness",), slowness=(3.0, 5.0))
    cells = spec.plan(manifest, file)
    reference, *asked = cells
    assert reference.section is Section.REFERENCE
    wanted = ("adaptive", "regret", "full depth", "as deep as fits")
    assert [(cell.place, cell.contender.label) for cell in asked] == [
        (place, label) for place in ("3 x", "5 x") for label in wanted
    ]
    assert {cell.spec.conditions.slowness for cell in asked} == {3.0, 5.0}
    assert {cell.spec.episodes for cell in cells} == {spec.counts.main}


def test_a_bench_of_one_question_has_a_whole_report(tiny_bundle, folder, tmp_path):
    spec = replace(SPEC, sections=("slowness",), slowness=(3.0,))
    bench = run_bench(spec, tiny_bundle, folder, workers=1)
    assert {duel.gate.cell.place for duel in bench.duels} == {"3 x"}
    write_bench(bench, tmp_path)
    told = (tmp_path / "bench.md").read_text(encoding="utf-8")
    assert "adaptive at 3 x: late decisions" in told
    assert "Best success within a budget" not in told
    assert "adaptive at 3 x: better than the coin" in told
    assert {path.suffix for path in tmp_path.iterdir()} == {".md", ".json", ".png"}
    assert not (tmp_path / "compute.png").exists()  # nothing was asked about budgets


def test_a_suite_without_any_of_the_tasks_is_left_out(manifest):
    cells = plan(manifest, suites=("tabletop", "moving"), tasks=("track",))
    assert {cell.suite for cell in cells} == {"moving"}


@pytest.mark.parametrize("count", [1, 3, 4, 17])
def test_settings_are_spread_from_the_first_to_the_last(count):
    chosen = spaced(range(count))
    assert len(chosen) == min(count, 3)
    assert (chosen[0], chosen[-1]) == (0, count - 1)
    assert sorted(set(chosen)) == chosen


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"hardware": ("abacus",)}, "'abacus'"),
        ({"suites": ("kitchen",)}, "kitchen"),
        ({"tasks": ("juggle",)}, "juggle"),
        ({"counts": Counts(0, 0, 0)}, "at least 1"),
        ({"split": "sideways"}, "sideways"),
        ({"slowness": (0.0,)}, "slowness"),
        ({"sections": ("speed",)}, "no section 'speed'; choose among reference"),
    ],
)
def test_a_bench_that_makes_no_sense_is_refused(change, told):
    with pytest.raises(MagmaError, match=told):
        replace(SPEC, **change)


def test_every_row_is_paired_with_full_depth_without_latency(bench):
    for row in bench.rows:
        assert row.paired.pairs == row.played.sums.episodes == row.cell.spec.episodes
    reference = bench.rows[0]
    assert reference.paired.difference == 0.0
    assert reference.played.sums.flops_fraction == pytest.approx(1.0)


def test_every_claim_about_the_gate_is_made_against_a_coin(bench):
    claimed = {
        (row.cell.place, row.cell.contender.label)
        for section in (Section.SLOWNESS, Section.FAST, Section.BUDGETS)
        for row in bench.select(section, "tabletop")
        if row.cell.contender.family == "adaptive"
    }
    duels = {(each.gate.cell.place, each.gate.cell.contender.label) for each in bench.duels}
    assert duels == claimed
    figures = [figure for _, figure, _, _ in claims_table(bench).rows]
    for told in ("at 2 x", "at 8 x", "with time to spare"):
        assert f"adaptive {told}: better than the coin" in figures
    assert "adaptive with time to spare: better than the best coin" in figures


def test_a_coin_plays_the_same_episodes_as_its_gate_under_the_same_clock(bench):
    for duel in bench.duels:
        gate, coin = duel.gate.cell.spec, duel.coin.cell.spec
        changed = {"gate": gate.gate, "gate_options": gate.gate_options, "patient": gate.patient}
        assert replace(coin, **changed) == gate
        assert coin.gate == "coin"
        assert duel.coin in bench.rows
        assert duel.paired.pairs == gate.episodes
        gained = duel.gate.played.sums.success - duel.coin.played.sums.success
        assert duel.paired.difference == pytest.approx(gained)


def test_a_coin_is_mixed_to_what_its_gate_spent(bench, manifest):
    costs = exit_costs(manifest)
    for duel in bench.duels:
        if duel.best:  # it may rest on an exit that is cheaper and as good
            continue
        (shallow, deep), share = (duel.coin.cell.spec.options[name] for name in ("depths", "share"))
        spent = (1.0 - share) * costs[shallow - 1] + share * costs[deep - 1]
        gate = duel.gate.played.sums.flops_fraction
        assert spent == pytest.approx(min(1.0, max(costs[0], gate)), abs=1e-3)
        assert deep - shallow <= 1


def test_a_coin_at_the_operations_of_an_evaluation(tmp_path, needs):
    needs("sim")
    asked = ["eval", "--bundle", "magma-small", "--suite", "tabletop", "--tasks", "reach"]
    asked += ["--episodes", "2", "--seed", "40", "--json"]
    gate, coin = tmp_path / "gate.json", tmp_path / "coin.json"
    assert main([*asked, str(gate)]) == 0
    assert main([*asked, str(coin), "--coin", str(gate), "--coin-exits", "1,4"]) == 0
    played = [json.loads(path.read_text()) for path in (gate, coin)]
    assert [row["seed"] for row in played[1]["episodes"]] == [40, 41]
    assert played[1]["spec"]["gate"] == "coin"
    options = played[1]["spec"]["gate_options"]
    assert options["depths"] == [1, 4]
    low, *_, high = exit_costs(read_manifest(find_bundle("magma-small")))
    spent = played[0]["results"]["none"]["overall"]["flops_fraction"]
    assert low + options["share"] * (high - low) == pytest.approx(spent, abs=1e-3)


def test_a_coin_that_cannot_spend_as_much_is_refused(bench, manifest, tiny_bundle, folder):
    (path, *_) = (folder / CELLS).glob("*.json")
    with pytest.raises(MagmaError, match="another bundle"):
        coin_beside(path, find_bundle("magma-small"))
    with pytest.raises(MagmaError, match="choose among them"):
        coin_beside(path, tiny_bundle, (1, manifest.exits + 1))
    content = json.loads(path.read_text())
    content["results"]["none"]["overall"]["flops_fraction"] = 1.0
    other = folder / "other.json"
    other.write_text(json.dumps(content))
    with pytest.raises(MagmaError, match="full depth, and a coin between exits 1"):
        coin_beside(other, tiny_bundle, (1, 1))


def test_full_depth_is_late_at_twice_the_period_and_the_first_exit_seldom(bench):
    late = {
        row.cell.contender.label: row.played.sums.late / row.played.sums.decisions
        for row in bench.select(Section.SLOWNESS, "tabletop")
        if row.cell.place == "2 x"
    }
    assert late["full depth"] == 1.0
    assert late["exit 1"] < 0.3


def test_costs_of_the_large_policy_are_shares_of_its_own_full_depth(bench):
    rows = bench.select(Section.COMPUTERS, "tabletop")
    (full,) = [row for row in rows if row.cell.contender.label == "full depth"]
    assert full.cell.spec.conditions.costs == "magma-8b"
    assert full.played.sums.flops_fraction == pytest.approx(1.0, abs=1e-5)


def test_what_has_been_played_is_not_played_again(bench, tiny_bundle, folder, monkeypatch):
    def play(*args, **kwargs):
        raise AssertionError

    monkeypatch.setattr(bench_module, "_play", play)
    again = run_bench(SPEC, tiny_bundle, folder, workers=1)
    assert again.to_json() == bench.to_json()
    with pytest.raises(AssertionError):
        run_bench(replace(SPEC, seed=41), tiny_bundle, folder, workers=1)


def test_a_new_calibration_spares_what_does_not_heed_it(bench, manifest, folder):
    calibration = find_gate_file(find_bundle("magma-nano"))
    store = bench_module._CellStore(folder / CELLS, manifest, bench.checksum, calibration)
    for row in bench.rows:
        spared = row.cell.spec.gate != "adaptive"
        assert (store.find(row.cell.spec) is not None) == spared


def test_only_a_damaged_cell_is_played_again(bench, tiny_bundle, folder, monkeypatch):
    damaged = min((folder / CELLS).iterdir())
    whole = damaged.read_bytes()
    damaged.write_bytes(whole[:100])
    missing = []
    play = bench_module._play

    def spy(specs, *args, **kwargs):
        missing.extend(specs)
        play(specs, *args, **kwargs)

    monkeypatch.setattr(bench_module, "_play", spy)
    run_bench(SPEC, tiny_bundle, folder, workers=1)
    assert len(missing) == 1
    assert damaged.read_bytes() == whole


def test_the_report_holds_figures_tables_and_plots(bench, tmp_path):
    write_bench(bench, tmp_path)
    content = json.loads((tmp_path / "bench.json").read_text())
    assert content["format"] == "magma-bench/1"
    assert len(content["rows"]) == len(bench.rows)
    page = (tmp_path / "bench.md").read_text()
    for table in bench_tables(bench):
        assert table.title in page
    for name in ("slowness.png", "compute.png"):
        assert f"({name})" in page
        assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")
