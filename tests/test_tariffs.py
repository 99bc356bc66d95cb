"""The tariff file: what it gives, and every mistake it may hold."""

from __future__ import annotations

from pathlib import Path

import pytest

from honorarium.protocol.tariff import Tariff
from honorarium.replay import TariffFileError, Tariffs, load_tariffs
from honorarium.units import BaseUnits, Seconds

EXAMPLE = Path(__file__).parents[1] / "examples" / "tariffs.toml"
DEFAULT = '[default]\nunit_seconds = 60\nunit_price = "1.00"\nmax_units = 60\n'


def load(folder: Path, text: str) -> Tariffs:
    path = folder / "tariffs.toml"
    path.write_text(text, encoding="utf-8")
    return load_tariffs(path)


def refusal(folder: Path, text: str) -> TariffFileError:
    with pytest.raises(TariffFileError) as caught:
        load(folder, text)
    assert str(folder / "tariffs.toml") in str(caught.value)
    return caught.value


def test_the_example_has_tariffs_per_second_per_minute_with_a_step_and_with_free_units() -> None:
    tariffs = [found.tariff for found in load_tariffs(EXAMPLE).tables.values()]
    assert {1, 60} <= {tariff.unit_seconds for tariff in tariffs}
    assert any(tariff.step_units for tariff in tariffs)
    assert any(tariff.included_units for tariff in tariffs)


def test_a_table_becomes_a_tariff_in_base_units() -> None:
    found = load_tariffs(EXAMPLE).tariff_for("PS", 2)
    assert found.table == "PS"
    assert found.tariff == Tariff(
        connect_fee=BaseUnits(1_500_000),
        unit_price=BaseUnits(900_000),
        unit_seconds=Seconds(60),
        included_units=0,
        step_units=10,
        step_price=BaseUnits(600_000),
        max_units=20,
    )
    assert found.platform_bps == 250
    assert found.deposit == 16_500_000
    assert found.platform_fee(1_999) == 49


def test_only_priority_2_pays_the_connect_fee() -> None:
    tariffs = load_tariffs(EXAMPLE)
    fees = [tariffs.tariff_for("NE", priority).tariff.connect_fee for priority in (0, 1, 2, 3)]
    assert fees == [0, 0, 4_000_000, 0]
    assert tariffs.tariff_for("NE", 0).deposit == tariffs.tariff_for("NE", 2).deposit - 4_000_000


def test_a_service_without_a_table_has_the_default() -> None:
    tariffs = load_tariffs(EXAMPLE)
    assert tariffs.tariff_for("XX", 0) == tariffs.tables["default"]
    assert tariffs.tariff_for("", 2) == tariffs.tables["default"]


def test_keys_left_out_are_zero(tmp_path: Path) -> None:
    found = load(tmp_path, DEFAULT).tables["default"]
    assert found.platform_bps == 0
    assert found.tariff == Tariff(
        BaseUnits(0), BaseUnits(1_000_000), Seconds(60), 0, 0, BaseUnits(0), 60
    )


def test_prices_follow_the_decimals_of_the_token(tmp_path: Path) -> None:
    path = tmp_path / "tariffs.toml"
    path.write_text(DEFAULT)
    assert load_tariffs(path, decimals=18).tables["default"].tariff.unit_price == 10**18


def test_an_interaction_tariff_counts_a_call_as_one_unit() -> None:
    tariff = load_tariffs(EXAMPLE).tariff_for("TT", 0).tariff
    assert (tariff.unit_seconds, tariff.units_for(1), tariff.units_for(3_000)) == (0, 1, 1)


@pytest.mark.parametrize(
    ("old", "new", "key", "said"),
    [
        ("max_units = 60", "max_units = 60\nmax_unit = 1", "max_unit", "there is no such key"),
        ('"1.00"', "1.00", "unit_price", "decimal string in quotation marks"),
        ('"1.00"', "1", "unit_price", "decimal string in quotation marks"),
        ('"1.00"', '"one"', "unit_price", "not a decimal number"),
        ('"1.00"', '"-1.00"', "unit_price", "zero or more"),
        ('"1.00"', '"NaN"', "unit_price", "finite"),
        ('"1.00"', '"0.0000001"', "unit_price", "only 6 decimals"),
        ('"1.00"', '"1208925819614629174.706176"', "unit_price", "above the largest amount"),
        ('"1.00"', '"0"', "unit_price", "nothing to pay in 60 units"),
        ('"1.00"', '"0"\nconnect_fee = "5"', "unit_price", "nothing to pay in 60 units"),
        ("= 60\nunit", "= 86401\nunit", "unit_seconds", "from 0 to 86400"),
        ("= 60\nunit", "= -1\nunit", "unit_seconds", "from 0 to 86400"),
        ("= 60\nunit", "= true\nunit", "unit_seconds", "whole number"),
        ("= 60\nunit", "= 60.0\nunit", "unit_seconds", "whole number"),
        ("max_units = 60", "max_units = 0", "max_units", "from 1 to 4294967295"),
        ("max_units = 60", "max_units = 4294967296", "max_units", "from 1 to 4294967295"),
        ("max_units = 60", 'max_units = "60"', "max_units", "whole number"),
        ("max_units = 60", "max_units = 60\nplatform_bps = 10001", "platform_bps", "0 to 10000"),
        ("max_units = 60", "max_units = 5\nincluded_units = 5", "max_units", "would be free"),
        (
            "max_units = 60",
            "max_units = 60\nincluded_units = 5\nstep_units = 5",
            "step_units",
            "beyond included_units = 5",
        ),
        ("max_units = 60", 'max_units = 60\nstep_price = "1"', "step_price", "needs step_units"),
        (
            '"1.00"\nmax_units = 60',
            '"0"\nmax_units = 60\nstep_units = 60\nstep_price = "1"',
            "unit_price",
            "a step_price that max_units reaches",
        ),
        (
            '"1.00"\nmax_units = 60',
            '"1000000000"\nmax_units = 4294967295',
            "max_units",
            "the deposit, the fee for max_units, would be 4294967295000000000;",
        ),
    ],
)
def test_a_mistake_is_refused_with_table_key_value_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, key: str, said: str
) -> None:
    assert old in DEFAULT
    error = refusal(tmp_path, DEFAULT.replace(old, new))
    assert (error.table, error.key) == ("default", key)
    assert said in error.reason
    assert f"[default]: {key} = " in str(error)


def test_the_last_limits_are_allowed(tmp_path: Path) -> None:
    text = DEFAULT.replace("= 60\nunit", "= 86400\nunit").replace('"1.00"', '"0"')
    extra = 'platform_bps = 10000\nincluded_units = 58\nstep_units = 59\nstep_price = "0.000001"\n'
    assert load(tmp_path, text + extra).tables["default"].deposit == 1


@pytest.mark.parametrize("key", ["unit_seconds", "unit_price", "max_units"])
def test_a_missing_key_is_refused(tmp_path: Path, key: str) -> None:
    text = "".join(line for line in DEFAULT.splitlines(True) if not line.startswith(key))
    error = refusal(tmp_path, text)
    assert (error.table, error.reason) == ("default", f"{key} is missing")


def test_a_file_without_default_is_refused(tmp_path: Path) -> None:
    assert "no table [default]" in refusal(tmp_path, DEFAULT.replace("default", "PS")).reason


def test_a_key_outside_of_a_table_is_refused(tmp_path: Path) -> None:
    assert "unit_seconds stands outside" in refusal(tmp_path, "unit_seconds = 1\n" + DEFAULT).reason


def test_what_is_not_toml_or_not_utf_8_or_not_there_is_refused(tmp_path: Path) -> None:
    assert "line 1" in refusal(tmp_path, "[default\n").reason
    assert "not TOML" in refusal(tmp_path, DEFAULT + DEFAULT).reason
    path = tmp_path / "tariffs.toml"
    path.write_bytes(b"# caf\xe9\n")
    with pytest.raises(TariffFileError, match="byte 6 is not UTF-8"):
        load_tariffs(path)
    with pytest.raises(TariffFileError, match="no such file"):
        load_tariffs(tmp_path / "none.toml")
    with pytest.raises(TariffFileError, match="cannot be read"):
        load_tariffs(tmp_path)
