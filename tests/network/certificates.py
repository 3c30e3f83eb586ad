"""TLS servers whose certificate is right, or wrong in one way.

The certificates belong to one key that is good for nothing else. Each signs itself, so that a client which is given
it as an authority objects to nothing but what is wrong with it.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

KEY: Final = """
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgmamDtmwAdJhuB5DS
4CsEvKd/L5rQiW4KVdfucwXLpNOhRANCAAQbbyzV/KHjxHvTm6XAVfhR0diTsj1m
ltdDCsRSyX8uUelJcsbX3zNvAvjOPaHTx0+obdal8kIJHCcsjN2mSQwC
-----END PRIVATE KEY-----
"""

GOOD: Final = """
-----BEGIN CERTIFICATE-----
MIIBYDCCAQegAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABBtvLNX8oePEe9Ob
pcBV+FHR2JOyPWaW10MKxFLJfy5R6UlyxtffM28C+M49odPHT6ht1qXyQgkcJyyM
3aZJDAKjSDBGMA8GA1UdEwEB/wQFMAMBAf8wHQYDVR0OBBYEFGgBz//A6KdjtVme
oseopK6qLkM0MBQGA1UdEQQNMAuCCWxvY2FsaG9zdDAKBggqhkjOPQQDAgNHADBE
AiBDddUpxSSGbVmAqMarvZIpUK6MBXbWXBmVsw9rhJ+O2QIgQfiKRfE+CoFBpgo5
KE0byUfpaLhLXf5jTxeXKEvZhF0=
-----END CERTIFICATE-----
"""
"""Of localhost, valid 2020 to 2120."""

ELSEWHERE: Final = """
-----BEGIN CERTIFICATE-----
MIIBeDCCAR+gAwIBAgIBAjAKBggqhkjOPQQDAjAcMRowGAYDVQQDDBFlbHNld2hl
cmUuaW52YWxpZDAgFw0yMDAxMDEwMDAwMDBaGA8yMTIwMDEwMTAwMDAwMFowHDEa
MBgGA1UEAwwRZWxzZXdoZXJlLmludmFsaWQwWTATBgcqhkjOPQIBBggqhkjOPQMB
BwNCAAQbbyzV/KHjxHvTm6XAVfhR0diTsj1mltdDCsRSyX8uUelJcsbX3zNvAvjO
PaHTx0+obdal8kIJHCcsjN2mSQwCo1AwTjAPBgNVHRMBAf8EBTADAQH/MB0GA1Ud
DgQWBBRoAc//wOinY7VZnqLHqKSuqi5DNDAcBgNVHREEFTATghFlbHNld2hlcmUu
aW52YWxpZDAKBggqhkjOPQQDAgNHADBEAiBH+Z51BU1wfhFKnwFhuK/Fbo6sKbca
By7/2b6nOr0TgQIgeRSoeB8D8UZuayaRmGJ2t5nF4nqrwhxzhWD8+qvHKAE=
-----END CERTIFICATE-----
"""
"""Of elsewhere.invalid, valid 2020 to 2120."""

EXPIRED: Final = """
-----BEGIN CERTIFICATE-----
MIIBXzCCAQWgAwIBAgIBAzAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwHhcNMjAwMTAxMDAwMDAwWhcNMjEwMTAxMDAwMDAwWjAUMRIwEAYDVQQDDAls
b2NhbGhvc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQbbyzV/KHjxHvTm6XA
VfhR0diTsj1mltdDCsRSyX8uUelJcsbX3zNvAvjOPaHTx0+obdal8kIJHCcsjN2m
SQwCo0gwRjAPBgNVHRMBAf8EBTADAQH/MB0GA1UdDgQWBBRoAc//wOinY7VZnqLH
qKSuqi5DNDAUBgNVHREEDTALgglsb2NhbGhvc3QwCgYIKoZIzj0EAwIDSAAwRQIh
AOA6QNhU4tj41mozRFKQ+zu+k4rJBmSYyntJQR1kFaZ0AiAP3018PGX0khfhZ2JX
rYhLz5eOjxkdvb172GUSKju0pg==
-----END CERTIFICATE-----
"""
"""Of localhost, valid in 2020."""


def serving(certificate: str, folder: Path) -> ssl.SSLContext:
    """A server's context."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    show(context, certificate, folder)
    return context


def show(context: ssl.SSLContext, certificate: str, folder: Path) -> None:
    """Have a server show another certificate from its next connection on."""
    file = folder / "server.pem"
    file.write_text(KEY + certificate)
    context.load_cert_chain(file)


def trusting(*certificates: str) -> ssl.SSLContext:
    """A client's context that trusts these, and nobody else."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for certificate in certificates:
        context.load_verify_locations(cadata=certificate)
    return context
