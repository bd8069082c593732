"""Tests that share something costly are run by one process."""

import pytest

pytestmark = pytest.mark.xdist_group("a-group")


def test_groups_are_kept(request):
    """pytest-xdist 3.8.0 forgets them with pytest 9.2, and says nothing."""
    if request.config.getoption("loadgroup", False):
        assert request.node.nodeid.endswith("@a-group")
