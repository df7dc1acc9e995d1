"""The operation ledger, an app of its own: one row for every operation that changed audited rows."""
