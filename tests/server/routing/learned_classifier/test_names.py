import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from server.config.section import OTHER, Name
from server.routing.learned_classifier.names import domain_meant, domain_name


def test_a_domain_is_named_as_a_configuration_can_name_it() -> None:
    assert domain_name("Computer Science & Law!") == "computer-science-law"


@given(st.text())
def test_any_label_names_what_a_configuration_can_name_or_nothing(label: str) -> None:
    named = domain_name(label)
    if named:
        TypeAdapter(Name).validate_python(named)
    else:
        assert not re.search("[a-z0-9]", label.lower())


@pytest.mark.parametrize("label", ["other", "Other", " OOS ", "oos"])
def test_what_says_that_it_belongs_nowhere_is_other(label: str) -> None:
    assert domain_meant(label) == OTHER


def test_a_label_without_letters_or_digits_means_nothing() -> None:
    assert domain_meant("???") == ""
