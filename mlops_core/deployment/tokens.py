"""Tokens of an environment: who may send requests, and for which tenant.

One ``tenant:token`` per line; blank lines and lines that begin with ``#`` do not count.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Self

from attrs import field, frozen

from mlops_core.exceptions import DeploymentError, MLOpsError
from mlops_core.names import check_name

if TYPE_CHECKING:
    from mlops_core.stack import Stack

__all__ = ["Tokens", "tokens_of"]

_SHORTEST = 16


@frozen
class Tokens:
    """Tenants by token. The tokens themselves show in no ``repr``."""

    by_tenant: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    _digests: tuple[tuple[str, bytes], ...] = field(init=False, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        object.__setattr__(self, "_digests", tuple((tenant, _digest(token)) for tenant, token in self.by_tenant))  # frozen

    @classmethod
    def parse(cls, text: str | None) -> Self:
        """Read the lines; None or an empty text: no tokens, every request is welcome.

        Raises:
            DeploymentError: A line is no ``tenant:token``, or a token is shorter than 16 characters. The message shows no token.
        """
        pairs = []
        for number, line in enumerate((text or "").splitlines(), 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            tenant, colon, token = (part.strip() for part in line.partition(":"))
            check_name(tenant, f"tokens: line {number}: tenant", DeploymentError)
            if not colon or len(token) < _SHORTEST or any(character.isspace() for character in token):
                raise DeploymentError(
                    f"tokens: line {number}: the token has less than {_SHORTEST} characters or spaces - write tenant:token"
                )
            pairs.append((tenant, token))
        if text is not None and not pairs:
            raise DeploymentError("tokens: there is none in it - write one tenant:token per line, or leave 'tokens' out")
        return cls(tuple(pairs))

    def __bool__(self) -> bool:
        return bool(self.by_tenant)

    def of(self, tenant: str) -> str | None:
        """A token of this tenant."""
        return next((token for owner, token in self.by_tenant if owner == tenant), None)

    def authenticate(self, token: str | None) -> str | None:
        """The tenant of a token, None where there are no tokens. Takes the same time whatever is given.

        Raises:
            DeploymentError: The token is missing or wrong.
        """
        if not self.by_tenant:
            return None
        given, found = _digest(token or ""), None
        for tenant, known in self._digests:
            if hmac.compare_digest(given, known):
                found = tenant
        if found is None:
            raise DeploymentError("token: it is missing or wrong - send the header Authorization: Bearer TOKEN")
        return found


def tokens_of(stack: Stack, environment: str) -> Tokens:
    """The tokens of an environment, read now.

    Raises:
        DeploymentError: They cannot be read.
    """
    settings = stack.settings.environments.get(environment)
    if settings is None or settings.tokens is None:
        return Tokens()
    try:
        return Tokens.parse(stack.resolve(settings.tokens))
    except MLOpsError as error:
        raise DeploymentError(f"environments.{environment}.{error.message}") from error


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
