"""What a policy document says, as data; every text in it has been checked when it was read."""

from __future__ import annotations

from typing import Literal

import msgspec

Access = Literal["read", "write"]


class StorageRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    uri: str  # as written
    access: tuple[Access, ...]  # sorted, at least one
    description: str | None = None


class NetworkRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Either `host` or `cidr` is set; empty `methods` or `paths` are all there are."""

    host: str | None = None  # [SCHEME://]NAME[:PORT] in lower-case A-labels
    cidr: str | None = None
    methods: tuple[str, ...] = ()  # sorted
    paths: tuple[str, ...] = ()  # sorted
    inject: dict[str, str] = {}  # headers by lower-case name
    description: str | None = None


class EnvironmentRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """With neither `value` nor `secret` the variable is the server's own."""

    key: str
    value: str | None = None
    secret: str | None = None  # the name of one
    description: str | None = None


Rule = StorageRule | NetworkRule | EnvironmentRule


class Storage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: tuple[StorageRule, ...] = ()
    deny: tuple[StorageRule, ...] = ()


class Network(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: tuple[NetworkRule, ...] = ()
    deny: tuple[NetworkRule, ...] = ()


class Environment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    allow: tuple[EnvironmentRule, ...] = ()


class Resources(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """None is the default of the server."""

    memory: int | None = None  # bytes
    wall_time: int | None = None  # milliseconds
    fuel: int | None = None
    output: int | None = None  # bytes
    requests: int | None = None
    request_bytes: int | None = None
    response_bytes: int | None = None
    storage_file: int | None = None  # bytes of the largest file
    storage_files: int | None = None  # files created


class Permissions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    storage: Storage = Storage()
    network: Network = Network()
    environment: Environment = Environment()
    resources: Resources = Resources()


class Policy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`tools` has what each tool is limited to, by its name; without an entry: `permissions`."""

    version: str = "1.0"
    schema: str | None = None
    description: str | None = None
    permissions: Permissions = Permissions()
    tools: dict[str, Permissions] = {}
