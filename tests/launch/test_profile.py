"""The profile file: what it spares, and what is told of one that is wrong."""

from pathlib import Path

import pytest

from app.errors import InputError
from app.launch import profile


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "fewtune").mkdir()
    return tmp_path / "fewtune" / "config.toml"


def test_without_a_file_the_profile_says_nothing(write: Path) -> None:
    assert profile.path() == write
    assert profile.read() == profile.Profile(None, None)
    assert profile.read().store_of("demo") is None


def test_it_lies_below_the_home_folder_where_xdg_names_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert profile.path() == tmp_path / ".config" / "fewtune" / "config.toml"


def test_address_and_store_are_read_and_a_store_may_be_one_for_each_study(write: Path) -> None:
    write.write_text('address = "http://head:8265"\nstore = "s3://bucket/{study}/v1"\n')
    found = profile.read()
    assert found.address == "http://head:8265"
    assert found.store_of("demo") == "s3://bucket/demo/v1"
    with pytest.raises(InputError, match="name a study, or give --store"):
        found.store_of(None)
    write.write_text('store = "s3://bucket/all"\n')
    assert profile.read().store_of(None) == "s3://bucket/all"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('adress = "x"', "unknown key adress; did you mean address?"),
        ('token = "x"', "unknown key token; valid here: address, store"),
        ("store = 3", "store is 3: give a text in quotes"),
        ("store = ", "the profile cannot be read"),
    ],
)
def test_a_wrong_profile_is_told_with_its_path(write: Path, text: str, sentence: str) -> None:
    write.write_text(text)
    with pytest.raises(InputError) as fault:
        profile.read()
    assert str(fault.value).startswith(f"{write}: ")
    assert sentence in str(fault.value)
