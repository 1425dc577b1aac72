"""What drf-spectacular leaves out of the schema: the methods of tus that are neither GET nor carry a body."""

from typing import Any


def add_tus_methods(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """The schema with OPTIONS of both resources of tus, and HEAD of a file (spectacular passes over both methods)."""
    for path, operations in result["paths"].items():
        patch, post = operations.get("patch"), operations.get("post")
        if "uploads" not in (patch or post or {}).get("tags", ()) or "/files/" not in path:
            continue
        known = patch or post
        shared = {"tags": known["tags"], "security": known["security"]}
        keys = [row for row in known["parameters"] if row["in"] == "path"]
        name = known["operationId"].rpartition("_")[0]
        operations["options"] = {
            "operationId": f"{name}_options",
            "description": "What this server can: Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm.",
            "parameters": keys,
            **shared,
            "responses": {"204": {"description": "In the headers"}},
        }
        if patch:
            version = [row for row in known["parameters"] if row["name"] == "Tus-Resumable"]
            operations["head"] = {
                "operationId": f"{name}_head",
                "description": "How far the file has come: Upload-Offset of Upload-Length.",
                "parameters": [*keys, *version],
                **shared,
                "responses": {"200": {"description": "In the headers"}, "404": {"description": "There is no such file"}},
            }
    return result
