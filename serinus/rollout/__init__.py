"""The rules of a rollout, as plain functions of plain data.

Nothing here talks to Pulumi, Kubernetes, Prometheus or the clock: whoever calls brings the facts and the time.
So every decision that Serinus takes can be read, tested and replayed without a cluster.
"""
