# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Pictures of evaluated episodes: a contact sheet of failures, clips of chosen seeds.

An evaluation renders only the policy's images. Pictures are taken afterwards, by playing
the episodes in question again: under a clock that repeats, they are the same episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, zip_longest
from pathlib import Path

import numpy as np
from rich.console import Console
from typing_extensions import override

from magma_ros.evaluation.error import EvaluationError
from magma_ros.evaluation.figures.results import EpisodeResult
from magma_ros.evaluation.play.clocks import CLOCKS
from magma_ros.evaluation.play.episode import Episode
from magma_ros.evaluation.play.evaluate import Evaluation, pace_of, start_clock, step_of
from magma_ros.evaluation.play.spec import EvaluationSpec
from magma_ros.evaluation.play.workers import spread
from magma_ros.evaluation.report.run import (
    PlanRecord,
    PolicyView,
    RunRecord,
    captioned_frames,
    write_clip,
)
from magma_ros.evaluation.suites import find_suite
from magma_ros.evaluation.world import INSTANT, Control, Pictured, Scene
from magma_ros.files import whole
from magma_ros.types import FloatArray, ImageArray, Observation, Verdict

CLIP_SIZE = (480, 360)
STRIP_SIZE = (240, 180)
CAPTION = 36
"""Height of the two lines above a strip [px]."""
STRIPS = 60
"""Most strips on a sheet."""
COLUMNS = 2
MOMENTS = 3
"""Pictures of a strip: the beginning, the closest approach, the end."""


@dataclass(frozen=True, slots=True)
class Pictures:
    """What to take pictures of.

    Attributes:
        sheet: Whether to put every failure on a contact sheet.
        seeds: Seeds whose episodes become clips, of every task.
    """

    sheet: bool = False
    seeds: tuple[int, ...] = ()

    def require_possible(self, spec: EvaluationSpec) -> None:
        """Refuse pictures of what will not be played, or cannot be played again.

        Raises:
            EvaluationError: The sentence names which.
        """
        if (self.sheet or self.seeds) and not CLOCKS[spec.clock].repeats:
            raise EvaluationError(
                f"no episode repeats under the {spec.clock} clock, so there can be no pictures of "
                "it afterwards; use the ideal clock"
            )
        for suite in spec.suites if self.sheet or self.seeds else ():
            if not isinstance(find_suite(suite).make_world(), Pictured):
                raise EvaluationError(f"the worlds of suite {suite} have no pictures for people")
        last = spec.seed + spec.episodes - 1
        if strange := [seed for seed in self.seeds if not spec.seed <= seed <= last]:
            raise EvaluationError(
                f"seed {strange[0]} is not among those evaluated, {spec.seed} to {last}"
            )


class FilmedEpisode(Episode):
    """An episode that keeps pictures of the scene, and of what the policy observed and decided.

    Args:
        scene: Which one.
        size: Width and height of the pictures [px].
        moments: Simulated times of the pictures [s]; None for one after every command.
        step_period: As for the episode.

    Attributes:
        run: What is kept.
    """

    def __init__(
        self,
        scene: Scene,
        size: tuple[int, int],
        moments: Sequence[float] | None = None,
        step_period: float | None = None,
    ) -> None:
        super().__init__(scene, step_period)
        self.run = RunRecord(scene.task, scene.seed)
        self._size = size
        self._moments = None if moments is None else np.array(moments)
        self._film()

    @override
    def observe(self) -> Observation:
        self._observed = super().observe()
        self.run.instruction = self._observed.instruction
        return self._observed

    @override
    def record(self, verdict: Verdict) -> None:
        super().record(verdict)
        thought = sum(verdict.stage_times)
        plan = PlanRecord(verdict.reason.name, verdict.depth, verdict.slack, thought, 0.0, 0.0)
        self.run.plans.append((self.time, plan))
        images = self._observed.images
        camera = next(iter(images)) if verdict.trace is None else verdict.trace.camera
        image = images[camera]
        height, width = image.shape[:2]
        paths = {} if verdict.trace is None else verdict.trace.paths(width, height)
        self.run.views.append((self.time, PolicyView(image, paths)))

    @override
    def follow(self, twist: FloatArray, gripper: float | None, until: float) -> None:
        super().follow(twist, gripper, until)
        self._film()

    def _film(self) -> None:
        """Take a picture if it is time for one."""
        if self._moments is None or np.any(np.abs(self._moments - self.time) < INSTANT):
            assert isinstance(self.world, Pictured)
            self.run.frames.append((self.time, self.world.picture(*self._size)))


def write_clips(
    evaluation: Evaluation,
    seeds: Sequence[int],
    bundle: Path,
    folder: Path,
    *,
    console: Console | None,
) -> tuple[Path, ...]:
    """Write an animated GIF of every task at each of the seeds, in real time.

    Each shows the instruction, the exit taken, and the policy's image with its predicted trace.

    Args:
        evaluation: What was played.
        seeds: Some of its seeds.
        bundle: The policy.
        folder: Where to.
        console: Where to draw a progress bar, or None for none.
    """
    spec = evaluation.spec
    scenes = [Scene(suite, task, spec.split, seed) for suite, task in spec.chosen for seed in seeds]
    folder.mkdir(parents=True, exist_ok=True)
    return spread(
        partial(_clip, spec, bundle, folder),
        scenes,
        workers=spec.workers,
        console=console,
        description="filming",
    )


def write_sheet(
    evaluation: Evaluation, bundle: Path, path: Path, *, console: Console | None
) -> int:
    """Write a contact sheet of failures: start, closest approach and end of each as a PNG.

    With more than :data:`STRIPS` failures it shows that many, the tasks taking turns.

    Args:
        evaluation: What was played.
        bundle: The policy.
        path: Where to.
        console: Where to draw a progress bar, or None for none.

    Returns:
        How many failures it shows; nothing is written when there are none.
    """
    failed = _shown(evaluation)
    if failed:
        strips = spread(
            partial(_strip, evaluation.spec, bundle),
            failed,
            workers=evaluation.spec.workers,
            console=console,
            description="replaying failures",
        )
        with whole(path) as draft:
            _save(strips, draft)
    return len(failed)


def _shown(evaluation: Evaluation) -> list[EpisodeResult]:
    """The failures to show, in the order of the tasks."""
    failed = [
        [
            result
            for result in evaluation.results
            if result.failure and result.scene.task == task and result.scene.control is Control.NONE
        ]
        for task in evaluation.tasks
    ]
    in_turns = [r for r in chain.from_iterable(zip_longest(*failed)) if r is not None]
    return sorted(in_turns[:STRIPS], key=evaluation.results.index)


def _clip(spec: EvaluationSpec, bundle: Path, folder: Path, scene: Scene) -> Path:
    path = folder / f"{scene.suite}-{scene.task}-{scene.seed}.gif"
    step = step_of(bundle)
    with FilmedEpisode(scene, CLIP_SIZE, step_period=step) as episode, whole(path) as draft:
        start_clock(spec, bundle).play(episode, pace_of(spec, scene.suite, step))
        write_clip(captioned_frames(episode.run), draft, rate=1.0 / episode.step_period)
    return path


def _strip(spec: EvaluationSpec, bundle: Path, result: EpisodeResult) -> ImageArray:
    """Pictures of one failure side by side, with what they are about above them."""
    from PIL import Image, ImageDraw

    scene, failure = result.scene, result.failure
    moments = (0.0, result.closest_at or 0.0, result.duration)
    step = step_of(bundle)
    with FilmedEpisode(scene, STRIP_SIZE, moments, step) as episode:
        start_clock(spec, bundle).play(episode, pace_of(spec, scene.suite, step))
    times = np.array([time for time, _ in episode.run.frames])
    width, height = STRIP_SIZE
    strip = Image.new("RGB", (MOMENTS * width, CAPTION + height), "white")
    for column, moment in enumerate(moments):
        _, frame = episode.run.frames[np.abs(times - moment).argmin()]
        strip.paste(Image.fromarray(frame), (column * width, CAPTION))
    named = failure.name.lower().replace("_", " ") if failure else ""
    heading = f"{scene.task}, seed {scene.seed}: {named}, {result.duration:.1f} s"
    draw = ImageDraw.Draw(strip)
    draw.text((4, 2), heading, fill="black", font_size=14)
    draw.text((4, 18), episode.run.instruction, fill="gray", font_size=13)
    return np.asarray(strip)


def _save(strips: Sequence[ImageArray], path: Path) -> None:
    """Put strips of equal size under and beside one another."""
    from PIL import Image

    height, width = strips[0].shape[:2]
    columns = min(COLUMNS, len(strips))
    rows = -(-len(strips) // columns)
    sheet = Image.new("RGB", (columns * width, rows * height), "white")
    for index, strip in enumerate(strips):
        sheet.paste(Image.fromarray(strip), (index % columns * width, index // columns * height))
    sheet.save(path)
