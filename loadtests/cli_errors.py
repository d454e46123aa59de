"""Failures that a person can mend, and that therefore deserve a sentence instead of a stack."""

from __future__ import annotations

from loadtests.harness.arms import ArmNotInEffect
from loadtests.harness.bundle import BundleError
from loadtests.harness.clean import CleanError
from loadtests.harness.connections import ConnectionsError
from loadtests.harness.experiment import ExperimentError
from loadtests.harness.journey import UnknownShape
from loadtests.harness.k6 import K6Failed
from loadtests.harness.manifest import DishonestSettings
from loadtests.harness.overrides import OverrideError
from loadtests.harness.plan import PlanError
from loadtests.harness.session import AlreadyRunning
from loadtests.harness.strategies import StrategyError
from loadtests.harness.system import SupervisorRefused, SystemNotUp
from loadtests.harness.users import SignupFailed

EXPECTED = (
    AlreadyRunning, ArmNotInEffect, BundleError, CleanError, ConnectionsError, DishonestSettings,
    ExperimentError, K6Failed, OverrideError, PlanError, SignupFailed, StrategyError, SupervisorRefused,
    SystemNotUp, UnknownShape,
)  # fmt: skip
