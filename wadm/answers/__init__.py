"""What can be asked of the market: one module a question, each read and answered alike by every door."""
