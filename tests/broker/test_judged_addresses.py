"""Which of the addresses of a name are dialled, and whose connections are used again."""

from __future__ import annotations

import pytest

from wassette_protocol.broker_frames import AddressRules, Destination, Order
from wassette_protocol.frames import ChildId
from wassette_supervisor.broker.codes import RequestError
from wassette_supervisor.broker.connections import key
from wassette_supervisor.broker.dialling import judged

PUBLIC = "93.184.216.34"


def order(rules: AddressRules, host: str = "api.example") -> Order:
    place = Destination("https", host, 443)
    return Order("0" * 32, ChildId(1), place, "GET", "/", rules, [])


def test_of_several_addresses_those_that_may_be_dialled_are() -> None:
    addresses = ["127.0.0.1", PUBLIC, "10.0.0.1", "::1", "169.254.169.254", "64:ff9b::a00:1"]
    assert judged(addresses, AddressRules()) == [PUBLIC]
    lifted = AddressRules(lifted=[["10.0.0.0/8"]])
    assert judged(addresses, lifted) == [PUBLIC, "10.0.0.1", "64:ff9b::a00:1"]
    assert judged(addresses, AddressRules(denied=[f"{PUBLIC}/32"], lifted=[["::1/128"]])) == ["::1"]


def test_a_name_that_leads_to_nothing_else_is_refused() -> None:
    with pytest.raises(RequestError) as caught:
        judged(["127.0.0.1", "::ffff:10.0.0.1"], AddressRules())
    assert caught.value.code == "destination-IP-prohibited"


def test_connections_are_kept_apart_by_component_host_and_rules() -> None:
    rules, others = AddressRules(), AddressRules(denied=["10.0.0.0/8"])
    keys = {
        key("one", order(rules)),
        key("another", order(rules)),
        key("one", order(others)),
        key("one", order(rules, "other.example")),
    }
    assert len(keys) == 4
    assert key("one", order(rules)) == key("one", order(AddressRules()))
