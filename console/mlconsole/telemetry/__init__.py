"""GPU and host telemetry: live readings through an abandonable child process, replays and simulations of them."""
