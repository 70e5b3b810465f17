"""Where due firings are carried out: a few at once, each in a thread of its own, so that a slow one delays no other."""

from __future__ import annotations

import threading
from collections.abc import Callable

from mlconsole.actions.context import Context
from mlconsole.domain.policies import Firing, FiringState
from mlconsole.domain.watching import Watcher
from mlconsole.policy.carrying_out import carry_out, look_at_waiting, settle_begun
from mlconsole.policy.duties import words_of

AT_ONCE = 4


class Office:
    """One term's work on firings.

    Args:
        ctx: the watcher's session.
        fence: its lease.
        me: this process.
        is_over: tells when the term has ended: nothing more is begun then.
    """

    def __init__(self, ctx: Context, fence: int, me: Watcher, is_over: Callable[[], bool]) -> None:
        self._ctx, self._fence, self._me, self._is_over = ctx, fence, me, is_over
        self._running: set[int] = set()
        self._guard = threading.Lock()

    def round(self) -> None:
        """Settle what others left, let go on what waited, begin what is due."""
        with self._guard:
            running = frozenset(self._running)
        settle_begun(self._ctx, self._fence, running)
        look_at_waiting(self._ctx, self._fence)
        policies = None
        for firing in self._ctx.catalog.firings.in_state(FiringState.DUE):
            if len(self._running) >= AT_ONCE or self._is_over():
                return
            if firing.number in self._running:
                continue
            policies = policies or {policy.name: policy for policy in self._ctx.catalog.policies.armed()}
            if firing.policy in policies:
                self._begin(firing, lambda firing=firing, policy=policies[firing.policy]: carry_out(  # type: ignore[misc]
                    self._ctx, firing, policy, self._me, self._fence
                ))  # fmt: skip

    def _begin(self, firing: Firing, work: Callable[[], Firing]) -> None:
        with self._guard:
            self._running.add(firing.number)

        def run() -> None:
            try:
                done = work()
                self._ctx.say(f"{done.policy}: {done.do} {done.state}: {done.why}")
            except Exception as error:  # noqa: BLE001  the top of its thread
                self._ctx.say(f"{firing.policy}: {words_of(error)}")
            finally:
                with self._guard:
                    self._running.discard(firing.number)

        threading.Thread(target=run, name=f"mlconsole-firing-{firing.number}", daemon=True).start()
