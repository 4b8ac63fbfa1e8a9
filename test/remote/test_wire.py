# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Frames: openpi's encoding, and a sentence for everything that is none."""

import itertools
import random
import struct
import tracemalloc

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from magma_ros.remote import messages
from magma_ros.remote.wire import MAX_NESTING, MAX_VALUES, WireError, pack, unpack

OBSERVATION = {
    "images": {"front": np.arange(27, dtype=np.uint8).reshape(3, 3, 3)},
    "state": np.linspace(0.0, 1.0, 6, dtype=np.float32),
    "prompt": "push the red cube",
    "request": {"id": 7, "time_left": 0.08},
}


def array(**changes):
    whole = {b"__ndarray__": True, b"data": bytes(8), b"dtype": "<f4", b"shape": [2]}
    return msgpack.packb({"state": whole | {k.encode(): v for k, v in changes.items()}})


def test_frames_are_those_of_openpi_client():
    from openpi_client import msgpack_numpy as theirs

    message = OBSERVATION | {"gain": np.float32(0.5), "flags": np.array([True, False])}
    assert pack(message) == theirs.packb(message)
    found = theirs.unpackb(pack(message))
    np.testing.assert_array_equal(found["images"]["front"], message["images"]["front"])


@given(
    st.dictionaries(
        st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.binary(max_size=9),
            lambda inner: st.lists(inner, max_size=3),
            max_leaves=8,
        ),
        max_size=5,
    )
)
def test_what_was_packed_is_unpacked(message):
    assert unpack(pack(message)) == message


@pytest.mark.parametrize("code", ["<f4", ">f4", "<f8", "|u1", "<i8", "|b1", "<f2"])
def test_arrays_keep_values_shape_and_type_in_native_order(code):
    sent = np.arange(6).reshape(2, 3).astype(np.dtype(code))
    found = unpack(pack({"a": sent}))["a"]
    np.testing.assert_array_equal(found, sent)
    assert found.dtype.isnative
    assert not found.flags.writeable


def test_text_in_an_array_is_text():
    assert unpack(pack({"prompt": np.array("push")})) == {"prompt": "push"}


@pytest.mark.parametrize(
    ("frame", "says"),
    [
        (b"", "cut short"),
        (b"\xc1", "0xc1"),
        (b"\x93\x01\x02\x03", "a list"),
        (b"\x81\xa1a\x01\x00", "1 bytes follow"),
        (pack(OBSERVATION)[:-3], "cut short"),
        (msgpack.packb({"a": msgpack.ExtType(1, b"x")}), "0xd4"),
        (msgpack.packb({"a": msgpack.Timestamp(1, 0)}), "0xd6"),
        (msgpack.packb({1: 2}), "not valid msgpack"),
        (msgpack.packb({b"a": 2}), "must be text"),
        (b"\x82\xa1a\x01\xa1a\x02", "a key twice"),
        (b"\x81\xa1a\xa2\xff\xfe", "not UTF-8"),
        (b"\x81\xa1a\xdd\xff\xff\xff\xff", "more than"),
        (b"\x81\xa1a\xdf\xff\xff\xff\xff", "more than"),
        (b"\x81\xa1a\xc6\xff\xff\xff\xff", "4294967295 bytes are announced"),
        (msgpack.packb({"a": "x" * 20_000}), "16384"),
        (array(dtype="|O8"), "dtype '|O8'"),
        (array(dtype="V8"), "dtype 'V8'"),
        (array(dtype="<f4, <f4"), "dtype"),
        (array(dtype="(1000000,)f4"), "dtype"),
        (array(dtype="<b2"), "dtype"),
        (array(dtype=4), "its dtype as text"),
        (array(shape=[3]), "12 bytes, but 8 came"),
        (array(shape=[-2]), "whole numbers"),
        (array(shape=[True, 2]), "whole numbers"),
        (array(shape=[2**63, 2**63]), "whole numbers"),
        (array(shape=[1] * 40), "axes"),
        (array(data="12345678"), "its data as bytes"),
        (array(dtype="<U1"), "of 2 texts"),
        (array(dtype="<U2", shape=[1], data=b"\xff" * 8), "not Unicode"),
        (msgpack.packb({"a": {b"__npgeneric__": True, b"data": 300, b"dtype": "|u1"}}), "300"),
        (msgpack.packb({"a": {b"__npgeneric__": True, b"data": [1], b"dtype": "|u1"}}), "scalar"),
    ],
    ids=itertools.count(),
)
def test_each_fault_gets_a_sentence(frame, says):
    with pytest.raises(WireError) as error:
        unpack(frame)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_frames_are_bounded_in_size_values_and_nesting():
    with pytest.raises(WireError, match="at most 10 are read"):
        unpack(bytes(11), limit=10)
    with pytest.raises(WireError, match="send arrays"):
        unpack(msgpack.packb({"a": [0] * MAX_VALUES}))
    deep = [0]
    for _ in range(MAX_NESTING):
        deep = [deep]
    with pytest.raises(WireError, match="nested"):
        unpack(msgpack.packb({"a": deep}))


@pytest.mark.parametrize("bomb", [b"\x80", b"\x91", b"\xdc\x20\x00", b"\xdd\x00\x00\x10\x00"])
def test_a_small_frame_never_takes_much_memory(bomb):
    frame = b"\x81\xa1a\xdd\x00\x40\x00\x00" + bomb * (1 << 18)
    tracemalloc.start()
    with pytest.raises(WireError):
        unpack(frame)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


def test_mutated_frames_are_refused_or_read_and_never_crash():
    chance = random.Random(3)
    whole = pack(OBSERVATION)
    refused = 0
    for _ in range(3000):
        frame = bytearray(whole)
        for _ in range(chance.randint(1, 4)):
            frame[chance.randrange(len(frame))] = chance.randrange(256)
        try:
            unpack(bytes(frame[: chance.choice([len(frame), chance.randrange(len(frame))])]))
        except WireError:
            refused += 1
    assert 1000 < refused < 3000


@pytest.mark.parametrize("value", [{1}, np.array([None]), np.array([1j]), object(), 2**70])
def test_what_cannot_be_sent_is_refused(value):
    with pytest.raises(WireError, match="cannot be sent"):
        pack({"a": value})


def test_the_answer_of_any_openpi_server_is_read():
    actions = np.zeros((50, 7))
    reply = messages.read_reply(
        {"actions": actions, "server_timing": {"infer_ms": 75.2}, "policy_timing": {"x": 1}}
    )
    assert reply.actions is actions
    assert (reply.exit, reply.server_timing.infer_ms) == (0, 75.2)


def test_an_answer_survives_the_line():
    sent = messages.Reply(
        actions=np.ones((8, 7)),
        exit=2,
        exits=4,
        reason="DEADLINE",
        request=messages.Terms(id=9, step=4),
        queue=messages.Queue(waiting=3, exits_ms=(1.5, 2.5)),
    )
    found = messages.read_reply(unpack(pack(messages.plain(sent))))
    np.testing.assert_array_equal(found.actions, sent.actions)
    assert messages.plain(found).keys() == messages.plain(sent).keys()
    assert (found.request, found.queue) == (sent.request, sent.queue)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({}, "no actions"),
        ({"actions": [1, 2]}, "actions"),
        ({"actions": np.zeros(7)}, "no actions"),
        ({"actions": np.full((8, 7), np.nan)}, "not finite"),
        ({"actions": np.zeros((8, 7)), "exit": -1}, "exit"),
        ({"actions": np.zeros((8, 7)), "queue": {"wait_ms": float("nan")}}, "wait_ms"),
    ],
)
def test_an_answer_that_is_none_is_refused(message, says):
    with pytest.raises(WireError, match=says):
        messages.read_reply(message)


def test_terms_out_of_range_are_refused():
    assert messages.read_terms({}) is None
    for wrong in (
        {"risk": 2.0},
        {"deepest": 0},
        {"time_left": float("inf")},
        [1],
        {"robot": "x" * 999},
    ):
        with pytest.raises(WireError, match="the request is not understood"):
            messages.read_terms({"request": wrong})


def test_pictures_survive_and_bombs_are_not_decoded():
    picture = np.full((32, 48, 3), 128, np.uint8)
    data = messages.encode_picture(picture, 90)
    assert np.abs(messages.decode_picture(data).astype(int) - 128).max() < 3
    at = data.index(b"\xff\xc0") + 5
    huge = data[:at] + struct.pack(">HH", 65000, 65000) + data[at + 4 :]
    with pytest.raises(WireError, match="too large"):
        messages.decode_picture(huge)
    with pytest.raises(WireError, match="damaged"):
        messages.decode_picture(data[:40])
