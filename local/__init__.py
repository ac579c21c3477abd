"""The embedded default: a real engine, Kubernetes, gateway and model where the user gives none.

Everything comes from package registries (Go modules, Python and Debian packages), is built once into the user's cache
directory, and runs in a network namespace of its own. Nothing here knows of stacks, components or rollouts.
"""
