"""The keys of one machine: each is made once, and kept with the data."""

import secrets
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runtime.call_tokens import private_key
from standalone.database import write_private


def read_call_key(data_dir: Path) -> tuple[str, str]:
    """The pair that signs what tools are told about their caller, in PEM: the private and the public key."""
    return _pair(data_dir / "call_key.pem")


def read_caller_key(data_dir: Path) -> tuple[str, str]:
    """The pair by which the gateway tells the other rooms who asks."""
    return _pair(data_dir / "caller_key.pem")


def read_names_secret(data_dir: Path) -> str:
    """What the gateway makes ids from."""
    return _secret(data_dir / "names_secret")


def read_console_secret(data_dir: Path) -> str:
    """What signs the sessions of the desk."""
    return _secret(data_dir / "console_secret")


def _secret(path: Path) -> str:
    if not path.exists():
        write_private(path, secrets.token_urlsafe(48))
    return path.read_text()


def _pair(path: Path) -> tuple[str, str]:
    """Another one is made when the file is deleted."""
    if not path.exists():
        write_private(path, _pem(Ed25519PrivateKey.generate()))
    private = path.read_text()
    public = private_key(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
