"""Queries and mutation answers without graphql-core: what `transport.projection` is to pushes."""
