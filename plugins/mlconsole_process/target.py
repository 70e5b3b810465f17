"""Releases as processes of this machine, as the console's target contract asks for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from mlconsole.plugin_api import ActionFailed, TargetObservation, TargetOrder
from mlconsole_process import route
from mlconsole_process.site import FOLDER, Site, opened

WITHDRAW_GRACE_S = 2.0


class ProcessTarget:
    """Blue and green on one machine: the next server is up and healthy before the old one gets no more requests.

    A small process of its own owns the endpoint and forwards to the server that is live. It, and the servers, outlive
    the console. Settings: ``port`` (a loopback port; chosen and kept when left out) or ``socket`` (an absolute path),
    and those of :func:`~mlconsole_process.serving.serving_of`.
    """

    name = "process"

    def prepare(self, order: TargetOrder) -> None:
        """Lay the release out, start its server on a port of its own, and wait for its health answer."""
        with opened(order.state_dir, order.settings) as site:
            site.check_endpoint()
            site.place.lay_out(order)
            site.bring_up(order)

    def activate(self, order: TargetOrder) -> None:
        """Send requests to the prepared server, wait for those under way, and stop the servers before it."""
        with opened(order.state_dir, order.settings) as site:
            if not site.place.holds(order):
                raise ActionFailed(f'Generation {order.generation} of "{order.environment}" is not prepared.')
            site.place.pass_fence(order)
            server = site.bring_up(order)
            site.open_endpoint()
            site.switch(server, site.serving(order.generation))

    def observe(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> TargetObservation:
        """Which server the endpoint leads to, and whether it answers."""
        site = Site(state_dir, settings)
        live = route.read(site.folder)
        if live is None:
            return TargetObservation(words="nothing is served")
        record = site.place.record(live.generation) or {}
        if record.get("environment") != environment:
            return TargetObservation(None, None, False, site.url, "the endpoint leads to no release of ours")
        words = site.trouble(live)
        healthy = not words
        shown = words or f"generation {live.generation} answers on port {live.port}"
        return TargetObservation(str(record["release"]), live.generation, healthy, site.url, shown)

    def release(self, order: TargetOrder) -> None:
        """Stop the generation's server if it has one, and remove what was laid out."""
        if not os.path.isdir(os.path.join(order.state_dir, FOLDER)):
            return
        with opened(order.state_dir, order.settings) as site:
            live = route.read(site.folder)
            if live is not None and live.generation == order.generation:
                raise ActionFailed(
                    f'Generation {order.generation} of "{order.environment}" is live.', "Roll out another."
                )
            if site.place.record(order.generation) is None or site.place.holds(order):
                site.servers.stop_all(site.servers.tries(order.generation), 0.0)
                site.place.remove(order.generation)

    def withdraw(self, environment: str, settings: Mapping[str, str], state_dir: Path) -> None:
        """Stop everything of the environment, the endpoint first."""
        if not os.path.isdir(os.path.join(state_dir, FOLDER)):
            return
        with opened(state_dir, settings) as site:
            site.forwarders.stop_all(site.forwarders.tries(), WITHDRAW_GRACE_S)
            route.remove(site.folder)
            site.servers.stop_all(site.servers.tries(), WITHDRAW_GRACE_S)
