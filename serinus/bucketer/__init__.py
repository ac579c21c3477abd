"""The bucketer: tells the gateway which bucket a user has, from a keyed hash that no client can choose.

It needs nothing but Python and the hash of `serinus.rollout.buckets`, so that it is small, starts at once and is fast.
"""
