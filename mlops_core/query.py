"""The one filter grammar: text to a ``Query``.

::

    filter     = [condition] ["order by" key {"," key}]
    condition  = all {"or" all} ;  all = term {"and" term} ;  term = "not" term | "(" condition ")" | comparison
    comparison = field ("=" | "!=" | "<" | "<=" | ">" | ">=" | ["not"] "like") value  |  field ["not"] "in" "(" value {"," value} ")"
    field      = [prefix "."] name        prefix = params | metrics | tags | metadata
    name       = letters, digits, _ . - / or any text in `backquotes`
    value      = 'text' | "text" | number | true | false          (a quote is doubled inside its own kind)
    key        = field ["asc" | "desc"]

A bare name is an attribute of the record where there is one (``name``, ``status``), else it takes the default prefix: ``tags.`` for
experiments and runs, ``metadata.`` for versions. Words are case-insensitive, names are not. A missing field never matches.
"""

from __future__ import annotations

import difflib
import math
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, cast

from attrs import define, field

from mlops_core.exceptions import MLOpsError, QueryError, checks_input
from mlops_core.records import And, Comparison, Not, Or, OrderBy, Query

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from mlops_core.records import Condition
    from mlops_core.records.query import Operator

__all__ = ["PREFIXES", "parse"]

PREFIXES: Final = ("params", "metrics", "tags", "metadata")
_LONGEST = 10_000
_DEEPEST = 100
_WORDS = frozenset({"and", "or", "not", "like", "in", "order", "by", "asc", "desc", "true", "false"})
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.]))
    | (?P<text>'(?:[^']|'')*'|"(?:[^"]|"")*")
    | (?P<name>(?:[A-Za-z_][\w\-/]*|`[^`]+`)(?:\.(?:[\w\-/]+|`[^`]+`))*)
    | (?P<mark><=|>=|!=|==|=|<|>|\(|\)|,)
    )""",
    re.VERBOSE,
)


@checks_input
def parse(
    text: str,
    *,
    default: str,
    attributes: Collection[str] = (),
    limit: int | None = None,
    cursor: str | None = None,
    error: type[MLOpsError] = QueryError,
) -> Query:
    """Parse a filter.

    Args:
        text: The filter; empty finds everything.
        default: The prefix of a bare name: ``tags`` or ``metadata``.
        attributes: Bare names that are attributes of the record.
        limit: At most this many records a page; None for all.
        cursor: As the page before answered it.
        error: The class to raise: a facade passes its own.

    Raises:
        MLOpsError: Of class ``error``; one line with the column and what was expected.
    """
    if not isinstance(text, str):
        raise error(f'filter: expected text, got {type(text).__name__} - give a filter such as "accuracy >= 0.9"')
    if limit is not None and (type(limit) is not int or limit < 1):
        raise error(f"filter: limit {limit!r} is not a positive whole number - give 1 or more, or leave it out")
    if cursor is not None and not re.fullmatch("[0-9]{1,18}", str(cursor)):
        raise error(f"filter: {str(cursor)[:40]!r} is no cursor - pass back the one that the last page answered")
    parser = _Parser(text, default, frozenset(attributes), error)
    where, order_by = parser.parse()
    return Query(where=where, order_by=order_by, limit=limit, cursor=cursor)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


@define
class _Parser:
    source: str
    default: str
    attributes: frozenset[str]
    error: type[MLOpsError]
    tokens: list[_Token] = field(factory=list, init=False)
    position: int = field(default=0, init=False)
    depth: int = field(default=0, init=False)

    def parse(self) -> tuple[Condition | None, tuple[OrderBy, ...]]:
        if len(self.source) > _LONGEST:
            raise self.error(f"filter: {len(self.source)} characters is longer than the {_LONGEST} that are allowed")
        self._scan()
        where = None if self._now.kind == "end" or self._is("order") else self._either()
        order_by = self._order() if self._take("order") else ()
        if self._now.kind != "end":
            self._fail("expected 'and', 'or', 'order by' or the end")
        return where, order_by

    def _scan(self) -> None:
        at, end = 0, len(self.source.rstrip())
        while at < end:
            match = _TOKEN.match(self.source, at)
            if match is None or match.lastgroup is None:
                start = at + len(self.source[at:]) - len(self.source[at:].lstrip())
                self.tokens.append(_Token("bad", self.source[start : start + 1], start))
                self.position = len(self.tokens) - 1
                self._fail("expected a name, a value or an operator")
            kind = match.lastgroup
            word = match.group(kind)
            if kind == "name" and word.lower() in _WORDS:
                kind, word = "word", word.lower()
            self.tokens.append(_Token(kind, word, match.start(match.lastgroup)))
            at = match.end()
        self.tokens.append(_Token("end", "", len(self.source)))

    @property
    def _now(self) -> _Token:
        return self.tokens[self.position]

    def _fail(self, expected: str) -> NoReturn:
        found = repr(self._now.text[:40]) if self._now.text else "the end"
        raise self.error(f"filter: column {self._now.at + 1}: found {found}, {expected}")

    def _is(self, *texts: str) -> bool:
        return self._now.kind in {"word", "mark"} and self._now.text in texts

    def _take(self, *texts: str) -> bool:
        if self._is(*texts):
            self.position += 1
            return True
        return False

    def _either(self) -> Condition:
        return self._chain(self._every, "or", Or)

    def _every(self) -> Condition:
        return self._chain(self._term, "and", And)

    def _chain(self, term: Callable[[], Condition], word: str, join: type[And | Or]) -> Condition:
        terms = [term()]
        while self._take(word):
            terms.append(term())
        return terms[0] if len(terms) == 1 else join(tuple(terms))

    def _term(self) -> Condition:
        self.depth += 1
        if self.depth > _DEEPEST:
            self._fail(f"which nests deeper than {_DEEPEST}")
        found = self._nested()
        self.depth -= 1
        return found

    def _nested(self) -> Condition:
        if self._take("not"):
            return Not(self._term())
        if not self._take("("):
            return self._comparison()
        inner = self._either()
        if not self._take(")"):
            self._fail("expected ')'")
        return inner

    def _comparison(self) -> Condition:
        name = self._field()
        negated = self._take("not")
        operator = self._now.text
        if not (self._take("like", "in") if negated else self._take("=", "==", "!=", "<", "<=", ">", ">=", "like", "in")):
            self._fail("expected 'like' or 'in'" if negated else "expected = != < <= > >= like or in")
        value = self._values() if operator == "in" else self._value()
        if operator == "like" and not isinstance(value, str):
            self.position -= 1
            self._fail("expected a quoted pattern such as 'tickets%'")
        compared = Comparison(name, cast("Operator", "=" if operator == "==" else operator), value)
        return Not(compared) if negated else compared

    def _values(self) -> tuple[Any, ...]:
        if not self._take("("):
            self._fail("expected '(' and a list of values")
        values = [self._value()]
        while self._take(","):
            values.append(self._value())
        if not self._take(")"):
            self._fail("expected ',' or ')'")
        return tuple(values)

    def _value(self) -> Any:
        token = self._now
        if token.kind == "text":
            self.position += 1
            quote = token.text[0]
            return token.text[1:-1].replace(quote * 2, quote)
        if token.kind == "number":
            return self._number(token)
        if self._take("true", "false"):
            return token.text == "true"
        return self._fail("expected a number, true, false or text in quotes")

    def _number(self, token: _Token) -> int | float:
        try:
            number = int(token.text) if token.text.lstrip("+-").isdigit() else float(token.text)
        except ValueError:  # Python refuses to read a whole number of thousands of digits
            self._fail("which is too large for a number")
        if isinstance(number, float) and math.isinf(number):
            self._fail("which is too large for a number")
        self.position += 1
        return number

    def _field(self) -> str:
        token = self._now
        if token.kind != "name":
            self._fail("expected the name of a field, such as accuracy or metrics.accuracy")
        parts = [part.strip("`") for part in re.findall(r"`[^`]+`|[^.`]+", token.text)]
        if len(parts) == 1:
            self.position += 1
            return parts[0] if parts[0] in self.attributes else f"{self.default}.{parts[0]}"
        if parts[0] not in PREFIXES:
            near = difflib.get_close_matches(parts[0], PREFIXES, 1, cutoff=0.75)
            hint = f"did you mean '{near[0]}'?" if near else f"a name with a dot of its own goes in backquotes: `{token.text}`"
            self._fail(f"prefixes are {', '.join(PREFIXES)} - {hint}")
        self.position += 1
        return f"{parts[0]}.{'.'.join(parts[1:])}"

    def _order(self) -> tuple[OrderBy, ...]:
        if not self._take("by"):
            self._fail("expected 'by'")
        keys = [self._key()]
        while self._take(","):
            keys.append(self._key())
        return tuple(keys)

    def _key(self) -> OrderBy:
        name = self._field()
        descending = self._is("desc")
        self._take("asc", "desc")
        return OrderBy(name, descending=descending)
