"""Connections to exchanges: WebSockets, their subscriptions, their watchdogs, their replacement."""
