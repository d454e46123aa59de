"""Failures that a person can mend, and that therefore deserve a sentence instead of a stack."""

from __future__ import annotations

from loadtests.harness.alerting.provocations import ProvocationsError
from loadtests.harness.clean import CleanError
from loadtests.harness.clients.strategies import StrategyError
from loadtests.harness.clients.users import SignupFailed
from loadtests.harness.load import LoadFailed
from loadtests.harness.question import QuestionError
from loadtests.harness.records.bundle import BundleError
from loadtests.harness.running.manifest import DishonestSettings
from loadtests.harness.running.session import AlreadyRunning
from loadtests.harness.running.stock import StockFailed
from loadtests.harness.stacks import StacksError
from loadtests.harness.testbeds.connections import ConnectionsError
from loadtests.harness.testbeds.network import NetworkError
from loadtests.harness.testbeds.store_route import UnknownStore
from loadtests.harness.testbeds.target import TargetFailed
from loadtests.harness.testbeds.testbed import SystemNotUp, TestbedRefused
from loadtests.harness.words import WordsError

EXPECTED = (
    AlreadyRunning, BundleError, CleanError, ConnectionsError, DishonestSettings, LoadFailed, NetworkError,
    ProvocationsError, QuestionError, SignupFailed, StacksError, StockFailed, StrategyError, SystemNotUp,
    TargetFailed, TestbedRefused, UnknownStore, WordsError,
)  # fmt: skip
