"""The stand-ins' own parts: keywords, pictures that carry a number, the control routes."""

from __future__ import annotations

import io

import httpx
import pytest
from PIL import Image

from core.pictures import prepare_picture
from mintari.standins.painting import NoCallId, paint, read_call_id
from mintari.standins.registry import APPLICATIONS
from mintari.standins.running import running as running_stand_in
from mintari.standins.scenario import NAMES, Keyword, Scene, Script, ScriptError, keywords
from tests.parts.standin_fixtures import photo
from tests.programs import running as running_program


def test_keywords_are_found_in_their_order() -> None:
    prompt = "A fox [slow 2.5] in [my own words] the snow [429 retry 7 once]. [hang later 3 times]"

    assert keywords(prompt) == [
        Keyword("slow", 2.5),
        Keyword("429", 7.0, 1),
        Keyword("hang", None, 3, later=True),
    ]


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_name_is_a_keyword(name: str) -> None:
    assert keywords(f"[{name}] [{name} once]") == [Keyword(name), Keyword(name, None, 1)]


@pytest.mark.parametrize("text", ["[200]", "[999]", "[hangs]", "[]", "[500 soon]", "hang", "[429"])
def test_other_words_are_the_users_own(text: str) -> None:
    assert keywords(text) == []


def test_times_are_counted_by_prompt_and_seed() -> None:
    script = Script(latency_s=0)

    def faults(prompt: str, seed: int, calls: int) -> list[str | None]:
        scenes = [script.next_scene(prompt, seed) for _ in range(calls)]
        return [scene.fault.name if scene.fault else None for scene in scenes]

    assert faults("[500 2 times]", 1, 3) == ["500", "500", None]
    assert faults("[500 2 times]", 2, 1) == ["500"]
    assert faults("[500 once][hang once]", 1, 3) == ["500", None, None]


def test_steps_go_to_the_next_calls_before_their_keywords() -> None:
    script = Script(latency_s=0.5)

    script.change(None, ["500", "slow 2", "ok"])

    assert [script.next_scene("[hang]", 1) for _ in range(4)] == [
        Scene(0.5, Keyword("500")),
        Scene(2.5),
        Scene(0.5),
        Scene(0.5, Keyword("hang")),
    ]
    with pytest.raises(ScriptError, match="'explode'"):
        script.change(None, ["ok", "explode"])


async def test_a_call_number_survives_the_service() -> None:
    for number, source in ((1, None), (2**16 + 5, photo()), (2**32 - 1, None)):
        painted = paint(number, 1024, 1536, seed=7, photo=source)

        kept = await prepare_picture(
            painted, max_pixels=10_000_000, max_edge_px=None, deadline_s=30
        )

        assert read_call_id(painted) == number
        assert read_call_id(kept.content) == number
        assert read_call_id(kept.thumbnail) == number


@pytest.mark.parametrize("colour", ["black", "white", "grey"])
def test_a_picture_of_nobody_has_no_call_number(colour: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (512, 512), colour).save(buffer, "PNG")

    with pytest.raises(NoCallId):
        read_call_id(buffer.getvalue())
    with pytest.raises(NoCallId):
        read_call_id(b"no picture")


@pytest.mark.parametrize("name", sorted(APPLICATIONS))
def test_every_stand_in_is_controlled_in_the_same_way(name: str) -> None:
    with running_stand_in(APPLICATIONS[name]()) as stand_in:
        assert stand_in.book() == {
            "counts": {"started": 0, "running": 0, "finished": 0, "failed": 0, "cut": 0},
            "calls": [],
        }
        stand_in.script(latency_s=1, sequence=["500", "ok"])
        with pytest.raises(httpx.HTTPStatusError, match="400"):
            stand_in.script(sequence=["explode"])
        stand_in.reset()


def test_a_stand_in_runs_by_hand() -> None:
    with running_program(
        "-m", "mintari.standins", "gemini", "--port", "0", "--latency", "0"
    ) as program:
        line = program.line_with("gemini stand-in at http://127.0.0.1:")
        url = line.split()[-1]

        assert httpx.get(f"{url}/stand-in/calls", trust_env=False).json()["calls"] == []
        program.process.terminate()
        assert program.wait() in (0, -15, 143)


def test_a_port_in_use_is_said() -> None:
    with (
        running_stand_in(APPLICATIONS["gemini"]()) as stand_in,
        running_program(
            "-m", "mintari.standins", "gemini", "--port", stand_in.url.rpartition(":")[2]
        ) as program,
    ):
        program.line_with("Address already in use")
        assert program.wait() == 1
