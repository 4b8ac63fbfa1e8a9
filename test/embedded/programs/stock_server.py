# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The endpoints of a service as rmw_cyclonedds_cpp announces them: types without the header."""

import time

from cyclonedds.pub import DataWriter
from cyclonedds.sub import DataReader
from cyclonedds.topic import Topic

from magma_ros.embedded.wire import descriptor
from magma_ros.embedded.wire.domain import domain_id_from_environment
from magma_ros.embedded.wire.entities import Participant
from magma_ros.embedded.wire.qos import WireQos


def topic(name, type_name):
    plain = descriptor._structure(type_name)
    return Topic(participant, name, plain)


participant = Participant(domain_id_from_environment())
qos = WireQos().for_endpoint("serviceid=1.2.3;")
reader = DataReader(participant, topic("rq/stockRequest", "std_srvs/srv/Trigger_Request"), qos)
writer = DataWriter(participant, topic("rr/stockReply", "std_srvs/srv/Trigger_Response"), qos)
print("waiting", flush=True)
time.sleep(1000)
