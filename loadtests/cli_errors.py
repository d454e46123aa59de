"""Failures that a person can mend, and that therefore deserve a sentence instead of a stack."""

from __future__ import annotations

from loadtests.harness.commands.journey import UnknownShape
from loadtests.harness.planning.experiment import ExperimentError
from loadtests.harness.planning.overrides import OverrideError
from loadtests.harness.planning.plan_arms import PlanError
from loadtests.harness.strategies import StrategyError
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.running.arms import ArmNotInEffect
from loadtests.harness.clean import CleanError
from loadtests.harness.running.k6 import K6Failed
from loadtests.harness.running.manifest import DishonestSettings
from loadtests.harness.running.session import AlreadyRunning
from loadtests.harness.running.users import SignupFailed
from loadtests.harness.testbeds.connections import ConnectionsError
from loadtests.harness.testbeds.store_route import UnknownStore
from loadtests.harness.testbeds.testbed import SystemNotUp, TestbedRefused

EXPECTED = (
    AlreadyRunning, ArmNotInEffect, BundleError, CleanError, ConnectionsError, DishonestSettings,
    ExperimentError, K6Failed, OverrideError, PlanError, SignupFailed, StrategyError, SystemNotUp,
    TestbedRefused, UnknownShape, UnknownStore,
)  # fmt: skip
