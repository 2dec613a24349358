"""The graphs that ComfyUI runs: our own two, or an operator's, with places for what was asked for.

An operator exports a graph with "Save (API format)" and writes `%prompt%`, `%negative%`, `%seed%`,
`%width%`, `%height%`, `%checkpoint%`, `%photo%` where these belong, and `%steps%`, `%cfg%`,
`%sampler%`, `%scheduler%`, `%denoise%` or any other parameter of a style.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, cast

import msgspec

from providers.base import ProviderMisconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Graph = dict[str, dict[str, Any]]
_PLACE = re.compile(r"%([a-z_]+)%")
DEFAULTS: dict[str, object] = {
    "steps": 25,
    "cfg": 6.5,
    "sampler": "euler",
    "scheduler": "normal",
    "denoise": 0.6,
}

_CHECKPOINT = {
    "class_type": "CheckpointLoaderSimple",
    "inputs": {"ckpt_name": "%checkpoint%"},
}
_SAMPLER = {
    "seed": "%seed%",
    "steps": "%steps%",
    "cfg": "%cfg%",
    "sampler_name": "%sampler%",
    "scheduler": "%scheduler%",
    "model": ["checkpoint", 0],
    "positive": ["positive", 0],
    "negative": ["negative", 0],
}
_COMMON: Graph = {
    "checkpoint": _CHECKPOINT,
    "positive": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "%prompt%", "clip": ["checkpoint", 1]},
    },
    "negative": {
        "class_type": "CLIPTextEncode",
        "inputs": {"text": "%negative%", "clip": ["checkpoint", 1]},
    },
    "decode": {
        "class_type": "VAEDecode",
        "inputs": {"samples": ["sampler", 0], "vae": ["checkpoint", 2]},
    },
    "save": {
        "class_type": "SaveImage",
        "inputs": {"filename_prefix": "mintari", "images": ["decode", 0]},
    },
}
FROM_WORDS: Graph = {
    **_COMMON,
    "canvas": {
        "class_type": "EmptyLatentImage",
        "inputs": {"width": "%width%", "height": "%height%", "batch_size": 1},
    },
    "sampler": {
        "class_type": "KSampler",
        "inputs": {**_SAMPLER, "denoise": 1, "latent_image": ["canvas", 0]},
    },
}
FROM_A_PHOTO: Graph = {
    **_COMMON,
    "photo": {"class_type": "LoadImage", "inputs": {"image": "%photo%"}},
    "scale": {
        "class_type": "ImageScale",
        "inputs": {
            "image": ["photo", 0],
            "upscale_method": "lanczos",
            "width": "%width%",
            "height": "%height%",
            "crop": "center",
        },
    },
    "canvas": {
        "class_type": "VAEEncode",
        "inputs": {"pixels": ["scale", 0], "vae": ["checkpoint", 2]},
    },
    "sampler": {
        "class_type": "KSampler",
        "inputs": {**_SAMPLER, "denoise": "%denoise%", "latent_image": ["canvas", 0]},
    },
}


def load_graph(path: Path, setting: str) -> Graph:
    """Read an operator's graph. Raises ProviderMisconfigured."""
    try:
        graph = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])
    except (OSError, msgspec.MsgspecError) as error:
        raise ProviderMisconfigured(f"{setting}={path}: {error}") from None
    if not graph or not all("class_type" in node for node in graph.values()):
        raise ProviderMisconfigured(f"{setting}={path}: export it with 'Save (API format)'")
    return graph


def fill(graph: Graph, values: Mapping[str, object]) -> Graph:
    """The graph with values in its places; a text that is one place becomes the value itself.

    Raises ProviderMisconfigured for a place that has no value.
    """
    return cast("Graph", _filled(graph, {**DEFAULTS, **values}))


def samplers(graph: Graph) -> frozenset[str]:
    """The nodes whose steps are the progress."""
    return frozenset(name for name, node in graph.items() if "Sampler" in str(node["class_type"]))


def _filled(value: object, values: Mapping[str, object]) -> object:
    if isinstance(value, dict):
        items = cast("dict[str, object]", value).items()
        return {name: _filled(item, values) for name, item in items}
    if isinstance(value, list):
        return [_filled(item, values) for item in cast("list[object]", value)]
    if not isinstance(value, str):
        return value
    if whole := _PLACE.fullmatch(value):
        return _value(whole[1], values)
    return _PLACE.sub(lambda place: str(_value(place[1], values)), value)


def _value(name: str, values: Mapping[str, object]) -> object:
    if name not in values:
        raise ProviderMisconfigured(f"comfyui: the workflow has a place %{name}% without a value")
    return values[name]
