# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The executor: who wakes it, what it runs where, and that it sleeps otherwise."""

import os
import signal
import threading
import time

import pytest
import rclpy
from rclpy._rclpy_pybind11 import RCLError
from rclpy.clock import Clock, ClockType
from rclpy.exceptions import NotInitializedException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.task import Future
from rosgraph_msgs.msg import Clock as ClockMessage
from std_msgs.msg import String
from std_srvs.srv import Trigger


@pytest.fixture
def executor(node):
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    yield executor
    executor.shutdown()


def spin_until(executor, condition, timeout=20.0):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        executor.spin_once(timeout_sec=0.1)


def test_callbacks_run_in_the_spinning_thread_only(node, executor):
    threads = set()
    node.create_subscription(String, "chat", lambda _: threads.add(threading.get_ident()), 10)
    publisher = node.create_publisher(String, "chat", 10)
    node.create_timer(0.01, lambda: publisher.publish(String(data="hello")))
    spin_until(executor, lambda: threads)
    assert threads == {threading.get_ident()}


def test_a_worker_thread_wakes_a_sleeping_executor(node, executor):
    done = []
    guard = node.create_guard_condition(lambda: done.append(threading.get_ident()))
    threading.Timer(0.2, guard.trigger).start()
    executor.spin_once(timeout_sec=20.0)
    assert done == [threading.get_ident()]
    threading.Timer(0.2, lambda: executor.create_task(done.append, "task")).start()
    executor.spin_once(timeout_sec=20.0)
    assert done[1:] == ["task"]


def test_a_shutdown_from_another_thread_takes_nothing_from_one_that_spins(node, monkeypatch):
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    wait = executor._waitset.wait_for_any

    def interrupted(timeout):
        triggered = wait(timeout)
        other = threading.Thread(target=executor.shutdown)
        other.start()
        other.join(20)
        assert not other.is_alive()
        return triggered

    monkeypatch.setattr(executor._waitset, "wait_for_any", interrupted)
    executor.wake()
    executor.spin_once(timeout_sec=0.1)
    assert executor.get_nodes() == []
    executor.spin()  # over at once


def test_triggers_before_the_callback_runs_make_one_call(node, executor):
    calls = []
    guard = node.create_guard_condition(lambda: calls.append(1))
    for _ in range(3):
        guard.trigger()
    for _ in range(3):
        executor.spin_once(timeout_sec=0.05)
    assert calls == [1]


def test_the_wait_ends_with_the_time_given(executor):
    start = time.monotonic()
    executor.spin_once(timeout_sec=0.2)
    executor.spin_once(timeout_sec=0)
    assert 0.19 < time.monotonic() - start < 10


def test_an_idle_executor_uses_no_processor_time(node, executor):
    executor.spin_once(timeout_sec=0.1)
    before = time.thread_time()
    executor.spin_once(timeout_sec=1.0)
    assert time.thread_time() - before < 0.05


def test_a_timer_made_while_the_executor_sleeps_is_heeded(node, executor):
    calls = []
    threading.Timer(0.1, lambda: node.create_timer(0.05, lambda: calls.append(1))).start()
    executor.spin_once(timeout_sec=20.0)
    assert calls == [1]


def test_a_future_ends_the_spinning(node, executor):
    future = Future()
    threading.Timer(0.1, future.set_result, [42]).start()
    executor.spin_until_future_complete(future, timeout_sec=20.0)
    assert future.result() == 42
    late = Future()
    executor.spin_until_future_complete(late, timeout_sec=0.1)
    assert not late.done()


def test_an_exception_in_a_callback_reaches_whoever_spins(node, executor):
    node.create_timer(0.01, lambda: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        executor.spin_once(timeout_sec=20.0)


def test_a_destroyed_subscription_is_not_called_again(node, executor):
    got = []
    publisher = node.create_publisher(String, "chat", 10)
    subscriptions = []

    def stop(message):
        got.append(message.data)
        for subscription in subscriptions:
            node.destroy_subscription(subscription)

    subscriptions += [node.create_subscription(String, "chat", stop, 10) for _ in range(2)]
    publisher.publish(String(data="a"))
    publisher.publish(String(data="b"))
    for _ in range(10):
        executor.spin_once(timeout_sec=0.05)
    assert got == ["a"]


def test_raw_messages_pass_through_unread(node, executor):
    got = []
    node.create_subscription(String, "chat", got.append, 10, raw=True)
    node.create_publisher(String, "chat", 10).publish(bytes.fromhex("00010000 03000000 686900"))
    spin_until(executor, lambda: got)
    assert got[0][:11] == bytes.fromhex("00010000 03000000 686900")


def test_a_text_that_is_not_utf8_is_dropped_and_the_node_lives(node, executor, capfd):
    got = []
    node.create_subscription(String, "chat", lambda message: got.append(message.data), 10)
    publisher = node.create_publisher(String, "chat", 10)
    publisher.publish(bytes.fromhex("00010000 02000000 ff00"))
    publisher.publish(String(data="good"))
    spin_until(executor, lambda: got)
    assert got == ["good"]
    assert "dropped a message on '/chat'" in capfd.readouterr().err


def test_a_callback_may_ask_when_the_message_was_sent(node, executor):
    got = []
    node.create_subscription(String, "chat", lambda message, info: got.append(info), 10)
    before = time.time_ns()
    node.create_publisher(String, "chat", 10).publish(String())
    spin_until(executor, lambda: got)
    assert before <= got[0]["source_timestamp"] <= time.time_ns()


def test_a_message_of_another_type_is_not_sent(node):
    publisher = node.create_publisher(String, "chat", 10)
    with pytest.raises(TypeError, match="String"):
        publisher.publish("hello")
    with pytest.raises(RCLError, match="'/chat'"):
        publisher.publish(b"\x00\x01\x00\x00\xff\xff\xff\xff")
    with pytest.raises(TypeError, match="not a message"):
        node.create_publisher(Trigger.Request().__class__.__mro__[-1], "chat", 10)


def test_simulated_time_drives_timers_and_clock(node, executor):
    calls = []
    node.set_parameters([Parameter("use_sim_time", value=True)])
    assert node.get_clock().now().nanoseconds == 0
    timer = node.create_timer(1.0, lambda: calls.append(node.get_clock().now().nanoseconds))
    wall = []
    node.create_timer(0.01, lambda: wall.append(1), clock=Clock(clock_type=ClockType.STEADY_TIME))
    publisher = node.create_publisher(ClockMessage, "/clock", 10)
    for tenth in range(1, 26):
        message = ClockMessage()
        message.clock.sec, tenths = divmod(tenth, 10)
        message.clock.nanosec = tenths * 10**8
        publisher.publish(message)
        seen = tenth * 10**8
        spin_until(executor, lambda seen=seen: node.get_clock().now().nanoseconds == seen)
    executor.spin_once(timeout_sec=0.1)
    assert calls == [10**9, 2 * 10**9]
    assert wall
    timer.cancel()
    node.set_parameters([Parameter("use_sim_time", value=False)])
    assert abs(node.get_clock().now().nanoseconds - time.time_ns()) < 60 * 10**9


def test_logs_reach_the_console_and_rosout(node, executor, capfd):
    from rcl_interfaces.msg import Log

    got = []
    node.create_subscription(Log, "/rosout", got.append, 10)
    logger = node.get_logger()
    for number in range(3):
        once, throttled, not_first = (f"{s} {number}" for s in ("once", "throttled", "not first"))
        logger.info(once, once=True)
        logger.info(throttled, throttle_duration_sec=1000.0)
        logger.info(not_first, skip_first=True)
    logger.debug("too quiet")
    logger.get_child("part").error("loud")
    spin_until(executor, lambda: len(got) == 5)
    texts = ["once 0", "throttled 0", "not first 1", "not first 2", "loud"]
    assert [message.msg for message in got] == texts
    assert (got[-1].name, got[-1].level) == ("tester.part", 40)
    assert got[0].function == "test_logs_reach_the_console_and_rosout"
    lines = [line for line in capfd.readouterr().err.splitlines() if "tester" in line]
    assert [line.rpartition("]: ")[2] for line in lines] == texts
    assert lines[-1].startswith("[ERROR] [")


def test_nothing_works_before_init_or_after_shutdown():
    rclpy.try_shutdown()
    with pytest.raises(NotInitializedException):
        Node("early")
    with pytest.raises(NotInitializedException):
        rclpy.shutdown()
    rclpy.init()
    node = Node("late")
    publisher = node.create_publisher(String, "chat", 10)
    with pytest.raises(RuntimeError, match="once"):
        rclpy.init()
    rclpy.shutdown()
    with pytest.raises(RCLError, match="context is invalid"):
        publisher.publish(String())
    node.destroy_node()
    rclpy.init()
    Node("again").destroy_node()
    rclpy.shutdown()


@pytest.mark.parametrize(
    ("number", "ending"),
    [(signal.SIGTERM, "ExternalShutdownException"), (signal.SIGINT, "KeyboardInterrupt")],
)
def test_a_signal_ends_a_sleeping_node_at_once_and_cleanly(program, number, ending):
    spinner = program("spinner")
    spinner.wait_for("spinning")
    time.sleep(0.2)
    start = time.monotonic()
    os.kill(spinner.process.pid, number)
    output, _ = spinner.process.communicate(timeout=20)
    assert output.split() == ["shutdown", ending, "finished"]
    assert spinner.process.returncode == 0
    assert time.monotonic() - start < 10


def test_a_signal_reaches_a_node_that_sleeps_on_a_clock(program):
    sleeper = program("spinner", "sleep")
    sleeper.wait_for("spinning")
    os.kill(sleeper.process.pid, signal.SIGTERM)
    output, _ = sleeper.process.communicate(timeout=20)
    assert output.split() == ["shutdown", "awake", "finished"]


def test_a_process_may_handle_signals_itself(program):
    spinner = program("spinner", "own")
    spinner.wait_for("spinning")
    os.kill(spinner.process.pid, signal.SIGTERM)
    output, _ = spinner.process.communicate(timeout=20)
    assert output.split() == ["KeyboardInterrupt", "shutdown", "finished"]


def test_shutdown_is_seen_by_an_executor_in_another_thread(node, executor):
    ending = []

    def spin():
        try:
            executor.spin()
        except ExternalShutdownException:
            ending.append("external")

    thread = threading.Thread(target=spin)
    thread.start()
    time.sleep(0.1)
    rclpy.try_shutdown()
    thread.join(20)
    assert not thread.is_alive()
    assert ending in ([], ["external"])
