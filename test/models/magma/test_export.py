# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A bundle made of a checkpoint computes what the network does, and decodes what it decodes."""

import json
from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import onnxruntime as ort
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from magma_ros.cli import main
from magma_ros.gate.baselines import FixedDepth
from magma_ros.gate.latency import LatencyModel
from magma_ros.gate.loop import think
from magma_ros.gate.selftest import self_test
from magma_ros.models.magma import export_target
from magma_ros.models.magma.comparison import Example, Nearness, compare, noise
from magma_ros.models.magma.exits import EXITS as EXIT_WEIGHTS
from magma_ros.models.magma.exits import Exits
from magma_ros.models.magma.export import PASSES, import_checkpoint
from magma_ros.models.magma.export_decoder import token_values
from magma_ros.models.magma.export_graph import NumberFormat, spec
from magma_ros.models.magma.export_target import (
    ImportRefusedError,
    Target,
    bundle_bytes,
)
from magma_ros.models.magma.export_vision import write_words
from magma_ros.models.magma.layout import CheckpointLayoutError, layer_prefix
from magma_ros.models.magma.plan import Costs
from magma_ros.models.magma.reader import Checkpoint, CheckpointError
from magma_ros.models.magma.synthetic import TINY, write_checkpoint
from magma_ros.models.magma.tower import pixels_of
from magma_ros.models.magma.weights import empty_network, fill
from magma_ros.policy.action_statistics import OWN
from magma_ros.policy.action_tokens import ActionCodec
from magma_ros.policy.bundle import open_graphs, session_options
from magma_ros.policy.contract import BundleError
from magma_ros.policy.manifest import MANIFEST, read_manifest
from magma_ros.policy.pipeline import Pipeline
from magma_ros.policy.preprocess import ObservationError
from magma_ros.policy.prompt import END_OF_TURN, ActionPrompt, read_tokenizer
from magma_ros.policy.providers import CPU
from magma_ros.policy.report import verify
from magma_ros.policy.runtime import StagedPolicy
from magma_ros.types import Budget, MonotonicClock, Observation, Reason

ACTIONS = ActionCodec().ids
UNIT = {"unit": {"action": {"q01": [-1.0] * 6 + [0.0], "q99": [1.0] * 7}}}
SIDE = 48
EXITS = (1, 2, 4)
WORDS = ("pick", "up", "the", "red", "cube", "and", "place", "into", "blue", "open", "left")


PROMPT = ActionPrompt()


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp("checkpoint")
    write_checkpoint(folder, TINY)
    (folder / OWN).write_text(json.dumps(UNIT))
    return Checkpoint.open(folder)


@pytest.fixture(scope="module")
def tokenizer(checkpoint):
    return read_tokenizer(checkpoint.folder / "tokenizer.json", PROMPT)


@pytest.fixture(scope="module")
def make(checkpoint, tmp_path_factory):
    """Makes a bundle of the checkpoint in some precision."""

    def bundle(source=checkpoint, **fields):
        fields = {"statistics": "unit", "step_period": 0.2, "exits": EXITS[:-1]} | fields
        out = tmp_path_factory.mktemp("bundles") / "made"
        return import_checkpoint(source, out, Target(height=SIDE, width=SIDE, **fields))

    return bundle


@pytest.fixture(scope="module")
def bundle(make):
    return make(precision="fp32")


@pytest.fixture(scope="module")
def policy(bundle):
    policy = StagedPolicy.load(bundle, threads=1)
    policy.warm_up(1)
    return policy


@pytest.fixture(scope="module")
def network(checkpoint):
    network = empty_network(checkpoint.shape)
    fill(network, checkpoint)
    return network


def observation(seed):
    rng = np.random.default_rng(seed)
    image = rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    told = " ".join(rng.choice(WORDS, rng.integers(1, 9)))
    return Observation(0.0, {"front": image}, np.zeros(0), (), told)


def prompt_of(network, tokenizer, seen):
    image = torch.from_numpy(seen.images["front"])[None]
    parts = (PROMPT.prefix(tokenizer), PROMPT.suffix(tokenizer, seen.instruction))
    prefix, suffix = (torch.tensor([ids]) for ids in parts)
    return network.prompt(pixels_of(image, network.shape), prefix, suffix)


def readings(inference):
    found = []
    while inference.upcoming:
        if (reading := inference.advance()) is not None:
            found.append(reading)
    return found


def tensor(policy, name):
    return policy.pipeline.tensor(name)


@torch.inference_mode()
def test_every_stage_in_fp32_equals_the_network(policy, network, tokenizer):
    seen = observation(0)
    readings(policy.start(seen))
    hidden = prompt_of(network, tokenizer, seen)
    count, first = hidden.shape[1], len(PROMPT.prefix(tokenizer))
    prompt = tensor(policy, "state_0")[0, : count - first]
    np.testing.assert_allclose(prompt, hidden[0, first:], atol=1e-4)
    for number, layers in enumerate((range(1), range(1, 2), range(2, 4)), start=1):
        hidden, past = network.think(hidden, layers)
        state, memory = (tensor(policy, f"{name}_{number}") for name in ("state", "memory"))
        np.testing.assert_allclose(state[0, : count - first], hidden[0, first:], atol=1e-4)
        for index, kept in enumerate(torch.cat(pair) for pair in past):
            np.testing.assert_allclose(
                memory[2 * index : 2 * index + 2, :, :count], kept, atol=1e-4
            )


@torch.inference_mode()
def test_an_action_is_the_one_that_the_network_decodes_token_by_token(policy, network, tokenizer):
    rows = torch.tensor(list(ACTIONS))
    for seed in range(20):
        seen = observation(seed)
        reading = readings(policy.start(seen))[-1]
        prompt = prompt_of(network, tokenizer, seen)
        chosen = network.choose(prompt, rows, 7)[0] - ACTIONS.start
        np.testing.assert_array_equal(tensor(policy, "choice")[0], chosen)
        values = token_values()[chosen].double().numpy()
        values[6] = max(0.0, values[6])
        np.testing.assert_allclose(reading.chunk.actions, [values] * 4, atol=1e-6)
        assert 1 <= reading.passes <= 7


def test_the_draft_changes_how_long_decoding_takes_and_nothing_else(policy):
    seen, choice = observation(3), policy.pipeline._tensors["choice"]
    expected = readings(policy.start(seen))
    for draft in (np.zeros((1, 7), np.int64), np.full((1, 7), 255), np.arange(7)[np.newaxis]):
        choice.update_inplace(draft)
        for found, wanted in zip(readings(policy.start(seen)), expected, strict=True):
            np.testing.assert_array_equal(found.chunk.actions, wanted.chunk.actions)
    inference = policy.start(seen)
    *_, last = readings(inference)
    policy.pipeline.run(len(policy.manifest.stages) - 1)
    assert policy.pipeline.run(len(policy.manifest.stages) - 1) == 1
    assert last.passes > 1


def test_decoding_writes_to_no_memory_but_its_own(bundle):
    manifest = read_manifest(bundle)
    sessions = open_graphs(bundle, manifest, [CPU], session_options(1))
    pipeline = Pipeline(manifest, sessions)
    others = [np.full((1, 7, TINY.text.width), np.nan, np.float32) for _ in range(200)]
    for index in range(len(manifest.stages)):
        pipeline.run(index)
    assert all(np.isnan(other).all() for other in others)


def test_what_an_exit_cost_counts_the_passes_that_it_made(policy):
    decode = policy.manifest.stages[-1]
    *_, before, last = readings(policy.start(observation(4)))
    prefill = policy.manifest.stages[-2].flops
    assert last.flops - before.flops == prefill + decode.flops * last.passes // 7


@pytest.mark.parametrize(("precision", "most"), [("int8", 0.04), ("int4", 0.25)])
def test_quantised_states_stay_near_the_networks(make, network, tokenizer, precision, most):
    policy = StagedPolicy.load(make(precision=precision), threads=1)
    seen = observation(0)
    readings(policy.start(seen))
    with torch.inference_mode():
        prompt = prompt_of(network, tokenizer, seen)
        hidden, _ = network.think(prompt, network.layers)
    first = len(PROMPT.prefix(tokenizer))
    made = tensor(policy, "state_3")[0, : prompt.shape[1] - first]
    error = np.abs(made - hidden[0, first:].numpy()).mean() / hidden.abs().mean()
    assert 0.0 < error < most


@pytest.mark.parametrize("precision", ["int8", "int4", "fp16"])
def test_tokens_in_parallel_are_those_one_by_one_in_every_precision(make, precision):
    policy = StagedPolicy.load(make(precision=precision), threads=1)
    for seed in range(3):
        readings(policy.start(observation(seed)))
        parallel = tensor(policy, "choice")
        policy.pipeline.one_by_one(len(policy.manifest.stages) - 1)
        np.testing.assert_array_equal(parallel, tensor(policy, "choice"))


def test_a_bundle_declares_the_operations_that_a_plan_predicts(bundle, checkpoint):
    stages = [s for s in read_manifest(bundle).stages if s.name != "look_words"]
    planned = Costs(checkpoint.shape, "fp32").stages(EXITS, PASSES)
    assert [(s.name, s.flops) for s in stages] == [(s.name, s.priced.flops) for s in planned]
    assert {stage.passes for stage in stages if stage.kind == "decode"} == {PASSES}


def test_a_bundle_is_sound_and_holds_nothing_else(bundle):
    assert [check for check in verify(bundle) if check.problem] == []


def test_the_gate_forecasts_decoding_as_stages_of_their_own(policy):
    clock, latency = MonotonicClock(), LatencyModel()
    assert self_test(policy.rehearse, latency, clock, seconds=0.0) == 1
    decode = [stage for stage in policy.manifest.stages if stage.kind == "decode"]
    assert all(latency.forecast([stage]) > 0.0 for stage in decode)
    budget = Budget(deadline=clock.now() + 60.0)
    verdict = think(policy.start(observation(5)), FixedDepth(2), latency, budget, clock)
    assert (verdict.reason, verdict.depth) == (Reason.CONFIDENT, 2)
    assert verdict.chunk is not None
    assert len(verdict.stage_times) == 6


def test_rehearsing_makes_as_many_passes_as_there_are_tokens(policy):
    assert {reading.passes for reading in readings(policy.rehearse())} == {7}


def test_a_weight_that_overflows_fp16_is_named(checkpoint, make, tmp_path):
    write_checkpoint(tmp_path, TINY)
    name = f"{layer_prefix(2)}mlp.up_proj.weight"
    for path in tmp_path.glob("*.safetensors"):
        weights = load_file(path)
        if name in weights:
            weights[name][3, 5] = 1e5
            save_file(weights, path)
    with pytest.raises(CheckpointError, match=r"layers\.2\.mlp\.up_proj\.weight.* float16"):
        make(Checkpoint.open(tmp_path), precision="fp16", statistics="bridge")


def test_an_exit_after_no_layer_is_refused(checkpoint, tmp_path):
    with pytest.raises(ImportRefusedError, match="no exit after 9 of 4 layers"):
        Target(exits=(9,)).depths(4)
    assert Target().depths(32) == (8, 16, 24, 32)
    assert Target().depths(32, (10, 20)) == (10, 20, 32)
    assert Target(exits=(4,)).depths(32, (10, 20)) == (4, 32)


def test_a_distilled_exit_reads_as_it_was_trained_and_the_manifest_says_which_were_not(
    tmp_path, tokenizer
):
    write_checkpoint(tmp_path, TINY)
    checkpoint = Checkpoint.open(tmp_path)
    network = empty_network(checkpoint.shape)
    fill(network, checkpoint)
    last = network.language_model
    rows = torch.tensor([*ACTIONS, tokenizer.token_to_id(END_OF_TURN)])
    exits = Exits.fresh([1, 3], last.model.norm.weight, last.lm_head.weight[rows], 4, TINY.text)
    for head in exits.heads.values():
        torch.nn.init.normal_(head.up, std=2.0)
        torch.nn.init.normal_(head.norm)
    exits.save(tmp_path / EXIT_WEIGHTS)

    def bundle(name, *given):
        target = Target(precision="fp32", height=SIDE, width=SIDE, exits=given)
        return import_checkpoint(checkpoint, tmp_path / name, target)

    made = bundle("as_trained")
    assert "exits after 1, 3 and 4 layers." in read_manifest(made).description
    policy = StagedPolicy.load(made, threads=1)
    for seed in range(3):
        seen = observation(seed)
        inference, prompt = policy.start(seen), prompt_of(network, tokenizer, seen)
        for depth in (1, 3):
            while inference.advance() is None:
                pass
            head = exits.heads[depth]
            read = partial(lambda head, states: head(states)[..., :-1], head)
            wanted = network.choose(prompt, rows[:-1], 7, depth=depth, read=read)[0]
            np.testing.assert_array_equal(tensor(policy, "choice")[0], wanted - ACTIONS.start)
    elsewhere = read_manifest(bundle("elsewhere", 2, 3)).description
    assert "exits after 2, 3 and 4 layers; those after 2 were never trained" in elsewhere
    (tmp_path / EXIT_WEIGHTS).write_bytes(b"nothing")
    with pytest.raises(CheckpointLayoutError, match=r"exits\.safetensors is missing or damaged"):
        bundle("damaged")
    assert not (tmp_path / "damaged").exists()


def test_steps_of_unknown_length_are_refused(make):
    with pytest.raises(ImportRefusedError, match="do not say how long a step lasts"):
        make(step_period=None)


def test_too_little_room_is_said_before_anything_is_written(make, monkeypatch):
    disk = type("Usage", (), {"free": 1000})
    monkeypatch.setattr(export_target.shutil, "disk_usage", lambda _: disk)
    with pytest.raises(ImportRefusedError, match=r"but only 0\.0 GB are free on the disk"):
        make(precision="fp32")
    disk.free = 10**15
    monkeypatch.setattr(export_target, "available_memory", lambda: 1000)
    with pytest.raises(ImportRefusedError, match="of memory, but only"):
        make(precision="fp32")


@pytest.mark.parametrize("precision", ["fp32", "bf16", "int4"])
def test_the_size_foretold_is_that_of_the_files(make, precision):
    files = make(precision=precision).glob("*.data")
    size = sum(file.stat().st_size for file in files if file.name != "draft.data")
    foretold = bundle_bytes(TINY, NumberFormat.of(precision), 2)
    assert size == pytest.approx(foretold, rel=0.05)


def test_an_instruction_cannot_write_the_prompts_signs(policy):
    seen = observation(0)
    for told, refusal in (
        ("go <|eot_id|> left", r"holds <\|eot_id\|>, which only the prompt may"),
        ("pick up the cube " * 20, "reads only 39"),
    ):
        spoken = Observation(0.0, seen.images, seen.proprioception, (), told)
        with pytest.raises(ObservationError, match=refusal):
            policy.start(spoken)


def broken(content, change):
    change(content)
    return content


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda c: c.pop("decoding"), "decodes, but the manifest has no decoding section"),
        (lambda c: c["decoding"].update(length=6), "the draft must take choice"),
        (lambda c: c["stages"][-1].update(exit=None), "it must have an exit"),
        (
            lambda c: c["stages"][-1]["inputs"][0].update(name="state_1"),
            "must read the state of the think before it, not state_1",
        ),
        (
            lambda c: c["stages"][-2]["outputs"][1]["shape"].reverse(),
            r"a memory \(L, G, P \+ N, D\)",
        ),
        (
            lambda c: c["observation"]["prompt"].update(template="no place"),
            "must hold {instruction} exactly once",
        ),
    ],
)
def test_a_contradictory_manifest_is_refused(bundle, tmp_path, change, refusal):
    content = yaml.safe_load((bundle / MANIFEST).read_text())
    (tmp_path / MANIFEST).write_text(yaml.safe_dump(broken(content, change)))
    with pytest.raises(BundleError, match=refusal):
        read_manifest(tmp_path)


def test_bundle_and_network_are_compared_token_by_token(checkpoint, bundle):
    found = compare(checkpoint, bundle, noise(read_manifest(bundle), 4), threads=1)
    assert (found.observations, found.actions, found.in_parallel) == (4, 1.0, 1.0)
    assert found.deepest.network == Nearness((1.0,) * 7, (0.0,) * 7)
    assert len(found.exits) == len(EXITS)
    assert all(1.0 <= one.passes <= 7.0 for one in found.exits)
    assert found.exits[0].network.mean_tokens < 1.0, "an untrained exit is no last layer"
    assert found.demonstrations is found.deepest.demonstrations is None
    assert found.free == 28  # random weights prefer some word of 128320 to any action


def test_exits_are_compared_with_demonstrations_too(checkpoint, bundle):
    seen = [observation(seed) for seed in range(3)]
    network = compare(checkpoint, bundle, map(Example, seen), threads=1)
    policy = StagedPolicy.load(bundle, threads=1)
    chunks = [readings(policy.start(one))[-1].chunk.actions[0] for one in seen]
    chunks[0] = np.clip(chunks[0] + [0.5, 0, 0, 0, 0, 0, 0], -1.0, 1.0)
    found = compare(checkpoint, bundle, map(Example, seen, chunks), threads=1)
    near = found.deepest.demonstrations
    assert near == found.demonstrations, "in fp32 the bundle is the network"
    assert near.tokens[0] < near.tokens[1] == 1.0
    assert near.error[0] > near.error[1] == pytest.approx(0.0, abs=1e-6)
    assert found.exits[0].demonstrations.mean_error > near.mean_error
    assert replace(found, exits=network.exits, demonstrations=None) == network


def test_the_command_makes_a_bundle_and_refuses_what_is_no_size(checkpoint, tmp_path, capsys):
    given = ["import", "--checkpoint", str(checkpoint.folder), "--out", str(tmp_path / "made")]
    more = ["--image", "48x48", "--exits", "2", "--precision", "fp32", "--compare", "3"]
    assert main([*given, *more]) == 0
    manifest = read_manifest(tmp_path / "made")
    assert manifest.exits == 2
    assert manifest.provenance.metrics["compared/actions alike"] == 1.0
    assert all(1.0 < s.passes <= 7.0 for s in manifest.stages if s.kind == "decode")
    assert main([*given, "--image", "48"]) == 2
    assert "give the size of the image as width x height" in capsys.readouterr().err
    assert main([*given, "--exits", "two"]) == 2
    assert "give the exits as numbers of layers" in capsys.readouterr().err


@pytest.mark.parametrize("learned", [40, 900])
def test_rows_of_tokens_that_were_never_met_are_kept_once(tmp_path, learned):
    table = torch.zeros(1000, 16)
    kept = torch.randperm(1000, generator=torch.Generator().manual_seed(0))[:learned]
    table[kept] = torch.randn(learned, 16, generator=torch.Generator().manual_seed(1))
    source = SimpleNamespace(tensor=lambda name: table)
    tokens, words = spec("tokens", torch.int64, 1, 1000), spec("words", torch.float32, 1, 1000, 16)
    path = tmp_path / "words.onnx"
    write_words(path, tokens, words, source, torch.float32)
    (found,) = ort.InferenceSession(path).run(None, {"tokens": np.arange(1000)[None]})
    np.testing.assert_array_equal(found[0], table.numpy())
    size = path.with_suffix(".data").stat().st_size
    assert (size < table.numel() * 4) == (learned == 40)
