"""What answers a question answers it once, also where nothing else tells that it was used."""

from __future__ import annotations

from wassette_protocol.frames import ComponentId
from wassette_supervisor.consent.book import Book
from wassette_supervisor.consent.change import Asked, Grant
from wassette_supervisor.policy.rules import rule_from_words

ASKED = Asked(Grant(ComponentId("one"), rule_from_words("environment-variable", "TZ"), ""))


class Held:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


def test_a_nonce_is_spent_on_first_use() -> None:
    book: Book[Held] = Book(60)
    nonce = book.ask(ASKED).nonce
    spent = book.spend(nonce)
    assert spent is not None
    assert spent.asked == ASKED
    assert book.spend(nonce) is None
    book.ask(ASKED)  # and another question may be asked


def test_a_wrong_nonce_spends_nothing() -> None:
    book: Book[Held] = Book(60)
    nonce = book.ask(ASKED).nonce
    for wrong in ("", nonce[:-1], f"{nonce}A", nonce.swapcase()):
        assert book.spend(wrong) is None
    assert book.spend(nonce) is not None


def test_an_answer_after_its_time_is_none_and_the_question_was_refused() -> None:
    now = 0.0
    book: Book[Held] = Book(60, clock=lambda: now)
    held = Held()
    nonce = book.ask(ASKED, held=held).nonce
    now = 60.0
    assert book.spend(nonce) is None
    assert book.was_refused(ASKED.change)
    assert held.closed
