import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridges.simulator.characters import CALM, SPECIAL, Character, Episode, Trouble
from bridges.simulator.physics import (
    Battery,
    Body,
    Engine,
    Tyre,
    electric_power,
    engine_speed,
    lag,
    wheel_power,
)
from bridges.simulator.roads import MOTORWAY
from bridges.simulator.vehicles import Vehicle

TEMPERATURES = st.floats(-40.0, 150.0)
STEPS = st.floats(0.05, 600.0)


@given(TEMPERATURES, TEMPERATURES, st.floats(1.0, 3_000.0), STEPS)
def test_two_half_steps_of_a_lag_are_one_step(value, target, constant_s, step_s):
    half = lag(lag(value, target, constant_s, step_s / 2), target, constant_s, step_s / 2)
    assert half == pytest.approx(lag(value, target, constant_s, step_s), abs=1e-9)
    assert min(value, target) - 1e-9 <= half <= max(value, target) + 1e-9


def test_standing_costs_only_what_the_auxiliaries_take():
    body = Body()
    assert wheel_power(body, 0.0, 0.0) == 0.0
    assert electric_power(body, 0.0) == body.auxiliary_w


@given(st.floats(1.0, 50.0), st.floats(0.0, 3.0))
def test_braking_gives_back_less_than_the_acceleration_took(speed, acceleration):
    body = Body(auxiliary_w=0.0)
    taken = electric_power(body, wheel_power(body, speed, acceleration))
    given_back = electric_power(body, wheel_power(body, speed, -acceleration))
    assert taken > 0.0
    assert -given_back < taken


@pytest.mark.parametrize(
    ("speed_kmh", "least_kwh", "most_kwh"), [(50.0, 7.0, 15.0), (100.0, 12.0, 20.0), (130.0, 17.0, 28.0)]
)
def test_a_hundred_kilometres_take_what_an_electric_car_takes(speed_kmh, least_kwh, most_kwh):
    body = Body()
    power_w = electric_power(body, wheel_power(body, speed_kmh / 3.6, 0.0))
    assert least_kwh < power_w / 1000 * 100 / speed_kmh < most_kwh


def test_the_battery_gives_what_is_asked_for():
    battery = Battery(80.0, 25.0, capacity_kwh=75.0)
    for _ in range(3_600):
        battery.step(7_500.0, 20.0, 1.0)
    assert battery.charge_percent == pytest.approx(70.0)
    battery.charge_percent = 0.01
    battery.step(1e9, 20.0, 1.0)
    assert battery.charge_percent == 0.0


def test_the_thermostat_holds_the_coolant_unless_the_pump_has_failed():
    engine = Engine(coolant_c=20.0)
    for _ in range(1_800):
        engine.step(15_000.0, 20.0, 1.0)
    assert 88.0 < engine.coolant_c < 97.0
    engine.cooling = 0.1
    rising = [engine.coolant_c]
    for _ in range(120):
        engine.step(15_000.0, 20.0, 1.0)
        rising.append(engine.coolant_c)
    assert rising == sorted(rising)
    assert rising[-1] > 118.0
    engine.running = False
    for _ in range(7_200):
        engine.step(0.0, 20.0, 1.0)
    assert engine.coolant_c < 40.0


@given(st.floats(150.0, 350.0), st.floats(-30.0, 60.0), st.floats(1.0, 40.0))
def test_a_warmer_tyre_has_a_higher_pressure(cold_kpa, temperature_c, warmer_by):
    assert Tyre(cold_kpa, 20.0).pressure_kpa == pytest.approx(cold_kpa)
    cooler, warmer = Tyre(cold_kpa, temperature_c), Tyre(cold_kpa, temperature_c + warmer_by)
    assert warmer.pressure_kpa > cooler.pressure_kpa


def test_a_puncture_lets_out_all_air_and_no_more():
    tyre = Tyre(200.0, leak_kpa_per_s=1.0)
    pressures = []
    for _ in range(400):
        tyre.step(0.0, 20.0, 1.0)
        pressures.append(tyre.pressure_kpa)
    assert pressures == sorted(pressures, reverse=True)
    assert pressures[-1] == 0.0


@given(st.floats(0.0, 60.0))
def test_an_engine_turns_within_its_range(speed):
    assert 800.0 <= engine_speed(speed, True) <= 6_000.0
    assert engine_speed(speed, False) == 0.0


@given(st.integers(0, 1_000), st.sampled_from(SPECIAL))
@settings(max_examples=30)
def test_a_vehicle_uses_energy_only_as_it_moves_or_charges(seed, character):
    vehicle = Vehicle(3, character, seed=seed)
    odometer_m = vehicle.odometer_m
    for second in range(300):
        charge = vehicle.battery.charge_percent
        vehicle.step(float(second), 1.0)
        assert vehicle.odometer_m >= odometer_m
        # Half a percent in a second would be more than a megawatt.
        assert abs(vehicle.battery.charge_percent - charge) < 0.5
        if not character.electric:
            assert vehicle.battery.charge_percent == charge
        odometer_m = vehicle.odometer_m


def test_an_empty_battery_drives_nobody_until_it_is_charged():
    vehicle = Vehicle(1, Character("far", terrain=MOTORWAY, charge_percent=6.0), seed=1)
    charges, moved_while_charging = [], []
    for second in range(3_600):
        driven_m = vehicle.odometer_m
        was_charging = vehicle.charging
        vehicle.step(float(second), 1.0)
        charges.append(vehicle.battery.charge_percent)
        if was_charging and vehicle.charging:
            moved_while_charging.append(vehicle.odometer_m - driven_m)
    assert min(charges) > 4.0
    assert max(charges) > 79.0
    assert moved_while_charging
    assert not any(moved_while_charging)


@pytest.mark.parametrize(
    ("at_s", "holds"), [(9.9, False), (10.0, True), (14.9, True), (15.0, False), (40.0, True), (45.0, False)]
)
def test_an_episode_comes_back_every_so_often(at_s, holds):
    assert Episode(Trouble.FRIGHT, 10.0, 15.0, 30.0).holds(at_s) is holds


def test_the_idler_stands_with_its_engine_running():
    idler = Character("idler", electric=False, temper=CALM, episodes=(Episode(Trouble.IDLING, 0.0, 600.0),))
    vehicle = Vehicle(0, idler, seed=1)
    for second in range(60):
        vehicle.step(float(second), 1.0)
    assert vehicle.at_rest
    place = vehicle.odometer_m
    for second in range(60, 600):
        vehicle.step(float(second), 1.0)
    assert vehicle.odometer_m == place
    assert engine_speed(vehicle.progress.speed, vehicle.engine.running) > 0.0
