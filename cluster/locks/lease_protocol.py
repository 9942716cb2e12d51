"""The protocol of a lease: pure steps, which name what they want of the storage and hold no clock.

A lease is a folder of objects, one per holding, named by its token. The highest token holds. Each
function here is a generator: it yields an `Operation`, is sent the answer, and is thrown what the
storage raised. So `cluster/locks/lease.py` runs it on a root, and tests run many at once, step by
step, in any order.

Why there are no two holders: a holder counts a renewal only when a listing *after* the write still
shows its token as the highest; a taker holds only when the lease it found silent is unchanged
*after* its own token was created. Whichever came later sees the other. A renewal is counted from
before it was asked for, silence from after it was seen, each by one clock alone: by the storage's,
or by that of whoever watches. No two clocks are compared. So a holder is `SURE` for a shorter time
than others must find it silent, and does nothing in between.
"""

import json
from collections.abc import Callable, Generator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cluster.errors import SurroundingsError
from cluster.locks.held import Occupied
from cluster.locks.holder import Holder, fields_of

HIGHEST_TOKEN = 99_999_999
"""Names of tokens have eight digits, so that names sort as tokens do."""
_ROUNDS = 5
"""How often a taker begins again when others change the lease meanwhile."""
_LOOKS = 18
"""Looks at a lease while it is watched."""


@dataclass(frozen=True)
class Terms:
    """Times of a lease, in seconds; each is much longer than the one before."""

    renew_every_s: float = 30.0
    """Between two renewals."""
    sure_for_s: float = 70.0
    """After a renewal was asked for, how long its holder may write."""
    expires_after_s: float = 90.0
    """Without a renewal, after which anybody may take the lease."""


@dataclass(frozen=True)
class ListTokens:
    """Answer: the tokens in the folder; whatever else lies there is left out."""


@dataclass(frozen=True)
class Read:
    """Answer: the bytes under a token; none where nothing is to be read."""

    token: int


@dataclass(frozen=True)
class Age:
    """Answer: seconds since the token was written, by the storage's own clock; None: no clock."""

    token: int


@dataclass(frozen=True)
class Create:
    """Answer: whether these bytes stand under the token now, and nobody else's stood before."""

    token: int
    content: bytes


@dataclass(frozen=True)
class Write:
    """Answer: nothing; the bytes stand under the token, whatever stood before."""

    token: int
    content: bytes


@dataclass(frozen=True)
class Remove:
    """Answer: nothing; nothing stands under the token, or other bytes than `only` do."""

    token: int
    only: bytes | None = None


@dataclass(frozen=True)
class Pause:
    """Answer: nothing, after so many seconds."""

    seconds: float


Operation = ListTokens | Read | Age | Create | Write | Remove | Pause
Seconds = Callable[[], float]


@dataclass(frozen=True)
class Lease:
    """The highest object of a lease, as somebody read it."""

    token: int
    """Its token."""
    content: bytes
    """Its bytes, damaged or not; empty where nothing was to be read."""

    @property
    def holder(self) -> Holder | None:
        """Who holds it; None where that is damaged."""
        return Holder.parse(fields_of(self.content).get("holder"))

    @property
    def is_given_up(self) -> bool:
        """True when its holder released it, or is certainly dead."""
        if fields_of(self.content).get("released") is True:
            return True
        return self.holder is not None and self.holder.is_dead


class Hold(Enum):
    """Where a holder stands."""

    SURE = "sure"
    """The lease was renewed lately: nobody else holds it."""
    UNSURE = "unsure"
    """It was not renewed for too long: it may be taken, or may still be renewed."""
    LOST = "lost"
    """A higher token was there, or our own was gone."""


@dataclass
class Tenure:
    """One holding of a lease, as its holder knows it."""

    token: int
    """Its token."""
    holder: Holder
    """Who holds it."""
    terms: Terms
    """Times of the lease."""
    renewed_at: float
    """By the holder's clock, just before the last renewal that counts was asked for."""
    is_lost: bool = False
    """True for good once it is lost."""
    num_renewals: int = 0
    """Makes the bytes of each renewal differ from those before."""

    def state(self, now: float) -> Hold:
        """Return where the holder stands now, by the clock that `renewed_at` is of."""
        if self.is_lost:
            return Hold.LOST
        # A clock that was put back proves nothing.
        is_sure = 0 <= now - self.renewed_at <= self.terms.sure_for_s
        return Hold.SURE if is_sure else Hold.UNSURE

    def look_at(self, tokens: list[int]) -> bool:
        """Take in a listing; return whether the lease is still ours by it."""
        self.is_lost = self.is_lost or self.token not in tokens or max(tokens) != self.token
        return not self.is_lost


def take(
    holder: Holder,
    terms: Terms,
    now: Seconds,
    moment: Seconds,
    *,
    insist: bool = False,
    above: int = 0,
) -> Generator[Operation, Any, Tenure]:
    """Take the lease.

    Args:
        holder: Who takes it.
        terms: Its times.
        now: The clock of the taker, which never jumps.
        moment: Seconds since the epoch, for people to read.
        insist: Take it from a live holder.
        above: Tokens up to this one were in use, though their objects may be gone.

    Returns:
        The holding.

    Raises:
        Occupied: somebody else holds it, or was faster.
        SurroundingsError: the storage failed, or the folder has no tokens left.
    """
    seen = Lease(0, b"")
    for _ in range(_ROUNDS):
        seen = yield from _read_highest()
        if seen.token and not insist and not (yield from _is_free(seen, terms)):
            continue
        token = max(seen.token, above) + 1
        if token > HIGHEST_TOKEN:
            raise SurroundingsError(
                f"no token is left in the lock's folder: it holds {seen.token:08d}",
                hint="when no launch of the study is running, delete that object",
            )
        tenure = Tenure(token=token, holder=holder, terms=terms, renewed_at=now())
        ours = _content(tenure, moment)
        is_created = yield Create(token, ours)
        if is_created and (yield from _is_won(tenure, seen, ours, insist=insist)):
            return tenure
    raise Occupied(seen.holder)


def renew(tenure: Tenure, now: Seconds, moment: Seconds) -> Generator[Operation, Any, None]:
    """Renew a lease, or find that it is lost; what the storage raises leaves it as it was."""
    if not tenure.look_at((yield ListTokens())):
        return
    asked_at = now()
    tenure.num_renewals += 1
    yield Write(tenure.token, _content(tenure, moment))
    if tenure.look_at((yield ListTokens())):
        tenure.renewed_at = asked_at


def confirm(tenure: Tenure) -> Generator[Operation, Any, None]:
    """Find out whether a lease is lost, without renewing it."""
    tenure.look_at((yield ListTokens()))


def release(tenure: Tenure, moment: Seconds) -> Generator[Operation, Any, None]:
    """Give a lease up, unless it is lost."""
    if tenure.look_at((yield ListTokens())):
        tenure.num_renewals += 1
        yield Write(tenure.token, _content(tenure, moment, is_released=True))


def look(terms: Terms) -> Generator[Operation, Any, Lease | None]:
    """Return the lease as it stands; None when it is free, as far as one look can tell."""
    seen = yield from _read_highest()
    if seen.token == 0 or seen.is_given_up:
        return None
    age_s = yield Age(seen.token)
    return None if age_s is not None and age_s > terms.expires_after_s else seen


def _read_highest() -> Generator[Operation, Any, Lease]:
    token = max((yield ListTokens()), default=0)
    return Lease(token, (yield Read(token)) if token else b"")


def _is_free(seen: Lease, terms: Terms) -> Generator[Operation, Any, bool]:
    """Return whether the lease may be taken now; False when it is another one by now.

    Raises Occupied when its holder has shown life.
    """
    if seen.is_given_up:
        return True
    age_s = yield Age(seen.token)
    if age_s is not None:
        if age_s <= terms.expires_after_s:
            raise Occupied(seen.holder, age_s)
        return True
    for _ in range(_LOOKS):
        yield Pause(terms.expires_after_s / (_LOOKS - 1))
        latest = yield from _read_highest()
        if latest.token != seen.token:
            return False
        if latest != seen:
            raise Occupied(latest.holder)
    return True


def _is_won(
    tenure: Tenure, seen: Lease, ours: bytes, *, insist: bool
) -> Generator[Operation, Any, bool]:
    """After our token was created: withdraw it if the holder of before, or another taker, came."""
    try:
        if seen.token and not insist:
            content = yield Read(seen.token)
            if content not in (b"", seen.content):
                raise Occupied(Lease(seen.token, content).holder)
        tokens: list[int] = yield ListTokens()
    except Exception:
        yield from _try([Remove(tenure.token, only=ours)])
        raise
    others = max((token for token in tokens if token != tenure.token), default=0)
    # A taker that saw other numbers in use may have created one between the two.
    if not tenure.look_at(tokens) or others > seen.token:
        yield from _try([Remove(tenure.token, only=ours)])
        return False
    yield from _try([Remove(token) for token in tokens if token < tenure.token])
    return True


def _try(removals: list[Remove]) -> Generator[Operation, Any, None]:
    for removal in removals:
        try:
            yield removal
        except Exception:
            return  # what is left does no harm, except that the highest token is waited for


def _content(tenure: Tenure, moment: Seconds, *, is_released: bool = False) -> bytes:
    lease = {
        "holder": tenure.holder.as_json(),
        "at": moment(),
        "released": is_released,
        "renewals": tenure.num_renewals,
    }
    return json.dumps(lease).encode()
