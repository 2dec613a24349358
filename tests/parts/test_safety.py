"""Prompts: what is refused however it is spelled, and what passes although it looks like it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from core.safety.folding import fold_letters, read
from core.safety.policy import Policy, PolicyError, load_policy

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parent.parent / "data" / "safety"


@pytest.fixture(scope="module")
def policy() -> Policy:
    return load_policy()


def rows(name: str) -> list[list[str]]:
    lines = (DATA / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def test_evasions_are_caught(policy: Policy, capsys: pytest.CaptureFixture[str]) -> None:
    evasions = rows("evasions.tsv")
    missed = [row for row in evasions if policy.judge(row[-1]) is None]
    caught = 1 - len(missed) / len(evasions)
    with capsys.disabled():
        print(f"\nevasions caught: {len(evasions) - len(missed)} of {len(evasions)} ({caught:.1%})")
    assert len(evasions) >= 300
    assert caught >= 0.99, missed


def test_innocents_pass(policy: Policy, capsys: pytest.CaptureFixture[str]) -> None:
    innocents = rows("innocents.tsv")
    refused = [row for row in innocents if policy.judge(row[-1]) is not None]
    share = len(refused) / len(innocents)
    with capsys.disabled():
        print(f"\ninnocents refused: {len(refused)} of {len(innocents)} ({share:.1%})")
    assert len(innocents) >= 300
    assert share <= 0.005, refused


def test_categories_are_right(policy: Policy) -> None:
    plain = [row for row in rows("evasions.tsv") if row[2] == "plain"]
    verdicts = [(row[1], policy.judge(row[3])) for row in plain]
    wrong = [(category, v) for category, v in verdicts if v is None or v.category != category]
    assert len(wrong) <= len(plain) * 0.03, wrong


def test_the_word_is_never_told(policy: Policy) -> None:
    for row in rows("evasions.tsv"):
        verdict = policy.judge(row[-1])
        assert verdict is None or row[-1] not in f"{verdict.category} {verdict.message}"
    first, second = policy.judge("a nude statue"), policy.judge("hardcore porn")
    assert first is not None
    assert first == second


@pytest.mark.parametrize(
    ("disguised", "folded"),
    [
        ("ＦＵＬＬ", "full"),
        ("ѕрасе", "space"),
        ("z\u200be\u00adr\u2060o", "zero"),
        ("n̶o̷t̸ę", "note"),
        ("ＡΒС", "abc"),
        ("🅰🅱", "ab"),
        ("ᴄᴀᴘꜱ", "caps"),
        ("Emma's", "emmas"),
        ("a\u3164b", "ab"),
    ],
)
def test_disguises_are_taken_off(disguised: str, folded: str) -> None:
    assert fold_letters(disguised) == folded


def test_signs_are_read_as_letters_where_letters_are() -> None:
    assert "she sells 5 shells for 10" in read("5he s3lls 5 she11s for 10")
    assert read("5 shells for 10, 2 boats") == ["5 shells for 10, 2 boats"]
    assert "p o r t" in read("p 0 r 7")
    assert "w*rd *" not in read("w*rd *")[0]


@pytest.mark.parametrize(
    ("text", "category"),
    [
        ("a bikini", None),
        ("a child on a beach", None),
        ("a child in a bikini, provocative pose", "minors"),
        ("killing time with a man", None),
        ("a man killing a woman", "violence"),
        ("kill the dragon", None),
        ("Angela Merkel as a watercolour", None),
        ("Angela Merkel in handcuffs", "deception"),
        ("a fox in handcuffs", None),
        ("pen is", None),
        ("penis", "sexual"),
        ("p.e.n.i.s", "sexual"),
        ("p e n i s", "sexual"),
        ("pe nis", "sexual"),
        ("slither throated", None),
        ("as so on", None),
    ],
)
def test_rules(policy: Policy, text: str, category: str | None) -> None:
    verdict = policy.judge(text)
    assert (verdict and verdict.category) == category


def test_the_gravest_category_is_told(policy: Policy) -> None:
    verdict = policy.judge("porn, with a naked child")
    assert verdict is not None
    assert verdict.category == "minors"


def test_texts_are_judged_each_by_itself(policy: Policy) -> None:
    assert policy.judge("a bikini", "a child") is None
    assert policy.judge("a hill", "porn") is not None
    assert policy.judge() is None


@pytest.fixture
def own(tmp_path: Path) -> Callable[..., Path]:
    def make(**files: str) -> Path:
        (tmp_path / "lists").mkdir()
        for name, text in files.items():
            path = tmp_path / ("policy.toml" if name == "policy" else f"lists/{name}.txt")
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return make


def test_an_operator_adds_to_a_list(own: Callable[..., Path]) -> None:
    added = load_policy(own(sexual="wibble*\n", allow="nude bronze\n"))
    assert added.judge("w1bbles") is not None
    assert added.judge("porn") is not None
    assert added.judge("a nude bronze") is None
    assert added.judge("a nude") is not None


def test_an_operator_replaces_a_list(own: Callable[..., Path]) -> None:
    replaced = load_policy(own(sexual="!replace\nwibble\n"))
    assert replaced.judge("wibble") is not None
    assert replaced.judge("porn") is None
    assert replaced.judge("lolicon") is not None


def test_an_operator_replaces_the_rules(own: Callable[..., Path]) -> None:
    text = 'version = "7"\n[categories]\nfowl = "No ducks."\n[lists.ducks]\ncategory = "fowl"\n'
    replaced = load_policy(own(policy=text, ducks="duck(s)\n"))
    verdict = replaced.judge("two d.u.c.k.s")
    assert verdict is not None
    assert (verdict.category, verdict.message) == ("fowl", "No ducks.")
    assert replaced.judge("porn") is None


def test_the_version_tells_what_an_operator_has_added(own: Callable[..., Path]) -> None:
    folder = own(sexual="wibble\n")
    first = load_policy(folder).version
    built_in = load_policy().version
    assert first.startswith(f"{built_in}+")
    (folder / "lists/sexual.txt").write_text("wobble\n")
    assert load_policy(folder).version not in (first, built_in)


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"policy": "version = 1"}, "policy.toml"),
        ({"policy": "no toml"}, "policy.toml"),
        (
            {"policy": 'version = "1"\n[categories]\n[lists.a]\ncategory = "b"\n'},
            "no category 'b'",
        ),
        ({"sexual": "***\n"}, "sexual.txt"),
    ],
)
def test_wrong_data_is_explained(
    own: Callable[..., Path], files: dict[str, str], says: str
) -> None:
    with pytest.raises(PolicyError, match=says):
        load_policy(own(**files))


def test_a_folder_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="no such folder"):
        load_policy(tmp_path / "none")
