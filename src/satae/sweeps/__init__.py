"""The runs of a sweep together: their names, what was asked for, results, statistics over seeds, table, TensorBoard."""
