"""What the watcher looks at by itself, one module a source; and what it makes of events."""
