"""What `--budget` may say, and what it says where it may not."""

import errno
import os

import pytest
from pydantic import ValidationError

from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.machine.resources import Resources
from cluster.storage import Storage
from orchestrator.budget.budget import Budget, describe_amount
from orchestrator.budget.disk_use import DiskUse
from orchestrator.profiles.node_prices import prices_of
from orchestrator.profiles.profile import Nodes, Profile


def test_each_unit_is_read_and_several_may_be_given():
    budget = Budget.of_words(["200gpuh", "1.5TB", "500 EUR"], currency="EUR")

    assert budget.limits == {"gpuh": 200.0, "bytes": 1.5e12, "EUR": 500.0}


@pytest.mark.parametrize("word", ["200GPUH", "2tb"])
def test_units_are_read_in_any_case(word):
    assert len(Budget.of_words([word]).limits) == 1


@pytest.mark.parametrize(
    ("word", "message", "hint"),
    [
        ("200gpuhours", "unknown unit 'gpuhours'", "did you mean 'gpuh'?"),
        ("200gph", "unknown unit 'gph'", "did you mean 'gpuh'?"),
        ("2TiB", "unknown unit 'TiB'", "did you mean 'TB'?"),
        ("200", "'200' is no budget", "a number and a unit"),
        ("gpuh", "'gpuh' is no budget", "a number and a unit"),
        ("-3gpuh", "'-3gpuh' is no budget", "a number and a unit"),
        ("infgpuh", "'infgpuh' is no budget", "a number and a unit"),
        ("1e3gpuh", "unknown unit 'e3gpuh'", "did you mean 'gpuh'?"),
        ("0gpuh", "allows nothing", ""),
        ("500EUR", "unknown unit 'EUR'", "prices are known to no profile here"),
    ],
)
def test_what_is_no_budget_is_told_with_what_is_allowed(word, message, hint):
    with pytest.raises(UserError) as fault:
        Budget.of_words([word])

    assert message in fault.value.error
    assert fault.value.where == "--budget"
    assert hint in (fault.value.hint or "")
    assert message == "allows nothing" or any("gpuh" in name for name in fault.value.allowed)


def test_money_of_another_currency_names_the_one_of_the_prices():
    with pytest.raises(UserError, match="unknown unit 'USD'") as fault:
        Budget.of_words(["500USD"], currency="EUR")

    assert "EUR" in fault.value.allowed


def test_one_thing_is_limited_once():
    with pytest.raises(UserError, match="disk is given twice"):
        Budget.of_words(["2TB", "100GB"])


@pytest.mark.parametrize(
    ("unit", "amount", "text"),
    [
        ("gpuh", 198.44, "198.4 GPU-hours"),
        ("gpuh", 0.25, "0.25 GPU-hours"),
        ("bytes", 1.25e12, "1.25 TB"),
        ("bytes", 12.0, "1.2e-05 MB"),
        ("EUR", 80, "80.00 EUR"),
        ("EUR", 0.0004, "0.0004 EUR"),
    ],
)
def test_amounts_are_written_for_people(unit, amount, text):
    assert describe_amount(unit, amount) == text


def test_the_prices_of_a_profile_price_a_job_by_its_part_of_a_node():
    nodes = [Nodes(cpus=64, gpus=8, gpu="A100-80GB", price=12.0)]
    prices = prices_of(Profile(kind="local", nodes=nodes, currency="EUR"))

    assert prices.currency == "EUR"
    assert prices.hourly(Resources(num_gpus=2)) == pytest.approx(3.0)
    assert prices_of(Profile(kind="local")) is None and prices_of(None) is None


@pytest.mark.parametrize("currency", ["€", "EUR", "credits", "zł"])
def test_every_currency_of_a_profile_may_be_limited(currency):
    assert Profile(kind="local", currency=currency).currency == currency
    assert Budget.of_words([f"500{currency}"], currency=currency).limits == {currency: 500.0}


@pytest.mark.parametrize("currency", ["gpuh", "GPUh", "GB", "tb", "bytes", "Bytes"])
def test_a_unit_of_budgets_is_no_currency(currency):
    with pytest.raises(ValidationError, match="is a unit of `--budget` already"):
        Profile(kind="local", currency=currency)


def test_a_sign_of_money_that_no_profile_knows_is_told_where_prices_come_from():
    with pytest.raises(UserError, match="unknown unit '€'") as fault:
        Budget.of_words(["500€"])

    assert "a profile gives them: `--on`" in fault.value.hint


def test_artifacts_are_listed_once_however_many_jobs_left_none(tmp_path):
    class Counts(Storage):
        def list(self, name):
            listed.append(name)
            return super().list(name)

    listed = []
    root = Counts(tmp_path)
    root.write(f"artifacts/probe/{'a' * 16}/attempts/one-000001/probe.txt", b"12345")
    use = DiskUse(root)
    use.count([letter * 64 for letter in "abcdef"], {"one"})

    assert use.bytes == 5
    assert listed.count("artifacts") == 1


def test_a_folder_that_cannot_be_counted_is_not_counted_as_empty(tmp_path, monkeypatch):
    root = Storage(tmp_path)
    root.write(f"artifacts/probe/{'a' * 16}/attempts/one-000001/units/0/shard.bin", b"12345")
    use, scandir = DiskUse(root), os.scandir

    def refuse(place):
        if str(place).endswith("/units"):
            raise OSError(errno.EIO, "Input/output error", place)
        return scandir(place)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(SurroundingsError, match="Input/output error") as fault:
        use.count(["a" * 64], {"one"})
    assert fault.value.fault_class is FaultClass.STORAGE_AWAY
