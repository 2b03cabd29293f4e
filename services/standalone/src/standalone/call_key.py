"""The key that signs what tools are told about their caller: made once, kept with the data."""

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from runtime.call_tokens import private_key
from standalone.database import write_private


def read_call_key(data_dir: Path) -> tuple[str, str]:
    """The private key and its public key, in PEM. Another key is made when the file `call_key.pem` is deleted."""
    path = data_dir / "call_key.pem"
    if not path.exists():
        write_private(path, _pem(Ed25519PrivateKey.generate()))
    private = path.read_text()
    public = private_key(private).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private, public.decode()


def _pem(key: Ed25519PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
