"""The apprise notifier: mail, Slack, Teams, Telegram, ntfy and a hundred more, by their apprise URLs."""

from __future__ import annotations

import os
from collections.abc import Mapping

from mlconsole.plugin_api import ActionFailed, Notice, UsageError

__all__ = ["AppriseNotifier"]

KINDS = {"info": "info", "warning": "warning", "critical": "failure"}


class AppriseNotifier:
    """Tells the services of the apprise URLs in the environment variable that ``urls_env`` names: they hold secrets."""

    def send(self, notice: Notice, options: Mapping[str, object]) -> None:
        """Tell each of them once."""
        try:
            import apprise  # 400 ms, where it is used
        except ImportError as error:
            raise ActionFailed("apprise is not installed.", "Install it: pip install 'mlconsole[apprise]'") from error
        name = str(options.get("urls_env", ""))
        urls = os.environ.get(name, "").split()
        if not urls:
            raise UsageError(f'The environment variable "{name}" holds no apprise URL.', "Name it: urls_env = ...")
        services = apprise.Apprise()
        if not all(services.add(url) for url in urls):
            raise UsageError(f'An apprise URL in "{name}" is none.', "See: https://appriseit.com/services/")
        kind = "success" if notice.state == "resolved" else KINDS.get(notice.severity, "info")
        title = f"[{notice.state}] {notice.source} {notice.alert}"
        send = services.notify
        # Markup of a title from outside stays text.
        if not send(body=f"{notice.title}\n{notice.why}", title=title, notify_type=kind, body_format="text"):
            raise ActionFailed("A service of apprise did not take the notice.")
