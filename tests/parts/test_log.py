"""The log: JSON or readable, and what never gets into it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from core.log import user_tag, without_words_of
from tests.programs import running

if TYPE_CHECKING:
    from core.settings import Settings

# Logs what goes wrong with a row, as our code would; and as libraries do at DEBUG.
PROGRAM = """
import asyncio, logging, sys
from sqlalchemy import text
from core.log import configure_logging, get_logger
from core.settings import load_settings
from db.engine import open_database

async def main(settings):
    configure_logging(settings)
    log = get_logger("jobs.anything")
    log.debug("of ours", said="one line\\nnot two")
    logging.getLogger("library").debug("sends zanzibarprompt")
    async with open_database(settings) as database:
        try:
            async with database.transaction() as connection:
                await connection.execute(
                    text("INSERT INTO generations (id, user_id, prompt)"
                         " VALUES (gen_random_uuid(), 'ann', :prompt)"),
                    {"prompt": "zanzibarprompt\\nin two lines"},
                )
        except Exception:
            log.exception("went wrong")

settings = load_settings()
asyncio.run(main(settings))
print("in development", file=sys.stderr)
asyncio.run(main(settings.model_copy(update={"dev_mode": True})))
"""


def test_rows_and_libraries_stay_out_of_the_log(settings: Settings) -> None:
    environment = {
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": settings.redis_url,
        "STORAGE_URL": settings.storage_url,
        "LOG_LEVEL": "DEBUG",
    }
    with running("-c", PROGRAM, environment=environment) as program:
        assert program.wait() == 0, program.output
        output = program.output
    production, _, development = output.partition("in development\n")
    debug, wrong = (json.loads(line) for line in production.splitlines())
    assert (debug["event"], debug["said"]) == ("of ours", "one line\\x0anot two")
    assert wrong["event"] == "went wrong"
    assert "NotNullViolation" in wrong["exception"]
    assert "DETAIL: (left out)" in wrong["exception"]
    assert "INSERT INTO generations" in wrong["exception"]
    assert "[debug    ] of ours" in development
    assert "[error    ] went wrong" in development
    assert "DETAIL: (left out)" in development
    assert "zanzibarprompt" not in output
    assert "in two lines" not in output


def test_a_provider_may_quote_what_it_was_sent() -> None:
    told = 'gemini answered 400: "A Zanzibar Meadow at noon" is not allowed'
    assert without_words_of("zanzibar meadow at noon", told) == (
        'gemini answered 400: "A *** *** at ***" is not allowed'
    )
    assert without_words_of("", told) == told


def test_users_are_told_apart_without_their_ids() -> None:
    assert user_tag("ann") == user_tag("ann") != user_tag("bob")
    assert len(user_tag("ann")) == 16
