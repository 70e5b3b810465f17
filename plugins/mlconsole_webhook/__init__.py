"""The webhook notifier: one signed POST, to where it was meant to go and nowhere else."""

from __future__ import annotations

from mlconsole_webhook.webhook import WebhookNotifier

__all__ = ["WebhookNotifier"]
