"""How a dead letter is sent again: with the bytes that came."""

import httpx

from foryou.cli import dlq
from foryou.service.settings import Settings


def test_a_content_type_of_any_bytes_is_sent_as_it_came(tmp_path):
    heard = []

    def answer(request):
        heard.extend(request.headers.raw)
        return httpx.Response(415, json={"reason": "bad_content_type"})

    door = dlq._Door(Settings.load({"FORYOU_HOME": str(tmp_path)}))
    door._http = httpx.Client(transport=httpx.MockTransport(answer), base_url="http://collector")
    with door:
        told = door("demo", "POST", "/v1/events", {"content-type": b"a/b; x=\xc3\xe9".decode("latin-1")}, b"{}")
    assert told.said == "bad_content_type"
    assert (b"content-type", b"a/b; x=\xc3\xe9") in [(name.lower(), value) for name, value in heard]
