"""Local tools: functions that the router runs itself, each inside `ctx.run`."""
