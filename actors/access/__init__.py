"""Who may ask: keys, and the record of what was done with them."""
