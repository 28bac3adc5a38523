"""Run configurations: what is wrong is named."""

from __future__ import annotations

import pytest

from mfv2a.config import ExtractConfig, ObjectiveConfig, RunConfig, SourceConfig, load_toml
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


@pytest.mark.parametrize(
    ("table", "value", "told"),
    [
        ("objective", "equal_share = -0.5", "equal_share must be 0 to 1, not -0.5"),
        ("objective", "equal_share = 1.5", "equal_share must be 0 to 1"),
        ("objective", "equal_share = nan", "equal_share must be a finite number"),
        ("objective", "full_share = 2.0", "full_share must be 0 to 1"),
        ("objective", "time_std = -1.0", "time_std must be above 0"),
        ("objective", "time_std = 0.0", "time_std must be above 0"),
        ("objective", "kappa = 2.0", "kappa must be 0 or above and below 1"),
        ("objective", "kappa = 1.0", "kappa must be"),
        ("objective", "drop_text = -0.6", "drop_text must be 0 to 1"),
        ("objective", "drop_video = 0.8\ndrop_text = 0.8", "drop_both, drop_video and drop_text together"),
        ("objective", 'name = "flow-matching"\nomega = 2.0', "omega and kappa are not for flow-matching"),
        ("objective", 'name = "energy"\nkappa = 0.5', "omega and kappa are not for energy"),
        ("optimizer", "clip = -1.0", "clip must be 0 or more, not -1"),
        ("optimizer", "beta2 = 1.5", "beta2 must be 0 or above and below 1"),
        ("optimizer", "eps = -1.0", "eps must be above 0"),
        ("optimizer", "weight_decay = -0.1", "weight_decay must be 0 or more"),
        ("validation", "shown = -1", "shown must be 0 or more"),
        ("components", 'vea = "x"', "unknown component 'vea'"),
    ],
)
def test_a_value_that_no_table_takes_is_named_with_its_file(write, table, value, told):
    with pytest.raises(ConfigError) as error:
        load_toml(write(GOOD.replace("vae", "vocoder") + f"[{table}]\n{value}\n"), RunConfig)
    assert told in str(error.value)
    assert "run.toml" in str(error.value)
    assert table in str(error.value) or table == "components"


@pytest.mark.parametrize("drops", [(0.1, 0.6, 0.3), (0.0, 0.0, 1.0), (0.7, 0.2, 0.1)])
def test_conditions_of_all_rows_may_be_dropped(drops):
    both, video, text = drops
    assert ObjectiveConfig(drop_both=both, drop_video=video, drop_text=text).plain().drop_text == 0.0


@pytest.mark.parametrize(
    ("key", "told"),
    [
        ("crop_s = inf", "crop_s must be a finite number"),
        ("seed = -1", "seed must be 0 or more"),
        ("seed = 9223372036854775808", "seed must be 0 or more and below"),
        ("adversarial = -1.0", "adversarial must be 0 or more"),
    ],
)
def test_a_key_of_the_run_that_cannot_be_is_named(write, key, told):
    with pytest.raises(ConfigError, match=r"run\.toml: .*" + told):
        load_toml(write(f"{key}\n{GOOD}"), RunConfig)


@pytest.mark.parametrize(
    ("task", "source", "told"),
    [
        ("vae", 'type = "scenes"\nvoices = "sfx"', "voices are not for task = 'vae' with a source of scenes"),
        ("sync", 'type = "features"\npath = "x"\nvoices = "sfx"', "voices are not for task = 'sync'"),
        ("vae", 'type = "sounds"\nvoices = "sfx"', "voices are laid on scenes, not on sounds"),
        ("vae", 'type = "features"\nweight = nan', "weight must be a finite number"),
        ("vae", 'type = "features"\nfirst_seed = -1', "first_seed must be 0 or more"),
        ("vae", 'type = "features"\nsplit = "train"', "split chooses rows of a list"),
    ],
)
def test_what_a_source_would_not_read_is_refused(write, task, source, told):
    with pytest.raises(ConfigError, match=told):
        load_toml(write(f'task = "{task}"\nout = "x"\nsteps = 3\n[[sources]]\n{source}\n'), RunConfig)


def test_voices_are_read_where_they_were_stored(write):
    text = 'task = "vae"\nout = "x"\nsteps = 3\n[[sources]]\ntype = "features"\npath = "x"\nvoices = "sfx"\n'
    assert load_toml(write(text), RunConfig).sources[0].voices == "sfx"


@pytest.mark.parametrize(
    ("key", "source", "told"),
    [
        ('model = "mmaudio-small-16k"', 'type = "videos"\nsplit = "train"', "split chooses rows of a list"),
        ('vae = "x"', 'type = "features"\npath = "x"\nvoices = "sfx"', "voices are laid on scenes, not on features"),
        ("duration_s = inf", 'type = "scenes"', "duration_s must be a finite number"),
    ],
)
def test_what_an_extraction_would_not_read_is_refused(write, key, source, told):
    with pytest.raises(ConfigError, match=told):
        load_toml(write(f'out = "x"\n{key}\n[source]\n{source}\n'), ExtractConfig)


def test_the_closest_component_is_offered(write):
    with pytest.raises(ConfigError) as error:
        load_toml(write(GOOD.replace("vae", "vocoder") + '[components]\nvea = "x"\n'), RunConfig)
    assert error.value.hint == "did you mean vae?"


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


@pytest.mark.parametrize("kind", ["sounds", "features", "videos", "recordings"])
def test_a_source_without_the_folder_that_it_is_in_is_refused(kind):
    with pytest.raises(ConfigError, match=f"a source of {kind} needs a path"):
        SourceConfig(type=kind)
    assert SourceConfig(type="scenes").path == ""
