# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The worker never queues: an answer to an old question is a late answer."""

import threading

from magma_ros.nodes.worker import Worker


def test_result_is_announced_and_taken_once():
    announced = threading.Event()
    worker = Worker(lambda job: job * 2, announced.set)
    assert worker.offer(21)
    assert announced.wait(5.0)
    assert worker.take() == 42
    assert worker.take() is None
    worker.close()


def test_busy_worker_refuses_instead_of_queueing():
    begun, go_on = threading.Event(), threading.Event()

    def work(job):
        begun.set()
        go_on.wait(5.0)
        return job

    done = threading.Event()
    worker = Worker(work, done.set)
    assert worker.offer("first")
    assert begun.wait(5.0)
    assert not worker.offer("second")
    go_on.set()
    assert done.wait(5.0)
    assert worker.take() == "first"
    assert worker.offer("third")
    worker.close()


def test_close_ends_the_thread():
    before = threading.active_count()
    worker = Worker(lambda job: job, lambda: None)
    worker.close()
    assert threading.active_count() == before
