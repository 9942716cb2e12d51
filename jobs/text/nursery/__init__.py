"""The nursery: a generated language whose truth is known, spoken in three registers."""
