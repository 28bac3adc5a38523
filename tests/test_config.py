"""Run configurations: what is wrong is named."""

from __future__ import annotations

import pytest

from mfv2a.config import RunConfig, load_toml
from mfv2a.errors import ConfigError

GOOD = 'task = "vae"\nout = "x"\nsteps = 3\n[[sources]]\ntype = "scenes"\n'


@pytest.fixture
def write(tmp_path):
    def _write(text):
        path = tmp_path / "run.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return _write


def test_a_run_is_read_with_its_defaults(write):
    run = load_toml(write(GOOD + "weight = 2\n"), RunConfig)
    assert run.sources[0].weight == 2.0
    assert run.optimizer.clip == 1.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (GOOD.replace("steps", "stebs"), "stebs"),
        (GOOD.replace("steps = 3", "steps = 0"), "steps must be positive"),
        (GOOD.replace('"vae"', '"voice"'), "one of vae, sync"),
        (GOOD.replace("steps = 3", 'steps = "many"'), "type int"),
        ('task = "vae"\nout = "x"\nsteps = 3\n', "sources"),
        ("task = ", "not TOML"),
        ('out = "x"\n', "the keys task, steps are missing"),
        (GOOD.replace("steps = 3", ""), "the key steps is missing"),
        ("accumulate = 2\n" + GOOD, "accumulate is for a generator alone"),
        ("checkpoint_keep = 0\n" + GOOD, "checkpoint_keep must be positive"),
        (GOOD + '[objective]\nname = "distill"\n', "go together"),
        (GOOD + '[objective]\nname = "distill"\nteacher = "x"\nkappa = 0.5\n', "not for distill"),
        (GOOD + "[validation]\nevery = 5\n", "at least one"),
        ('compile = true\nparallel = "fsdp"\n' + GOOD.replace("vae", "generator"), "compile does not go with"),
        (GOOD + "[optimizer]\ndecay_at = 0.5\n", "must be a list"),
    ],
)
def test_what_is_wrong_is_named(write, text, words):
    with pytest.raises(ConfigError, match=words):
        load_toml(write(text), RunConfig)


def test_a_list_of_numbers_is_read(write):
    run = load_toml(write(GOOD + '[optimizer]\ndecay = "step"\ndecay_at = [0.5, 1]\n'), RunConfig)
    assert run.optimizer.decay_at == (0.5, 1.0)


def test_the_closest_key_is_offered(write):
    with pytest.raises(ConfigError) as error:
        load_toml(write(GOOD.replace("steps", "stebs")), RunConfig)
    assert "steps" in error.value.hint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nothere\.toml"):
        load_toml(tmp_path / "nothere.toml", RunConfig)
