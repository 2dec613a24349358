"""Nothing of another user is readable, not even that it is there: every field of the schema.

The documents are made from the schema, so a new field is in them by itself. A new argument whose
values are not known here, or a new type that no answer holds, fails the test: then think about who
may see it, and add it.
"""

from __future__ import annotations

import json
import re
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

from graphql import (
    GraphQLArgument,
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    build_schema,
    get_named_type,
    is_required_argument,
)

from core.auth import issue_token
from resolvers.paging import cursor
from schema import sdl
from tests.conftest import SECRET, free_port, running_api, running_worker
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from graphql import GraphQLInputField, GraphQLNamedType

    from core.settings import Settings
    from tests.client import Client
    from tests.conftest import Api

SCHEMA: GraphQLSchema = build_schema(sdl())
UNKNOWN = "01890a5d-ac96-774b-bcce-b302099a8057"
SECRET_PATH = "a-path-that-only-its-owner-knows"
CREATE_WEBHOOK = """mutation($url: String!) { createWebhook(input: {url: $url}) {
  ... on WebhookCreated { webhook { id } } } }"""
SECRET_PROMPT = "a secret garden behind the seventh wall"

TAKES_NOTHING_OF_OTHERS = {"Mutation.createUpload", "Mutation.createWebhook"}
"""Root fields that cannot be asked for with somebody else's id: they take a file, or a URL."""
NEVER_IN_THESE_ANSWERS = {
    # Parts of a Job that is being painted, has failed or was given to another provider: nobody gets
    # them without the job.
    "Eta",
    "JobError",
    "FallOver",
    # Answers of what is in TAKES_NOTHING_OF_OTHERS.
    "UploadCreated",
    "UploadRejected",
    "WebhookCreated",
    "WebhookRefused",
    # Outcomes that hold nothing but a code and a text.
    "GenerationNotFound",
    "IdempotencyConflict",
    "InvalidInput",
    "JobNotFound",
    "NotRegenerable",
    "PromptRejected",
    "UploadNotFound",
    "WebhookNotFound",
}
IN_SOME_ANSWERS = {"Preview"}
"""Painters make previews as they have time."""
IGNORED_ARGUMENTS = {
    # Of no record: sizes of pages, choices, texts of the one who asks.
    "first",
    "states",
    "prompt",
    "promptDelta",
    "style",
    "size",
    "variantCount",
    "seed",
    "lockSeed",
    "provider",
    "fallOver",
    "idempotencyKey",
    "url",
    "events",
    "enabled",
    "rotateSecret",
    # Not beside messageIds.
    "failedSince",
    "draining",
    "userId",
}
NAMES = {"name": "nobody"}
"""Values of required arguments that are no ids."""
FOR_OPERATORS = ("pauseQueue", "drainWorker", "retryFailedJobs", "resumeQueue")
KINDS = ("job", "generation", "upload", "webhook", "message")


@dataclass(frozen=True)
class Ids:
    """One id of each kind, and the cursors that stand for them."""

    job: str
    generation: str
    upload: str
    webhook: str
    message: str

    @property
    def strings(self) -> list[str]:
        ids: list[str] = [getattr(self, kind) for kind in KINDS]
        return [*ids, *(cursor(UUID(one)) for one in ids)]


NOBODYS = Ids(*[UNKNOWN] * len(KINDS))


def roots() -> Iterator[tuple[str, str, GraphQLField]]:
    """Every root field: its operation, its name, itself."""
    for kind in ("query", "mutation", "subscription"):
        root = getattr(SCHEMA, f"{kind}_type")
        assert root is not None
        for name, field in root.fields.items():
            if f"{root.name}.{name}" not in TAKES_NOTHING_OF_OTHERS:
                yield kind, name, field


def document(kind: str, name: str, field: GraphQLField, values: Mapping[str, Any]) -> str:
    """The root field, asked with these values, and all that can be selected below it."""
    declared = ", ".join(f"${arg}: {typed(field.args[arg])}" for arg in values)
    given = ", ".join(f"{arg}: ${arg}" for arg in values)
    head = f"{kind} Walk({declared})" if declared else f"{kind} Walk"
    call = f"{name}({given})" if given else name
    return f"{head} {{ {call} {selection(named(field), ())} }}"


def typed(of: GraphQLArgument | GraphQLInputField | GraphQLField) -> Any:
    """The type of an argument or a field, which graphql-core leaves open."""
    return cast("Any", of).type


def named(of: GraphQLArgument | GraphQLInputField | GraphQLField) -> GraphQLNamedType:
    """The same without lists and "not null"."""
    return cast("Any", get_named_type)(typed(of))


def selection(of: GraphQLNamedType, path: tuple[str, ...]) -> str:
    """All fields of a type, each type once on the way down."""
    if isinstance(of, GraphQLUnionType):
        members = " ".join(f"... on {one.name} {selection(one, path)}" for one in of.types)
        return f"{{ __typename {members} }}"
    if not isinstance(of, GraphQLObjectType | GraphQLInterfaceType):
        return ""
    parts = ["__typename"]
    for name, field in of.fields.items():
        below = named(field)
        assert not any(map(is_required_argument, field.args.values())), f"{of.name}.{name}"
        if below.name not in path:
            parts.append(f"{name} {selection(below, (*path, of.name))}")
    return f"{{ {' '.join(parts)} }}"


def variables(args: Mapping[str, GraphQLArgument], ids: Ids, pick: str | None) -> dict[str, Any]:
    """Values for arguments; `pick`: the kind of id for all of them, None: the right ones."""
    found = {name: value_of(name, one, ids, pick) for name, one in args.items()}
    return {name: value for name, value in found.items() if value is not None}


def value_of(name: str, of: GraphQLArgument | GraphQLInputField, ids: Ids, pick: str | None) -> Any:
    if name in IGNORED_ARGUMENTS:
        return None
    if name in NAMES:
        return NAMES[name]
    kind = named(of)
    if isinstance(kind, GraphQLInputObjectType):
        inner = {key: value_of(key, one, ids, pick) for key, one in kind.fields.items()}
        return {key: value for key, value in inner.items() if value is not None}
    if name == "after":
        # Only where the wrong kind is asked for on purpose: the right one would hide everything.
        return cursor(UUID(getattr(ids, pick))) if pick else None
    assert kind.name == "ID", f"what may {name}: {typed(of)} be? Say so here."
    one = getattr(ids, pick or kind_of(name))
    return [one] if str(typed(of)).startswith("[") else one


def kind_of(name: str) -> str:
    """Which kind of id an argument takes; `id` is decided by the caller."""
    for kind in KINDS:
        if name.lower().startswith(kind):
            return kind
    raise AssertionError(f"whose id is {name}? Say so here.")


async def answer(
    client: Client, kind: str, name: str, field: GraphQLField, values: dict[str, Any]
) -> Any:
    """The whole answer; the first of a subscription."""
    text = document(kind, name, field, values)
    if kind != "subscription":
        return (await client.ask(text, **values)).body
    async with (
        client.socket() as socket,
        aclosing(socket.subscribe(text, **values)) as payloads,
    ):
        return await anext(payloads)


def masked(body: Any, ids: Ids) -> str:
    """An answer as text, with ids that were in the question replaced by the unknown one."""
    text = json.dumps(body, sort_keys=True)
    for own, unknown in zip(ids.strings, NOBODYS.strings, strict=True):
        text = text.replace(own, unknown)
    return text


def unsigned(views: Any) -> str:
    """Views as text, without signatures of URLs, which change every hour."""
    return re.sub(r"\?expires=\d+&signature=[\w-]+", "", json.dumps(views, sort_keys=True))


def strings_in(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        for value in cast("dict[str, Any]", body).values():
            yield from strings_in(value)
    elif isinstance(body, list):
        for value in cast("list[Any]", body):
            yield from strings_in(value)
    elif isinstance(body, str):
        yield body


def types_in(body: Any) -> Iterator[str]:
    if isinstance(body, dict):
        fields = cast("dict[str, Any]", body)
        if "__typename" in fields:
            yield fields["__typename"]
        for value in fields.values():
            yield from types_in(value)
    elif isinstance(body, list):
        for value in cast("list[Any]", body):
            yield from types_in(value)


async def belongings(client: Client, photo: bytes) -> Ids:
    """One of everything: a webhook, a photo, a grid painted from it, and a frame made again."""
    # Where nobody listens: the log has a try.
    created = await client.ask(CREATE_WEBHOOK, url=f"http://127.0.0.1:{free_port()}/{SECRET_PATH}")
    webhook_id = created.data["createWebhook"]["webhook"]["id"]
    upload_id = await client.upload(photo)
    generation = await client.started(
        prompt=SECRET_PROMPT, uploadId=upload_id, size="SQUARE_512", variantCount=1
    )
    job_id = generation["jobs"][0]["id"]
    states = [job["state"] for job in await client.follow_to_end(job_id)]
    assert states[-1] == "SUCCESS"
    again = """mutation($id: ID!) { regenerate(input: {jobId: $id, promptDelta: "+ a key"}) {
      ... on JobRegenerated { job { id } } } }"""
    regenerated = (await client.ask(again, id=job_id)).data["regenerate"]["job"]["id"]
    await client.follow_to_end(regenerated)
    message_id = await wait_until(lambda: tried_message(client), within_s=60)
    return Ids(job_id, generation["id"], upload_id, webhook_id, message_id)


async def tried_message(client: Client) -> str:
    """The id of a message that was tried; empty while there is none."""
    asked = await client.ask("{ webhooks { messages { nodes { id tries { number } } } } }")
    (webhook,) = asked.data["webhooks"]
    return next((one["id"] for one in webhook["messages"]["nodes"] if one["tries"]), "")


async def test_every_field(make_settings: Callable[..., Settings], photo: bytes) -> None:
    settings = make_settings(
        rate_limit_max_requests=1000,
        max_active_jobs=100,
        max_operation_cost=1_000_000,
        webhook_loopback=True,
        webhook_retry_delays_s=(),
    )
    async with running_api(settings) as api:
        ann, bob = api.client("ann"), api.client("bob")
        async with running_worker(settings):
            hers = await belongings(ann, photo)
            oversight = await operator_view(api)
        before = await own_view(ann, hers)
        common = set(strings_in([body for _, body in await own_view(bob, NOBODYS)]))
        secrets = {text for text in strings_in([b for _, b in before]) if len(text) > 5} - common
        # The walk sees what it is to protect.
        assert SECRET_PROMPT in secrets
        assert any(SECRET_PATH in text for text in secrets)
        assert any("/files/" in text for text in secrets)
        secrets -= set(hers.strings) | set(SCHEMA.type_map)

        for kind, name, field in roots():
            for pick in KINDS:
                asked = await answer(bob, kind, name, field, variables(field.args, hers, pick))
                unknown = await answer(bob, kind, name, field, variables(field.args, NOBODYS, pick))
                assert "INVALID_DOCUMENT" not in str(asked), asked
                told = masked(asked, hers)
                assert not [secret for secret in secrets if secret in told], name
                if field.args:
                    assert told == masked(unknown, hers), name
        # And none of it was changed.
        assert unsigned(await own_view(ann, hers)) == unsigned(before)

        seen = {one for _, body in before for one in types_in(body)}
        seen |= await types_of_mutations(ann, hers)
        seen |= set(types_in(oversight))
        objects = {
            name
            for name, one in SCHEMA.type_map.items()
            if isinstance(one, GraphQLObjectType) and not name.startswith("__")
        }
        objects -= {"Query", "Mutation", "Subscription"} | IN_SOME_ANSWERS
        assert objects - seen == NEVER_IN_THESE_ANSWERS


async def operator_view(api: Api) -> Any:
    """All that an operator sees of others' work; nothing in it was asked for or painted."""
    token = issue_token(SECRET, user_id="olga", ttl_s=600, role="operator")
    operator = api.with_token(token)
    fields = {name: field for kind, name, field in roots() if kind == "mutation"}
    paused = await answer(operator, "mutation", "pauseQueue", fields["pauseQueue"], {})
    await api.client("cleo").started(prompt=SECRET_PROMPT, variantCount=1)
    field = SCHEMA.query_type.fields["operator"] if SCHEMA.query_type else None
    assert field is not None
    seen = [paused, await answer(operator, "query", "operator", field, {})]
    secret = (SECRET_PROMPT, SECRET_PATH, "/files/", "whsec_")
    assert not [one for text in strings_in(seen) for one in secret if one in text]
    await answer(operator, "mutation", "resumeQueue", fields["resumeQueue"], {})
    return seen


async def own_view(client: Client, ids: Ids) -> list[tuple[str, Any]]:
    """What a user sees of everything that can be read, without what changes by itself."""
    views: list[tuple[str, Any]] = []
    for kind, name, field in roots():
        if kind == "mutation":
            continue
        # A field `generation(id:)` takes the id of a generation.
        pick = name if "id" in field.args else None
        values = {} if name in ("jobs", "generations") else variables(field.args, ids, pick)
        body = await answer(client, kind, name, field, values)
        if name == "viewer" and ids is not NOBODYS:
            body["data"]["viewer"]["quota"].pop("resetsInSeconds")
        views.append((name, body))
    return views


async def types_of_mutations(client: Client, ids: Ids) -> set[str]:
    """The types in the answers of all mutations, each of which succeeds for the owner."""
    found: set[str] = set()
    order = (
        *("startGeneration", "regenerate", "cancelJob", "cancelGeneration", "deleteGeneration"),
        *("deleteUpload", "updateWebhook", "replayWebhook", "deleteWebhook"),
    )
    fields = {name: field for kind, name, field in roots() if kind == "mutation"}
    assert set(fields) == {*order, *FOR_OPERATORS}, "a new mutation: say when to call it"
    for name in order:
        field = fields[name]
        if name == "deleteUpload":
            # Frames of it that wait would hold it.
            await client.ask("mutation($id: ID!) { cancelJob(id: $id) { __typename } }", id=ids.job)
            await cancel_all(client)
        found_kind = [kind for kind in KINDS if kind in name.lower()]
        values = variables(field.args, ids, found_kind[0] if "id" in field.args else None)
        body = await answer(client, "mutation", name, field, values)
        found.update(types_in(body))
    return found


async def cancel_all(client: Client) -> None:
    listed = await client.ask("{ generations(first: 100) { nodes { id } } }")
    for node in listed.data["generations"]["nodes"]:
        text = "mutation($id: ID!) { cancelGeneration(id: $id) { __typename } }"
        await client.ask(text, id=node["id"])
