"""The command that makes a component. No consumer imports this."""
