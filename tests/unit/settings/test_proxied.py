"""HTTPS_PROXY and NO_PROXY of the environment, where the settings of the link name no proxy of their own."""

from collections.abc import Callable

import pytest

from agent.settings import Settings

Load = Callable[..., Settings]
LINK = "tenant: acme\nmode: hybrid\ntransport: {https: {urls: ['https://r.example:8443']%s}}\n"
ADDRESS = "http://ann:c4n4ry@proxy:3128"
LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy"])
def test_the_proxy_of_the_environment_is_used_and_its_login_is_never_shown(loaded: Load, name: str) -> None:
    settings = loaded(LINK % "", **{name: ADDRESS, "NO_PROXY": " a.example, .b.example ,,10.0.0.0/8, bad host"})
    link = settings.transport.https
    assert link is not None
    assert link.proxy is not None
    assert settings.resolve(link.proxy, "k").decode() == ADDRESS
    assert link.no_proxy == (*LOOPBACK, "a.example", ".b.example")
    shown = settings.redacted(origin=True)
    assert shown["transport.https.proxy"] == {"value": f"env:{name}", "origin": name}
    assert "c4n4ry" not in str(shown) + str(settings)


def test_what_the_settings_say_comes_first(loaded: Load) -> None:
    written = loaded(LINK % ", proxy: 'http://own:1', no_proxy: [x]", HTTPS_PROXY=ADDRESS, NO_PROXY="y").transport.https
    assert written is not None
    assert (written.proxy, written.no_proxy) == ("http://own:1", ("x",))
    own_list = loaded(LINK % ", no_proxy: [x]", HTTPS_PROXY=ADDRESS, NO_PROXY="y").transport.https
    assert own_list is not None
    assert (own_list.proxy, own_list.no_proxy) == ("env:HTTPS_PROXY", ("x",))
    varied = loaded(LINK % "", HTTPS_PROXY=ADDRESS, MERIDYEN_TRANSPORT__HTTPS__PROXY="http://own:1").transport.https
    assert varied is not None
    assert varied.proxy == "http://own:1"


def test_without_a_link_or_a_proxy_nothing_is_added(loaded: Load) -> None:
    assert loaded("tenant: acme\n", HTTPS_PROXY=ADDRESS).transport.https is None
    plain = loaded(LINK % "", HTTPS_PROXY="", NO_PROXY="y", HTTP_PROXY=ADDRESS).transport.https
    assert plain is not None
    assert (plain.proxy, plain.no_proxy) == (None, ())
