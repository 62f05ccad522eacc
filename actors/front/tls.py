"""TLS of the front: version 1.3 only, and a renewed certificate is taken up without a restart."""

import ssl
import time
from pathlib import Path

import attrs
import structlog
import trio
from cryptography import x509

from wadm.instants import iso
from wadm.market import DAY, SECOND
from wadm.mistakes import Mistake

log = structlog.get_logger("tls")

#: Seconds between two looks at the certificate's files.
PERIOD = 30.0

#: A certificate that ends within so long (µs) is a reason for concern.
SOON = 14 * DAY


class CertificateError(Mistake):
    """A certificate or its key that cannot be used."""


@attrs.define(eq=False)
class Certificate:
    """A certificate chain and its private key, in PEM files. Raises CertificateError when made."""

    certificate: Path
    key: Path
    context: ssl.SSLContext = attrs.field(init=False, repr=False)
    ends_at: int = attrs.field(init=False)
    _seen: tuple[int, ...] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seen = self._changed_at()
        self.context = self._made()
        self.ends_at = self._end()

    def concerns(self, now: int | None = None) -> list[str]:
        """Say where the certificate ends soon, or has ended, at ``now`` (µs, the wall clock's time)."""
        now = time.time_ns() // 1_000 if now is None else now
        if now + SOON < self.ends_at:
            return []
        ends = "has ended at" if self.ends_at <= now else "ends at"
        return [f"the TLS certificate {self.certificate} {ends} {iso(self.ends_at)}: renew it"]

    async def watch(self) -> None:
        """Take up the files again whenever they changed; keep what there is while they cannot be used."""
        while True:
            await trio.sleep(PERIOD)
            self.look()

    def look(self) -> None:
        """Take up the files if they changed: handshakes from now on use them."""
        try:
            changed_at = self._changed_at()
            if changed_at == self._seen:
                return
            self._made()  # on the side first, so that half a pair never replaces a whole one
            self.context.load_cert_chain(self.certificate, self.key)
            ends_at = self._end()
        except (CertificateError, OSError, ValueError) as error:
            log.warning("certificate_not_taken_up", reason=str(error), kept="the one of before")
            return
        self._seen, self.ends_at = changed_at, ends_at
        log.info("certificate_taken_up", file=str(self.certificate))

    def _made(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.options |= ssl.OP_NO_COMPRESSION
        context.set_alpn_protocols(["h2", "http/1.1"])
        try:
            context.load_cert_chain(self.certificate, self.key, password=_no_password)
        except (OSError, ValueError) as error:
            raise CertificateError(
                f"http.tls_certificate is {str(self.certificate)!r} and http.tls_key is {str(self.key)!r}; "
                f"expected a PEM certificate chain and its unencrypted private key ({error})"
            ) from error
        return context

    def _end(self) -> int:
        """Return when the certificate ends (µs)."""
        found = x509.load_pem_x509_certificate(self.certificate.read_bytes())
        return int(found.not_valid_after_utc.timestamp()) * SECOND

    def _changed_at(self) -> tuple[int, ...]:
        try:
            return tuple(path.stat().st_mtime_ns for path in (self.certificate, self.key))
        except OSError as error:
            raise CertificateError(
                f"{error.filename} cannot be read ({error.strerror}): see http.tls_…"
            ) from error


def _no_password() -> str:
    """Answer for a key that is encrypted: without this, OpenSSL asks at the terminal."""
    raise ValueError("the key is encrypted")
