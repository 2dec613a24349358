from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from core.styles import StyleFileError, assemble_prompt, load_styles
from providers.painter.look import LookError, read_look

if TYPE_CHECKING:
    from pathlib import Path

STYLE = """
safety = "For all ages."
[plain]
version = 1
name = "Plain"
description = "A plain style."
base = "A plain picture."
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "own.toml"
    path.write_text(text)
    return path


def test_the_styles_that_come_with_mintari():
    styles = load_styles()
    assert list(styles) == [
        "ghibli", "watercolor", "storybook", "ink", "oil", "pastel", "woodblock",
    ]  # fmt: skip
    for slug, style in styles.items():
        assert style.slug == slug
        assert style.version >= 1
        assert {"local", "gemini", "openai"} <= set(style.parameters)
        read_look(style.parameters["local"])


def test_every_sample_is_a_small_webp():
    for style in load_styles().values():
        assert style.sample is not None
        data = style.sample.read_bytes()
        assert len(data) <= 25_000
        with Image.open(io.BytesIO(data), formats=["WEBP"]) as image:
            assert image.size == (320, 320)


def test_an_operators_own_file(tmp_path: Path):
    styles = load_styles(write(tmp_path, STYLE))
    assert list(styles) == ["plain"]
    assert styles["plain"].sample is None
    assert styles["plain"].parameters == {}


def test_the_prompt_stands_between_style_and_safety(tmp_path: Path):
    style = load_styles(write(tmp_path, STYLE))["plain"]
    assert assemble_prompt(style, "  a cat ") == "A plain picture.\na cat\nFor all ages."
    assert assemble_prompt(style, "") == "A plain picture.\nFor all ages."


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('safety = "For all ages."', "", "safety"),
        ("version = 1", "", "version"),
        ("version = 1", "version = 0", "plain.version"),
        ("version = 1", 'version = "1"', "plain.version"),
        ('name = "Plain"', 'name = ""', "plain.name"),
        ("version = 1", "version = 1\ncolour = 3", "colour"),
        ("[plain]", '["Not a slug"]', "Not a slug"),
        ("version = 1", 'version = 1\nsample = "../x.webp"', "../x.webp"),
        ("version = 1", 'version = 1\nsample = "x.webp"', "x.webp does not exist"),
        ("version = 1", "version = ", "no valid TOML"),
    ],
)
def test_wrong_data_names_file_and_field(tmp_path: Path, old: str, new: str, named: str):
    path = write(tmp_path, STYLE.replace(old, new))
    with pytest.raises(StyleFileError) as caught:
        load_styles(path)
    assert str(path) in str(caught.value)
    assert named in str(caught.value)


def test_a_missing_file_and_an_empty_one(tmp_path: Path):
    with pytest.raises(StyleFileError, match="cannot be read"):
        load_styles(tmp_path / "none.toml")
    with pytest.raises(StyleFileError, match="no style"):
        load_styles(write(tmp_path, 'safety = "x"'))


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"blend": "26"}, "blend"),
        ({"blend": "a:b"}, "blend"),
        ({"strength": 1.5}, "strength"),
        ({"strength": float("nan")}, "strength"),
        ({"line_colour": "red"}, "line_colour"),
        ({"smoooth": 3.0}, "smoooth"),
        ({"saturation": "much"}, "saturation"),
    ],
)
def test_wrong_parameters_of_the_painter_are_named(parameters: dict[str, object], named: str):
    with pytest.raises(LookError, match=named):
        read_look(parameters)
