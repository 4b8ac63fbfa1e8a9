# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A robot description becomes solids where the joints put them, or is refused in a sentence."""

import math

import numpy as np
import pytest

from magma_ros.perception import shapes
from magma_ros.perception.body import Body
from magma_ros.perception.error import BodyError
from magma_ros.perception.urdf import mesh_vertices, read_description

ROBOT = """<robot name="r">
<link name="base"/>
<link name="arm"><collision><geometry>{shape}</geometry></collision></link>
<link name="tip"><visual><geometry><sphere radius="0.1"/></geometry></visual></link>
<joint name="turn" type="revolute"><parent link="base"/><child link="arm"/>
 <origin xyz="0 0 1" rpy="0 0 1.5707963267948966"/><axis xyz="0 0 2"/></joint>
<joint name="out" type="prismatic"><parent link="arm"/><child link="tip"/>
 <origin xyz="1 0 0"/><axis xyz="1 0 0"/>{mimic}</joint>
</robot>"""


BALL = ROBOT.format(shape='<sphere radius="1"/>', mimic="")


def robot(shape='<box size="1 0.1 0.1"/>', mimic="", mesh=None):
    return read_description(ROBOT.format(shape=shape, mimic=mimic), mesh)


def test_joints_put_links_where_they_belong():
    body = Body(robot(), "base", "tip")
    assert body.joints == ("turn", "out")
    tip = body.poses({"turn": math.pi / 2, "out": 0.5, "another": 1.0})["tip"]
    assert tip[:3, 3] == pytest.approx([-1.5, 0.0, 1.0])


def test_a_mimic_follows_the_joint_that_it_names():
    body = Body(robot(mimic='<mimic joint="turn" multiplier="2" offset="0.1"/>'), "base", "tip")
    assert body.joints == ("turn",)
    tip = body.poses({"turn": -math.pi / 2})["tip"]
    assert tip[:3, 3] == pytest.approx([1.0 - math.pi + 0.1, 0.0, 1.0])


def test_positions_are_told_in_the_base_frame_wherever_the_tree_begins():
    poses = Body(robot(), "arm", "tip").poses({"turn": 0.3, "out": 0.0})
    assert poses["arm"] == pytest.approx(np.eye(4))
    assert poses["base"][:3, 3] == pytest.approx([0.0, 0.0, -1.0])


def test_the_links_that_move_are_guarded_unless_others_are_named():
    assert Body(robot(), "base", "tip").guarded == ("arm", "tip")
    assert Body(robot(), "arm", "tip").guarded == ("tip",)
    assert Body(robot(), "base", "tip", ["arm"]).guarded == ("arm",)


def test_the_simulated_arm_is_where_the_simulator_has_it(nano_arm, home):
    pybullet = pytest.importorskip("pybullet", reason="needs pybullet: pip install '.[sim]'")
    from magma_ros.share import share_file

    client = pybullet.connect(pybullet.DIRECT)
    path = str(share_file("sim", "robots", "nano_arm.urdf"))
    arm = pybullet.loadURDF(path, useFixedBase=True, physicsClientId=client)
    count = pybullet.getNumJoints(arm, physicsClientId=client)
    infos = [pybullet.getJointInfo(arm, i, physicsClientId=client) for i in range(count)]
    for info in infos:
        if (name := info[1].decode()) in home:
            pybullet.resetJointState(arm, info[0], home[name], physicsClientId=client)
    poses = Body(nano_arm, "base_link", "tcp").poses(home)
    for info in infos:
        state = pybullet.getLinkState(
            arm, info[0], computeForwardKinematics=True, physicsClientId=client
        )
        assert poses[info[12].decode()][:3, 3] == pytest.approx(state[4], abs=1e-5)
    pybullet.disconnect(client)


@pytest.mark.parametrize(
    ("shape", "point", "distance"),
    [
        (shapes.box(np.eye(4), [2, 2, 2]), [2, 0, 0], 1.0),
        (shapes.box(np.eye(4), [2, 2, 2]), [2, 2, 2], math.sqrt(3.0)),
        (shapes.cylinder(np.eye(4), 1.0, 2.0), [3, 0, 0], 2.0),
        (shapes.cylinder(np.eye(4), 1.0, 2.0), [2, 0, 2], math.sqrt(2.0)),
        (shapes.sphere(np.eye(4), 0.5), [0, 0, 2], 1.5),
        (shapes.capsule(np.eye(4), 0.5, 2.0), [0, 2, 1], 1.5),
        (shapes.capsule(np.eye(4), 0.5, 2.0), [0, 0, 3], 1.5),
        (shapes.box(np.eye(4), [2, 2, 2]), [0.5, 0, 0], 0.0),
    ],
)
def test_the_shortest_way_from_a_solid(shape, point, distance):
    turned = np.eye(4)
    turned[:3, :3] = [[0, -1, 0], [1, 0, 0], [0, 0, 1]]
    turned[:3, 3] = [1.0, 2.0, 3.0]
    points = np.array([point], float) @ turned[:3, :3].T + turned[:3, 3]
    solids = shapes.PlacedShapes([shape], [turned])
    vectors, lengths, _ = solids.vectors(points, 10.0)
    assert lengths[0] == pytest.approx(distance)
    assert np.linalg.norm(vectors[0]) == pytest.approx(distance)
    if distance:
        assert solids.vectors(points - vectors, 10.0)[1][0] == pytest.approx(0.0, abs=1e-9)
        assert not solids.holds(points, distance - 1e-3).any()
        assert solids.vectors(points, 0.9 * distance)[1][0] == math.inf
    assert solids.holds(points, distance + 1e-6).all()


def test_a_mesh_is_held_by_its_capsule():
    rng = np.random.default_rng(0)
    for _ in range(20):
        turn, _ = np.linalg.qr(rng.normal(size=(3, 3)))
        vertices = rng.uniform(-1, 1, (200, 3)) * [0.3, 0.05, 0.08] @ turn + rng.normal(size=3)
        around = shapes.bounding_capsule(vertices)
        solids = shapes.PlacedShapes([around], [around.pose])
        assert solids.holds(vertices, 1e-6).all()
        assert around.radius < 0.1
        assert np.linalg.det(around.pose[:3, :3]) == pytest.approx(1.0)


def test_meshes_are_read_by_their_files(tmp_path):
    open3d = pytest.importorskip("open3d", reason="needs open3d: pip install '.[perception]'")
    path = tmp_path / "cube.stl"
    cube = open3d.geometry.TriangleMesh.create_box(1.0, 2.0, 3.0)
    open3d.io.write_triangle_mesh(str(path), cube.compute_triangle_normals())
    vertices = mesh_vertices(path, (1.0, 1.0, 0.001))
    assert vertices.max(axis=0) == pytest.approx([1.0, 2.0, 0.003])
    asked = []
    read = robot(
        '<mesh filename="package://a/cube.stl" scale="1 1 0.001"/>',
        mesh=lambda uri, scale: asked.append(uri) or mesh_vertices(path, scale),
    )
    assert asked == ["package://a/cube.stl"]
    assert read.links["arm"][0].reach > 1.0
    path.write_text("no mesh")
    for broken in (path, tmp_path / "missing.stl"):
        with pytest.raises(BodyError, match="mesh"):
            mesh_vertices(broken, (1.0, 1.0, 1.0))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "XML"),
        ("<robot>", "XML"),
        ("<sdf/>", "<robot>"),
        ("<robot/>", "no links"),
        ("<!DOCTYPE r [<!ENTITY a 'b'>]><robot/>", "entities"),
        ("<robot><link/></robot>", "name"),
        ("<robot><link name='a'/><link name='b'/></robot>", "one tree"),
        (ROBOT.format(shape="", mimic=""), "geometry"),
        (ROBOT.format(shape="<cone/>", mimic=""), "cone"),
        (ROBOT.format(shape='<box size="1 1"/>', mimic=""), "size"),
        (ROBOT.format(shape='<sphere radius="-1"/>', mimic=""), "radius"),
        (ROBOT.format(shape='<sphere radius="nan"/>', mimic=""), "radius"),
        (ROBOT.format(shape='<mesh filename="x.stl"/>', mimic=""), "mesh"),
        (BALL.replace('"0 0 2"', '"0 0 0"'), "axis"),
        (BALL.replace("prismatic", "floating"), "float"),
        (BALL.replace('"tip"', '"arm"', 1), "tip"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(text, said):
    with pytest.raises(BodyError, match=said):
        read_description(text)


def test_links_that_are_not_there_are_refused_by_name():
    with pytest.raises(BodyError, match="gripper"):
        Body(robot(), "base", "tip", ["gripper"])
    with pytest.raises(BodyError, match="shape"):
        Body(robot(), "base", "tip", ["base"])


def test_joint_states_that_cannot_be_used_are_refused_by_name():
    body = Body(robot(), "base", "tip")
    with pytest.raises(BodyError, match="out"):
        body.poses({"turn": 0.0})
    with pytest.raises(BodyError, match="turn"):
        body.poses({"turn": math.nan, "out": 0.0})
