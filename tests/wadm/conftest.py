"""The modules in which answers are compared show, as tests do, what differed."""

import pytest

pytest.register_assert_rewrite("agreement", "agreeing")
