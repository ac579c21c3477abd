"""Starts the pack. PolicyPack serves the engine and never returns, so nothing else may construct it or stand here."""

from pulumi_policy import PolicyPack

from policies.rules import RULES

PolicyPack("serinus", policies=[*RULES])
