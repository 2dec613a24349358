"""Bad input: a clear error that says what was wrong and what is allowed, and nothing happens."""

from __future__ import annotations

import sys
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from resolvers.texts import apply_delta, clean_text, fold
from tests.client import START

if TYPE_CHECKING:
    from tests.conftest import Api

JOBS = "{ jobs { nodes { id } } viewer { quota { remainingRequests } } }"
NOTHING: dict[str, Any] = {"jobs": {"nodes": []}, "viewer": {"quota": {"remainingRequests": 10}}}


@pytest.mark.parametrize(
    ("wanted", "field", "says"),
    [
        ({"prompt": ""}, "prompt", "Write a prompt"),
        ({"prompt": " \u0000 "}, "prompt", "Write a prompt"),
        ({"prompt": "x" * 1001}, "prompt", "1001 characters; 1000 are allowed"),
        ({"prompt": "a", "style": "cubism"}, "style", "must be one of: ghibli"),
        ({"prompt": "a", "provider": "dalle"}, "provider", "must be one of: local"),
        ({"prompt": "a", "variantCount": 0}, "variantCount", "1 to 3"),
        ({"prompt": "a", "variantCount": 4}, "variantCount", "1 to 3"),
        ({"prompt": "a", "seed": -1}, "seed", "0 to 2147483647"),
        ({"prompt": "a", "idempotencyKey": ""}, "idempotencyKey", "1 to 255"),
        ({"prompt": "a", "idempotencyKey": "é"}, "idempotencyKey", "printable ASCII"),
    ],
)
async def test_bad_input_is_explained(
    api: Api, wanted: dict[str, Any], field: str, says: str
) -> None:
    ann = api.client("ann")
    result = await ann.start(**wanted)
    assert result["__typename"] == "InvalidInput"
    assert result["code"] == "INVALID_INPUT"
    assert result["field"] == field
    assert says in result["message"]
    assert (await ann.ask(JOBS)).data == NOTHING


@pytest.mark.parametrize("upload_id", ["", "x", "01890a5d-ac96-774b-bcce-b302099a8057", "\u0000"])
async def test_an_upload_that_is_not_there(api: Api, upload_id: str) -> None:
    ann = api.client("ann")
    result = await ann.start(prompt="a", uploadId=upload_id)
    assert result["code"] == "UPLOAD_NOT_FOUND"
    assert (await ann.ask(JOBS)).data == NOTHING


async def test_values_of_the_wrong_type_never_reach_a_resolver(api: Api) -> None:
    ann = api.client("ann")
    answer = await ann.ask(START, input={"prompt": "a", "size": "HUGE"})
    assert "ImageSize" in answer.error["message"]
    answer = await ann.ask(START, input={"prompt": "a", "seed": 2**31})
    assert "32-bit" in answer.error["message"]


@pytest.mark.parametrize("first", [0, 101, -1])
async def test_pages_have_a_size(api: Api, first: int) -> None:
    answer = await api.client().ask(f"{{ jobs(first: {first}) {{ nodes {{ id }} }} }}")
    assert answer.error["message"] == "`first` must be 1 to 100."
    assert answer.error["extensions"]["code"] == "INVALID_INPUT"


@pytest.mark.parametrize("after", ["", "x", "AAAA", "é"])
async def test_a_cursor_must_be_one_of_ours(api: Api, after: str) -> None:
    answer = await api.client().ask(
        "query($after: String) { generations(after: $after) { nodes { id } } }", after=after
    )
    assert "endCursor" in answer.error["message"]


async def test_pages_follow_each_other(api: Api) -> None:
    ann = api.client()
    generation = await ann.started(prompt="a")
    document = """query($after: String) {
      jobs(first: 2, after: $after) { nodes { id } pageInfo { hasNextPage endCursor } } }"""
    first = (await ann.ask(document)).data["jobs"]
    second = (await ann.ask(document, after=first["pageInfo"]["endCursor"])).data["jobs"]
    assert first["pageInfo"]["hasNextPage"] is True
    assert second["pageInfo"]["hasNextPage"] is False
    ids = [job["id"] for job in first["nodes"] + second["nodes"]]
    assert ids == sorted((job["id"] for job in generation["jobs"]), reverse=True)


def test_texts_are_cleaned() -> None:
    assert clean_text("  a\tb\u0000c  d\n e ", field="x", max_chars=99) == "a b c d\n e"
    assert clean_text("e\u0301", field="x", max_chars=1) == "é"
    with pytest.raises(Exception, match="not valid Unicode"):
        clean_text("\ud800", field="x", max_chars=9)


def test_every_odd_space_becomes_a_plain_one() -> None:
    characters = [chr(code) for code in range(sys.maxunicode + 1)]
    odd = [char for char in characters if char.isspace() or unicodedata.category(char) == "Cc"]
    for char in odd:
        expected = "a\nb" if char == "\n" else "a b"
        assert clean_text(f"{char}a{char}b{char}", field="x", max_chars=9) == expected, ascii(char)
    # Nothing else is touched, other than by NFC.
    others = "".join(char for char in characters if char not in odd and not is_surrogate(char))
    kept = unicodedata.normalize("NFC", others)
    assert clean_text(others, field="x", max_chars=10**7) == kept


def is_surrogate(char: str) -> bool:
    return 0xD800 <= ord(char) <= 0xDFFF


def test_folding() -> None:
    assert fold("  Ｈello   WORLD\nß ") == "hello world ss"


@pytest.mark.parametrize(
    ("delta", "expected"),
    [
        ("", ("a hill, mushrooms, rain", "text")),
        ("+ with dragons", ("a hill, mushrooms, rain, with dragons", "text")),
        ("- mushrooms", ("a hill, rain", "text, mushrooms")),
        ("-Mushrooms", ("a hill, rain", "text, Mushrooms")),
        ("- mush", ("a hill, mushrooms, rain", "text, mush")),
        ("a lake", ("a lake", "text")),
        ("- rain\n+ snow", ("a hill, mushrooms, snow", "text, rain")),
        ("+", ("a hill, mushrooms, rain", "text")),
        ("-", ("a hill, mushrooms, rain", "text")),
    ],
)
def test_deltas(delta: str, expected: tuple[str, str]) -> None:
    assert apply_delta("a hill, mushrooms, rain", "text", delta) == expected
