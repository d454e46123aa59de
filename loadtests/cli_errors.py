"""Failures that a person can mend, and that therefore deserve a sentence instead of a stack."""

from __future__ import annotations

from loadtests.harness.clean import CleanError
from loadtests.harness.load import LoadFailed
from loadtests.harness.planning.experiment import ExperimentError
from loadtests.harness.planning.overrides import OverrideError
from loadtests.harness.planning.plan_arms import PlanError
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.running.manifest import DishonestSettings
from loadtests.harness.running.users import SignupFailed
from loadtests.harness.session import AlreadyRunning
from loadtests.harness.strategies import StrategyError
from loadtests.harness.testbeds.connections import ConnectionsError
from loadtests.harness.testbeds.store_route import UnknownStore
from loadtests.harness.testbeds.testbed import SystemNotUp, TestbedRefused

EXPECTED = (
    AlreadyRunning, BundleError, CleanError, ConnectionsError, DishonestSettings,
    ExperimentError, LoadFailed, OverrideError, PlanError, SignupFailed, StrategyError, SystemNotUp,
    TestbedRefused, UnknownStore,
)  # fmt: skip
