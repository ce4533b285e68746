"""What a person is asked about requests: to whom, and what the words of a rule don't show."""

from __future__ import annotations

import pytest

from wassette_protocol.frames import ComponentId
from wassette_supervisor.consent.change import Grant
from wassette_supervisor.consent.question import question
from wassette_supervisor.policy.document import NetworkRule
from wassette_supervisor.policy.rules import rule_from_words

HOSTS = {
    "api.example.com": '"api.example.com"',
    "https://API.example.com.": '"https://api.example.com"',
    "https://api.example.com:8443": '"https://api.example.com:8443"',
    "Bücher.example": '"xn--bcher-kva.example"',
    "xn--80ak6aa92e.com": '"xn--80ak6aa92e.com"',  # in a browser it may look like apple.com
    "*.example.com": 'every host below "example.com"',
    "https://*.example.com:8443": (
        'every host below "example.com", by https alone, on the port 8443'
    ),
    "*.com": 'every host below "com", whoever they belong to',
    "*.co.uk": 'every host below "co.uk", whoever they belong to',
    "*": "every public host",
    "http://*": "every public host, by http alone",
    "8.8.8.8": '"8.8.8.8"',
    "127.0.0.1": '"127.0.0.1", and it is a loopback address',
    "http://localhost:8080": '"http://localhost:8080", which is this machine',
    "169.254.169.254": '"169.254.169.254", and it is a metadata service of a cloud',
    "http://10.1.2.3:80": '"http://10.1.2.3", and it is a private address',
    "[::1]": '"\\u{5b}::1\\u{5d}", and it is a loopback address',
    "[::ffff:10.1.2.3]": '"10.1.2.3", and it is a private address',
    "_dmarc.example.com": '"\\u{5f}dmarc.example.com"',
}


@pytest.mark.parametrize("host", HOSTS)
def test_a_host_is_asked_about_in_its_one_normal_form_with_what_it_means(host: str) -> None:
    change = Grant(ComponentId("net"), rule_from_words("network", host), "")
    assert question(change) == f'May the component "net" send requests to {HOSTS[host]}?'


def test_a_question_after_a_denial_names_the_tool() -> None:
    rule = rule_from_words("network", "https://api.example.com")
    assert question(Grant(ComponentId("net"), rule, "", again="fetch-page")) == (
        'The tool "fetch-page" failed. May the component "net" send requests to '
        '"https://api.example.com", and be run again?'
    )


def test_methods_and_paths_and_ranges_are_told() -> None:
    rule = NetworkRule("api.example.com", None, ("GET", "HEAD"), ("/v1/**",))
    assert question(Grant(ComponentId("net"), rule, "")) == (
        'May the component "net" send "GET" and "HEAD" requests to "api.example.com", with a path '
        'as "/v1/\\u{2a}\\u{2a}"?'
    )
    ranged = NetworkRule(cidr="10.1.0.0/16")
    assert question(Grant(ComponentId("net"), ranged, "")) == (
        'May the component "net" send requests to every address in "10.1.0.0/16"?'
    )


def test_a_secret_that_goes_along_is_told_by_its_name_with_the_host_and_the_header() -> None:
    inject = {"authorization": "Bearer ${secret:TOKEN}", "x-from": "wassette"}
    rule = NetworkRule("https://api.example.com", inject=inject)
    assert question(Grant(ComponentId("net"), rule, "")) == (
        'May the component "net" send requests to "https://api.example.com"; that sends the secret '
        '"TOKEN" to it, as the header "authorization"; that sends a text of the policy to it, as '
        'the header "x-from"?'
    )
