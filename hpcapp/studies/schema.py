# SPDX-License-Identifier: MIT
"""The JSON Schema of the configuration, made from the models. No MPI.

``python -m hpcapp.studies.schema`` writes it to the package, where editors find it.
"""

import json
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from hpcapp.config import Model, document_model
from hpcapp.discovery import find_workload, workload_names

__all__ = ["build_schema", "main", "model_schema", "schema_path", "schema_text"]

DRAFT = "https://json-schema.org/draft/2020-12/schema"

# a rule that follows a validator keeps pydantic's name in its schema
RULES = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "min_length": "minLength",
    "max_length": "maxLength",
}

# keywords whose value maps names to schemas, and those that hold a list of schemas
NAMED = ("properties", "$defs")
LISTED = ("anyOf", "allOf", "oneOf", "prefixItems")

DOTTED = r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$"


def schema_path() -> Path:
    """Return where the schema lies in the installed package."""
    return Path(str(resources.files("hpcapp") / "schema" / "config.json"))


def model_schema(model: type[Model], prefix: str = "") -> dict[str, Any]:
    """Return the JSON Schema of one model.

    Parameters
    ----------
    model : type of Model
        A section, or a whole document.
    prefix : str
        Put before the names in ``$defs``, to keep those of several models apart.

    Returns
    -------
    dict
        Standard keywords only, but for ``unit``; no generated titles.
    """
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}{{model}}")
    inner = schema.pop("$defs", {})
    plain = _plain(schema)
    if inner:
        plain["$defs"] = {prefix + name: _plain(part) for name, part in inner.items()}
    return plain


def build_schema() -> dict[str, Any]:
    """Return the JSON Schema of a whole configuration file, draft 2020-12.

    Returns
    -------
    dict
        With the parameters of each workload of the package; those of a
        workload with a dotted name are free.
    """
    document = model_schema(document_model(Model))
    definitions = dict(document["$defs"])
    del definitions["Model"]
    branches = []
    for name in workload_names():
        branch, inner = _branch(name)
        branches.append(branch)
        definitions |= inner
    properties = dict(document["properties"])
    properties["workload"] = _workload_schema(properties["workload"])
    properties["parameters"] = {
        "type": "object",
        "description": "parameters of the workload; hpcapp list WORKLOAD shows them",
    }
    return {
        "$schema": DRAFT,
        "$comment": "SPDX-License-Identifier: MIT. Written by hpcapp.studies.schema",
        "title": "hpcapp configuration",
        "type": "object",
        "properties": properties,
        "required": ["workload"],
        "additionalProperties": False,
        "allOf": branches,
        "$defs": definitions,
    }


def _branch(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what holds for one workload, and the definitions that it refers to."""
    cls = find_workload(name, "schema")
    parameters = model_schema(cls.Parameters, f"{name}.")
    definitions = parameters.pop("$defs", {})
    definitions[name] = parameters
    then: dict[str, Any] = {"properties": {"parameters": {"$ref": f"#/$defs/{name}"}}}
    if parameters.get("required"):
        then["required"] = ["parameters"]
    condition = {"properties": {"workload": {"const": name}}, "required": ["workload"]}
    return {"if": condition, "then": then}, definitions


def _workload_schema(field: Mapping[str, Any]) -> dict[str, Any]:
    summaries = {n: find_workload(n, "schema").summary for n in workload_names()}
    known = [{"const": name, "description": text} for name, text in summaries.items()]
    own = {
        "type": "string",
        "pattern": DOTTED,
        "description": "package.module of your own",
    }
    return {"description": field["description"], "anyOf": [*known, own]}


def _plain(schema: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "title":
            continue
        if key in NAMED:
            value = {name: _plain(part) for name, part in value.items()}
        elif key in LISTED:
            value = [_plain(part) for part in value]
        elif isinstance(value, dict) and key in ("items", "additionalProperties"):
            value = _plain(value)
        elif key == "description":
            value = _described(value, schema.get("unit", ""))
        plain[RULES.get(key, key)] = value
    return plain


def _described(text: str, unit: str) -> str:
    # editors show nothing but the description, so the unit stands there too
    first = " ".join(text.split("\n\n")[0].split()).replace("``", "")
    return f"{first} (unit: {unit})" if unit not in ("", "1") else first


def schema_text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(build_schema(), indent=2) + "\n"


def main() -> None:
    """Write the schema into the package."""
    path = schema_path()
    path.write_text(schema_text(), encoding="utf-8")
    print(f"{path}: written")


if __name__ == "__main__":
    main()
