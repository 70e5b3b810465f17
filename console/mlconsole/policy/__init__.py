"""Rules that act: the watcher with its lease, and policies that carry out actions when something happens."""
