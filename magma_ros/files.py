# Copyright 2026 The magma_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all, and read into checked models or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from magma_ros import documents
from magma_ros.types import MagmaError

Model = TypeVar("Model", bound=BaseModel)


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a name to write to; what was written gets its own name at the end, if all went well.

    Raises:
        MagmaError: The file cannot be written.
    """
    draft = path.with_name(f".part-{path.name}")  # the suffix stays: it tells the format
    try:
        yield draft
        draft.replace(path)
    except OSError as error:
        raise MagmaError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        draft.unlink(missing_ok=True)


def make_folder(folder: Path) -> None:
    """Make sure that there is such a folder.

    Raises:
        MagmaError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MagmaError(f"cannot make the folder {folder}: {error.strerror}") from None


def write_json(content: Any, path: Path) -> None:
    """Write plain data, keys sorted.

    Raises:
        MagmaError: The file cannot be written.
    """
    with whole(path) as draft:
        draft.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def read_text(path: Path) -> str:
    """The content of a text file.

    Raises:
        MagmaError: It is missing, unreadable, larger than any text of the project, or not UTF-8.
    """
    try:
        return documents.read_text(path, limit=documents.MAX_JSON_BYTES)
    except documents.DocumentError as error:
        raise MagmaError(str(error)) from error


def read_yaml(
    path: Path, schema: type[Model], *, error: type[MagmaError] = MagmaError, remedy: str = ""
) -> Model:
    """Read a YAML file into a pydantic model.

    Args:
        path: The file.
        schema: What it must hold.
        error: What to raise.
        remedy: What to do about a file that does not hold it, as the end of the sentence.

    Raises:
        MagmaError: Of the kind ``error``: the file cannot be read, is no YAML, or does not follow
            the schema; the sentence names the file, the place and what is wrong there.
    """
    return check(yaml_mapping(path, error=error, remedy=remedy), schema, path, error, remedy)


def read_json(
    path: Path, schema: type[Model], *, error: type[MagmaError] = MagmaError, remedy: str = ""
) -> Model:
    """Read a JSON file into a pydantic model; otherwise like :func:`read_yaml`."""
    return check(json_mapping(path, error=error, remedy=remedy), schema, path, error, remedy)


def yaml_mapping(
    path: Path, *, error: type[MagmaError] = MagmaError, remedy: str = ""
) -> dict[str, Any]:
    """Read a YAML file that must hold a mapping with text as keys, without a schema.

    Raises:
        MagmaError: Of the kind ``error``, as in :func:`read_yaml`.
    """
    return _mapping(documents.read_yaml, path, error, remedy)


def json_mapping(
    path: Path, *, error: type[MagmaError] = MagmaError, remedy: str = ""
) -> dict[str, Any]:
    """Read a JSON file that must hold an object, without a schema.

    Raises:
        MagmaError: Of the kind ``error``, as in :func:`read_yaml`.
    """
    return _mapping(documents.read_json, path, error, remedy)


def check(
    content: object, schema: type[Model], path: Path, error: type[MagmaError], remedy: str = ""
) -> Model:
    """Validate what a file holds.

    Raises:
        MagmaError: Of the kind ``error``; the sentence names the first fault and its place.
    """
    try:
        return schema.model_validate(content)
    except ValidationError as found:
        raise error(_sentence(f"{path}: {first_fault(found)}", remedy)) from found


def first_fault(error: ValidationError) -> str:
    """The first of pydantic's complaints as part of a sentence: the place, and what is wrong."""
    first, *others = error.errors(include_url=False, include_input=False)
    place = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in first["loc"]).lstrip(".")
    message = " ".join(first["msg"].removeprefix("Value error, ").split())
    message = f"{message[0].lower()}{message[1:]}"
    if first["type"] == "extra_forbidden":
        place, message = "", f"unknown field {place}"
    more = f" (and {len(others)} more)" if others else ""
    return f"{place}: {message}{more}" if place else f"{message}{more}"


def _mapping(
    read: Callable[[Path], Any], path: Path, error: type[MagmaError], remedy: str
) -> dict[str, Any]:
    try:
        content = read(path)
    except documents.DocumentError as found:
        raise error(_sentence(str(found), remedy)) from found
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise error(_sentence(f"{path} holds no mapping of names to values", remedy))
    return content


def _sentence(fault: str, remedy: str) -> str:
    return f"{fault}; {remedy}" if remedy else fault
