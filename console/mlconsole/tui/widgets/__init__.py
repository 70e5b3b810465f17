"""What screens are made of: the virtual table, charts and logs. They know domain objects and no storage."""
