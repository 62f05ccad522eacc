"""MongoDB as the warm store: what is stored, under which names, and how it is written and read."""
