"""The contract: Strawberry types, inputs and roots.

A package called `schema` exists on the package index, too; `mintari` checks at its start that
this one was imported.
"""

MINTARI_SCHEMA = True


def sdl() -> str:
    """The schema definition language, as `schema/schema.graphql` holds it."""
    from schema import build

    return build.sdl()
