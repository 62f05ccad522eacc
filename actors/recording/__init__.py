"""Recording: what connections receive, written as captures."""
