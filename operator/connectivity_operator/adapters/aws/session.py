"""The one botocore session: where it is, whom it trusts, how long it waits, and what STS's answers tell beside.

A session of botocore costs 150 ms and 7 MB with its first client; there is one for the process.
"""

from __future__ import annotations

import os
import time
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

SESSION_NAME = "connectivity-operator"
"""A fixed one: botocore's default changes with every refresh, and with it the principal that Kafka sees."""

GLOBAL_STS = "sts.amazonaws.com"
"""What botocore asks without a region."""

# botocore's defaults are 60 s and three attempts, twice over while credentials are fetched.
CLIENT = Config(connect_timeout=3, read_timeout=5, retries={"total_max_attempts": 2})


class Session:
    """Wraps the session and remembers who answered for STS and how far our clock is from its."""

    def __init__(self, region: str | None, ca_bundle: Path) -> None:
        # The web identity provider reads only the environment and profiles.
        os.environ.setdefault("AWS_ROLE_SESSION_NAME", SESSION_NAME)
        self.botocore: Any = botocore.session.Session()
        if region:  # botocore reads AWS_DEFAULT_REGION and never AWS_REGION
            self.botocore.set_config_variable("region", region)
        # Set here it wins over AWS_CA_BUNDLE and REQUESTS_CA_BUNDLE.
        self.botocore.set_config_variable("ca_bundle", str(ca_bundle))
        self.botocore.set_default_client_config(CLIENT)
        self.botocore.register("after-call.sts", self._answered)
        self.skew: float | None = None
        """Seconds that our clock is ahead of STS's; None until it has answered."""
        self.answered_by = ""
        """Host of the STS that answered last."""

    @property
    def region(self) -> str | None:
        configured: str | None = self.botocore.get_config_variable("region")
        return configured

    @property
    def endpoint(self) -> str:
        """Host of the STS that is asked: which one answered or, before that, the usual one of the region."""
        if self.answered_by or not self.region:
            return self.answered_by or GLOBAL_STS
        return f"sts.{self.region}.amazonaws.com{'.cn' if self.region.startswith('cn-') else ''}"

    def _answered(self, **event: Any) -> None:
        """Called by botocore for every answer of STS, errors included, also to calls of its own for credentials."""
        answer = event["http_response"]
        self.answered_by = urlsplit(answer.url).hostname or ""
        if date := answer.headers.get("Date"):
            self.skew = time.time() - parsedate_to_datetime(date).timestamp()
