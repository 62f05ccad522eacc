"""TLS of the front: 1.3 or nothing, and a renewed certificate without a restart."""

import os
import ssl
from pathlib import Path

import httpx
import pytest
import trustme

from actors.front.tls import Certificate, CertificateError
from wadm.sections import HttpSettings, WrongValue


def issue(authority: trustme.CA, folder: Path) -> tuple[Path, Path]:
    made = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key = folder / "crt.pem", folder / "key.pem"
    certificate.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    key.write_bytes(made.private_key_pem.bytes())
    return certificate, key


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trust(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def http(authority: trustme.CA, tmp_path: Path) -> HttpSettings:
    certificate, key = issue(authority, tmp_path)
    return HttpSettings(port=0, tls_certificate=str(certificate), tls_key=str(key))


async def test_it_is_served_over_tls_1_3(url: str, trust: ssl.SSLContext) -> None:
    assert url.startswith("https://")
    async with httpx.AsyncClient(base_url=url, verify=trust) as client:
        answer = await client.get("/health")
        assert answer.status_code == 200
        assert answer.extensions["network_stream"].get_extra_info("ssl_object").version() == "TLSv1.3"


async def test_an_older_tls_and_plain_text_get_nothing(url: str, trust: ssl.SSLContext) -> None:
    trust.maximum_version = ssl.TLSVersion.TLSv1_2
    async with httpx.AsyncClient(verify=trust) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{url}/health")
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"{url.replace('https', 'http')}/health")


def test_a_renewed_certificate_is_taken_up_and_half_a_pair_is_not(
    authority: trustme.CA, tmp_path: Path
) -> None:
    paths = issue(authority, tmp_path)
    certificate = Certificate(*paths)
    first = served(certificate, authority)
    old_key = paths[1].read_bytes()
    issue(authority, tmp_path)
    new_key = paths[1].read_bytes()
    paths[1].write_bytes(old_key)
    touch(paths, 1)
    certificate.look()
    assert served(certificate, authority) == first
    paths[1].write_bytes(new_key)
    touch(paths, 2)
    certificate.look()
    assert served(certificate, authority) != first


def touch(paths: tuple[Path, Path], times: int) -> None:
    for path in paths:
        os.utime(path, ns=(times * 10**9, times * 10**9))


def served(certificate: Certificate, authority: trustme.CA) -> bytes | None:
    """Return the certificate that a handshake shows, over memory."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context.wrap_bio(to_client, to_server, server_hostname="localhost")
    server = certificate.context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    return client.getpeercert(binary_form=True)


@pytest.mark.parametrize("content", [b"", b"no certificate", None])
def test_what_is_no_certificate_is_one_sentence(
    authority: trustme.CA, tmp_path: Path, content: bytes | None
) -> None:
    certificate, key = issue(authority, tmp_path)
    if content is None:
        certificate.unlink()
    else:
        certificate.write_bytes(content)
    with pytest.raises(CertificateError, match=r"crt\.pem"):
        Certificate(certificate, key)


def test_a_certificate_needs_its_key() -> None:
    with pytest.raises(WrongValue, match="a file, as tls_certificate is given"):
        HttpSettings(tls_certificate="crt.pem")
