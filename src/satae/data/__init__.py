"""The data sources, one file each, and what they share. Every source returns a ``Dataset``.

Their options are described in ``conf/data/<name>.yaml``.
"""
