"""A stand-in for the Prometheus operator on the local cluster: declared objects in, configuration files out.

The real operator comes as an image from a registry, and the local cluster has none. This one reads PrometheusRules,
PodMonitors and AlertmanagerConfigs, as far as Serinus' stacks write them, and hands what they say to Prometheus and
Alertmanager.

It runs from a copy of this package, with nothing but the standard library: it outlives the checkout that started it.
"""
