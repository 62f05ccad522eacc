"""What bars tell: pure measures over them, one per module."""
