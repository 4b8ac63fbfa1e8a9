# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The data card: what a folder of demonstrations holds, for programs and for people.

It depends on the content of the shards and on how they are made, not on the machine or the day.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import yaml

from magma_ros import __version__
from magma_ros.evaluation.report.markdown import markdown_table
from magma_ros.files import whole
from magma_ros.models.data.shards import CARD, COLUMNS, find_shards, read_columns
from magma_ros.models.data.statistics import Statistics
from magma_ros.spaces import ACTION_DIMS

README = "README.md"

LICENCE = "Apache-2.0"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where demonstrations came from.

    Attributes:
        story: Which controller acted, in a sentence.
        command: What makes them again, given a ``recipe.yaml`` with the sections below.
        recipe: The sections of the recipe that they depend on.
    """

    story: str
    command: str
    recipe: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TaskSummary:
    """What there is of one task.

    Attributes:
        suite: Task suite.
        task: Task.
        episodes: Number of episodes.
        steps: Steps in all of them.
        success: Share of the episodes in which the task was done.
        astray: Share of the steps in which another action than the expert's was executed.
    """

    suite: str
    task: str
    episodes: int
    steps: int
    success: float
    astray: float


@dataclass(frozen=True, slots=True)
class DataSummary:
    """What a folder of demonstrations holds.

    Attributes:
        tasks: By suite and task.
        statistics: What a policy that learns from them alone is normalised by.
        size: Of the shards [bytes].
    """

    tasks: tuple[TaskSummary, ...]
    statistics: Statistics
    size: int

    @property
    def episodes(self) -> int:
        """Number of episodes."""
        return sum(task.episodes for task in self.tasks)

    @property
    def steps(self) -> int:
        """Number of steps."""
        return sum(task.steps for task in self.tasks)

    @property
    def success(self) -> float:
        """Share of the episodes in which the task was done."""
        return round(sum(t.success * t.episodes for t in self.tasks) / self.episodes, 4)

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "episodes": self.episodes,
            "steps": self.steps,
            "expert_success": self.success,
            "bytes": self.size,
            "tasks": [asdict(task) for task in self.tasks],
            "action": {
                "dims": ACTION_DIMS,
                "q01": self.statistics.q01,
                "q99": self.statistics.q99,
            },
        }


def summarise(folder: Path, *, skip_damaged: bool = False) -> DataSummary:
    """Count what a folder holds, without reading the images.

    Args:
        folder: Where the shards are.
        skip_damaged: Leave out what cannot be opened as a shard, with a warning.

    Raises:
        DataError: There is no shard, or one is damaged.
    """
    shards = find_shards(folder, skip_damaged=skip_damaged)
    names = ["suite", "task", "seed", "success", "astray"]
    table = pa.concat_tables([read_columns(path, names) for path in shards])
    episodes = table.group_by(["suite", "task", "seed"]).aggregate(
        [("success", "any"), ("astray", "sum"), ("astray", "count")]
    )
    tasks = episodes.group_by(["suite", "task"]).aggregate(
        [("seed", "count"), ("success_any", "mean"), ("astray_sum", "sum"), ("astray_count", "sum")]
    )
    return DataSummary(
        tasks=tuple(
            TaskSummary(
                suite=row["suite"],
                task=row["task"],
                episodes=row["seed_count"],
                steps=row["astray_count_sum"],
                success=round(row["success_any_mean"], 4),
                astray=round(row["astray_sum_sum"] / row["astray_count_sum"], 4),
            )
            for row in tasks.sort_by([("suite", "ascending"), ("task", "ascending")]).to_pylist()
        ),
        statistics=Statistics.of_folders(folder, skip_damaged=skip_damaged),
        size=sum(path.stat().st_size for path in shards),
    )


def write_card(folder: Path, origin: Origin, *, skip_damaged: bool = False) -> None:
    """Describe the content of a folder, in ``data.json`` and in ``README.md``.

    Args:
        folder: Where the shards are.
        origin: Where they came from.
        skip_damaged: Leave out what cannot be opened as a shard, with a warning.

    Raises:
        DataError: There is no shard, or one is damaged.
    """
    summary = summarise(folder, skip_damaged=skip_damaged)
    card = {
        "licence": LICENCE,
        "made_with": f"magma_ros {__version__}",
        **asdict(origin),
        **summary.to_json(),
        "columns": COLUMNS,
    }
    texts = {README: _readme(summary, origin), CARD: json.dumps(card, indent=2) + "\n"}
    for name, text in texts.items():  # data.json last: it says that all is there
        with whole(folder / name) as draft:
            draft.write_text(text, encoding="utf-8")


def _readme(summary: DataSummary, origin: Origin) -> str:
    tasks = [
        (t.suite, t.task, str(t.episodes), str(t.steps), f"{t.success:.1%}", f"{t.astray:.1%}")
        for t in summary.tasks
    ]
    statistics = summary.statistics
    ranges = [
        (name, f"{low:.4g}", f"{high:.4g}")
        for name, low, high in zip(ACTION_DIMS, statistics.q01, statistics.q99, strict=True)
    ]
    recipe = yaml.safe_dump(dict(origin.recipe), sort_keys=False).strip()
    return f"""\
---
license: {LICENCE.lower()}
task_categories: [robotics]
---

# Demonstrations

{summary.episodes} episodes, {summary.steps} steps of 0.1 s, made in PyBullet with magma_ros
{__version__}. {origin.story} The task was done in {summary.success:.1%} of the episodes.
Licence: {LICENCE}.

{markdown_table(("suite", "task", "episodes", "steps", "success", "steps astray"), tasks)}

## Opening them

```python
from pathlib import Path
from pyarrow.parquet import read_table
steps = read_table(sorted(map(str, Path().glob("*.parquet"))))  # .to_pandas() for a data frame
```

## Columns

One row is one step; an episode is (suite, task, seed), and a file holds whole episodes of one task.

{markdown_table(("column", "what it is"), COLUMNS.items())}

## Range of the actions

{markdown_table(("dimension", "1 %", "99 %"), ranges)}

## Making them again

```bash
{origin.command}
```

The recipe's other sections do not matter; these do. The first seed is `data.seed`, and every task
counts on from it.

```yaml
{recipe}
```
"""
