"""What programs on the same database read and write of it: one repository for each collection."""
